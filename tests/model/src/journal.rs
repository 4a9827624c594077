//! What was asked of the server: every request, how it was read, and how its answer ended.

use axum::http::{HeaderMap, Method, Uri};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tokio::sync::watch;

use crate::ask::Ask;

/// The most requests kept; the oldest go first.
pub const MAX_KEPT: usize = 1024;
/// The most bytes of request bodies kept; the oldest requests go first. The newest is kept whatever its size.
pub const MAX_KEPT_BYTES: usize = 64 << 20;

/// One request, as it came and as it was answered.
#[derive(Clone, Debug, Serialize)]
pub struct Recorded {
    /// Its number on this server, from 1, without gaps.
    pub number: u64,
    /// The HTTP method.
    pub method: String,
    /// The path, without the query. Of a `CONNECT`, which a client that takes this server for a proxy sends, the
    /// host and port it wanted.
    pub path: String,
    /// The headers, by lower-case name. A header that carries a credential reads `…` instead.
    pub headers: BTreeMap<String, String>,
    /// The body, `null` if there was none or it was not JSON.
    pub body: Value,
    /// The body as read by its dialect; absent for a side call and for a body that could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Option<Ask>,
    /// The index of the rule that answered it, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<usize>,
    /// How the answer went.
    pub outcome: Outcome,
}

/// How an answer went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is still being given.
    Open,
    /// It was given to its end.
    Complete,
    /// It was an error by the script.
    Failed,
    /// The server could not answer: no rule fits, a tool is not offered, the body or path is not understood.
    Refused,
    /// The script cut the connection.
    Cut,
    /// The client went away before the end.
    Abandoned,
}

/// The record of a server. Clones are handles to the same record.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal(Arc<watch::Sender<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    seen: u64,
    entries: VecDeque<(usize, Recorded)>,
    bytes: usize,
}

/// The open entry of one request: whoever drops it without an outcome leaves the answer abandoned.
#[derive(Debug)]
pub(crate) struct Entry {
    journal: Journal,
    number: u64,
}

/// Headers whose value is a credential.
const CREDENTIALS: [&str; 5] =
    ["authorization", "x-api-key", "x-goog-api-key", "proxy-authorization", "cookie"];

impl Journal {
    /// Takes a request into the record.
    pub(crate) fn begin(&self, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Entry {
        let mut number = 0;
        let mut recorded = Recorded {
            number,
            method: method.to_string(),
            path: target(uri),
            headers: readable(headers),
            body: serde_json::from_slice(body).unwrap_or(Value::Null),
            ask: None,
            rule: None,
            outcome: Outcome::Open,
        };
        self.0.send_modify(|kept| {
            kept.seen += 1;
            number = kept.seen;
            recorded.number = number;
            kept.take(body.len(), recorded);
        });
        Entry { journal: self.clone(), number }
    }

    pub(crate) fn all(&self) -> Vec<Recorded> {
        self.0.borrow().entries.iter().map(|(_, recorded)| recorded.clone()).collect()
    }

    /// Waits until a kept request is as `wanted`, and returns the oldest such.
    pub(crate) async fn find(&self, wanted: impl Fn(&Recorded) -> bool) -> Recorded {
        let mut watching = self.0.subscribe();
        loop {
            let found = watching
                .borrow_and_update()
                .entries
                .iter()
                .map(|(_, one)| one)
                .find(|one| wanted(one))
                .cloned();
            if let Some(found) = found {
                return found;
            }
            watching.changed().await.expect("self holds the sender");
        }
    }
}

impl Kept {
    fn take(&mut self, size: usize, recorded: Recorded) {
        self.entries.push_back((size, recorded));
        self.bytes += size;
        while self.entries.len() > MAX_KEPT || (self.bytes > MAX_KEPT_BYTES && self.entries.len() > 1) {
            let (size, _) = self.entries.pop_front().expect("the entry just pushed is there");
            self.bytes -= size;
        }
    }

    fn get(&mut self, number: u64) -> Option<&mut Recorded> {
        let back = usize::try_from(self.seen - number).ok()?;
        let index = self.entries.len().checked_sub(back + 1)?;
        self.entries.get_mut(index).map(|(_, recorded)| recorded)
    }
}

impl Entry {
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn read_as(&self, ask: Ask) {
        self.change(|recorded| recorded.ask = Some(ask));
    }

    pub(crate) fn ruled_by(&self, rule: usize) {
        self.change(|recorded| recorded.rule = Some(rule));
    }

    /// Says how the answer went; only the first word counts.
    pub(crate) fn close(&self, outcome: Outcome) {
        self.change(|recorded| {
            if recorded.outcome == Outcome::Open {
                recorded.outcome = outcome;
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Recorded)) {
        self.journal.0.send_if_modified(|kept| kept.get(self.number).map(change).is_some());
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.close(Outcome::Abandoned);
    }
}

/// A proxy's client names the host too: `host:port` with CONNECT, `http://host/path` otherwise.
fn target(uri: &Uri) -> String {
    let host = uri.authority().map(ToString::to_string).unwrap_or_default();
    host + uri.path()
}

fn readable(headers: &HeaderMap) -> BTreeMap<String, String> {
    let shown = |name: &str, value: &[u8]| match CREDENTIALS.contains(&name) {
        true => "…".to_owned(),
        false => String::from_utf8_lossy(value).into_owned(),
    };
    headers.iter().map(|(name, value)| (name.to_string(), shown(name.as_str(), value.as_bytes()))).collect()
}
