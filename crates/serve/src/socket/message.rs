//! What is said over the socket: JSON objects, one in each text message.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use trunkline_core::raw::Raw;

use crate::extract::parse;
use crate::problem::Problem;

/// The longest id of a stream.
const MAX_ID: usize = 200;

/// What a client asks.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Asked {
    /// Who it is: the first message of those that sent no header.
    Token {
        /// Its token.
        token: String,
    },
    /// To read a stream.
    Subscribe {
        /// The client's own name for it.
        id: Arc<str>,
        /// The path of the stream, with its query.
        path: String,
        /// Where to go on: the last that the stream gave.
        #[serde(default)]
        last_event_id: Option<String>,
    },
    /// To read a stream no longer.
    Unsubscribe {
        /// Which.
        id: Arc<str>,
    },
}

/// What a client is told.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Told<'a> {
    /// It may subscribe.
    Ready,
    /// What came on a stream.
    Event {
        /// Which stream.
        id: &'a str,
        /// The kind of event; `message` is what the stream is about.
        event: &'a str,
        /// The place behind it.
        #[serde(skip_serializing_if = "str::is_empty")]
        last_event_id: &'a str,
        /// The event.
        data: Option<Raw>,
    },
    /// A stream has ended.
    Ended {
        /// Which.
        id: &'a str,
    },
    /// What was asked cannot be.
    Refused {
        /// Of which stream, if it was about one.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        /// Why, as the API says it.
        problem: Why<'a>,
    },
    /// The daemon ends the connection.
    Bye {
        /// Why.
        reason: &'static str,
    },
}

/// A problem.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Why<'a> {
    /// One that is said here.
    Here(&'a Problem),
    /// One that the route of the stream has written.
    Written(Raw),
}

impl Told<'_> {
    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Reads what a client asks.
pub(super) fn read(text: &str) -> Result<Asked, Problem> {
    let asked = parse(text.as_bytes())?;
    if let Asked::Subscribe { id, .. } = &asked
        && (id.is_empty() || id.len() > MAX_ID)
    {
        return Err(Problem::invalid("id", format!("an id has 1 to {MAX_ID} bytes")));
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_written_as_the_guide_shows_it() {
        let event = Told::Event {
            id: "b",
            event: "message",
            last_event_id: "17.4",
            data: Raw::parse(r#"{"ok": true}"#).ok(),
        };
        assert_eq!(
            event.text(),
            r#"{"type":"event","id":"b","event":"message","last_event_id":"17.4","data":{"ok": true}}"#
        );
        assert_eq!(Told::Ready.text(), r#"{"type":"ready"}"#);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for wrong in ["", "[]", r#"{"type":"x"}"#, r#"{"type":"subscribe","id":"","path":"/"}"#] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(read(r#"{"type":"subscribe","id":"a","path":"/v1/feed","after":1}"#).is_err());
        assert!(read(r#"{"type":"subscribe","id":"a","path":"/v1/feed"}"#).is_ok());
    }
}
