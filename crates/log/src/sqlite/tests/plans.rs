//! A page of a list costs a page, however long the list is.

use rusqlite::{StatementStatus, params_from_iter};
use trunkline_core::id::Seq;
use trunkline_core::row::RowKind;
use trunkline_core::time::Time;

use super::{BOOT, path};
use crate::conformance::kit::{frame, log, row, with_due, with_facets};
use crate::contract::Log as _;
use crate::frame::{Cursor, Query};
use crate::sqlite::find::Plan;
use crate::sqlite::{Sqlite, schema};

/// What each query costs in a list of `rows`, in steps of SQLite's machine; one row in a thousand is due.
async fn costs(rows: i64) -> Vec<(&'static str, i32)> {
    let dir = tempfile::tempdir().unwrap();
    let store = Sqlite::open(path(&dir), BOOT).unwrap();
    let list = (0..rows).map(|n| {
        let row = row(RowKind::Session, &format!("{n:06}"), (-(n / 2), 0), "x");
        let row = with_facets(row, &["all", if n % 2 == 0 { "even" } else { "odd" }, "every"]);
        if n % 1000 == 0 { with_due(row, 5) } else { with_due(row, 500) }
    });
    store.append(&log("a"), Seq::ZERO, frame(Seq::ZERO, 1), list.collect()).await.unwrap();
    drop(store);

    let page = Query { limit: 50, ..Query::all(RowKind::Session) };
    let middle = Some(Cursor { rank: (-rows / 4, 0), key: String::new() });
    let with = |facets: &[&str]| Query {
        facets: facets.iter().map(|&facet| facet.to_owned()).collect(),
        after: middle.clone(),
        ..page.clone()
    };
    let db = schema::open_reader(&path(&dir)).unwrap();
    [
        ("first page", page.clone()),
        ("page in the middle", with(&[])),
        ("one facet", with(&["even"])),
        ("three facets", with(&["all", "even", "every"])),
        ("one row", Query::one(RowKind::Session, "000007")),
    ]
    .map(|(name, query)| {
        let plan = Plan::of(&db, &query).unwrap();
        let mut statement = db.prepare(&plan.sql).unwrap();
        let found = statement.query_map(params_from_iter(&plan.values), |_| Ok(())).unwrap().count();
        assert_eq!(found, if query.key.is_some() { 1 } else { 51 }, "{name}");
        assert_eq!(statement.get_status(StatementStatus::Sort), 0, "{name}");
        (name, statement.get_status(StatementStatus::VmStep))
    })
    .to_vec()
}

#[tokio::test]
async fn pages_of_a_long_list_cost_what_pages_of_a_short_one_cost() {
    let short = costs(2_000).await;
    let long = costs(20_000).await;
    assert_eq!(short, long);
    assert!(long.iter().all(|(_, steps)| *steps < 51 * 100), "{long:?}");
}

#[test]
fn every_query_is_led_by_the_index_that_has_its_order() {
    let dir = tempfile::tempdir().unwrap();
    drop(super::open(&path(&dir)));
    let db = schema::open_reader(&path(&dir)).unwrap();
    let all = Query::all(RowKind::Session);
    let facets = vec!["a".to_owned(), "b".to_owned()];
    let after = Some(Cursor { rank: (0, 0), key: String::new() });
    for (query, lead, sorts) in [
        (Query::one(RowKind::Session, "k"), "row_key (kind=? AND key=?)", false),
        (all.clone(), "row_rank (kind=?)", false),
        (
            Query { after: after.clone(), ..all.clone() },
            "row_rank (kind=? AND (rank0,rank1,key)>(?,?,?))",
            false,
        ),
        (
            Query { facets: facets.clone(), after, ..all.clone() },
            "PRIMARY KEY (kind=? AND facet=? AND (rank0,rank1,key)>(?,?,?))",
            false,
        ),
        (Query { facets, due_before: Some(Time(0)), ..all }, "row_due (kind=? AND due<?)", true),
    ] {
        let plan = Plan::of(&db, &query).unwrap();
        let mut explain = db.prepare(&format!("EXPLAIN QUERY PLAN {}", plan.sql)).unwrap();
        let steps: Vec<String> = explain
            .query_map(params_from_iter(&plan.values), |row| row.get(3))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert!(steps[0].ends_with(lead), "{steps:#?}");
        assert!(!steps.iter().any(|step| step.contains("SCAN")), "{steps:#?}");
        assert_eq!(steps.iter().any(|step| step.contains("TEMP B-TREE")), sorts, "{steps:#?}");
    }
}
