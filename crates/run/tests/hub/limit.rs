//! A limit on the turns that run at a time.

use std::collections::HashMap;
use std::sync::Arc;

use trunkline_core::id::{Node, Seq, SessionId};
use trunkline_core::session::Command;
use trunkline_core::time::Time;
use trunkline_core::turn::{WhenBusy, Why};
use trunkline_run::clock::Clock;
use trunkline_run::driver::Driver;
use trunkline_run::hub::{Hub, Options};
use trunkline_run::limit::limited;

use crate::script::Script;
use crate::world::{Reader, memory, owner, prompt, session, tags};

async fn hub(turns: usize) -> Hub {
    let drivers = HashMap::from([("script".to_owned(), Arc::new(Script) as Arc<dyn Driver>)]);
    let (node, clock) = (Node { name: "here".into(), incarnation: 1 }, Clock::at(Time(1_000_000)));
    let drivers = limited(drivers, turns);
    Hub::start(Options {
        disk: memory(),
        live: memory(),
        clock,
        node,
        drivers,
        checkpoints: false,
        profiles: trunkline_run::profiles::Profiles::default(),
        mcp: trunkline_run::mcp::Mcp::default(),
    })
    .await
    .unwrap()
}

/// A session whose turn hangs until it is cancelled.
async fn hanging(hub: &Hub) -> (SessionId, Reader) {
    let id = session(hub).await;
    let reader = Reader::attach(hub, id, Seq::ZERO).await;
    hub.command(&owner(), id, prompt("say here hang", WhenBusy::Reject), None).await.unwrap();
    (id, reader)
}

async fn cancel(hub: &Hub, id: SessionId) {
    let stop = Command::Stop { turn: None, why: Why::Cancelled, grace_ms: 1_000 };
    hub.command(&owner(), id, stop, None).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_turn_beyond_the_limit_waits_and_then_runs() {
    let hub = hub(2).await;
    let (first, mut reader) = hanging(&hub).await;
    reader.until("turn.update").await;
    let (_, mut reader) = hanging(&hub).await;
    reader.until("turn.update").await;
    let (_, mut third) = hanging(&hub).await;
    assert!(!tags(&third.until("turn.note").await).contains(&"agent.started"), "nothing is started for it");
    cancel(&hub, first).await;
    third.until("turn.update").await;
    hub.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_waits_can_be_cancelled_and_takes_no_place() {
    let hub = hub(1).await;
    let (first, mut reader) = hanging(&hub).await;
    reader.until("turn.update").await;
    let (second, mut waiting) = hanging(&hub).await;
    waiting.until("turn.note").await;
    cancel(&hub, second).await;
    waiting.until("turn.ended").await;
    let (_, mut third) = hanging(&hub).await;
    third.until("turn.note").await;
    cancel(&hub, first).await;
    third.until("turn.update").await;
    hub.shutdown().await;
}
