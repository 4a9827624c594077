//! Any sequence of calls has the same answers as in memory, over any number of lives.

use std::path::Path;
use std::sync::Arc;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use trunkline_core::id::{Pos, Seq};
use trunkline_core::raw::Raw;
use trunkline_core::row::{Row, RowKind};
use trunkline_core::time::Time;

use super::Sqlite;
use crate::conformance::kit::{Store, changes, frame, log, row};
use crate::frame::{Change, Cursor, Query, Want};
use crate::memory::Memory;

const BOOT: Time = Time(1_732_182_000_000);
const KINDS: [RowKind; 2] = [RowKind::Session, RowKind::Inbox];
const FACETS: [&str; 3] = ["state=running", "agent=é", ""];

#[derive(Debug, Clone)]
enum Call {
    Append { log: u8, astray: u64, count: u64, quiet: bool, rows: Vec<Row> },
    Trim { log: u8, upto: Option<u64> },
    Read { log: u8, after: u64, want: Want },
    Find(Query),
    Changes { back: u64 },
    Reopen,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn answers_are_those_of_the_reference(calls in vec(any_call(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        runtime.block_on(compare(&dir.path().join("model.db"), calls));
    }
}

async fn compare(path: &Path, calls: Vec<Call>) {
    let model: Store = Arc::new(Memory::new(BOOT));
    let mut store: Store = Arc::new(Sqlite::open(path, BOOT).unwrap());
    for (n, call) in calls.into_iter().enumerate() {
        match call {
            Call::Append { log: name, astray, count, quiet, mut rows } => {
                // No two commits write the same, so that it can be told which of them wrote what stands.
                let body = Raw::of(&n).unwrap();
                rows.iter_mut()
                    .filter(|row| row.body.is_some())
                    .for_each(|row| row.body = Some(body.clone()));
                let id = log(&format!("log/{name}"));
                let after = match model.read(&id, Seq(u64::MAX), Want { bytes: 1, folded: false }).await {
                    Ok(page) => page.head.plus(astray),
                    Err(_) => Seq(astray),
                };
                let mut frame = frame(after, count);
                frame.quiet = quiet;
                let expected = model.append(&id, after, frame.clone(), rows.clone()).await;
                assert_eq!(store.append(&id, after, frame, rows).await, expected);
            }
            Call::Trim { log: name, upto } => {
                let id = log(&format!("log/{name}"));
                let upto = upto.map(Seq);
                assert_eq!(store.trim(&id, upto).await, model.trim(&id, upto).await);
            }
            Call::Read { log: name, after, want } => {
                let id = log(&format!("log/{name}"));
                assert_eq!(store.read(&id, Seq(after), want).await, model.read(&id, Seq(after), want).await);
            }
            Call::Find(query) => {
                let pos = model.pos();
                assert_eq!(store.find(&query, pos).await, model.find(&query, pos).await, "{query:?}");
            }
            Call::Changes { back } => compare_changes(&model, &store, back).await,
            Call::Reopen => {
                drop(store);
                store = Arc::new(Sqlite::open(path, BOOT).unwrap());
            }
        }
        assert_eq!(store.pos(), model.pos());
    }
    drop(store);
    Sqlite::check(path).unwrap();
}

/// What is told later may leave out what was trimmed, and rows that were written again. It may not leave out anything
/// else, add anything, or change the order.
async fn compare_changes(model: &Store, store: &Store, back: u64) {
    let end = model.pos();
    let start = Pos(end.0.saturating_sub(back).max(BOOT.0.unsigned_abs() * 1000));
    let expected = changes(model, start, end).await;
    let told = changes(store, start, Pos(last_to_be_told(model, &expected).await)).await;
    let mut expected = expected.into_iter();
    for change in told {
        let full = loop {
            let next = expected.next().expect("nothing is told that was not committed");
            if next.pos == change.pos {
                break next;
            }
            assert!(!is_kept(model, &next).await, "a commit that is kept is told: {next:?}");
        };
        assert_eq!((&change.log, change.head), (&full.log, full.head));
        let mut rows = change.rows.into_iter().peekable();
        for row in full.rows {
            if rows.next_if_eq(&row).is_none() {
                assert!(!is_current(model, &row).await, "a row that stands is told: {row:?}");
            }
        }
        assert_eq!(rows.next(), None, "no row is told that was not written");
    }
}

/// The place of the last change that every reader must be told.
async fn last_to_be_told(model: &Store, all: &[Change]) -> u64 {
    for change in all.iter().rev() {
        if is_kept(model, change).await {
            return change.pos.0;
        }
    }
    0
}

async fn is_kept(model: &Store, change: &Change) -> bool {
    let page = model.read(&change.log, Seq::ZERO, Want { bytes: 1, folded: false }).await;
    match page {
        Ok(page) => change.head >= page.first,
        Err(_) => change.head == Seq::ZERO,
    }
}

async fn is_current(model: &Store, row: &Row) -> bool {
    let found = model.find(&Query::one(row.kind, row.key.clone()), model.pos()).await.unwrap();
    // A removal that stands may be that of a log, and then it may be missing.
    row.body.is_some() && found.rows.first().is_some_and(|(_, now)| now == row)
}

fn any_call() -> impl Strategy<Value = Call> {
    let append =
        (0..3_u8, prop_oneof![9 => Just(0), 1 => 1..3_u64], 1..4_u64, any::<bool>(), vec(any_row(), 0..4))
            .prop_map(|(log, astray, count, quiet, rows)| Call::Append { log, astray, count, quiet, rows });
    let trim = (0..3_u8, prop_oneof![4 => (0..12_u64).prop_map(Some), 1 => Just(None)])
        .prop_map(|(log, upto)| Call::Trim { log, upto });
    let read = (0..4_u8, 0..12_u64, prop_oneof![Just(0), 1..200_usize, Just(usize::MAX)], any::<bool>())
        .prop_map(|(log, after, bytes, folded)| Call::Read { log, after, want: Want { bytes, folded } });
    prop_oneof![
        8 => append,
        2 => trim,
        4 => read,
        4 => any_query().prop_map(Call::Find),
        1 => (0..30_u64).prop_map(|back| Call::Changes { back }),
        1 => Just(Call::Reopen),
    ]
}

fn any_row() -> impl Strategy<Value = Row> {
    let rank = (-2..3_i64, -1..2_i64);
    let due = prop_oneof![Just(None), (0..5_i64).prop_map(|due| Some(Time(due)))];
    let facets = vec(proptest::sample::select(&FACETS[..]), 0..4);
    let body = prop_oneof![3 => Just(true), 1 => Just(false)];
    (any_kind(), any_key(), rank, due, facets, body).prop_map(|(kind, key, rank, due, facets, body)| {
        if !body {
            return Row::removed(kind, key);
        }
        let facets = facets.into_iter().map(str::to_owned).collect();
        Row { due, facets, ..row(kind, &key, rank, "é") }
    })
}

fn any_query() -> impl Strategy<Value = Query> {
    let facets = btree_set(proptest::sample::select(&FACETS[..]), 0..3);
    let due = proptest::option::of(0..6_i64);
    let after = proptest::option::of(((-2..3_i64, -1..2_i64), any_key()));
    (any_kind(), proptest::option::weighted(0.2, any_key()), facets, due, after, 0..6_usize).prop_map(
        |(kind, key, facets, due, after, limit)| Query {
            kind,
            key,
            facets: facets.into_iter().map(str::to_owned).collect(),
            due_before: due.map(Time),
            after: after.map(|(rank, key)| Cursor { rank, key }),
            limit,
        },
    )
}

fn any_kind() -> impl Strategy<Value = RowKind> {
    proptest::sample::select(&KINDS[..])
}

fn any_key() -> impl Strategy<Value = String> {
    proptest::sample::select(&["", "a", "b", "ab", "\u{1F980}"][..]).prop_map(str::to_owned)
}
