//! Rows: what is found, in which order, by what.

use tokio::task::JoinSet;
use trunkline_core::id::Seq;
use trunkline_core::row::{Row, RowKind};
use trunkline_core::time::Time;

use super::kit::{Store, find, frame, keys, log, put, row, with_due, with_facets};
use crate::frame::{Cursor, Query};

const KIND: RowKind = RowKind::Session;

/// A row is replaced whole, removed, and written anew; of two in one commit the last counts.
pub async fn the_later_row_wins(store: Store) {
    let id = log("later");
    let old = with_due(with_facets(row(KIND, "k", (1, 1), "old"), &["s=a", "t=x"]), 5);
    let new = with_facets(row(KIND, "k", (0, -1), "new"), &["t=x", "s=b", "t=x"]);
    let plain = row(KIND, "k", (0, -1), "plain");
    let none = Row::removed(KIND, "k".to_owned());
    let steps = [
        (vec![none.clone()], None),
        (vec![old.clone()], Some(&old)),
        (vec![new.clone()], Some(&new)),
        (vec![plain.clone()], Some(&plain)),
        (vec![old.clone(), none.clone()], None),
        (vec![none.clone(), new.clone(), old.clone()], Some(&old)),
        (vec![none.clone(), new.clone()], Some(&new)),
        (vec![row(RowKind::Request, "k", (0, 0), "another kind")], Some(&new)),
    ];
    for (rows, left) in steps {
        put(&store, &id, rows).await;
        let left: Vec<_> = left.into_iter().map(|row| (id.clone(), row.clone())).collect();
        assert_eq!(find(&store, &Query::one(KIND, "k")).await.rows, left);
        assert_eq!(find(&store, &Query::all(KIND)).await.rows, left);
        for facet in ["s=a", "s=b", "t=x"] {
            let query = Query { facets: vec![facet.to_owned()], ..Query::all(KIND) };
            let with: Vec<_> =
                left.iter().filter(|(_, row)| row.facets.iter().any(|has| has == facet)).cloned().collect();
            assert_eq!(find(&store, &query).await.rows, with, "{facet}");
        }
        let due = Query { due_before: Some(Time(6)), ..Query::all(KIND) };
        assert_eq!(
            find(&store, &due).await.rows.len(),
            left.iter().filter(|(_, row)| row.due.is_some()).count()
        );
    }
}

/// Pages of any size give each row once, smaller ranks first, keys in the order of their bytes.
pub async fn pages_follow_the_rank_and_the_key(store: Store) {
    let id = log("order");
    let mut places = Vec::new();
    for rank in [(0, 0), (i64::MIN, i64::MAX), (-3, 7), (0, -1), (i64::MAX, 0), (i64::MIN, i64::MIN)] {
        for key in ["", "a", "b", "B", "é", "aa", "\u{1F980}"] {
            places.push((rank, format!("{key}{}{}", rank.0, rank.1)));
        }
    }
    places.push(((i64::MIN, i64::MIN), String::new()));
    let rows = places.iter().map(|(rank, key)| row(KIND, key, *rank, "x")).collect();
    put(&store, &id, rows).await;
    put(&store, &id, vec![row(RowKind::Request, "other kind", (0, 0), "x")]).await;
    places.sort();
    let expected: Vec<String> = places.iter().map(|(_, key)| key.clone()).collect();
    for page in [1, 2, 7, 42, 43, 44, 100] {
        assert_eq!(keys(&store, &Query::all(KIND), page).await, expected, "pages of {page}");
    }
    for (at, (rank, key)) in places.iter().enumerate() {
        let after = Some(Cursor { rank: *rank, key: key.clone() });
        assert_eq!(keys(&store, &Query { after, ..Query::all(KIND) }, 50).await, expected[at + 1..]);
    }
    let none = find(&store, &Query { limit: 0, ..Query::all(KIND) }).await;
    assert_eq!(none.rows.len(), 1, "a limit of 0 counts as 1");
}

