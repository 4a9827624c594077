//! What a bridge must know of a message, and no more.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// Tools whose second run would be another: they are not sent again when nobody knows what became of the first.
const ONCE: [&str; 1] = ["register_session"];
/// From this revision on requests stand alone.
const ALONE: &str = "2026-07-28";

/// A message of the host.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// The beginning of a session.
    Initialize(Request),
    /// A request.
    Request(Request),
    /// The session has begun.
    Initialized,
    /// A request, by its id, is not wanted any more.
    Cancelled(String),
    /// Another notification, or the answer to a request of the server.
    Other,
}

/// What has an answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    /// The id, as JSON.
    pub(crate) id: String,
    pub(crate) method: String,
    /// Of a tool or a prompt, or the URI of a resource.
    pub(crate) name: Option<String>,
    /// The revision, if the request stands alone.
    pub(crate) alone: Option<String>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Params<'a> {
    name: Option<String>,
    uri: Option<String>,
    #[serde(borrow)]
    request_id: Option<&'a RawValue>,
    #[serde(rename = "_meta")]
    meta: Option<Meta>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Meta {
    #[serde(rename = "io.modelcontextprotocol/protocolVersion")]
    version: Option<String>,
}

impl Message {
    /// Looks at a line.
    ///
    /// # Errors
    /// Why it is no message.
    pub(crate) fn of(line: &str) -> Result<Self, String> {
        let envelope: Envelope<'_> = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let Some(method) = envelope.method else { return Ok(Self::Other) };
        // Parameters that are none of these are the server's to refuse.
        let params: Params<'_> =
            envelope.params.and_then(|params| serde_json::from_str(params.get()).ok()).unwrap_or_default();
        let Some(id) = envelope.id else {
            return Ok(match (&*method, params.request_id) {
                ("notifications/initialized", _) => Self::Initialized,
                ("notifications/cancelled", Some(id)) => Self::Cancelled(id.get().to_owned()),
                _ => Self::Other,
            });
        };
        let version = params.meta.and_then(|meta| meta.version).filter(|version| version.as_str() >= ALONE);
        let request = Request {
            id: id.get().to_owned(),
            name: params.name.or(params.uri),
            alone: version,
            method: method.into_owned(),
        };
        Ok(if request.method == "initialize" { Self::Initialize(request) } else { Self::Request(request) })
    }
}

impl Request {
    /// Whether it may be sent again when nobody knows what became of it.
    pub(crate) fn may_repeat(&self) -> bool {
        self.method != "tools/call" || !self.name.as_deref().is_some_and(|name| ONCE.contains(&name))
    }
}

/// What the server says to a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// Its answer.
    Answer,
    /// That it could not be carried out now: the daemon stops, or is full.
    Unavailable,
    /// Something else, before the answer.
    Other,
}

/// Looks at a message of the server that came on a request's stream.
pub(crate) fn said(line: &str, id: &str) -> Said {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        id: Option<&'a RawValue>,
        #[serde(borrow)]
        method: Option<&'a RawValue>,
        error: Option<Error>,
    }
    #[derive(Deserialize)]
    struct Error {
        data: Option<Data>,
    }
    #[derive(Default, Deserialize)]
    struct Data {
        code: Option<String>,
    }
    let Ok(answer) = serde_json::from_str::<Answer<'_>>(line) else { return Said::Other };
    if answer.method.is_some() || answer.id.is_none_or(|given| given.get() != id) {
        return Said::Other;
    }
    let code = answer.error.and_then(|error| error.data).and_then(|data| data.code);
    if code.as_deref() == Some("unavailable") { Said::Unavailable } else { Said::Answer }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart() {
        let request = |line: &str| match Message::of(line).unwrap() {
            Message::Request(request) | Message::Initialize(request) => request,
            other => unreachable!("{other:?}"),
        };
        let call = request(r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"ask_human"}}"#);
        assert_eq!(
            (call.id.as_str(), call.name.as_deref(), call.alone.as_deref()),
            ("7", Some("ask_human"), None)
        );
        assert!(call.may_repeat());
        let once = request(r#"{"id":"a","method":"tools/call","params":{"name":"register_session"}}"#);
        assert_eq!((once.id.as_str(), once.may_repeat()), ("\"a\"", false));
        let new = r#"{"id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
        assert_eq!(request(new).alone.as_deref(), Some("2026-07-28"));
        let cancelled = r#"{"method":"notifications/cancelled","params":{"requestId":7}}"#;
        assert_eq!(Message::of(cancelled), Ok(Message::Cancelled("7".to_owned())));
        assert_eq!(Message::of(r#"{"id":1,"result":{}}"#), Ok(Message::Other));
        for bad in ["{", "[]", "5", ""] {
            assert!(Message::of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_answer_is_known_among_what_comes() {
        assert_eq!(said(r#"{"id":7,"result":{}}"#, "7"), Said::Answer);
        assert_eq!(said(r#"{"id":7,"error":{"code":1,"message":"x"}}"#, "7"), Said::Answer);
        assert_eq!(
            said(r#"{"id":7,"error":{"code":1,"message":"x","data":{"code":"unavailable"}}}"#, "7"),
            Said::Unavailable
        );
        assert_eq!(said(r#"{"id":7,"method":"elicitation/create"}"#, "7"), Said::Other);
        assert_eq!(said(r#"{"method":"notifications/progress"}"#, "7"), Said::Other);
        assert_eq!(said("x", "7"), Said::Other);
    }
}
