//! Newline-delimited JSON framing: bytes in, lines out.
//!
//! The decoder knows nothing of JSON; it finds line ends, bounds what a peer can make us hold and says where in
//! the stream each line stood. A line ends at LF; one CR before it belongs to the line end. Empty lines are lines.

use bytes::Bytes;

/// The longest line accepted unless told otherwise: 64 MiB.
pub const DEFAULT_MAX_LINE: usize = 64 * 1024 * 1024;

/// Half the capacity that may stay allocated between lines, and the size from which a line is handed over, not copied.
const KEEP: usize = 64 * 1024;

/// One line of the stream and its place in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Offset in the stream of the line's first byte.
    pub offset: u64,
    /// Offset just behind the line's end (behind its LF, if it had one): where the next line starts.
    pub end: u64,
    /// The line without its line end, or how long it was if it was longer than the decoder's limit.
    pub text: Result<Bytes, TooLong>,
}

/// A line longer than the limit. Its bytes were dropped; the stream goes on with the next line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a line of {len} bytes is longer than the limit of {max} bytes")]
pub struct TooLong {
    /// Length of the line in bytes, without its line end.
    pub len: u64,
    /// The limit it broke.
    pub max: usize,
}

/// A push decoder: [`push`](Self::push) bytes as they come, then take lines from it as an iterator until `None`.
///
/// Between a `None` and the next push it holds at most one unfinished line of the limit's length; what is beyond
/// the limit is counted and dropped. Its work is linear in the bytes pushed, however they are cut, and the memory
/// of a long line goes away with it.
///
/// ```
/// let mut decoder = trunkline_wire::ndjson::Decoder::default();
/// decoder.push(b"{\"id\":1}\r\n{\"id\"");
/// let line = decoder.next().unwrap();
/// assert_eq!((line.offset, line.end, &line.text.unwrap()[..]), (0, 10, &b"{\"id\":1}"[..]));
/// assert!(decoder.next().is_none());
/// ```
#[derive(Debug)]
pub struct Decoder {
    max: usize,
    buf: Vec<u8>,
    /// Where in `buf` the next line starts.
    start: usize,
    /// `buf[start..scanned]` holds no LF.
    scanned: usize,
    /// Offset in the stream of `buf[start]`.
    offset: u64,
    /// Set while the rest of an over-long line is being dropped.
    skipped: Option<Skipped>,
}

/// What is known of an over-long line whose bytes are gone. Its start stays in [`Decoder::offset`].
#[derive(Clone, Copy, Debug)]
struct Skipped {
    len: u64,
    /// Whether the last byte dropped was a CR, which belongs to the line end if an LF follows.
    cr: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(DEFAULT_MAX_LINE)
    }
}

impl Decoder {
    /// A decoder that accepts lines of up to `max` bytes, line end not counted.
    pub fn new(max: usize) -> Self {
        Self { max, buf: Vec::new(), start: 0, scanned: 0, offset: 0, skipped: None }
    }

    /// Takes the next bytes of the stream. Take all lines before pushing again, or they pile up here.
    pub fn push(&mut self, mut bytes: &[u8]) {
        if self.skipped.is_some() && self.start == self.buf.len() {
            // The rest of an over-long line needs no buffer.
            let rest = find_newline(bytes).unwrap_or(bytes.len());
            self.skip(&bytes[..rest]);
            bytes = &bytes[rest..];
        }
        self.make_room(bytes.len());
        self.buf.extend_from_slice(bytes);
    }

    /// The last line of a stream that does not end in LF. Call it when the stream has ended, until it gives
    /// `None`; lines not taken yet come first. After that the decoder goes on at the same offset.
    pub fn finish(&mut self) -> Option<Line> {
        if let Some(line) = self.next() {
            return Some(line);
        }
        let rest = std::mem::take(&mut self.buf);
        let skipped = self.skipped.take();
        if rest.is_empty() && skipped.is_none() {
            return None;
        }
        self.scanned = 0;
        let offset = self.offset;
        let len = skipped.map_or(0, |skipped| skipped.len) + rest.len() as u64;
        self.offset += len;
        let text = if len > self.max as u64 { Err(self.too_long(len)) } else { Ok(Bytes::from(rest)) };
        Some(Line { offset, end: self.offset, text })
    }

    /// How many bytes of the unfinished line were dropped so far because it is over the limit; 0 if it is not.
    pub fn skipped(&self) -> u64 {
        self.skipped.map_or(0, |skipped| skipped.len)
    }

    /// Bytes pushed and not yet handed out or dropped.
    pub fn buffered(&self) -> usize {
        self.buf.len() - self.start
    }

    /// The line that ends with the LF at `buf[at]`.
    fn take_line(&mut self, at: usize) -> Line {
        let offset = self.offset;
        let mut len = (at - self.start) as u64;
        let mut cr = at > self.start && self.buf[at - 1] == b'\r';
        if let Some(skipped) = self.skipped.take() {
            cr = if len == 0 { skipped.cr } else { cr };
            len += skipped.len;
        }
        self.offset += len + 1;
        len -= u64::from(cr);
        let text = if len > self.max as u64 {
            self.start = at + 1;
            Err(self.too_long(len))
        } else {
            Ok(self.take_text(len as usize, at))
        };
        self.scanned = self.start;
        Line { offset, end: self.offset, text }
    }

