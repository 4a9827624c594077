//! What a kind of log is: rules that turn wishes into facts, and facts into state.

use crate::audit::Deed;
use crate::event::{Event, Fact};
use crate::id::{LogId, Node, Seq, TurnId};
use crate::principal::{Caller, Principal};
use crate::refused::Refused;
use crate::row::Row;
use crate::time::Time;

/// The state of one kind of log, and its rules. All of it is pure.
pub trait Machine: Default + Send + Sync + 'static {
    /// A wish.
    type Command: Send + Sync + 'static;
    /// Something owed to the outside.
    type Effect: Send + Sync + Clone + PartialEq + 'static;

    /// Grants a wish as facts, or refuses it. An empty grant means that it is true already.
    ///
    /// # Errors
    /// `Refused` says why; nothing has changed then.
    fn decide(&self, command: &Self::Command, ctx: &Context<'_>) -> Result<Vec<Draft>, Refused>;

    /// Folds one event into the state. Never fails: an unknown fact changes nothing.
    fn apply(&mut self, event: &Event);

    /// The effects owed now, and when that answer may next change by itself.
    fn wanted(&self) -> Wanted<Self::Effect>;

    /// Folds new events into the state and gives the rows that follow from them.
    fn advance(&mut self, events: &[Event]) -> Vec<Row> {
        events.iter().for_each(|event| self.apply(event));
        Vec::new()
    }

    /// Whether an event moves the fold. Frames of events that do not are passed over when the state is loaded.
    fn moves(event: &Event) -> bool {
        let _ = event;
        true
    }

    /// What an event is to the audit, if it is anything. `before` are the events that were decided along with it and stand
    /// before it; none of them is folded yet.
    fn deed(&self, event: &Event, before: &[Event]) -> Option<Deed> {
        let _ = (event, before);
        None
    }

    /// Whether the newest event alone gives the state, so that no other is read when it is loaded.
    fn newest_is_all() -> bool {
        false
    }

    /// Whether the log is to be removed, rows and all.
    fn is_removed(&self) -> bool {
        false
    }

    /// What an earlier command with this key caused, if the key is still remembered here.
    fn receipt(&self, caller: &Caller, key: &str) -> Option<Receipt> {
        let _ = (caller, key);
        None
    }

    /// Facts that alone give the state again, for logs that are kept short: they are appended, and what was before them
    /// is trimmed. `grown` is what came since that was last done. `None` leaves the log as it is, and is the answer of logs
    /// that keep their history; no facts at all leave nothing of it.
    fn compaction(&self, grown: Grown) -> Option<Vec<Draft>> {
        let _ = grown;
        None
    }

    /// Whether the state stays in memory while nobody uses it, because time still changes it.
    fn stays(&self) -> bool {
        false
    }

    /// How long a state that nobody uses stays in memory, in milliseconds.
    fn linger_ms() -> u64 {
        20_000
    }

    /// The command by which time acts on the state; `None` where time changes nothing.
    fn tick() -> Option<Self::Command> {
        None
    }
}

/// A machine of which only the latest state counts: it lives in memory, and is copied to the disk behind what happens.
pub trait Latest: Machine {
    /// Whether a log is of this kind.
    fn owns(log: &LogId) -> bool;

    /// Facts that give this state on top of any other of its kind: the first of them empties it, and stands nowhere else.
    fn snapshot(&self) -> Vec<Draft>;
}

/// What surrounds a decision.
#[derive(Debug)]
pub struct Context<'a> {
    /// The time.
    pub now: Time,
    /// Who asks.
    pub caller: &'a Caller,
    /// The node that decides.
    pub node: &'a Node,
    /// The number that the first fact of this decision will get.
    pub next: Seq,
}

/// A fact that is about to be appended.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The turn it belongs to.
    pub turn: Option<TurnId>,
    /// What happened.
    pub fact: Fact,
    /// Who caused it when, if that was not the caller now: facts that are imported keep both.
    pub origin: Option<(Principal, Time)>,
}

impl Draft {
    /// A fact that may belong to a turn.
    pub fn maybe_of(turn: Option<TurnId>, fact: impl Into<Fact>) -> Self {
        Self { turn, fact: fact.into(), origin: None }
    }

    /// A fact of a turn.
    pub fn of(turn: TurnId, fact: impl Into<Fact>) -> Self {
        Self::maybe_of(Some(turn), fact)
    }
}

impl<F: Into<Fact>> From<F> for Draft {
    fn from(fact: F) -> Self {
        Self::maybe_of(None, fact)
    }
}

/// What is owed to the outside.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted<E> {
    /// The effects that should be running.
    pub effects: Vec<E>,
    /// When time alone may change the state.
    pub next: Option<Time>,
}

impl<E> Wanted<E> {
    /// Nothing is owed.
    #[must_use]
    pub const fn nothing() -> Self {
        Self { effects: Vec::new(), next: None }
    }
}

/// By how much a log has grown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Grown {
    /// By so many events.
    pub events: u64,
    /// By so many bytes of their lines.
    pub bytes: usize,
}

/// Where the outcome of a command with an idempotency key stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Digest of the body that came with the key.
    pub digest: String,
    /// The first event it caused.
    pub first: Seq,
    /// The last event it caused.
    pub last: Seq,
}
