//! `import --from sessionbus`: what the original human-input hub has kept goes on here.

use std::path::Path;

use serde_json::json;
use trunkline_client::Error as ClientError;
use trunkline_core::event::{Event, Fact};
use trunkline_core::id::{BadId, MessageId, RequestId, Seq, SessionId};
use trunkline_core::message::{self, ANSWER};
use trunkline_core::outside::{Born, Reported, SESSIONBUS, Status, Unseen};
use trunkline_core::principal::Principal;
use trunkline_core::raw::Raw;
use trunkline_core::request::{Answer, ClosedFact, Dismissed, Opened, Outcome, Priority};
use trunkline_core::time::Time;
use trunkline_log::sessionbus::{OldMessage, OldRequest, OldSession, read};

use crate::app::App;
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::screen::count;

pub(crate) async fn import(app: &App, path: &Path) -> Result<Exit> {
    let sessions = read(path).map_err(|error| CliError::usage(error.to_string()))?;
    let exports = sessions.iter().map(|session| {
        let odd =
            |error| CliError::failure(format!("session {} holds an id of another kind: {error}", session.id));
        export(session).map(|export| (&session.id, export)).map_err(odd)
    });
    // All of it is read before any of it is moved.
    let exports: Vec<_> = exports.collect::<Result<_>>()?;
    let client = app.connect().await?;
    let (mut moved, mut here) = (Vec::new(), 0);
    for (id, export) in exports {
        match client.adopt(export).await {
            Ok(view) => {
                if !app.screen.json {
                    app.screen.print(view.id.to_string())?;
                }
                moved.push(view);
            }
            Err(ClientError::Problem(problem)) if matches!(problem.code.as_str(), "exists" | "deleted") => {
                here += 1;
            }
            Err(error) => {
                return Err(CliError::from(error).because(format!("session {id} could not be moved")));
            }
        }
    }
    if app.screen.json {
        app.screen.json(&moved)?;
    } else {
        let (from, moved) = (path.display(), count(moved.len(), "session"));
        app.screen.note(format!("{moved} moved here from {from}, which was not changed"));
        if here > 0 {
            app.screen.note(format!("{here} were here before, or were deleted here, and stay as they are"));
        }
    }
    Ok(Exit::Ok)
}

/// A session in the format of an export.
fn export(session: &OldSession) -> std::result::Result<String, BadId> {
    let mut lines = vec![json!({ "trunkline": "export/1", "session": session.id }).to_string()];
    lines.extend(facts(session)?.into_iter().zip(1..).map(|((at, fact), seq)| {
        Event { seq: Seq(seq), at, by: Principal::local(), turn: None, key: None, fact }.to_line()
    }));
    lines.push(String::new());
    Ok(lines.join("\n"))
}

/// What has happened in it, in the order of time.
fn facts(session: &OldSession) -> std::result::Result<Vec<(Time, Fact)>, BadId> {
    let mut facts: Vec<(Time, Fact)> = Vec::new();
    for request in &session.requests {
        facts.extend(asked(request)?);
    }
    for message in &session.messages {
        facts.extend(told(message)?);
    }
    facts.push((session.seen, Reported { status: Some(status(&session.state)) }.into()));
    facts.sort_by_key(|(at, _)| *at);
    let last = facts.last().map_or(session.seen, |(at, _)| *at);
    facts.push((last, Unseen { seen: session.seen }.into()));
    let born =
        Born { dialect: SESSIONBUS.to_owned(), name: session.name.clone(), tenant: session.tenant.clone() };
    let id: SessionId = session.id.parse()?;
    facts.insert(0, (session.created, born.session(id, session.metadata.clone()).into()));
    Ok(facts)
}

/// A request, and how it ended.
fn asked(request: &OldRequest) -> std::result::Result<Vec<(Time, Fact)>, BadId> {
    let id: RequestId = request.id.parse()?;
    let opened = Opened {
        context: request.context.clone(),
        priority: priority(&request.priority),
        tags: request.tags.clone(),
        ..Opened::question(id, request.title.clone(), request.question.clone())
    };
    let mut facts = vec![(request.created, opened.into())];
    let ended = request.answered.unwrap_or(request.created);
    match (request.status.as_str(), &request.answer) {
        ("ANSWERED", Some((text, responder))) => {
            facts.push((ended, answered(id, text, responder.as_deref()).into()));
        }
        // When, nobody has kept.
        ("DISMISSED", _) => facts.push((ended, Dismissed { id }.into())),
        (_, _) => {}
    }
    Ok(facts)
}

/// A message, and what the agent did with it.
fn told(message: &OldMessage) -> std::result::Result<Vec<(Time, Fact)>, BadId> {
    let id: MessageId = message.id.parse()?;
    let answer = answered(message.request.parse()?, &message.text, message.responder.as_deref());
    let payload = Raw::of(&answer).expect("an outcome has a JSON form");
    let queued = message::Queued { id, kind: ANSWER.to_owned(), payload, sender: None };
    let mut facts = vec![(message.created, queued.into())];
    facts.extend(message.delivered.map(|at| (at, message::Delivered { ids: vec![id] }.into())));
    facts.extend(message.acked.map(|at| (at, message::Acked { id }.into())));
    Ok(facts)
}

fn answered(id: RequestId, text: &str, responder: Option<&str>) -> ClosedFact {
    let answer =
        Answer { text: Some(text.to_owned()), responder: responder.map(Into::into), ..Answer::default() };
    ClosedFact { id, outcome: Outcome::Answered, answer: Some(answer), grant: None, also: Vec::new() }
}

fn status(word: &str) -> Status {
    match word {
        "WORKING" => Status::Working,
        "WAITING_FOR_INPUT" => Status::Waiting,
        "ERROR" => Status::Error,
        _ => Status::Done,
    }
}

fn priority(word: &str) -> Priority {
    match word {
        "LOW" => Priority::Low,
        "HIGH" => Priority::High,
        "URGENT" => Priority::Urgent,
        _ => Priority::Normal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(id: u128, status: &str, created: i64) -> OldRequest {
        let answered = status == "ANSWERED";
        OldRequest {
            id: uuid(id),
            title: "t".into(),
            question: "q".into(),
            context: None,
            priority: "HIGH".into(),
            tags: None,
            status: status.into(),
            answer: answered.then(|| ("yes".into(), Some("ana".into()))),
            created: Time(created),
            answered: answered.then_some(Time(created + 50)),
        }
    }

    fn uuid(n: u128) -> String {
        format!("00000000-0000-4000-8000-{n:012x}")
    }

    fn session() -> OldSession {
        OldSession {
            id: uuid(9),
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
            messages: vec![OldMessage {
                id: uuid(4),
                request: uuid(1),
                text: "yes".into(),
                responder: Some("ana".into()),
                created: Time(70),
                delivered: Some(Time(80)),
                acked: Some(Time(95)),
            }],
        }
    }

    #[test]
    fn a_session_becomes_an_export() {
        let text = export(&session()).unwrap();
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
                ("message.queued", 70),
                ("message.delivered", 80),
                ("request.opened", 90),
                ("message.acked", 95),
                ("session.reported", 100),
                ("session.unseen", 100),
            ]
        );
        let created = &events[0].fact;
        assert!(
            matches!(created, Fact::SessionCreated(made) if made.id.to_string() == uuid(9)),
            "{created:?}"
        );
    }

    #[test]
    fn an_id_that_is_none_is_an_error() {
        assert!(export(&OldSession { id: "x".into(), ..session() }).is_err());
    }
}
