//! The audit, as the API shows it.

use serde::{Deserialize, Serialize};
use trunkline_core::audit::Record;
use trunkline_core::audit::chain::{Head, Link};
use trunkline_core::id::{Seq, SessionId};
use trunkline_core::raw::Raw;
use trunkline_core::time::Time;

use crate::call::Params;
use crate::client::Client;
use crate::error::Error;
use crate::types::Cursor;

/// Which records of the audit.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Only what is about this session.
    pub session: Option<SessionId>,
    /// Only what this principal did.
    pub principal: Option<String>,
    /// Only this kind of deed.
    pub kind: Option<String>,
    /// Only what was recorded then or later.
    pub since: Option<Time>,
    /// At most so many.
    pub limit: Option<usize>,
    /// Where the page begins.
    pub cursor: Option<Cursor>,
}

/// A record with its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its number.
    pub n: Seq,
    /// When it was recorded.
    pub at: Time,
    /// The hash of the record before it.
    pub prev: String,
    /// Its own.
    pub hash: String,
    /// The record, byte for byte.
    pub record: Raw,
}

impl AuditEntry {
    /// As a link of the chain.
    #[must_use]
    pub fn link(&self) -> Link<'_> {
        Link { n: self.n, prev: &self.prev, hash: &self.hash, record: self.record.get() }
    }

    /// What it says; `None` if that cannot be read.
    #[must_use]
    pub fn read(&self) -> Option<Record> {
        self.record.read().ok()
    }
}

/// Records of the audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPage {
    /// The records.
    pub items: Vec<AuditEntry>,
    /// Where the next page begins; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Cursor>,
    /// The newest record of all.
    pub head: Head,
}

impl Client {
    /// Records of the audit, newest first.
    pub async fn audit(&self, query: &AuditQuery) -> Result<AuditPage, Error> {
        let params = Params::default()
            .maybe("session", query.session.map(|id| id.to_string()).as_deref())
            .maybe("principal", query.principal.as_deref())
            .maybe("kind", query.kind.as_deref())
            .maybe("since", query.since.map(|at| at.0.to_string()).as_deref())
            .maybe("limit", query.limit.map(|limit| limit.to_string()).as_deref())
            .maybe("cursor", query.cursor.as_ref().map(Cursor::as_str));
        self.get(params.of("/v1/audit")).await
    }

    /// The chain of the audit after a number, oldest first.
    pub async fn audit_chain(&self, after: Seq) -> Result<AuditPage, Error> {
        self.get(format!("/v1/audit/chain?after={after}")).await
    }
}
