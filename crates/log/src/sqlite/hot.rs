//! The newest frames of all logs, in memory: who reads at the tail need not ask the database.

use std::collections::{HashMap, VecDeque};

use trunkline_core::id::{LogId, Seq};

use crate::frame::{Frame, Page, Want};

/// How many bytes of frames are kept, over all logs. The oldest go first.
const BYTES: usize = 4 << 20;

/// What a frame costs beside its lines.
const OVERHEAD: usize = 128;

/// The newest frames. Each log that is in it is there without holes up to its head.
#[derive(Debug, Default)]
pub(super) struct Hot {
    logs: HashMap<LogId, Recent>,
    /// Every frame, oldest first. Logs that were dropped leave their names here until it is their turn.
    order: VecDeque<(LogId, Seq, usize)>,
    bytes: usize,
}

#[derive(Debug)]
struct Recent {
    /// The oldest event that the log has, in memory or on disk.
    first: Seq,
    frames: VecDeque<Frame>,
}

impl Hot {
    /// A frame was committed to a log whose oldest event is `first`.
    pub(super) fn push(&mut self, log: &LogId, first: Seq, frame: Frame) {
        let bytes = frame.lines.len() + OVERHEAD + 2 * log.as_str().len();
        self.bytes += bytes;
        self.order.push_back((log.clone(), frame.last, bytes));
        match self.logs.get_mut(log) {
            Some(recent) => recent.frames.push_back(frame),
            None => {
                let recent = Recent { first, frames: VecDeque::from([frame]) };
                self.logs.insert(log.clone(), recent);
            }
        }
        while self.bytes > BYTES {
            self.pop();
        }
    }

    /// A log was trimmed or removed.
    pub(super) fn forget(&mut self, log: &LogId) {
        self.logs.remove(log);
    }

    /// Answers a read, if everything after `after` is here.
    pub(super) fn read(&self, log: &LogId, after: Seq, want: Want) -> Option<Page> {
        let recent = self.logs.get(log)?;
        if after.plus(1) < recent.frames.front()?.first() {
            return None;
        }
        let head = recent.frames.back()?.last;
        let from = recent.frames.partition_point(|frame| frame.last <= after);
        Some(Page::of(recent.frames.range(from..), recent.first, head, want))
    }

    fn pop(&mut self) {
        let Some((log, last, bytes)) = self.order.pop_front() else { return };
        self.bytes -= bytes;
        let Some(recent) = self.logs.get_mut(&log) else { return };
        while recent.frames.front().is_some_and(|frame| frame.last <= last) {
            recent.frames.pop_front();
        }
        if recent.frames.is_empty() {
            self.logs.remove(&log);
        }
    }
}
