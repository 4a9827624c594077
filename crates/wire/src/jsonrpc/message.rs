//! Reading one message.

use super::{BadId, ErrorObject, Id};
use crate::raw::Members;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// One message, borrowing its payload from the line.
#[derive(Clone, Debug)]
pub enum Message<'a> {
    /// They ask and wait for an answer.
    Request(Request<'a>),
    /// They tell.
    Notification(Notification<'a>),
    /// They answer.
    Response(Response<'a>),
}

/// A call that wants exactly one answer.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Goes into the answer as it is.
    pub id: Id,
    /// The method's name.
    pub method: Cow<'a, str>,
    /// The parameters as they came; `None` if the member is absent. See [`parse_params`].
    pub params: Option<&'a RawValue>,
}

/// A call that wants no answer.
#[derive(Clone, Debug)]
pub struct Notification<'a> {
    /// The method's name.
    pub method: Cow<'a, str>,
    /// The parameters as they came; `None` if the member is absent. See [`parse_params`].
    pub params: Option<&'a RawValue>,
}

/// An answer to one of our requests, perhaps: [`Outgoing::take`](super::Outgoing::take) tells.
#[derive(Clone, Debug)]
pub struct Response<'a> {
    /// The id of the request it answers; null if the peer could not read the request.
    pub id: Id,
    /// The result as it came, or the error.
    pub outcome: Result<&'a RawValue, ErrorObject>,
}

/// Why a line is no message. None of these ends the stream: the next line is read as if it had not been there.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// Nothing but white space.
    #[error("the line is empty")]
    Empty,
    /// Not UTF-8, hence not JSON.
    #[error("the line is not UTF-8: {0}")]
    Utf8(#[from] std::str::Utf8Error),
    /// Not JSON: most often a log line on the wrong stream.
    #[error("the line is not JSON: {0}")]
    NotJson(serde_json::Error),
    /// JSON, but not an object.
    #[error("the line is JSON but not an object")]
    NotObject,
    /// An array: batches are legal JSON-RPC, but neither ACP nor MCP over stdio uses them.
    #[error("JSON-RPC batches are not supported; send one message per line")]
    Batch,
    /// A member of the envelope has the wrong type or comes twice.
    #[error("the JSON-RPC envelope is malformed: {error}")]
    Envelope {
        /// The message's id, if it can be read.
        id: Option<Id>,
        /// Whether it has a method, so is no answer.
        call: bool,
        /// What is wrong.
        error: serde_json::Error,
    },
    /// The id is no id.
    #[error(transparent)]
    Id(#[from] BadId),
    /// Nothing says what it is.
    #[error("the message has neither a method nor an id")]
    NeitherMethodNorId,
    /// A method with a `result` or `error`: neither a request nor an answer.
    #[error("the message has both a method and an outcome")]
    MethodAndOutcome {
        /// The message's id, if it has one.
        id: Option<Id>,
    },
    /// An id without method, `result` or `error`.
    #[error("the response has neither a result nor an error")]
    NoOutcome {
        /// The message's id.
        id: Id,
    },
    /// An answer that says both.
    #[error("the response has both a result and an error")]
    ResultAndError {
        /// The message's id.
        id: Id,
    },
}

impl<'a> Message<'a> {
    /// Reads one line, without its line end. Unknown members are ignored, `jsonrpc` among them.
    ///
    /// # Errors
    /// See [`ParseError`].
    pub fn parse(line: &'a [u8]) -> Result<Self, ParseError> {
        let text = std::str::from_utf8(line)?.trim_ascii();
        if !text.starts_with('{') {
            return Err(why_not_an_object(text));
        }
        let envelope: Envelope<'a> = serde_json::from_str(text).map_err(|error| {
            if error.is_data() { malformed(text, error) } else { ParseError::NotJson(error) }
        })?;
        envelope.classify()
    }
}

impl ParseError {
    /// The id of what may have been a request: its sender waits, so answer it with
    /// [`INVALID_REQUEST`](super::code::INVALID_REQUEST). Where this is `None` write nothing: an agent that logs to
    /// the wrong stream must not be answered.
    pub fn request(&self) -> Option<&Id> {
        match self {
            Self::Envelope { id, call: true, .. } | Self::MethodAndOutcome { id } => id.as_ref(),
            _ => None,
        }
    }

    /// The id of what was meant as an answer: no other will come, so the request it names has failed.
    pub fn response(&self) -> Option<&Id> {
        match self {
            Self::Envelope { id, call: false, .. } => id.as_ref(),
            Self::NoOutcome { id } | Self::ResultAndError { id } => Some(id),
            _ => None,
        }
    }
}

