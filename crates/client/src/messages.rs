//! Messages to agents, as the API shows them.

use hyper::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use trunkline_core::id::{MessageId, SessionId, TurnId};
use trunkline_core::tell::State;

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;

/// What came of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentMessage {
    /// The message.
    pub id: MessageId,
    /// The session of the agent that it is for.
    pub to: SessionId,
    /// Where it stands.
    pub state: State,
    /// The turn that asks it, or will.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<TurnId>,
}

impl Client {
    /// Writes to an agent: by its session's id, the beginning or the end of it, its title, or the agent's name. One that the
    /// daemon runs is woken, or asked after its turn.
    ///
    /// # Errors
    /// A problem `held_back` when a guard against agents that wake each other bites; `not_found` and `ambiguous` name those
    /// who may be meant.
    pub async fn tell(&self, to: &str, text: &str) -> Result<SentMessage, Error> {
        self.json(&Call::command(Method::POST, "/v1/messages", &json!({ "to": to, "text": text }))).await
    }

    /// Where a message stands.
    pub async fn message(&self, to: SessionId, id: MessageId) -> Result<SentMessage, Error> {
        self.get(format!("/v1/sessions/{to}/messages/{id}")).await
    }
}
