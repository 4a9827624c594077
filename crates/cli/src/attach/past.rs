//! The transcript once more, from the log: the lines around the place one looks at, however long it is.
//!
//! The log is read from its beginning and folded an event at a time, so that a line has the same number each time. What is
//! kept of it is a part around the wanted place; the rest is only counted.

use std::collections::VecDeque;

use trunkline_client::{Client, Error};
use trunkline_core::event::Event;
use trunkline_core::id::{Seq, SessionId};
use trunkline_core::principal::Principal;
use trunkline_core::time::Time;

use crate::transcript::Transcript;
use crate::transcript::line::{Line, Needle};

/// How many events are asked for at a time.
const PAGE: usize = 2_000;
/// How many lines are kept, half of them before the wanted place, and about how many bytes.
const MAX_LINES: usize = 20_000;
const MAX_BYTES: usize = 8 << 20;
/// How much of one line is kept.
const MAX_LINE: usize = 16 << 10;
/// What a line costs beside its text.
const LINE_BYTES: usize = 64;

/// The transcript whose past it is.
pub(super) struct Past {
    pub(super) client: Client,
    pub(super) session: SessionId,
    pub(super) me: Principal,
    /// What is older is not shown.
    pub(super) since: Option<Time>,
}

/// A place in the transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Its end.
    End,
    /// The line of this number.
    Line(usize),
    /// The next line with the needle in it, from this one on, or before it if `back`. Behind the last one comes the first.
    Match { needle: Needle, from: usize, back: bool },
}

/// A part of the transcript.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// The number of its first line.
    pub(super) first: usize,
    pub(super) lines: VecDeque<Line>,
    /// How many lines the whole transcript has.
    pub(super) total: usize,
    /// The number of the line that was searched for.
    pub(super) found: Option<usize>,
}

impl Past {
    /// Reads the part around a place; an empty one if a search found nothing.
    pub(super) async fn part(self, place: Place) -> Result<Part, Error> {
        let (at, found) = match place {
            Place::End => (None, None),
            Place::Line(n) => (Some(n), None),
            Place::Match { needle, from, back } => match self.search(&needle, from, back).await? {
                None => return Ok(Part::default()),
                found => (found, found),
            },
        };
        let mut keeper = Keeper::new(at, MAX_LINES, MAX_BYTES);
        self.fold(|line| keeper.take(line)).await?;
        Ok(Part { found, ..keeper.part })
    }

    async fn search(&self, needle: &Needle, from: usize, back: bool) -> Result<Option<usize>, Error> {
        let mut search = Search { from, back, n: 0, next: None, around: None };
        self.fold(|line| search.take(line.has(needle))).await?;
        Ok(search.next.or(search.around))
    }

    async fn fold(&self, mut take: impl FnMut(Line)) -> Result<(), Error> {
        let mut transcript = Transcript::new(Some(self.me.clone()));
        let mut after = Seq::ZERO;
        loop {
            let page = self.client.events_page(self.session, after, Some(PAGE)).await?;
            if page.gap {
                transcript.gap();
            }
            for event in &page.items {
                transcript.apply(event);
                let settled = transcript.settled();
                if !self.is_too_old(event) {
                    settled.into_iter().for_each(&mut take);
                }
            }
            after = page.items.last().map_or(after, |event| event.seq);
            if !page.more || page.items.is_empty() {
                break;
            }
        }
        transcript.live().into_iter().for_each(take);
        Ok(())
    }

    fn is_too_old(&self, event: &Event) -> bool {
        self.since.is_some_and(|since| event.at < since)
    }
}

/// Keeps the lines around a place while all of them go by.
struct Keeper {
    /// The place; without, the end.
    at: Option<usize>,
    max_lines: usize,
    max_bytes: usize,
    bytes: usize,
    part: Part,
    /// What comes is counted, and not kept.
    is_full: bool,
}

impl Keeper {
    fn new(at: Option<usize>, max_lines: usize, max_bytes: usize) -> Self {
        Self { at, max_lines, max_bytes, bytes: 0, part: Part::default(), is_full: false }
    }

