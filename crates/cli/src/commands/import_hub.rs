//! `import --from sessionbus`: what the original human-input hub has kept becomes sessions here.

use std::path::Path;

use serde_json::json;
use trunkline_core::event::{Event, Fact};
use trunkline_core::id::{RequestId, Seq, SessionId};
use trunkline_core::outside::{Born, Reported, Status, Unseen};
use trunkline_core::principal::Principal;
use trunkline_core::request::{Answer, ClosedFact, Dismissed, Kind, OnTimeout, Opened, Outcome, Priority};
use trunkline_core::session::{Created, EXTERNAL};
use trunkline_core::time::Time;
use trunkline_log::sessionbus::{OldRequest, OldSession, read};
use uuid::Uuid;

use crate::app::App;
use crate::error::{CliError, Result};
use crate::exit::Exit;

pub(crate) async fn import(app: &App, path: &Path) -> Result<Exit> {
    let sessions = read(path).map_err(|error| CliError::usage(error.to_string()))?;
    let client = app.connect().await?;
    let mut made = Vec::with_capacity(sessions.len());
    for session in &sessions {
        let view = client.import(export(session)).await?;
        if !app.screen.json {
            app.screen.print(view.id.to_string())?;
        }
        made.push(view);
    }
    if app.screen.json {
        app.screen.json(&made)?;
    } else {
        app.screen.note(format!(
            "{} sessions were read from {}, which was not changed",
            made.len(),
            path.display()
        ));
    }
    Ok(Exit::Ok)
}

/// A session in the format of an export.
fn export(session: &OldSession) -> String {
    let mut lines = vec![json!({ "trunkline": "export/1", "session": session.id }).to_string()];
    let events = facts(session).into_iter().zip(1..);
    lines.extend(
        events.map(|((at, by, fact), seq)| {
            Event { seq: Seq(seq), at, by, turn: None, key: None, fact }.to_line()
        }),
    );
    lines.push(String::new());
    lines.join("\n")
}

/// What has happened in it, in the order of time.
fn facts(session: &OldSession) -> Vec<(Time, Principal, Fact)> {
    let local = Principal::local;
    let mut facts: Vec<(Time, Principal, Fact)> = Vec::new();
    for request in &session.requests {
        let id = RequestId::new(Uuid::try_parse(&request.id).unwrap_or_else(|_| Uuid::now_v7()));
        facts.push((request.created, local(), opened(id, request).into()));
        let ended = request.answered.unwrap_or(request.created);
        match (request.status.as_str(), &request.answer) {
            ("ANSWERED", Some((text, responder))) => {
                let responder = responder.as_deref().map(Into::into);
                let answer = Some(Answer { text: Some(text.clone()), responder, ..Answer::default() });
                let closed =
                    ClosedFact { id, outcome: Outcome::Answered, answer, grant: None, also: Vec::new() };
                facts.push((ended, local(), closed.into()));
            }
            ("DISMISSED", _) => facts.push((ended, local(), Dismissed { id }.into())),
            (_, _) => {}
        }
    }
    let status = match session.state.as_str() {
        "WORKING" => Status::Working,
        "WAITING_FOR_INPUT" => Status::Waiting,
        "ERROR" => Status::Error,
        _ => Status::Done,
    };
    facts.push((session.seen, local(), Reported { status: Some(status) }.into()));
    facts.sort_by_key(|(at, ..)| *at);
    let last = facts.last().map_or(session.seen, |(at, ..)| *at);
    facts.push((last, local(), Unseen { seen: session.seen }.into()));
    facts.insert(0, (session.created, local(), created(session).into()));
    facts
}

fn created(session: &OldSession) -> Created {
    let called: String = session.name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let called = match called.trim() {
        "" => "agent".to_owned(),
        called => called.to_owned(),
    };
    Created {
        id: SessionId::new(Uuid::try_parse(&session.id).unwrap_or_else(|_| Uuid::now_v7())),
        driver: EXTERNAL.to_owned(),
        agent: called.clone(),
        argv: Vec::new(),
        workspace: None,
        project: None,
        title: Some(called),
        metadata: session.metadata.clone(),
        born: Some(Born {
            dialect: "sessionbus".to_owned(),
            name: session.name.clone(),
            tenant: session.tenant.clone(),
        }),
        imported: None,
    }
}

fn opened(id: RequestId, request: &OldRequest) -> Opened {
    Opened {
        id,
        kind: Kind::Question,
        title: request.title.clone(),
        question: request.question.clone(),
        options: Vec::new(),
        tool_call: None,
        tool: None,
        schema: None,
        context: request.context.clone(),
        priority: match request.priority.as_str() {
            "LOW" => Priority::Low,
            "HIGH" => Priority::High,
            "URGENT" => Priority::Urgent,
            _ => Priority::Normal,
        },
        tags: request.tags.clone(),
        deadline: None,
        on_timeout: OnTimeout::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_becomes_an_export() {
        let request = |id: u128, status: &str, created: i64| OldRequest {
            id: Uuid::from_u128(id).to_string(),
            title: "t".into(),
            question: "q".into(),
            context: None,
            priority: "HIGH".into(),
            tags: None,
            status: status.into(),
            answer: (status == "ANSWERED").then(|| ("yes".into(), Some("ana".into()))),
            created: Time(created),
            answered: (status == "ANSWERED").then_some(Time(created + 50)),
        };
        let session = OldSession {
            id: Uuid::from_u128(9).to_string(),
            name: "bot\n".into(),
            tenant: Some("acme".into()),
            state: "DONE".into(),
            metadata: None,
            created: Time(10),
            seen: Time(100),
            requests: vec![
                request(1, "ANSWERED", 20),
                request(2, "DISMISSED", 30),
                request(3, "PENDING", 90),
            ],
        };
        let text = export(&session);
        let events: Vec<_> = text.lines().skip(1).map(|line| Event::from_line(line).unwrap()).collect();
        let tags: Vec<_> = events.iter().map(|event| (event.fact.tag(), event.at.0)).collect();
        assert_eq!(
            tags,
            [
                ("session.created", 10),
                ("request.opened", 20),
                ("request.opened", 30),
                ("request.dismissed", 30),
                ("request.closed", 70),
                ("request.opened", 90),
                ("session.reported", 100),
                ("session.unseen", 100),
            ]
        );
    }
}
