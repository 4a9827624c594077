//! An agent's question whether it may, as a request to a person, and the answer back.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;

use trunkline_core::id::RequestId;
use trunkline_core::raw::Raw;
use trunkline_core::refused::Refused;
use trunkline_core::request::{
    Choice, Closed, Kind, MAX_TEXT_BYTES, MAX_TITLE, MAX_TOOL, Opened, OptionKind,
};
use trunkline_core::text::check_name;
use trunkline_log::LogError;
use trunkline_wire::acp::{
    PermissionOption, PermissionOptionKind, RequestPermissionOutcome, RequestPermissionRequest, UpdateView,
    given_tool_name, tool_name,
};
use trunkline_wire::jsonrpc::ErrorObject;
use uuid::Uuid;

use crate::cell::CommandError;

/// Members of a tool call that can be long, and that a person can decide without if they must.
const LONG: [&str; 4] = ["content", "rawInput", "rawOutput", "_meta"];

/// Kinds of tools that are narrow enough to be allowed as a whole, where the agent names no tool.
const NARROW_KINDS: [&str; 7] = ["read", "edit", "delete", "move", "search", "think", "fetch"];

/// The request to a person.
pub(crate) fn opened(asked: &RequestPermissionRequest) -> Opened {
    let view = UpdateView::of(&asked.tool_call);
    let bytes = asked.tool_call.get().len();
    let (tool_call, question) = if bytes <= MAX_TEXT_BYTES {
        (Some(asked.tool_call.clone().into()), String::new())
    } else {
        let question = format!("The details of this tool call are {bytes} bytes, too many to be shown.");
        (shortened(&view), question)
    };
    Opened {
        kind: Kind::Permission,
        options: asked.options.iter().map(choice).collect(),
        tool_call,
        tool: tool(&view).filter(|tool| check_name("tool", tool, MAX_TOOL).is_ok()).map(Cow::into_owned),
        ..Opened::question(RequestId::new(Uuid::now_v7()), title(&view), question)
    }
}

/// What the agent is told. It hears of a stop by `session/cancel`, so a turn that stops is no error.
pub(crate) fn outcome(closed: Result<Closed, CommandError>) -> Result<RequestPermissionOutcome, ErrorObject> {
    let chosen = match closed {
        Ok(closed) => closed.answer.and_then(|answer| answer.option),
        Err(CommandError::Refused(refused @ (Refused::Invalid { .. } | Refused::TooMany { .. }))) => {
            return Err(ErrorObject::invalid_params(refused));
        }
        Err(CommandError::Refused(_) | CommandError::Stopping | CommandError::Read(LogError::Gone)) => None,
        Err(error @ (CommandError::Append(_) | CommandError::Read(_))) => {
            return Err(ErrorObject::internal(error));
        }
    };
    Ok(match chosen {
        Some(option_id) => RequestPermissionOutcome::Selected { option_id },
        None => RequestPermissionOutcome::Cancelled,
    })
}

fn choice(option: &PermissionOption) -> Choice {
    let kind = match &option.kind {
        PermissionOptionKind::AllowOnce => OptionKind::AllowOnce,
        PermissionOptionKind::AllowAlways => OptionKind::AllowAlways,
        PermissionOptionKind::RejectOnce => OptionKind::RejectOnce,
        PermissionOptionKind::RejectAlways => OptionKind::RejectAlways,
        PermissionOptionKind::Unknown(_) => OptionKind::Choice,
    };
    Choice { id: option.option_id.clone(), name: option.name.clone(), kind }
}

/// By what a standing permission would cover this. What runs commands, and what nobody here knows, has no such name unless
/// the agent gives one: a permission for all of a kind would be one for everything.
fn tool<'a>(view: &UpdateView<'a>) -> Option<Cow<'a, str>> {
    let kind = || view.get_str("kind").filter(|kind| NARROW_KINDS.contains(&&**kind));
    given_tool_name(view).or_else(kind)
}

/// One line that can be a title; agents put whole shell scripts there.
fn title(view: &UpdateView<'_>) -> String {
    let given = view.get_str("title").into_iter().chain(tool_name(view));
    let clean = given.map(|text| {
        let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        spaced.split_whitespace().collect::<Vec<_>>().join(" ")
    });
    let mut title =
        clean.into_iter().find(|text| !text.is_empty()).unwrap_or_else(|| "Permission".to_owned());
    if let Some((cut, _)) = title.char_indices().nth(MAX_TITLE) {
        title.truncate(cut);
        title.pop();
        title.push('…');
    }
    title
}

