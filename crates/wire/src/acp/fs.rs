//! The agent reads and writes files through the client.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Params of `fs/read_text_file`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ReadTextFileRequest {
    /// The agent's id for the session.
    pub session_id: String,
    /// The file, absolute.
    pub path: PathBuf,
    /// The first line to read, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// How many lines to read at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Result of `fs/read_text_file`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
pub struct ReadTextFileResponse {
    /// The text.
    pub content: String,
}

/// Params of `fs/write_text_file`. The result is [`Empty`](super::Empty).
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct WriteTextFileRequest {
    /// The agent's id for the session.
    pub session_id: String,
    /// The file, absolute; it is made if it is not there.
    pub path: PathBuf,
    /// All of its new text.
    pub content: String,
}
