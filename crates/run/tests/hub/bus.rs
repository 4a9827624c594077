//! What agents share: acknowledged from memory, on the disk behind it, and bounded.

use std::sync::Arc;
use std::time::Duration;

use trunkline_core::event::{Event, Fact};
use trunkline_core::id::{LogId, Seq};
use trunkline_core::kv::{Command, Expect, Ttl};
use trunkline_core::raw::Raw;
use trunkline_core::registry;
use trunkline_core::time::Time;
use trunkline_core::topic::Pattern;
use trunkline_log::Log;
use trunkline_log::frame::Want;
use trunkline_run::Hub;
use trunkline_run::tail::{Follow, Next};
use trunkline_run::topics::{Filter, MAX_RETAINED_BYTES, Publish};

use crate::world::{hub, memory, owner};

fn put(key: &str, value: i64, ttl: Ttl) -> Command {
    let value = Raw::of(&value).unwrap();
    Command::Put { key: key.into(), value, owner: Some("ana".into()), ttl, expect: Expect::Any }
}

async fn write(hub: &Hub, commands: Vec<Command>) {
    for answer in hub.kv(&owner(), "ns", commands).await.unwrap() {
        answer.unwrap();
    }
}

async fn values(hub: &Hub) -> Vec<(String, i64)> {
    hub.look_kv("ns", |state, now| {
        state.entries.living(now).map(|(key, entry)| (key.to_string(), entry.value.read().unwrap())).collect()
    })
    .await
    .unwrap()
}

async fn on_disk(disk: &Arc<dyn Log>, log: &LogId) -> Vec<Event> {
    let page = disk.read(log, Seq::ZERO, Want { bytes: usize::MAX, folded: false }).await.unwrap();
    page.frames.iter().flat_map(|frame| frame.events().unwrap()).collect()
}

