//! Exit codes: few, stable, and told by `--help`.

use std::process::ExitCode;

use trunkline_core::turn::StopReason;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// It is done.
    Ok = 0,
    /// It failed, and no other code says how.
    Failure = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// There is no such session, request, turn or token.
    NotFound = 3,
    /// It cannot be done as things stand: a turn runs, a request is answered, a session is closed.
    Conflict = 4,
    /// No daemon answers.
    Unreachable = 5,
    /// The token does not allow it.
    Denied = 6,
    /// The turn was cancelled.
    Cancelled = 10,
    /// The turn's time ran out.
    TimedOut = 11,
    /// The turn hit a limit of tokens or model requests.
    Limit = 12,
    /// The agent refused to go on.
    Refusal = 13,
    /// The daemon stopped or died while the turn ran.
    Interrupted = 14,
    /// The turn failed.
    TurnFailed = 15,
    /// Ctrl-C.
    Interrupt = 130,
}

/// The table that `--help` shows.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done                     4  not possible now (busy, answered, closed)
  1  failed                   5  no daemon answers
  2  wrong usage or config    6  not allowed
  3  not found              130  interrupted
  When a command waits for a turn, also how it ended:
 10  cancelled               13  refused by the agent
 11  timed out               14  interrupted with the daemon
 12  token or request limit  15  failed";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<StopReason> for Exit {
    fn from(reason: StopReason) -> Self {
        match reason {
            StopReason::EndTurn => Self::Ok,
            StopReason::MaxTokens | StopReason::MaxTurnRequests => Self::Limit,
            StopReason::Refusal => Self::Refusal,
            StopReason::Cancelled => Self::Cancelled,
            StopReason::Timeout => Self::TimedOut,
            StopReason::Interrupted => Self::Interrupted,
            StopReason::Error => Self::TurnFailed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_and_the_guide_have_every_code() {
        let guide = include_str!("../../../docs/guide/run-an-agent.md");
        let plain = [Exit::Ok, Exit::Failure, Exit::Usage, Exit::NotFound, Exit::Conflict, Exit::Unreachable];
        let turns = [
            Exit::Cancelled,
            Exit::TimedOut,
            Exit::Limit,
            Exit::Refusal,
            Exit::Interrupted,
            Exit::TurnFailed,
        ];
        for exit in plain.into_iter().chain([Exit::Denied, Exit::Interrupt]) {
            assert!(guide.contains(&format!("\n| {} | ", exit as u8)), "{exit:?}");
            assert!(HELP.contains(&format!("{}  ", exit as u8)), "{exit:?}");
        }
        for exit in turns {
            assert!(guide.contains(&format!(" | {} |\n", exit as u8)), "{exit:?}");
            assert!(HELP.contains(&format!("{}  ", exit as u8)), "{exit:?}");
        }
    }
}
