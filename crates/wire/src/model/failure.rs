//! Why there is no answer, in words that are the same for all providers.

use std::time::Duration;

use serde_json::Value;

/// The longest message of a provider that is passed on, in characters.
const MAX_MESSAGE: usize = 2_000;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What sort of failure it is.
    pub kind: FailureKind,
    /// What the provider said, or what happened.
    pub message: String,
    /// How long to wait, if the provider said so.
    pub retry_after: Option<Duration>,
}

/// Sorts of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The key is missing, wrong, or may not do this.
    AuthenticationFailed,
    /// Too much was asked for in too little time, or there is no money left.
    RateLimited,
    /// The provider has trouble of its own.
    Overloaded,
    /// The conversation is longer than the model can read.
    ContextTooLong,
    /// The provider does not take what was asked.
    InvalidRequest,
    /// The provider was not reached, or the connection broke.
    ConnectionFailed,
    /// What came is no answer of this wire.
    Broken,
}

impl FailureKind {
    /// A stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::AuthenticationFailed => "authentication_failed",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::ContextTooLong => "context_too_long",
            Self::InvalidRequest => "invalid_request",
            Self::ConnectionFailed => "connection_failed",
            Self::Broken => "broken_answer",
        }
    }

    /// Whether the same request may succeed a little later.
    #[must_use]
    pub const fn is_passing(self) -> bool {
        matches!(self, Self::RateLimited | Self::Overloaded | Self::ConnectionFailed)
    }
}

impl Failure {
    /// A failure of this kind.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if let Some((cut, _)) = message.char_indices().nth(MAX_MESSAGE) {
            message.truncate(cut);
            message.push('…');
        }
        Self { kind, message, retry_after: None }
    }

    /// The provider was not reached, or the connection broke.
    pub fn connection(message: impl Into<String>) -> Self {
        Self::new(FailureKind::ConnectionFailed, message)
    }

    pub(super) fn broken(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Broken, message)
    }

    pub(super) fn cut() -> Self {
        Self::connection("the connection ended before the answer did")
    }

    /// An answer with a status that is no success. `retry_after` is its header, if it has one.
    #[must_use]
    pub fn of_answer(status: u16, retry_after: Option<&str>, body: &[u8]) -> Self {
        let value: Option<Value> = serde_json::from_slice(body).ok();
        let told = value.as_ref().and_then(Told::of);
        let text = || {
            let text = String::from_utf8_lossy(body);
            let text = text.trim();
            // A page for a browser says nothing to a person here.
            if text.is_empty() || text.starts_with('<') { String::new() } else { format!(": {text}") }
        };
        let message = match &told {
            Some(told) => format!("{} (status {status})", told.message),
            None => format!("the provider answered with status {status}{}", text()),
        };
        let kind = told.as_ref().and_then(Told::kind).unwrap_or_else(|| by_status(status, &message));
        let after = retry_after.and_then(|seconds| seconds.trim().parse::<f64>().ok());
        let after = after.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Self { retry_after: after.or_else(|| told.as_ref()?.retry_after), ..Self::new(kind, message) }
    }

    /// An error within a stream.
    pub(super) fn of_event(error: &Value) -> Self {
        let Some(told) = Told::of(error) else {
            return Self::new(FailureKind::Overloaded, format!("the provider failed: {error}"));
        };
        let kind = told.kind().or_else(|| Some(by_status(told.status?, &told.message)));
        let kind = kind.unwrap_or_else(|| by_message(&told.message).unwrap_or(FailureKind::Overloaded));
        Self { retry_after: told.retry_after, ..Self::new(kind, told.message) }
    }

    /// A success without any event.
    pub(super) fn of_stray(bytes: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(bytes) {
            Ok(value) if !value["error"].is_null() => Self::of_event(&value),
            Ok(_) | Err(_) => {
                let text = String::from_utf8_lossy(bytes);
                let begin: String = text.trim().chars().take(200).collect();
                Self::broken(format!("the answer is no event stream; it begins with: {begin}"))
            }
        }
    }
}

/// What a provider tells of an error, as far as it can be made out.
struct Told {
    message: String,
    /// `type`, `code` and `status`, whichever are words.
    words: Vec<String>,
    /// `code`, where it is a number.
    status: Option<u16>,
    retry_after: Option<Duration>,
}

impl Told {
    /// `{"error":{"message","type","code","status"}}`, or the inner object alone, or a list of one, or a text.
    fn of(value: &Value) -> Option<Self> {
        let value = value.get(0).unwrap_or(value);
        let error = value.get("error").filter(|error| !error.is_null()).unwrap_or(value);
        if let Some(text) = error.as_str() {
            return Some(Self {
                message: text.to_owned(),
                words: Vec::new(),
                status: None,
                retry_after: None,
            });
        }
        let text = |name: &str| error[name].as_str().map(str::to_owned);
        // Gateways put the words of the provider behind them there.
        let behind = error["metadata"]["raw"].as_str().map(|raw| format!(": {raw}"));
        let message = text("message")
            .or_else(|| text("detail"))
            .or_else(|| value["message"].as_str().map(str::to_owned))?;
        let words = ["type", "code", "status"].iter().filter_map(|name| text(name)).collect();
        let status = error["code"].as_u64().and_then(|code| u16::try_from(code).ok());
        let message = message + &behind.unwrap_or_default();
        Some(Self { message, words, status, retry_after: delay(error) })
    }