fn ns() -> LogId {
    LogId::kv("ns").unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_was_acknowledged_is_on_the_disk_within_50_ms_and_there_after_a_restart() {
    let disk = memory();
    let first = hub(Arc::clone(&disk), "a", 1).await;
    write(&first, vec![put("b", 1, Ttl::Forever), put("a", 2, Ttl::Ms(90_000)), put("b", 3, Ttl::Forever)])
        .await;
    let entry = first.look_kv("ns", |state, now| state.entries.get("a", now).cloned()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(on_disk(&disk, &ns()).await.len(), 3);

    // The first hub is not shut down: it may as well have been killed.
    let second = hub(Arc::clone(&disk), "a", 2).await;
    assert_eq!(values(&second).await, [("b".to_owned(), 3), ("a".to_owned(), 2)], "in the order of the keys");
    assert_eq!(second.look_kv("ns", |state, now| state.entries.get("a", now).cloned()).await.unwrap(), entry);
    assert_eq!(second.namespaces().await.unwrap(), ["ns"]);
    write(&second, vec![put("c", 4, Ttl::Forever)]).await;
    second.settle_kv("ns").await.unwrap();
    let third = hub(disk, "a", 3).await;
    assert_eq!(values(&third).await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_the_disk_needs_no_50_ms() {
    let disk = memory();
    let hub = hub(Arc::clone(&disk), "a", 1).await;
    write(&hub, vec![put("a", 1, Ttl::Forever)]).await;
    assert_eq!(on_disk(&disk, &ns()).await.len(), 0);
    hub.settle_kv("ns").await.unwrap();
    assert_eq!(on_disk(&disk, &ns()).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stop_in_good_order_loses_nothing() {
    let disk = memory();
    let first = hub(Arc::clone(&disk), "a", 1).await;
    write(&first, vec![put("a", 1, Ttl::Forever)]).await;
    first.shutdown().await;
    tokio::task::yield_now().await;
    assert_eq!(values(&hub(disk, "a", 2).await).await, [("a".to_owned(), 1)]);
}

#[tokio::test(start_paused = true)]
async fn logs_stay_short_however_often_a_key_is_written() {
    let disk = memory();
    let hub = hub(Arc::clone(&disk), "a", 1).await;
    for round in 0..50 {
        write(&hub, (0..200).map(|n| put(&format!("k{}", n % 3), round * 200 + n, Ttl::Forever)).collect())
            .await;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    let kept = on_disk(&disk, &ns()).await.len();
    assert!(kept < 5_000, "{kept} of 10,000 events are kept");
    let before = values(&hub).await;
    assert_eq!(values(&crate::world::hub(Arc::clone(&disk), "a", 2).await).await, before);

    write(&hub, vec![Command::Clear]).await;
    hub.settle_kv("ns").await.unwrap();
    let left = on_disk(&disk, &ns()).await;
    assert!(matches!(&left[..], [Event { fact: Fact::KeysReset(_), .. }]), "{left:?}");
    assert_eq!(values(&crate::world::hub(disk, "a", 3).await).await, []);
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_keys_and_leases() {
    let hub = hub(memory(), "a", 1).await;
    let mut follow = hub.follow_kv("ns", Seq::ZERO).await.unwrap();
    let mut agents = hub.follow_registry(Seq::ZERO).await.unwrap();
    let (mut expired, mut lapsed) = (0, 0);
    for minute in 0..64_u64 {
        let keys = if minute < 60 { 10 } else { 0 };
        write(&hub, (0..keys).map(|n| put(&format!("{minute}.{n}"), 1, Ttl::Ms(90_000 + n))).collect()).await;
        let lease_ms = Some(if minute % 2 == 0 { 30_000 } else { 120_000 });
        let register = registry::Command::Register {
            agent: format!("agent{minute}").into(),
            metadata: None,
            capabilities: vec![],
            lease_ms,
        };
        if minute < 60 {
            hub.registry(&owner(), register).await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
        let living = values(&hub).await.len();
        assert!(living <= 20, "minute {minute}: {living} keys live, and none lives longer than 90 s");
        let entries = hub.look_kv("ns", |state, _| state.entries.len()).await.unwrap();
        assert_eq!(entries, living, "and none is kept longer than it lives");
        let told = read(&mut follow).await;
        expired += told.iter().filter(|event| matches!(event.fact, Fact::KeyExpired(_))).count();
        let told = read(&mut agents).await;
        lapsed += told.iter().filter(|event| matches!(event.fact, Fact::AgentLapsed(_))).count();
    }
    assert_eq!(values(&hub).await, []);
    assert_eq!((expired, lapsed), (600, 60), "each is told once");
}

/// All events that there are now.
async fn read(follow: &mut Follow) -> Vec<Event> {
    let mut events = Vec::new();
    while follow.cursor() < follow.head() {
        if let Next::Frames(frames) = follow.next().await.unwrap() {
            events.extend(frames.iter().flat_map(|shown| shown.frame.events().unwrap()));
        }
    }
    events
}

#[tokio::test(start_paused = true)]
async fn a_deadline_passes_while_the_daemon_is_down() {
    let disk = memory();
    let first = hub(Arc::clone(&disk), "a", 1).await;
    write(&first, vec![put("a", 1, Ttl::Ms(1))]).await;
    first.settle_kv("ns").await.unwrap();
    let at = first.now();
    tokio::time::sleep(Duration::from_millis(2)).await;
    // Each hub of these tests begins at the same time: the key lives in it for a millisecond.
    let second = hub(disk, "a", 2).await;
    assert!(second.now() <= at.plus_ms(1));
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(values(&second).await, []);
    assert_eq!(second.look_kv("ns", |state, _| state.entries.len()).await.unwrap(), 0, "nobody had to ask");
}

#[tokio::test(start_paused = true)]
async fn looking_makes_nothing() {
    let disk = memory();
    let hub = hub(Arc::clone(&disk), "a", 1).await;
    for n in 0..20_000 {
        let name = format!("ns{n}");
        assert!(hub.look_kv(&name, |state, _| state.entries.is_empty()).await.unwrap());
    }
    assert_eq!(hub.namespaces().await.unwrap(), Vec::<String>::new());
}

fn message(topic: &str, data: &str) -> Publish {
    Publish { topic: topic.into(), data: Raw::of(&data).unwrap(), agent: Some("ana".into()) }
}

#[tokio::test(start_paused = true)]
async fn what_is_published_is_numbered_retained_and_read() {
    let hub = hub(memory(), "a", 1).await;
    let topics = hub.topics();
    let mut early = topics.follow("t", Seq(u64::MAX)).await.unwrap();
    let receipts = topics.publish_all(&owner(), vec![message("t", "1"), message("t", "2")]).await;
    let receipts: Vec<_> = receipts.into_iter().map(|receipt| receipt.unwrap()).collect();
    assert_eq!(
        receipts.iter().map(|r| (r.id, r.seq.0, r.subscribers)).collect::<Vec<_>>(),
        [(1, 1, 1), (2, 2, 1)]
    );
    topics.publish(&owner(), message("u", "3")).await.unwrap();
    assert_eq!(read(&mut early).await.len(), 2);
    let mut late = topics.follow("t", Seq(1)).await.unwrap();
    let behind: Vec<_> = read(&mut late).await.into_iter().filter(|event| event.seq > Seq(1)).collect();
    assert_eq!(behind.len(), 1, "a frame may begin before the cursor");

    let ids = |filter: Filter, limit| {
        topics.signals(&filter, limit).iter().map(|s| s.published.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(Filter::default(), 9), [1, 2, 3]);
    assert_eq!(ids(Filter::default(), 2), [2, 3]);
    assert_eq!(ids(Filter { topic: Some("t".into()), ..Filter::default() }, 9), [1, 2]);
    assert_eq!(ids(Filter { pattern: Pattern::new(">").ok(), after: 2, ..Filter::default() }, 9), [3]);
    assert_eq!(ids(Filter { agent: Some("ben".into()), ..Filter::default() }, 9), Vec::<u64>::new());
    assert_eq!(ids(Filter { since: Some(Time(i64::MAX)), ..Filter::default() }, 9), Vec::<u64>::new());
    let list: Vec<_> =
        topics.list().into_iter().map(|t| (t.topic.to_string(), t.retained, t.subscribers)).collect();
    assert_eq!(list, [("t".to_owned(), 2, 2), ("u".to_owned(), 1, 0)]);
    assert!(topics.publish(&owner(), message("__bus__.put.ns", "x")).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_further_behind_than_what_is_retained_is_told_so() {
    let hub = hub(memory(), "a", 1).await;
    let mut slow = hub.topics().follow("t", Seq(u64::MAX)).await.unwrap();
    let large = "x".repeat(4 << 20);
    for _ in 0..2 + (MAX_RETAINED_BYTES >> 22) {
        hub.topics().publish(&owner(), message("t", &large)).await.unwrap();
    }
    let told = slow.next().await.unwrap();
    assert!(matches!(told, Next::Gap(_)), "{told:?}");
}
