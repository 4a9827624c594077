//! Session updates: what the agent says and does during a turn.

use super::lenient::{lenient, lenient_list};
use super::{ContentBlock, Meta, ToolCall};
use crate::raw::{Members, as_str};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Params of `session/update`, borrowed, since they are the bulk of what an agent sends.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionNotification<'a> {
    /// The agent's id for the session.
    #[serde(borrow)]
    pub session_id: Cow<'a, str>,
    /// The update. Look into it with [`UpdateView`], or read all of it with [`SessionUpdate`].
    #[serde(borrow)]
    pub update: &'a RawValue,
}

/// A look into an update that fails on nothing: what is not there or not as expected is absent.
#[derive(Clone, Debug, Default)]
pub struct UpdateView<'a>(Members<'a>);

impl<'a> UpdateView<'a> {
    /// Looks into `update`. One that is no object has no members.
    pub fn of(update: &'a RawValue) -> Self {
        Self(Members::of(update).unwrap_or_default())
    }

    /// What sort of update it is: `agent_message_chunk`, `tool_call` …; empty if it does not say.
    pub fn kind(&self) -> Cow<'a, str> {
        self.get_str("sessionUpdate").unwrap_or_default()
    }

    /// The tool call it is about.
    pub fn tool_call_id(&self) -> Option<Cow<'a, str>> {
        self.get_str("toolCallId")
    }

    /// The message it is a chunk of.
    pub fn message_id(&self) -> Option<Cow<'a, str>> {
        self.get_str("messageId")
    }

    /// The text of a chunk whose content is a text block.
    pub fn text(&self) -> Option<Cow<'a, str>> {
        let content = Members::of(self.get("content")?)?;
        if content.get_str("type")? != "text" {
            return None;
        }
        content.get("text").and_then(as_str)
    }

    /// Any member, as it came; a null counts as absent.
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.get(name)
    }

    /// Any member that is a string.
    pub fn get_str(&self, name: &str) -> Option<Cow<'a, str>> {
        self.0.get_str(name)
    }

    /// All members that are not null, in their order.
    pub fn members(&self) -> impl ExactSizeIterator<Item = (&str, &'a RawValue)> {
        self.0.iter()
    }
}

/// An update in full. Reading never fails: an update of an unknown kind, or one that lacks what its kind demands,
/// is [`Unknown`](Self::Unknown).
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "sessionUpdate", rename_all = "snake_case")]
pub enum SessionUpdate {
    /// More of the user's message, when a session is replayed.
    UserMessageChunk(ContentChunk),
    /// More of the agent's message.
    AgentMessageChunk(ContentChunk),
    /// More of the agent's reasoning.
    AgentThoughtChunk(ContentChunk),
    /// A tool call.
    ToolCall(ToolCall),
    /// News of a tool call.
    ToolCallUpdate(ToolCall),
    /// The agent's plan; replaces the one before.
    Plan(Plan),
    /// The commands the user can call with `/`; replaces those before.
    AvailableCommandsUpdate(AvailableCommandsUpdate),
    /// The mode was switched.
    CurrentModeUpdate(CurrentModeUpdate),
    /// How full the model's context is.
    UsageUpdate(UsageUpdate),
    /// Anything else, as it came.
    #[serde(untagged)]
    Unknown(Box<RawValue>),
}

/// A piece of a message.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContentChunk {
    /// The piece.
    pub content: ContentBlock,
    /// The message it belongs to. Chunks without one belong to the same message as the chunk before.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// Anything.
    #[serde(rename = "_meta", default, skip_serializing_if = "Option::is_none")]
    pub meta: Meta,
}

/// What the agent intends to do.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Plan {
    /// The steps.
    #[serde(deserialize_with = "lenient_list")]
    pub entries: Vec<PlanEntry>,
    /// Anything.
    #[serde(rename = "_meta", default, skip_serializing_if = "Option::is_none")]
    pub meta: Meta,
}

/// A step of a plan.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub struct PlanEntry {
    /// What is to be done.
    pub content: String,
    /// How much it matters.
    pub priority: PlanEntryPriority,
    /// How far it is.
    pub status: PlanEntryStatus,
}

/// How much a step matters.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum PlanEntryPriority {
    /// Much.
    High,
    /// Some.
    Medium,
    /// Little.
    Low,
    /// Any other.
    #[serde(untagged)]
    Unknown(String),
}

