//! Why a command was not granted.

use crate::id::{Seq, SessionId, TurnId};
use crate::request::Closed;
use crate::tell::Guard;
use crate::time::Time;

/// A command that was not granted. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such thing.
    #[error("there is no {what} {id}")]
    NotFound {
        /// What was looked for: `session`, `turn`, `request` …
        what: &'static str,
        /// The id that was given.
        id: String,
    },
    /// It existed and was deleted.
    #[error("session {id} was deleted")]
    Deleted {
        /// The session.
        id: SessionId,
    },
    /// The session is closed; its log can be read, but it takes no more work.
    #[error("the session is closed")]
    SessionClosed,
    /// It is there already.
    #[error("{what} {id} exists already")]
    Exists {
        /// What.
        what: &'static str,
        /// Which.
        id: String,
    },
    /// A turn is running.
    #[error("turn {turn} is running; wait for its end, cancel it, or queue this prompt")]
    Busy {
        /// The running turn.
        turn: TurnId,
    },
    /// Nothing is running.
    #[error("no turn is running")]
    NotRunning,
    /// The session is not run by the daemon, so it cannot be prompted.
    #[error("this session's agent runs elsewhere: it can be answered and sent messages, but not prompted")]
    External,
    /// The request has its outcome already.
    #[error("the request was already {} by {} at {}", closed.outcome.verb(), closed.by, closed.at)]
    RequestClosed {
        /// The outcome, who gave it, and when.
        closed: Box<Closed>,
    },
    /// A field has a value it must not have.
    #[error("{field} {reason}")]
    Invalid {
        /// The field, as a path such as `prompt[0].text`.
        field: String,
        /// What is wrong, to be read after the field's name.
        reason: String,
    },
    /// It is of high risk, and nothing says that this is meant.
    #[error(
        "this is of high risk ({reason}): look at it again, and answer with `confirm: true` if you mean it"
    )]
    Unconfirmed {
        /// Why the risk is high.
        reason: String,
    },
    /// The caller may not do this.
    #[error("{why}")]
    Forbidden {
        /// Why not.
        why: String,
    },
    /// The idempotency key came before with another body.
    #[error("the idempotency key was used before with another request")]
    KeyReused,
    /// The result of an attempt that is no longer the current one.
    #[error("turn {turn} is no longer run by this attempt")]
    Stale {
        /// The turn the result was for.
        turn: TurnId,
    },
    /// An operator action of which there is never more than one run at a time is under way.
    #[error("{action} is running already (run {run}); wait for its end")]
    Underway {
        /// The action.
        action: String,
        /// The run.
        run: Seq,
    },
    /// A guard against agents that wake each other for ever holds a message back.
    #[error("the guard `{guard}` holds this message back{}: {reason}", span(*for_ms))]
    Held {
        /// Which.
        guard: Guard,
        /// Until when; `None`: as long as it is what it is.
        until: Option<Time>,
        /// How long that is from now.
        for_ms: Option<u64>,
        /// Why.
        reason: String,
    },
    /// A key is not as whoever writes it believes it to be.
    #[error("{key} is {}; read it again", revision.map_or("not there".to_owned(), |n| format!("at revision {n}")))]
    Changed {
        /// The key.
        key: String,
        /// Its revision, if it is there.
        revision: Option<u64>,
    },
    /// A bound is reached.
    #[error("there are already {limit} {what}, which is the limit")]
    TooMany {
        /// What.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
}

impl Refused {
    /// A field with a value it must not have.
    pub fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), reason: reason.into() }
    }

    /// There is no such thing.
    pub fn not_found(what: &'static str, id: impl std::fmt::Display) -> Self {
        Self::NotFound { what, id: format!("{id}") }
    }

    /// A message that a guard holds back.
    #[must_use]
    pub fn held(guard: Guard, until: Option<Time>, now: Time, reason: String) -> Self {
        Self::Held { guard, until, for_ms: until.map(|until| until.ms_since(now)), reason }
    }

    /// A stable code for programs; the text is for people and may change.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not_found",
            Self::Deleted { .. } => "deleted",
            Self::SessionClosed => "session_closed",
            Self::Exists { .. } => "exists",
            Self::Busy { .. } => "turn_running",
            Self::NotRunning => "no_turn_running",
            Self::External => "session_external",
            Self::RequestClosed { .. } => "request_closed",
            Self::Invalid { .. } => "invalid",
            Self::Unconfirmed { .. } => "confirmation_required",
            Self::Forbidden { .. } => "forbidden",
            Self::KeyReused => "idempotency_key_reused",
            Self::Stale { .. } => "stale_attempt",
            Self::Underway { .. } => "action_running",
            Self::Held { .. } => "held_back",
            Self::Changed { .. } => "changed",
            Self::TooMany { .. } => "too_many",
        }
    }
}

fn span(for_ms: Option<u64>) -> String {
    for_ms.map(|ms| format!(" for another {} s", ms.div_ceil(1_000))).unwrap_or_default()
}