/// Reads parameters; an absent member counts as an empty object.
///
/// # Errors
/// If they are not what `T` wants: an [`ErrorObject`] to answer with, which names the field.
pub fn parse_params<'a, T: Deserialize<'a>>(params: Option<&'a RawValue>) -> Result<T, ErrorObject> {
    serde_json::from_str(params.map_or("{}", RawValue::get)).map_err(ErrorObject::invalid_params)
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default, borrow, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(default, borrow)]
    method: Option<Method<'a>>,
    #[serde(default, borrow, deserialize_with = "present")]
    params: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    /// A null here says "no error": some peers send both members always.
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
}

/// A string that borrows where it has no escapes; serde borrows inside an `Option` only through a type of ours.
#[derive(Deserialize)]
#[serde(transparent)]
struct Method<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Envelope<'a> {
    fn classify(self) -> Result<Message<'a>, ParseError> {
        let Self { id, method, params, result, error } = self;
        let id = id.map(Id::try_from).transpose()?;
        let Some(Method(method)) = method else {
            let id = id.ok_or(ParseError::NeitherMethodNorId)?;
            let outcome = match (result, error) {
                (Some(result), None) => Ok(result),
                (None, Some(error)) => Err(ErrorObject::from_raw(error)),
                (Some(result), Some(error)) if result.get() == "null" => Err(ErrorObject::from_raw(error)),
                (Some(_), Some(_)) => return Err(ParseError::ResultAndError { id }),
                (None, None) => return Err(ParseError::NoOutcome { id }),
            };
            return Ok(Message::Response(Response { id, outcome }));
        };
        if result.is_some() || error.is_some() {
            return Err(ParseError::MethodAndOutcome { id });
        }
        Ok(match id {
            Some(id) => Message::Request(Request { id, method, params }),
            None => Message::Notification(Notification { method, params }),
        })
    }
}

/// Keeps a null that is there apart from a member that is not.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

fn malformed(text: &str, error: serde_json::Error) -> ParseError {
    let members: Members<'_> = serde_json::from_str(text).unwrap_or_default();
    let id = members.get("id").and_then(|id| Id::try_from(id).ok());
    ParseError::Envelope { id, call: members.get("method").is_some(), error }
}