/// How far a step is.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum PlanEntryStatus {
    /// Not begun.
    Pending,
    /// Begun.
    InProgress,
    /// Done.
    Completed,
    /// Any other.
    #[serde(untagged)]
    Unknown(String),
}

/// The commands the user can call with `/`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AvailableCommandsUpdate {
    /// All of them.
    #[serde(deserialize_with = "lenient_list")]
    pub available_commands: Vec<AvailableCommand>,
}

/// A command the user can call with `/`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct AvailableCommand {
    /// Its name, without the slash.
    pub name: String,
    /// What it does.
    pub description: String,
    /// What may follow it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Box<RawValue>>,
}

/// The mode was switched.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CurrentModeUpdate {
    /// The id of the mode it is in now.
    pub current_mode_id: String,
}

/// How full the model's context is, in tokens.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct UsageUpdate {
    /// How much is in it.
    pub used: u64,
    /// How much can be.
    pub size: u64,
    /// What the session has cost so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Box<RawValue>>,
}

impl SessionUpdate {
    /// A piece of the agent's message.
    pub fn agent_text(text: impl Into<String>) -> Self {
        Self::AgentMessageChunk(ContentChunk {
            content: ContentBlock::text(text),
            message_id: None,
            meta: None,
        })
    }

    /// Reads an update.
    pub fn from_raw(raw: &RawValue) -> Self {
        let json = raw.get();
        let known = match &*UpdateView::of(raw).kind() {
            "user_message_chunk" => serde_json::from_str(json).map(Self::UserMessageChunk),
            "agent_message_chunk" => serde_json::from_str(json).map(Self::AgentMessageChunk),
            "agent_thought_chunk" => serde_json::from_str(json).map(Self::AgentThoughtChunk),
            "tool_call" => serde_json::from_str(json).map(Self::ToolCall),
            "tool_call_update" => serde_json::from_str(json).map(Self::ToolCallUpdate),
            "plan" => serde_json::from_str(json).map(Self::Plan),
            "available_commands_update" => serde_json::from_str(json).map(Self::AvailableCommandsUpdate),
            "current_mode_update" => serde_json::from_str(json).map(Self::CurrentModeUpdate),
            "usage_update" => serde_json::from_str(json).map(Self::UsageUpdate),
            _ => return Self::Unknown(raw.to_owned()),
        };
        known.unwrap_or_else(|_| Self::Unknown(raw.to_owned()))
    }

    /// The update as JSON.
    pub fn to_raw(&self) -> Box<RawValue> {
        serde_json::value::to_raw_value(self).expect("an update has string keys only")
    }
}

impl<'de> Deserialize<'de> for SessionUpdate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(|raw| Self::from_raw(&raw))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_of_anything_is_a_view() {
        let raw = |json: &str| serde_json::from_str::<Box<RawValue>>(json).unwrap();
        for odd in ["7", "[]", "null", "{}", r#"{"sessionUpdate":7,"toolCallId":[],"content":"x"}"#] {
            let update = raw(odd);
            let view = UpdateView::of(&update);
            assert_eq!(view.kind(), "");
            assert!(view.tool_call_id().is_none() && view.message_id().is_none() && view.text().is_none());
            assert!(matches!(SessionUpdate::from_raw(&update), SessionUpdate::Unknown(_)));
        }
        let update = raw(
            r#"{"sessionUpdate":"agent_message_chunk","messageId":"m\n","content":{"type":"text","text":"a\"b"},"x":1.0}"#,
        );
        let view = UpdateView::of(&update);
        assert_eq!((view.kind(), view.text()), ("agent_message_chunk".into(), Some("a\"b".into())));
        assert_eq!(view.message_id().unwrap(), "m\n");
        assert_eq!(view.get("x").unwrap().get(), "1.0");
    }

    #[test]
    fn an_update_of_an_unknown_kind_is_kept_as_it_came() {
        for json in [r#"{"sessionUpdate":"notice", "title":"t"}"#, r#"{"sessionUpdate":"plan"}"#, "[7]"] {
            let update: SessionUpdate = serde_json::from_str(json).unwrap();
            assert_eq!(update.to_raw().get(), json);
        }
    }

    #[test]
    fn a_notification_borrows_its_update() {
        let params = r#"{"sessionId":"s","update":{"sessionUpdate": "plan" },"_meta":{}}"#;
        let notification: SessionNotification<'_> = serde_json::from_str(params).unwrap();
        assert!(matches!(notification.session_id, Cow::Borrowed("s")));
        assert_eq!(notification.update.get(), r#"{"sessionUpdate": "plan" }"#);
    }
}
