//! `ask`: a question from a script, and its answer.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use trunkline_client::types::{NewRequest, NewSession};
use trunkline_client::{Client, EventItem};
use trunkline_core::event::Fact;
use trunkline_core::id::{RequestId, Seq, SessionId};
use trunkline_core::raw::Raw;
use trunkline_core::request::{Answer, Choice, OnTimeout, OptionKind, Outcome, Priority};
use trunkline_core::session::EXTERNAL;
use trunkline_core::view::RequestView;

use crate::app::App;
use crate::args::{Ask, Urgency};
use crate::commands::read_stdin;
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::pick;

/// How long a script that waits for an answer waits for a daemon that is away.
const PATIENCE: Duration = Duration::from_secs(60);
/// How large a question is that comes on stdin.
const MAX_QUESTION: u64 = 2 << 20;

/// How the question ended.
enum End {
    Closed(Outcome),
    Dismissed,
    Interrupted,
}

pub(crate) async fn ask(app: &App, args: Ask) -> Result<Exit> {
    let new = compose(app, &args).await?;
    let client = app.connect().await?;
    let (session, ours) = match &args.session {
        Some(given) => (pick::session(app, &client, Some(given)).await?.id, false),
        None => (make(app, &client, args.name.as_deref()).await?, true),
    };
    let asked = client.ask(session, &new).await?;
    let outcome = wait(app, &client, session, asked.id).await;
    let told = match outcome {
        Ok(End::Closed(_)) => Ok(()),
        // Nobody waits for an answer any more: nobody shall be asked for one.
        Ok(End::Dismissed | End::Interrupted) | Err(_) => client.withdraw(asked.id).await.map(drop),
    };
    let shown = match &outcome {
        Ok(end) => show(app, end, &client.request(asked.id).await?),
        Err(_) => Ok(Exit::Failure),
    };
    if ours {
        // The session was there for this one question.
        let _it_may_be_gone = client.close_session(session).await;
    }
    outcome?;
    let exit = shown?;
    if let Err(error) = told {
        app.screen.note(format!("the question could not be taken back: {error}"));
    }
    Ok(exit)
}

async fn compose(app: &App, args: &Ask) -> Result<NewRequest> {
    let question = match args.question.as_deref() {
        Some("-") => {
            let bytes = read_stdin(MAX_QUESTION).await?;
            String::from_utf8(bytes).map_err(|_| CliError::usage("the question on stdin is no text"))?
        }
        given => given.unwrap_or_default().to_owned(),
    };
    let context = args.context.as_deref().map(Raw::parse).transpose();
    let context = context.map_err(|error| CliError::usage(format!("--context is not JSON: {error}")))?;
    let deadline =
        args.timeout.map(|timeout| app.now().plus_ms(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)));
    let on_timeout = match (args.timeout, args.on_timeout.as_deref()) {
        (None, Some(_)) => return Err(CliError::usage("--on-timeout needs a --timeout")),
        (None, None) => OnTimeout::Wait,
        (Some(_), None | Some("deny")) => OnTimeout::Deny,
        (Some(_), Some("escalate")) => OnTimeout::Escalate,
        (Some(_), Some(given)) => match given.strip_prefix("default=") {
            Some(answer) => OnTimeout::Default(default(answer, &args.options)),
            None => {
                let error =
                    CliError::usage(format!("`{given}` is nothing that can be done when time runs out"));
                return Err(error.hint("deny, escalate, or default=ANSWER"));
            }
        },
    };
    let option = |name: &String| Choice { id: name.clone(), name: name.clone(), kind: OptionKind::Choice };
    Ok(NewRequest {
        question,
        options: args.options.iter().map(option).collect(),
        context,
        priority: priority(args.priority),
        tags: Some(args.tags.clone()).filter(|tags| !tags.is_empty()),
        deadline,
        on_timeout,
        ..NewRequest::question(args.title.clone())
    })
}

fn default(answer: &str, options: &[String]) -> Answer {
    let option = options.iter().find(|option| option.eq_ignore_ascii_case(answer));
    match option {
        Some(option) => Answer { option: Some(option.clone()), ..Answer::default() },
        None => Answer { text: Some(answer.to_owned()), ..Answer::default() },
    }
}

const fn priority(urgency: Urgency) -> Priority {
    match urgency {
        Urgency::Low => Priority::Low,
        Urgency::Normal => Priority::Normal,
        Urgency::High => Priority::High,
        Urgency::Urgent => Priority::Urgent,
    }
}

/// A session for this one question, in this directory.
async fn make(app: &App, client: &Client, name: Option<&str>) -> Result<SessionId> {
    let parent = rustix::process::getppid().map(|pid| pid.as_raw_pid());
    let name = name.map(str::to_owned).or_else(|| caller(parent?)).unwrap_or_else(|| "ask".to_owned());
    let new = NewSession {
        driver: Some(EXTERNAL.to_owned()),
        agent: Some(name.clone()),
        workspace: app.here().ok(),
        title: Some(name),
        ..NewSession::default()
    };
    Ok(client.create_session(&new).await?.id)
}

