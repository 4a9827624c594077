//! Agents that run elsewhere: how their session came to be, what they say of themselves, and when they were last there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{Event, Fact};
use crate::id::{MessageId, SessionId};
use crate::machine::Draft;
use crate::principal::Scope;
use crate::raw::Raw;
use crate::refused::Refused;
use crate::session::{Command, Created, EXTERNAL, Session, Updated};
use crate::text::check_name;
use crate::time::Time;

/// An agent that was not heard of for longer than this is shown as gone.
pub const UNSEEN_AFTER_MS: u64 = 120_000;
/// How many characters a name or a tenant may have.
pub const MAX_NAME: usize = 255;

/// The protocol of the original human-input hub, in facts.
pub const SESSIONBUS: &str = "sessionbus";
/// The dialect of agents that ask people by MCP. What such an agent asks is for a person: a program without a credential,
/// which the agent may be itself, does not answer it.
pub const MCP: &str = "mcp";

/// How a session came to be that a client of another protocol has made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Born {
    /// The protocol: `sessionbus`, `mcp`.
    pub dialect: String,
    /// What the agent calls itself, exactly as it came. The session's title and agent have it without control characters.
    pub name: String,
    /// Whose it is, where several share a daemon: lists filter by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

/// What an agent says that it is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ReportedStatus")]
pub enum Status {
    /// It works.
    Working,
    /// It waits for a person.
    Waiting,
    /// It is done.
    Done,
    /// It failed.
    Error,
}

/// The agent said something of itself, or is back after it was gone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SessionReported")]
pub struct Reported {
    /// What it does now; absent: what it did before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
}

/// Nobody has heard of the agent for two minutes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SessionUnseen")]
pub struct Unseen {
    /// When it was last there.
    pub seen: Time,
}

/// What a heartbeat carries. What is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What the agent does.
    pub status: Option<Status>,
    /// The session's metadata, whole.
    pub metadata: Option<Raw>,
}

/// What is known of an agent that runs elsewhere.
#[derive(Debug, Clone, Default)]
pub struct Outside {
    /// What it says that it is doing. Asking, and being answered, say it too.
    pub status: Option<Status>,
    /// When it last did something that the log tells. Heartbeats that change nothing are told by presence alone.
    pub seen: Option<Time>,
    /// Whether it has not been heard of since.
    pub unseen: bool,
    /// The message with the last answer it was given.
    pub answer: Option<MessageId>,
}

impl Born {
    /// The session of an agent that registered so.
    #[must_use]
    pub fn session(self, id: SessionId, metadata: Option<Raw>) -> Created {
        let called = clean(&self.name);
        Created {
            id,
            driver: EXTERNAL.to_owned(),
            agent: called.clone(),
            argv: Vec::new(),
            workspace: None,
            project: None,
            title: Some(called),
            metadata,
            born: Some(self),
            setup: None,
            imported: None,
        }
    }

    /// Whether a program without a credential may answer what is asked here.
    #[must_use]
    pub fn is_answered_by_anyone(&self) -> bool {
        self.dialect != MCP
    }

    pub(crate) fn check(&self) -> Result<(), Refused> {
        check_name("dialect", &self.dialect, 40)?;
        for (field, text) in [("name", Some(&self.name)), ("tenant", self.tenant.as_ref())] {
            if text.is_some_and(|text| text.chars().count() > MAX_NAME) {
                return Err(Refused::invalid(field, format!("must be at most {MAX_NAME} characters")));
            }
        }
        Ok(())
    }
}

/// A name without what would break a line or a terminal.
fn clean(name: &str) -> String {
    let text: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match text.trim() {
        "" => "agent".to_owned(),
        name => name.to_owned(),
    }
}

impl Session {
    /// The dialect by which the session was made.
    #[must_use]
    pub fn born(&self) -> Option<&Born> {
        self.created.as_ref().and_then(|(created, ..)| created.born.as_ref())
    }

    /// Whether the agent has taken the last answer it was given, and waits for no other.
    #[must_use]
    pub fn answer_taken(&self) -> bool {
        let taken = |id| !self.inbox.waiting.contains_key(id);
        self.requests.pending().next().is_none() && self.outside.answer.as_ref().is_some_and(taken)
    }

