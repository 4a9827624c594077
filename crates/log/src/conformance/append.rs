//! Appending: one wins, nothing is lost, nothing is changed.

use futures_util::FutureExt as _;
use tokio::task::JoinSet;
use trunkline_core::id::Seq;

use super::kit::{ALL, Store, contend, fill, frame, line, log, read};
use crate::contract::AppendError;
use crate::frame::{Frame, MAX_FRAME_BYTES};
use crate::settle;

/// Of 64 appends with the same `after` one wins, and the others are told where the log is now.
pub async fn one_of_many_wins(store: Store) {
    let id = log("one");
    let mut race = JoinSet::new();
    for _ in 0..64 {
        let (store, id) = (store.clone(), id.clone());
        race.spawn(async move {
            let frame = frame(Seq::ZERO, 3);
            (frame.id, store.append(&id, Seq::ZERO, frame, Vec::new()).await)
        });
    }
    let mut winners = Vec::new();
    while let Some(ended) = race.join_next().await {
        match ended.unwrap() {
            (id, Ok(commit)) => winners.push((id, commit)),
            (_, lost) => assert_eq!(lost, Err(AppendError::Moved { head: Seq(3) })),
        }
    }
    let page = read(&store, &id, Seq::ZERO).await;
    assert_eq!(winners.len(), 1);
    assert_eq!(page.frames.len(), 1);
    assert_eq!((page.frames[0].id, winners[0].1.head), (winners[0].0, Seq(3)));
}

/// 64 writers of one log and of a log each: numbers have no holes, places grow, every append is there once.
pub async fn many_writers_number_without_holes(store: Store) {
    let shared = log("shared");
    let mut writers = JoinSet::new();
    for n in 0..64 {
        let (store, shared, own) = (store.clone(), shared.clone(), log(&format!("own/{n}")));
        writers.spawn(async move {
            let mut places = Vec::new();
            for i in 0..5 {
                places.push(contend(&store, &shared, Seq::ZERO).await.pos);
                let commit = store.append(&own, Seq(i), frame(Seq(i), 1), Vec::new()).await.unwrap();
                assert_eq!(commit.head, Seq(i + 1));
                places.push(commit.pos);
            }
            assert!(places.is_sorted());
            places
        });
    }
    let mut places = writers.join_all().await.concat();
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), 64 * 10, "each commit has a place of its own");
    assert_eq!(places.last(), Some(&store.pos()));
    let page = read(&store, &shared, Seq::ZERO).await;
    let numbers: Vec<u64> = page.frames.iter().map(|frame| frame.last.0).collect();
    assert_eq!(numbers, (1..=320).collect::<Vec<_>>());
}

/// An append at a place that is not the head is refused and writes nothing.
pub async fn wrong_places_are_refused(store: Store) {
    let id = log("places");
    let early = store.append(&id, Seq(4), frame(Seq(4), 1), Vec::new()).await;
    assert_eq!(early, Err(AppendError::Moved { head: Seq::ZERO }));
    let frames = fill(&store, &id, &[2, 1]).await;
    for after in [0, 1, 2, 4] {
        let wrong = store.append(&id, Seq(after), frame(Seq(after), 1), Vec::new()).await;
        assert_eq!(wrong, Err(AppendError::Moved { head: Seq(3) }));
    }
    assert_eq!(read(&store, &id, Seq::ZERO).await.frames, frames);
}

/// A frame over the limit is refused with its size; one at the limit is not.
pub async fn too_much_is_refused(store: Store) {
    let id = log("large");
    let most = line(Seq::ZERO, &"x".repeat(MAX_FRAME_BYTES));
    let more = Frame { lines: "x".repeat(MAX_FRAME_BYTES + 1).into(), ..most.clone() };
    let refused = store.append(&id, Seq::ZERO, more, Vec::new()).await;
    assert_eq!(refused, Err(AppendError::TooLarge { bytes: MAX_FRAME_BYTES + 1 }));
    store.append(&id, Seq::ZERO, most.clone(), Vec::new()).await.unwrap();
    assert!(read(&store, &id, Seq::ZERO).await.frames == [most]);
}

/// What is read is what was written, byte for byte.
pub async fn bytes_stay_as_they_came(store: Store) {
    let id = log("bytes \u{1F980} / ü'\"");
    let long = format!(r#"{{"type":"x","data":"{}"}}"#, "é".repeat(512 << 10));
    let mut frames = Vec::new();
    for text in [
        r#"{"type":"x",  "n":1.0e3, "s":"\u00e9\ud83e\udd80\u0000"}"#,
        "{\"type\":\"x\",\"s\":\"\u{1F980} \u{200F} \u{FEFF} \u{7F} e\u{301}\"}",
        "",
        "\u{0}",
        &long,
    ] {
        let after = Seq(frames.len() as u64);
        let frame = line(after, text);
        store.append(&id, after, frame.clone(), Vec::new()).await.unwrap();
        frames.push(frame);
    }
    assert!(read(&store, &id, Seq::ZERO).await.frames == frames);
    assert!(read(&store, &id, Seq(4)).await.frames == frames[4..]);
}

/// Whether or not the append happened: the log can be read and appended to.
pub async fn a_dropped_append_leaves_the_log_sound(store: Store) {
    let id = log("dropped");
    let dropped = frame(Seq::ZERO, 1);
    assert!(
        store
            .append(&id, Seq::ZERO, dropped.clone(), Vec::new())
            .now_or_never()
            .is_none_or(|done| done.is_ok())
    );
    let commit = contend(&store, &id, Seq::ZERO).await;
    let page = store.read(&id, Seq::ZERO, ALL).await.unwrap();
    assert_eq!(page.frames.len() as u64, commit.head.0);
    assert!(commit.head == Seq(1) || page.frames[0] == dropped);
}

/// Settling an append that was written gives its head, as often as it is done; one that lost stays lost.
pub async fn settling_twice_changes_nothing(store: Store) {
    let id = log("settled");
    let (written, lost) = (frame(Seq::ZERO, 2), frame(Seq::ZERO, 2));
    for _ in 0..2 {
        let commit = settle(&*store, &id, Seq::ZERO, &written, &[]).await.unwrap();
        assert_eq!((commit.head, commit.pos), (Seq(2), store.pos()));
        let moved = settle(&*store, &id, Seq::ZERO, &lost, &[]).await;
        assert_eq!(moved, Err(AppendError::Moved { head: Seq(2) }));
    }
    assert_eq!(read(&store, &id, Seq::ZERO).await.frames, [written]);
}
