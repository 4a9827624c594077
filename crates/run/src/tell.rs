//! Messages for agents: with what is known of their sender, and what came of them.

use schemars::JsonSchema;
use serde::Serialize;
use trunkline_core::event::Fact;
use trunkline_core::id::{MessageId, Pos, RequestId, SessionId, TurnId};
use trunkline_core::principal::{Caller, Scope};
use trunkline_core::refused::Refused;
use trunkline_core::session::Command;
use trunkline_core::tell::{Guards, Sender, State, Told};
use uuid::Uuid;

use crate::cell::CommandError;
use crate::hub::Hub;

/// A message that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The session of the agent that it is for.
    pub to: SessionId,
    /// The session of the agent that writes. An agent's own counts, whatever is said here.
    pub from: Option<SessionId>,
    /// What it says.
    pub text: String,
    /// How long the turn may run that it wakes.
    pub timeout_ms: Option<u64>,
}

/// What came of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "SentMessage")]
pub struct Sent {
    /// The message.
    pub id: MessageId,
    /// The session of the agent that it is for.
    pub to: SessionId,
    /// Where it stands.
    pub state: State,
    /// The turn that asks it, or will.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn: Option<TurnId>,
}

impl Hub {
    /// Sends a message to an agent. One that runs here is woken, or asked after its turn.
    ///
    /// # Errors
    /// `Held` when a guard holds it back; when it is refused or not kept.
    pub async fn tell(
        &self,
        caller: &Caller,
        letter: Letter,
        guards: &Guards,
        key: Option<(String, String)>,
    ) -> Result<(Sent, Pos), CommandError> {
        let Letter { to, from, text, timeout_ms } = letter;
        let session = match caller.scope {
            Scope::Agent(own) => Some(own),
            Scope::Viewer | Scope::Operator | Scope::Admin | Scope::Local => from,
        };
        let sender = match session {
            Some(from) => self.sender(from).await?,
            None => Sender { name: caller.principal.to_string(), session: None, hops: 0 },
        };
        let id = Uuid::now_v7();
        let (id, ask) = (MessageId::new(id), RequestId::new(id));
        let told = Told { id, ask, sender, text, timeout_ms };
        let done = self.command(caller, to, Command::Tell(told, *guards), key).await?;
        let mut sent = Sent { id, to, state: State::Waiting, turn: None };
        for event in &done.events {
            match &event.fact {
                // A retry gets the message that the first try has sent.
                Fact::MessageQueued(queued) => sent.id = queued.id,
                Fact::MessageWoke(_) => sent.turn = event.turn,
                Fact::MessageDelivered(_) => sent.state = State::Delivered,
                Fact::RequestOpened(_) => sent.state = State::Asking,
                Fact::MessageHeld(held) => {
                    return Err(Refused::held(held.guard, held.until, self.now(), held.reason.clone()).into());
                }
                _ => {}
            }
        }
        Ok((sent, done.pos))
    }

    async fn sender(&self, from: SessionId) -> Result<Sender, CommandError> {
        let now = self.now();
        let known = move |session: &trunkline_core::session::Session| {
            let name = session.created.as_ref().map(|(created, ..)| created.agent.clone());
            Sender {
                name: name.unwrap_or_default(),
                session: Some(from),
                hops: session.hops(now).saturating_add(1),
            }
        };
        Ok(self.look(from, known).await?.0)
    }
}
