//! A tool call as agents tell it that do not speak the Agent Client Protocol, as one of that protocol.
//!
//! Hooks and permission prompts name a tool and what it is given. A person sees it as every other call: what kind it is,
//! what it is about, and the change it would make.

use serde_json::{Map, Value, json};

/// How many characters the title of a call has at most.
const MAX_TITLE: usize = 200;

/// The call, as a `ToolCallUpdate` that waits.
#[must_use]
pub fn as_tool_call(id: &str, tool: &str, input: &Map<String, Value>) -> Value {
    let mut call = json!({
        "toolCallId": id,
        "title": title(tool, input),
        "kind": kind(tool),
        "status": "pending",
        "rawInput": input,
        "_meta": { "trunkline": { "tool": tool } },
    });
    if let Some(path) = path(input) {
        call["locations"] = json!([{ "path": path }]);
        let text = |names: &[&str]| names.iter().find_map(|name| input.get(*name)?.as_str());
        if let (Some(new), true) = (text(&["new_string", "content", "new_source"]), kind(tool) == "edit") {
            let old = text(&["old_string"]);
            call["content"] = json!([{ "type": "diff", "path": path, "oldText": old, "newText": new }]);
        }
    }
    call
}

/// One line that says what a call is about.
#[must_use]
pub fn title(tool: &str, input: &Map<String, Value>) -> String {
    let text = |name: &str| input.get(name).and_then(Value::as_str);
    let about = text("command").or_else(|| path(input)).or_else(|| text("url")).or_else(|| text("query"));
    let about = about.or_else(|| text("pattern")).or_else(|| text("description")).or_else(|| text("prompt"));
    let whole = about.map_or_else(|| tool.to_owned(), |about| format!("{tool}: {about}"));
    let words: String = whole.split_whitespace().collect::<Vec<_>>().join(" ");
    let words: String = words.chars().filter(|c| !c.is_control()).collect();
    if words.chars().count() <= MAX_TITLE {
        return words;
    }
    words.chars().take(MAX_TITLE - 1).chain(['…']).collect()
}

fn path(input: &Map<String, Value>) -> Option<&str> {
    ["file_path", "notebook_path", "path", "absolute_path"].iter().find_map(|name| input.get(*name)?.as_str())
}

/// The kind of a tool, by the names that Claude Code, Codex and Gemini CLI give theirs.
fn kind(tool: &str) -> &'static str {
    match tool {
        "Bash" | "PowerShell" | "run_shell_command" | "shell" | "local_shell" | "exec_command" => "execute",
        "Edit" | "MultiEdit" | "Write" | "NotebookEdit" | "replace" | "write_file" | "apply_patch" => "edit",
        "Read" | "NotebookRead" | "read_file" | "read_many_files" => "read",
        "Grep" | "Glob" | "LS" | "glob" | "search_file_content" | "grep_search" | "list_directory" => {
            "search"
        }
        "WebFetch" | "WebSearch" | "web_fetch" | "google_web_search" | "web_search" => "fetch",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(tool: &str, input: Value) -> Value {
        let Value::Object(input) = input else { unreachable!("a test gives objects") };
        as_tool_call("7", tool, &input)
    }

    #[test]
    fn calls_are_told_as_every_other() {
        let bash = call("Bash", json!({"command": "ls\n -l", "description": "List"}));
        assert_eq!((&bash["kind"], &bash["title"]), (&json!("execute"), &json!("Bash: ls -l")));
        assert_eq!(bash["rawInput"]["command"], "ls\n -l");
        let edit = call("Edit", json!({"file_path": "/a", "old_string": "x", "new_string": "y"}));
        assert_eq!(edit["content"][0], json!({"type": "diff", "path": "/a", "oldText": "x", "newText": "y"}));
        let write = call("Write", json!({"file_path": "/a", "content": "y"}));
        assert_eq!(write["content"][0]["oldText"], Value::Null);
        let other = call("mcp__x__y", json!({}));
        assert_eq!((&other["kind"], &other["title"]), (&json!("other"), &json!("mcp__x__y")));
        assert!(
            call("Bash", json!({"command": "x".repeat(1_000)}))["title"].as_str().unwrap().chars().count()
                == 200
        );
    }
}
