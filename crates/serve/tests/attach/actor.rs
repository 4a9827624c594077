//! An agent that does what its prompt says, a word for each thing: `say:TEXT`, `tool:COMMAND`, `wait` until it is stopped.

use async_trait::async_trait;
use serde_json::json;
use trunkline_core::raw::Raw;
use trunkline_core::turn::{Outcome, StopReason};
use trunkline_run::driver::{Driver, Host, SessionPort};
use trunkline_run::turn::Turn;

pub(crate) struct Actor;

impl Driver for Actor {
    fn host(&self, _: SessionPort) -> Box<dyn Host> {
        Box::new(Self)
    }
}

#[async_trait]
impl Host for Actor {
    async fn turn(&mut self, turn: &Turn) -> Outcome {
        let block: serde_json::Value = turn.prompt()[0].read().unwrap();
        for (n, word) in block["text"].as_str().unwrap().split(' ').enumerate() {
            let update = match word.split_once(':') {
                Some(("say", text)) => {
                    json!({ "sessionUpdate": "agent_message_chunk", "content": { "type": "text", "text": text } })
                }
                Some(("tool", command)) => json!({
                    "sessionUpdate": "tool_call", "toolCallId": n.to_string(), "title": command, "name": "Bash",
                    "rawInput": { "command": command }, "status": "completed",
                }),
                _ => {
                    turn.stopping().await;
                    return Outcome::of(StopReason::Cancelled);
                }
            };
            turn.update(Raw::of(&update).unwrap()).await;
        }
        Outcome::of(StopReason::EndTurn)
    }

    async fn end(&mut self) {}
}
