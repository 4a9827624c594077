//! Painting without a full screen: what is settled scrolls away above, what is live is painted anew below it. Pure: it
//! gives the bytes for the terminal.

use std::collections::VecDeque;
use std::fmt::Write;

use crate::style::Paint;
use crate::transcript::line::Line;

/// How many settled rows are kept, to fill the screen again after it was resized.
const KEPT: usize = 400;

/// What is at the bottom of the screen.
#[derive(Debug, Default)]
pub(super) struct Bottom {
    /// What may still change, and the card; the top of it is cut where the screen is too low.
    pub(super) above: Vec<Line>,
    /// The status and the input, of which nothing is cut but the top.
    pub(super) below: Vec<Line>,
    /// The cursor: row within `below`, and column.
    pub(super) cursor: (usize, usize),
}

/// Knows what is on the screen.
#[derive(Debug)]
pub(super) struct Painter {
    paint: Paint,
    kept: VecDeque<Line>,
    /// How many rows of the bottom are above the cursor.
    cursor_row: usize,
}

impl Painter {
    pub(super) fn new(paint: Paint) -> Self {
        Self { paint, kept: VecDeque::new(), cursor_row: 0 }
    }

    /// Prints what has settled and paints the bottom. Between two calls nothing else may print.
    pub(super) fn frame(&mut self, (columns, rows): (u16, u16), settled: &[Line], bottom: &Bottom) -> String {
        let columns = usize::from(columns);
        let mut out = String::from("\u{1b}[?2026h\u{1b}[?25l");
        self.go_to_top(&mut out);
        for row in settled.iter().flat_map(|line| line.wrap(columns)) {
            out.push_str(&row.render(self.paint));
            out.push_str("\r\n");
        }
        self.kept.extend(settled.iter().cloned());
        self.kept.drain(..self.kept.len().saturating_sub(KEPT));
        self.bottom(&mut out, columns, usize::from(rows), bottom);
        out.push_str("\u{1b}[?25h\u{1b}[?2026l");
        out
    }

    /// Clears the screen and fills it again: how the terminal has broken the lines anew after a resize is not known.
    pub(super) fn again(&mut self, (columns, rows): (u16, u16), bottom: &Bottom) -> String {
        let (width, height) = (usize::from(columns), usize::from(rows));
        let below =
            bottom.above.iter().chain(&bottom.below).map(|line| line.wrap(width).len()).sum::<usize>();
        let room = height.saturating_sub(below + 1);
        let all: Vec<Line> = self.kept.iter().flat_map(|line| line.wrap(width)).collect();
        let mut out = String::from("\u{1b}[?2026h\u{1b}[?25l\u{1b}[H\u{1b}[2J");
        for row in &all[all.len().saturating_sub(room)..] {
            out.push_str(&row.render(self.paint));
            out.push_str("\r\n");
        }
        self.cursor_row = 0;
        self.bottom(&mut out, width, height, bottom);
        out.push_str("\u{1b}[?25h\u{1b}[?2026l");
        out
    }

    /// Takes the bottom away and leaves the cursor where it was, so that a shell goes on below the transcript.
    pub(super) fn leave(&mut self) -> String {
        let mut out = String::new();
        self.go_to_top(&mut out);
        out.push_str("\u{1b}[?25h");
        out
    }

    fn go_to_top(&mut self, out: &mut String) {
        if self.cursor_row > 0 {
            write!(out, "\u{1b}[{}A", self.cursor_row).expect("a string takes everything");
        }
        out.push_str("\r\u{1b}[J");
        self.cursor_row = 0;
    }

