//! Tables of aligned columns.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::clean;
use crate::style::{Paint, Tone};

/// A field of a table.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A field in a tone. What it says may come from anywhere.
    pub(crate) fn new(tone: Tone, text: impl AsRef<str>) -> Self {
        Self { text: clean::line(text.as_ref()), tone }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(Tone::Plain, text)
    }
}

/// A table: a head and rows of as many fields.
pub(crate) struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

/// Blanks between columns.
const GAP: usize = 2;
/// A column is not cut shorter than this.
const LEAST: usize = 8;

impl Table {
    pub(crate) fn new(head: &[&'static str]) -> Self {
        Self { head: head.to_vec(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        assert_eq!(cells.len(), self.head.len(), "a row has a field for each column");
        self.rows.push(cells);
    }

    /// The lines. On a terminal of `width` columns the widest columns are cut so that each row is one line; without a
    /// width nothing is cut.
    pub(crate) fn render(&self, paint: Paint, width: Option<usize>) -> String {
        let mut widths = self.widths();
        if let Some(width) = width {
            shrink(&mut widths, width);
        }
        let head = self.head.iter().map(|name| Cell::new(Tone::Dim, name)).collect();
        let mut out = String::new();
        for row in std::iter::once(&head).chain(&self.rows) {
            let mut line = String::new();
            let mut blanks = 0;
            for (cell, width) in row.iter().zip(&widths) {
                let text = cut(&cell.text, *width);
                line.push_str(&" ".repeat(blanks));
                line.push_str(&paint.of(cell.tone, &text).to_string());
                blanks = width - text.width() + GAP;
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }

    fn widths(&self) -> Vec<usize> {
        let column = |n: usize| self.rows.iter().map(move |row| row[n].text.width());
        self.head.iter().enumerate().map(|(n, name)| column(n).max().unwrap_or(0).max(name.width())).collect()
    }
}

/// Takes from the widest column until all fit, or none can give more.
fn shrink(widths: &mut [usize], width: usize) {
    let gaps = GAP * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > width {
        let Some(widest) = widths.iter_mut().max_by_key(|width| **width).filter(|width| **width > LEAST)
        else {
            return;
        };
        *widest -= 1;
    }
}

/// The text in at most `width` columns, with a mark where it was cut.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["ID", "TITLE", "STATE"]);
        table.row(vec![
            "1".into(),
            "日本語 and a rather long title".into(),
            Cell::new(Tone::Warn, "waiting"),
        ]);
        table.row(vec!["22".into(), "x\u{1b}[2J\ny".into(), "idle".into()]);
        table
    }

    #[test]
    fn columns_are_aligned_and_harmless() {
        insta::assert_snapshot!(table().render(Paint::PLAIN, None), @r"
        ID  TITLE                           STATE
        1   日本語 and a rather long title  waiting
        22  x␛[2J y                         idle
        ");
    }

    #[test]
    fn on_a_terminal_the_widest_column_gives() {
        insta::assert_snapshot!(table().render(Paint::PLAIN, Some(30)), @r"
        ID  TITLE              STATE
        1   日本語 and a rat…  waiting
        22  x␛[2J y            idle
        ");
        assert!(table().render(Paint::COLOURED, Some(30)).contains("\u{1b}[33mwaiting\u{1b}[0m"));
        assert!(table().render(Paint::PLAIN, Some(1)).lines().count() == 3, "too narrow is still printed");
    }
}
