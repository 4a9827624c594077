//! The agent runs commands through the client.

use super::EnvVariable;
use super::lenient::lenient;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Params of `terminal/create`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CreateTerminalRequest {
    /// The agent's id for the session.
    pub session_id: String,
    /// The program.
    pub command: String,
    /// Its arguments.
    #[serde(default, deserialize_with = "or_null", skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Environment to add.
    #[serde(default, deserialize_with = "or_null", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<EnvVariable>,
    /// Its working directory, absolute; the session's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<PathBuf>,
    /// How many bytes of output to keep; the earliest go first, cut at a character.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_byte_limit: Option<u64>,
}

/// Result of `terminal/create`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CreateTerminalResponse {
    /// The client's id for the terminal.
    pub terminal_id: String,
}

/// Params of `terminal/output`, `terminal/wait_for_exit`, `terminal/kill` and `terminal/release`. The results are
/// [`TerminalOutputResponse`], [`TerminalExitStatus`] and, of the last two, [`Empty`](super::Empty).
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct TerminalRequest {
    /// The agent's id for the session.
    pub session_id: String,
    /// The client's id for the terminal.
    pub terminal_id: String,
}

/// Result of `terminal/output`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct TerminalOutputResponse {
    /// What was printed and kept.
    pub output: String,
    /// Whether some of it was not kept.
    pub truncated: bool,
    /// How the command ended, if it has.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub exit_status: Option<TerminalExitStatus>,
}

/// How a command ended; result of `terminal/wait_for_exit`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct TerminalExitStatus {
    /// Its exit code; absent if a signal ended it.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u32>,
    /// The signal that ended it.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
}

/// A list that may be null but not malformed: a command must not run with half of its arguments.
fn or_null<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_read_whole_or_not_at_all() {
        let read = |json: &str| serde_json::from_str::<CreateTerminalRequest>(json);
        let bare = read(r#"{"sessionId":"s","command":"ls","args":null,"env":null,"cwd":null}"#).unwrap();
        assert_eq!(bare, read(r#"{"sessionId":"s","command":"ls"}"#).unwrap());
        assert!(read(r#"{"sessionId":"s","command":"rm","args":["-i",1]}"#).is_err());
    }
}
