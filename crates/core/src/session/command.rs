//! What can be wished of a session, and what a session owes.

use super::{Created, Updated};
use crate::event::Fact;
use crate::grant::{self, Grant};
use crate::handoff::TurnCheckpointed;
use crate::id::{GrantId, MessageId, RequestId, TurnId};
use crate::machine::Draft;
use crate::message;
use crate::outside::Report;
use crate::request::{self, Answer, Opened};
use crate::setting::{Pending, Setting};
use crate::tell::{Guards, Told};
use crate::time::Time;
use crate::turn::{self, WhenBusy, Why};

/// A wish about a session.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Make it.
    Create(Created),
    /// Make one that was elsewhere until now, with all its facts. Only the hub makes this, with
    /// [`adopted`](crate::import::adopted).
    Adopt(Vec<Draft>),
    /// Change title or metadata.
    Update(Updated),
    /// More facts of an export. Only the hub makes these, with [`Importer`](crate::import::Importer).
    Import(Vec<Draft>),
    /// The export ends here: what it left open comes to its end.
    EndImport,
    /// Take no more work: the turn is stopped, the queue emptied, the requests cancelled.
    Close,
    /// Forget it, log and all. The hub removes the log afterwards.
    Delete,
    /// Ask the agent.
    Prompt {
        /// The content blocks and the time the turn may take.
        queued: turn::Queued,
        /// What to do while a turn runs.
        when_busy: WhenBusy,
    },
    /// Take a waiting prompt back.
    Unqueue(TurnId),
    /// Stop the running turn.
    Stop {
        /// Only if it is this one.
        turn: Option<TurnId>,
        /// Why.
        why: Why,
        /// How long the agent has before its processes are killed.
        grace_ms: u64,
    },
    /// Ask a person, for an agent outside.
    Ask(Opened),
    /// Answer a request.
    Answer(RequestId, Answer),
    /// Set a request aside.
    Dismiss(RequestId),
    /// Take a request back.
    Withdraw(RequestId, request::Outcome),
    /// Leave a message for the agent.
    Send(message::Queued),
    /// Have a message reach the agent's turn, unless a guard holds it back.
    Tell(Told, Guards),
    /// Mark the waiting messages as fetched.
    Deliver,
    /// Mark these as fetched, those of them that wait.
    Fetch(Vec<MessageId>),
    /// The agent is done with a message.
    Ack(MessageId),
    /// What an agent that runs elsewhere says of itself.
    Report(Report),
    /// It was last there at this time, which is too long ago. Only the hub makes this.
    Missed(Time),
    /// Give a standing permission.
    Grant(grant::Added),
    /// Take a standing permission back.
    Revoke(GrantId),
    /// Set the agent to something that it offers.
    Set(Setting),
    /// Have the agent forget what was said. The transcript stays.
    Forget,
    /// What the runner of a turn, or of the agent's process, has to say.
    Run(Run),
    /// Time has passed.
    Tick,
}

/// Whose wish a command can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    /// That of whoever steers the session.
    Operator,
    /// That of its agent, or of an operator in its place.
    Agent,
    /// Only the hub makes it, for itself or in the name of the session's agent.
    Hub,
}

/// What a command takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(super) of: Right,
    /// Whether a program of the same user may wish it without a credential, where its dialect made the session.
    pub(crate) locally: bool,
}

impl Command {
    /// What it takes to wish this.
    pub(crate) const fn needs(&self) -> Needs {
        let (of, locally) = match self {
            Self::Create(_) | Self::Answer(..) | Self::Dismiss(_) => (Right::Operator, true),
            Self::Update(_)
            | Self::Adopt(_)
            | Self::Import(_)
            | Self::EndImport
            | Self::Close
            | Self::Delete
            | Self::Prompt { .. }
            | Self::Unqueue(_)
            | Self::Stop { .. }
            | Self::Send(_)
            | Self::Grant(_)
            | Self::Revoke(_)
            | Self::Forget
            | Self::Set(_) => (Right::Operator, false),
            Self::Ask(_) | Self::Withdraw(..) | Self::Report(_) | Self::Fetch(_) | Self::Ack(_) => {
                (Right::Agent, true)
            }
            Self::Deliver => (Right::Agent, false),
            // Who may send is a rule of its own.
            Self::Tell(..) | Self::Run(_) | Self::Missed(_) | Self::Tick => (Right::Hub, false),
        };
        Needs { of, locally }
    }
}

/// What only the daemon's own runner says.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, on its way into a box of its own")]
pub enum Run {
    /// Start the next waiting prompt.
    Claim,
    /// Facts of the running turn: updates, notes, terminals, files, memos.
    Report {
        /// The turn.
        turn: TurnId,
        /// The attempt that runs it.
        attempt: u32,
        /// What happened.
        facts: Vec<Fact>,
    },
    /// Facts of the agent outside any turn: its process, its gauges, its memory.
    Agent(Vec<Fact>),
    /// The running turn asks a person.
    Ask {
        /// The turn.
        turn: TurnId,
        /// The attempt that runs it.
        attempt: u32,
        /// What it asks.
        asked: Opened,
        /// What is known beside it.
        beside: Beside,
    },
    /// Grants of the project have changed: what they cover now need not be asked any more.
    Release(Vec<Grant>),
    /// The turn is over.
    End {
        /// The turn.
        turn: TurnId,
        /// The attempt that ran it.
        attempt: u32,
        /// How it went.
        outcome: turn::Outcome,
        /// Whether a checkpoint of it is to be kept.
        checkpoint: bool,
    },
    /// A checkpoint of this turn, and of those before it, is kept.
    Checkpointed(TurnId, TurnCheckpointed),
    /// This node lives anew: whatever an earlier life of it ran is over.
    Recover {
        /// Whether a checkpoint of a turn that is ended so is to be kept.
        checkpoint: bool,
    },
}

/// What the runner knows beside what is asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Beside {
    /// What the agent said last.
    pub said: Option<String>,
    /// The grants of the session's project: advice from another log.
    pub standing: Vec<Grant>,
}

/// Something a session owes to the outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// This turn should be running on its node, or, once it is stopping, should come to its end.
    Turn(turn::Running),
    /// The first waiting prompt should be claimed by somebody.
    Claim(TurnId),
    /// The agent's process should be gone.
    EndAgent(u64),
    /// The agent, which runs, should be set to this.
    Set(Pending),
    /// A checkpoint of this turn, which has ended, should be kept in a handoff.
    Checkpoint(TurnId),
    /// The log should be gone.
    Remove,
    /// The import should be ended: whoever made it is gone.
    EndImport,
}
