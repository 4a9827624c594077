//! What to do when it is not known whether an append was written.

use std::time::Duration;

use trunkline_core::id::{LogId, Seq};
use trunkline_core::row::Row;

use crate::contract::{AppendError, Log, LogError};
use crate::frame::{Commit, Frame, Want};

/// How often a store is asked before it counts as down.
const TRIES: u32 = 8;

/// The pause after the first try; it doubles with each, so that the store gets five seconds in all.
const PAUSE: Duration = Duration::from_millis(20);

/// Appends a frame, and settles it when the store does not know whether it did.
///
/// # Errors
/// As [`Log::append`], but never [`AppendError::Unknown`].
pub async fn append_settled(
    log: &dyn Log,
    id: &LogId,
    after: Seq,
    frame: Frame,
    rows: Vec<Row>,
) -> Result<Commit, AppendError> {
    match log.append(id, after, frame.clone(), rows.clone()).await {
        Err(AppendError::Unknown) => settle(log, id, after, &frame, &rows).await,
        known => known,
    }
}

/// Finds out what became of an append that ended in [`AppendError::Unknown`], and appends again if it was not written.
///
/// The frame's id tells: if the log goes on after `after` with that id, the append was written, and its commit is given,
/// with a `pos` that may be later than its own; if it goes on with another, somebody else was first; if it does not go
/// on, the same is appended again, which is safe because of `after`. Doing this twice changes nothing.
///
/// # Errors
/// As [`Log::append`], but never [`AppendError::Unknown`]: a store that does not know for about five seconds is
/// [`AppendError::Down`], and then it is still not known.
pub async fn settle(
    log: &dyn Log,
    id: &LogId,
    after: Seq,
    frame: &Frame,
    rows: &[Row],
) -> Result<Commit, AppendError> {
    let mut why = String::new();
    for wait in (0..TRIES).map(|n| PAUSE * 2_u32.pow(n)) {
        match look(log, id, after, frame).await {
            Ok(Some(found)) => return found,
            Ok(None) => match log.append(id, after, frame.clone(), rows.to_vec()).await {
                // A moved head may be this very frame, written by the append that was not known.
                Err(AppendError::Unknown | AppendError::Moved { .. }) => {}
                Err(AppendError::Down(said)) => why = said,
                known => return known,
            },
            Err(said) => why = said.to_string(),
        }
        tokio::time::sleep(wait).await;
    }
    Err(AppendError::Down(format!("it cannot be found out whether {id} was written: {why}")))
}

/// What stands after `after`: the outcome, or nothing yet.
async fn look(
    log: &dyn Log,
    id: &LogId,
    after: Seq,
    frame: &Frame,
) -> Result<Option<Result<Commit, AppendError>>, LogError> {
    let page = match log.read(id, after, Want { bytes: 1, folded: false }).await {
        Err(LogError::Gone) => return Ok(Some(Err(AppendError::Gone))),
        page => page?,
    };
    let written = page.frames.first().is_some_and(|found| found.id == frame.id);
    Ok(if written {
        Some(Ok(Commit { head: frame.last, pos: log.pos() }))
    } else if page.head > after {
        Some(Err(AppendError::Moved { head: page.head }))
    } else {
        None
    })
}
