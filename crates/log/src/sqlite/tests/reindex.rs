//! What is made anew from the logs is what was there.

use rusqlite::Connection;
use rusqlite::types::Value;
use trunkline_core::audit::{Chain, Deed, Record, Recorded};
use trunkline_core::event::{Event, Fact, Key};
use trunkline_core::id::{LogId, Node, RequestId, Seq, SessionId};
use trunkline_core::machine::{Context, Machine as _};
use trunkline_core::principal::{Caller, Principal, Scope};
use trunkline_core::raw::Raw;
use trunkline_core::request::{Answer, Opened, Priority};
use trunkline_core::row::{self, RowKind};
use trunkline_core::session::{Command, Created, Deleted, EXTERNAL, Session, Updated};
use uuid::Uuid;

use super::{BOOT, Store, open, path};
use crate::conformance::kit::{frame, log, row};
use crate::contract::OpenError;
use crate::frame::Frame;
use crate::sqlite::{Reindexed, Sqlite};

/// A session whose frames and rows are written as a cell writes them.
struct Writer {
    store: Store,
    id: SessionId,
    state: Session,
    head: Seq,
}

impl Writer {
    async fn new(store: &Store, n: u128) -> Self {
        let id = SessionId::new(Uuid::from_u128(n));
        let mut writer = Self { store: store.clone(), id, state: Session::default(), head: Seq::ZERO };
        let created = Created {
            id,
            driver: EXTERNAL.into(),
            agent: "bot".into(),
            argv: vec![],
            workspace: Some("/work".into()),
            project: Some("/work".into()),
            title: None,
            metadata: None,
            born: None,
            setup: None,
            imported: None,
        };
        writer.write(vec![Command::Create(created)]).await;
        writer
    }

    /// Writes these commands as one frame.
    async fn write(&mut self, commands: Vec<Command>) {
        let caller = Caller::new(Principal::owner(), Scope::Admin);
        let node = Node { name: "here".into(), incarnation: 1 };
        let (before, mut events, mut rows) = (self.head, Vec::new(), Vec::new());
        for (n, command) in commands.into_iter().enumerate() {
            let now = BOOT.plus_ms(self.head.0 * 1_000);
            let ctx = Context { now, caller: &caller, node: &node, next: self.head.plus(1) };
            let drafts = self.state.decide(&command, &ctx).unwrap();
            let key = Key { key: format!("{before}-{n}"), digest: "d".into(), count: drafts.len() as u64 };
            let new: Vec<_> = drafts
                .into_iter()
                .enumerate()
                .map(|(i, draft)| {
                    self.head = self.head.plus(1);
                    let by = caller.principal.clone();
                    let key = (i == 0).then(|| key.clone());
                    Event { seq: self.head, at: now, by, turn: draft.turn, key, fact: draft.fact }
                })
                .collect();
            rows.extend(self.state.advance(&new));
            events.extend(new);
        }
        let frame = Frame::of(Uuid::now_v7(), &events, false);
        self.store.append(&LogId::session(self.id), before, frame, rows).await.unwrap();
    }
}

fn ask(n: u128) -> Command {
    Command::Ask(Opened {
        priority: Priority::High,
        deadline: Some(BOOT.plus_ms(900_000)),
        ..Opened::question(RequestId::new(Uuid::from_u128(n)), "Go on?".into(), String::new())
    })
}

fn answer(n: u128) -> Command {
    let answer = Answer { text: Some("yes".into()), ..Answer::default() };
    Command::Answer(RequestId::new(Uuid::from_u128(n)), answer)
}

/// Everything that is found by, but for the numbers that only the tables know.
fn projection(db: &Connection) -> Vec<Vec<Value>> {
    let all = |sql: &str, columns: usize| -> Vec<Vec<Value>> {
        let mut statement = db.prepare(sql).unwrap();
        let found = statement.query_map([], |row| (0..columns).map(|n| row.get(n)).collect()).unwrap();
        found.map(Result::unwrap).collect()
    };
    let rows = "SELECT kind, key, log, pos, rank0, rank1, due, facets, body FROM row ORDER BY kind, key";
    let facets = "SELECT kind, facet, rank0, rank1, key FROM facet";
    [all(rows, 9), all(facets, 5)].concat()
}

