//! Writing an event stream.

use bytes::BufMut;

/// One event to send. [`write`](Self::write) appends its lines and the blank line that dispatches it.
///
/// ```
/// let mut out = Vec::new();
/// let frame = trunkline_wire::sse::Frame { id: Some("7"), event: Some("turn.update"), data: "{}" };
/// frame.write(&mut out).unwrap();
/// assert_eq!(out, b"id: 7\nevent: turn.update\ndata: {}\n\n");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What the client sends back as `Last-Event-ID`. An empty id makes it forget the one it has; `None` leaves it.
    pub id: Option<&'a str>,
    /// The event's type; clients read `None` and an empty one as `message`.
    pub event: Option<&'a str>,
    /// The payload. Clients see each CR, LF or CRLF in it as one LF.
    pub data: &'a str,
}

/// An id or event type that the format cannot carry: a line break in either would start a field of its own, and
/// clients ignore an id with a NUL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the field \"{field}\" of a server-sent event holds a line break or a NUL")]
pub struct BadField {
    /// `id` or `event`.
    pub field: &'static str,
}

impl Frame<'_> {
    /// Appends the event to `out`.
    ///
    /// # Errors
    /// If `id` or `event` holds CR, LF or NUL; nothing is written then.
    pub fn write(&self, out: &mut impl BufMut) -> Result<(), BadField> {
        let fields = [("id", self.id), ("event", self.event)];
        for (field, value) in fields {
            if value.is_some_and(|value| value.contains(['\r', '\n', '\0'])) {
                return Err(BadField { field });
            }
        }
        for (field, value) in fields {
            if let Some(value) = value {
                put_line(out, field, value);
            }
        }
        for line in lines(self.data) {
            put_line(out, "data", line);
        }
        out.put_slice(b"\n");
        Ok(())
    }
}

/// Appends a comment, which clients ignore: a sign of life. A comment of several lines stays one comment.
pub fn write_comment(out: &mut impl BufMut, text: &str) {
    for line in lines(text) {
        put_line(out, "", line);
    }
    out.put_slice(b"\n");
}

/// Appends how long a client is to wait before it connects again, in milliseconds.
pub fn write_retry(out: &mut impl BufMut, millis: u64) {
    put_line(out, "retry", &millis.to_string());
    out.put_slice(b"\n");
}

/// A client strips one space behind the colon, so one is always written.
fn put_line(out: &mut impl BufMut, field: &str, value: &str) {
    for part in [field, ": ", value, "\n"] {
        out.put_slice(part.as_bytes());
    }
}

/// Splits at CR, LF and CRLF. An empty text is one empty line.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(at) = text.find(['\r', '\n']) else { return rest.take() };
        let end = if text[at..].starts_with("\r\n") { at + 2 } else { at + 1 };
        rest = Some(&text[end..]);
        Some(&text[..at])
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Decoder, Event};
    use super::*;
    use bytes::BytesMut;
    use proptest::prelude::*;

    fn frame(id: Option<&str>, event: Option<&str>, data: &str) -> String {
        let mut out = Vec::new();
        Frame { id, event, data }.write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_line_of_the_data_gets_its_field() {
        assert_eq!(frame(None, None, "a\nb\r\nc\rd"), "data: a\ndata: b\ndata: c\ndata: d\n\n");
        assert_eq!(frame(None, None, ""), "data: \n\n");
        assert_eq!(frame(None, Some("e"), "\n"), "event: e\ndata: \ndata: \n\n");
        assert_eq!(frame(Some(""), None, " x:"), "id: \ndata:  x:\n\n");
    }

    #[test]
    fn comments_and_retries_are_blocks_of_their_own() {
        let mut out = BytesMut::new();
        write_comment(&mut out, "keep\nalive");
        write_retry(&mut out, 2000);
        assert_eq!(out, &b": keep\n: alive\n\nretry: 2000\n\n"[..]);
    }

    #[test]
    fn a_field_cannot_smuggle_a_line() {
        for bad in ["a\nb", "a\rb", "a\0b"] {
            let mut out = Vec::new();
            let id = Frame { id: Some(bad), ..Frame::default() };
            let event = Frame { event: Some(bad), ..Frame::default() };
            assert_eq!(id.write(&mut out), Err(BadField { field: "id" }));
            assert_eq!(event.write(&mut out), Err(BadField { field: "event" }));
            assert!(out.is_empty());
        }
    }

    proptest! {
        #[test]
        fn decoding_gives_back_what_was_encoded(
            frames in prop::collection::vec(
                (prop::option::of("[^\r\n\0]{0,8}"), prop::option::of("[^\r\n\0]{0,8}"), "(\\PC|[\r\n :]){0,20}"),
                0..6,
            ),
        ) {
            let mut out = Vec::new();
            let mut expected = Vec::new();
            let mut last_id = String::new();
            write_retry(&mut out, 500);
            for (id, event, data) in &frames {
                write_comment(&mut out, data);
                Frame { id: id.as_deref(), event: event.as_deref(), data }.write(&mut out).unwrap();
                last_id = id.clone().unwrap_or(last_id);
                let event = event.clone().filter(|event| !event.is_empty());
                expected.push(Ok(Event {
                    id: last_id.clone(),
                    event: event.unwrap_or_else(|| "message".into()),
                    data: data.replace("\r\n", "\n").replace('\r', "\n"),
                }));
            }
            let mut decoder = Decoder::default();
            decoder.push(&out);
            prop_assert_eq!(decoder.by_ref().collect::<Vec<_>>(), expected);
            prop_assert_eq!(decoder.retry(), Some(500));
        }
    }
}