/// Rows that have all the facets, in order and in pages, also when facets and ranks change.
pub async fn facets_filter_alone_and_together(store: Store) {
    let id = log("facets");
    let rows = (0..60)
        .map(|n| {
            let third = format!("third={}", n % 3);
            let facets = [third.as_str(), if n % 2 == 0 { "even" } else { "odd" }, "all"];
            with_facets(
                row(KIND, &format!("{n:02}"), (-(n / 4), 0), "x"),
                &facets[..if n < 50 { 3 } else { 0 }],
            )
        })
        .collect();
    put(&store, &id, rows).await;
    let query = |facets: &[&str]| Query {
        facets: facets.iter().map(|&facet| facet.to_owned()).collect(),
        ..Query::all(KIND)
    };
    let expected = |fits: &dyn Fn(i64) -> bool| {
        let mut fitting: Vec<i64> = (0..50).filter(|n| fits(*n)).collect();
        fitting.sort_by_key(|n| (-(n / 4), *n));
        fitting.iter().map(|n| format!("{n:02}")).collect::<Vec<_>>()
    };
    for page in [1, 3, 50] {
        assert_eq!(keys(&store, &query(&["all"]), page).await, expected(&|_| true));
        assert_eq!(keys(&store, &query(&["even", "even"]), page).await, expected(&|n| n % 2 == 0));
        assert_eq!(keys(&store, &query(&["even", "all", "third=1"]), page).await, expected(&|n| n % 6 == 4));
        assert_eq!(keys(&store, &query(&["even", "odd"]), page).await, Vec::<String>::new());
        assert_eq!(keys(&store, &query(&["never"]), page).await, Vec::<String>::new());
    }
    assert_eq!(
        keys(&store, &Query { facets: vec!["odd".to_owned()], ..Query::one(KIND, "03") }, 1).await,
        ["03"]
    );
    assert!(
        keys(&store, &Query { facets: vec!["odd".to_owned()], ..Query::one(KIND, "04") }, 1).await.is_empty()
    );
    put(&store, &id, vec![with_facets(row(KIND, "03", (-99, 0), "x"), &["even"])]).await;
    assert_eq!(keys(&store, &query(&["even"]), 1).await[0], "03");
    assert!(!keys(&store, &query(&["odd"]), 9).await.contains(&"03".to_owned()));
}

/// What is due before a time, in the order of the list, filtered and in pages too.
pub async fn due_rows_come_in_the_order_of_their_rank(store: Store) {
    let id = log("due");
    let rows =
        [("a", 3, Some(10)), ("b", 2, Some(30)), ("c", 1, Some(20)), ("d", 0, None), ("e", 1, Some(20))];
    let rows = rows.map(|(key, rank, due)| {
        let row = with_facets(row(KIND, key, (rank, 0), "x"), if key == "e" { &["e"] } else { &[] });
        match due {
            Some(due) => with_due(row, due),
            None => row,
        }
    });
    put(&store, &id, rows.to_vec()).await;
    let due = |before| Query { due_before: Some(Time(before)), ..Query::all(KIND) };
    assert_eq!(keys(&store, &due(10), 9).await, Vec::<String>::new());
    assert_eq!(keys(&store, &due(11), 9).await, ["a"]);
    for page in [1, 2, 9] {
        assert_eq!(keys(&store, &due(i64::MAX), page).await, ["c", "e", "b", "a"]);
    }
    assert_eq!(keys(&store, &Query { facets: vec!["e".to_owned()], ..due(21) }, 9).await, ["e"]);
    put(&store, &id, vec![row(KIND, "c", (1, 0), "x")]).await;
    assert_eq!(keys(&store, &due(21), 9).await, ["e", "a"]);
}

/// A row that another log writes becomes that log's: it stays when the first is removed.
pub async fn a_row_belongs_to_the_log_that_wrote_it_last(store: Store) {
    let (first, second) = (log("first"), log("second"));
    put(&store, &first, vec![row(KIND, "k", (0, 0), "1"), row(KIND, "l", (0, 0), "1")]).await;
    put(&store, &second, vec![row(KIND, "k", (0, 0), "2")]).await;
    store.trim(&first, None).await.unwrap();
    let found = find(&store, &Query::all(KIND)).await.rows;
    assert_eq!(found, [(second.clone(), row(KIND, "k", (0, 0), "2"))]);
    store.trim(&second, None).await.unwrap();
    assert!(find(&store, &Query::all(KIND)).await.rows.is_empty());
}

/// Each writer finds its row as soon as the append is acknowledged, and the answer has reached that place.
pub async fn what_was_acknowledged_is_found(store: Store) {
    let mut writers = JoinSet::new();
    for n in 0..16 {
        let store = store.clone();
        writers.spawn(async move {
            let (id, key) = (log(&format!("writer/{n}")), format!("{n}"));
            for i in 0..10 {
                let rows = vec![row(KIND, &key, (i, n), &format!("{i}"))];
                let after = Seq(i.unsigned_abs());
                let commit = store.append(&id, after, frame(after, 1), rows.clone()).await.unwrap();
                let found = store.find(&Query::one(KIND, key.clone()), commit.pos).await.unwrap();
                assert_eq!(found.rows, [(id.clone(), rows[0].clone())]);
                assert!(found.pos >= commit.pos);
            }
        });
    }
    writers.join_all().await;
}
