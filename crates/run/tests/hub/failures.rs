//! What is owed is done in the end, however often the store fails meanwhile.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use trunkline_core::event::Fact;
use trunkline_core::id::{LogId, Seq};
use trunkline_core::session::Command;
use trunkline_core::turn::{StopReason, WhenBusy, Why};
use trunkline_log::frame::Want;
use trunkline_log::{Log, LogError};

use crate::world::{Mortal, Reader, hub, log, memory, owner, prompt, session, tags};

fn stop(why: Why) -> Command {
    Command::Stop { turn: None, why, grace_ms: 1_000 }
}

#[tokio::test(start_paused = true)]
async fn a_recovery_that_failed_is_tried_again() {
    let disk = memory();
    let first = Mortal::over(Arc::clone(&disk));
    let before = hub(first.clone(), "here", 1).await;
    let id = session(&before).await;
    before.command(&owner(), id, prompt("hang", WhenBusy::Reject), None).await.unwrap();
    first.dead.store(true, Ordering::SeqCst);
    let store = Mortal::over(Arc::clone(&disk));
    store.fail("turn.ended", 5);
    let hub = hub(store.clone(), "here", 2).await;
    let mut reader = Reader::attach(&hub, id, Seq::ZERO).await;
    let events = reader.until("turn.ended").await;
    let Fact::TurnEnded(ended) = &events.last().unwrap().fact else { panic!() };
    assert_eq!(ended.stop_reason, StopReason::Interrupted);
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_failed_is_tried_again() {
    let store = Mortal::over(memory());
    let hub = hub(store.clone(), "here", 1).await;
    let id = session(&hub).await;
    hub.command(&owner(), id, prompt("hang", WhenBusy::Reject), None).await.unwrap();
    hub.command(&owner(), id, prompt("say next", WhenBusy::Queue), None).await.unwrap();
    store.fail("turn.claimed", 5);
    // A turn that ends for a shutdown starts none, so that the prompt that waits has to be claimed.
    hub.command(&owner(), id, stop(Why::Shutdown), None).await.unwrap();
    let mut reader = Reader::attach(&hub, id, Seq::ZERO).await;
    reader.until("turn.ended").await;
    let events = reader.until("turn.ended").await;
    assert!(tags(&events).contains(&"turn.update"), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_failed_is_tried_again() {
    let store = Mortal::over(memory());
    let hub = hub(store.clone(), "here", 1).await;
    let id = session(&hub).await;
    store.failing_trims.store(5, Ordering::SeqCst);
    hub.command(&owner(), id, Command::Delete, None).await.unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    let want = Want { bytes: 1, folded: false };
    let left = store.read(&LogId::session(id), Seq::ZERO, want).await;
    assert!(matches!(left, Err(LogError::Gone)), "{left:?}");
    assert_eq!(hub.loaded(), 0, "and the session leaves the memory");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_an_agent_that_was_not_kept_is_written_later() {
    let store = Mortal::over(memory());
    let hub = hub(store.clone(), "here", 1).await;
    let id = session(&hub).await;
    let mut reader = Reader::attach(&hub, id, Seq::ZERO).await;
    hub.command(&owner(), id, prompt("say x", WhenBusy::Reject), None).await.unwrap();
    reader.until("turn.ended").await;
    store.fail("agent.exited", 5);
    hub.command(&owner(), id, Command::Close, None).await.unwrap();
    reader.until("agent.exited").await;
    drop(reader);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(hub.loaded(), 0, "nothing is owed any more");
}

#[tokio::test(start_paused = true)]
async fn what_is_found_out_by_a_lost_race_is_acted_upon() {
    let disk = memory();
    let store = Mortal::over(Arc::clone(&disk));
    store.deaf.store(true, Ordering::SeqCst);
    let (here, elsewhere) = (hub(store, "here", 1).await, hub(Arc::clone(&disk), "elsewhere", 1).await);
    let id = session(&here).await;
    here.command(&owner(), id, prompt("hang", WhenBusy::Reject), None).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    elsewhere.command(&owner(), id, stop(Why::Cancelled), None).await.unwrap();
    let again = here.command(&owner(), id, stop(Why::Cancelled), None).await.unwrap();
    assert!(again.events.is_empty(), "it was stopping already: {again:?}");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(log(&*disk, id).await.last().unwrap().fact.tag(), "turn.ended");
}

#[tokio::test(start_paused = true)]
async fn the_tail_of_a_store_is_read_on_where_it_broke() {
    let disk = memory();
    let store = Mortal::over(Arc::clone(&disk));
    store.breaking_tails.store(3, Ordering::SeqCst);
    let (here, elsewhere) = (hub(store, "here", 1).await, hub(Arc::clone(&disk), "elsewhere", 1).await);
    for _ in 0..3 {
        let id = session(&here).await;
        here.command(&owner(), id, prompt("hang", WhenBusy::Reject), None).await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        elsewhere.command(&owner(), id, stop(Why::Cancelled), None).await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(log(&*disk, id).await.last().unwrap().fact.tag(), "turn.ended");
    }
}
