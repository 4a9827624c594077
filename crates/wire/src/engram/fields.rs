//! The members of a request, and what Python makes of them.

use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Name, shown};
use crate::raw::as_str;

/// How many members are looked at; a request with more is none.
const MAX: usize = 64;

/// The members of a request. Of several with one name the last counts.
pub(super) struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Fields<'a> {
    pub(super) fn of(text: &'a str) -> Result<Self, &'static str> {
        let Some(members) = members(text) else {
            let is_json = serde_json::from_str::<&RawValue>(text).is_ok();
            return Err(if is_json { "a request must be a JSON object" } else { "invalid JSON" });
        };
        if members.len() > MAX { Err("a request must have at most 64 members") } else { Ok(Self(members)) }
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| *value)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &(Cow<'a, str>, &'a RawValue)> {
        self.0.iter()
    }

    /// A member that must be there. The original names it as Python does.
    pub(super) fn required(&self, name: &str) -> Result<&'a RawValue, String> {
        self.get(name).ok_or_else(|| format!("'{name}'"))
    }

    pub(super) fn name(&self, field: &str) -> Result<Name, String> {
        Name::of(self.required(field)?).map_err(|kind| unhashable(field, kind))
    }

    /// A name that may be absent or null.
    pub(super) fn optional(&self, field: &str) -> Result<Option<Name>, String> {
        let value = self.get(field).filter(|value| value.get() != "null");
        value.map(|value| Name::of(value).map_err(|kind| unhashable(field, kind))).transpose()
    }

    /// The name of an agent; what is false in Python names none.
    pub(super) fn agent(&self, field: &str) -> Result<Option<Name>, String> {
        let value = self.get(field).filter(|value| is_truthy(value));
        value.map(|value| Name::of(value).map_err(|kind| unhashable(field, kind))).transpose()
    }

    pub(super) fn namespace(&self) -> Result<Name, String> {
        match self.get("namespace") {
            Some(value) => Name::of(value).map_err(|kind| unhashable("namespace", kind)),
            None => Ok(Name::text("default")),
        }
    }

    pub(super) fn names(&self, field: &str) -> Result<Option<Vec<Name>>, String> {
        let Some(value) = self.get(field).filter(|value| value.get() != "null") else { return Ok(None) };
        let list: Vec<&RawValue> = serde_json::from_str(value.get())
            .map_err(|_| format!("{field} must be a list, not {}", shown(Some(value))))?;
        let names = list.into_iter().map(|value| Name::of(value).map_err(|kind| unhashable(field, kind)));
        names.collect::<Result<_, _>>().map(Some)
    }

    pub(super) fn members(&self, field: &str) -> Result<Vec<(Cow<'a, str>, &'a RawValue)>, String> {
        let value = self.required(field)?;
        members(value.get()).ok_or_else(|| format!("{field} must be an object, not {}", shown(Some(value))))
    }

    pub(super) fn text(&self, field: &str) -> Result<String, String> {
        let value = self.required(field)?;
        as_str(value).map(Cow::into_owned).ok_or_else(|| format!("{field} must be a text"))
    }

    pub(super) fn optional_text(&self, field: &str) -> Result<Option<String>, String> {
        match self.get(field).filter(|value| value.get() != "null") {
            Some(_) => self.text(field).map(Some),
            None => Ok(None),
        }
    }

    /// A value of any kind; null where it is absent.
    pub(super) fn value(&self, field: &str) -> Box<RawValue> {
        self.get(field).map_or_else(|| RawValue::NULL.to_owned(), ToOwned::to_owned)
    }

    /// A value that is not false in Python.
    pub(super) fn truthy(&self, field: &str) -> Option<Box<RawValue>> {
        self.get(field).filter(|value| is_truthy(value)).map(ToOwned::to_owned)
    }

    pub(super) fn truth(&self, field: &str) -> bool {
        self.get(field).is_some_and(is_truthy)
    }
}

fn unhashable(field: &str, kind: &str) -> String {
    format!("{field} must be a text or a number: unhashable type: '{kind}'")
}

/// Whether Python takes a value for true.
pub(super) fn is_truthy(value: &RawValue) -> bool {
    match value.get() {
        "null" | "false" | "\"\"" => false,
        list if list.starts_with('[') => !list[1..].trim_start().starts_with(']'),
        object if object.starts_with('{') => !object[1..].trim_start().starts_with('}'),
        other => other.parse::<f64>() != Ok(0.0),
    }
}

/// The members of an object; `None` if it is none, or no JSON.
fn members(text: &str) -> Option<Vec<(Cow<'_, str>, &RawValue)>> {
    struct All<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

    impl<'de: 'a, 'a> Deserialize<'de> for All<'a> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Collect;

            impl<'de> Visitor<'de> for Collect {
                type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }

                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                    // Most requests have fewer.
                    let mut members = Vec::with_capacity(8);
                    while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                        members.push((as_str(key).unwrap_or_default(), value));
                    }
                    Ok(members)
                }
            }

            deserializer.deserialize_map(Collect).map(All)
        }
    }

    serde_json::from_str::<All<'_>>(text).ok().map(|All(members)| members)
}

/// Python writes and reads three numbers that are no JSON. What they say has no JSON form, so they are read as null.
pub(super) fn tolerate(text: &str) -> Cow<'_, str> {
    if !["NaN", "Infinity"].iter().any(|word| text.contains(word)) {
        return Cow::Borrowed(text);
    }
    let (mut out, mut rest, mut in_string) = (String::with_capacity(text.len()), text, false);
    while let Some(c) = rest.chars().next() {
        let word =
            ["NaN", "-Infinity", "Infinity"].into_iter().find(|word| !in_string && rest.starts_with(word));
        let taken = match (word, c) {
            (Some(word), _) => {
                out.push_str("null");
                rest = &rest[word.len()..];
                continue;
            }
            (None, '\\') if in_string => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            (None, '"') => {
                in_string = !in_string;
                1
            }
            (None, c) => c.len_utf8(),
        };
        out.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    Cow::Owned(out)
}
