//! Rows: what can be found without reading logs. They are computed with the events and kept in the same transaction.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::event::{Event, Fact};
use crate::id::{LogId, RequestId, SessionId};
use crate::machine::{Machine, Receipt};
use crate::outside::Born;
use crate::principal::Principal;
use crate::raw::Raw;
use crate::request::{Open, Priority};
use crate::session::Session;
use crate::time::Time;
use crate::view::{RequestStatus, RequestView};

/// What a row is about. The numbers are on disk and never change their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RowKind {
    /// A session, newest activity first. Body: `SessionView`.
    Session = 1,
    /// A request, newest first, closed ones too. Body: `RequestView`.
    Request = 2,
    /// A request that waits for a person, most urgent first, then oldest first. Body: `RequestView`.
    Inbox = 3,
    /// A log that owes the outside something. Key: the session. Body: `null`.
    Owed = 4,
    /// An idempotency key. Key: session, principal, key. Body: where the outcome stands.
    Key = 5,
    /// Something large beside a session's log. Key: the name of its log. Body: `null`.
    Blob = 6,
    /// When the agent of a session that runs elsewhere was last there, the latest first. In the `live` store. Key: the
    /// session. Body: the time.
    Seen = 7,
    /// What is to be recorded in the audit, oldest first; removed once it is. Body: `audit::Record`.
    Unrecorded = 8,
    /// A record of the audit, newest first. Key: its number. Body: `null`; the record is read from the chain.
    Audit = 9,
    /// A log that lives in memory and is copied to the disk. Key: the name of the log. Body: `null`.
    Copied = 10,
    /// A handoff, the one last changed first. Body: `HandoffView`.
    Handoff = 20,
    /// A lane of a handoff, newest first. Body: `LaneView`.
    Lane = 21,
    /// A checkpoint of a handoff, newest first. Body: `CheckpointView`.
    Checkpoint = 22,
}

impl RowKind {
    /// All kinds.
    pub const ALL: [Self; 13] = [
        Self::Session,
        Self::Request,
        Self::Inbox,
        Self::Owed,
        Self::Key,
        Self::Blob,
        Self::Seen,
        Self::Unrecorded,
        Self::Audit,
        Self::Copied,
        Self::Handoff,
        Self::Lane,
        Self::Checkpoint,
    ];
}

/// A row of a list, or its removal.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What it is about.
    pub kind: RowKind,
    /// Its key, unique within the kind.
    pub key: String,
    /// Its place in the list: smaller first, the key breaks ties.
    pub rank: (i64, i64),
    /// When time alone may change it.
    pub due: Option<Time>,
    /// What it can be filtered by, such as `state=running`.
    pub facets: Vec<String>,
    /// What it says; `None` removes the row.
    pub body: Option<Raw>,
}

impl Row {
    /// The removal of a row.
    #[must_use]
    pub fn removed(kind: RowKind, key: String) -> Self {
        Self { kind, key, rank: (0, 0), due: None, facets: Vec::new(), body: None }
    }
}

/// A filter value of a row.
#[must_use]
pub fn facet(name: &str, value: impl std::fmt::Display) -> String {
    format!("{name}={value}")
}

/// The row by which something large of a session is found again.
#[must_use]
pub fn blob(session: SessionId, log: &LogId) -> Row {
    let removed = Row::removed(RowKind::Blob, log.as_str().to_owned());
    Row { facets: vec![facet("session", session)], body: Some(null()), ..removed }
}

/// The row by which a log that is copied to the disk is found again.
#[must_use]
pub fn copied(log: &LogId) -> Row {
    Row { body: Some(null()), ..Row::removed(RowKind::Copied, log.as_str().to_owned()) }
}

/// The key of the row that remembers an idempotency key.
#[must_use]
pub fn key_of(session: SessionId, by: &Principal, key: &str) -> String {
    format!("{session}/{}/{key}", by.key_part())
}

/// Body of a row of kind [`RowKind::Key`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyBody {
    /// Digest of the command's body.
    pub digest: String,
    /// First event caused.
    pub first: u64,
    /// Last event caused.
    pub last: u64,
}

impl From<KeyBody> for Receipt {
    fn from(body: KeyBody) -> Self {
        Self { digest: body.digest, first: crate::id::Seq(body.first), last: crate::id::Seq(body.last) }
    }
}

