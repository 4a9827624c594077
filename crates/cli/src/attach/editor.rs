//! The line one types in. Pure.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How many bytes a prompt may have here; what is beyond is not taken. Larger ones go by `trunkline prompt -`.
const MAX_BYTES: usize = 1 << 20;
/// How many prompts the arrow keys go back.
const MAX_HISTORY: usize = 200;

/// A text with a cursor in it, and the texts before it.
#[derive(Debug, Default)]
pub(super) struct Editor {
    text: String,
    /// Byte offset, on a character's boundary.
    cursor: usize,
    history: Vec<String>,
    /// Which text of the history is shown, counted from the newest; and what was being written before.
    recalled: Option<(usize, String)>,
}

impl Editor {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Puts text in at the cursor. Line ends stay, other control characters do not.
    pub(super) fn insert(&mut self, text: &str) {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let text: String = text.chars().filter(|c| *c == '\n' || *c == '\t' || !c.is_control()).collect();
        if self.text.len() + text.len() <= MAX_BYTES {
            self.text.insert_str(self.cursor, &text);
            self.cursor += text.len();
        }
    }

    /// Takes the text, and remembers it.
    pub(super) fn take(&mut self) -> String {
        let text = std::mem::take(&mut self.text);
        self.cursor = 0;
        self.recalled = None;
        if self.history.last() != Some(&text) {
            self.history.push(text.clone());
            self.history.drain(..self.history.len().saturating_sub(MAX_HISTORY));
        }
        text
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.cursor = 0;
        self.recalled = None;
    }

    pub(super) fn left(&mut self) {
        self.cursor = self.before();
    }

    pub(super) fn right(&mut self) {
        self.cursor = self.after();
    }

    /// To the start of the line.
    pub(super) fn home(&mut self) {
        self.cursor = self.text[..self.cursor].rfind('\n').map_or(0, |at| at + 1);
    }

    /// To the end of the line.
    pub(super) fn end(&mut self) {
        self.cursor = self.text[self.cursor..].find('\n').map_or(self.text.len(), |at| self.cursor + at);
    }

    pub(super) fn word_left(&mut self) {
        self.cursor = self.word_start();
    }