    /// The line's bytes: a long line takes the buffer along, which costs no copy and gives the memory back, but
    /// only where the bytes behind it, which must move, are fewer.
    fn take_text(&mut self, len: usize, at: usize) -> Bytes {
        let behind = self.buf.len() - (at + 1);
        if self.start == 0 && len >= KEEP && behind <= len {
            let rest = self.buf.split_off(at + 1);
            let mut line = std::mem::replace(&mut self.buf, rest);
            line.truncate(len);
            return Bytes::from(line);
        }
        let text = Bytes::copy_from_slice(&self.buf[self.start..self.start + len]);
        self.start = at + 1;
        text
    }

    /// No line end is in sight: drops what is used up, and an unfinished line that is over the limit.
    fn settle(&mut self) {
        self.buf.drain(..self.start);
        self.start = 0;
        // One byte more than the limit may still be the CR of the line end.
        if self.buf.len() > self.max.saturating_add(1) || self.skipped.is_some() {
            let dropped = std::mem::take(&mut self.buf);
            self.skip(&dropped);
        }
        self.scanned = self.buf.len();
        if self.buf.capacity() > 2 * KEEP && self.buf.len() < self.buf.capacity() / 4 {
            self.buf.shrink_to(KEEP.max(self.buf.len() * 2));
        }
    }

    /// Counts bytes of an over-long line as dropped.
    fn skip(&mut self, bytes: &[u8]) {
        let skipped = self.skipped.get_or_insert(Skipped { len: 0, cr: false });
        skipped.len += bytes.len() as u64;
        skipped.cr = bytes.last().map_or(skipped.cr, |&last| last == b'\r');
    }

    /// Doubles the buffer as `Vec` does, but does not take twice the limit for a line that nears it.
    fn make_room(&mut self, more: usize) {
        let longest = self.max.saturating_add(2);
        let needed = self.buf.len() + more;
        if (self.buf.capacity() + 1..=longest).contains(&needed) {
            let wanted = self.buf.capacity().saturating_mul(2).clamp(needed, longest);
            self.buf.reserve_exact(wanted - self.buf.len());
        }
    }

    fn too_long(&self, len: u64) -> TooLong {
        TooLong { len, max: self.max }
    }
}

impl Iterator for Decoder {
    type Item = Line;

    /// The next complete line, or `None` until more bytes are pushed.
    fn next(&mut self) -> Option<Line> {
        match find_newline(&self.buf[self.scanned..]) {
            Some(at) => Some(self.take_line(self.scanned + at)),
            None => {
                self.settle();
                None
            }
        }
    }
}

