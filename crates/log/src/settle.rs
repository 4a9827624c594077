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

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use async_trait::async_trait;
    use futures_util::stream::BoxStream;
    use trunkline_core::id::Pos;
    use trunkline_core::row::RowKind;
    use trunkline_core::time::Time;

    use super::*;
    use crate::conformance::kit::{frame, log, row};
    use crate::frame::{Change, Found, Page, Query};
    use crate::memory::Memory;

    /// How an append goes wrong.
    #[derive(Debug, Clone, Copy)]
    enum Doubt {
        /// It is written, and nobody knows.
        Written,
        /// It is lost, and nobody knows.
        Lost,
        /// It is lost, and another frame is written.
        Overtaken,
        /// It is lost, and the log is removed.
        Removed,
        /// The store says that it does not work.
        Down,
    }

    /// A store that fails as it is told to, and then works.
    struct Doubtful {
        store: Memory,
        script: Mutex<VecDeque<Doubt>>,
    }

    impl Doubtful {
        fn new(script: impl IntoIterator<Item = Doubt>) -> Self {
            let script = Mutex::new(script.into_iter().collect());
            Self { store: Memory::new(Time(0)), script }
        }

        fn next(&self) -> Option<Doubt> {
            self.script.lock().unwrap().pop_front()
        }
    }

    #[async_trait]
    impl Log for Doubtful {
        async fn append(
            &self,
            log: &LogId,
            after: Seq,
            next: Frame,
            rows: Vec<Row>,
        ) -> Result<Commit, AppendError> {
            match self.next() {
                None => return self.store.append(log, after, next, rows).await,
                Some(Doubt::Down) => return Err(AppendError::Down("out of order".to_owned())),
                Some(Doubt::Lost) => {}
                Some(Doubt::Written) => drop(self.store.append(log, after, next, rows).await),
                Some(Doubt::Overtaken) => drop(self.store.append(log, after, frame(after, 2), rows).await),
                Some(Doubt::Removed) => drop(self.store.trim(log, None).await),
            }
            Err(AppendError::Unknown)
        }

        async fn read(&self, log: &LogId, after: Seq, want: Want) -> Result<Page, LogError> {
            self.store.read(log, after, want).await
        }

        async fn find(&self, query: &Query, at: Pos) -> Result<Found, LogError> {
            self.store.find(query, at).await
        }

        async fn trim(&self, log: &LogId, upto: Option<Seq>) -> Result<Commit, LogError> {
            self.store.trim(log, upto).await
        }

        fn changes(&self, after: Pos) -> BoxStream<'static, Result<Change, LogError>> {
            self.store.changes(after)
        }

        fn pos(&self) -> Pos {
            self.store.pos()
        }
    }

    /// What becomes of an append that meets these doubts, and how many frames are written in the end.
    async fn outcome(script: &[Doubt]) -> (Result<Commit, AppendError>, usize) {
        let store = Doubtful::new(script.iter().copied());
        let id = log("doubtful");
        let rows = vec![row(RowKind::Owed, "k", (0, 0), "x")];
        let outcome = append_settled(&store, &id, Seq::ZERO, frame(Seq::ZERO, 1), rows).await;
        let page = store.read(&id, Seq::ZERO, Want { bytes: usize::MAX, folded: false }).await;
        (outcome, page.map_or(0, |page| page.frames.len()))
    }

    #[tokio::test(start_paused = true)]
    async fn an_append_that_was_written_is_not_written_again() {
        let commit = Commit { head: Seq(1), pos: Pos(1) };
        for script in
            [&[][..], &[Doubt::Written], &[Doubt::Lost], &[Doubt::Lost, Doubt::Lost, Doubt::Written]]
        {
            assert_eq!(outcome(script).await, (Ok(commit), 1), "{script:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_append_that_lost_the_race_is_told() {
        let moved = (Err(AppendError::Moved { head: Seq(2) }), 1);
        assert_eq!(outcome(&[Doubt::Overtaken]).await, moved);
        assert_eq!(outcome(&[Doubt::Lost, Doubt::Overtaken]).await, moved);
        assert_eq!(outcome(&[Doubt::Lost, Doubt::Removed]).await, (Err(AppendError::Gone), 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_never_knows_is_down() {
        for doubt in [Doubt::Lost, Doubt::Down] {
            let script: Vec<_> = std::iter::once(Doubt::Lost).chain([doubt; 99]).collect();
            let (outcome, frames) = outcome(&script).await;
            assert!(
                matches!(&outcome, Err(AppendError::Down(why)) if why.contains("doubtful")),
                "{outcome:?}"
            );
            assert_eq!(frames, 0);
        }
        let early = outcome(&[Doubt::Down]).await;
        assert_eq!(early, (Err(AppendError::Down("out of order".to_owned())), 0), "nothing to settle");
    }
}
