//! What forms and queries send: pairs of names and values, urlencoded or in parts.

use axum::http::{HeaderMap, header};

/// The pairs of a body.
pub(crate) fn read(headers: &HeaderMap, body: &[u8]) -> Vec<(String, String)> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    match boundary(kind) {
        Some(boundary) => in_parts(body, &boundary),
        None if kind.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded") => pairs(body),
        None => Vec::new(),
    }
}

/// The pairs of `a=1&b=2`.
pub(crate) fn pairs(text: &[u8]) -> Vec<(String, String)> {
    let parts = text.split(|byte| *byte == b'&').filter(|part| !part.is_empty());
    let plain = |part: &[u8]| String::from_utf8_lossy(&unescape(part, true)).into_owned();
    let split = |part: &[u8]| match part.iter().position(|byte| *byte == b'=') {
        Some(at) => (plain(&part[..at]), plain(&part[at + 1..])),
        None => (plain(part), String::new()),
    };
    parts.map(split).collect()
}

/// Takes percent signs away. One that is followed by no number is itself.
pub(crate) fn unescape(text: &[u8], plus_is_space: bool) -> Vec<u8> {
    let hex = |digits: Option<&[u8]>| {
        let digits = std::str::from_utf8(digits?).ok().filter(|text| !text.starts_with('+'))?;
        u8::from_str_radix(digits, 16).ok()
    };
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at += 1;
        match (byte, hex(text.get(at..at + 2)).filter(|_| *byte == b'%')) {
            (_, Some(code)) => {
                out.push(code);
                at += 2;
            }
            (b'+', None) if plus_is_space => out.push(b' '),
            (other, None) => out.push(*other),
        }
    }
    out
}

fn boundary(kind: &str) -> Option<String> {
    let mut parts = kind.split(';').map(str::trim);
    parts.next().filter(|kind| kind.eq_ignore_ascii_case("multipart/form-data"))?;
    let value = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.eq_ignore_ascii_case("boundary").then_some(value)
    })?;
    Some(value.trim_matches('"').to_owned()).filter(|boundary| !boundary.is_empty())
}

/// The texts of a multipart body. A file counts as the text it holds.
fn in_parts(body: &[u8], boundary: &str) -> Vec<(String, String)> {
    // The first boundary has no line end before it, so that each begins alike with one.
    let whole = [b"\r\n", body].concat();
    let mark = format!("\r\n--{boundary}").into_bytes();
    let mut found = Vec::new();
    let mut rest = &whole[..];
    while let Some(start) = find(rest, &mark) {
        rest = &rest[start + mark.len()..];
        let Some(end) = find(rest, &mark) else { break };
        let part = rest[..end].strip_prefix(b"\r\n").unwrap_or(&rest[..end]);
        if let Some(split) = find(part, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&part[..split]);
            if let Some(name) = name(&head) {
                found.push((name, String::from_utf8_lossy(&part[split + 4..]).into_owned()));
            }
        }
    }
    found
}

fn name(head: &str) -> Option<String> {
    let is_it = |line: &&str| line.to_ascii_lowercase().starts_with("content-disposition:");
    let line = head.lines().find(is_it)?;
    let value = line.split(';').find_map(|part| part.trim().strip_prefix("name="))?;
    Some(value.trim_matches('"').to_owned())
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn urlencoded_pairs() {
        assert_eq!(
            pairs(b"a=1&b=x+y%21&&c&a=%C3%A9%zz%"),
            owned(&[("a", "1"), ("b", "x y!"), ("c", ""), ("a", "é%zz%"),])
        );
        assert_eq!(unescape(b"a+b", false), b"a+b");
    }

    #[test]
    fn parts() {
        let body = "--X\r\nContent-Disposition: form-data; name=\"response_text\"\r\n\r\ntwo\r\nlines\r\n--X\r\n\
                    content-disposition: form-data; name=\"responder\"\r\n\r\n\r\n--X--\r\n";
        let headers = HeaderMap::from_iter([(
            header::CONTENT_TYPE,
            "multipart/form-data; boundary=\"X\"".parse().unwrap(),
        )]);
        let expected = owned(&[("response_text", "two\r\nlines"), ("responder", "")]);
        assert_eq!(read(&headers, body.as_bytes()), expected);
        assert_eq!(read(&HeaderMap::new(), b"a=1"), []);
    }
}
