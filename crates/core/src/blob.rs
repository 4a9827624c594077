//! Large payloads, kept beside the log that names them, so that reading the log stays cheap.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Updates with more bytes than this are kept beside the log.
pub const LIMIT: usize = 256 << 10;
/// How much of a large text stays in the log.
pub const SHOWN: usize = 4 << 10;
/// How many bytes of text one piece has at most.
pub const CHUNK: usize = 4 << 20;

/// A piece of something large: the pieces of a log in their order are the whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "BlobChunk")]
pub struct Chunk {
    /// The text.
    pub text: String,
    /// Whether it is the last piece.
    pub last: bool,
}
