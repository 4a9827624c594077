//! Reads the database of the original human-input hub, and leaves it as it is.

use std::path::Path;

use rusqlite::{Connection, Row};
use serde::Deserialize;
use serde_json::value::RawValue;
use trunkline_core::raw::Raw;
use trunkline_core::time::Time;

use crate::contract::OpenError;
use crate::foreign;

/// A session of the hub.
#[derive(Debug, Clone, PartialEq)]
pub struct OldSession {
    /// Its id there.
    pub id: String,
    /// What the agent calls itself.
    pub name: String,
    /// Whose it is.
    pub tenant: Option<String>,
    /// `WORKING`, `WAITING_FOR_INPUT`, `DONE` or `ERROR`.
    pub state: String,
    /// Its metadata.
    pub metadata: Option<Raw>,
    /// When it was registered.
    pub created: Time,
    /// When it was last seen.
    pub seen: Time,
    /// What it asked, oldest first.
    pub requests: Vec<OldRequest>,
    /// What lay in its inbox, oldest first.
    pub messages: Vec<OldMessage>,
}

/// A request of the hub.
#[derive(Debug, Clone, PartialEq)]
pub struct OldRequest {
    /// Its id there.
    pub id: String,
    /// One line.
    pub title: String,
    /// The question in full.
    pub question: String,
    /// Whatever helps to decide.
    pub context: Option<Raw>,
    /// `LOW`, `NORMAL`, `HIGH` or `URGENT`.
    pub priority: String,
    /// Labels.
    pub tags: Option<Vec<String>>,
    /// `PENDING`, `ANSWERED` or `DISMISSED`.
    pub status: String,
    /// The answer, and who gave it.
    pub answer: Option<(String, Option<String>)>,
    /// When it was asked.
    pub created: Time,
    /// When it was answered.
    pub answered: Option<Time>,
}

/// An answer in the inbox of an agent of the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldMessage {
    /// Its id there.
    pub id: String,
    /// The request it answers.
    pub request: String,
    /// The answer.
    pub text: String,
    /// Who gave it.
    pub responder: Option<String>,
    /// When it was left.
    pub created: Time,
    /// When it was first fetched.
    pub delivered: Option<Time>,
    /// When the agent was done with it.
    pub acked: Option<Time>,
}

/// Reads all sessions with their requests and messages, the oldest first. Nothing is written to the file or beside it: what a
/// hub has left in a journal is brought in on a copy.
///
/// # Errors
/// When the file cannot be read, is no database of that hub, or is being written.
pub fn read(path: &Path) -> Result<Vec<OldSession>, OpenError> {
    foreign::read(path, "that hub", load)
}

fn load(hub: &Connection) -> rusqlite::Result<Vec<OldSession>> {
    // One transaction, so that requests fit their sessions while the hub still runs.
    let view = hub.unchecked_transaction()?;
    let mut sessions = view
        .prepare(
            "SELECT session_id, display_name, tenant_id, state, metadata_json, created_at, last_seen_at FROM sessions ORDER BY id",
        )?
        .query_map([], session)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut requests = view.prepare(
        "SELECT request_id, title, question, context_json, priority, tags_json, status, response_text, responder, \
         created_at, answered_at FROM input_requests WHERE session_id = ?1 ORDER BY created_at, id",
    )?;
    let mut messages = view.prepare(
        "SELECT message_id, payload_json, created_at, delivered_at, acked_at FROM inbox_messages \
         WHERE session_id = ?1 AND message_type = 'INPUT_RESPONSE' ORDER BY created_at, id",
    )?;
    for session in &mut sessions {
        let found = messages.query_map([&session.id], message)?.collect::<rusqlite::Result<Vec<_>>>()?;
        session.messages = found.into_iter().flatten().collect();
        session.requests = requests.query_map([&session.id], request)?.collect::<rusqlite::Result<_>>()?;
    }
    Ok(sessions)
}

