//! Keys, namespaces, topics and agents: texts, or any other scalar, as in Python, from where the protocol comes.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::encode::ascii;
use crate::raw::as_str;

/// What stands before a name that is no text.
const MARK: char = '\u{1}';

/// A name in one form for everything that is the same name: `1`, `1.0` and `true` are one, and `"1"` is another.
///
/// A text is itself. Anything else is its JSON behind a control character, and so is a text that begins with that.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// The name that a text is.
    #[must_use]
    pub fn text(text: &str) -> Self {
        if text.starts_with(MARK) {
            let json = serde_json::to_string(text).unwrap_or_default();
            Self(format!("{MARK}{json}").into())
        } else {
            Self(text.into())
        }
    }

    /// The name that a value is.
    ///
    /// # Errors
    /// With the kind of the value when it is a list or an object, which is no name.
    pub fn of(value: &RawValue) -> Result<Self, &'static str> {
        let json = value.get();
        match json.as_bytes().first() {
            Some(b'[') => Err("list"),
            Some(b'{') => Err("dict"),
            Some(b'"') => Ok(Self::text(&as_str(value).unwrap_or(Cow::Borrowed("")))),
            _ => Ok(Self(format!("{MARK}{}", scalar(json)).into())),
        }
    }

    /// The name that null is.
    #[must_use]
    pub fn null() -> Self {
        Self(format!("{MARK}null").into())
    }

    /// The name as it was kept.
    #[must_use]
    pub fn kept(kept: &str) -> Self {
        Self(kept.into())
    }

    /// The form in which it is kept.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which it is kept, shared.
    #[must_use]
    pub fn into_kept(self) -> Arc<str> {
        self.0
    }

    /// Writes it as the JSON value that it is.
    pub fn write(&self, out: &mut String) {
        match self.0.strip_prefix(MARK) {
            Some(json) => ascii(out, json),
            None => ascii(out, &serde_json::to_string(&self.0).unwrap_or_default()),
        }
    }

    /// Writes it as a member's name, which is always a text.
    pub fn write_member(&self, out: &mut String) {
        match self.0.strip_prefix(MARK) {
            Some(json) if !json.starts_with('"') => {
                write!(out, "\"{json}\"").expect("a text takes what is written");
            }
            Some(_) | None => self.write(out),
        }
    }

    /// It as a part of a topic's name.
    #[must_use]
    pub fn in_topic(&self) -> &str {
        match self.0.strip_prefix(MARK) {
            Some("null") => "None",
            Some(json) => json,
            None => &self.0,
        }
    }
}

/// A number, truth or null, in one form for everything that is the same.
fn scalar(json: &str) -> Cow<'_, str> {
    match json {
        "true" => return "1".into(),
        "false" => return "0".into(),
        "null" => return json.into(),
        _ => {}
    }
    if let Ok(whole) = json.parse::<i128>() {
        return whole.to_string().into();
    }
    match json.parse::<f64>() {
        #[expect(clippy::cast_possible_truncation, reason = "it has no fraction and is small enough")]
        Ok(number) if number.fract() == 0.0 && number.abs() < 1e15 => (number as i64).to_string().into(),
        Ok(number) if number.is_finite() => format!("{number:?}").into(),
        Ok(_) | Err(_) => json.into(),
    }
}
