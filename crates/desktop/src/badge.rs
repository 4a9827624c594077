//! How many requests wait: the page says so at the beginning of its title, as `(3) Inbox · Trunkline`.

/// The number at the beginning of a title, if there is one.
pub fn count(title: &str) -> Option<i64> {
    let (number, _) = title.strip_prefix('(')?.split_once(')')?;
    number.parse().ok().filter(|count| *count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_at_the_beginning_counts() {
        assert_eq!(count("(12) Inbox · Trunkline"), Some(12));
        for none in ["Trunkline", "(x) Trunkline", "Trunkline (3)", "(3", "()", "(-1) a", "(0) a", ""] {
            assert_eq!(count(none), None, "{none}");
        }
    }
}
