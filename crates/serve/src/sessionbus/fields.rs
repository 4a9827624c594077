//! The fields of a body or query, checked as the original checks them: every error is told, each in its shape.

use trunkline_core::raw::Raw;

use super::json::Json;

/// A value that is not as it must be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wrong {
    kind: &'static str,
    place: Vec<Json>,
    says: String,
    input: Json,
    more: Option<(&'static str, Json)>,
}

/// Whether a field must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// It must.
    Always,
    /// It may be absent, but not `null`.
    Sometimes,
    /// It may be absent or `null`.
    Never,
}

impl Wrong {
    pub(crate) fn new(kind: &'static str, place: &[&str], says: impl Into<String>, input: Json) -> Self {
        let place = place.iter().map(|part| Json::text(*part)).collect();
        Self { kind, place, says: says.into(), input, more: None }
    }

    pub(crate) fn with(self, name: &'static str, value: Json) -> Self {
        Self { more: Some((name, value)), ..self }
    }

    pub(crate) fn at(mut self, index: usize) -> Self {
        self.place.push(Json::Number(index.to_string()));
        self
    }

    fn json(self) -> Json {
        let mut members = vec![
            ("type".to_owned(), Json::text(self.kind)),
            ("loc".to_owned(), Json::List(self.place)),
            ("msg".to_owned(), Json::Text(self.says)),
            ("input".to_owned(), self.input),
        ];
        if let Some((name, value)) = self.more {
            members.push(("ctx".to_owned(), Json::Object(vec![(name.to_owned(), value)])));
        }
        Json::Object(members)
    }

    /// The same in words.
    pub(crate) fn words(&self) -> String {
        let place: Vec<_> = self.place.iter().skip(1).map(Json::compact).collect();
        format!("{}: {}", place.join(".").replace('"', ""), self.says)
    }

    /// The body of the answer.
    pub(crate) fn detail(all: Vec<Self>) -> String {
        let list = Json::List(all.into_iter().map(Self::json).collect());
        Json::Object(vec![("detail".to_owned(), list)]).compact()
    }

    /// A choice that is none of those there are.
    pub(crate) fn choice(place: &[&str], choices: &[&str], input: Json) -> Self {
        let expected = one_of(choices);
        let says = format!("Input should be {expected}");
        Self::new("enum", place, says, input).with("expected", Json::Text(expected))
    }

    fn string(place: &[&str], input: &Json) -> Self {
        Self::new("string_type", place, "Input should be a valid string", input.clone())
    }
}

