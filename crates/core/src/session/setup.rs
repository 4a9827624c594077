//! What whoever makes a session decides for an agent of our own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::refused::Refused;
use crate::text::check_size;

/// How many bytes the words that stand over a conversation may have.
pub const MAX_SYSTEM_PROMPT: usize = 256 << 10;

/// What the maker of a session has decided for an agent of our own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SessionSetup")]
pub struct Setup {
    /// What stands over the conversation, in place of our own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_prompt: Option<String>,
    /// For how long a permission is asked before it counts as refused, in milliseconds; for ever if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask_ms: Option<u64>,
}

impl Setup {
    pub(super) fn check(&self) -> Result<(), Refused> {
        check_size("system_prompt", self.system_prompt.as_ref().map_or(0, String::len), MAX_SYSTEM_PROMPT)
    }
}
