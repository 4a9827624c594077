//! One request, before it has an address.

use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use serde::Serialize;

/// How long an ordinary answer may take.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// How long a large body may take, and the answer to it.
const UPLOAD: Duration = Duration::from_secs(300);

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) body: Option<Bytes>,
    /// What the body is.
    pub(crate) content_type: &'static str,
    /// With a key, the same call may be sent again: the daemon carries it out once.
    pub(crate) key: Option<String>,
    pub(crate) last_event_id: Option<String>,
    pub(crate) accept: &'static str,
    pub(crate) timeout: Duration,
}

impl Call {
    /// Reads something.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            body: None,
            content_type: "application/json",
            key: None,
            last_event_id: None,
            accept: "application/json",
            timeout: TIMEOUT,
        }
    }

    /// Opens an event stream.
    pub(crate) fn stream(path: impl Into<String>) -> Self {
        Self { accept: "text/event-stream", ..Self::get(path) }
    }

    /// Removes something. Doing it twice ends the same.
    pub(crate) fn delete(path: impl Into<String>) -> Self {
        Self { method: Method::DELETE, body: Some(Bytes::from_static(b"{}")), ..Self::get(path) }
    }

    /// Changes something, at most once however often it is sent.
    pub(crate) fn command(method: Method, path: impl Into<String>, body: &impl Serialize) -> Self {
        let key = uuid::Uuid::new_v4().simple().to_string();
        Self { key: Some(key), ..Self::post(path, body) }.with(method)
    }

    /// Does something that is not repeated.
    pub(crate) fn post(path: impl Into<String>, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("every body has a JSON form");
        Self { method: Method::POST, body: Some(body.into()), ..Self::get(path) }
    }

    /// Puts something in its place.
    pub(crate) fn put(path: impl Into<String>, body: &impl Serialize) -> Self {
        Self::post(path, body).with(Method::PUT)
    }

    /// The same, with so much time for the answer.
    pub(crate) fn within(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Sends something that is no JSON.
    pub(crate) fn upload(path: impl Into<String>, content_type: &'static str, body: Bytes) -> Self {
        Self { method: Method::POST, body: Some(body), content_type, timeout: UPLOAD, ..Self::get(path) }
    }

    /// Whether it may be sent again when nobody knows what became of it.
    pub(crate) fn may_repeat(&self) -> bool {
        self.key.is_some() || self.method == Method::GET
    }

    fn with(self, method: Method) -> Self {
        Self { method, ..self }
    }
}

/// A text as one part of a path.
pub(crate) fn encoded(text: &str) -> String {
    let mut part = String::new();
    encode(&mut part, text, b"");
    part
}

/// What RFC 3986 calls unreserved stands for itself, and so does what is in `also`.
fn encode(out: &mut String, text: &str, also: &[u8]) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || also.contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("writing to a string cannot fail");
        }
    }
}

/// A query string in the making.
#[derive(Debug, Default)]
pub(crate) struct Params(String);

impl Params {
    /// Adds a parameter.
    pub(crate) fn add(mut self, name: &str, value: &str) -> Self {
        self.0.push(if self.0.is_empty() { '?' } else { '&' });
        self.0.push_str(name);
        self.0.push('=');
        // `/`, `:` and `,` stand for themselves too in a query.
        encode(&mut self.0, value, b"/:,");
        self
    }

    /// Adds a parameter if there is a value.
    pub(crate) fn maybe(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.add(name, value),
            None => self,
        }
    }

    /// The path with this query.
    pub(crate) fn of(&self, path: &str) -> String {
        format!("{path}{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped() {
        let params =
            Params::default().add("workspace", "/a b/ü&x=1").maybe("no", None).maybe("n", Some("50"));
        assert_eq!(params.of("/v1/sessions"), "/v1/sessions?workspace=/a%20b/%C3%BC%26x%3D1&n=50");
        assert_eq!(Params::default().of("/p"), "/p");
    }

    #[test]
    fn only_what_is_safe_to_repeat_is_repeated() {
        assert!(Call::get("/x").may_repeat());
        assert!(Call::command(Method::POST, "/x", &()).may_repeat());
        assert!(!Call::post("/x", &()).may_repeat());
    }
}
