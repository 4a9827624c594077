//! Colours, where they are wanted.

use std::fmt;

/// What a text means; the terminal's own palette decides how it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Tone {
    /// Nothing special.
    #[default]
    Plain,
    /// Less important.
    Dim,
    /// More important.
    Bold,
    /// It went well, or it was added.
    Good,
    /// It went wrong, or it was removed.
    Bad,
    /// It needs somebody.
    Warn,
    /// A name, a link, something to type.
    Accent,
    /// It was searched for, or is where one is.
    Marked,
}

impl Tone {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Dim => "2",
            Self::Bold => "1",
            Self::Good => "32",
            Self::Bad => "31",
            Self::Warn => "33",
            Self::Accent => "36",
            Self::Marked => "7",
        }
    }
}

/// Whether colours are used on one output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint(bool);

impl Paint {
    /// No colours.
    pub(crate) const PLAIN: Self = Self(false);
    /// Colours.
    #[cfg(test)]
    pub(crate) const COLOURED: Self = Self(true);

    /// The text in a tone.
    pub(crate) fn of<T: fmt::Display>(self, tone: Tone, text: T) -> Painted<T> {
        Painted { paint: self, tone, text }
    }
}

/// A text with its tone.
pub(crate) struct Painted<T> {
    paint: Paint,
    tone: Tone,
    text: T,
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.paint.0, self.tone) {
            (false, _) | (true, Tone::Plain) => self.text.fmt(f),
            (true, tone) => write!(f, "\u{1b}[{}m{}\u{1b}[0m", tone.code(), self.text),
        }
    }
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum When {
    /// On a terminal that can show them, unless `NO_COLOR` or `CLICOLOR=0` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What the environment says of colours.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wishes {
    /// `NO_COLOR` is set and not empty (<https://no-color.org>).
    pub(crate) no_color: bool,
    /// `CLICOLOR=0` (<https://bixense.com/clicolors>).
    pub(crate) clicolor_off: bool,
    /// `CLICOLOR_FORCE` is set and not `0`.
    pub(crate) clicolor_force: bool,
    /// `TERM=dumb`, or none.
    pub(crate) dumb: bool,
}

impl When {
    /// Decides for one output. What is said on the command line counts most, then `NO_COLOR`.
    pub(crate) fn decide(self, wishes: Wishes, is_terminal: bool) -> Paint {
        Paint(match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto if wishes.no_color => false,
            Self::Auto if wishes.clicolor_force => true,
            Self::Auto => is_terminal && !wishes.clicolor_off && !wishes.dumb,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_used_where_they_are_wanted() {
        let none = Wishes::default();
        let no_color = Wishes { no_color: true, ..none };
        let force = Wishes { clicolor_force: true, ..none };
        let off = Wishes { clicolor_off: true, ..none };
        let dumb = Wishes { dumb: true, ..none };
        for (when, wishes, terminal, expected) in [
            (When::Auto, none, true, true),
            (When::Auto, none, false, false),
            (When::Auto, no_color, true, false),
            (When::Auto, Wishes { clicolor_force: true, ..no_color }, true, false),
            (When::Auto, force, false, true),
            (When::Auto, off, true, false),
            (When::Auto, dumb, true, false),
            (When::Always, no_color, false, true),
            (When::Never, force, true, false),
        ] {
            assert_eq!(when.decide(wishes, terminal), Paint(expected), "{when:?} {wishes:?} {terminal}");
        }
    }

    #[test]
    fn plain_text_is_left_alone() {
        assert_eq!(Paint::PLAIN.of(Tone::Bad, "x").to_string(), "x");
        assert_eq!(Paint::COLOURED.of(Tone::Plain, "x").to_string(), "x");
        assert_eq!(Paint::COLOURED.of(Tone::Bad, "x").to_string(), "\u{1b}[31mx\u{1b}[0m");
    }
}