    fn bottom(&mut self, out: &mut String, columns: usize, rows: usize, bottom: &Bottom) {
        // One row less than there is: a row that scrolls away cannot be painted over.
        let room = rows.saturating_sub(1).max(1);
        let below = &bottom.below[bottom.below.len().saturating_sub(room)..];
        let above: Vec<Line> = bottom.above.iter().flat_map(|line| line.wrap(columns)).collect();
        let above = &above[above.len().saturating_sub(room - below.len().min(room))..];
        let painted: Vec<String> = above.iter().chain(below).map(|line| line.render(self.paint)).collect();
        out.push_str(&painted.join("\r\n"));
        let hidden = bottom.below.len() - below.len();
        let cursor_row = above.len() + bottom.cursor.0.saturating_sub(hidden);
        let up = painted.len().saturating_sub(1).saturating_sub(cursor_row);
        if up > 0 {
            write!(out, "\u{1b}[{up}A").expect("a string takes everything");
        }
        out.push('\r');
        if bottom.cursor.1 > 0 {
            write!(out, "\u{1b}[{}C", bottom.cursor.1).expect("a string takes everything");
        }
        self.cursor_row = cursor_row;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::Tone;

    fn lines(text: &str) -> Vec<Line> {
        text.lines().map(|line| Line::new(Tone::Plain, line)).collect()
    }

    fn bottom(above: &str, input: &str) -> Bottom {
        let cursor = (1, 2 + input.len());
        Bottom { above: lines(above), below: lines(&format!("ready\n> {input}")), cursor }
    }

    /// A terminal of `columns` by `rows`.
    struct Screen {
        terminal: vt100::Parser,
        painter: Painter,
        size: (u16, u16),
    }

    impl Screen {
        fn new(columns: u16, rows: u16) -> Self {
            let terminal = vt100::Parser::new(rows, columns, 1_000);
            Self { terminal, painter: Painter::new(Paint::COLOURED), size: (columns, rows) }
        }

        fn frame(&mut self, settled: &str, bottom: &Bottom) -> String {
            let out = self.painter.frame(self.size, &lines(settled), bottom);
            self.show(&out)
        }

        fn show(&mut self, out: &str) -> String {
            self.terminal.process(out.as_bytes());
            let screen = self.terminal.screen();
            let (row, column) = screen.cursor_position();
            format!("{}\n@{row},{column}", screen.contents())
        }
    }

    #[test]
    fn what_settles_scrolls_above_what_lives() {
        let mut screen = Screen::new(20, 8);
        insta::assert_snapshot!(screen.frame("", &bottom("a tool runs", "")), @r"
        a tool runs
        ready
        > 
        @2,2
        ");
        insta::assert_snapshot!(screen.frame("● a tool ran", &bottom("words that come", "hi")), @r"
        ● a tool ran
        words that come
        ready
        > hi
        @3,4
        ");
        insta::assert_snapshot!(screen.frame("words that come\nand are broken where they must be", &bottom("", "hi")), @r"
        ● a tool ran
        words that come
        and are broken where
        they must be
        ready
        > hi
        @5,4
        ");
        let out = screen.painter.leave();
        insta::assert_snapshot!(screen.show(&out), @r"
        ● a tool ran
        words that come
        and are broken where
        they must be
        @4,0
        ");
    }

    #[test]
    fn a_low_screen_shows_the_end_of_what_lives() {
        let mut screen = Screen::new(20, 5);
        let tall = bottom("1\n2\n3\n4\n5\n6", "x");
        screen.frame("settled", &tall);
        insta::assert_snapshot!(screen.frame("more", &tall), @r"
        more
        5
        6
        ready
        > x
        @4,3
        ");
        let mut tiny = Screen::new(20, 2);
        insta::assert_snapshot!(tiny.frame("settled", &tall), @r"
        settled
        > x
        @1,3
        ");
    }

    #[test]
    fn nothing_settled_is_lost_however_it_scrolls() {
        let mut screen = Screen::new(20, 6);
        for n in 0..40 {
            screen.frame(&format!("line {n}"), &bottom(&"live\n".repeat(n % 7), "x"));
        }
        let mut all = String::new();
        for offset in (0..60).rev() {
            screen.terminal.screen_mut().set_scrollback(offset);
            all.push_str(&screen.terminal.screen().contents());
            all.push('\n');
        }
        for n in 0..40 {
            assert!(all.contains(&format!("line {n}\n")), "line {n} is lost");
        }
        let shown = screen.terminal.screen().contents();
        assert_eq!(shown.matches("> x").count(), 1, "{shown}");
    }

    #[test]
    fn a_resized_screen_is_filled_again() {
        let mut screen = Screen::new(20, 8);
        screen.frame("one\ntwo words and more of them", &bottom("live", "typed"));
        screen.size = (12, 7);
        screen.terminal.screen_mut().set_size(7, 12);
        let out = screen.painter.again(screen.size, &bottom("live", "typed"));
        insta::assert_snapshot!(screen.show(&out), @r"
        two words
        and more of
        them
        live
        ready
        > typed
        @5,7
        ");
        insta::assert_snapshot!(screen.frame("three", &bottom("live", "typed")), @r"
        two words
        and more of
        them
        three
        live
        ready
        > typed
        @6,7
        ");
    }
}
