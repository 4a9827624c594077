//! Where a caller comes from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::TokenId;

/// How many characters are kept of what a client calls itself.
pub const MAX_CLIENT: usize = 160;

/// Where a caller came from, as far as the daemon could see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AuditSource")]
pub struct Source {
    /// How it was connected.
    pub transport: Transport,
    /// The other end: an address with its port, or the user and process at a Unix socket, such as `uid 1000, pid 4711`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Whether a proxy or a tunnel passed it on, so that `peer` is that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forwarded: bool,
    /// The token that was shown, where it has a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenId>,
    /// What the client calls itself. It proves nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
}

/// How a caller is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "AuditTransport")]
pub enum Transport {
    /// TCP.
    Tcp,
    /// A Unix socket.
    Unix,
}
