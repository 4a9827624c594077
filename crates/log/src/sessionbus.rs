//! Reads the database of the original human-input hub, and leaves it as it is.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, Row};
use serde_json::value::RawValue;
use trunkline_core::raw::Raw;
use trunkline_core::time::Time;

use crate::contract::OpenError;

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

/// Reads all sessions with their requests, the oldest first.
///
/// # Errors
/// When the file cannot be read, or is no database of that hub.
pub fn read(path: &Path) -> Result<Vec<OldSession>, OpenError> {
    let io = |source| OpenError::Io { path: path.display().to_string(), source };
    std::fs::File::open(path).map_err(io)?;
    load(path).map_err(|error| OpenError::Damaged {
        path: path.display().to_string(),
        why: format!("it cannot be read as a database of that hub: {error}"),
    })
}

fn load(path: &Path) -> rusqlite::Result<Vec<OldSession>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    // One transaction, so that requests fit their sessions while the hub still runs.
    let view = connection.unchecked_transaction()?;
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
    for session in &mut sessions {
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

/// A value of JSON; absent is the text `null` there. What Python writes and JSON does not know is left out.
fn json(text: Option<String>) -> Option<Raw> {
    let raw: Box<RawValue> = serde_json::from_str(&text?).ok()?;
    Some(Raw::from(raw)).filter(|raw| raw.get() != "null")
}

/// `2026-11-21 07:39:49.459729`, UTC.
fn moment(text: Option<String>) -> Option<Time> {
    let text = text?;
    let (date, time) = text.split_once([' ', 'T'])?;
    let mut date = date.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut clock = clock.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let fraction: String = fraction.chars().chain("000".chars()).take(3).collect();
    // Days since 1970-01-01 by the rules of the Gregorian calendar, with years that begin in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days = days + (153 * month + 2) / 5 + day - 1 - 719_468;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    Some(Time(seconds * 1_000 + fraction.parse::<i64>().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read() {
        let read = |text: &str| moment(Some(text.to_owned()));
        assert_eq!(read("1970-01-01 00:00:00.000001"), Some(Time(0)));
        assert_eq!(read("2026-11-21 07:39:49.459729"), Some(Time(1_795_246_789_459)));
        assert_eq!(read("2000-02-29T00:00:00"), Some(Time(951_782_400_000)));
        assert_eq!((read(""), read("yesterday"), moment(None)), (None, None, None));
    }

    #[test]
    fn a_hub_is_read_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agentflow.db");
        let hub = Connection::open(&path).unwrap();
        hub.execute_batch(
            "CREATE TABLE sessions(id INTEGER PRIMARY KEY, session_id TEXT UNIQUE, display_name TEXT, tenant_id TEXT, state TEXT,
               metadata_json TEXT, created_at TEXT, updated_at TEXT, last_seen_at TEXT);
             CREATE TABLE input_requests(id INTEGER PRIMARY KEY, request_id TEXT UNIQUE, session_id TEXT, title TEXT, question TEXT,
               context_json TEXT, priority TEXT, tags_json TEXT, status TEXT, response_text TEXT, responder TEXT, created_at TEXT, answered_at TEXT);
             INSERT INTO sessions VALUES (1, 's', 'bot', NULL, 'DONE', 'null', '2026-11-21 07:39:49.459729', NULL, '2026-11-21 07:40:00.000000');
             INSERT INTO input_requests VALUES (1, 'r', 's', 't', 'q', '{\"a\": 1}', 'HIGH', '[\"x\"]', 'ANSWERED', 'yes', 'ana',
               '2026-11-21 07:39:50.000000', '2026-11-21 07:39:51.000000');",
        )
        .unwrap();
        drop(hub);
        let before = std::fs::read(&path).unwrap();
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
        assert_eq!(std::fs::read(&path).unwrap(), before);
        let files: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
        assert_eq!(files.len(), 1, "{files:?}");
        std::fs::write(&path, "no database").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("of that hub"));
        assert!(matches!(read(&dir.path().join("none")), Err(OpenError::Io { .. })));
    }
}