/// `'A', 'B' or 'C'`.
fn one_of(choices: &[&str]) -> String {
    let quoted: Vec<_> = choices.iter().map(|choice| format!("'{choice}'")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}

/// The members of a body.
pub(crate) struct Fields {
    body: Json,
    wrong: Vec<Wrong>,
}

impl Fields {
    pub(crate) const fn of(body: Json) -> Self {
        Self { body, wrong: Vec::new() }
    }

    fn get(&self, name: &str) -> Option<&Json> {
        match &self.body {
            Json::Object(members) => members.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) | Json::List(_) => None,
        }
    }

    /// The value of a field, if there is one to look at.
    fn given(&mut self, name: &str, need: Need) -> Option<Json> {
        match self.get(name) {
            None if need == Need::Always => {
                let body = self.body.clone();
                self.wrong.push(Wrong::new("missing", &["body", name], "Field required", body));
                None
            }
            None => None,
            Some(Json::Null) if need == Need::Never => None,
            Some(value) => Some(value.clone()),
        }
    }

    /// A text of so many characters.
    pub(crate) fn text(
        &mut self,
        name: &str,
        need: Need,
        least: usize,
        most: Option<usize>,
    ) -> Option<String> {
        let place = ["body", name];
        let text = match self.given(name, need)? {
            Json::Text(text) => text,
            other => {
                self.wrong.push(Wrong::string(&place, &other));
                return None;
            }
        };
        let length = text.chars().count();
        let number = |n: usize| Json::Number(n.to_string());
        let plural = |n: usize| if n == 1 { "" } else { "s" };
        if length < least {
            let says = format!("String should have at least {least} character{}", plural(least));
            let wrong = Wrong::new("string_too_short", &place, says, Json::Text(text));
            self.wrong.push(wrong.with("min_length", number(least)));
            return None;
        }
        if let Some(most) = most.filter(|most| length > *most) {
            let says = format!("String should have at most {most} character{}", plural(most));
            let wrong = Wrong::new("string_too_long", &place, says, Json::Text(text));
            self.wrong.push(wrong.with("max_length", number(most)));
            return None;
        }
        Some(text)
    }

    /// An object, or nothing.
    pub(crate) fn object(&mut self, name: &str) -> Option<Raw> {
        match self.given(name, Need::Never)? {
            object @ Json::Object(_) => Some(object.raw()),
            other => {
                let says = "Input should be a valid dictionary";
                self.wrong.push(Wrong::new("dict_type", &["body", name], says, other));
                None
            }
        }
    }

    /// Any value; `null` is nothing.
    pub(crate) fn any(&mut self, name: &str) -> Option<Raw> {
        self.given(name, Need::Never).map(|value| value.raw())
    }

    /// One of some words.
    pub(crate) fn choice(
        &mut self,
        name: &str,
        need: Need,
        choices: &[&'static str],
    ) -> Option<&'static str> {
        let given = self.given(name, need)?;
        let found = match &given {
            Json::Text(text) => choices.iter().find(|choice| *choice == text).copied(),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::List(_) | Json::Object(_) => None,
        };
        if found.is_none() {
            self.wrong.push(Wrong::choice(&["body", name], choices, given));
        }
        found
    }

    /// A list of texts, or nothing.
    pub(crate) fn texts(&mut self, name: &str) -> Option<Vec<String>> {
        let place = ["body", name];
        let items = match self.given(name, Need::Never)? {
            Json::List(items) => items,
            other => {
                self.wrong.push(Wrong::new("list_type", &place, "Input should be a valid list", other));
                return None;
            }
        };
        let mut texts = Vec::with_capacity(items.len());
        for (n, item) in items.into_iter().enumerate() {
            match item {
                Json::Text(text) => texts.push(text),
                other => self.wrong.push(Wrong::string(&place, &other).at(n)),
            }
        }
        Some(texts)
    }

    /// Everything that was wrong.
    pub(crate) fn done(self) -> Result<(), Vec<Wrong>> {
        if self.wrong.is_empty() { Ok(()) } else { Err(self.wrong) }
    }
}

/// A whole number in a query, between bounds. It may be written ` 1`, `+1`, `01`, `1_0` and `1.0`.
pub(crate) fn whole(
    name: &'static str,
    given: Option<&str>,
    default: u64,
    most: u64,
) -> Result<u64, Vec<Wrong>> {
    let Some(text) = given else { return Ok(default) };
    let place = ["query", name];
    let input = || Json::text(text);
    let Some((negative, digits)) = digits(text) else {
        let says = "Input should be a valid integer, unable to parse string as an integer";
        return Err(vec![Wrong::new("int_parsing", &place, says, input())]);
    };
    let number = |n: u64| Json::Number(n.to_string());
    if negative && digits.bytes().any(|digit| digit != b'0') {
        let says = "Input should be greater than or equal to 0";
        return Err(vec![Wrong::new("greater_than_equal", &place, says, input()).with("ge", number(0))]);
    }
    match digits.parse::<u64>() {
        Ok(value) if value <= most => Ok(value),
        Ok(_) | Err(_) => {
            let says = format!("Input should be less than or equal to {most}");
            Err(vec![Wrong::new("less_than_equal", &place, says, input()).with("le", number(most))])
        }
    }
}