/// Position of the first LF. Whole blocks are compared without a branch inside, which compiles to vector code.
fn find_newline(bytes: &[u8]) -> Option<usize> {
    let blocks = bytes.chunks_exact(32);
    let rest = blocks.remainder();
    for (n, block) in blocks.enumerate() {
        if block.iter().fold(false, |found, &byte| found | (byte == b'\n')) {
            return block.iter().position(|&byte| byte == b'\n').map(|at| n * 32 + at);
        }
    }
    rest.iter().position(|&byte| byte == b'\n').map(|at| bytes.len() - rest.len() + at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Pushes the pieces, taking all lines after each, then finishes.
    fn decode<'a>(max: usize, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Line> {
        let mut decoder = Decoder::new(max);
        let mut lines = Vec::new();
        for piece in pieces {
            decoder.push(piece);
            lines.extend(decoder.by_ref());
            assert!(decoder.buffered() <= max + 1, "an unfinished line is held up to the limit only");
        }
        lines.extend(std::iter::from_fn(|| decoder.finish()));
        assert_eq!(decoder.buffered(), 0);
        lines
    }

    /// Renders lines as `offset..end text`, for the tests to read like a transcript.
    fn show(lines: &[Line]) -> Vec<String> {
        let text = |line: &Line| match &line.text {
            Ok(text) => String::from_utf8_lossy(text).into_owned(),
            Err(error) => format!("<{}>", error.len),
        };
        lines.iter().map(|line| format!("{}..{} {}", line.offset, line.end, text(line))).collect()
    }

    #[test]
    fn lf_and_crlf_end_lines_and_a_lone_cr_does_not() {
        let lines = decode(100, [&b"a\nb\r\n\n\r\nc\rd\r\r\ne"[..]]);
        assert_eq!(show(&lines), ["0..2 a", "2..5 b", "5..6 ", "6..8 ", "8..14 c\rd\r", "14..15 e"]);
    }

    #[test]
    fn a_stream_without_its_last_line_end_is_finished() {
        assert_eq!(show(&decode(9, [&b"a\nbc"[..]])), ["0..2 a", "2..4 bc"]);
        assert_eq!(show(&decode(9, [&b"a\n"[..]])), ["0..2 a"]);
        assert_eq!(show(&decode(9, [&b"a\r"[..]])), ["0..2 a\r"]);
        assert!(decode(9, [&b""[..]]).is_empty());
    }

    #[test]
    fn the_limit_counts_the_line_without_its_end() {
        let lines = decode(3, [&b"abc\nabc\r\nabcd\nabcd\r\nabc\r"[..]]);
        assert_eq!(show(&lines), ["0..4 abc", "4..9 abc", "9..14 <4>", "14..20 <4>", "20..24 <4>"]);
        let error = lines[2].text.as_ref().unwrap_err();
        assert_eq!(error.to_string(), "a line of 4 bytes is longer than the limit of 3 bytes");
    }

    #[test]
    fn an_over_long_line_is_counted_and_reported_once() {
        let mut decoder = Decoder::new(10);
        for n in 1..=1000u64 {
            decoder.push(&[b'x'; 100]);
            assert_eq!(decoder.next(), None);
            assert_eq!((decoder.skipped(), decoder.buffered()), (n * 100, 0));
        }
        assert!(decoder.buf.capacity() < 1000, "what is dropped is not kept");
        decoder.push(b"\r\nnext\n");
        assert_eq!(
            show(&decoder.by_ref().collect::<Vec<_>>()),
            ["0..100002 <100000>", "100002..100007 next"]
        );
        assert_eq!(decoder.skipped(), 0);
    }

    #[test]
    fn the_memory_of_a_huge_line_goes_with_it() {
        let mut decoder = Decoder::default();
        let huge = vec![b'x'; 8 << 20];
        decoder.push(&huge);
        decoder.push(b"\nsmall");
        assert_eq!(decoder.next().unwrap().text.unwrap().len(), huge.len());
        assert_eq!(decoder.next(), None);
        assert!(decoder.buf.capacity() <= 2 * KEEP);
    }

    #[test]
    fn a_big_push_of_small_lines_leaves_no_big_buffer() {
        let mut decoder = Decoder::default();
        decoder.push(&b"0123456789\n".repeat(100_000));
        assert_eq!(decoder.by_ref().count(), 100_000);
        assert!(decoder.buf.capacity() <= 2 * KEEP);
    }

    #[test]
    fn many_long_lines_in_one_push_are_not_moved_for_each() {
        let mut decoder = Decoder::default();
        let line = [vec![b'x'; KEEP], vec![b'\n']].concat();
        decoder.push(&line.repeat(4));
        assert!(decoder.next().is_some());
        assert_eq!(decoder.start, line.len(), "more is behind the line than in it, so the line is copied");
        assert_eq!(decoder.by_ref().count(), 3);
    }

    #[test]
    fn growth_stops_at_the_limit() {
        let mut decoder = Decoder::new(100_000);
        for _ in 0..100_000 {
            decoder.push(b"x");
            assert_eq!(decoder.next(), None);
        }
        assert!(decoder.buf.capacity() <= 100_002);
        assert_eq!(decoder.finish().unwrap().text.unwrap().len(), 100_000);
    }

    #[test]
    fn single_bytes_move_the_buffer_a_logarithmic_number_of_times() {
        let mut decoder = Decoder::default();
        let mut grown = 0;
        for _ in 0..1 << 20 {
            let before = decoder.buf.capacity();
            decoder.push(b"x");
            assert_eq!(decoder.next(), None);
            assert_eq!(decoder.scanned, decoder.buf.len(), "no byte is looked at twice");
            grown += u32::from(decoder.buf.capacity() != before);
        }
        assert_eq!(grown, 21, "one for each power of two up to the length");
    }

    /// Bytes in which line ends are as common as anything else.
    fn stream() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'a'), any::<u8>()], 0..300)
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_lines(
            bytes in stream(), cuts in prop::collection::vec(0..300usize, 0..20), max in 0..40usize,
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces = || cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]);
            let lines = decode(max, bytes.chunks(1));
            prop_assert_eq!(&decode(max, pieces()), &lines);
            let mut decoder = Decoder::new(max);
            pieces().for_each(|piece| decoder.push(piece));
            let late: Vec<Line> = std::iter::from_fn(|| decoder.finish()).collect();
            prop_assert_eq!(&late, &lines, "nor does it matter when the lines are taken");
        }

        #[test]
        fn lines_are_what_the_standard_library_splits(bytes in stream(), max in 0..40usize) {
            let mut expected = Vec::new();
            let mut offset = 0;
            for line in bytes.split_inclusive(|&byte| byte == b'\n') {
                let text = line.strip_suffix(b"\n").map_or(line, |text| text.strip_suffix(b"\r").unwrap_or(text));
                let end = offset + line.len() as u64;
                let long = TooLong { len: text.len() as u64, max };
                let text = if text.len() > max { Err(long) } else { Ok(Bytes::copy_from_slice(text)) };
                expected.push(Line { offset, end, text });
                offset = end;
            }
            prop_assert_eq!(decode(max, [&bytes[..]]), expected);
        }
    }
}
