//! Reads the handoff database of the original agent bus, and leaves it as it is.

use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use trunkline_core::handoff::{CheckpointCreated, CheckpointId, HandoffId, LaneId, LaneOpened, Saved, Stamp};
use trunkline_core::raw::Raw;

use crate::contract::OpenError;
use crate::foreign;

/// The protocol of that bus, in facts.
pub const ENGRAM: &str = "engram";

/// A handoff of the bus, with all that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldHandoff {
    /// The handoff: there it is called a session.
    pub saved: Saved,
    /// Its lanes, oldest first, each with the time at which it was closed.
    pub lanes: Vec<(LaneOpened, Option<Stamp>)>,
    /// Its checkpoints, oldest first.
    pub checkpoints: Vec<CheckpointCreated>,
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Read {
    /// The handoffs, the one last changed last.
    pub handoffs: Vec<OldHandoff>,
    /// How many rows were passed over because their id is none that can be kept.
    pub odd: usize,
}

/// Reads all handoffs with their lanes and checkpoints. Nothing is written to the file or beside it.
///
/// # Errors
/// When the file cannot be read, is no database of that bus, or is being written.
pub fn read(path: &Path) -> Result<Read, OpenError> {
    foreign::read(path, "that bus", load)
}

fn load(bus: &Connection) -> rusqlite::Result<Read> {
    // One transaction, so that lanes and checkpoints fit their handoffs while the bus still runs.
    let view = bus.unchecked_transaction()?;
    let mut handoffs = view.prepare(
        "SELECT id, agent_id, repo, status, task_summary, decisions, files_touched, todos, metadata, created, updated \
         FROM handoff_sessions ORDER BY updated, rowid",
    )?;
    let mut lanes = view.prepare(
        "SELECT id, from_agent, to_agent, status, context, created, updated FROM handoff_lanes WHERE session_id = ?1 \
         ORDER BY created, rowid",
    )?;
    let mut checkpoints = view.prepare(
        "SELECT id, lane_id, agent_id, snapshot, created FROM handoff_checkpoints WHERE session_id = ?1 \
         ORDER BY created, rowid",
    )?;
    let mut read = Read::default();
    for saved in handoffs.query_map([], saved)? {
        let Some(saved) = saved? else {
            read.odd += 1;
            continue;
        };
        let id = saved.id.as_str();
        let lanes = lanes.query_map([id], lane)?.collect::<rusqlite::Result<Vec<_>>>()?;
        let checkpoints = checkpoints.query_map([id], checkpoint)?.collect::<rusqlite::Result<Vec<_>>>()?;
        read.odd += lanes.iter().filter(|lane| lane.is_none()).count();
        read.odd += checkpoints.iter().filter(|checkpoint| checkpoint.is_none()).count();
        let lanes: Vec<_> = lanes.into_iter().flatten().collect();
        let mut checkpoints: Vec<_> = checkpoints.into_iter().flatten().collect();
        // There a checkpoint may name the lane of another handoff.
        for checkpoint in &mut checkpoints {
            checkpoint.lane =
                checkpoint.lane.take().filter(|lane| lanes.iter().any(|(own, _)| own.id == *lane));
        }
        read.handoffs.push(OldHandoff { saved, lanes, checkpoints });
    }
    Ok(read)
}

/// A handoff; `None` if its id cannot be kept.
fn saved(row: &Row<'_>) -> rusqlite::Result<Option<Saved>> {
    let Ok(id) = required(row, 0)?.parse::<HandoffId>() else { return Ok(None) };
    let plain = Saved::of(id, required(row, 1)?);
    let created = stamp(row, 9)?;
    Ok(Some(Saved {
        repo: text(row, 2)?,
        status: text(row, 3)?.unwrap_or(plain.status),
        task_summary: text(row, 4)?,
        decisions: json(row, 5)?.unwrap_or(plain.decisions),
        files_touched: json(row, 6)?.unwrap_or(plain.files_touched),
        todos: json(row, 7)?.unwrap_or(plain.todos),
        metadata: json(row, 8)?.unwrap_or(plain.metadata),
        born: Some(ENGRAM.to_owned()),
        created,
        updated: stamp(row, 10)?.max(created),
        ..plain
    }))
}

fn lane(row: &Row<'_>) -> rusqlite::Result<Option<(LaneOpened, Option<Stamp>)>> {
    let Ok(id) = required(row, 0)?.parse::<LaneId>() else { return Ok(None) };
    let context = json(row, 4)?.unwrap_or_else(|| Raw::parse("{}").expect("it is JSON"));
    let (from_agent, to_agent, created) = (required(row, 1)?, required(row, 2)?, stamp(row, 5)?);
    let closed = if required(row, 3)? == "closed" { Some(stamp(row, 6)?.max(created)) } else { None };
    Ok(Some((LaneOpened { id, from_agent, to_agent, context, created }, closed)))
}

fn checkpoint(row: &Row<'_>) -> rusqlite::Result<Option<CheckpointCreated>> {
    let Ok(id) = required(row, 0)?.parse::<CheckpointId>() else { return Ok(None) };
    Ok(Some(CheckpointCreated {
        id,
        lane: text(row, 1)?.and_then(|lane| lane.parse::<LaneId>().ok()),
        agent_id: required(row, 2)?,
        snapshot: json(row, 3)?.unwrap_or_else(|| Raw::parse("null").expect("it is JSON")),
        session: None,
        automatic: false,
        created: stamp(row, 4)?,
        replaces: Vec::new(),
    }))
}

