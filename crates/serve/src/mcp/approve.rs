//! `approve_tool_use`: may a tool run? In the shape that Claude Code's `--permission-prompt-tool` takes.

use serde_json::{Map, Value, json};
use trunkline_core::id::RequestId;
use trunkline_core::raw::Raw;
use trunkline_core::request::{Choice, Closed, Kind, MAX_TOOL, Opened, OptionKind, Outcome, Priority};
use trunkline_wire::tool_use;
use uuid::Uuid;

use super::arguments::Arguments;
use super::wait::{Call, End};
use crate::sessionbus::{Fail, Json, Reply, Wrong};

/// What the two answers are called.
const ALLOW: &str = "allow";
const DENY: &str = "deny";

pub(crate) async fn run(call: &Call<'_>, arguments: &Arguments) -> Result<Reply, Fail> {
    let empty = Map::new();
    let input = arguments.any("input").and_then(Value::as_object).unwrap_or(&empty);
    let tool = arguments.text("tool_name");
    if tool.is_empty() || tool.chars().count() > MAX_TOOL || tool.chars().any(char::is_control) {
        let says = format!("String should have 1 to {MAX_TOOL} characters, and no control characters");
        return Err(Fail::Wrong(vec![Wrong::new(
            "value_error",
            &["body", "tool_name"],
            says,
            Json::text(tool),
        )]));
    }
    let id = Uuid::now_v7();
    let call_id = arguments.maybe("tool_use_id").map_or_else(|| id.to_string(), str::to_owned);
    let seen = tool_use::as_tool_call(&call_id, tool, input);
    let mut asked = call.ask(None, opened(RequestId::new(id), tool, input, &seen)).await?;
    let end = asked.wait().await?;
    if !matches!(end, End::Closed(_)) {
        // Nobody waits for the answer any more: nobody shall be asked for one.
        if let Some(late) = asked.withdraw(Outcome::Cancelled).await? {
            return Ok(decision(&late, input));
        }
    }
    Ok(match end {
        End::Closed(closed) => decision(&closed, input),
        End::Dismissed => undecided("the request was set aside"),
        End::Left => undecided("the call was cancelled"),
        End::Token => undecided("the token of this client was revoked or has expired"),
    })
}

fn opened(id: RequestId, tool: &str, input: &Map<String, Value>, seen: &Value) -> Opened {
    let choice = |id: &str, name: &str, kind| Choice { id: id.to_owned(), name: name.to_owned(), kind };
    Opened {
        kind: Kind::Permission,
        options: vec![
            choice(ALLOW, "Allow", OptionKind::AllowOnce),
            choice(DENY, "Deny", OptionKind::RejectOnce),
        ],
        tool_call: Some(Raw::of(seen).expect("JSON has a JSON form")),
        tool: Some(tool.to_owned()),
        priority: Priority::High,
        ..Opened::question(id, tool_use::title(tool, input), String::new())
    }
}

fn decision(closed: &Closed, input: &Map<String, Value>) -> Reply {
    let answer = closed.answer.as_ref();
    if closed.outcome == Outcome::Answered
        && answer.and_then(|answer| answer.option.as_deref()) == Some(ALLOW)
    {
        return Reply::of(&json!({ "behavior": "allow", "updatedInput": input }));
    }
    match answer.and_then(|answer| answer.text.as_deref()) {
        Some(word) if !word.trim().is_empty() => deny(word),
        Some(_) | None if closed.outcome == Outcome::Answered => deny("a person refused this"),
        Some(_) | None => undecided(&format!("the request was {}", closed.outcome.verb())),
    }
}

fn deny(why: &str) -> Reply {
    Reply::of(&json!({ "behavior": "deny", "message": why }))
}

/// What is not allowed because nobody has said anything. Who asks for somebody that can ask again is told the difference.
fn undecided(why: &str) -> Reply {
    Reply::of(&json!({ "behavior": "deny", "message": format!("nobody decided: {why}"), "decided": false }))
}
