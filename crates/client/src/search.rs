//! What was said in sessions, found by its words.

use serde::{Deserialize, Serialize};
use trunkline_core::id::{Seq, SessionId};
use trunkline_core::passage::Said;
use trunkline_core::time::Time;

use crate::call::Params;
use crate::client::Client;
use crate::error::Error;
use crate::types::Cursor;

/// Passages that were found, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundPassages {
    /// The passages.
    pub items: Vec<FoundPassage>,
    /// Where the next page begins, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Cursor>,
}

/// A passage of a session's transcript.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundPassage {
    /// Its session.
    pub session: SessionId,
    /// What people call the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The agent of the session.
    pub agent: String,
    /// The event with which the passage begins.
    pub seq: Seq,
    /// When that was.
    pub at: Time,
    /// What it is.
    pub said: Said,
    /// The words around what was found.
    pub excerpt: Vec<ExcerptPiece>,
}

/// A piece of an excerpt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExcerptPiece {
    /// Its text.
    pub text: String,
    /// Whether it is what was looked for.
    pub found: bool,
}

impl Client {
    /// Finds passages that have all the words, the newest first, in one session or in all.
    pub async fn search(
        &self,
        words: &str,
        session: Option<SessionId>,
        limit: usize,
        cursor: Option<&Cursor>,
    ) -> Result<FoundPassages, Error> {
        let session = session.map(|session| session.to_string());
        let params = Params::default()
            .add("q", words)
            .maybe("session", session.as_deref())
            .add("limit", &limit.to_string())
            .maybe("cursor", cursor.map(Cursor::as_str));
        self.get(params.of("/v1/search")).await
    }
}