    pub(super) fn word_right(&mut self) {
        let rest = &self.text[self.cursor..];
        let word = rest.len() - rest.trim_start_matches(|c: char| !c.is_alphanumeric()).len();
        let end = rest[word..].find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len() - word);
        self.cursor += word + end;
    }

    pub(super) fn backspace(&mut self) {
        let from = self.before();
        self.cut(from, self.cursor);
    }

    pub(super) fn delete(&mut self) {
        let to = self.after();
        self.cut(self.cursor, to);
    }

    pub(super) fn delete_word(&mut self) {
        let from = self.word_start();
        self.cut(from, self.cursor);
    }

    pub(super) fn delete_to_start(&mut self) {
        let end = self.cursor;
        self.home();
        self.cut(self.cursor, end);
    }

    pub(super) fn delete_to_end(&mut self) {
        let start = self.cursor;
        self.end();
        self.cut(start, self.cursor);
    }

    /// One line up, or the text before this one.
    pub(super) fn up(&mut self) {
        if self.text[..self.cursor].contains('\n') {
            let column = self.column();
            self.home();
            self.left();
            self.home();
            self.go_to_column(column);
            return;
        }
        let back = self.recalled.as_ref().map_or(0, |(n, _)| n + 1);
        let Some(at) = self.history.len().checked_sub(back + 1) else { return };
        let written = self.recalled.take().map_or_else(|| self.text.clone(), |(_, written)| written);
        self.show(self.history[at].clone());
        self.recalled = Some((back, written));
    }

    /// One line down, or the text after this one.
    pub(super) fn down(&mut self) {
        if self.text[self.cursor..].contains('\n') {
            let column = self.column();
            self.end();
            self.right();
            self.go_to_column(column);
            return;
        }
        match self.recalled.take() {
            None => {}
            Some((0, written)) => self.show(written),
            Some((back, written)) => {
                self.show(self.history[self.history.len() - back].clone());
                self.recalled = Some((back - 1, written));
            }
        }
    }

    /// The text in rows of at most `width` columns, and the row and column of the cursor.
    pub(super) fn rows(&self, width: usize) -> (Vec<String>, (usize, usize)) {
        let width = width.max(2);
        let mut rows = vec![String::new()];
        let mut column = 0;
        let mut cursor = (0, 0);
        for (at, c) in self.text.char_indices() {
            let columns = if c == '\t' { 4 } else { c.width().unwrap_or(0) };
            if c != '\n' && column + columns > width {
                rows.push(String::new());
                column = 0;
            }
            if at == self.cursor {
                cursor = (rows.len() - 1, column);
            }
            match c {
                '\n' => {
                    rows.push(String::new());
                    column = 0;
                }
                _ => {
                    let shown = if c == '\t' { "    ".to_owned() } else { c.to_string() };
                    rows.last_mut().expect("there is a row").push_str(&shown);
                    column += columns;
                }
            }
        }
        if self.cursor == self.text.len() {
            if column >= width {
                rows.push(String::new());
                column = 0;
            }
            cursor = (rows.len() - 1, column);
        }
        (rows, cursor)
    }

    fn show(&mut self, text: String) {
        self.cursor = text.len();
        self.text = text;
    }

    fn cut(&mut self, from: usize, to: usize) {
        self.text.drain(from..to);
        self.cursor = from;
    }

    fn before(&self) -> usize {
        self.text[..self.cursor].char_indices().next_back().map_or(0, |(at, _)| at)
    }

    fn after(&self) -> usize {
        self.text[self.cursor..].chars().next().map_or(self.cursor, |c| self.cursor + c.len_utf8())
    }

    fn word_start(&self) -> usize {
        let head = self.text[..self.cursor].trim_end_matches(|c: char| !c.is_alphanumeric());
        head.trim_end_matches(char::is_alphanumeric).len()
    }

    fn column(&self) -> usize {
        let start = self.text[..self.cursor].rfind('\n').map_or(0, |at| at + 1);
        self.text[start..self.cursor].width()
    }

    fn go_to_column(&mut self, column: usize) {
        while self.column() < column
            && !self.text[self.cursor..].starts_with('\n')
            && self.cursor < self.text.len()
        {
            self.right();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn editor(text: &str) -> Editor {
        let mut editor = Editor::default();
        editor.insert(text);
        editor
    }

    #[test]
    fn words_and_lines_are_cut() {
        let mut line = editor("fix the büg, now");
        line.delete_word();
        assert_eq!(line.text(), "fix the büg, ");
        line.delete_word();
        line.backspace();
        assert_eq!(line.text(), "fix the");
        line.word_left();
        line.delete_to_end();
        assert_eq!(line.text(), "fix ");
        line.delete_to_start();
        assert!(line.is_empty());
    }

    #[test]
    fn pasted_control_characters_do_not_get_in() {
        assert_eq!(editor("a\u{1b}[2J\r\nb\rc\td\u{7}").text(), "a[2J\nb\nc\td");
    }

    #[test]
    fn the_arrow_keys_go_back_and_forth() {
        let mut line = editor("one");
        line.take();
        line.insert("two");
        line.take();
        line.insert("dra");
        line.up();
        line.up();
        line.up();
        assert_eq!(line.text(), "one");
        line.down();
        assert_eq!(line.text(), "two");
        line.down();
        line.down();
        assert_eq!(line.text(), "dra");
        line.clear();
        line.insert("ab\ncdef");
        line.up();
        assert_eq!((line.text(), line.cursor), ("ab\ncdef", 2));
        line.down();
        assert_eq!(line.cursor, 5);
    }

    #[test]
    fn rows_fit_and_know_the_cursor() {
        let mut line = editor("abcdef\n日本語");
        assert_eq!(line.rows(4), (vec!["abcd".into(), "ef".into(), "日本".into(), "語".into()], (3, 2)));
        line.home();
        assert_eq!(line.rows(4).1, (2, 0));
        assert_eq!(editor("abcd").rows(4), (vec!["abcd".into(), String::new()], (1, 0)));
        assert_eq!(editor("").rows(4), (vec![String::new()], (0, 0)));
    }

    proptest! {
        #[test]
        fn no_key_breaks_it(text in "[a日\n .]{0,12}", keys in prop::collection::vec(0..14_u8, 0..40), width in 2..9_usize) {
            let mut line = editor(&text);
            for key in keys {
                match key {
                    0 => line.left(),
                    1 => line.right(),
                    2 => line.home(),
                    3 => line.end(),
                    4 => line.word_left(),
                    5 => line.word_right(),
                    6 => line.backspace(),
                    7 => line.delete(),
                    8 => line.delete_word(),
                    9 => line.up(),
                    10 => line.down(),
                    11 => line.insert("é\n"),
                    12 => drop(line.take()),
                    _ => line.delete_to_end(),
                }
                prop_assert!(line.text.is_char_boundary(line.cursor));
                let (rows, (row, column)) = line.rows(width);
                prop_assert!(rows.iter().all(|row| row.width() <= width));
                prop_assert!(row < rows.len() && column <= width);
            }
        }
    }
}