fn session(row: &Row<'_>) -> rusqlite::Result<OldSession> {
    let created = moment(row.get(5)?).unwrap_or_default();
    Ok(OldSession {
        id: row.get(0)?,
        name: row.get(1)?,
        tenant: row.get(2)?,
        state: row.get(3)?,
        metadata: json(row.get(4)?).filter(Raw::is_object),
        created,
        seen: moment(row.get(6)?).unwrap_or(created),
        requests: Vec::new(),
        messages: Vec::new(),
    })
}

fn request(row: &Row<'_>) -> rusqlite::Result<OldRequest> {
    let text: Option<String> = row.get(7)?;
    let responder: Option<String> = row.get(8)?;
    Ok(OldRequest {
        id: row.get(0)?,
        title: row.get(1)?,
        question: row.get(2)?,
        context: json(row.get(3)?),
        priority: row.get(4)?,
        tags: json(row.get(5)?).and_then(|tags| tags.read().ok()),
        status: row.get(6)?,
        answer: text.map(|text| (text, responder)),
        created: moment(row.get(9)?).unwrap_or_default(),
        answered: moment(row.get(10)?),
    })
}

#[derive(Deserialize)]
struct Payload {
    request_id: String,
    response_text: String,
    responder: Option<String>,
}

/// A message; `None` for one that says nothing.
fn message(row: &Row<'_>) -> rusqlite::Result<Option<OldMessage>> {
    let payload: String = row.get(1)?;
    let Ok(Payload { request_id, response_text, responder }) = serde_json::from_str(&payload) else {
        return Ok(None);
    };
    Ok(Some(OldMessage {
        id: row.get(0)?,
        request: request_id,
        text: response_text,
        responder,
        created: moment(row.get(2)?).unwrap_or_default(),
        delivered: moment(row.get(3)?),
        acked: moment(row.get(4)?),
    }))
}

/// A value of JSON; absent is the text `null` there. What Python writes and JSON does not know is left out.
fn json(text: Option<String>) -> Option<Raw> {
    let raw: Box<RawValue> = serde_json::from_str(&text?).ok()?;
    Some(Raw::from(raw)).filter(|raw| raw.get() != "null")
}

