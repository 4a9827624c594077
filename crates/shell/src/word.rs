//! Words, and how much of them can be known.

/// How much of a word is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The shell passes on exactly this text.
    Literal,
    /// It names files by a pattern that starts with this text's own directory or name, so that no file's name can turn
    /// into an option.
    Glob,
    /// What it becomes is known only when it runs.
    Unknown,
}

/// A word of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Its text without quotes; as written, where it is not literal.
    pub text: String,
    /// How much of it is known.
    pub kind: Kind,
}

impl Word {
    /// A word that is what it says.
    pub fn literal(text: impl Into<String>) -> Self {
        Self { text: text.into(), kind: Kind::Literal }
    }

    /// A word that nobody knows before it runs.
    pub fn unknown(text: impl Into<String>) -> Self {
        Self { text: text.into(), kind: Kind::Unknown }
    }

    /// Whether it is exactly its text.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.kind == Kind::Literal
    }

    /// Whether a rule may cover it.
    #[must_use]
    pub fn is_known(&self) -> bool {
        match self.kind {
            Kind::Literal | Kind::Glob => true,
            Kind::Unknown => false,
        }
    }

    /// Reads a word as it is written.
    ///
    /// This does not trust the parser's own idea of expansions: a word is literal only if each of its characters is
    /// known to mean itself.
    #[must_use]
    pub fn read(raw: &str) -> Self {
        scan(raw).unwrap_or_else(|| Self::unknown(raw))
    }
}

/// Removes the quotes; `None` where something is expanded that cannot be known.
fn scan(raw: &str) -> Option<Word> {
    let mut text = String::new();
    let mut glob = false;
    let mut chars = raw.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' => loop {
                match chars.next()? {
                    '\'' => break,
                    c => text.push(c),
                }
            },
            '"' => loop {
                match chars.next()? {
                    '"' => break,
                    '$' | '`' => return None,
                    '\\' => match chars.next()? {
                        '\n' => {}
                        c @ ('$' | '`' | '"' | '\\') => text.push(c),
                        c => text.extend(['\\', c]),
                    },
                    c => text.push(c),
                }
            },
            '\\' => match chars.next()? {
                '\n' => {}
                c => text.push(c),
            },
            '*' | '?' | '[' | ']' => {
                glob = true;
                text.push(c);
            }
            '~' if text.is_empty() || text.ends_with([':', '=']) => return None,
            // A brace expands only with a comma or two dots in it, but what is inside is not worth the doubt.
            '{' if chars.peek() == Some(&'}') => {
                chars.next();
                text.push_str("{}");
            }
            '$' | '`' | '{' | '}' | '(' | ')' | '<' | '>' | '|' | '&' | ';' | ' ' | '\t' | '\n' => {
                return None;
            }
            c => text.push(c),
        }
    }
    if !glob {
        return Some(Word { text, kind: Kind::Literal });
    }
    // `*` alone may match a file that is called `-rf`, or one that lies where a link points; a pattern below a named
    // start cannot become an option.
    let safe = text.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '/' | '_'));
    safe.then_some(Word { text, kind: Kind::Glob })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_literal_only_if_every_character_means_itself() {
        for (raw, text) in [
            ("git", "git"),
            ("'a b'", "a b"),
            (r#""a b""#, "a b"),
            (r"\rm", "rm"),
            ("r''m", "rm"),
            (r#""a\"b""#, "a\"b"),
            ("a\\\nb", "ab"),
            ("'$x'", "$x"),
            (r"\$x", "$x"),
            (r#""a\nb""#, "a\\nb"),
            ("{}", "{}"),
            ("a~b", "a~b"),
            ("--x=1", "--x=1"),
            ("é", "é"),
            ("''", ""),
            ("'*'", "*"),
            ("a#b", "a#b"),
        ] {
            assert_eq!(Word::read(raw), Word::literal(text), "{raw}");
        }
        for raw in [
            "$x", "\"$x\"", "`id`", "$(id)", "~", "~/x", "a=~/x", "{a,b}", "a{1..3}", "$'a'", "<(id)", "*",
            "?x", "[a]b", "-*", "'open", "\"open", "a\\", "@(a)", "\"`id`\"",
        ] {
            assert_eq!(Word::read(raw).kind, Kind::Unknown, "{raw}");
        }
        for raw in ["src/*.rs", "./*", "/tmp/*", "a?", "x[12]"] {
            assert_eq!(Word::read(raw).kind, Kind::Glob, "{raw}");
        }
    }
}
