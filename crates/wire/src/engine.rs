//! The words of the original engine of model turns: how it names errors, tools and messages to its clients.
//!
//! Only names are here, without I/O. Which event tells what is for whoever reads a session's log.

use serde_json::{Map, Value, json};

use crate::model::{Content, Message, Part};

/// How many characters of an id of a tool its clients are given.
const MAX_ID: usize = 200;

/// A failure in the engine's word, and whether the same may work later. `kind` is the stable word of a
/// [`Failure`](crate::model::Failure).
#[must_use]
pub fn error_code(kind: &str) -> (&'static str, bool) {
    match kind {
        "authentication_failed" => ("auth_error", false),
        "rate_limited" | "overloaded" => ("rate_limit", true),
        "context_too_long" => ("context_exceeded", false),
        "connection_failed" => ("internal", true),
        _ => ("internal", false),
    }
}

/// How the engine calls the kind of thing that a tool does; a tool that it does not know keeps its name.
#[must_use]
pub fn tool_type(name: &str) -> &str {
    match name {
        "shell" | "shell_output" | "shell_stop" => "terminal",
        "read" => "file_read",
        "list" | "glob" | "grep" => "file_grep",
        "write" => "file_create",
        "edit" => "file_edit",
        "move" => "file_move",
        "delete" => "file_delete",
        name if name.starts_with("mcp__") || name.starts_with("mcp:") => "mcp_tool",
        name => name,
    }
}

/// An id of a tool call as clients get it. A provider may think of any, and clients write it into a page as it comes: what is
/// no letter, digit, `-`, `_`, `.` or `:` becomes `_`.
#[must_use]
pub fn tool_id(id: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.:".contains(c) { c } else { '_' };
    id.chars().map(plain).take(MAX_ID).collect()
}

