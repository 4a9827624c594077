//! The id that ties an answer to its request.

use crate::raw;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

/// The longest id accepted, in bytes of JSON text. Ids are kept while an answer is owed and go into the log.
pub const MAX_ID: usize = 1024;

/// A request's id: a JSON string, number or null, kept as the text it came in, so that the answer carries the very
/// same (`1.0` is not `1`, and no number is too large). Two ids are equal if their texts are.
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub struct Id(Box<RawValue>);

/// JSON that is no id: an object, an array, a boolean, or longer than [`MAX_ID`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a JSON-RPC id must be a string, a number or null, of up to {MAX_ID} bytes")]
pub struct BadId;

impl Id {
    /// The id `null`, which answers carry when the request's own id could not be read.
    pub fn null() -> Self {
        Self(RawValue::NULL.to_owned())
    }

    /// The id as JSON text.
    pub fn json(&self) -> &str {
        self.0.get()
    }

    /// The string, unescaped, if the id is one. A peer may escape our string otherwise than we did.
    pub fn as_str(&self) -> Option<Cow<'_, str>> {
        raw::as_str(&self.0)
    }
}

impl TryFrom<&RawValue> for Id {
    type Error = BadId;

    fn try_from(raw: &RawValue) -> Result<Self, BadId> {
        let fits = raw.get().len() <= MAX_ID;
        let scalar = matches!(raw.get().as_bytes().first(), Some(b'"' | b'-' | b'0'..=b'9' | b'n'));
        if fits && scalar { Ok(Self(raw.to_owned())) } else { Err(BadId) }
    }
}

impl TryFrom<&str> for Id {
    type Error = BadId;

    /// The id that is this string.
    fn try_from(text: &str) -> Result<Self, BadId> {
        let raw = serde_json::value::to_raw_value(text).map_err(|_| BadId)?;
        Self::try_from(&*raw)
    }
}

impl From<u64> for Id {
    fn from(number: u64) -> Self {
        Self(RawValue::from_string(number.to_string()).expect("digits are JSON"))
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::try_from(&*raw).map_err(serde::de::Error::custom)
    }
}

impl PartialEq for Id {
    fn eq(&self, other: &Self) -> bool {
        self.json() == other.json()
    }
}

impl Eq for Id {}

impl PartialOrd for Id {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Id {
    fn cmp(&self, other: &Self) -> Ordering {
        self.json().cmp(other.json())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.json())
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.json())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(json: &str) -> Result<Id, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn strings_numbers_and_null_are_kept_to_the_byte() {
        for json in
            ["1", "-1", "1.0", "1e3", "18446744073709551616", "null", "\"\"", "\"a\\/b\"", "\"\\u0061\""]
        {
            let id = read(json).unwrap();
            assert_eq!(id.json(), json);
            assert_eq!(serde_json::to_string(&id).unwrap(), json);
        }
        assert_ne!(read("1").unwrap(), read("1.0").unwrap());
    }

    #[test]
    fn other_json_and_long_text_is_no_id() {
        for json in ["{}", "[1]", "true", "false"] {
            assert!(read(json).unwrap_err().to_string().contains("must be a string, a number or null"));
        }
        assert!(Id::try_from("x".repeat(MAX_ID - 2).as_str()).is_ok());
        assert_eq!(Id::try_from("x".repeat(MAX_ID - 1).as_str()), Err(BadId));
    }

    proptest! {
        #[test]
        fn a_string_comes_back_whatever_is_in_it(text in "(\\PC|[\n\"\\\\]){0,20}") {
            let id = Id::try_from(text.as_str()).unwrap();
            prop_assert_eq!(id.as_str().unwrap(), text);
        }
    }

    #[test]
    fn escaped_strings_are_read_and_other_ids_are_no_strings() {
        assert_eq!(read("\"t\\u0031\\/2\"").unwrap().as_str().unwrap(), "t1/2");
        assert_eq!(Id::from(7).as_str(), None);
        assert_eq!(Id::null().as_str(), None);
    }
}