/// Applies events to a session and gives the rows that follow.
pub(crate) fn advance(session: &mut Session, events: &[Event]) -> Vec<Row> {
    let mut leaving: BTreeMap<RequestId, Open> = BTreeMap::new();
    for event in events {
        if let Fact::RequestClosed(closed) = &event.fact {
            leaving.extend(session.requests.open.get(&closed.id).map(|open| (closed.id, open.clone())));
        }
        session.apply(event);
    }
    let touched: BTreeSet<RequestId> = events.iter().filter_map(|event| request_of(&event.fact)).collect();
    let mut rows = Vec::new();
    for id in touched {
        let open = session.requests.open.get(&id).or_else(|| leaving.get(&id));
        let view = open.and_then(|open| session.request_view(open, session.requests.closed.get(&id)));
        rows.extend(view.iter().flat_map(request_rows));
    }
    if events.iter().any(|event| crate::session::moves(&event.fact)) {
        rows.extend(session_rows(session));
    }
    rows.extend(events.iter().filter_map(|event| key_row(session, event)));
    rows
}

fn session_rows(session: &Session) -> Vec<Row> {
    let Some(view) = session.view() else { return Vec::new() };
    let key = view.id.to_string();
    let wanted = session.wanted();
    let owes = !wanted.effects.is_empty() || session.agent.process.is_some();
    let owed = Row::removed(RowKind::Owed, key.clone());
    let owed = if owes { Row { body: Some(null()), ..owed } } else { owed };
    let mut facets = vec![facet("agent", &view.agent), facet("state", view.state.word())];
    facets.extend(view.workspace.iter().map(|path| facet("workspace", path)));
    facets.extend(view.project.iter().map(|path| facet("project", path)));
    facets.extend(tenant(view.born.as_ref()));
    let row = Row {
        kind: RowKind::Session,
        key,
        rank: (-view.updated_at.0, 0),
        due: wanted.next,
        facets,
        body: Some(body(&view)),
    };
    let row = if session.deleted { Row::removed(RowKind::Session, row.key) } else { row };
    vec![row, owed]
}

fn tenant(born: Option<&Born>) -> Option<String> {
    born?.tenant.as_ref().map(|tenant| facet("tenant", tenant))
}

fn request_rows(view: &RequestView) -> [Row; 2] {
    let key = view.id.to_string();
    let mut facets = vec![facet("session", view.session), facet("status", view.status.word())];
    facets.extend(view.project.iter().map(|path| facet("project", path)));
    facets.extend(tenant(view.born.as_ref()));
    let shared = Row {
        kind: RowKind::Request,
        key: key.clone(),
        rank: (-view.created_at.0, -view.id.age()),
        due: None,
        facets,
        body: Some(body(view)),
    };
    let urgency = match view.priority {
        Priority::Urgent => 0,
        Priority::High => 1,
        Priority::Normal => 2,
        Priority::Low => 3,
    };
    let inbox = match view.status {
        RequestStatus::Open => {
            Row { kind: RowKind::Inbox, rank: (urgency, view.created_at.0), ..shared.clone() }
        }
        RequestStatus::Dismissed
        | RequestStatus::Answered
        | RequestStatus::Expired
        | RequestStatus::Cancelled
        | RequestStatus::Superseded => Row::removed(RowKind::Inbox, key),
    };
    [shared, inbox]
}

fn key_row(session: &Session, event: &Event) -> Option<Row> {
    let (created, ..) = session.created.as_ref()?;
    let key = event.key.as_ref()?;
    let first = event.seq.0;
    let last = event.seq.plus(key.count.saturating_sub(1)).0;
    let receipt = KeyBody { digest: key.digest.clone(), first, last };
    let name = key_of(created.id, &event.by, &key.key);
    Some(Row { body: Some(body(&receipt)), ..Row::removed(RowKind::Key, name) })
}

const fn request_of(fact: &Fact) -> Option<RequestId> {
    match fact {
        Fact::RequestOpened(asked) => Some(asked.id),
        Fact::RequestJudged(fact) => Some(fact.id),
        Fact::RequestEscalated(fact) => Some(fact.id),
        Fact::RequestDismissed(fact) => Some(fact.id),
        Fact::RequestClosed(fact) => Some(fact.id),
        _ => None,
    }
}

pub(crate) fn body<T: Serialize>(value: &T) -> Raw {
    Raw::of(value).expect("every view has a JSON form")
}

fn null() -> Raw {
    body(&())
}
