//! Arguments as they come: read as leniently as the original reads them, and every error told.

use rmcp::model::JsonObject;
use serde_json::Value;

use super::tools::{Argument, Is, Need, Tool};
use crate::sessionbus::Json;

/// Arguments that are as their tool wants them.
#[derive(Debug, Default)]
pub(crate) struct Arguments(JsonObject);

impl Arguments {
    /// Reads them. What the tool does not know is left out.
    ///
    /// # Errors
    /// Everything that is wrong, as the text of the tool's error.
    pub(crate) fn read(tool: &Tool, given: Option<JsonObject>) -> Result<Self, String> {
        let mut given = given.unwrap_or_default();
        let (mut read, mut wrong) = (JsonObject::new(), Vec::new());
        for argument in tool.takes {
            match argument.read(given.remove(argument.name)) {
                Ok(Some(value)) => drop(read.insert(argument.name.to_owned(), value)),
                Ok(None) => {}
                Err(why) => wrong.push(format!("{}\n  {why}", argument.name)),
            }
        }
        if wrong.is_empty() {
            return Ok(Self(read));
        }
        let errors = if wrong.len() == 1 { "error" } else { "errors" };
        Err(format!("{} validation {errors} for {}Arguments\n{}", wrong.len(), tool.name, wrong.join("\n")))
    }

    /// A text; empty, if it is not there.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.maybe(name).unwrap_or("")
    }

    /// A text, if it is there.
    pub(crate) fn maybe(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// Puts a text in the place of another.
    pub(crate) fn set(&mut self, name: &str, text: String) {
        self.0.insert(name.to_owned(), text.into());
    }

    /// A number, if it is there.
    pub(crate) fn whole(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A list of texts, if it is there.
    pub(crate) fn texts(&self, name: &str) -> Option<Vec<String>> {
        let items = self.0.get(name)?.as_array()?;
        Some(items.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// Any value, if it is there.
    pub(crate) fn any(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// All of them, as the dialect of the original hub takes a body.
    pub(crate) fn body(&self) -> Json {
        let text = serde_json::to_string(&self.0).expect("arguments have a JSON form");
        Json::parse(&text).unwrap_or(Json::Null)
    }
}

impl Argument {
    fn read(&self, given: Option<Value>) -> Result<Option<Value>, String> {
        let given = given.map(|value| self.unpack(value));
        match (given, self.need) {
            (None, Need::Always) => Err("Field required [type=missing]".to_owned()),
            (None, Need::Never) | (Some(Value::Null), Need::Never) => Ok(None),
            (None, Need::Text(default)) => Ok(Some(default.into())),
            (None, Need::Number(default)) => Ok(Some(default.into())),
            (Some(value), _) => self.is.check(value).map(Some),
        }
    }

    /// Clients that know only texts send other values as texts of JSON. What is a text, a number or a truth value in such a
    /// text stays a text.
    fn unpack(&self, value: Value) -> Value {
        let Value::String(text) = &value else { return value };
        if self.is == Is::Text && (self.need != Need::Never || text != "null") {
            return value;
        }
        match serde_json::from_str(text) {
            Ok(inner @ (Value::Null | Value::Array(_) | Value::Object(_))) => inner,
            Ok(Value::Bool(_) | Value::Number(_) | Value::String(_)) | Err(_) => value,
        }
    }
}

impl Is {
    fn check(self, value: Value) -> Result<Value, String> {
        let says = |fits: bool, kind: &str, what: &str| {
            let kind = kind.to_owned();
            if fits { Ok(()) } else { Err(format!("Input should be a valid {what} [type={kind}]")) }
        };
        match self {
            Self::Text => says(value.is_string(), "string_type", "string")?,
            Self::Object => says(value.is_object(), "dict_type", "dictionary")?,
            Self::Any => {}
            Self::Whole => says(is_whole(&value), "int_type", "integer")?,
            Self::Texts => {
                let items = value.as_array();
                says(items.is_some(), "list_type", "list")?;
                let texts = items.is_none_or(|items| items.iter().all(Value::is_string));
                says(texts, "string_type", "string, in a list of strings")?;
            }
        }
        Ok(value)
    }
}

/// A number without a fraction, or a text of one. Whether it is in bounds is told by who uses it.
fn is_whole(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_f64().is_some_and(|number| number.fract() == 0.0),
        Value::String(text) => text.len() <= 40,
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::mcp::tools::find;

    fn read(tool: &str, given: Value) -> Result<Value, String> {
        let Value::Object(given) = given else { unreachable!("a test gives objects") };
        Arguments::read(find(tool).unwrap(), Some(given)).map(|arguments| Value::Object(arguments.0))
    }

    #[test]
    fn texts_are_unpacked_where_no_text_is_meant() {
        let ask = |context: &str| {
            let given = json!({"session_id": "s", "title": "[1]", "question": "q", "context_json": context});
            read("create_input_request", given).unwrap()
        };
        for (context, meant) in [
            (r#"{"a":1}"#, json!({"a": 1})),
            ("[1]", json!([1])),
            ("5", json!("5")),
            ("\"q\"", json!("\"q\"")),
            ("true", json!("true")),
            ("plain", json!("plain")),
        ] {
            assert_eq!(ask(context)["context_json"], meant, "{context}");
        }
        assert!(ask("null").get("context_json").is_none());
        assert_eq!(ask("1")["title"], "[1]", "what is meant as a text stays one");
        assert_eq!(ask("1")["priority"], "NORMAL");
        let beat = json!({"session_id": "s", "metadata": "{\"a\":1}", "state": "null", "more": 1});
        assert_eq!(
            read("heartbeat_session", beat).unwrap(),
            json!({"session_id": "s", "metadata": {"a": 1}})
        );
        assert_eq!(read("poll_inbox", json!({"session_id": "s", "timeout": "1"})).unwrap()["timeout"], "1");
    }

    #[test]
    fn every_error_is_told() {
        let given =
            json!({"session_id": 5, "question": null, "tags": ["a", 1], "priority": null, "context_json": 1});
        assert_eq!(
            read("create_input_request", given).unwrap_err(),
            "5 validation errors for create_input_requestArguments\n\
             session_id\n  Input should be a valid string [type=string_type]\n\
             title\n  Field required [type=missing]\n\
             question\n  Input should be a valid string [type=string_type]\n\
             priority\n  Input should be a valid string [type=string_type]\n\
             tags\n  Input should be a valid string, in a list of strings [type=string_type]"
        );
        assert!(read("poll_inbox", json!({"session_id": "s", "timeout": 1.5})).is_err());
        assert!(read("register_session", json!({"display_name": "x", "metadata": "[1]"})).is_err());
    }
}
