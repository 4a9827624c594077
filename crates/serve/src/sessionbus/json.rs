//! JSON as the original hub reads and writes it.
//!
//! It takes `NaN` and `Infinity` and gives them back as `null`, keeps the order of keys, and says what is wrong with a body
//! in the words of the Python library, with the place of the character.

use std::collections::HashMap;
use std::fmt::Write;

use trunkline_core::raw::Raw;

/// How deep lists and objects may stand in each other.
const MAX_DEPTH: usize = 200;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    /// As it is written.
    Number(String),
    Text(String),
    List(Vec<Self>),
    /// In the order of its keys; of two with the same name the last counts.
    Object(Vec<(String, Self)>),
}

/// Why a text is not JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotJson {
    pub(crate) why: &'static str,
    /// The number of the character.
    pub(crate) at: usize,
}

impl Json {
    /// Reads a text that must be one value.
    pub(crate) fn parse(text: &str) -> Result<Self, NotJson> {
        let mut reader = Reader { text, at: 0, depth: 0 };
        let outcome = reader.whole();
        outcome.map_err(|(why, at)| NotJson { why, at: text[..at.min(text.len())].chars().count() })
    }

    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// The value without spaces, other scripts as they are.
    pub(crate) fn compact(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    /// The value for people: each member on a line of its own, two spaces deeper than what it is in.
    pub(crate) fn pretty(&self) -> String {
        let mut out = String::new();
        self.write_pretty(0, &mut out);
        out
    }

    fn write_pretty(&self, depth: usize, out: &mut String) {
        let (open, close, parts): (_, _, Vec<(Option<&String>, &Self)>) = match self {
            Self::List(items) if !items.is_empty() => {
                ('[', ']', items.iter().map(|item| (None, item)).collect())
            }
            Self::Object(members) if !members.is_empty() => {
                ('{', '}', members.iter().map(|(key, value)| (Some(key), value)).collect())
            }
            Self::Null
            | Self::Bool(_)
            | Self::Number(_)
            | Self::Text(_)
            | Self::List(_)
            | Self::Object(_) => {
                return self.write(out);
            }
        };
        out.push(open);
        for (n, (key, value)) in parts.into_iter().enumerate() {
            out.push_str(if n > 0 { ",\n" } else { "\n" });
            out.push_str(&"  ".repeat(depth + 1));
            if let Some(key) = key {
                write_text(key, out);
                out.push_str(": ");
            }
            value.write_pretty(depth + 1, out);
        }
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
        out.push(close);
    }

    /// The value as the core keeps it.
    pub(crate) fn raw(&self) -> Raw {
        Raw::parse(&self.compact()).expect("what is written here is JSON")
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(digits) => out.push_str(digits),
            Self::Text(text) => write_text(text, out),
            Self::List(items) => {
                out.push('[');
                for (n, item) in items.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (n, (key, value)) in members.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    write_text(key, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push_str(&serde_json::to_string(text).expect("a text has a JSON form"));
}

type Wrong = (&'static str, usize);

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn whole(&mut self) -> Result<Json, Wrong> {
        self.spaces();
        let value = self.value()?;
        self.spaces();
        if self.at < self.text.len() { Err(("Extra data", self.at)) } else { Ok(value) }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &str) -> bool {
        let is_it = self.text[self.at..].starts_with(word);
        if is_it {
            self.at += word.len();
        }
        is_it
    }

    fn value(&mut self) -> Result<Json, Wrong> {
        match self.peek() {
            Some(b'"') => self.string().map(Json::Text),
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::list),
            Some(_) if self.word("null") => Ok(Json::Null),
            Some(_) if self.word("true") => Ok(Json::Bool(true)),
            Some(_) if self.word("false") => Ok(Json::Bool(false)),
            // They are numbers there, and have no form in an answer.
            Some(_) if self.word("NaN") || self.word("Infinity") || self.word("-Infinity") => Ok(Json::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) | None => Err(("Expecting value", self.at)),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Json, Wrong>) -> Result<Json, Wrong> {
        if self.depth == MAX_DEPTH {
            return Err(("Too many levels", self.at));
        }
        self.depth += 1;
        self.at += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Json, Wrong> {
        let mut members: Vec<(String, Json)> = Vec::new();
        let mut places = HashMap::new();
        self.spaces();
        if self.word("}") {
            return Ok(Json::Object(members));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(("Expecting property name enclosed in double quotes", self.at));
            }
            let key = self.string()?;
            self.spaces();
            if !self.word(":") {
                return Err(("Expecting ':' delimiter", self.at));
            }
            self.spaces();
            let value = self.value()?;
            match places.get(&key) {
                Some(place) => members[*place] = (key, value),
                None => {
                    places.insert(key.clone(), members.len());
                    members.push((key, value));
                }
            }
            self.spaces();
            if self.word("}") {
                return Ok(Json::Object(members));
            }
            if !self.word(",") {
                return Err(("Expecting ',' delimiter", self.at));
            }
            self.spaces();
        }
    }

    fn list(&mut self) -> Result<Json, Wrong> {
        let mut items = Vec::new();
        self.spaces();
        if self.word("]") {
            return Ok(Json::List(items));
        }
        loop {
            items.push(self.value()?);
            self.spaces();
            if self.word("]") {
                return Ok(Json::List(items));
            }
            if !self.word(",") {
                return Err(("Expecting ',' delimiter", self.at));
            }
            self.spaces();
        }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Result<Json, Wrong> {
        let start = self.at;
        self.word("-");
        // A leading zero is a number of its own, and what follows is too much.
        if !self.word("0") && self.digits() == 0 {
            return Err(("Expecting value", start));
        }
        let whole = self.at;
        if self.word(".") && self.digits() == 0 {
            self.at = whole;
        }
        let fraction = self.at;
        if self.word("e") || self.word("E") {
            let _sign = self.word("+") || self.word("-");
            if self.digits() == 0 {
                self.at = fraction;
            }
        }
        let text = &self.text[start..self.at];
        if self.at == whole {
            return Ok(Json::Number(text.to_owned()));
        }
        let value = text.parse::<f64>().ok().filter(|value| value.is_finite());
        Ok(value.map_or(Json::Null, |value| Json::Number(float(value))))
    }

    /// Reads a string from its opening quote.
    fn string(&mut self) -> Result<String, Wrong> {
        let start = self.at;
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let Some(end) = rest.find(|c| c == '"' || c == '\\' || c < ' ') else {
                return Err(("Unterminated string starting at", start));
            };
            out.push_str(&rest[..end]);
            self.at += end;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape(start)?),
                Some(_) | None => return Err(("Invalid control character at", self.at)),
            }
        }
    }

    fn escape(&mut self, start: usize) -> Result<char, Wrong> {
        let at = self.at;
        self.at += 1;
        let Some(kind) = self.peek() else { return Err(("Unterminated string starting at", start)) };
        self.at += 1;
        Ok(match kind {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(at),
            _ => return Err(("Invalid \\escape", at)),
        })
    }

    fn unicode(&mut self, at: usize) -> Result<char, Wrong> {
        let high = self.hex().ok_or(("Invalid \\uXXXX escape", at + 1))?;
        if (0xD800..0xDC00).contains(&high) && self.text[self.at..].starts_with("\\u") {
            let before = self.at;
            self.at += 2;
            match self.hex().filter(|low| (0xDC00..0xE000).contains(low)) {
                Some(low) => {
                    let code = 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                    return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                None => self.at = before,
            }
        }
        // Half a pair is no character.
        Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }
}

/// A number with a fraction or an exponent as Python writes it.
fn float(value: f64) -> String {
    let size = value.abs();
    if value != 0.0 && !(1e-4..1e16).contains(&size) {
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    let mut text = String::new();
    write!(text, "{value:?}").expect("a string takes everything");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(text: &str) -> String {
        Json::parse(text).unwrap().compact()
    }

    #[test]
    fn for_people_each_member_has_a_line() {
        let value = Json::parse(r#"{"b":[1,{"é":"é"}],"a":{},"c":[]}"#).unwrap();
        let lines = [
            "{",
            "  \"b\": [",
            "    1,",
            "    {",
            "      \"é\": \"é\"",
            "    }",
            "  ],",
            "  \"a\": {},",
            "  \"c\": []",
            "}",
        ];
        assert_eq!(value.pretty(), lines.join("\n"));
    }

    #[test]
    fn values_come_back_without_spaces_and_in_their_order() {
        for (text, back) in [
            (" {\"b\" : 1, \"a\":[ true,null , \"é\\u00e9\\n\"]} ", "{\"b\":1,\"a\":[true,null,\"éé\\n\"]}"),
            ("[NaN, Infinity, -Infinity, 1e999]", "[null,null,null,null]"),
            (
                "[1.0, 1e3, 1.10, 12345678901234567890123, -0, 1e16, 1.5e-7]",
                "[1.0,1000.0,1.1,12345678901234567890123,-0,1e+16,1.5e-07]",
            ),
            ("{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":3,\"b\":2}"),
            ("\"\\ud83e\\udd80 \\ud83e\"", "\"🦀 \u{fffd}\""),
            ("{}", "{}"),
            ("[]", "[]"),
        ] {
            assert_eq!(through(text), back, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_as_python_says_it() {
        for (text, why, at) in [
            ("", "Expecting value", 0),
            ("{", "Expecting property name enclosed in double quotes", 1),
            ("{a:1}", "Expecting property name enclosed in double quotes", 1),
            ("{\"é\" 1}", "Expecting ':' delimiter", 5),
            ("{\"a\":1 \"b\":2}", "Expecting ',' delimiter", 7),
            ("{\"a\":1,}", "Expecting property name enclosed in double quotes", 7),
            ("{\"a\":}", "Expecting value", 5),
            ("[1,]", "Expecting value", 3),
            ("[1 2]", "Expecting ',' delimiter", 3),
            ("{} x", "Extra data", 3),
            ("01", "Extra data", 1),
            ("-", "Expecting value", 0),
            ("1.", "Extra data", 1),
            ("\"abc", "Unterminated string starting at", 0),
            ("\"a\nb\"", "Invalid control character at", 2),
            ("\"\\q\"", "Invalid \\escape", 1),
            ("\"\\u12g4\"", "Invalid \\uXXXX escape", 2),
            ("nul", "Expecting value", 0),
        ] {
            assert_eq!(Json::parse(text), Err(NotJson { why, at }), "{text}");
        }
        assert!(Json::parse(&"[".repeat(100_000)).is_err());
        assert!(Json::parse(&format!("{}{}", "[".repeat(200), "]".repeat(200))).is_ok());
    }
}
