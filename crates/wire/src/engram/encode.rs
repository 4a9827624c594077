//! Writing replies and pushes, in the form of the original: ASCII alone, a blank behind each comma and colon.

use std::fmt::Write as _;

use serde_json::value::RawValue;

use super::Name;

/// One line of reply.
#[derive(Debug)]
pub struct Reply(String);

impl Reply {
    /// It is done.
    #[must_use]
    pub fn ok(id: Option<&RawValue>) -> Self {
        Self::begin(true, id)
    }

    /// It is not done, and why.
    #[must_use]
    pub fn error(id: Option<&RawValue>, error: &str) -> Self {
        Self::begin(false, id).text("error", error)
    }

    fn begin(ok: bool, id: Option<&RawValue>) -> Self {
        let reply = Self(if ok { "{\"ok\": true" } else { "{\"ok\": false" }.to_owned());
        match id {
            Some(id) => reply.json("id", id.get()),
            None => reply,
        }
    }

    /// The same with a member that is JSON already.
    #[must_use]
    pub fn json(mut self, name: &str, json: &str) -> Self {
        self.member(name);
        ascii(&mut self.0, json);
        self
    }

    /// The same with a member that is a text.
    #[must_use]
    pub fn text(self, name: &str, text: &str) -> Self {
        let json = serde_json::to_string(text).unwrap_or_default();
        self.json(name, &json)
    }

    /// The same with a member that is a number or a truth.
    #[must_use]
    pub fn plain(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.member(name);
        write!(self.0, "{value}").expect("a text takes what is written");
        self
    }

    /// The same with a member that is written in place.
    #[must_use]
    pub fn written(mut self, name: &str, write: impl FnOnce(&mut String)) -> Self {
        self.member(name);
        write(&mut self.0);
        self
    }

    /// The same with a list, whose items are written in place.
    #[must_use]
    pub fn list<T>(
        self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut String, T),
    ) -> Self {
        self.written(name, |out| {
            out.push('[');
            for (n, item) in items.into_iter().enumerate() {
                out.push_str(if n == 0 { "" } else { ", " });
                write(out, item);
            }
            out.push(']');
        })
    }

    /// Appends the line, with its end.
    pub fn end(self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
        out.extend_from_slice(b"}\n");
    }

    fn member(&mut self, name: &str) {
        write!(self.0, ", \"{name}\": ").expect("a text takes what is written");
    }
}

/// Appends the line that tells a subscriber of a message.
pub fn push(out: &mut String, topic: &str, data: &str, agent: Option<&Name>) {
    out.push_str("{\"event\": \"signal\", \"topic\": ");
    Name::kept(topic).write(out);
    out.push_str(", \"data\": ");
    ascii(out, data);
    out.push_str(", \"agent\": ");
    match agent {
        Some(agent) => agent.write(out),
        None => out.push_str("null"),
    }
    out.push_str("}\n");
}

/// Appends JSON with everything that is not ASCII escaped. Such characters stand in strings alone.
///
/// Clients in some languages take U+2028 and its like for the end of a line.
pub fn ascii(out: &mut String, json: &str) {
    if json.is_ascii() {
        out.push_str(json);
        return;
    }
    let mut units = [0; 2];
    for c in json.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut units) {
                write!(out, "\\u{unit:04x}").expect("a text takes what is written");
            }
        }
    }
}
