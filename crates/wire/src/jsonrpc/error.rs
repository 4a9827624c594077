//! The error half of an answer.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fmt;

/// Error codes with a meaning of their own: JSON-RPC 2.0 section 5.1, and those ACP adds.
pub mod code {
    /// Invalid JSON was received.
    pub const PARSE_ERROR: i64 = -32700;
    /// The JSON is not a request.
    pub const INVALID_REQUEST: i64 = -32600;
    /// There is no such method.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// The method's parameters are wrong.
    pub const INVALID_PARAMS: i64 = -32602;
    /// The callee failed.
    pub const INTERNAL_ERROR: i64 = -32603;
    /// ACP: log in first.
    pub const AUTH_REQUIRED: i64 = -32000;
    /// ACP: a file or session is not there.
    pub const RESOURCE_NOT_FOUND: i64 = -32002;
    /// ACP: the request was cancelled by who asked (LSP's `RequestCancelled`).
    pub const REQUEST_CANCELLED: i64 = -32800;
}

/// What went wrong, as JSON-RPC says it. Reading never fails: see [`ErrorObject::from_raw`].
#[derive(Clone, Debug, Serialize, thiserror::Error)]
pub struct ErrorObject {
    /// One of [`code`], or the peer's own.
    pub code: i64,
    /// One sentence.
    pub message: String,
    /// Whatever the peer added, as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
}

impl ErrorObject {
    /// An error without data.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// The answer to a method we do not have.
    pub fn method_not_found(method: &str) -> Self {
        Self::new(code::METHOD_NOT_FOUND, format!("method not found: {method}"))
    }

    /// The answer to parameters we cannot read; `why` names the field.
    pub fn invalid_params(why: impl fmt::Display) -> Self {
        Self::new(code::INVALID_PARAMS, format!("invalid params: {why}"))
    }

    /// The answer when we failed ourselves.
    pub fn internal(why: impl fmt::Display) -> Self {
        Self::new(code::INTERNAL_ERROR, why.to_string())
    }

    /// Reads the `error` member of an answer. An answer must not be lost for a malformed error, so what is no
    /// error object at all becomes the data of an internal error, and a missing code counts as internal.
    pub fn from_raw(raw: &RawValue) -> Self {
        #[derive(Deserialize)]
        struct Lenient {
            #[serde(default)]
            code: Option<i64>,
            #[serde(default)]
            message: Option<String>,
            #[serde(default)]
            data: Option<Box<RawValue>>,
        }
        // Serde would also read an array as the fields in order.
        let is_object = raw.get().starts_with('{');
        match serde_json::from_str::<Lenient>(raw.get()) {
            Ok(Lenient { code, message, data }) if is_object => Self {
                code: code.unwrap_or(code::INTERNAL_ERROR),
                message: message.unwrap_or_else(|| "the peer gave no message".into()),
                data,
            },
            Ok(_) | Err(_) => Self {
                code: code::INTERNAL_ERROR,
                message: "the peer answered with a malformed error".into(),
                data: Some(raw.to_owned()),
            },
        }
    }
}

impl fmt::Display for ErrorObject {
    /// The message, and the data if it is a string or has a string `details`, where agents put the real reason.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Details {
            Text(String),
            Object { details: String },
        }
        write!(f, "{} ({})", self.message, self.code)?;
        match self.data.as_deref().and_then(|data| serde_json::from_str(data.get()).ok()) {
            Some(Details::Text(details) | Details::Object { details }) => write!(f, ": {details}"),
            None => Ok(()),
        }
    }
}

impl PartialEq for ErrorObject {
    fn eq(&self, other: &Self) -> bool {
        let data = |error: &Self| error.data.as_ref().map(|data| data.get().to_owned());
        self.code == other.code && self.message == other.message && data(self) == data(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> ErrorObject {
        ErrorObject::from_raw(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn an_error_is_read_and_written_with_its_data_as_it_came() {
        let json = r#"{"code":-32000,"message":"Log in","data":{"authMethods": [1.0]}}"#;
        let error = read(json);
        assert_eq!((error.code, error.message.as_str()), (code::AUTH_REQUIRED, "Log in"));
        assert_eq!(serde_json::to_string(&error).unwrap(), json);
        let plain = ErrorObject::method_not_found("x/y");
        let json = r#"{"code":-32601,"message":"method not found: x/y"}"#;
        assert_eq!(serde_json::to_string(&plain).unwrap(), json);
    }

    #[test]
    fn a_malformed_error_is_still_an_error() {
        assert_eq!(read(r#"{"message":"m"}"#), ErrorObject::new(code::INTERNAL_ERROR, "m"));
        assert_eq!(read(r#"{"code":5}"#), ErrorObject::new(5, "the peer gave no message"));
        for odd in [r#""boom""#, r#"{"code":1.5,"message":"m"}"#, "[]", "7"] {
            let error = read(odd);
            assert_eq!(error.message, "the peer answered with a malformed error");
            assert_eq!(error.data.unwrap().get(), odd);
        }
    }

    #[test]
    fn the_reason_in_the_data_is_shown() {
        let show = |json: &str| read(json).to_string();
        assert_eq!(show(r#"{"code":1,"message":"m"}"#), "m (1)");
        assert_eq!(show(r#"{"code":1,"message":"m","data":"why"}"#), "m (1): why");
        assert_eq!(show(r#"{"code":1,"message":"m","data":{"details":"why","x":1}}"#), "m (1): why");
        assert_eq!(show(r#"{"code":1,"message":"m","data":[1]}"#), "m (1)");
    }
}