    fn take(&mut self, line: Line) {
        let n = self.part.total;
        self.part.total += 1;
        let at = self.at.unwrap_or(usize::MAX);
        self.is_full |= n > at && (self.part.lines.len() >= self.max_lines || self.bytes >= self.max_bytes);
        if self.is_full {
            return;
        }
        let line = line.clip(MAX_LINE);
        self.bytes += bytes(&line);
        self.part.lines.push_back(line);
        while n <= at
            && self.part.first < n
            && (self.part.lines.len() > self.max_lines / 2 || self.bytes > self.max_bytes / 2)
        {
            let gone = self.part.lines.pop_front();
            self.bytes -= gone.as_ref().map_or(0, bytes);
            self.part.first += 1;
        }
    }
}

fn bytes(line: &Line) -> usize {
    LINE_BYTES + line.text().len()
}

/// Looks for the next of many lines.
struct Search {
    from: usize,
    back: bool,
    n: usize,
    /// The nearest in the direction of the search.
    next: Option<usize>,
    /// The first one that comes when the search goes on from the other end.
    around: Option<usize>,
}

impl Search {
    fn take(&mut self, has: bool) {
        let n = self.n;
        self.n += 1;
        match (has, self.back) {
            (false, _) => {}
            (true, true) if n < self.from => self.next = Some(n),
            (true, true) => self.around = Some(n),
            (true, false) if n >= self.from => self.next = self.next.or(Some(n)),
            (true, false) => self.around = self.around.or(Some(n)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::Tone;

    fn keep(at: Option<usize>, all: usize, max_lines: usize, max_bytes: usize) -> (usize, usize, usize) {
        let mut keeper = Keeper::new(at, max_lines, max_bytes);
        for n in 0..all {
            keeper.take(Line::new(Tone::Plain, format!("{n:0100}")));
        }
        let Part { first, lines, total, .. } = keeper.part;
        for (n, line) in (first..).zip(&lines) {
            assert_eq!(line.text(), format!("{n:0100}"));
        }
        (first, lines.len(), total)
    }

    #[test]
    fn the_lines_around_a_place_are_kept() {
        assert_eq!(keep(None, 100, 20, 1 << 20), (90, 10, 100));
        assert_eq!(keep(Some(50), 100, 20, 1 << 20), (41, 20, 100));
        assert_eq!(keep(Some(0), 100, 20, 1 << 20), (0, 20, 100));
        assert_eq!(keep(Some(95), 100, 20, 1 << 20), (86, 14, 100));
        assert_eq!(keep(Some(500), 100, 20, 1 << 20), (90, 10, 100), "what is not there is behind the end");
        assert_eq!(keep(None, 3, 20, 1 << 20), (0, 3, 3));
        assert_eq!(keep(None, 0, 20, 1 << 20), (0, 0, 0));
    }

    #[test]
    fn what_is_kept_is_bounded_in_bytes_too() {
        let (first, lines, total) = keep(Some(50), 100, 50, 10 * (LINE_BYTES + 100));
        assert_eq!((first, lines, total), (46, 10, 100));
        // A line that is larger than all that may be kept is kept, else it could not be looked at.
        assert_eq!(keep(Some(50), 100, 50, 1), (50, 1, 100));
        assert_eq!(keep(None, 100, 50, 1), (99, 1, 100));
    }

    #[test]
    fn a_search_goes_on_from_the_other_end() {
        let search = |from: usize, back: bool, text: &str| {
            let mut search = Search { from, back, n: 0, next: None, around: None };
            text.chars().for_each(|c| search.take(c == 'x'));
            search.next.or(search.around)
        };
        assert_eq!(search(2, false, ".x..x.x"), Some(4));
        assert_eq!(search(4, false, ".x..x.x"), Some(4));
        assert_eq!(search(7, false, ".x..x.x"), Some(1));
        assert_eq!(search(4, true, ".x..x.x"), Some(1));
        assert_eq!(search(1, true, ".x..x.x"), Some(6));
        assert_eq!(search(1, true, "......."), None);
    }
}
