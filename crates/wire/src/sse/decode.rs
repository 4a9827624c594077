//! Reading an event stream.

use std::collections::VecDeque;

/// The largest event accepted unless told otherwise: 64 MiB, as much as a line of an agent.
pub const DEFAULT_MAX_EVENT: usize = 64 * 1024 * 1024;

/// Capacity of the line buffer that may stay allocated between lines.
const KEEP: usize = 64 * 1024;

/// One event as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The stream's last event id when this event was dispatched; empty if there is none. It stays until the
    /// stream sets another.
    pub id: String,
    /// The event's type, `message` if the stream names none.
    pub event: String,
    /// The payload, its lines joined by LF. Invalid UTF-8 is replaced, as the standard demands.
    pub data: String,
}

/// An event larger than the limit. It was dropped with its id; the stream goes on with the next event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a server-sent event is larger than the limit of {max} bytes")]
pub struct TooLarge {
    /// The limit it broke, in bytes over all its fields.
    pub max: usize,
}

/// A push decoder: [`push`](Self::push) bytes as they come, then take events from it as an iterator until `None`.
///
/// An event is complete at its blank line; what a stream leaves behind without one is no event, so there is
/// nothing to do at the end. Comments are ignored. Memory is bounded by the limit and what one push completes.
#[derive(Debug)]
pub struct Decoder {
    max: usize,
    ready: VecDeque<Result<Event, TooLarge>>,
    /// The start of a line whose end has not come.
    line: Vec<u8>,
    /// The last byte was a CR, so an LF now is the same line end.
    after_cr: bool,
    /// No line was read yet: a byte order mark may come.
    at_start: bool,
    /// An over-large event is being dropped, up to its blank line.
    skip: Option<Skip>,
    id: String,
    event: String,
    data: String,
    last_event_id: String,
    retry: Option<u64>,
}

/// How dropping an event stands.
#[derive(Clone, Copy, Debug)]
enum Skip {
    /// At the start of a line: a line end now is the blank line.
    LineStart,
    /// Within a line that is not blank.
    InLine,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(DEFAULT_MAX_EVENT)
    }
}

impl Decoder {
    /// A decoder for a new stream that accepts events of up to `max` bytes.
    pub fn new(max: usize) -> Self {
        Self {
            max,
            ready: VecDeque::new(),
            line: Vec::new(),
            after_cr: false,
            at_start: true,
            skip: None,
            id: String::new(),
            event: String::new(),
            data: String::new(),
            last_event_id: String::new(),
            retry: None,
        }
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, mut bytes: &[u8]) {
        if self.after_cr && !bytes.is_empty() {
            self.after_cr = false;
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(at) = find_line_end(bytes) {
            self.part_of_line(&bytes[..at], true);
            let end = &bytes[at..];
            self.after_cr = end == b"\r";
            let end_len = if end.starts_with(b"\r\n") { 2 } else { 1 };
            bytes = &end[end_len..];
        }
        self.part_of_line(bytes, false);
    }

    /// What to send as `Last-Event-ID` when connecting again; empty if there is nothing to send.
    pub fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    /// How long the server asked clients to wait before they connect again, in milliseconds.
    pub fn retry(&self) -> Option<u64> {
        self.retry
    }

    /// Takes more of the current line, up to its end if `ends`.
    fn part_of_line(&mut self, part: &[u8], ends: bool) {
        if let Some(skip) = self.skip {
            self.skip = match (skip, part.is_empty(), ends) {
                (Skip::LineStart, true, true) => None,
                (_, _, true) => Some(Skip::LineStart),
                (skip, true, false) => Some(skip),
                (_, false, false) => Some(Skip::InLine),
            };
        } else if part.len() > self.max - self.held().min(self.max) {
            self.drop_event();
            self.part_of_line(part, ends);
        } else if !ends {
            self.line.extend_from_slice(part);
        } else if self.line.is_empty() {
            self.end_line(part);
        } else {
            self.line.extend_from_slice(part);
            let mut line = std::mem::take(&mut self.line);
            self.end_line(&line);
            line.clear();
            line.shrink_to(KEEP);
            self.line = line;
        }
    }

    /// Bytes held for the event being read.
    fn held(&self) -> usize {
        self.line.len() + self.data.len() + self.event.len() + self.id.len()
    }

    fn drop_event(&mut self) {
        self.skip = Some(if self.line.is_empty() { Skip::LineStart } else { Skip::InLine });
        self.at_start = false;
        self.line = Vec::new();
        self.data = String::new();
        self.event = String::new();
        self.id.clone_from(&self.last_event_id);
        self.ready.push_back(Err(TooLarge { max: self.max }));
    }

    fn end_line(&mut self, mut line: &[u8]) {
        if std::mem::take(&mut self.at_start) {
            line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        }
        if line.is_empty() {
            return self.dispatch();
        }
        let colon = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
        let (field, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                self.data.push_str(&String::from_utf8_lossy(value));
                self.data.push('\n');
            }
            b"event" => self.event = String::from_utf8_lossy(value).into_owned(),
            b"id" if !value.contains(&0) => self.id = String::from_utf8_lossy(value).into_owned(),
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                // Digits that are too many for a u64 say "for ever", which is not for a server to say.
                self.retry =
                    std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok()).or(self.retry);
            }
            _ => {} // A comment, or a field the standard does not know.
        }
    }

    fn dispatch(&mut self) {
        self.last_event_id.clone_from(&self.id);
        let mut data = std::mem::take(&mut self.data);
        let mut event = std::mem::take(&mut self.event);
        if data.pop().is_none() {
            return;
        }
        if event.is_empty() {
            event.push_str("message");
        }
        self.ready.push_back(Ok(Event { id: self.last_event_id.clone(), event, data }));
    }
}