/// The tool call without its long members; `None` if the others are too long as well.
fn shortened(view: &UpdateView<'_>) -> Option<Raw> {
    struct Short<'a>(&'a UpdateView<'a>);

    impl Serialize for Short<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(None)?;
            for (name, value) in self.0.members().filter(|(name, _)| !LONG.contains(name)) {
                map.serialize_entry::<str, RawValue>(name, value)?;
            }
            map.end()
        }
    }

    Raw::of(&Short(view)).ok().filter(|raw| raw.get().len() <= MAX_TEXT_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_core::principal::Principal;
    use trunkline_core::request::{Answer, Outcome};
    use trunkline_core::time::Time;

    fn ask(tool_call: &serde_json::Value) -> Opened {
        let options = serde_json::json!([
            { "optionId": "a", "name": "Yes", "kind": "allow_once" }, { "optionId": "A", "name": "Yes!", "kind": "allow_always" },
            { "optionId": "r", "name": "No", "kind": "reject_once" }, { "optionId": "R", "name": "No!", "kind": "reject_always" },
            { "optionId": "m", "name": "Maybe", "kind": "perhaps" },
        ]);
        let asked = serde_json::json!({ "sessionId": "s", "toolCall": tool_call, "options": options });
        opened(&serde_json::from_value(asked).unwrap())
    }

    #[test]
    fn a_question_keeps_the_agents_own_options_and_tool_call() {
        use OptionKind::{AllowAlways, AllowOnce, Choice, RejectAlways, RejectOnce};
        let tool_call =
            serde_json::json!({ "toolCallId": "t", "title": "Write a.txt", "rawInput": { "n": 1 } });
        let asked = ask(&tool_call);
        assert_eq!((asked.title.as_str(), asked.question.as_str()), ("Write a.txt", ""));
        assert_eq!(asked.tool_call.unwrap().read::<serde_json::Value>().unwrap(), tool_call);
        let options: Vec<_> = asked.options.iter().map(|choice| (choice.id.as_str(), choice.kind)).collect();
        let expected =
            [("a", AllowOnce), ("A", AllowAlways), ("r", RejectOnce), ("R", RejectAlways), ("m", Choice)];
        assert_eq!(options, expected);
    }

    #[test]
    fn a_title_is_one_line_of_bounded_length() {
        let title = |tool_call| ask(&tool_call).title;
        assert_eq!(title(serde_json::json!({ "title": " a\n\tb " })), "a b");
        assert_eq!(title(serde_json::json!({ "title": "\n", "kind": "edit" })), "edit");
        assert_eq!(title(serde_json::json!({ "name": "Bash", "kind": "execute" })), "Bash");
        assert_eq!(title(serde_json::json!({})), "Permission");
        let long = title(serde_json::json!({ "title": "ü".repeat(300) }));
        assert_eq!((long.chars().count(), long.chars().last()), (MAX_TITLE, Some('…')));
        assert_eq!(title(serde_json::json!({ "title": "ü".repeat(MAX_TITLE) })), "ü".repeat(MAX_TITLE));
    }

    #[test]
    fn a_tool_is_named_only_by_what_can_be_a_name() {
        let tool = |name: &str| ask(&serde_json::json!({ "name": name })).tool;
        assert_eq!(tool("Bash").as_deref(), Some("Bash"));
        assert_eq!(tool("a\nb"), None);
        assert_eq!(tool(&"x".repeat(MAX_TOOL + 1)), None);
    }

    #[test]
    fn no_permission_for_a_kind_covers_every_command() {
        let tool = |call| ask(&call).tool;
        for kind in ["execute", "other", "switch_mode", "hologram"] {
            assert_eq!(tool(serde_json::json!({ "kind": kind })), None);
            assert_eq!(tool(serde_json::json!({ "kind": kind, "name": "Bash" })).as_deref(), Some("Bash"));
        }
        assert_eq!(tool(serde_json::json!({ "kind": "edit" })).as_deref(), Some("edit"));
    }

    #[test]
    fn a_tool_call_too_long_to_be_shown_is_asked_about_without_its_details() {
        let long = "x".repeat(MAX_TEXT_BYTES);
        let tool_call =
            serde_json::json!({ "toolCallId": "t", "title": "Write", "content": [], "rawInput": long });
        let asked = ask(&tool_call);
        let short: serde_json::Value = asked.tool_call.unwrap().read().unwrap();
        assert_eq!(short, serde_json::json!({ "toolCallId": "t", "title": "Write" }));
        assert!(asked.question.contains("too many to be shown"));
        assert_eq!(ask(&serde_json::json!({ "title": long })).tool_call, None);
    }

    #[test]
    fn the_agent_is_told_the_option_or_that_there_is_none() {
        let closed = |option: Option<&str>| {
            let answer = option.map(|id| Answer { option: Some(id.to_owned()), ..Answer::default() });
            Ok(Closed { outcome: Outcome::Answered, answer, by: Principal::owner(), at: Time(0) })
        };
        let selected = RequestPermissionOutcome::Selected { option_id: "a".to_owned() };
        assert_eq!(outcome(closed(Some("a"))), Ok(selected));
        assert_eq!(outcome(closed(None)), Ok(RequestPermissionOutcome::Cancelled));
        let stale = Refused::Stale { turn: "1".parse().unwrap() };
        assert_eq!(outcome(Err(stale.into())), Ok(RequestPermissionOutcome::Cancelled));
        let invalid = outcome(Err(Refused::invalid("options", "must not be empty").into())).unwrap_err();
        assert_eq!(invalid.to_string(), "invalid params: options must not be empty (-32602)");
    }
}
