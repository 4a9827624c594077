//! The top-level keys of a line, found without building a tree.
//!
//! The line is looked at once. Strings at the top level must close and hold no control characters; numbers and
//! literals must be well formed; a nested container is passed over by counting its brackets, so what is wrong inside
//! of it is the reader's business and not ours. Behind the closing brace anything may stand, and a comma may stand
//! before it: both are forwarded as they came. Of two keys with one name the last counts, as for JavaScript.

mod skip;

use std::borrow::Cow;
use std::ops::Range;

use skip::{string_end, value_end};

/// The longest name of a session, pool, agent or capability that is looked at; a longer one counts as absent.
pub const MAX_NAME: usize = 1024;

/// A line that is no JSON object as far as a router must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a JSON object")]
pub struct Malformed;

/// What a router reads of a line. Names are unescaped and neither empty nor longer than [`MAX_NAME`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys<'a> {
    /// Where the value of `id` stands, byte for byte.
    pub id: Option<Range<usize>>,
    /// Whether `id` stands in the line more than once.
    pub id_twice: bool,
    /// `sessionId`.
    pub session: Option<Cow<'a, [u8]>>,
    /// `sessionId` inside of `params` or `result`, where it was asked for.
    pub inner_session: Option<Cow<'a, [u8]>>,
    /// `pool`.
    pub pool: Option<Cow<'a, [u8]>>,
    /// `agentId`.
    pub agent: Option<Cow<'a, [u8]>>,
    /// `capability`.
    pub capability: Option<Cow<'a, [u8]>>,
    /// The raw value of `method`.
    pub method: Option<&'a [u8]>,
    /// The raw value of `params`.
    pub params: Option<&'a [u8]>,
    /// The raw value of `result`.
    pub result: Option<&'a [u8]>,
    /// Whether there is an `error`.
    pub error: bool,
    /// The raw value of `_ext`.
    pub ext: Option<&'a [u8]>,
}

impl Keys<'_> {
    /// Whether the line answers a request: it has an id, and a result or an error.
    pub fn is_answer(&self) -> bool {
        self.id.is_some() && (self.result.is_some() || self.error)
    }

    /// Whether the line is a request: it has an id and is no answer.
    pub fn is_request(&self) -> bool {
        self.id.is_some() && !self.is_answer()
    }
}

/// The keys of a line. `deep` asks for `params.sessionId` and `result.sessionId` as well.
///
/// # Errors
/// If the line is no JSON object, in the sense of the module's first paragraph.
///
/// ```
/// let keys = trunkline_wire::router::scan(br#"{"id": "7", "method": "m", "sessionId": "s"}"#, false).unwrap();
/// assert!(keys.is_request());
/// assert_eq!((keys.id, keys.session.as_deref()), (Some(7..10), Some(&b"s"[..])));
/// ```
#[inline]
pub fn scan(line: &[u8], deep: bool) -> Result<Keys<'_>, Malformed> {
    let mut keys = Keys::default();
    keys.take_all(line).map_err(|()| Malformed)?;
    if deep {
        keys.inner_session =
            keys.params.and_then(inner_session).or_else(|| keys.result.and_then(inner_session));
    }
    Ok(keys)
}

/// The keys of a line of which only the beginning is known: those that were whole before it broke off.
pub fn scan_start(start: &[u8]) -> Keys<'_> {
    let mut keys = Keys::default();
    // That it breaks off is known.
    let _broken = keys.take_all(start);
    keys
}

