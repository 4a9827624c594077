//! How a cell comes by its fold: from the store, at first, after a failure, and when somebody else has written.

use std::time::Duration;

use trunkline_core::id::Seq;
use trunkline_core::time::Time;
use trunkline_log::LogError;
use trunkline_log::frame::{Frame, Want};

use super::Cell;

impl Cell {
    /// Reads the fold anew, until the store can be read.
    pub(super) async fn recover(&mut self) {
        let mut wait = Duration::from_millis(10);
        while let Err(error) = self.reload().await {
            tracing::error!(log = %self.id, %error, "a log cannot be read; trying again");
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(5));
        }
        self.reconcile();
    }

    pub(super) async fn reload(&mut self) -> Result<(), LogError> {
        self.state.reset();
        (self.head, self.at, self.bytes) = (Seq::ZERO, Time(0), 0);
        self.pos = self.shared.log.pos();
        let known = self.tail.head();
        let want = Want { bytes: 1 << 20, folded: true };
        if self.state.newest_is_all() {
            let end = self.shared.log.read(&self.id, Seq(u64::MAX), want).await?.head;
            self.head = Seq(end.0.saturating_sub(1));
        }
        loop {
            let page = match self.shared.log.read(&self.id, self.head, want).await {
                Err(LogError::Gone) => {
                    self.bury();
                    return Ok(());
                }
                page => page?,
            };
            for frame in &page.frames {
                self.fold(frame)?;
            }
            if !page.more {
                self.head = page.head;
                break;
            }
        }
        self.read_last().await?;
        if known < self.head {
            self.tail.set_head(self.head);
        }
        if self.state.is_removed() {
            self.remove().await;
        }
        Ok(())
    }

    /// The newest event tells the time that the next must not precede; a folded read may have passed it over.
    async fn read_last(&mut self) -> Result<(), LogError> {
        let Some(before) = self.head.0.checked_sub(1) else { return Ok(()) };
        let want = Want { bytes: 1, folded: false };
        let page = self.shared.log.read(&self.id, Seq(before), want).await?;
        let Some(frame) = page.frames.last() else { return Ok(()) };
        let events = frame.events().map_err(|error| LogError::Down(error.to_string()))?;
        self.at = events.last().map_or(self.at, |event| self.at.max(event.at));
        Ok(())
    }

    /// Folds what another writer appended.
    pub(super) async fn refresh(&mut self) {
        let want = Want { bytes: 1 << 20, folded: false };
        loop {
            let page = match self.shared.log.read(&self.id, self.head, want).await {
                Ok(page) => page,
                Err(LogError::Gone) => return self.bury(),
                Err(error) => {
                    tracing::error!(log = %self.id, %error, "a log cannot be read");
                    return self.recover().await;
                }
            };
            let folded = page.frames.iter().try_for_each(|frame| self.fold(frame));
            if let Err(error) = folded {
                tracing::error!(log = %self.id, %error, "a log cannot be read");
                return self.recover().await;
            }
            self.tail.push(&page.frames);
            if !page.more {
                break;
            }
        }
        self.pos = self.shared.log.pos();
        self.reconcile();
    }

    fn fold(&mut self, frame: &Frame) -> Result<(), LogError> {
        let events = frame.events().map_err(|error| {
            LogError::Down(format!("event {} of {} cannot be read: {error}", frame.last, self.id))
        })?;
        for event in events.iter().filter(|event| event.seq > self.head) {
            self.state.apply(event);
            self.at = self.at.max(event.at);
        }
        self.head = self.head.max(frame.last);
        self.bytes += frame.lines.len();
        Ok(())
    }
}
