//! What can go wrong.

use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use trunkline_core::id::TurnId;
use trunkline_core::request::Closed;

/// Why a call gave no answer, or not the one that was hoped for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The daemon refused, and says why.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// Nobody listens there. The request was not sent.
    #[error("no daemon answers at {base_url}")]
    Unreachable {
        /// Where.
        base_url: String,
        /// What the system says.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The connection broke after the request was sent: whether it was carried out is not known.
    #[error("the connection to {base_url} broke before the answer was complete")]
    Broken {
        /// With whom.
        base_url: String,
        /// How.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// No answer came in time: whether the request was carried out is not known.
    #[error("{base_url} did not answer within {} s", after.as_secs())]
    TimedOut {
        /// Who.
        base_url: String,
        /// How long was waited.
        after: Duration,
    },
    /// What answers is no Trunkline daemon, or one that speaks another version.
    #[error("the answer to {request} is not understood: {why}")]
    Unexpected {
        /// Method and path.
        request: String,
        /// What is odd about it.
        why: String,
    },
    /// The home directory names no running daemon: there is no `runtime.json` in it.
    #[error("no daemon runs in {}", home.display())]
    NotRunning {
        /// The home directory.
        home: PathBuf,
    },
    /// A file of the home directory cannot be used.
    #[error("cannot use {}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The address or the token cannot be put into a request.
    #[error("{0}")]
    BadAddress(String),
}

impl Error {
    /// The daemon's problem, if it is one.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            _ => None,
        }
    }

    /// Whether it may work when it is tried again later: the daemon is away, stopping or overloaded.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Problem(problem) => matches!(problem.status, 429 | 500..),
            Self::Unreachable { .. } | Self::Broken { .. } | Self::TimedOut { .. } => true,
            Self::NotRunning { .. } => true,
            Self::Unexpected { .. } | Self::File { .. } | Self::BadAddress(_) => false,
        }
    }

    /// Whether no daemon could be reached at all.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::NotRunning { .. })
    }
}

/// A refusal, as RFC 9457 problem details with a stable code.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The stable code: `not_found`, `turn_running`, `request_closed` …
    pub code: String,
    /// The status in words.
    #[serde(default)]
    pub title: String,
    /// What happened and what to do, for a person.
    #[serde(default)]
    pub detail: String,
    /// The field that is wrong.
    #[serde(default)]
    pub field: Option<String>,
    /// The turn that runs, where that is the reason.
    #[serde(default)]
    pub turn: Option<TurnId>,
    /// The outcome that was there first, where that is the reason.
    #[serde(default)]
    pub closed: Option<Closed>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.detail.as_str(), self.title.as_str()) {
            ("", "") => write!(f, "the daemon refused: {} ({})", self.code, self.status),
            ("", title) => f.write_str(title),
            (detail, _) => f.write_str(detail),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(json: &str) -> Error {
        Error::Problem(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_problem_says_its_detail_and_keeps_what_programs_need() {
        let error = problem(
            r#"{"type":"about:blank","title":"Conflict","status":409,"code":"turn_running",
                "detail":"turn 7 is running","turn":7,"later":{}}"#,
        );
        assert_eq!(error.to_string(), "turn 7 is running");
        let problem = error.problem().unwrap();
        assert_eq!(
            (problem.code.as_str(), problem.turn.unwrap().to_string().as_str()),
            ("turn_running", "7")
        );
    }

    #[test]
    fn what_may_pass_is_told_from_what_will_not() {
        for (status, passing) in
            [(400, false), (401, false), (404, false), (409, false), (429, true), (503, true)]
        {
            let error = problem(&format!(r#"{{"status":{status},"code":"x"}}"#));
            assert_eq!(error.is_passing(), passing, "{status}");
        }
        assert!(Error::NotRunning { home: "/h".into() }.is_passing());
        assert!(!Error::BadAddress("no".into()).is_passing());
    }
}