/// Something that the owner has done in a session.
fn done(writer: &Writer, n: u64) -> Record {
    let fact = Fact::SessionDeleted(Deleted {});
    let event = Event { seq: Seq(n), at: BOOT, by: Principal::owner(), turn: None, key: None, fact };
    let caller = Caller::new(Principal::owner(), Scope::Admin);
    Record::of(&LogId::session(writer.id), &event, Deed::SessionDeleted { title: None }, &caller)
}

async fn fill(store: &Store) {
    let mut one = Writer::new(store, 1).await;
    one.write(vec![ask(10)]).await;
    one.write(vec![ask(11), answer(10), ask(12), answer(12)]).await;
    let title = Updated { title: Some("New".into()), ..Updated::default() };
    one.write(vec![Command::Update(title)]).await;
    let mut closed = Writer::new(store, 2).await;
    closed.write(vec![ask(20)]).await;
    closed.write(vec![Command::Close]).await;
    let mut deleted = Writer::new(store, 3).await;
    deleted.write(vec![ask(30)]).await;
    store.trim(&LogId::session(deleted.id), None).await.unwrap();
    let blob = LogId::blob(one.id, &"a".repeat(64)).unwrap();
    store.append(&blob, Seq::ZERO, frame(Seq::ZERO, 1), vec![row::blob(one.id, &blob)]).await.unwrap();
    let recorded =
        Recorded { prev: String::new(), hash: String::new(), record: Raw::of(&done(&one, 5)).unwrap() };
    let recorded = Event {
        seq: Seq(1),
        at: BOOT,
        by: Principal::trunkline(),
        turn: None,
        key: None,
        fact: recorded.into(),
    };
    let rows = Chain::default().advance(std::slice::from_ref(&recorded));
    let recorded = Frame::of(Uuid::now_v7(), &[recorded], false);
    store.append(&LogId::audit(), Seq::ZERO, recorded, rows).await.unwrap();
    // What waits to be recorded is in no log, so it must stay.
    let waiting = vec![done(&one, 7).waiting()];
    store.append(&log("other"), Seq::ZERO, frame(Seq::ZERO, 1), waiting).await.unwrap();
    // Of a log that has lost its beginning the rows cannot be made, so they must stay.
    let trimmed = log("trimmed");
    let kept = row(RowKind::Owed, "kept", (1, 2), "x");
    store.append(&trimmed, Seq::ZERO, frame(Seq::ZERO, 2), vec![kept]).await.unwrap();
    store.append(&trimmed, Seq(2), frame(Seq(2), 1), vec![]).await.unwrap();
    store.trim(&trimmed, Some(Seq(2))).await.unwrap();
}

#[tokio::test]
async fn rows_are_made_anew_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&path(&dir));
    fill(&store).await;
    assert!(matches!(Sqlite::reindex(path(&dir)), Err(OpenError::InUse { .. })));
    drop(store);
    let db = Connection::open(path(&dir)).unwrap();
    let before = projection(&db);
    assert!(before.len() > 20, "{before:?}");
    for damage in [
        "SELECT 1",
        "DELETE FROM row WHERE kind NOT IN (4, 8); DELETE FROM facet WHERE rank0 > 0",
        "DELETE FROM row WHERE kind = 1",
        "UPDATE row SET body = 'null', log = 2, rank0 = 7 WHERE kind < 4",
        "INSERT INTO row (kind, key, log, pos, rank0, rank1, facets, body) VALUES (2, 'x', 99, 1, 1, 1, '[]', '1')",
        "INSERT INTO facet VALUES (1, 'agent=ghost', 0, 0, 'x')",
    ] {
        db.execute_batch(damage).unwrap();
        let Reindexed { logs, rows } = Sqlite::reindex(path(&dir)).unwrap();
        assert_eq!(logs, 4, "two sessions, a blob and the audit");
        let after = projection(&db);
        assert_eq!(after, before, "{damage}");
        assert!(rows > 5 && rows < after.len() as u64);
    }
    Sqlite::check(path(&dir)).unwrap();
}

#[tokio::test]
async fn a_log_that_cannot_be_read_leaves_everything_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&path(&dir));
    fill(&store).await;
    drop(store);
    let db = Connection::open(path(&dir)).unwrap();
    db.execute_batch(
        "UPDATE frame SET body = 'not an event' WHERE pos = (SELECT max(pos) FROM frame WHERE log = 2)",
    )
    .unwrap();
    let before = projection(&db);
    let error = Sqlite::reindex(path(&dir)).unwrap_err();
    assert!(error.to_string().contains("cannot be read"), "{error}");
    assert_eq!(projection(&db), before);
}
