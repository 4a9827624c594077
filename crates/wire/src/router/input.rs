//! Lines out of the bytes that one peer sends, looked at where they stand.
//!
//! Unlike [`crate::ndjson`] nothing is copied but the piece of a line that a read cut off, and a line that is over
//! the limit leaves its two ends, from which its id may be read.

/// How much of the end of an over-long line is kept.
const TAIL: usize = 512;

/// What may stay allocated between long lines.
const KEEP: usize = 256 * 1024;

/// The unfinished line of one peer.
#[derive(Debug, Default)]
pub(super) struct Input {
    partial: Vec<u8>,
    over: Option<Over>,
}

/// A line over the limit that has not ended yet.
#[derive(Debug, Default)]
struct Over {
    start: Vec<u8>,
    tail: Vec<u8>,
}

/// What was found.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    /// A line without its line end, not empty.
    Line(&'a [u8]),
    /// A line over the limit, of which only the ends are left.
    TooLong { start: &'a [u8], tail: &'a [u8] },
}

impl Input {
    /// Takes the next bytes and hands over each line that they end. `max` bounds a line with its line end.
    pub(super) fn feed(&mut self, mut bytes: &[u8], max: usize, mut each: impl FnMut(Piece<'_>)) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let line = &bytes[..end];
            bytes = &bytes[end + 1..];
            if self.partial.is_empty() && self.over.is_none() && line.len() < max {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                if !line.is_empty() {
                    each(Piece::Line(line));
                }
                continue;
            }
            // With its line end the line is one byte longer than what is kept.
            self.keep(line, max);
            if let Some(over) = self.over.take() {
                each(Piece::TooLong { start: &over.start, tail: &over.tail });
                continue;
            }
            let line = self.partial.strip_suffix(b"\r").unwrap_or(&self.partial);
            if !line.is_empty() {
                each(Piece::Line(line));
            }
            self.partial.clear();
            if self.partial.capacity() > KEEP {
                self.partial = Vec::new();
            }
        }
        self.keep(bytes, max);
    }

    fn keep(&mut self, bytes: &[u8], max: usize) {
        if let Some(over) = &mut self.over {
            over.push(bytes);
        } else if bytes.is_empty() || self.partial.len() + bytes.len() < max {
            self.partial.extend_from_slice(bytes);
        } else {
            let mut over = Over { start: std::mem::take(&mut self.partial), tail: Vec::new() };
            over.tail.extend_from_slice(&over.start[over.start.len().saturating_sub(TAIL)..]);
            let room = max.saturating_sub(over.start.len()).min(bytes.len());
            over.start.extend_from_slice(&bytes[..room]);
            over.push(bytes);
            self.over = Some(over);
        }
    }
}

impl Over {
    fn push(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL)..]);
        let extra = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..extra);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A line, or the two ends of one that is too long.
    type Found = Result<Vec<u8>, (Vec<u8>, Vec<u8>)>;

    fn feed(pieces: &[&[u8]], max: usize) -> Vec<Found> {
        let mut input = Input::default();
        let mut found = Vec::new();
        for piece in pieces {
            input.feed(piece, max, |piece| {
                found.push(match piece {
                    Piece::Line(line) => Ok(line.to_vec()),
                    Piece::TooLong { start, tail } => Err((start.to_vec(), tail.to_vec())),
                });
            });
            assert!(input.partial.len() <= max);
        }
        found
    }

    #[test]
    fn a_line_of_the_limit_passes_and_one_byte_more_does_not() {
        assert_eq!(feed(&[b"1234\n123", b"4\n"], 5), [Ok(b"1234".to_vec()), Ok(b"1234".to_vec())]);
        let long = || Err((b"12345".to_vec(), b"12345".to_vec()));
        assert_eq!(feed(&[b"12345\n", b"123", b"45\n1\n"], 5), [long(), long(), Ok(b"1".to_vec())]);
    }

    #[test]
    fn line_ends_are_taken_off_and_empty_lines_passed_over() {
        assert_eq!(
            feed(&[b"a\r\n\r\n\nb\r", b"\n\r", b"\n", b"c"], 9),
            [Ok(b"a".to_vec()), Ok(b"b".to_vec())]
        );
    }

    proptest! {
        #[test]
        fn the_cut_does_not_matter(text in "[a\n\r]{0,60}", cut in 1_usize..9, max in 0_usize..12) {
            let whole = feed(&[text.as_bytes()], max);
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(cut).collect();
            prop_assert_eq!(whole, feed(&pieces, max));
        }
    }
}