/// `2026-11-21 07:39:49.459729`, UTC.
fn moment(text: Option<String>) -> Option<Time> {
    foreign::micros(&text?).map(|micros| Time(micros.div_euclid(1_000)))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn moments_are_read() {
        let read = |text: &str| moment(Some(text.to_owned()));
        assert_eq!(read("1970-01-01 00:00:00.000001"), Some(Time(0)));
        assert_eq!(read("2026-11-21 07:39:49.459729"), Some(Time(1_795_246_789_459)));
        assert_eq!(read("2000-02-29T00:00:00"), Some(Time(951_782_400_000)));
        assert_eq!((read(""), read("yesterday"), moment(None)), (None, None, None));
    }

    const SCHEMA: &str = "
        CREATE TABLE sessions(id INTEGER PRIMARY KEY, session_id TEXT UNIQUE, display_name TEXT, tenant_id TEXT, state TEXT,
          metadata_json TEXT, created_at TEXT, updated_at TEXT, last_seen_at TEXT);
        CREATE TABLE input_requests(id INTEGER PRIMARY KEY, request_id TEXT UNIQUE, session_id TEXT, title TEXT, question TEXT,
          context_json TEXT, priority TEXT, tags_json TEXT, status TEXT, response_text TEXT, responder TEXT, created_at TEXT, answered_at TEXT);
        CREATE TABLE inbox_messages(id INTEGER PRIMARY KEY, message_id TEXT UNIQUE, session_id TEXT, message_type TEXT,
          payload_json TEXT, status TEXT, created_at TEXT, delivered_at TEXT, acked_at TEXT);
        INSERT INTO sessions VALUES (1, 's', 'bot', NULL, 'DONE', 'null', '2026-11-21 07:39:49.459729', NULL, '2026-11-21 07:40:00.000000');
        INSERT INTO input_requests VALUES (1, 'r', 's', 't', 'q', '{\"a\": 1}', 'HIGH', '[\"x\"]', 'ANSWERED', 'yes', 'ana',
          '2026-11-21 07:39:50.000000', '2026-11-21 07:39:51.000000');
        INSERT INTO inbox_messages VALUES (1, 'm', 's', 'INPUT_RESPONSE',
          '{\"request_id\": \"r\", \"response_text\": \"yes\", \"responder\": \"ana\", \"answered_at\": \"2026-11-21T07:39:51+00:00\"}',
          'DELIVERED', '2026-11-21 07:39:51.000000', '2026-11-21 07:39:52.000000', NULL);";

    /// What lies in a folder, byte for byte.
    fn folder(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = entries.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
        files.sort();
        files
    }

    /// A hub's database, in a folder of its own, as `pragma` makes it.
    fn hub(pragma: &str) -> (tempfile::TempDir, PathBuf, Connection) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agentflow.db");
        let hub = Connection::open(&path).unwrap();
        hub.execute_batch(pragma).unwrap();
        hub.execute_batch(SCHEMA).unwrap();
        (dir, path, hub)
    }

    #[test]
    fn a_hub_is_read_and_left_as_it_is() {
        let (dir, path, connection) = hub("");
        drop(connection);
        let before = folder(dir.path());
        let sessions = read(&path).unwrap();
        assert_eq!(
            (sessions.len(), sessions[0].metadata.clone(), sessions[0].seen),
            (1, None, Time(1_795_246_800_000))
        );
        let request = &sessions[0].requests[0];
        assert_eq!(request.answer, Some(("yes".to_owned(), Some("ana".to_owned()))));
        assert_eq!(
            (request.tags.as_deref(), request.context.as_ref().map(Raw::get)),
            (Some(&["x".to_owned()][..]), Some("{\"a\": 1}"))
        );
        let message = &sessions[0].messages[0];
        assert_eq!((message.request.as_str(), message.text.as_str()), ("r", "yes"));
        assert_eq!((message.delivered, message.acked), (Some(Time(1_795_246_792_000)), None));
        assert_eq!(folder(dir.path()), before);
        std::fs::write(&path, "no database").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("of that hub"));
        assert!(matches!(read(&dir.path().join("none")), Err(OpenError::Io { .. })));
    }

    #[test]
    fn what_lies_in_a_write_ahead_log_is_read_and_left_there() {
        let (dir, path, connection) = hub("PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0;");
        let before = folder(dir.path());
        assert!(before.iter().any(|(path, bytes)| path.ends_with("agentflow.db-wal") && !bytes.is_empty()));
        assert_eq!(read(&path).unwrap().len(), 1, "nothing of it is in the file itself yet");
        assert_eq!(folder(dir.path()), before);
        drop(connection);
        let before = folder(dir.path());
        assert_eq!(before.len(), 1, "the hub has gone, and its log with it");
        assert_eq!(read(&path).unwrap().len(), 1);
        assert_eq!(folder(dir.path()), before);
    }

    #[test]
    fn what_a_hub_that_was_killed_had_begun_is_not_read() {
        let (dir, path, connection) = hub("PRAGMA cache_size = 1;");
        // Far more than the cache holds is written before it is done, so that it stands in the file already.
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        for n in 0..200 {
            let id = format!("half {n}");
            connection
                .execute(
                    "INSERT INTO sessions(session_id, display_name) VALUES (?1, ?2)",
                    [&id, &"x".repeat(3_000)],
                )
                .unwrap();
        }
        let dead = tempfile::tempdir().unwrap();
        for (file, bytes) in folder(dir.path()) {
            std::fs::write(dead.path().join(file.file_name().unwrap()), bytes).unwrap();
        }
        drop(connection);
        let before = folder(dead.path());
        assert_eq!(before.len(), 2, "its journal is beside it");
        let left = dead.path().join(path.file_name().unwrap());
        assert_eq!(read(&left).unwrap().len(), 1);
        assert_eq!(folder(dead.path()), before);
    }
}