/// What the process that runs this command is called: a script's file name, else the program's.
fn caller(pid: i32) -> Option<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    name_of(&words.iter().map(AsRef::as_ref).collect::<Vec<_>>())
}

fn name_of(words: &[&str]) -> Option<String> {
    const INTERPRETERS: [&str; 9] =
        ["sh", "bash", "dash", "zsh", "fish", "python", "python3", "node", "ruby"];
    let file = |path: &str| Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned());
    let program = file(words.first()?.trim_start_matches('-'))?;
    let script = words.iter().skip(1).find(|word| !word.starts_with('-') && !word.is_empty());
    let runs_script = INTERPRETERS.contains(&program.as_str()) && !words.contains(&"-c");
    let name = script.filter(|_| runs_script).and_then(|script| file(script)).unwrap_or(program);
    let name: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// Waits until the request has its outcome, or is set aside.
async fn wait(app: &App, client: &Client, session: SessionId, request: RequestId) -> Result<End> {
    let mut events = client.events(session, Seq::ZERO, None);
    let mut lost: Option<Instant> = None;
    loop {
        tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => return Ok(End::Interrupted),
            item = events.next() => match item {
                Some(Ok(EventItem::Event(event))) => {
                    lost = None;
                    match event.fact {
                        Fact::RequestClosed(closed) if closed.id == request => return Ok(End::Closed(closed.outcome)),
                        Fact::RequestDismissed(dismissed) if dismissed.id == request => return Ok(End::Dismissed),
                        _ => {}
                    }
                }
                Some(Ok(EventItem::Lost(error))) => {
                    if lost.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                        return Err(CliError::from(error).hint("the question still waits: `trunkline inbox`"));
                    }
                    app.screen.note("connection lost, trying again");
                }
                Some(Ok(EventItem::Deleted)) | None => {
                    return Err(CliError::new(Exit::Cancelled, "the session was deleted"));
                }
                Some(Ok(_)) => lost = None,
                Some(Err(error)) => return Err(error.into()),
            }
        }
    }
}

/// Prints the answer; the exit code tells whether there is one.
fn show(app: &App, end: &End, request: &RequestView) -> Result<Exit> {
    let closed = request.closed.as_ref();
    let answer = closed.and_then(|closed| closed.answer.as_ref());
    let text = answer.map(said);
    let (exit, word) = match (end, &text) {
        (End::Closed(Outcome::Answered), _) => (Exit::Ok, "answered"),
        (End::Closed(Outcome::Expired), Some(_)) => (Exit::Ok, "expired"),
        (End::Closed(Outcome::Expired), None) => (Exit::TimedOut, "expired"),
        (End::Closed(Outcome::Cancelled | Outcome::Superseded), _) => (Exit::Cancelled, "cancelled"),
        (End::Dismissed, _) => (Exit::Refusal, "dismissed"),
        (End::Interrupted, _) => (Exit::Interrupt, "interrupted"),
    };
    if app.screen.json {
        let by = closed.map(|closed| &closed.by);
        let responder = answer.and_then(|answer| answer.responder.as_deref());
        app.screen.json(&json!({
            "request": request.id, "session": request.session, "outcome": word, "answer": text, "by": by,
            "responder": responder, "option": answer.and_then(|answer| answer.option.as_deref()),
            "text": answer.and_then(|answer| answer.text.as_deref()),
        }))?;
        return Ok(exit);
    }
    match text {
        Some(text) if exit == Exit::Ok => {
            if word == "expired" {
                app.screen.note("nobody answered in time; this is the default");
            }
            app.screen.print(text)?;
        }
        Some(_) | None => app.screen.note(match exit {
            Exit::TimedOut => "nobody answered in time",
            Exit::Refusal => "the question was dismissed",
            Exit::Interrupt => "the question was taken back",
            _ => "the question was cancelled",
        }),
    }
    Ok(exit)
}

fn said(answer: &Answer) -> String {
    answer.option.clone().or_else(|| answer.text.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_named_by_its_script() {
        for (words, name) in [
            (&["/bin/bash", "./deploy.sh", "prod"][..], Some("deploy.sh")),
            (&["python3", "-u", "/srv/job.py"], Some("job.py")),
            (&["bash", "-c", "trunkline ask x"], Some("bash")),
            (&["-zsh"], Some("zsh")),
            (&["/usr/bin/make", "all"], Some("make")),
            (&[""], None),
            (&[], None),
        ] {
            assert_eq!(name_of(words).as_deref(), name, "{words:?}");
        }
    }

    #[test]
    fn a_default_is_an_option_where_there_is_one() {
        let options = ["Yes".to_owned(), "No".to_owned()];
        assert_eq!(default("no", &options).option.as_deref(), Some("No"));
        assert_eq!(default("later", &options).text.as_deref(), Some("later"));
    }
}
