//! Pools of workers that speak the Agent Client Protocol.

use trunkline_core::turn::StopReason;
use trunkline_run::pools::Settings;

use crate::stage::played::{end, error, notes, said};
use crate::stage::{Stage, kill};

/// A pool of this many; `kept` is where they keep sessions, `fixed` the id that each gives to every session.
fn workers(instances: usize, kept: &str, fixed: &str) -> Settings {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pools/acp_worker.py");
    Settings {
        command: "python3".to_owned(),
        args: [script, kept, fixed].map(str::to_owned).to_vec(),
        instances: Some(instances),
        acp: true,
        ..Settings::default()
    }
}

/// Which process spoke, and the words that it remembers of the session.
fn parts(said: &str) -> (String, String) {
    let (pid, words) = said.split_once(' ').unwrap();
    (pid.to_owned(), words.to_owned())
}

#[tokio::test]
async fn workers_are_greeted_once_and_sessions_are_opened_once() {
    let stage = Stage::new(workers(2, "-", "")).await;
    let mut talks = Vec::new();
    for _ in 0..4 {
        talks.push(stage.session().await);
    }
    let mut seen = Vec::new();
    for talk in &mut talks {
        let (pid, word) = parts(&stage.hears(talk, "hello").await);
        assert_eq!(word, "hello");
        assert_eq!(parts(&stage.hears(talk, "again").await), (pid.clone(), "again".to_owned()));
        seen.push(pid);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 2, "two processes share four sessions");
    assert_eq!(stage.pool().await.workers.iter().map(|worker| worker.sessions).sum::<usize>(), 4);
    stage.finish().await;
}

#[tokio::test]
async fn a_turn_is_cancelled_by_the_workers_own_id() {
    let stage = Stage::new(workers(1, "-", "")).await;
    let mut talk = stage.session().await;
    stage.prompt(&talk, "hang").await;
    talk.until("turn.update").await;
    stage.cancel(&talk).await;
    assert_eq!(end(&talk.until("turn.ended").await).stop_reason, StopReason::Cancelled);
    stage.finish().await;
}

#[tokio::test]
async fn a_session_is_loaded_by_another_worker_where_it_can_be() {
    let kept = tempfile::tempdir().unwrap();
    let stage = Stage::new(workers(1, kept.path().to_str().unwrap(), "")).await;
    let mut talk = stage.session().await;
    let (first, _) = parts(&stage.hears(&mut talk, "one").await);
    kill(&first);
    stage.pool_is(|pool| pool.workers[0].pid.is_some_and(|pid| pid.to_string() != first)).await;
    let (second, words) = parts(&stage.hears(&mut talk, "two").await);
    assert_eq!(words, "one two", "what is replayed is not said again");
    assert_ne!(second, first);
    stage.finish().await;
}

#[tokio::test]
async fn a_session_that_cannot_be_loaded_begins_anew_and_says_so() {
    let stage = Stage::new(workers(1, "-", "")).await;
    let mut talk = stage.session().await;
    let (first, _) = parts(&stage.hears(&mut talk, "one").await);
    kill(&first);
    stage.pool_is(|pool| pool.workers[0].pid.is_some_and(|pid| pid.to_string() != first)).await;
    let events = stage.turn(&mut talk, "two").await;
    assert_eq!(notes(&events), ["history_lost"]);
    assert_eq!(parts(&said(&events)).1, "two");
    stage.finish().await;
}

#[tokio::test]
async fn sessions_that_cannot_be_told_apart_are_refused() {
    let stage = Stage::new(workers(2, "-", "the-same")).await;
    let (mut a, mut b) = (stage.session().await, stage.session().await);
    stage.hears(&mut a, "hello").await;
    let events = stage.turn(&mut b, "hello").await;
    assert!(error(&events).contains("another of its workers has"), "{}", error(&events));
    stage.hears(&mut a, "hello").await;
    stage.finish().await;
}

#[tokio::test]
async fn a_program_that_refuses_the_greeting_is_no_worker() {
    let stage = Stage::new(workers(1, "-", "unwilling")).await;
    let mut talk = stage.session().await;
    stage.pool_is(|pool| pool.workers[0].restarts > 0).await;
    let events = stage.turn(&mut talk, "hello").await;
    assert!(error(&events).contains("the pool p answered `session/new` with an error"), "{}", error(&events));
    stage.finish().await;
}
