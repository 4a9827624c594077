//! Writing one message per line.
//!
//! A line holds no line break but its end: payloads may be raw JSON with line breaks between tokens, which become
//! spaces. Within JSON strings line breaks are always escaped, so nothing that means something changes.

use super::{ErrorObject, Id};
use serde::Serialize;

/// Appends a request as one line.
///
/// # Errors
/// If `params` cannot be serialised (a map with keys that are no strings, say); `out` is as before then. The same
/// holds for the other writers.
pub fn write_request(
    out: &mut Vec<u8>,
    id: &Id,
    method: &str,
    params: &(impl Serialize + ?Sized),
) -> Result<(), serde_json::Error> {
    write_line(
        out,
        &Envelope { id: Some(id), method: Some(method), params: Some(params), ..Envelope::default() },
    )
}

/// Appends a notification as one line.
///
/// # Errors
/// As [`write_request`].
pub fn write_notification(
    out: &mut Vec<u8>,
    method: &str,
    params: &(impl Serialize + ?Sized),
) -> Result<(), serde_json::Error> {
    write_line(out, &Envelope { method: Some(method), params: Some(params), ..Envelope::default() })
}

/// Appends the answer to a request as one line.
///
/// # Errors
/// As [`write_request`].
pub fn write_result(
    out: &mut Vec<u8>,
    id: &Id,
    result: &(impl Serialize + ?Sized),
) -> Result<(), serde_json::Error> {
    write_line(out, &Envelope { id: Some(id), result: Some(result), ..Envelope::default() })
}

/// Appends the refusal of a request as one line.
pub fn write_error(out: &mut Vec<u8>, id: &Id, error: &ErrorObject) {
    let envelope: Envelope<'_, ()> = Envelope { id: Some(id), error: Some(error), ..Envelope::default() };
    write_line(out, &envelope).expect("an error object has string keys only");
}

#[derive(Serialize)]
struct Envelope<'a, T: ?Sized> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<&'a T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a ErrorObject>,
}

impl<T: ?Sized> Default for Envelope<'_, T> {
    fn default() -> Self {
        Self { jsonrpc: "2.0", id: None, method: None, params: None, result: None, error: None }
    }
}

fn write_line(out: &mut Vec<u8>, envelope: &impl Serialize) -> Result<(), serde_json::Error> {
    let start = out.len();
    serde_json::to_writer(&mut *out, envelope).inspect_err(|_| out.truncate(start))?;
    for byte in &mut out[start..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    out.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Message, Notification, Request, Response};
    use super::*;
    use crate::ndjson;
    use proptest::prelude::*;
    use serde_json::value::RawValue;
    use std::collections::BTreeMap;

    #[test]
    fn the_lines() {
        let mut out = Vec::new();
        let id = Id::try_from("t.1").unwrap();
        write_request(&mut out, &id, "session/new", &[1]).unwrap();
        write_notification(&mut out, "session/cancel", &()).unwrap();
        write_result(&mut out, &id, "ok").unwrap();
        write_error(&mut out, &Id::null(), &ErrorObject::new(-1, "no"));
        let lines = r#"{"jsonrpc":"2.0","id":"t.1","method":"session/new","params":[1]}
{"jsonrpc":"2.0","method":"session/cancel","params":null}
{"jsonrpc":"2.0","id":"t.1","result":"ok"}
{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"no"}}
"#;
        assert_eq!(String::from_utf8(out).unwrap(), lines);
    }

    #[test]
    fn a_failed_write_leaves_nothing_behind() {
        let mut out = b"before\n".to_vec();
        let keys_are_arrays = BTreeMap::from([([1], 1)]);
        assert!(write_result(&mut out, &Id::from(1), &keys_are_arrays).is_err());
        assert_eq!(out, b"before\n");
    }

    proptest! {
        /// Pretty-printed payloads and odd strings: what is written is one line and reads back the same.
        #[test]
        fn what_is_written_is_read_back(method in "\\PC{1,9}", texts in prop::collection::vec("(\\PC|[\r\n]){0,9}", 0..4)) {
            let pretty = serde_json::to_string_pretty(&texts).unwrap().replace("\n  ", "\r\n\t");
            let params = RawValue::from_string(pretty).unwrap();
            let id = Id::try_from(method.as_str()).unwrap();
            let mut out = Vec::new();
            write_request(&mut out, &id, &method, &params).unwrap();
            write_notification(&mut out, &method, &params).unwrap();
            write_result(&mut out, &id, &params).unwrap();
            let mut decoder = ndjson::Decoder::default();
            decoder.push(&out);
            let lines: Vec<_> = decoder.map(|line| line.text.unwrap()).collect();
            prop_assert_eq!(lines.len(), 3);
            for line in &lines {
                let payload = match Message::parse(line).unwrap() {
                    Message::Request(Request { id: read, method: name, params }) => {
                        prop_assert_eq!((&read, &*name), (&id, method.as_str()));
                        params.unwrap()
                    }
                    Message::Notification(Notification { method: name, params }) => {
                        prop_assert_eq!(&*name, method.as_str());
                        params.unwrap()
                    }
                    Message::Response(Response { id: read, outcome }) => {
                        prop_assert_eq!(&read, &id);
                        outcome.unwrap()
                    }
                };
                prop_assert_eq!(serde_json::from_str::<Vec<String>>(payload.get()).unwrap(), texts.clone());
            }
        }
    }
}
