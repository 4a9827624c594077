//! Text from elsewhere, made harmless for a terminal.
//!
//! Agents, and the files and web pages they read, write what they like. A terminal obeys control characters: they can
//! retitle it, hide what a permission is about, or type an answer on the user's behalf. So none gets through, and those
//! that turn the reading direction around ("Trojan Source") do not either.

/// Makes a text of several lines harmless. Line ends stay, tabs become four spaces, colours vanish, every other control
/// character is shown as a picture or by its number.
pub(crate) fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = colour(rest) {
            rest = after;
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            '\n' => out.push('\n'),
            '\r' if rest.starts_with('\n') => {}
            '\t' => out.push_str("    "),
            _ => push(&mut out, c),
        }
    }
    out
}

/// Makes a text harmless that must be one line.
pub(crate) fn line(text: &str) -> String {
    let mut out = self::text(text.trim());
    if out.contains('\n') {
        out = out.split('\n').map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    }
    out
}

/// Makes JSON harmless: what serde leaves as it is inside of strings and terminals obey, 7F to 9F, is escaped.
pub(crate) fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if ('\u{7f}'..='\u{9f}').contains(&c) || turns_direction(c) {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

fn push(out: &mut String, c: char) {
    match c {
        '\0'..='\u{1f}' => out.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('?')),
        '\u{7f}' => out.push('\u{2421}'),
        '\u{80}'..='\u{9f}' => out.push_str(&format!("<{:02X}>", u32::from(c))),
        _ if turns_direction(c) => out.push_str(&format!("<U+{:04X}>", u32::from(c))),
        _ => out.push(c),
    }
}

fn turns_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What follows a whole colour sequence (`ESC [ … m`), of which command output is full.
fn colour(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("\u{1b}[")?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != ';' && c != ':')?;
    rest[end..].strip_prefix('m')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn control_characters_are_shown_not_sent() {
        assert_eq!(text("a\u{1b}]0;owned\u{7}b"), "a␛]0;owned␇b");
        assert_eq!(text("\u{1b}[1;31mred\u{1b}[0m and \u{1b}[2J"), "red and ␛[2J");
        assert_eq!(text("one\r\ntwo\rthree\ttab"), "one\ntwo␍three    tab");
        assert_eq!(text("\u{9b}2J \u{202e}gpj.exe"), "<9B>2J <U+202E>gpj.exe");
        assert_eq!(text("naïve 日本 👩‍💻"), "naïve 日本 👩‍💻");
    }

    #[test]
    fn a_line_is_one_line() {
        assert_eq!(line("  a\n\n  b\tc \n"), "a b    c");
    }

    #[test]
    fn json_stays_the_same_json() {
        let value = serde_json::json!({ "a": "x\u{9b}2J\u{7f}\u{202e}\u{1b}" });
        let harmless = json(&value.to_string());
        assert!(!harmless.chars().any(|c| c.is_control()), "{harmless}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&harmless).unwrap(), value);
    }

    proptest! {
        #[test]
        fn nothing_a_terminal_obeys_gets_through(given in ".*|[\\x00-\\x9f\u{202e}]*") {
            let harmless = text(&given);
            prop_assert!(!harmless.chars().any(|c| (c.is_control() && c != '\n') || turns_direction(c)));
            let again = text(&harmless);
            prop_assert_eq!(again, harmless);
            prop_assert!(!line(&given).contains('\n'));
        }
    }
}