/// A text, or a number as one: columns there hold what they were given.
fn text(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<String>> {
    Ok(match row.get_ref(at)? {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
    })
}

fn required(row: &Row<'_>, at: usize) -> rusqlite::Result<String> {
    Ok(text(row, at)?.unwrap_or_default())
}

/// A value of JSON. What Python writes and JSON does not know, such as `NaN`, is kept as a text of it.
fn json(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Raw>> {
    let Some(text) = text(row, at)? else { return Ok(None) };
    let raw = Raw::parse(&text).or_else(|_| Raw::of(&text));
    Ok(Some(raw.expect("a text has a JSON form")))
}

/// A time; that of the beginning of 1970, if it cannot be read.
fn stamp(row: &Row<'_>, at: usize) -> rusqlite::Result<Stamp> {
    let text = text(row, at)?;
    Ok(Stamp(text.as_deref().and_then(foreign::micros).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"
        PRAGMA journal_mode = wal;
        CREATE TABLE handoff_sessions(id TEXT PRIMARY KEY, agent_id TEXT NOT NULL, repo TEXT, status TEXT NOT NULL DEFAULT 'active',
          task_summary TEXT, decisions TEXT, files_touched TEXT, todos TEXT, metadata TEXT, created TEXT, updated TEXT);
        CREATE TABLE handoff_lanes(id TEXT PRIMARY KEY, session_id TEXT REFERENCES handoff_sessions(id), from_agent TEXT,
          to_agent TEXT, status TEXT DEFAULT 'open', context TEXT, created TEXT, updated TEXT);
        CREATE TABLE handoff_checkpoints(id TEXT PRIMARY KEY, session_id TEXT REFERENCES handoff_sessions(id), lane_id TEXT,
          agent_id TEXT, snapshot TEXT, created TEXT);
        INSERT INTO handoff_sessions VALUES ('aaaaaaaaaaaa', 'ana', '/work', 'paused', 'fix it', '["d"]', '[]', '["t"]', '{"n": 1}',
          '2026-11-21T07:57:43.834314+00:00', '2026-11-21T08:00:00+00:00');
        INSERT INTO handoff_sessions VALUES ('bbbbbbbbbbbb', 'bob', NULL, 'active', NULL, 'null', '[]', '[]', 'NaN',
          '2026-11-21T07:00:00+00:00', '2026-11-21T07:00:00+00:00');
        INSERT INTO handoff_sessions VALUES ('', 'eve', NULL, 'active', NULL, '[]', '[]', '[]', '{}', '', '');
        INSERT INTO handoff_lanes VALUES ('111111111111', 'aaaaaaaaaaaa', 'ana', 'bob', 'closed', '{}',
          '2026-11-21T07:58:00+00:00', '2026-11-21T07:59:00.5+00:00');
        INSERT INTO handoff_lanes VALUES ('222222222222', 'bbbbbbbbbbbb', 'bob', 'ana', 'open', '{"x": 1}',
          '2026-11-21T07:58:00+00:00', '2026-11-21T07:58:00+00:00');
        INSERT INTO handoff_checkpoints VALUES ('333333333333', 'aaaaaaaaaaaa', '111111111111', 'ana', 'null',
          '2026-11-21T07:58:30.000001+00:00');
        INSERT INTO handoff_checkpoints VALUES ('444444444444', 'aaaaaaaaaaaa', '222222222222', 'bob', '{"a":[1]}',
          '2026-11-21T07:58:31+00:00');"#;

    #[test]
    fn handoffs_are_read_with_their_ids_and_times_to_the_microsecond() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("handoff.db");
        let bus = Connection::open(&path).unwrap();
        bus.execute_batch(SCHEMA).unwrap();
        let Read { handoffs, odd } = read(&path).unwrap();
        drop(bus);
        assert_eq!(odd, 1, "an empty id cannot be kept");
        let [bob, ana] = &handoffs[..] else { panic!("{handoffs:?}") };
        assert_eq!((ana.saved.id.as_str(), ana.saved.status.as_str()), ("aaaaaaaaaaaa", "paused"));
        assert_eq!(ana.saved.created, Stamp(1_795_247_863_834_314));
        assert_eq!((ana.saved.metadata.get(), ana.saved.born.as_deref()), ("{\"n\": 1}", Some(ENGRAM)));
        assert_eq!(ana.lanes[0].1, Some(Stamp(1_795_247_940_500_000)));
        let [first, second] = &ana.checkpoints[..] else { panic!("{:?}", ana.checkpoints) };
        assert_eq!((first.snapshot.get(), first.lane.as_ref()), ("null", Some(&ana.lanes[0].0.id)));
        assert_eq!(
            (second.snapshot.get(), &second.lane),
            ("{\"a\":[1]}", &None),
            "another handoff's lane is none"
        );
        assert_eq!((bob.saved.decisions.get(), bob.saved.metadata.get()), ("null", "\"NaN\""));
        assert_eq!((bob.saved.repo.as_deref(), bob.lanes[0].1), (None, None));
        assert!(read(&dir.path().join("none")).is_err());
    }
}
