//! What is looked for.

/// The most words that are looked for.
const MAX_WORDS: usize = 32;

/// Words that a passage must have, all of them: each as it is or as the beginning of a longer one, and what stands in quotes in its
/// order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words(String);

impl Words {
    /// Reads what somebody typed. `None` when no word is in it.
    #[must_use]
    pub fn parse(typed: &str) -> Option<Self> {
        let mut query = Vec::new();
        for (n, part) in typed.split('"').enumerate() {
            if n % 2 == 1 {
                query.extend(phrase(part));
            } else {
                query.extend(part.split_whitespace().filter_map(phrase).map(|word| word + "*"));
            }
        }
        query.truncate(MAX_WORDS);
        (!query.is_empty()).then(|| Self(query.join(" ")))
    }

    /// As FTS5 reads it.
    pub(super) fn query(&self) -> &str {
        &self.0
    }
}

/// Words in their order: a string of FTS5, in which nothing has a meaning but a quote, and there is none.
fn phrase(text: &str) -> Option<String> {
    let has_word = text.chars().any(char::is_alphanumeric);
    has_word.then(|| format!("\"{}\"", text.replace('\0', " ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_has_no_syntax_but_quotes() {
        let query = |typed| Words::parse(typed).map(|words| words.0);
        assert_eq!(query("parse src/lib.rs").unwrap(), r#""parse"* "src/lib.rs"*"#);
        assert_eq!(query(r#"he said "not now" AND"#).unwrap(), r#""he"* "said"* "not now" "AND"*"#);
        assert_eq!(query(r#"open "quote"#).unwrap(), r#""open"* "quote""#);
        for nothing in ["", "  ", "--", "\"\"", "* ( )"] {
            assert_eq!(query(nothing), None, "{nothing}");
        }
    }
}
