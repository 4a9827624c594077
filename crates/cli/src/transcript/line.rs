//! Lines of text in tones, and how they are broken.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::style::{Paint, Tone};

/// A line, before it is broken to fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Line {
    spans: Vec<(Tone, String)>,
    /// How many columns its continuation is indented by.
    hang: usize,
}

/// A character in its tone.
type Letter = (Tone, char);

impl Line {
    /// A line of parts.
    pub(crate) fn of(spans: Vec<(Tone, String)>) -> Self {
        Self { spans, hang: 0 }
    }

    /// A line in one tone.
    pub(crate) fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self::of(vec![(tone, text.into())])
    }

    /// The same, continued under its own column `hang`.
    pub(crate) fn hang(self, hang: usize) -> Self {
        Self { hang, ..self }
    }

    /// The text with its colours.
    pub(crate) fn render(&self, paint: Paint) -> String {
        self.spans.iter().map(|(tone, text)| paint.of(*tone, text).to_string()).collect()
    }

    /// How many columns it has.
    pub(crate) fn width(&self) -> usize {
        self.spans.iter().map(|(_, text)| text.width()).sum()
    }

    /// Breaks it into rows of at most `width` columns, between words where it can.
    pub(crate) fn wrap(&self, width: usize) -> Vec<Self> {
        let width = width.max(2);
        if self.width() <= width {
            return vec![self.clone()];
        }
        let hang = if self.hang < width / 2 { self.hang } else { 0 };
        let chars: Vec<Letter> =
            self.spans.iter().flat_map(|(tone, text)| text.chars().map(move |c| (*tone, c))).collect();
        let mut rows = Vec::new();
        let mut rest = &chars[..];
        while !rest.is_empty() {
            let indent = if rows.is_empty() { 0 } else { hang };
            let (row, after) = break_off(rest, width - indent);
            rows.push(gather(row, indent));
            rest = after;
        }
        rows
    }
}

/// The longest beginning that fits, up to the last blank in it; blanks at the break vanish.
fn break_off(chars: &[Letter], width: usize) -> (&[Letter], &[Letter]) {
    let mut used = 0;
    let fits = chars.iter().take_while(|(_, c)| {
        used += c.width().unwrap_or(0);
        used <= width
    });
    let fits = fits.count().max(1);
    if fits == chars.len() || chars[fits].1 == ' ' {
        return (trim_end(&chars[..fits]), trim_start(&chars[fits..]));
    }
    let begun = chars.iter().take_while(|(_, c)| *c == ' ').count();
    match chars[..fits].iter().rposition(|(_, c)| *c == ' ') {
        Some(blank) if blank > begun => (trim_end(&chars[..blank]), trim_start(&chars[blank..])),
        _ => chars.split_at(fits),
    }
}

fn trim_start(chars: &[Letter]) -> &[Letter] {
    &chars[chars.iter().take_while(|(_, c)| *c == ' ').count()..]
}

fn trim_end(chars: &[Letter]) -> &[Letter] {
    let end = chars.iter().rposition(|(_, c)| *c != ' ').map_or(0, |at| at + 1);
    &chars[..end]
}

fn gather(chars: &[Letter], indent: usize) -> Line {
    let mut spans: Vec<(Tone, String)> = Vec::new();
    if indent > 0 {
        spans.push((Tone::Plain, " ".repeat(indent)));
    }
    for (tone, c) in chars {
        match spans.last_mut() {
            Some((last, text)) if last == tone => text.push(*c),
            _ => spans.push((*tone, c.to_string())),
        }
    }
    Line::of(spans)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wrap(text: &str, hang: usize, width: usize) -> String {
        let rows = Line::new(Tone::Plain, text).hang(hang).wrap(width);
        rows.iter().map(|row| row.render(Paint::PLAIN)).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrap("the quick brown fox", 0, 10), "the quick\nbrown fox");
        assert_eq!(wrap("- the quick brown fox", 2, 10), "- the\n  quick\n  brown\n  fox");
        assert_eq!(wrap("abcdefghijkl mno", 0, 5), "abcde\nfghij\nkl\nmno");
        assert_eq!(wrap("    indented words", 0, 10), "    indent\ned words");
        assert_eq!(wrap("日本語日本語", 0, 5), "日本\n語日\n本語");
        assert_eq!(wrap("", 0, 5), "");
    }

    #[test]
    fn tones_survive_a_break() {
        let line = Line::of(vec![(Tone::Bad, "red red ".into()), (Tone::Plain, "plain".into())]);
        let rows: Vec<_> = line.wrap(7).iter().map(|row| row.render(Paint::COLOURED)).collect();
        assert_eq!(rows, ["\u{1b}[31mred red\u{1b}[0m", "plain"]);
    }

    proptest! {
        #[test]
        fn every_row_fits_and_no_letter_is_lost(text in "[a-z日 ]{0,60}", hang in 0..6_usize, width in 2..20_usize) {
            let rows = Line::new(Tone::Plain, text.as_str()).hang(hang).wrap(width);
            prop_assert!(rows.iter().all(|row| row.width() <= width), "{:?}", rows);
            let joined: String = rows.iter().map(|row| row.render(Paint::PLAIN)).collect();
            let letters = |text: &str| text.replace(' ', "");
            prop_assert_eq!(letters(&joined), letters(&text));
        }
    }
}
