//! HTML that is made here, for what must work without a script.

use std::fmt::Write as _;

/// A text inside an element or an attribute.
pub(crate) struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&#34;")?,
                '\'' => f.write_str("&#39;")?,
                // No page has a use for them, and a browser may take them for something else.
                c if c.is_control() && c != '\n' && c != '\t' => f.write_char(' ')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A text for inside an element or an attribute.
pub(crate) const fn escaped(text: &str) -> Escaped<'_> {
    Escaped(text)
}
