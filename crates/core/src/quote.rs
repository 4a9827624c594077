//! Words of others inside of a prompt of ours.
//!
//! Each of their lines begins with `| `, every one of them. There is no end mark that they could contain, so nothing in them
//! can pass for a word of ours.

use std::fmt::Write;

/// What stands before each line that is not ours.
pub(crate) const MARK: &str = "| ";
/// Whatever some program takes for the end of a line.
pub(crate) const LINE_ENDS: [char; 7] = ['\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}'];

/// Writes a text line by line, each marked, in at most so many bytes. Gives how many bytes of it were left out.
pub(crate) fn quote(out: &mut String, text: &str, max: usize) -> usize {
    let text = text.replace("\r\n", "\n");
    let (mut room, mut left) = (max, text.len());
    for line in text.split_inclusive(LINE_ENDS) {
        let kept = &line[..line.floor_char_boundary(room.saturating_sub(MARK.len() + 1))];
        if kept.is_empty() {
            break;
        }
        let shown: String = kept
            .trim_end_matches(LINE_ENDS)
            .chars()
            .map(|c| if c.is_control() && c != '\t' { ' ' } else { c })
            .collect();
        _ = writeln!(out, "{MARK}{}", shown.trim_end());
        room -= MARK.len() + 1 + kept.len();
        left -= kept.len();
    }
    left
}