fn digits(text: &str) -> Option<(bool, String)> {
    let text = text.trim();
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let grouped = !whole.starts_with('_') && !whole.ends_with('_') && !whole.contains("__");
    let digits: String = whole.chars().filter(|c| *c != '_').collect();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_whole = !fraction.is_empty() && fraction.bytes().all(|byte| byte == b'0');
    (grouped && is_number && is_whole).then_some((negative, digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_is_told_in_the_order_of_the_fields() {
        let body = Json::parse(r#"{"a":5,"b":"","c":"toolong","d":"no","tags":["x",1],"m":[]}"#).unwrap();
        let mut fields = Fields::of(body);
        assert_eq!(fields.text("a", Need::Always, 0, None), None);
        assert_eq!(fields.text("b", Need::Always, 1, Some(3)), None);
        assert_eq!(fields.text("c", Need::Sometimes, 1, Some(3)), None);
        assert_eq!(fields.choice("d", Need::Sometimes, &["A", "B", "C"]), None);
        fields.texts("tags");
        fields.object("m");
        fields.text("z", Need::Always, 1, None);
        let detail = Wrong::detail(fields.done().unwrap_err());
        let expected = concat!(
            r#"{"detail":[{"type":"string_type","loc":["body","a"],"msg":"Input should be a valid string","input":5},"#,
            r#"{"type":"string_too_short","loc":["body","b"],"msg":"String should have at least 1 character","input":"","ctx":{"min_length":1}},"#,
            r#"{"type":"string_too_long","loc":["body","c"],"msg":"String should have at most 3 characters","input":"toolong","ctx":{"max_length":3}},"#,
            r#"{"type":"enum","loc":["body","d"],"msg":"Input should be 'A', 'B' or 'C'","input":"no","ctx":{"expected":"'A', 'B' or 'C'"}},"#,
            r#"{"type":"string_type","loc":["body","tags",1],"msg":"Input should be a valid string","input":1},"#,
            r#"{"type":"dict_type","loc":["body","m"],"msg":"Input should be a valid dictionary","input":[]},"#,
            r#"{"type":"missing","loc":["body","z"],"msg":"Field required","input":{"a":5,"b":"","c":"toolong","d":"no","tags":["x",1],"m":[]}}]}"#
        );
        assert_eq!(detail, expected);
    }

    #[test]
    fn null_is_nothing_only_where_it_may_be() {
        let body = Json::parse(r#"{"p":null,"t":null,"e":[]}"#).unwrap();
        let mut fields = Fields::of(body);
        assert_eq!(fields.choice("p", Need::Never, &["A"]), None);
        assert_eq!((fields.texts("t"), fields.texts("e")), (None, Some(vec![])));
        assert!(fields.wrong.is_empty());
        fields.choice("p", Need::Sometimes, &["A"]);
        fields.text("p", Need::Sometimes, 1, None);
        assert_eq!(fields.done().unwrap_err().len(), 2);
    }

    #[test]
    fn whole_numbers_are_read_as_leniently() {
        for (text, value) in
            [("01", 1), ("+1", 1), (" 1", 1), ("1.0", 1), ("120", 120), ("-0", 0), ("1_0", 10)]
        {
            assert_eq!(whole("timeout", Some(text), 30, 120).unwrap(), value, "{text}");
        }
        assert_eq!(whole("timeout", None, 30, 120).unwrap(), 30);
        for (text, kind) in [
            ("1.5", "int_parsing"),
            ("1e1", "int_parsing"),
            ("", "int_parsing"),
            ("x", "int_parsing"),
            ("1.", "int_parsing"),
            ("-1", "greater_than_equal"),
            ("121", "less_than_equal"),
            ("99999999999999999999999", "less_than_equal"),
        ] {
            assert_eq!(whole("timeout", Some(text), 30, 120).unwrap_err()[0].kind, kind, "{text}");
        }
    }
}
