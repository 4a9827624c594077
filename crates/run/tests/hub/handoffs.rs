//! Handoffs: saved, found, and kept by the daemon itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use trunkline_core::event::Fact;
use trunkline_core::handoff::{HandoffId, HandoffView, Saved, TurnCheckpointed, Updated, Whole};
use trunkline_core::id::{Pos, Seq, SessionId};
use trunkline_core::principal::Caller;
use trunkline_core::raw::Raw;
use trunkline_core::refused::Refused;
use trunkline_core::session::Command;
use trunkline_core::turn::WhenBusy;
use trunkline_run::handoff::Filter;
use trunkline_run::{CommandError, Hub};

use crate::world::{Mortal, Reader, created, hub, keeping, memory, owner, prompt, session};

fn of(agent: &str) -> Saved {
    // The id is made when it is saved.
    Saved::of(HandoffId::made(0), agent)
}

async fn save(hub: &Hub, saved: Saved) -> HandoffId {
    hub.handoffs().save(&owner(), saved, None).await.unwrap().0
}

async fn find(hub: &Hub, filter: Filter) -> Vec<HandoffView> {
    hub.handoffs().find(&filter, None, 10, hub.pos()).await.unwrap().items
}

async fn of_session(hub: &Hub, session: SessionId) -> Vec<HandoffView> {
    find(hub, Filter { session: Some(session), ..Filter::default() }).await
}

/// Runs a turn, and waits until a checkpoint of it is kept.
async fn turn(hub: &Hub, id: SessionId, words: &str) -> TurnCheckpointed {
    let mut reader = Reader::attach(hub, id, Seq(u64::MAX)).await;
    hub.command(&owner(), id, prompt(words, WhenBusy::Reject), None).await.unwrap();
    let events = reader.until("turn.checkpointed").await;
    let Fact::TurnCheckpointed(kept) = &events.last().unwrap().fact else { panic!() };
    kept.clone()
}