    /// Grants what a heartbeat carries. One that changes nothing leaves no fact.
    pub(crate) fn report(&self, report: &Report) -> Result<Vec<Draft>, Refused> {
        if !self.is_external() {
            let why = "the daemon runs this session's agent and knows itself what it does".to_owned();
            return Err(Refused::Forbidden { why });
        }
        let mut facts: Vec<Draft> = Vec::new();
        let status = report.status.filter(|status| self.outside.status != Some(*status));
        if self.closed.is_none() && (status.is_some() || self.outside.unseen) {
            facts.push(Reported { status }.into());
        }
        if report.metadata.is_some() && report.metadata != self.metadata {
            facts.push(Updated { title: None, metadata: report.metadata.clone() }.into());
        }
        Ok(facts)
    }

    /// Keeps that the agent is gone.
    pub(crate) fn miss(&self, seen: Time) -> Vec<Draft> {
        let known = self.outside.seen.is_some_and(|known| known > seen);
        let gone = self.is_external() && self.closed.is_none() && !self.outside.unseen && !known;
        if gone { vec![Unseen { seen }.into()] } else { Vec::new() }
    }

    /// Folds what an event tells about the agent. The requests have it already.
    pub(crate) fn apply_outside(&mut self, event: &Event) {
        let asks = self.requests.pending().next().is_some();
        match &event.fact {
            Fact::SessionCreated(created) if created.driver == EXTERNAL => {
                self.outside.status = created.born.as_ref().map(|_| Status::Working);
                self.saw(event.at);
            }
            Fact::SessionReported(reported) => {
                self.outside.status = reported.status.or(self.outside.status);
                self.saw(event.at);
            }
            Fact::SessionUnseen(unseen) => {
                self.outside.unseen = true;
                self.outside.seen = self.outside.seen.max(Some(unseen.seen));
            }
            Fact::RequestOpened(_) if event.turn.is_none() => {
                self.says(Status::Waiting);
                self.saw(event.at);
            }
            Fact::RequestDismissed(_) | Fact::RequestClosed(_) if event.turn.is_none() && !asks => {
                self.says(Status::Working);
            }
            Fact::MessageQueued(message) if message.kind == crate::message::ANSWER => {
                self.outside.answer = Some(message.id);
            }
            Fact::MessageDelivered(_) | Fact::MessageAcked(_) => self.saw(event.at),
            _ => {}
        }
    }

    /// What asking and being answered say of an agent that speaks of itself at all.
    fn says(&mut self, status: Status) {
        if let Some(known) = &mut self.outside.status {
            *known = status;
        }
    }

    fn saw(&mut self, at: Time) {
        if self.is_external() || self.created.is_none() {
            self.outside.seen = Some(at);
            self.outside.unseen = false;
        }
    }
}

/// What a program of the same user may wish that has shown no credential: what its dialect offers, where it was born.
pub(crate) fn allow_local(command: &Command, born: Option<&Born>) -> Result<(), Refused> {
    let offered = match command {
        Command::Create(created) => created.born.is_some() && created.driver == EXTERNAL,
        // An agent that has none may be the one that asks.
        Command::Answer(..) | Command::Dismiss(_) => born.is_some_and(Born::is_answered_by_anyone),
        command => born.is_some() && command.needs().locally,
    };
    if offered {
        return Ok(());
    }
    let why = "without a token this works only for sessions that were registered in the same way".to_owned();
    Err(Refused::Forbidden { why })
}

/// Whether a scope is one of callers without a credential.
pub(crate) fn is_local(scope: Scope) -> bool {
    scope == Scope::Local
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RequestId;
    use crate::request::{Answer, Outcome};

    #[test]
    fn names_are_cleaned_for_other_clients() {
        assert_eq!(clean(" my\nagent\u{7}"), "my agent");
        assert_eq!(clean(" \n"), "agent");
    }

    #[test]
    fn who_shows_no_credential_answers_no_agent_that_may_be_itself() {
        let id = RequestId::new(uuid::Uuid::nil());
        let born = |dialect: &str| Born { dialect: dialect.to_owned(), name: "bot".to_owned(), tenant: None };
        let may = |command: &Command, dialect: Option<&str>| {
            allow_local(command, dialect.map(born).as_ref()).is_ok()
        };
        // columns: born in the original's dialect, born by MCP, born here
        for (command, expected) in [
            (Command::Withdraw(id, Outcome::Cancelled), [true, true, false]),
            (Command::Report(Report::default()), [true, true, false]),
            (Command::Answer(id, Answer::default()), [true, false, false]),
            (Command::Dismiss(id), [true, false, false]),
            (Command::Close, [false, false, false]),
        ] {
            let got = [Some("sessionbus"), Some(MCP), None].map(|dialect| may(&command, dialect));
            assert_eq!(got, expected, "{command:?}");
        }
    }
}
