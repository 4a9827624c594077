//! Looking back: a window onto the transcript, with the keys of a pager and of tmux's copy mode. Pure: keys in, what is
//! wanted out, rows out.

use std::fmt::Write;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::input::{Held, Key};
use super::past::{Part, Place};
use crate::style::{Paint, Tone};
use crate::transcript::line::{Line, Needle};

/// How long a text may be that is searched for.
const MAX_NEEDLE: usize = 200;

/// What a key has led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing but to paint.
    Paint,
    /// This part of the transcript is wanted.
    Read(Place),
    /// Back to what is live.
    Leave,
}

/// A window onto the transcript.
#[derive(Debug)]
pub(super) struct Window {
    part: Part,
    /// The number of the line at the top, and which of its rows stands there.
    top: (usize, usize),
    columns: usize,
    /// How many rows of text there are, above the status.
    height: usize,
    /// What was asked for and is not here yet.
    reading: Option<Place>,
    /// What is being typed to be searched for.
    typing: Option<Typing>,
    /// What was searched for last, and in which direction.
    search: Option<(Needle, bool)>,
    note: Option<String>,
}

#[derive(Debug)]
struct Typing {
    text: String,
    back: bool,
}

impl Window {
    /// A window onto the end of the transcript, which is to be read.
    pub(super) fn new(size: (u16, u16)) -> (Self, Place) {
        let mut window = Self {
            part: Part::default(),
            top: (0, 0),
            columns: 0,
            height: 0,
            reading: Some(Place::End),
            typing: None,
            search: None,
            note: None,
        };
        window.resize(size);
        (window, Place::End)
    }

    /// The terminal has another size now. The line at the top stays there, and the end stays the end.
    pub(super) fn resize(&mut self, (columns, rows): (u16, u16)) {
        if self.top >= self.lowest() {
            self.top.0 = usize::MAX;
        }
        (self.columns, self.height) = (usize::from(columns), usize::from(rows).saturating_sub(1).max(1));
        self.top.1 = 0;
        self.settle();
    }

    /// What was asked for is here.
    pub(super) fn show(&mut self, part: Part) {
        let Some(place) = self.reading.take() else { return };
        let found = part.found;
        self.note = None;
        match place {
            Place::Match { .. } if found.is_none() => {
                self.note = Some("not found".to_owned());
                return;
            }
            Place::End => self.top = (usize::MAX, 0),
            Place::Line(n) => self.top = (n, 0),
            Place::Match { .. } => {}
        }
        self.part = part;
        if let Some(n) = found {
            self.go_to(n);
        }
        self.settle();
    }

    /// It could not be had.
    pub(super) fn fail(&mut self, why: String) {
        self.reading = None;
        self.note = Some(why);
    }

    /// Takes a key. While something is read, only leaving counts.
    pub(super) fn key(&mut self, key: Key, held: Held) -> Step {
        if let Some(typing) = &mut self.typing {
            if typing.key(key, held) {
                return Step::Paint;
            }
            let Some(Typing { text, back }) = self.typing.take() else { return Step::Paint };
            return if key == Key::Enter { self.search(Needle::new(&text), back) } else { Step::Paint };
        }
        if matches!(key, Key::Char('q') | Key::Escape) || (key == Key::Char('c') && held.control) {
            return Step::Leave;
        }
        if self.reading.is_some() {
            return Step::Paint;
        }
        self.note = None;
        let page = self.height.saturating_sub(1).max(1);
        match key {
            Key::Char('u') if held.control => self.up(self.height / 2),
            Key::Char('d') if held.control => self.down(self.height / 2),
            Key::Char('f') if held.control => self.down(page),
            Key::Char('p') if held.control => self.up(1),
            Key::Char('n') if held.control => self.down(1),
            Key::Char(_) if held.control || held.alt => Step::Paint,
            Key::Up | Key::Char('k') => self.up(1),
            Key::Down | Key::Char('j') => self.down(1),
            Key::PageUp | Key::Char('b') => self.up(page),
            Key::PageDown | Key::Char(' ' | 'f') => self.down(page),
            Key::Home | Key::Char('g') if self.part.first > 0 => self.read(Place::Line(0)),
            Key::Home | Key::Char('g') => {
                self.top = (0, 0);
                Step::Paint
            }
            Key::End | Key::Char('G') => self.read(Place::End),
            Key::Char(c @ ('/' | '?')) => {
                self.typing = Some(Typing { text: String::new(), back: c == '?' });
                Step::Paint
            }
            Key::Char(c @ ('n' | 'N')) => {
                let (needle, back) = self.search.clone().unzip();
                let back = back.unwrap_or_default();
                self.next(needle, if c == 'n' { back } else { !back })
            }
            Key::Char(_) | Key::Tab | Key::Backspace | Key::Delete | Key::Left | Key::Right => Step::Paint,
            Key::Enter | Key::Escape => Step::Leave,
        }
    }

