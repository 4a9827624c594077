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

    /// Its text without tones.
    pub(crate) fn text(&self) -> String {
        self.spans.iter().map(|(_, text)| text.as_str()).collect()
    }

    /// The same without what is beyond so many bytes.
    pub(crate) fn clip(mut self, max: usize) -> Self {
        let mut room = max;
        let over = self.spans.iter().position(|(_, text)| {
            let over = text.len() > room;
            room = if over { room } else { room - text.len() };
            over
        });
        if let Some(over) = over {
            self.spans.truncate(over + 1);
            let text = &mut self.spans[over].1;
            text.truncate((0..=room).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0));
            text.push('…');
        }
        self
    }

    /// Whether the needle is in it.
    pub(crate) fn has(&self, needle: &Needle) -> bool {
        let letters: Vec<char> = self.text().chars().collect();
        needle.next(&letters).is_some()
    }

    /// The same with the needle marked wherever it is in it.
    pub(crate) fn mark(&self, needle: &Needle) -> Self {
        let mut letters = self.letters();
        let text: Vec<char> = letters.iter().map(|(_, c)| *c).collect();
        let mut from = 0;
        while let Some(at) = needle.next(&text[from..]) {
            let found = from + at..from + at + needle.letters.len();
            letters[found.clone()].iter_mut().for_each(|(tone, _)| *tone = Tone::Marked);
            from = found.end;
        }
        if from == 0 { self.clone() } else { gather(&letters, 0).hang(self.hang) }
    }

    fn letters(&self) -> Vec<Letter> {
        self.spans.iter().flat_map(|(tone, text)| text.chars().map(move |c| (*tone, c))).collect()
    }

    /// Breaks it into rows of at most `width` columns, between words where it can.
    pub(crate) fn wrap(&self, width: usize) -> Vec<Self> {
        let width = width.max(2);
        if self.width() <= width {
            return vec![self.clone()];
        }
        let hang = if self.hang < width / 2 { self.hang } else { 0 };
        let chars = self.letters();
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

/// A text that is searched for. Without capital letters in it, it is found in capital letters too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Needle {
    letters: Vec<char>,
    exact: bool,
}

impl Needle {
    /// `None` for an empty text, which would be everywhere.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let exact = text.chars().any(char::is_uppercase);
        (!text.is_empty()).then(|| Self { letters: text.chars().collect(), exact })
    }

    /// Where it is first.
    fn next(&self, text: &[char]) -> Option<usize> {
        let same = |(c, wanted): (&char, &char)| c == wanted || (!self.exact && small(*c) == *wanted);
        text.windows(self.letters.len()).position(|place| place.iter().zip(&self.letters).all(same))
    }
}

/// A letter for a letter: the few that become two when they are made small are found as they are.
fn small(c: char) -> char {
    let mut small = c.to_lowercase();
    small.next().filter(|_| small.next().is_none()).unwrap_or(c)
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

    #[test]
    fn a_line_is_clipped_between_letters() {
        let clip =
            |max: usize| Line::of(vec![(Tone::Bad, "aä".into()), (Tone::Dim, "bcd".into())]).clip(max).text();
        assert_eq!([clip(6), clip(5), clip(4), clip(2), clip(0)], ["aäbcd", "aäbc…", "aäb…", "a…", "…"]);
    }

    #[test]
    fn a_needle_is_marked_wherever_it_is() {
        let marked = |text: &str, needle: &str| {
            let line = Line::of(vec![(Tone::Dim, text[..2].into()), (Tone::Plain, text[2..].into())]);
            let needle = Needle::new(needle).unwrap();
            (line.has(&needle), line.mark(&needle).render(Paint::COLOURED))
        };
        let shown = |has: bool, text: &str| (has, text.replace('<', "\u{1b}[7m").replace('>', "\u{1b}[0m"));
        let dim = "\u{1b}[2mab\u{1b}[0m";
        assert_eq!(marked("abcabc", "x"), shown(false, &format!("{dim}cabc")));
        assert_eq!(marked("abcABC", "bc"), shown(true, "\u{1b}[2ma><bc>A<BC>"));
        assert_eq!(marked("abcABC", "BC"), shown(true, &format!("{dim}cA<BC>")));
        assert_eq!(marked("abÄäß", "ää"), shown(true, &format!("{dim}<Ää>ß")));
        assert_eq!(Needle::new(""), None);
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