/// The id in the last bytes of a line whose middle is not known: `…,"id":VALUE}` with a plain value.
pub fn scan_end(end: &[u8]) -> Option<&[u8]> {
    let body = end.trim_ascii_end().strip_suffix(b"}")?.trim_ascii_end();
    let at = memchr::memmem::rfind(body, b"\"id\"")?;
    let before = body[..at].trim_ascii_end().last()?;
    let value = body[at + 4..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let whole = value_end(value, 0)?.0 == value.len();
    (*before == b',' && whole && !matches!(value[0], b'{' | b'[')).then_some(value)
}

impl<'a> Keys<'a> {
    #[inline]
    fn take_all(&mut self, line: &'a [u8]) -> Result<(), ()> {
        let mut members = Members::of(line)?;
        while let Some((key, odd, value)) = members.next()? {
            if odd {
                self.take_escaped(key, line, value);
            } else {
                self.take(key, line, value);
            }
        }
        Ok(())
    }

    /// Nobody writes such keys, so what they cost is kept from the others.
    #[cold]
    #[inline(never)]
    fn take_escaped(&mut self, key: &[u8], line: &'a [u8], at: Value) {
        self.take(&unescape(key), line, at);
    }

    #[inline(always)]
    fn take(&mut self, key: &[u8], line: &'a [u8], at: Value) {
        let value = &line[at.start..at.end];
        // The length tells most keys apart, and comparing with a constant of known length is one instruction.
        match key.len() {
            2 if key == b"id" => {
                self.id_twice = self.id.is_some();
                self.id = Some(at.start..at.end);
            }
            4 if key == b"pool" => self.pool = at.name(value),
            4 if key == b"_ext" => self.ext = Some(value),
            5 if key == b"error" => self.error = true,
            6 if key == b"method" => self.method = Some(value),
            6 if key == b"params" => self.params = Some(value),
            6 if key == b"result" => self.result = Some(value),
            7 if key == b"agentId" => self.agent = at.name(value),
            9 if key == b"sessionId" => self.session = at.name(value),
            10 if key == b"capability" => self.capability = at.name(value),
            _ => {}
        }
    }
}

/// Where a value stands, and whether it is a string with escapes.
#[derive(Clone, Copy, Debug)]
struct Value {
    start: usize,
    end: usize,
    escaped: bool,
}

impl Value {
    /// The text, if the value is a string that is neither empty nor too long.
    fn name(self, value: &[u8]) -> Option<Cow<'_, [u8]>> {
        if self.escaped { name(value) } else { plain(value).map(Cow::Borrowed) }
    }
}

fn inner_session(object: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut session = None;
    if object.first() == Some(&b'{') {
        let mut members = Members::of(object).ok()?;
        while let Some((key, odd, at)) = members.next().ok()? {
            if key == b"sessionId" || (odd && *unescape(key) == *b"sessionId") {
                session = at.name(&object[at.start..at.end]);
            }
        }
    }
    session
}

/// The text of a string that is neither empty nor too long.
pub(super) fn name(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    plain(value).map(unescape)
}

/// The inside of a string that is neither empty nor too long.
fn plain(value: &[u8]) -> Option<&[u8]> {
    match value {
        [b'"', inner @ .., b'"'] if (1..=MAX_NAME).contains(&inner.len()) => Some(inner),
        _ => None,
    }
}

/// The text of a string's inside. An escape that JSON does not know stays as it is.
fn unescape(inner: &[u8]) -> Cow<'_, [u8]> {
    if !inner.contains(&b'\\') {
        return Cow::Borrowed(inner);
    }
    let quoted = [b"\"", inner, b"\""].concat();
    match serde_json::from_slice::<String>(&quoted) {
        Ok(text) => Cow::Owned(text.into_bytes()),
        Err(_) => Cow::Borrowed(inner),
    }
}

/// The members of an object, one after the other.
struct Members<'a> {
    line: &'a [u8],
    /// Where the brace or the comma stands in front of the next one, or the brace behind the last.
    at: usize,
}

/// A key as it is written, whether it has escapes, and where its value stands.
type Member<'a> = (&'a [u8], bool, Value);

impl<'a> Members<'a> {
    #[inline(always)]
    fn of(line: &'a [u8]) -> Result<Self, ()> {
        Ok(Self { line, at: expect(line, 0, b'{')? })
    }

    #[inline(always)]
    fn next(&mut self) -> Result<Option<Member<'a>>, ()> {
        let line = self.line;
        if line[self.at] == b'}' {
            return Ok(None);
        }
        let Ok(quote) = expect(line, self.at + 1, b'"') else {
            return expect(line, self.at + 1, b'}').map(|_end| None);
        };
        let (key_end, odd) = string_end(line, quote + 1).ok_or(())?;
        let (_, start) = next(line, expect(line, key_end, b':')? + 1)?;
        let (end, escaped) = value_end(line, start).ok_or(())?;
        self.at = expect(line, end, b',').or_else(|()| expect(line, end, b'}'))?;
        Ok(Some((&line[quote + 1..key_end - 1], odd, Value { start, end, escaped })))
    }
}

