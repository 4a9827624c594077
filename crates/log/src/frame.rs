//! Frames: what one append writes, whole or not at all.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use trunkline_core::event::{Event, HIDDEN_PREFIX};
use trunkline_core::id::{LogId, Pos, Seq};
use trunkline_core::row::{Row, RowKind};
use trunkline_core::time::Time;
use uuid::Uuid;

use crate::contract::AppendError;

/// How many bytes the events of one frame may have together.
pub const MAX_FRAME_BYTES: usize = 32 << 20;

/// How many rows are found at once, whatever the limit of the query.
pub const MAX_FOUND: usize = 1000;

/// Events that are appended together, in the form in which they are kept and shown: one line of JSON each.
///
/// A frame is read far more often than it is written. So it is encoded once, and replay sends its lines as they are.
/// Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Tells this frame from any other that was tried at the same place.
    pub id: Uuid,
    /// The number of its last event.
    pub last: Seq,
    /// How many events it has; at least 1.
    pub count: u64,
    /// Whether no event in it moves the fold: loading a state passes it over.
    pub quiet: bool,
    /// One line of JSON for each event, joined by `\n`. JSON text has no raw line ends.
    pub lines: Arc<str>,
}

impl Frame {
    /// Encodes events. They must be numbered without holes.
    ///
    /// # Panics
    /// When there are no events.
    #[must_use]
    pub fn of(id: Uuid, events: &[Event], quiet: bool) -> Self {
        let last = events.last().expect("a frame has at least one event").seq;
        let lines: Vec<_> = events.iter().map(Event::to_line).collect();
        Self::joined(id, last, events.len() as u64, quiet, lines.join("\n"))
    }

    /// Takes events that are encoded already: `count` lines joined by `\n`, the last of them numbered `last`.
    #[must_use]
    pub fn joined(id: Uuid, last: Seq, count: u64, quiet: bool, lines: String) -> Self {
        Self { id, last, count, quiet, lines: lines.into() }
    }

    /// The number of its first event.
    #[must_use]
    pub const fn first(&self) -> Seq {
        Seq(self.last.0 + 1 - self.count)
    }

    /// Checks that the frame can stand after `after`.
    ///
    /// # Panics
    /// When its numbers do not follow: the caller computed them.
    pub(crate) fn check(&self, after: Seq) -> Result<(), AppendError> {
        assert!(self.count > 0, "a frame has at least one event");
        assert!(self.last == after.plus(self.count), "a frame's numbers follow the head it is appended to");
        debug_assert!(
            self.lines.split('\n').count() as u64 == self.count,
            "a frame has a line for each event"
        );
        match self.lines.len() {
            bytes if bytes > MAX_FRAME_BYTES => Err(AppendError::TooLarge { bytes }),
            _ => Ok(()),
        }
    }

    /// The events of frames that follow each other, at another place and in one frame, for a copy of the log: the first of
    /// them is numbered `first`.
    ///
    /// # Panics
    /// When there are no frames.
    #[must_use]
    pub fn copied(id: Uuid, frames: &[Self], first: Seq) -> Self {
        let bytes: usize = frames.iter().map(|frame| frame.lines.len() + 8).sum();
        let (mut lines, mut count) = (String::with_capacity(bytes), 0);
        for (_, line) in frames.iter().flat_map(|frame| frame.lines_after(Seq::ZERO)) {
            // The number stands behind the type, which has no quotes in it.
            let tag = line.get(TYPE.len()..).and_then(|rest| rest.find('"')).unwrap_or(0);
            let (before, rest) = line.split_at((TYPE.len() + tag + SEQ.len()).min(line.len()));
            debug_assert!(before.ends_with(SEQ), "an event is numbered behind its type");
            lines.push_str(if count == 0 { "" } else { "\n" });
            lines.push_str(before);
            write!(lines, "{}", first.plus(count)).expect("a text takes what is written");
            lines.push_str(rest.trim_start_matches(|c: char| c.is_ascii_digit()));
            count += 1;
        }
        assert!(count > 0, "a frame has at least one event");
        let last = Seq(first.0 + count - 1);
        Self::joined(id, last, count, frames.iter().all(|frame| frame.quiet), lines)
    }

    /// Whether the first event is of this type. Tells it without decoding.
    #[must_use]
    pub fn begins_with(&self, tag: &str) -> bool {
        self.lines
            .strip_prefix(TYPE)
            .and_then(|rest| rest.strip_prefix(tag))
            .is_some_and(|rest| rest.starts_with('"'))
    }

    /// The events, decoded.
    ///
    /// # Errors
    /// When a line is not an event: the store is damaged.
    pub fn events(&self) -> Result<Vec<Event>, serde_json::Error> {
        self.lines.split('\n').map(Event::from_line).collect()
    }

    /// The lines after `after`, with their numbers, as kept.
    pub fn lines_after(&self, after: Seq) -> impl Iterator<Item = (Seq, &str)> {
        let first = self.first().0;
        self.lines
            .split('\n')
            .enumerate()
            .map(move |(i, line)| (Seq(first + i as u64), line))
            .filter(move |(seq, _)| *seq > after)
    }
}

/// How every line begins.
const TYPE: &str = r#"{"type":""#;
/// What stands between the type of an event and its number.
const SEQ: &str = r#"","seq":"#;

