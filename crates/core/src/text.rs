//! Checks of short texts that people and programs give: names, titles, keys.

use crate::refused::Refused;

/// Requires 1 to `max` characters and no control characters.
///
/// # Errors
/// `Invalid` with the field and what is wrong with it.
pub fn check_name(field: &'static str, text: &str, max: usize) -> Result<(), Refused> {
    if text.trim().is_empty() {
        return Err(Refused::invalid(field, "must not be empty"));
    }
    if text.chars().count() > max {
        return Err(Refused::invalid(field, format!("must be at most {max} characters")));
    }
    if text.chars().any(char::is_control) {
        return Err(Refused::invalid(field, "must not contain control characters"));
    }
    Ok(())
}

/// Requires at most `max` bytes.
///
/// # Errors
/// `Invalid` with the field and its limit.
pub fn check_size(field: &'static str, bytes: usize, max: usize) -> Result<(), Refused> {
    if bytes > max {
        return Err(Refused::invalid(field, format!("is {bytes} bytes; the limit is {max}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_bounds() {
        assert!(check_name("title", "fix the bug", 255).is_ok());
        for bad in ["", "  ", "a\nb", "\u{7}", &"x".repeat(256)] {
            assert!(check_name("title", bad, 255).is_err(), "{bad:?}");
        }
        assert!(check_name("title", &"é".repeat(255), 255).is_ok());
    }
}