    fn kind(&self) -> Option<FailureKind> {
        let by_word = |word: &String| {
            Some(match word.as_str() {
                "authentication_error"
                | "permission_error"
                | "invalid_api_key"
                | "UNAUTHENTICATED"
                | "PERMISSION_DENIED" => FailureKind::AuthenticationFailed,
                "rate_limit_error"
                | "rate_limit_exceeded"
                | "insufficient_quota"
                | "RESOURCE_EXHAUSTED"
                | "billing_error" => FailureKind::RateLimited,
                "overloaded_error" | "api_error" | "server_error" | "timeout_error" | "UNAVAILABLE"
                | "INTERNAL" | "DEADLINE_EXCEEDED" => FailureKind::Overloaded,
                "context_length_exceeded" | "request_too_large" | "string_above_max_length" => {
                    FailureKind::ContextTooLong
                }
                _ => return None,
            })
        };
        // Some tell the length of the context, or a wrong key, as one more request that is invalid.
        self.words.iter().find_map(by_word).or_else(|| by_message(&self.message))
    }
}

/// Gemini's `RetryInfo`: `{"retryDelay": "31s"}`.
fn delay(error: &Value) -> Option<Duration> {
    let details = error["details"].as_array()?;
    let text = details.iter().find_map(|detail| detail["retryDelay"].as_str())?;
    Duration::try_from_secs_f64(text.strip_suffix('s')?.parse().ok()?).ok()
}

fn by_status(status: u16, message: &str) -> FailureKind {
    match status {
        401 | 403 => FailureKind::AuthenticationFailed,
        402 | 429 => FailureKind::RateLimited,
        413 => FailureKind::ContextTooLong,
        408 | 500..=599 => FailureKind::Overloaded,
        _ => by_message(message).unwrap_or(FailureKind::InvalidRequest),
    }
}

/// For those who say it in words only.
fn by_message(message: &str) -> Option<FailureKind> {
    let message = message.to_ascii_lowercase();
    let says = |any: &[&str]| any.iter().any(|words| message.contains(words));
    let long = [
        "prompt is too long",
        "context length",
        "context window",
        "maximum context",
        "too many tokens",
        "input token count",
        "exceeds the maximum number of tokens",
        "exceed context limit",
    ];
    if says(&long) {
        return Some(FailureKind::ContextTooLong);
    }
    says(&["api key not valid", "invalid api key", "incorrect api key"])
        .then_some(FailureKind::AuthenticationFailed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use FailureKind::{AuthenticationFailed, ContextTooLong, InvalidRequest, Overloaded, RateLimited};

    fn kind(status: u16, body: &str) -> FailureKind {
        Failure::of_answer(status, None, body.as_bytes()).kind
    }

    #[test]
    fn failures_of_all_providers_have_the_same_names() {
        let cases = [
            (
                401,
                r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#,
                AuthenticationFailed,
            ),
            (429, r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}"#, RateLimited),
            (
                529,
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
                Overloaded,
            ),
            (
                400,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 3 > 2"}}"#,
                ContextTooLong,
            ),
            (
                400,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: required"}}"#,
                InvalidRequest,
            ),
            (
                401,
                r#"{"error":{"message":"Incorrect API key","type":"invalid_request_error","code":"invalid_api_key"}}"#,
                AuthenticationFailed,
            ),
            (
                429,
                r#"{"error":{"message":"You exceeded","type":"insufficient_quota","code":"insufficient_quota"}}"#,
                RateLimited,
            ),
            (
                400,
                r#"{"error":{"message":"m","type":"invalid_request_error","code":"context_length_exceeded"}}"#,
                ContextTooLong,
            ),
            (
                404,
                r#"{"error":{"message":"The model does not exist","code":"model_not_found"}}"#,
                InvalidRequest,
            ),
            (
                400,
                r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}"#,
                AuthenticationFailed,
            ),
            (
                503,
                r#"{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}"#,
                Overloaded,
            ),
            (
                400,
                r#"[{"error":{"code":400,"message":"The input token count exceeds the maximum","status":"INVALID_ARGUMENT"}}]"#,
                ContextTooLong,
            ),
            (402, r#"{"error":{"message":"Insufficient credits","code":402}}"#, RateLimited),
            (404, r#"{"error":"model 'x' not found"}"#, InvalidRequest),
            (502, "<html>bad gateway</html>", Overloaded),
            (418, "", InvalidRequest),
        ];
        for (status, body, expected) in cases {
            assert_eq!(kind(status, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn how_long_to_wait_is_in_the_header_or_the_body() {
        let after = |header, body: &str| Failure::of_answer(429, header, body.as_bytes()).retry_after;
        assert_eq!(after(Some(" 7 "), ""), Some(Duration::from_secs(7)));
        assert_eq!(after(Some("soon"), ""), None);
        assert_eq!(after(Some("-1"), ""), None);
        let gemini = r#"{"error":{"message":"m","details":[{"@type":"x"},{"retryDelay":"1.5s"}]}}"#;
        assert_eq!(after(None, gemini), Some(Duration::from_millis(1500)));
    }

    #[test]
    fn what_is_told_is_bounded_and_says_the_status() {
        let told =
            Failure::of_answer(400, None, format!(r#"{{"error":"{}"}}"#, "x".repeat(9_000)).as_bytes());
        assert_eq!(told.message.chars().count(), MAX_MESSAGE + 1);
        let gateway = Failure::of_answer(502, None, b"<html>").message;
        assert_eq!(gateway, "the provider answered with status 502");
    }
}
