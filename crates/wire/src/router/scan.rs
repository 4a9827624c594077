//! The top-level keys of a line, found without building a tree.
//!
//! The line is looked at once. Strings at the top level must close and hold no control characters; numbers and
//! literals must be well formed; a nested container is passed over by counting its brackets, so what is wrong inside
//! of it is the reader's business and not ours. Behind the closing brace anything may stand, and a comma may stand
//! before it: both are forwarded as they came. Of two keys with one name the last counts, as for JavaScript.

use std::borrow::Cow;
use std::ops::Range;

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
pub fn scan(line: &[u8], deep: bool) -> Result<Keys<'_>, Malformed> {
    let mut keys = Keys::default();
    members(line, |key, value| keys.take(key, line, value)).map_err(|()| Malformed)?;
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
    let _broken = members(start, |key, value| keys.take(key, start, value));
    keys
}

/// The id in the last bytes of a line whose middle is not known: `…,"id":VALUE}` with a plain value.
pub fn scan_end(end: &[u8]) -> Option<&[u8]> {
    let body = end.trim_ascii_end().strip_suffix(b"}")?.trim_ascii_end();
    let at = memchr::memmem::rfind(body, b"\"id\"")?;
    let before = body[..at].trim_ascii_end().last()?;
    let value = body[at + 4..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let whole = value_at(value, 0).ok()?.end == value.len();
    (*before == b',' && whole && !matches!(value[0], b'{' | b'[')).then_some(value)
}

impl<'a> Keys<'a> {
    #[inline]
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
        let whole = members(object, |key, at| {
            if key == b"sessionId" {
                session = at.name(&object[at.start..at.end]);
            }
        });
        whole.ok()?;
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

/// Calls `take` with each key of the object, unescaped, and where its value stands.
#[inline]
fn members(line: &[u8], mut take: impl FnMut(&[u8], Value)) -> Result<(), ()> {
    let mut at = blanks(line, 0);
    if line.get(at) != Some(&b'{') {
        return Err(());
    }
    at += 1;
    loop {
        at = blanks(line, at);
        match line.get(at) {
            Some(b'"') => {}
            Some(b'}') => return Ok(()),
            _ => return Err(()),
        }
        let (end, escaped) = string_end(line, at + 1)?;
        let key = &line[at + 1..end - 1];
        at = blanks(line, end);
        if line.get(at) != Some(&b':') {
            return Err(());
        }
        at = blanks(line, at + 1);
        let value = value_at(line, at)?;
        if escaped {
            take(&unescape(key), value);
        } else {
            take(key, value);
        }
        at = blanks(line, value.end);
        match line.get(at) {
            Some(b',') => at += 1,
            Some(b'}') => return Ok(()),
            _ => return Err(()),
        }
    }
}

#[inline]
fn blanks(line: &[u8], mut at: usize) -> usize {
    while line.get(at).is_some_and(|&byte| byte <= b' ' && matches!(byte, b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// The value that starts here.
#[inline]
fn value_at(line: &[u8], start: usize) -> Result<Value, ()> {
    let (end, escaped) = match line.get(start).ok_or(())? {
        b'"' => string_end(line, start + 1)?,
        b'{' | b'[' => (nested_end(line, start + 1)?, false),
        b't' => (literal(line, start, b"true")?, false),
        b'f' => (literal(line, start, b"false")?, false),
        b'n' => (literal(line, start, b"null")?, false),
        _ => (number_end(line, start)?, false),
    };
    Ok(Value { start, end, escaped })
}

fn literal(line: &[u8], at: usize, text: &[u8]) -> Result<usize, ()> {
    if line[at..].starts_with(text) { Ok(at + text.len()) } else { Err(()) }
}

fn number_end(line: &[u8], at: usize) -> Result<usize, ()> {
    let digits = |mut at: usize| {
        let first = at;
        while line.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        if at > first { Ok(at) } else { Err(()) }
    };
    let mut end = at + usize::from(line.get(at) == Some(&b'-'));
    end = if line.get(end) == Some(&b'0') { end + 1 } else { digits(end)? };
    if line.get(end) == Some(&b'.') {
        end = digits(end + 1)?;
    }
    if matches!(line.get(end), Some(b'e' | b'E')) {
        end += 1;
        end = digits(end + usize::from(matches!(line.get(end), Some(b'+' | b'-'))))?;
    }
    Ok(end)
}

/// One in each byte, and the top bit of each byte: what the tricks below are made of.
const ONES: u64 = u64::MAX / 255;
const TOPS: u64 = ONES << 7;

/// Marks the bytes of `word` that are `byte`. Marks above the lowest may be wrong, the lowest is right.
#[inline]
fn is(word: u64, byte: u8) -> u64 {
    let other = word ^ (ONES * u64::from(byte));
    other.wrapping_sub(ONES) & !other & TOPS
}

/// Marks the control characters of `word`, with the same caution.
#[inline]
fn is_control(word: u64) -> u64 {
    word.wrapping_sub(ONES * 0x20) & !word & TOPS
}

/// The first place from `at` on where `mark`, eight bytes at a time, or `one`, for the last few, finds something.
#[inline(always)]
fn find(line: &[u8], at: usize, mark: impl Fn(u64) -> u64, one: impl Fn(u8) -> bool) -> Result<usize, ()> {
    let mut rest = line.get(at..).ok_or(())?;
    let mut words = 0;
    while let Some((word, behind)) = rest.split_first_chunk::<8>() {
        let marks = mark(u64::from_le_bytes(*word));
        if marks != 0 {
            return Ok(line.len() - rest.len() + (marks.trailing_zeros() / 8) as usize);
        }
        rest = behind;
        words += 1;
        if words % 8 == 0 {
            // Long stretches go by in blocks, which the compiler turns into vector instructions.
            while let Some((block, behind)) = rest.split_first_chunk::<64>() {
                if block.iter().fold(false, |hit, &byte| hit | one(byte)) {
                    break;
                }
                rest = behind;
            }
        }
    }
    rest.iter().position(|&byte| one(byte)).map(|found| line.len() - rest.len() + found).ok_or(())
}

/// Where the string at the top level ends whose opening quote stands before `at`, behind its closing quote, and
/// whether it has escapes. It holds no control characters.
#[inline]
fn string_end(line: &[u8], at: usize) -> Result<(usize, bool), ()> {
    let special = |word| is(word, b'"') | is(word, b'\\') | is_control(word);
    let is_special = |byte| (byte == b'"') | (byte == b'\\') | (byte < 0x20);
    let mut found = find(line, at, special, is_special)?;
    if line[found] == b'"' {
        return Ok((found + 1, false));
    }
    loop {
        match line[found] {
            b'"' => return Ok((found + 1, true)),
            b'\\' if line.get(found + 1).is_some_and(|&next| next >= 0x20) => {}
            _ => return Err(()),
        }
        found = find(line, found + 2, special, is_special)?;
    }
}

/// Where a string inside of a container ends, which may hold anything.
fn inner_string_end(line: &[u8], mut at: usize) -> Result<usize, ()> {
    loop {
        let special = |word| is(word, b'"') | is(word, b'\\');
        at = find(line, at, special, |byte| (byte == b'"') | (byte == b'\\'))?;
        if line[at] == b'"' {
            return Ok(at + 1);
        }
        at += 2;
    }
}

/// Where the container ends whose opening bracket stands before `at`. Brackets of either kind close one another.
fn nested_end(line: &[u8], mut at: usize) -> Result<usize, ()> {
    let mut depth = 1_usize;
    loop {
        at = find(
            line,
            at,
            // Setting bit 5 makes brackets of braces' bytes, and of nothing else that matters.
            |word| {
                let braces = word | (ONES * 0x20);
                is(word, b'"') | is(braces, b'{') | is(braces, b'}')
            },
            |byte| (byte == b'"') | (byte | 0x20 == b'{') | (byte | 0x20 == b'}'),
        )?;
        at += 1;
        match line[at - 1] {
            b'"' => at = inner_string_end(line, at)?,
            b'{' | b'[' => depth += 1,
            _ => depth -= 1,
        }
        if depth == 0 {
            return Ok(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
