//! The names of handoffs, lanes and checkpoints.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{BadId, LogId, SessionId};

/// How many bytes an id may have.
const MAX_ID: usize = 200;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Those made here are 12 lower-case hexadecimal digits; those that came from elsewhere are any text of 1 to 200
        /// bytes without control characters.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The id with the 48 low bits of a number that the caller took at random.
            #[must_use]
            pub fn made(random: u64) -> Self {
                Self(format!("{:012x}", random & 0xffff_ffff_ffff))
            }

            /// The text of the id.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(s: &str) -> Result<Self, BadId> {
                let fits = !s.is_empty() && s.len() <= MAX_ID && !s.chars().any(char::is_control);
                if fits { Ok(Self(s.to_owned())) } else { Err(BadId { expected: "an id of 1 to 200 bytes" }) }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

text_id!(
    /// A handoff.
    HandoffId
);
text_id!(
    /// A lane of a handoff.
    LaneId
);
text_id!(
    /// A checkpoint of a handoff.
    CheckpointId
);

impl HandoffId {
    /// The handoff that the daemon itself keeps of a session: one session has one, whoever asks, and however often.
    #[must_use]
    pub fn of_session(session: SessionId) -> Self {
        // The last digits of an id of version 7 are random.
        let text = session.to_string();
        Self(text[text.len() - 12..].to_owned())
    }

    /// Its log.
    ///
    /// # Panics
    /// Never: an id fits the name of a log.
    #[must_use]
    pub fn log(&self) -> LogId {
        format!("{PREFIX}{self}")
            .parse()
            .expect("an id has at most 200 bytes, none of them a control character")
    }

    /// The handoff whose log this is.
    #[must_use]
    pub fn of_log(log: &LogId) -> Option<Self> {
        log.as_str().strip_prefix(PREFIX)?.parse().ok()
    }
}

const PREFIX: &str = "handoff/";