    fn search(&mut self, needle: Option<Needle>, back: bool) -> Step {
        // Nothing typed means the same as before.
        let needle = needle.or_else(|| self.search.take().map(|(needle, _)| needle));
        self.search = needle.clone().map(|needle| (needle, back));
        // The first search begins with what is on the screen.
        self.part.found = None;
        self.next(needle, back)
    }

    /// Goes to the next match: at once if it is in the part that is here.
    fn next(&mut self, needle: Option<Needle>, back: bool) -> Step {
        let Some(needle) = needle else {
            self.note = Some("/ and ? search".to_owned());
            return Step::Paint;
        };
        // Whoever has moved away from the last match looks on from where he is.
        let seen = self.part.found.filter(|n| (self.top.0..=self.last_row().0).contains(n));
        let from = match (seen, back) {
            (Some(found), false) => found + 1,
            (Some(found), true) => found,
            (None, false) => self.top.0,
            (None, true) => self.last_row().0 + 1,
        };
        let here = |n: usize| self.line(n).is_some_and(|line| line.has(&needle));
        let found = if back {
            (self.part.first..from.min(self.end())).rev().find(|n| here(*n))
        } else {
            (from.max(self.part.first)..self.end()).find(|n| here(*n))
        };
        match found {
            Some(n) => {
                self.part.found = Some(n);
                self.go_to(n);
                self.settle();
                Step::Paint
            }
            None => self.read(Place::Match { needle, from, back }),
        }
    }

    fn read(&mut self, place: Place) -> Step {
        self.part.found = self.part.found.filter(|_| matches!(place, Place::Match { .. }));
        self.reading = Some(place.clone());
        Step::Read(place)
    }

    /// A line that is not on the screen comes to the middle of it.
    fn go_to(&mut self, n: usize) {
        if n < self.top.0 || n >= self.last_row().0 {
            self.top = self.above((n, 0), self.height / 2);
        }
    }

    fn up(&mut self, rows: usize) -> Step {
        let top = self.above(self.top, rows);
        if top == (self.part.first, 0) && self.part.first > 0 {
            // What is above it is not here; the part that comes has as much above as below.
            return self.read(Place::Line(self.part.first));
        }
        self.top = top;
        Step::Paint
    }

    fn down(&mut self, rows: usize) -> Step {
        for _ in 0..rows {
            self.top = match self.top {
                (n, row) if row + 1 < self.rows_of(n) => (n, row + 1),
                (n, _) => (n + 1, 0),
            };
        }
        if self.end() < self.part.total && self.top > self.lowest() {
            return self.read(Place::Line(self.top.0.min(self.end() - 1)));
        }
        self.settle();
        Step::Paint
    }

    /// The place some rows above another, or the first there is.
    fn above(&self, (mut n, mut row): (usize, usize), rows: usize) -> (usize, usize) {
        for _ in 0..rows {
            match (n, row) {
                (_, 1..) => row -= 1,
                _ if n > self.part.first => {
                    n -= 1;
                    row = self.rows_of(n) - 1;
                }
                _ => break,
            }
        }
        (n, row)
    }

    /// The lowest place for the top at which the window is full.
    fn lowest(&self) -> (usize, usize) {
        self.above((self.end(), 0), self.height)
    }

