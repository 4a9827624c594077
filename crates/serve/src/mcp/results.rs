//! Results as they go: what a client reads, what a program takes, and errors in words.

use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Value, json};

use crate::sessionbus::{Fail, Json, Reply};

/// The result of a tool that gives an object, or a list: one block of text for each element, the whole as a value.
pub(crate) fn of(reply: &Reply) -> CallToolResult {
    let value = reply.json();
    let (blocks, whole) = match &value {
        Json::List(items) => (items.iter().map(block).collect(), json!({ "result": plain(&value) })),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) | Json::Object(_) => {
            (vec![block(&value)], plain(&value))
        }
    };
    let mut result = CallToolResult::success(blocks);
    result.structured_content = Some(whole);
    result
}

fn block(value: &Json) -> ContentBlock {
    ContentBlock::text(value.pretty())
}

fn plain(value: &Json) -> Value {
    serde_json::from_str(&value.compact()).unwrap_or(Value::Null)
}

/// The result of a tool that failed.
pub(crate) fn failed(tool: &str, why: &str) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(format!("Error executing tool {tool}: {why}"))])
}

/// The result of a call of something that is no tool.
pub(crate) fn unknown(tool: &str) -> CallToolResult {
    let tool: String = tool.chars().filter(|c| !c.is_control()).take(100).collect();
    CallToolResult::error(vec![ContentBlock::text(format!("Unknown tool: {tool}"))])
}

/// Why an operation of the hub failed, in words.
pub(crate) fn words(fail: Fail) -> String {
    match fail {
        Fail::Missing(what) => format!("404 Not Found: {what}"),
        Fail::Wrong(all) => {
            let all: Vec<_> = all.iter().map(crate::sessionbus::Wrong::words).collect();
            format!("422 Unprocessable Entity: {}", all.join("; "))
        }
        Fail::Says(status, why) => format!("{status}: {why}"),
    }
}
