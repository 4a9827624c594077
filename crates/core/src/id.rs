//! Identifiers. Each is a type of its own, checked once when it is parsed; the type is the proof.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The number of an event in its log: 1, 2, 3 … without holes. 0 means "before the first".
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// Before the first event.
    pub const ZERO: Self = Self(0);

    /// The number `n` places further on.
    #[must_use]
    pub fn plus(self, n: u64) -> Self {
        Self(self.0.saturating_add(n))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A place in a store's one tail of commits. Larger is later; numbers never come twice, but may have holes.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Pos(pub u64);

impl fmt::Display for Pos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A turn of a session: the sequence number of its `turn.queued` event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct TurnId(pub Seq);

impl fmt::Display for TurnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TurnId {
    type Err = BadId;

    fn from_str(s: &str) -> Result<Self, BadId> {
        s.parse().ok().filter(|n| *n > 0).map(|n| Self(Seq(n))).ok_or(BadId { expected: "a turn number" })
    }
}

/// A text that is not the identifier it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is not {expected}")]
pub struct BadId {
    /// What was expected, for a person.
    pub expected: &'static str,
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID that the caller made, normally version 7 so that ids sort by age.
            #[must_use]
            pub const fn new(id: Uuid) -> Self {
                Self(id)
            }

            /// The UUID.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(s: &str) -> Result<Self, BadId> {
                let id = Uuid::try_parse(s).map_err(|_| BadId { expected: $what })?;
                // One id has one spelling: braces, URN prefixes and capitals would make two keys of one thing.
                if id.as_hyphenated().to_string() == s { Ok(Self(id)) } else { Err(BadId { expected: $what }) }
            }
        }
    };
}

uuid_id!(
    /// A session. UUIDv7 in lower case; never used again, also after deletion.
    SessionId,
    "a session id (a lower-case UUID)"
);
uuid_id!(
    /// A request to a person.
    RequestId,
    "a request id (a lower-case UUID)"
);
impl RequestId {
    /// Orders the ids that one process made close in time, later ones larger, for what falls into one millisecond.
    ///
    /// It is a window on the id: of a version 7 UUID (RFC 9562) the 15 low bits of its milliseconds and what its
    /// maker counts within one. It starts again every 32 s, so it only ever breaks ties of a time.
    #[must_use]
    pub fn age(&self) -> i64 {
        let window = (self.0.as_u128() >> 32) & i64::MAX as u128;
        i64::try_from(window).unwrap_or(i64::MAX)
    }
}

uuid_id!(
    /// A message in a session's inbox.
    MessageId,
    "a message id (a lower-case UUID)"
);
uuid_id!(
    /// A standing permission.
    GrantId,
    "a grant id (a lower-case UUID)"
);
uuid_id!(
    /// An access token; the id is no secret.
    TokenId,
    "a token id (a lower-case UUID)"
);

impl From<RequestId> for MessageId {
    /// The message that tells an agent how its request ended has the request's id: there is never a second.
    fn from(id: RequestId) -> Self {
        Self(id.0)
    }
}

/// The name of a log, such as `session/0190…` or `access`. At most 400 bytes, no control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId(String);

impl LogId {
    /// The log of one session.
    #[must_use]
    pub fn session(id: SessionId) -> Self {
        Self(format!("session/{id}"))
    }

    /// The log of all access tokens.
    #[must_use]
    pub fn access() -> Self {
        Self("access".to_owned())
    }

    /// The log of operator actions.
    #[must_use]
    pub fn operator() -> Self {
        Self("operator".to_owned())
    }

    /// The log of the profiles that were made.
    #[must_use]
    pub fn profiles() -> Self {
        Self("profiles".to_owned())
    }

    /// The log of the MCP servers that were made.
    #[must_use]
    pub fn mcp() -> Self {
        Self("mcp".to_owned())
    }

    /// The log of what models have used today.
    #[must_use]
    pub fn spending() -> Self {
        Self("spending".to_owned())
    }

    /// The log of the grants of all projects.
    #[must_use]
    pub fn grants() -> Self {
        Self("grants".to_owned())
    }

    /// The log of the audit.
    #[must_use]
    pub fn audit() -> Self {
        Self("audit".to_owned())
    }

    /// The log that says who is attached to a session, in the `live` store.
    #[must_use]
    pub fn presence(id: SessionId) -> Self {
        Self(format!("presence/{id}"))
    }

    /// The log of a namespace of keys, in the `live` store and, behind it, in the `disk` store.
    ///
    /// # Errors
    /// When the name is longer than 120 bytes.
    pub fn kv(namespace: &str) -> Result<Self, BadId> {
        named("kv/", namespace, "the name of a namespace: at most 120 bytes")
    }

    /// The log of a topic, in the `live` store.
    ///
    /// # Errors
    /// As for [`LogId::kv`].
    pub fn topic(topic: &str) -> Result<Self, BadId> {
        named("topic/", topic, "the name of a topic: at most 120 bytes")
    }