fn why_not_an_object(text: &str) -> ParseError {
    match serde_json::from_str::<IgnoredAny>(text) {
        _ if text.is_empty() => ParseError::Empty,
        Err(error) => ParseError::NotJson(error),
        Ok(_) if text.starts_with('[') => ParseError::Batch,
        Ok(_) => ParseError::NotObject,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads a line and renders what it is.
    fn show(line: impl AsRef<[u8]>) -> String {
        let raw = |params: Option<&RawValue>| params.map_or("-", RawValue::get).to_owned();
        match Message::parse(line.as_ref()) {
            Ok(Message::Request(Request { id, method, params })) => {
                format!("request {id} {method} {}", raw(params))
            }
            Ok(Message::Notification(Notification { method, params })) => {
                format!("notify {method} {}", raw(params))
            }
            Ok(Message::Response(Response { id, outcome: Ok(result) })) => format!("result {id} {result}"),
            Ok(Message::Response(Response { id, outcome: Err(error) })) => format!("error {id} {error}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_three_kinds() {
        assert_eq!(
            show(r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":1}}"#),
            r#"request 1 m {"a":1}"#
        );
        assert_eq!(show(r#"{"jsonrpc":"2.0","method":"m"}"#), "notify m -");
        assert_eq!(show(r#"{"jsonrpc":"2.0","id":"a","result":{}}"#), r#"result "a" {}"#);
        assert_eq!(show(r#"{"id":1,"error":{"code":-1,"message":"no"}}"#), "error 1 no (-1)");
    }

    #[test]
    fn payloads_keep_their_bytes() {
        let line = r#" {"method" : "a\/b", "params": [ 1.0e10,  "\u0041" ] , "id" : 1.0 , "extra":{}} "#;
        assert_eq!(show(line), r#"request 1.0 a/b [ 1.0e10,  "\u0041" ]"#);
    }

    #[test]
    fn a_null_is_not_an_absent_member() {
        assert_eq!(show(r#"{"id":null,"method":"m"}"#), "request null m -");
        assert_eq!(show(r#"{"method":"m","params":null}"#), "notify m null");
        assert_eq!(show(r#"{"id":1,"result":null}"#), "result 1 null");
        assert_eq!(show(r#"{"id":null,"error":{"code":-32700,"message":"x"}}"#), "error null x (-32700)");
    }

    #[test]
    fn null_members_of_older_peers_are_forgiven() {
        assert_eq!(show(r#"{"id":1,"result":7,"error":null}"#), "result 1 7");
        assert_eq!(show(r#"{"id":1,"result":null,"error":{"code":1,"message":"m"}}"#), "error 1 m (1)");
        assert_eq!(show(r#"{"id":1,"method":"m","error":null}"#), "request 1 m -");
    }

    #[test]
    fn what_is_no_message_says_why() {
        assert_eq!(show(""), "the line is empty");
        assert_eq!(show(" \t\r"), "the line is empty");
        assert_eq!(
            show(b"{\"id\":\"\xFF\"}"),
            "the line is not UTF-8: invalid utf-8 sequence of 1 bytes from index 7"
        );
        assert_eq!(show("npm warn x"), "the line is not JSON: expected ident at line 1 column 2");
        assert_eq!(show("[info] x"), "the line is not JSON: expected value at line 1 column 2");
        assert_eq!(
            show(r#"{"id":1"#),
            "the line is not JSON: EOF while parsing an object at line 1 column 7"
        );
        assert_eq!(show(r#"{"id":1} x"#), "the line is not JSON: trailing characters at line 1 column 10");
        assert_eq!(show("\"text\""), "the line is JSON but not an object");
        assert_eq!(show("7"), "the line is JSON but not an object");
        assert_eq!(show("[]"), "JSON-RPC batches are not supported; send one message per line");
        assert_eq!(show("{}"), "the message has neither a method nor an id");
        assert_eq!(
            show(r#"{"error":{"code":1,"message":"m"}}"#),
            "the message has neither a method nor an id"
        );
        assert_eq!(show(r#"{"id":1}"#), "the response has neither a result nor an error");
        assert_eq!(show(r#"{"id":1,"result":1,"error":{}}"#), "the response has both a result and an error");
        assert_eq!(
            show(r#"{"id":1,"method":"m","result":1}"#),
            "the message has both a method and an outcome"
        );
        assert_eq!(show(r#"{"id":[],"method":"m"}"#), BadId.to_string());
        assert!(
            show(r#"{"id":1,"method":7}"#).starts_with("the JSON-RPC envelope is malformed: invalid type")
        );
        assert!(
            show(r#"{"id":1,"id":2}"#)
                .starts_with("the JSON-RPC envelope is malformed: duplicate field `id`")
        );
    }

    #[test]
    fn what_may_have_been_a_request_or_an_answer_says_whose() {
        let whose = |line: &str| {
            let error = Message::parse(line.as_bytes()).unwrap_err();
            (error.request().map(Id::to_string), error.response().map(Id::to_string))
        };
        let (one, none) = (Some("1".to_owned()), None);
        for line in [
            r#"{"id":1,"method":7}"#,
            r#"{"id":1,"method":"m","method":"n"}"#,
            r#"{"id":1,"method":"m","result":1}"#,
        ] {
            assert_eq!(whose(line), (one.clone(), none.clone()), "{line}");
        }
        for line in [r#"{"id":1}"#, r#"{"id":1,"result":1,"result":2}"#, r#"{"id":1,"result":1,"error":{}}"#]
        {
            assert_eq!(whose(line), (none.clone(), one.clone()), "{line}");
        }
        for line in ["log", r#"{"method":7}"#, r#"{"id":[],"method":7}"#, r#"{"method":"m","result":1}"#] {
            assert_eq!(whose(line), (none.clone(), none.clone()), "{line}");
        }
    }

    #[test]
    fn deep_nesting_is_only_bytes() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert_eq!(show(format!(r#"{{"method":"m","params":{deep}}}"#)), format!("notify m {deep}"));
    }

    #[test]
    fn params_are_read_or_refused_with_the_field() {
        #[derive(Debug, Deserialize)]
        struct Params {
            #[serde(default)]
            line: u32,
        }
        let parse = |json: &'static str| parse_params::<Params>(Some(serde_json::from_str(json).unwrap()));
        assert_eq!(parse_params::<Params>(None).unwrap().line, 0);
        assert_eq!(parse(r#"{"line":3}"#).unwrap().line, 3);
        let error = parse(r#"{"line":"x"}"#).unwrap_err();
        assert_eq!(error.code, crate::jsonrpc::code::INVALID_PARAMS);
        assert!(error.message.contains("expected u32"), "{}", error.message);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(line in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(Message::parse(&line));
        }

        #[test]
        fn no_envelope_makes_it_panic(
            members in prop::collection::vec(("(id|method|params|result|error|jsonrpc)", "([0-9\\[\\]{},:\"a-z]{0,6}|null|\"x\")"), 0..5),
        ) {
            let members: Vec<String> = members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
            drop(Message::parse(format!("{{{}}}", members.join(",")).as_bytes()));
        }
    }
}