/// The words of an MCP server's command, which the engine keeps as one line. Quotes keep words together; nothing of a shell is
/// carried out, so what only a shell understands is refused.
///
/// # Errors
/// Why it is no command.
pub fn command_words(line: &str) -> Result<Vec<String>, &'static str> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ';' | '&' | '|' | '`' | '$' | '(' | ')' | '<' | '>') => {
                return Err("must be one program with its arguments: nothing of a shell is carried out");
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    match (quote, words.first().map(String::as_str)) {
        (Some(_), _) => Err("has a quote that does not end"),
        (None, None | Some("")) => Err("must not be empty"),
        (None, Some(program)) if program.starts_with(['-', '#', '!']) => Err("must begin with a program"),
        (None, Some(_)) => Ok(words),
    }
}

/// The line of such words.
#[must_use]
pub fn command_line(words: &[String]) -> String {
    let shown =
        |word: &String| match (word.contains('"'), word.is_empty() || word.contains(char::is_whitespace)) {
            (true, _) => format!("'{word}'"),
            (false, true) => format!("\"{word}\""),
            (false, false) => word.clone(),
        };
    words.iter().map(shown).collect::<Vec<_>>().join(" ")
}

/// A conversation as the engine shows it. Thoughts and what providers want back are left out.
#[must_use]
pub fn history(system: Option<&str>, messages: &[Message]) -> Vec<Value> {
    let system = system.map(|text| json!({ "role": "system", "content": text }));
    system.into_iter().chain(messages.iter().flat_map(message)).collect()
}

fn message(message: &Message) -> Vec<Value> {
    match message {
        Message::User { content } => vec![json!({ "role": "user", "content": texts(content) })],
        Message::Assistant { parts } => vec![assistant(parts)],
        Message::Tool { results } => results
            .iter()
            .map(|result| {
                let text = texts(&result.content);
                let content = if result.failed { format!("Error: {text}") } else { text };
                let id = tool_id(&result.id);
                json!({
                    "role": "tool", "content": content, "tool_call_id": id,
                    "metadata": { "tool_call_id": id, "tool_name": result.name, "success": !result.failed },
                })
            })
            .collect(),
    }
}

fn assistant(parts: &[Part]) -> Value {
    let mut text = String::new();
    let mut calls = Vec::new();
    for part in parts {
        match part {
            Part::Text { text: more, .. } => text.push_str(more),
            Part::Thought { .. } => {}
            Part::Call(call) => {
                let arguments =
                    call.broken.clone().unwrap_or_else(|| Value::Object(call.input.clone()).to_string());
                calls.push(json!({
                    "id": tool_id(&call.id), "type": "function",
                    "function": { "name": call.name, "arguments": arguments },
                }));
            }
        }
    }
    let mut message =
        Map::from_iter([("role".to_owned(), json!("assistant")), ("content".to_owned(), json!(text))]);
    if !calls.is_empty() {
        message.insert("metadata".to_owned(), json!({ "tool_calls": calls }));
    }
    Value::Object(message)
}

fn texts(content: &[Content]) -> String {
    let text = |content: &Content| match content {
        Content::Text { text } => text.clone(),
        Content::Image { mime_type, .. } => format!("[a picture, {mime_type}]"),
    };
    content.iter().map(text).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Call, ToolResult};

    #[test]
    fn what_passes_may_be_tried_again() {
        assert_eq!(error_code("rate_limited"), ("rate_limit", true));
        assert_eq!(error_code("authentication_failed"), ("auth_error", false));
        assert_eq!(error_code("context_too_long"), ("context_exceeded", false));
        assert_eq!(error_code("what comes"), ("internal", false));
    }

    #[test]
    fn a_command_is_words_and_nothing_of_a_shell() {
        let words = |line: &str| command_words(line).map(|words| words.join("|"));
        assert_eq!(words("npx -y  'my server' \"\""), Ok("npx|-y|my server|".to_owned()));
        for bad in ["", "  ", "a; b", "a && b", "a $(b)", "a > b", "'a", "-x", "''"] {
            assert!(command_words(bad).is_err(), "{bad}");
        }
        for line in ["npx -y server", "a \"b c\"", "a 'b\"c'", "a \"\""] {
            assert_eq!(command_line(&command_words(line).unwrap()), line, "it comes back as it went");
        }
    }

    #[test]
    fn an_id_can_stand_in_a_page() {
        assert_eq!(tool_id("toolu_01-a.b:c"), "toolu_01-a.b:c");
        assert_eq!(tool_id("\"><img src=x>"), "___img_src_x_");
        assert_eq!(tool_id(&"x".repeat(1_000)).len(), MAX_ID);
    }

    #[test]
    fn a_conversation_is_told_in_the_engines_words() {
        let call = Call {
            id: "t1".into(),
            name: "shell".into(),
            input: Map::from_iter([("command".to_owned(), json!("ls"))]),
            broken: None,
            mark: None,
        };
        let text = |text: &str| Part::Text { text: text.to_owned(), mark: None };
        let result = |failed| ToolResult {
            id: "t1".into(),
            name: "shell".into(),
            content: vec![Content::text("a")],
            failed,
        };
        let messages = [
            Message::user("hi"),
            Message::Assistant {
                parts: vec![
                    Part::Thought { text: "hm".into(), mark: None },
                    text("I "),
                    text("look."),
                    Part::Call(call),
                ],
            },
            Message::Tool { results: vec![result(false), result(true)] },
        ];
        assert_eq!(
            Value::Array(history(Some("Be brief."), &messages)),
            json!([
                { "role": "system", "content": "Be brief." },
                { "role": "user", "content": "hi" },
                { "role": "assistant", "content": "I look.", "metadata": { "tool_calls": [
                    { "id": "t1", "type": "function", "function": { "name": "shell", "arguments": "{\"command\":\"ls\"}" } },
                ] } },
                { "role": "tool", "content": "a", "tool_call_id": "t1",
                  "metadata": { "tool_call_id": "t1", "tool_name": "shell", "success": true } },
                { "role": "tool", "content": "Error: a", "tool_call_id": "t1",
                  "metadata": { "tool_call_id": "t1", "tool_name": "shell", "success": false } },
            ])
        );
    }
}