impl Iterator for Decoder {
    type Item = Result<Event, TooLarge>;

    /// The next complete event, or `None` until more bytes are pushed.
    fn next(&mut self) -> Option<Self::Item> {
        self.ready.pop_front()
    }
}

fn find_line_end(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&byte| byte == b'\n' || byte == b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode<'a>(
        max: usize,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> (Vec<Result<Event, TooLarge>>, Decoder) {
        let mut decoder = Decoder::new(max);
        let mut events = Vec::new();
        for piece in pieces {
            decoder.push(piece);
            events.extend(decoder.by_ref());
        }
        (events, decoder)
    }

    /// Decodes and renders each event as `id|event|data`.
    fn show(stream: &str) -> Vec<String> {
        let render = |event: Result<Event, TooLarge>| match event {
            Ok(Event { id, event, data }) => format!("{id}|{event}|{data}"),
            Err(error) => format!("too large: {}", error.max),
        };
        decode(1000, [stream.as_bytes()]).0.into_iter().map(render).collect()
    }

    /// The four example streams of the standard, with what it says of each.
    #[test]
    fn the_examples_of_the_standard() {
        assert_eq!(show("data: YHOO\ndata: +2\ndata: 10\n\n"), ["|message|YHOO\n+2\n10"]);
        let stream =
            ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n";
        assert_eq!(show(stream), ["1|message|first event", "|message|second event", "|message| third event"]);
        assert_eq!(show("data\n\ndata\ndata\n\ndata:"), ["|message|", "|message|\n"]);
        assert_eq!(show("data:test\n\ndata: test\n\n"), ["|message|test", "|message|test"]);
    }

    #[test]
    fn any_line_end_will_do() {
        assert_eq!(show("event: e\rdata: 1\r\r"), ["|e|1"]);
        assert_eq!(show("event: e\r\ndata: 1\r\n\r\n"), ["|e|1"]);
        assert_eq!(show("data: 1\n\r\ndata: 2\r\n\r"), ["|message|1", "|message|2"]);
    }

    #[test]
    fn one_byte_order_mark_is_taken_off_the_start() {
        assert_eq!(show("\u{FEFF}data: 1\n\n"), ["|message|1"]);
        assert_eq!(show("\u{FEFF}\u{FEFF}data: 1\n\ndata: 2\n\n"), ["|message|2"]);
        assert_eq!(show("data: 1\n\u{FEFF}data: 2\n\n"), ["|message|1"]);
    }

    #[test]
    fn ids_stay_until_changed_and_count_without_data() {
        assert_eq!(
            show("id: 1\ndata: a\n\ndata: b\n\nid: 2\n\ndata: c\n\n"),
            ["1|message|a", "1|message|b", "2|message|c"]
        );
        assert_eq!(show("id: 1\ndata: a\n\nid: x\0y\ndata: b\n\n"), ["1|message|a", "1|message|b"]);
        let (_, decoder) = decode(100, [&b"id: 1\n\nid: 2\n"[..]]);
        assert_eq!(decoder.last_event_id(), "1", "an id counts once its event is complete");
    }

    #[test]
    fn an_event_type_is_for_one_event_and_not_sent_without_data() {
        assert_eq!(
            show("event: e\n\ndata: a\n\nevent: f\ndata: b\n\ndata: c\n\n"),
            ["|message|a", "|f|b", "|message|c"]
        );
    }

    #[test]
    fn retry_takes_digits_only() {
        let retry = |value: &str| decode(100, [format!("retry: 7\nretry:{value}\n").as_bytes()]).1.retry();
        assert_eq!(retry("10"), Some(10));
        assert_eq!(retry(" 10"), Some(10));
        for bad in ["", " ", "-1", "+1", "1s", "1.5", "99999999999999999999999"] {
            assert_eq!(retry(bad), Some(7), "{bad:?}");
        }
    }

    #[test]
    fn unknown_fields_and_case_are_ignored() {
        assert_eq!(show("Data: no\nfoo: bar\n data: no\ndata: yes\n\n"), ["|message|yes"]);
    }

    #[test]
    fn invalid_utf8_is_replaced() {
        let (events, _) = decode(100, [&b"data: a\xFFb\n\n"[..]]);
        assert_eq!(events[0].as_ref().unwrap().data, "a\u{FFFD}b");
    }

    #[test]
    fn an_over_large_event_is_dropped_alone_and_with_its_id() {
        let stream = b"id: 1\ndata: a\n\nid: 2\ndata: 0123\ndata: 4567\ndata: 8\n\ndata: b\n\n";
        let (events, decoder) = decode(12, [&stream[..]]);
        let event = |data: &str| Ok(Event { id: "1".into(), event: "message".into(), data: data.into() });
        assert_eq!(events, [event("a"), Err(TooLarge { max: 12 }), event("b")]);
        assert_eq!(decoder.last_event_id(), "1");
        assert_eq!(
            TooLarge { max: 12 }.to_string(),
            "a server-sent event is larger than the limit of 12 bytes"
        );
    }

    #[test]
    fn an_endless_line_is_reported_at_once_and_not_kept() {
        let mut decoder = Decoder::new(1000);
        for _ in 0..1000 {
            decoder.push(&[b'x'; 100]);
            assert!(decoder.held() <= 1000);
        }
        assert_eq!(decoder.by_ref().collect::<Vec<_>>(), [Err(TooLarge { max: 1000 })]);
    }

    #[test]
    fn the_memory_of_a_huge_event_goes_with_it() {
        let mut decoder = Decoder::default();
        decoder.push(b"data: ");
        (0..1 << 10).for_each(|_| decoder.push(&[b'x'; 1 << 10]));
        decoder.push(b"\n\n");
        assert_eq!(decoder.next().unwrap().unwrap().data.len(), 1 << 20);
        assert!(decoder.line.capacity() <= KEEP && decoder.data.capacity() == 0);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_events(
            parts in prop::collection::vec(
                prop_oneof![
                    "\\PC{0,4}".prop_map(String::into_bytes),
                    prop::collection::vec(any::<u8>(), 0..4),
                    prop::sample::select(vec![
                        "\n", "\r", "\r\n", "\n\n", "data", ": ", "data: x\n", "id: 1\n", "id: a\0\n", "event: e\n",
                        "retry: 10\n", ":", "\u{FEFF}",
                    ]).prop_map(|text| text.as_bytes().to_vec()),
                ],
                0..40,
            ),
            cuts in prop::collection::vec(0..200usize, 0..20),
            max in 0..60usize,
        ) {
            let bytes = parts.concat();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let (whole, one) = decode(max, [&bytes[..]]);
            let (pieces, two) = decode(max, cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]));
            let (single, three) = decode(max, bytes.chunks(1));
            prop_assert_eq!(&whole, &pieces);
            prop_assert_eq!(&whole, &single);
            for other in [two, three] {
                prop_assert_eq!(one.last_event_id(), other.last_event_id());
                prop_assert_eq!(one.retry(), other.retry());
            }
        }
    }
}