    /// The log of a group of a topic's consumers, in the `live` store.
    ///
    /// # Errors
    /// When the topic is longer than 120 bytes or has control characters, or the group is longer than 60 or has any or a `/`.
    pub fn group(topic: &str, group: &str) -> Result<Self, BadId> {
        if group.len() > 60 || group.contains('/') || group.chars().any(char::is_control) {
            return Err(BadId {
                expected: "the name of a group: at most 60 bytes, without `/` and control characters",
            });
        }
        // A topic is at most 120 bytes, which are 360 where all of them are control characters.
        if topic.chars().any(char::is_control) {
            return Err(BadId { expected: "a topic without control characters" });
        }
        named(&format!("group/{group}/"), topic, "the name of a topic: at most 120 bytes")
    }

    /// The log that lists the topics, in the `live` store.
    #[must_use]
    pub fn topics() -> Self {
        Self("topics".to_owned())
    }

    /// The log of the agents that take part, in the `live` store and, behind it, in the `disk` store.
    #[must_use]
    pub fn registry() -> Self {
        Self("registry".to_owned())
    }

    /// The log that holds something large of a session, by the hash of its bytes.
    ///
    /// # Errors
    /// When the hash is not 64 lower-case hexadecimal digits.
    pub fn blob(session: SessionId, sha256: &str) -> Result<Self, BadId> {
        let is_hash =
            sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if is_hash {
            Ok(Self(format!("blob/{session}/{sha256}")))
        } else {
            Err(BadId { expected: "a SHA-256" })
        }
    }

    /// The session whose log this is.
    #[must_use]
    pub fn as_session(&self) -> Option<SessionId> {
        self.0.strip_prefix("session/")?.parse().ok()
    }

    /// The namespace whose log this is.
    #[must_use]
    pub fn as_kv(&self) -> Option<String> {
        let written = self.0.strip_prefix("kv/")?;
        let mut parts = written.split('%');
        let mut name = parts.next()?.to_owned();
        for part in parts {
            let code = u32::from_str_radix(part.get(..2)?, 16).ok()?;
            name.push(char::from_u32(code)?);
            name.push_str(part.get(2..)?);
        }
        Some(name)
    }

    /// The text of the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A log with a name that somebody has chosen. Control characters are written as `%` and two digits, and so is `%` itself.
fn named(kind: &str, name: &str, expected: &'static str) -> Result<LogId, BadId> {
    use std::fmt::Write as _;
    if name.len() > 120 {
        return Err(BadId { expected });
    }
    let mut log = kind.to_owned();
    for c in name.chars() {
        match c {
            '%' => log.push_str("%25"),
            c if c.is_control() => {
                write!(log, "%{:02x}", u32::from(c)).expect("a text takes what is written");
            }
            c => log.push(c),
        }
    }
    Ok(LogId(log))
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for LogId {
    type Err = BadId;

    fn from_str(s: &str) -> Result<Self, BadId> {
        let fits = !s.is_empty() && s.len() <= 400 && !s.chars().any(char::is_control);
        if fits { Ok(Self(s.to_owned())) } else { Err(BadId { expected: "a log name of 1 to 400 bytes" }) }
    }
}

/// One daemon and one of its lives. A claim made by an earlier life of the same node is dead.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Node {
    /// The node's lasting name.
    pub name: String,
    /// Which life of it: larger is later.
    pub incarnation: u64,
}

impl Node {
    /// Whether this is the same daemon in another of its lives. Two do not live at a time, so that one is over, whatever the
    /// clock said when it began.
    #[must_use]
    pub fn is_other_life_of(&self, now: &Self) -> bool {
        self.name == now.name && self.incarnation != now.incarnation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let text = "0190163d-8694-739b-aea5-966c26f8ad91";
        assert_eq!(text.parse::<SessionId>().unwrap().to_string(), text);
        for other in ["0190163D-8694-739B-AEA5-966C26F8AD91", "0190163d8694739baea5966c26f8ad91", "", "x"] {
            assert!(other.parse::<SessionId>().is_err(), "{other}");
        }
    }

    #[test]
    fn a_turn_is_a_positive_number() {
        assert_eq!("7".parse::<TurnId>().unwrap(), TurnId(Seq(7)));
        assert!("0".parse::<TurnId>().is_err());
        assert!("-1".parse::<TurnId>().is_err());
    }

    #[test]
    fn requests_made_in_one_millisecond_keep_their_order() {
        let times = [
            "0190163d-8694-739b-aea5-966c26f8ad91",
            "0190163d-8694-739b-aea5-966d00000000",
            "0190163d-8694-739c-8000-000000000000",
            "0190163d-8695-7000-8000-000000000000",
        ];
        let ages = times.map(|id| id.parse::<RequestId>().unwrap().age());
        assert!(ages.is_sorted_by(|a, b| a < b), "{ages:?}");
    }

    #[test]
    fn log_names_tell_their_session() {
        let id: SessionId = "0190163d-8694-739b-aea5-966c26f8ad91".parse().unwrap();
        assert_eq!(LogId::session(id).as_session(), Some(id));
        assert_eq!(LogId::access().as_session(), None);
        assert!("bad\nname".parse::<LogId>().is_err());
        assert_eq!(LogId::kv("a%\n/é").unwrap().as_str(), "kv/a%25%0a/é");
        assert!(LogId::kv(&"\n".repeat(120)).unwrap().as_str().len() <= 400);
        for name in ["", "a%\n/é", "\u{85}%25", "default"] {
            assert_eq!(LogId::kv(name).unwrap().as_kv().as_deref(), Some(name));
        }
        assert!(LogId::kv(&"x".repeat(121)).is_err());
    }
}