/// Where this byte stands, from `at` on behind nothing but blanks.
#[inline(always)]
fn expect(line: &[u8], at: usize, byte: u8) -> Result<usize, ()> {
    // Few programs write blanks where none must be.
    if line.get(at) == Some(&byte) {
        return Ok(at);
    }
    next(line, at).and_then(|(found, at)| if found == byte { Ok(at) } else { Err(()) })
}

/// The first byte from `at` on that is no blank, and where it stands.
#[inline(always)]
fn next(line: &[u8], mut at: usize) -> Result<(u8, usize), ()> {
    loop {
        match *line.get(at).ok_or(())? {
            b' ' | b'\t' | b'\r' | b'\n' => at += 1,
            byte => return Ok((byte, at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(line: &str) -> Result<Option<&str>, Malformed> {
        scan(line.as_bytes(), false).map(|keys| keys.id.map(|at| &line[at]))
    }

    #[test]
    fn ids_are_the_bytes_that_came() {
        for value in
            ["5", "\"5\"", "null", "1e3", "-0.5E+2", "[1, {\"a\":\"]\"}]", "{\"a\": 1}", "true", "\"\""]
        {
            let line = format!("{{\"jsonrpc\": \"2.0\" ,\"id\" : {value} , \"method\":\"m\"}}");
            assert_eq!(id(&line), Ok(Some(value)));
        }
        assert_eq!(
            id(r#"{"id":1,"\u0069d":2}"#),
            Ok(Some("2")),
            "the last one counts, however it is written"
        );
    }

    #[test]
    fn what_is_no_object_is_malformed() {
        let lines = [
            "",
            "  ",
            "1",
            "\"a\"",
            "[1]",
            "{'a':1}",
            "{\"a\" 1}",
            "{\"a\":nul}",
            "{\"a\":01.2.3}",
            "{\"a\":1.}",
            "{\"a\":\"\t\"}",
            "{\"a\":\"\0\"}",
            "{\"a\":\"x",
            "{\"a\":{\"b\":1}",
            "{\"a\":-}",
            "{,}",
            "{\"a\":}",
            "{\"a\":\"\\",
            "{\"a\":1e}",
        ];
        for line in lines {
            assert_eq!(id(line), Err(Malformed), "{line:?}");
        }
    }

    #[test]
    fn what_is_wrong_deeper_down_or_behind_is_forwarded() {
        let lines = [
            "{}",
            " {} ",
            "{} garbage",
            "{\"a\":1}{\"b\":2}",
            "{\"a\":1,}",
            "{\"a\":\"\\q\"}",
            "{\"params\":{bad}}",
            "{\"a\":[1,2}}",
        ];
        for line in lines {
            assert_eq!(id(line), Ok(None), "{line:?}");
        }
        assert!(scan(b"{\"a\":\"\xff\xfe\"}", false).is_ok(), "nobody said UTF-8");
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(900), "]".repeat(900));
        assert!(scan(deep.as_bytes(), false).is_ok());
    }

    #[test]
    fn names_are_strings_of_a_sensible_length() {
        let session = |value: &str| {
            let line = format!("{{\"sessionId\":{value}}}");
            scan(line.as_bytes(), false)
                .unwrap()
                .session
                .map(|name| String::from_utf8(name.into_owned()).unwrap())
        };
        assert_eq!(session("\"s\"").as_deref(), Some("s"));
        assert_eq!(session("\"\\u00e9\"").as_deref(), Some("é"));
        for absent in ["\"\"", "5", "null", "{\"sessionId\":\"s\"}", "[\"s\"]"] {
            assert_eq!(session(absent), None);
        }
        assert!(session(&format!("\"{}\"", "s".repeat(MAX_NAME))).is_some());
        assert!(session(&format!("\"{}\"", "s".repeat(MAX_NAME + 1))).is_none());
    }

    #[test]
    fn inner_sessions_are_found_where_they_are_asked_for() {
        let line = br#"{"params":{"a":{"sessionId":"no"},"sessionId":"yes"}}"#;
        assert_eq!(scan(line, true).unwrap().inner_session.as_deref(), Some(&b"yes"[..]));
        assert_eq!(scan(line, false).unwrap().inner_session, None);
        let line = br#"{"id":1,"result":{"sessionId":"new"}}"#;
        assert_eq!(scan(line, true).unwrap().inner_session.as_deref(), Some(&b"new"[..]));
    }

    #[test]
    fn broken_lines_tell_their_id_from_either_end() {
        let start = scan_start(br#"{"jsonrpc":"2.0","id":"a","result":"xxxxxxxxx"#);
        assert_eq!(start.id, Some(22..25));
        assert_eq!(scan_end(br#"xxxxxx","id": 17 } "#), Some(&b"17"[..]));
        assert_eq!(scan_end(br#"xxx", "id":"a"}"#), Some(&b"\"a\""[..]));
        for unclear in [r#"xx"id":1}"#, r#","id":1},"b":2}"#, r#","id":{}}"#, r#"id":1}"#, ""] {
            assert_eq!(scan_end(unclear.as_bytes()), None, "{unclear}");
        }
    }

    #[test]
    fn long_strings_are_searched_to_their_end() {
        for length in [0, 1, 7, 8, 63, 64, 65, 71, 72, 127, 128, 129, 1000] {
            let text = "x".repeat(length);
            for value in
                [format!("\"{text}\""), format!("[\"{text}\",{{}}]"), format!("\"{text}\\\"{text}\"")]
            {
                assert_eq!(id(&format!("{{\"id\":{value},\"b\":1}}")), Ok(Some(&value[..])));
            }
        }
    }

    /// Any JSON, with the characters in its strings that could lead a scanner astray.
    fn json() -> impl Strategy<Value = serde_json::Value> {
        let plain = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<i16>().prop_map(|half| (f64::from(half) / 2.0).into()),
            "[a{}\\[\\]\"\\\\:,\n\u{e9}\u{1f600} ]{0,40}".prop_map(Into::into),
        ];
        plain.prop_recursive(3, 24, 6, |inner| {
            let keys = prop_oneof![Just("sessionId".to_owned()), "[a-c\"\\\\}]{0,9}"];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::btree_map(keys, inner, 0..6)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn object() -> impl Strategy<Value = serde_json::Map<String, serde_json::Value>> {
        let keys =
            ["id", "method", "params", "result", "error", "sessionId", "pool", "_ext", "other \"key\""];
        let keys = prop::sample::select(keys.to_vec()).prop_map(str::to_owned);
        prop::collection::btree_map(keys, json(), 0..7).prop_map(|members| members.into_iter().collect())
    }

    proptest! {
        #[test]
        fn it_reads_what_serde_json_reads(object in object(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) };
            let text = text.unwrap();
            let keys = scan(text.as_bytes(), true).unwrap();
            let parsed = |raw: Option<&[u8]>| raw.map(|raw| serde_json::from_slice::<serde_json::Value>(raw).unwrap());
            let id = keys.id.clone().map(|at| &text.as_bytes()[at]);
            for (key, raw) in [("id", id), ("params", keys.params), ("method", keys.method)] {
                prop_assert_eq!(parsed(raw), object.get(key).cloned());
            }
            prop_assert_eq!(keys.error, object.contains_key("error"));
            let name = |value: Option<&serde_json::Value>| {
                value.and_then(|value| value.as_str()).filter(|name| !name.is_empty()).map(str::to_owned)
            };
            let text_of = |name: Option<Cow<'_, [u8]>>| name.map(|name| String::from_utf8(name.into_owned()).unwrap());
            prop_assert_eq!(text_of(keys.session), name(object.get("sessionId")));
            prop_assert_eq!(text_of(keys.pool), name(object.get("pool")));
            let inner = |key: &str| name(object.get(key).and_then(|value| value.get("sessionId")));
            prop_assert_eq!(text_of(keys.inner_session), inner("params").or_else(|| inner("result")));
        }

        #[test]
        fn nothing_that_serde_json_takes_is_refused(object in object(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut text = serde_json::to_vec(&object).unwrap();
            let at = at.index(text.len());
            text[at] = byte;
            let taken = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&text).is_ok();
            prop_assert!(!taken || scan(&text, true).is_ok(), "{}", String::from_utf8_lossy(&text));
            text.truncate(at);
            prop_assert!(scan(&text, true).is_err(), "{}", String::from_utf8_lossy(&text));
        }
    }
}
