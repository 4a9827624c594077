//! What the daemon knows of an agent's process, and what it did on the agent's behalf.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::{Event, Fact};
use crate::id::Node;
use crate::raw::Raw;

/// A process of the agent runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AgentStarted")]
pub struct Started {
    /// On which node, in which of its lives.
    pub node: Node,
    /// Which run of the agent this is in its session; the next starts when the last is gone.
    pub incarnation: u64,
    /// The process.
    pub pid: u32,
    /// When the kernel started it, in clock ticks since boot: with that a number that was given anew is told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<u64>,
    /// Which boot of the machine that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<Uuid>,
    /// The command line.
    pub argv: Vec<String>,
    /// What keeps it from doing all that its user can. Logs that are older than this say nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confined: Option<Confined>,
}

/// What keeps an agent and its commands to their workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Confined {
    /// Namespaces of the kernel: what is not to be touched is not there, or cannot be written.
    Namespace,
    /// Landlock: rules over what is there.
    Landlock,
    /// Nothing: it can do what its user can, so a person is asked for everything that matters.
    No,
}

/// The agent's process and everything it started is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AgentExited")]
pub struct Exited {
    /// Which run of the agent.
    pub incarnation: u64,
    /// Its exit code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// The signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Its last words on stderr.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stderr: String,
}

/// A gauge of the agent changed. Gauges are not transcript: only the newest of a kind counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AgentStatus")]
pub struct Status {
    /// Which gauge, by the name of the session update that carries it.
    pub kind: String,
    /// The update, as the agent sent it.
    pub update: Raw,
}

/// A command runs in a terminal for the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TerminalStarted {
    /// The terminal.
    pub terminal: String,
    /// The command line.
    pub argv: Vec<String>,
    /// Where it runs.
    pub cwd: String,
}

/// A terminal wrote something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TerminalOutput {
    /// The terminal.
    pub terminal: String,
    /// What it wrote since the last such event; invalid UTF-8 is replaced.
    pub text: String,
}

/// A terminal's command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TerminalExited {
    /// The terminal.
    pub terminal: String,
    /// Its exit code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// The signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
}

/// The daemon read a file for the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileRead {
    /// The path, as the agent gave it.
    pub path: String,
    /// SHA-256 of what was read.
    pub sha256: String,
}

/// The daemon wrote a file for the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileWritten {
    /// The path, as the agent gave it.
    pub path: String,
    /// SHA-256 of what is there now.
    pub sha256: String,
    /// How many bytes that is.
    pub bytes: u64,
    /// Whether the file was made anew.
    pub created: bool,
}

/// What a driver needs to go on later, in its own format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DriverMemo")]
pub struct Memo {
    /// The memory.
    pub raw: Raw,
}

/// The memory of an agent that remembers nothing.
const CLEARED: &str = r#"{"cleared":{}}"#;

/// The agent of a session, as its log tells.
#[derive(Debug, Clone, Default)]
pub struct Agent {
    /// The process that runs.
    pub process: Option<Started>,
    /// How often the agent was started.
    pub incarnation: u64,
    /// The newest of each gauge.
    pub status: BTreeMap<String, Raw>,
    /// The driver's newest memory.
    pub memo: Option<Raw>,
    /// How many messages an agent of our own remembers.
    pub remembered: u64,
    /// How often it was told to forget them.
    pub forgotten: u64,
}

impl Memo {
    /// An agent of our own remembers nothing from here on.
    ///
    /// # Panics
    /// Never: it is JSON.
    #[must_use]
    pub fn cleared() -> Self {
        Self { raw: Raw::parse(CLEARED).expect("it is JSON") }
    }
}

impl Agent {
    /// Counts what an agent of our own remembers, by the words in which it keeps that. Memories of other drivers begin otherwise.
    fn count(&mut self, raw: &Raw) {
        #[derive(Deserialize)]
        struct Compacted {
            compacted: Kept,
        }
        #[derive(Deserialize)]
        struct Kept {
            kept: u64,
        }
        let text = raw.get();
        if text.starts_with(r#"{"said":"#) {
            self.remembered += 1;
        } else if text == CLEARED {
            self.remembered = 0;
            self.forgotten += 1;
        } else if let Ok(Compacted { compacted }) = raw.read() {
            // The summary takes the place of all that is not kept.
            self.remembered = compacted.kept.min(self.remembered) + 1;
        }
    }

    /// Whether something is known to confine it: not while no process of it runs, nor if that says nothing.
    #[must_use]
    pub fn is_confined(&self) -> bool {
        let confined = self.process.as_ref().and_then(|process| process.confined);
        confined.is_some_and(|confined| confined != Confined::No)
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        match &event.fact {
            Fact::AgentStarted(started) => {
                self.incarnation = started.incarnation;
                self.process = Some(started.clone());
            }
            Fact::AgentExited(exited) => {
                self.process.take_if(|process| process.incarnation == exited.incarnation);
            }
            Fact::AgentStatus(Status { kind, update }) => {
                self.status.insert(kind.clone(), update.clone());
            }
            Fact::DriverMemo(memo) => {
                self.count(&memo.raw);
                self.memo = Some(memo.raw.clone());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Seq;
    use crate::principal::Principal;
    use crate::time::Time;

    #[test]
    fn what_an_agent_of_our_own_remembers_is_counted() {
        let mut agent = Agent::default();
        let mut keep = |raw: &str| {
            let memo = Memo { raw: Raw::parse(raw).unwrap() };
            let by = Principal::trunkline();
            let event = Event { seq: Seq(1), at: Time(1), by, turn: None, key: None, fact: memo.into() };
            agent.apply(&event);
            (agent.remembered, agent.forgotten)
        };
        for n in 1..=5 {
            assert_eq!(keep(r#"{"said":{"message":{}}}"#), (n, 0));
        }
        assert_eq!(keep(r#"{"acp_session":"s"}"#), (5, 0), "what another driver keeps counts for nothing");
        assert_eq!(keep(r#"{"compacted":{"summary":"s","kept":2}}"#), (3, 0));
        assert_eq!(keep(Memo::cleared().raw.get()), (0, 1));
    }
}