    /// The last place that is on the screen.
    fn last_row(&self) -> (usize, usize) {
        let (mut n, mut row) = self.top;
        for _ in 1..self.height {
            (n, row) = if row + 1 < self.rows_of(n) { (n, row + 1) } else { (n + 1, 0) };
        }
        (n, row).min((self.end().saturating_sub(1), usize::MAX))
    }

    /// The top is where there is a line, and no lower than need be.
    fn settle(&mut self) {
        self.top = self.top.max((self.part.first, 0)).min(self.lowest());
    }

    fn end(&self) -> usize {
        self.part.first + self.part.lines.len()
    }

    fn line(&self, n: usize) -> Option<&Line> {
        self.part.lines.get(n.checked_sub(self.part.first)?)
    }

    fn rows_of(&self, n: usize) -> usize {
        self.line(n).map_or(1, |line| line.wrap(self.columns).len())
    }

    /// The whole screen. `waits`: how many requests wait for an answer.
    pub(super) fn frame(&self, paint: Paint, waits: usize) -> String {
        let needle = self.search.as_ref().map(|(needle, _)| needle);
        let mut out = String::from("\u{1b}[?2026h\u{1b}[?25l\u{1b}[H");
        let lines = (self.top.0..self.end()).filter_map(|n| self.line(n));
        let rows = lines.flat_map(|line| {
            let line = needle.map_or_else(|| line.clone(), |needle| line.mark(needle));
            line.wrap(self.columns)
        });
        let mut rows = rows.skip(self.top.1);
        for _ in 0..self.height {
            let row = rows.next().map(|row| row.render(paint)).unwrap_or_default();
            write!(out, "{row}\u{1b}[K\r\n").expect("a string takes everything");
        }
        let status = paint.of(Tone::Marked, cut(&self.status(waits), self.columns.saturating_sub(1)));
        write!(out, "{status}\u{1b}[K").expect("a string takes everything");
        if self.typing.is_some() {
            out.push_str("\u{1b}[?25h");
        }
        out.push_str("\u{1b}[?2026l");
        out
    }

    fn status(&self, waits: usize) -> String {
        if let Some(Typing { text, back }) = &self.typing {
            let mark = if *back { '?' } else { '/' };
            // The end of it is where one types.
            let room = self.columns.saturating_sub(3);
            let skipped = text.chars().scan(text.width(), |left, c| {
                let over = *left > room;
                *left -= c.width().unwrap_or(0);
                over.then_some(())
            });
            return format!("{mark}{}", text.chars().skip(skipped.count()).collect::<String>());
        }
        let mut words = vec![match (self.part.total, self.reading.is_some()) {
            (0, true) => "reading the transcript".to_owned(),
            (0, false) => "nothing is told yet".to_owned(),
            (total, reading) => {
                let place = format!("lines {}-{} of {total}", self.top.0 + 1, self.last_row().0 + 1);
                if reading { format!("{place}, reading") } else { place }
            }
        }];
        words.extend(self.note.clone());
        match waits {
            0 => {}
            1 => words.push("1 request waits for you".to_owned()),
            many => words.push(format!("{many} requests wait for you")),
        }
        words.push("q goes back · / ? search".to_owned());
        words.join(" · ")
    }
}

impl Typing {
    /// Whether the key was taken, and typing goes on.
    fn key(&mut self, key: Key, held: Held) -> bool {
        match key {
            Key::Enter | Key::Escape => return false,
            Key::Char('c') if held.control => return false,
            Key::Char('u') if held.control => self.text.clear(),
            Key::Backspace if self.text.is_empty() => return false,
            Key::Backspace => drop(self.text.pop()),
            Key::Char(c) if !held.control && !held.alt && self.text.chars().count() < MAX_NEEDLE => {
                self.text.push(c);
            }
            _ => {}
        }
        true
    }
}

/// As much of a text as fits.
fn cut(text: &str, columns: usize) -> String {
    let mut used = 0;
    let fits = text.chars().take_while(|c| {
        used += c.width().unwrap_or(0);
        used <= columns
    });
    fits.collect()
}

#[cfg(test)]
mod tests;