fn snapshot(whole: &Whole) -> Value {
    whole.checkpoints[0].snapshot.read().unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_last_one_changed_is_the_first_found_though_no_time_has_passed() {
    let hub = hub(memory(), "here", 1).await;
    let mut saved = Vec::new();
    for _ in 0..3 {
        saved.push(save(&hub, of("ana")).await);
    }
    let other = save(&hub, Saved { repo: Some(String::new()), ..of("bob") }).await;
    let paused = Updated { status: Some("paused".into()), ..Updated::default() };
    hub.handoffs().update(&owner(), &saved[0], paused, None).await.unwrap();
    let ana = find(&hub, Filter { agent: Some("ana".into()), ..Filter::default() }).await;
    let ids: Vec<_> = ana.iter().map(|view| view.id.clone()).collect();
    assert_eq!(ids, [&saved[0], &saved[2], &saved[1]].map(Clone::clone));
    let empty = find(&hub, Filter { repo: Some(String::new()), ..Filter::default() }).await;
    assert_eq!((empty.len(), &empty[0].id), (1, &other), "an empty text is a filter like any other");
    let paused = find(&hub, Filter { status: Some("paused".into()), ..Filter::default() }).await;
    assert_eq!((paused.len(), &paused[0].id), (1, &saved[0]));
    assert_eq!(hub.handoffs().get(&other, Pos(0)).await.unwrap().unwrap().agent_id, "bob");
    assert_eq!(hub.handoffs().get(&HandoffId::made(0), Pos(0)).await.unwrap(), None);
    let unknown = hub.handoffs().whole(&HandoffId::made(0), 1).await.unwrap_err();
    assert!(
        matches!(unknown, CommandError::Refused(Refused::NotFound { what: "handoff", .. })),
        "{unknown:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_retry_finds_what_the_first_try_made() {
    let hub = hub(memory(), "here", 1).await;
    let handoffs = hub.handoffs();
    let key = |digest: &str| Some(("key".to_owned(), digest.to_owned()));
    let owner = owner();
    let (first, _) = handoffs.save(&owner, of("ana"), key("a")).await.unwrap();
    let (again, _) = handoffs.save(&owner, of("ana"), key("a")).await.unwrap();
    assert_eq!(first, again);
    let reused = handoffs.save(&owner, of("bob"), key("b")).await.unwrap_err();
    assert!(matches!(reused, CommandError::Refused(Refused::KeyReused)), "{reused:?}");
    let open = async |digest: &str| {
        let context = Raw::parse("{}").unwrap();
        let lane = handoffs.open_lane(&owner, &first, "ana".into(), "bob".into(), context, key2(digest));
        lane.await.map(|(lane, _)| lane)
    };
    let lane = open("x").await.unwrap();
    assert_eq!(open("x").await.unwrap(), lane);
    let said = || handoffs.say(&owner, &first, lane.clone(), "bob".into(), "hi".into(), None);
    said().await.unwrap();
    said().await.unwrap();
    let made = async |digest: &str| {
        let snapshot = Raw::parse("null").unwrap();
        let key = Some(("third".to_owned(), digest.to_owned()));
        handoffs.checkpoint(&owner, &first, Some(lane.clone()), "ana".into(), snapshot, key).await.unwrap().0
    };
    assert_eq!(made("c").await, made("c").await);
    handoffs.close_lane(&owner, &first, lane.clone(), None).await.unwrap();
    let whole = handoffs.whole(&first, 10).await.unwrap();
    assert_eq!((whole.lanes.len(), whole.lanes[0].said.len(), whole.checkpoints.len()), (1, 2, 1));
    let lanes = handoffs.lanes(Some(&first), None, 10, hub.pos()).await.unwrap().items;
    assert_eq!(lanes, [whole.lanes[0].lane.clone()]);
    assert_eq!(handoffs.lane(&lane, Pos(0)).await.unwrap().as_ref(), Some(&lanes[0]));
    let kept = handoffs.checkpoints(Some(&first), Some(&lane), None, 10, hub.pos()).await.unwrap().items;
    assert_eq!(kept, whole.checkpoints);
}

fn key2(digest: &str) -> Option<(String, String)> {
    Some(("second".to_owned(), digest.to_owned()))
}

#[tokio::test(start_paused = true)]
async fn of_a_session_one_checkpoint_is_kept_however_many_turns_it_has() {
    let hub = keeping(memory(), 1).await;
    let id = session(&hub).await;
    let kept = turn(&hub, id, "say one").await;
    assert_eq!(kept.handoff, Some(HandoffId::of_session(id)));
    turn(&hub, id, "say two").await;
    let found = of_session(&hub, id).await;
    assert_eq!(found.len(), 1);
    let view = &found[0];
    assert_eq!((view.agent_id.as_str(), view.repo.as_deref()), ("actor", Some("/work")));
    assert_eq!(
        (view.task_summary.as_deref(), view.automatic),
        (Some("say one"), true),
        "the session's title"
    );
    let whole = hub.handoffs().whole(&view.id, 10).await.unwrap();
    assert_eq!(whole.checkpoints.len(), 1);
    let snapshot = snapshot(&whole);
    assert_eq!((&snapshot["said"], &snapshot["asked"]), (&json!("two"), &json!("say two")));
    let wanted =
        hub.look(id, |session| trunkline_core::machine::Machine::wanted(session).effects).await.unwrap();
    assert!(wanted.0.is_empty(), "nothing is owed any more: {:?}", wanted.0);
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_leaves_a_handoff_that_waits_for_somebody_else() {
    let hub = keeping(memory(), 1).await;
    let id = session(&hub).await;
    turn(&hub, id, "say half limited").await;
    let view = &of_session(&hub, id).await[0];
    assert_eq!(view.status, "paused");
    let whole = hub.handoffs().whole(&view.id, 1).await.unwrap();
    assert_eq!(
        (&snapshot(&whole)["rate_limited"], &snapshot(&whole)["said"]),
        (&json!(true), &json!("half"))
    );
    turn(&hub, id, "say more").await;
    assert_eq!(of_session(&hub, id).await[0].status, "active", "it goes on");
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_joins_what_the_agent_has_saved_and_leaves_its_words() {
    let hub = keeping(memory(), 1).await;
    let id = session(&hub).await;
    let saved = Saved { session: Some(id), task_summary: Some("my words".into()), ..of("actor") };
    let (own, _) = hub.handoffs().save(&Caller::agent(id), saved, None).await.unwrap();
    assert_eq!(turn(&hub, id, "say one").await.handoff, Some(own.clone()));
    let whole = hub.handoffs().whole(&own, 1).await.unwrap();
    assert_eq!(whole.handoff.task_summary.as_deref(), Some("my words"));
    assert_eq!(whole.checkpoints[0].session, Some(id));
    let of_another = Saved { session: Some(id), ..of("somebody") };
    let refused = hub.handoffs().save(&Caller::agent(id), of_another, None).await.unwrap_err();
    assert!(matches!(refused, CommandError::Refused(Refused::Forbidden { .. })), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_that_failed_is_tried_again_and_in_the_next_life_too() {
    let disk = memory();
    let first = Mortal::over(Arc::clone(&disk));
    let before = keeping(first.clone(), 1).await;
    let id = session(&before).await;
    first.fail("checkpoint.created", 3);
    turn(&before, id, "say one").await;
    first.fail("turn.checkpointed", u32::MAX);
    before.command(&owner(), id, prompt("say two", WhenBusy::Reject), None).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    first.dead.store(true, Ordering::SeqCst);
    let hub = keeping(disk, 2).await;
    let mut reader = Reader::attach(&hub, id, Seq::ZERO).await;
    reader.until("turn.checkpointed").await;
    reader.until("turn.checkpointed").await;
    let view = &of_session(&hub, id).await[0];
    let whole = hub.handoffs().whole(&view.id, 10).await.unwrap();
    assert_eq!((whole.checkpoints.len(), &snapshot(&whole)["said"]), (1, &json!("two")));
}

#[tokio::test(start_paused = true)]
async fn what_the_daemon_kept_of_a_session_goes_with_it() {
    let hub = keeping(memory(), 1).await;
    let id = session(&hub).await;
    turn(&hub, id, "say one").await;
    let mine = save(&hub, Saved { session: Some(id), ..of("ana") }).await;
    hub.command(&owner(), id, Command::Delete, None).await.unwrap();
    let left: Vec<_> = of_session(&hub, id).await.into_iter().map(|view| view.id).collect();
    assert_eq!(left, [mine]);
    let gone = HandoffId::of_session(id);
    let kept = hub.handoffs().checkpoints(Some(&gone), None, None, 10, hub.pos());
    assert!(kept.await.unwrap().items.is_empty());
}

#[tokio::test(start_paused = true)]
async fn where_checkpoints_are_off_none_is_owed() {
    let hub = hub(memory(), "here", 1).await;
    let id = hub.create(&owner(), created("script"), None).await.unwrap().0;
    let mut reader = Reader::attach(&hub, id, Seq(u64::MAX)).await;
    hub.command(&owner(), id, prompt("say one", WhenBusy::Reject), None).await.unwrap();
    reader.until("turn.ended").await;
    let owed = hub.look(id, |session| session.turns.unkept).await.unwrap().0;
    assert_eq!((owed, of_session(&hub, id).await), (None, vec![]));
}
