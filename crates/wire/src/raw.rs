//! Looking into raw JSON without parsing what is not looked at.

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// The text of a JSON string, unescaped; `None` if the value is no string.
///
/// JavaScript peers cut text between the halves of a surrogate pair and send the lone halves as escapes, which no
/// Rust string can hold: such halves come out as U+FFFD.
pub fn as_str(raw: &RawValue) -> Option<Cow<'_, str>> {
    let json = raw.get();
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str::<Lossy>(json).ok().map(|Lossy(text)| Cow::Owned(text))
}

/// The members of a JSON object in their order, names unescaped, values as they came. A null counts as absent;
/// of two members with one name the last one counts, as for JavaScript.
#[derive(Clone, Debug, Default)]
pub struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// The most members an object may have: one with more is not looked into.
    pub const MAX: usize = 256;

    /// The members of `raw`; `None` if it is no object, or one with more than [`MAX`](Self::MAX) members.
    pub fn of(raw: &'a RawValue) -> Option<Self> {
        serde_json::from_str(raw.get()).ok()
    }

    /// The value of a member.
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| *value)
    }

    /// The text of a member that is a string.
    pub fn get_str(&self, name: &str) -> Option<Cow<'a, str>> {
        self.get(name).and_then(as_str)
    }

    /// All members.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(key, value)| (&**key, *value))
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "an object of up to {} members", Members::MAX)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &RawValue>()? {
                    members.retain(|(key, _)| *key != name);
                    if value.get() != "null" {
                        members.push((name, value));
                    }
                    if members.len() > Members::MAX {
                        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                        return Err(A::Error::invalid_length(members.len(), &self));
                    }
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// A name that borrows where it has no escapes.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// A string read as bytes, which serde_json gives with lone surrogates encoded as if they were characters.
struct Lossy(String);

impl<'de> Deserialize<'de> for Lossy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = Lossy;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Lossy, E> {
                Ok(Lossy(String::from_utf8_lossy(bytes).into_owned()))
            }
        }

        deserializer.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn raw(json: &str) -> Box<RawValue> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn only_strings_have_text() {
        for json in ["1", "null", "{}", "[\"a\"]", "true"] {
            assert_eq!(as_str(&raw(json)), None);
        }
        assert!(matches!(as_str(&raw("\"plain ü\"")), Some(Cow::Borrowed("plain ü"))));
        assert_eq!(as_str(&raw(r#""\ud83d\ude00\n\/""#)).unwrap(), "\u{1F600}\n/");
    }

    #[test]
    fn half_a_surrogate_pair_is_replaced_not_refused() {
        assert_eq!(as_str(&raw(r#""a\ud83db""#)).unwrap().replace('\u{FFFD}', "?"), "a???b");
    }

    #[test]
    fn members_keep_their_order_and_bytes() {
        let object = raw(r#"{"b": 1.0, "\u0061":[ ] ,"n":null,"b":2,"":"x"}"#);
        let members = Members::of(&object).unwrap();
        let all: Vec<_> = members.iter().map(|(name, value)| (name, value.get())).collect();
        assert_eq!(all, [("a", "[ ]"), ("b", "2"), ("", "\"x\"")]);
        assert_eq!(members.get_str("").unwrap(), "x");
        assert!(members.get("n").is_none() && members.get_str("a").is_none());
    }

    #[test]
    fn what_is_no_object_or_too_large_is_not_looked_into() {
        for json in ["1", "\"a\"", "[1]", "null"] {
            assert!(Members::of(&raw(json)).is_none());
        }
        let object = |n: usize| {
            let members: Vec<String> = (0..n).map(|n| format!("\"{n}\":0")).collect();
            raw(&format!("{{{}}}", members.join(",")))
        };
        assert_eq!(Members::of(&object(Members::MAX)).unwrap().iter().len(), Members::MAX);
        assert!(Members::of(&object(Members::MAX + 1)).is_none());
    }

    proptest! {
        #[test]
        fn text_is_what_was_written(text in "(\\PC|[\n\"\\\\\u{1}]){0,20}") {
            let written = serde_json::value::to_raw_value(&text).unwrap();
            prop_assert_eq!(as_str(&written).unwrap(), text);
        }
    }
}
