//! The keeper of the audit: what waits to be recorded is appended to the chain.
//!
//! A record waits in a row that was written with its fact, so nothing is lost however the daemon ends: what waits is
//! recorded when it starts again, before anything else is done. The log of a session is not removed before what waits of
//! it is recorded, because its rows go with it.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use trunkline_core::audit::chain::Head;
use trunkline_core::audit::{Brief, Chain, Command, Recorded};
use trunkline_core::event::{Event, Fact};
use trunkline_core::id::{LogId, Seq};
use trunkline_core::principal::Caller;
use trunkline_core::raw::Raw;
use trunkline_core::row::{Row, RowKind};
use trunkline_core::time::Time;
use trunkline_log::frame::{Query, Want};

use crate::cell::CommandError;
use crate::cells::Cells;
use crate::hub::Hub;
use crate::persist::persist;

/// How many records are appended together.
const BATCH: usize = 256;

/// The keeper. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Keeper {
    pub(crate) chain: Cells<Chain>,
    waiting: Arc<Notify>,
}

/// A record with its place in the audit.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its number.
    pub n: Seq,
    /// When it was recorded.
    pub at: Time,
    /// The record and its hashes.
    pub recorded: Recorded,
}

impl Keeper {
    pub(crate) fn new(chain: Cells<Chain>) -> Self {
        Self { chain, waiting: Arc::default() }
    }

    /// Something waits.
    pub(crate) fn wake(&self) {
        self.waiting.notify_one();
    }

    /// Records whatever waits, until the daemon stops.
    pub(crate) async fn keep(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.waiting.notified() => {}
            }
            if let Err(error) = persist("record what was done", || self.settle()).await {
                tracing::error!(%error, "what was done waits to be recorded");
            }
        }
    }

    /// Records all that waits now.
    pub(crate) async fn settle(&self) -> Result<(), CommandError> {
        let audit = LogId::audit();
        let waiting = Query { limit: BATCH, ..Query::all(RowKind::Unrecorded) };
        loop {
            // The head is looked at first. What is found after that and is recorded already moves the head, so the chain
            // does not take it a second time.
            let (after, pos) = self.chain.view(&audit, |chain, pos| (chain.head.n, pos)).await?;
            let found = self.chain.log().find(&waiting, pos).await?;
            let records: Vec<_> = found.rows.into_iter().filter_map(|(_, row)| record(row)).collect();
            if records.is_empty() {
                return Ok(());
            }
            let record = Command::Record { after, records };
            self.chain.command(&audit, Caller::trunkline(), record, None).await?;
        }
    }
}

/// What waits in a row. One that holds something else would never be removed by being recorded, so it is left alone.
fn record(row: Row) -> Option<Raw> {
    let is_record = |body: &Raw| Brief::of(body).is_some_and(|brief| brief.key() == row.key);
    let record = row.body.filter(is_record);
    if record.is_none() {
        tracing::error!(key = row.key, "what waits here for the audit is no record");
    }
    record
}

impl Hub {
    /// The head of the audit, with all in it that was done until now.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub async fn audit_head(&self) -> Result<Head, CommandError> {
        let keeper = self.keeper();
        keeper.settle().await?;
        keeper.chain.view(&LogId::audit(), |chain, _| chain.head.clone()).await
    }

    /// Records of the audit after a number, oldest first, up to about as many bytes. One that cannot be read any more is
    /// given without a content, so that it is seen to be broken.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn audit_after(&self, after: Seq, bytes: usize) -> Result<Vec<Entry>, CommandError> {
        let page = self.disk().read(&LogId::audit(), after, Want { bytes, folded: false }).await?;
        let lines = page.frames.iter().flat_map(|frame| frame.lines_after(after));
        Ok(lines.map(|(n, line)| entry(n, line)).collect())
    }
}

fn entry(n: Seq, line: &str) -> Entry {
    match Event::from_line(line) {
        Ok(Event { at, fact: Fact::AuditRecorded(recorded), .. }) => Entry { n, at, recorded },
        Ok(_) | Err(_) => {
            let record = Raw::parse("null").expect("null is JSON");
            Entry { n, at: Time(0), recorded: Recorded { prev: String::new(), hash: String::new(), record } }
        }
    }
}
