//! An agent that works until it is stopped. Asked for something large it says that first.

use async_trait::async_trait;
use serde_json::json;
use trunkline_core::raw::Raw;
use trunkline_core::turn::{Outcome, StopReason};
use trunkline_run::driver::{Driver, Host, SessionPort};
use trunkline_run::turn::Turn;

pub(crate) struct Quiet;

impl Driver for Quiet {
    fn host(&self, _: SessionPort) -> Box<dyn Host> {
        Box::new(Self)
    }
}

#[async_trait]
impl Host for Quiet {
    async fn turn(&mut self, turn: &Turn) -> Outcome {
        if turn.prompt()[0].get().contains("large") {
            let call =
                json!({"sessionUpdate": "tool_call", "toolCallId": "1", "title": "x".repeat(300 << 10)});
            turn.update(Raw::of(&call).unwrap()).await;
        }
        turn.stopping().await;
        Outcome::of(StopReason::Cancelled)
    }

    async fn end(&mut self) {}
}