/// Whether a line belongs to the daemon alone. Tells it from the first bytes: `type` stands first in every line.
#[must_use]
pub fn is_hidden(line: &str) -> bool {
    line.strip_prefix(TYPE).is_some_and(|rest| rest.starts_with(HIDDEN_PREFIX))
}

/// The rows that count: of several with one kind and key, the last.
pub(crate) fn last_of_each(mut rows: Vec<Row>) -> Vec<Row> {
    if rows.len() > 1 {
        let last: HashMap<(RowKind, &str), usize> =
            rows.iter().enumerate().map(|(at, row)| ((row.kind, &*row.key), at)).collect();
        let mut counts = vec![false; rows.len()];
        last.into_values().for_each(|at| counts[at] = true);
        let mut counts = counts.into_iter();
        rows.retain(|_| counts.next().unwrap_or(true));
    }
    rows
}

/// Where an append came to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// The last event of the log.
    pub head: Seq,
    /// The place in the store's tail.
    pub pos: Pos,
}

/// How much to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    /// Stop after the frame that reaches this many bytes. At least one frame is given if there is one.
    pub bytes: usize,
    /// Pass quiet frames over.
    pub folded: bool,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Frames that end after the place asked for, in order. The first may begin before that place.
    pub frames: Vec<Frame>,
    /// The oldest event that is kept. A reader that asked for events before it has a gap.
    pub first: Seq,
    /// The last event of the log. When the last frame ends here, or there is none, the reader is at the tail.
    pub head: Seq,
    /// Whether frames were left for the next read because the bytes wanted were reached.
    pub more: bool,
}

impl Page {
    /// A page of frames that are in memory, all of which end after the place asked for.
    pub(crate) fn of<'a>(frames: impl Iterator<Item = &'a Frame>, first: Seq, head: Seq, want: Want) -> Self {
        let mut wanted = frames.filter(|frame| !(want.folded && frame.quiet));
        let mut page = Self { frames: Vec::new(), first, head, more: false };
        let mut bytes = 0;
        for frame in wanted.by_ref() {
            bytes += frame.lines.len();
            page.frames.push(frame.clone());
            if bytes >= want.bytes {
                break;
            }
        }
        page.more = wanted.next().is_some();
        page
    }
}

/// One commit, as the store's tail tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Its place in the tail.
    pub pos: Pos,
    /// The log it was in.
    pub log: LogId,
    /// The last event of that log then; 0 when the log was removed.
    pub head: Seq,
    /// The rows it wrote or removed. When it is told later, rows that were written again since, or whose log was removed
    /// since, may be missing; so may the removals that came with the removal of a log.
    pub rows: Vec<Row>,
}

/// What to find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Rows of this kind.
    pub kind: RowKind,
    /// Only the row with this key.
    pub key: Option<String>,
    /// Only rows that have all of these.
    pub facets: Vec<String>,
    /// Only rows that are due before this.
    pub due_before: Option<Time>,
    /// Only rows behind this one.
    pub after: Option<Cursor>,
    /// At most this many; 0 counts as 1, and more than [`MAX_FOUND`] as that.
    pub limit: usize,
}

impl Query {
    /// All rows of a kind, the first hundred.
    #[must_use]
    pub const fn all(kind: RowKind) -> Self {
        Self { kind, key: None, facets: Vec::new(), due_before: None, after: None, limit: 100 }
    }

    /// The row with this key.
    #[must_use]
    pub fn one(kind: RowKind, key: impl Into<String>) -> Self {
        Self { key: Some(key.into()), limit: 1, ..Self::all(kind) }
    }

    /// How many rows an answer may have.
    pub(crate) fn most(&self) -> usize {
        self.limit.clamp(1, MAX_FOUND)
    }
}

/// A place in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The rank of the last row seen.
    pub rank: (i64, i64),
    /// Its key.
    pub key: String,
}

impl Cursor {
    /// The place of a row.
    #[must_use]
    pub fn of(row: &Row) -> Self {
        Self { rank: row.rank, key: row.key.clone() }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The rows, in the order of their rank, each with the log that wrote it.
    pub rows: Vec<(LogId, Row)>,
    /// Where to go on, if there may be more.
    pub next: Option<Cursor>,
    /// The place in the tail that this answer has reached, at least.
    pub pos: Pos,
}

#[cfg(test)]
mod tests {
    use trunkline_core::principal::Principal;
    use trunkline_core::session::Updated;

    use super::*;

    #[test]
    fn a_copy_is_numbered_anew() {
        let event = |seq, title: &str| {
            let fact = Updated { title: Some(title.into()), metadata: None }.into();
            Event { seq: Seq(seq), at: Time(1), by: Principal::owner(), turn: None, key: None, fact }
        };
        let frame = Frame::of(Uuid::nil(), &[event(99, r#""seq":5"#), event(100, "b")], false);
        let next = Frame::of(Uuid::nil(), &[event(101, "c")], true);
        let copy = Frame::copied(Uuid::nil(), &[frame, next], Seq(7));
        let same = [event(7, r#""seq":5"#), event(8, "b"), event(9, "c")];
        assert_eq!(copy, Frame::of(Uuid::nil(), &same, false));
        assert!(copy.begins_with("session.updated"));
        assert!(!copy.begins_with("session.update"));
    }
}
