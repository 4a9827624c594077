//! Tool calls: what the agent does.

use super::lenient::{lenient, optional_list};
use super::{ContentBlock, Meta, UpdateView};
use crate::raw::Members;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::path::PathBuf;

/// A tool call or an update of one: an absent member says "as before". Agents send the call and its updates in
/// any order, or updates alone, so readers keep one per id and [`apply`](Self::apply) what comes.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolCall {
    /// Its id, unique in the session.
    pub tool_call_id: String,
    /// What it does, for people. To be sent with the first `tool_call` of an id.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The tool's name, for programs.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What sort of thing it does; absent everywhere means [`ToolKind::Other`].
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub kind: Option<ToolKind>,
    /// How far it is; absent everywhere means [`ToolCallStatus::Pending`].
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub status: Option<ToolCallStatus>,
    /// What it has to show; replaces what it had before.
    #[serde(default, deserialize_with = "optional_list", skip_serializing_if = "Option::is_none")]
    pub content: Option<Vec<ToolCallContent>>,
    /// The files it touches; replaces what it had before.
    #[serde(default, deserialize_with = "optional_list", skip_serializing_if = "Option::is_none")]
    pub locations: Option<Vec<ToolCallLocation>>,
    /// The tool's input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_input: Option<Box<RawValue>>,
    /// The tool's output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_output: Option<Box<RawValue>>,
    /// Anything.
    #[serde(rename = "_meta", default, skip_serializing_if = "Option::is_none")]
    pub meta: Meta,
}

/// What sort of thing a tool does.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ToolKind {
    /// Reads files or data.
    Read,
    /// Changes files.
    Edit,
    /// Deletes files.
    Delete,
    /// Moves or renames files.
    Move,
    /// Searches.
    Search,
    /// Runs commands.
    Execute,
    /// Thinks or plans.
    Think,
    /// Fetches from outside.
    Fetch,
    /// Switches the session's mode.
    SwitchMode,
    /// Something else.
    Other,
    /// A kind newer than this.
    #[serde(untagged)]
    Unknown(String),
}

/// How far a tool call is.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ToolCallStatus {
    /// Not begun: its input still streams, or it waits for a permission.
    Pending,
    /// Running.
    InProgress,
    /// Done.
    Completed,
    /// Failed or refused.
    Failed,
    /// A status newer than this.
    #[serde(untagged)]
    Unknown(String),
}

/// What a tool call has to show. Reading never fails.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToolCallContent {
    /// A content block.
    Content(ToolContent),
    /// A change of a file.
    Diff(Diff),
    /// A terminal of the client's, to be shown live.
    Terminal(ToolTerminal),
    /// Anything else, as it came.
    #[serde(untagged)]
    Unknown(Box<RawValue>),
}

/// A content block shown by a tool call.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ToolContent {
    /// The block.
    pub content: ContentBlock,
}

/// A change of a file.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Diff {
    /// The file, absolute.
    pub path: PathBuf,
    /// Its text before; absent if it is new.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub old_text: Option<String>,
    /// Its text after.
    pub new_text: String,
}

/// A terminal shown by a tool call.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ToolTerminal {
    /// The client's id for it.
    pub terminal_id: String,
}

/// A place in a file.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
pub struct ToolCallLocation {
    /// The file, absolute.
    pub path: PathBuf,
    /// The line.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

impl ToolCall {
    /// Takes over what `later` says of the same call.
    pub fn apply(&mut self, later: Self) {
        fn replace<T>(old: &mut Option<T>, new: Option<T>) {
            if new.is_some() {
                *old = new;
            }
        }
        let Self {
            tool_call_id: _,
            title,
            name,
            kind,
            status,
            content,
            locations,
            raw_input,
            raw_output,
            meta,
        } = later;
        replace(&mut self.title, title);
        replace(&mut self.name, name);
        replace(&mut self.kind, kind);
        replace(&mut self.status, status);
        replace(&mut self.content, content);
        replace(&mut self.locations, locations);
        replace(&mut self.raw_input, raw_input);
        replace(&mut self.raw_output, raw_output);
        replace(&mut self.meta, meta);
    }
}

impl ToolCallContent {
    /// A text to show.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Content(ToolContent { content: ContentBlock::text(text) })
    }
}

impl<'de> Deserialize<'de> for ToolCallContent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let kind = Members::of(&raw).and_then(|members| members.get_str("type"));
        let known = match kind.as_deref() {
            Some("content") => serde_json::from_str(raw.get()).map(Self::Content).ok(),
            Some("diff") => serde_json::from_str(raw.get()).map(Self::Diff).ok(),
            Some("terminal") => serde_json::from_str(raw.get()).map(Self::Terminal).ok(),
            Some(_) | None => None,
        };
        Ok(known.unwrap_or(Self::Unknown(raw)))
    }
}

/// The name of the tool that an update is of, the best that is known: `_meta.trunkline.tool`, which our own
/// drivers set; `_meta.claudeCode.toolName`, which Claude's adapter sets; `name`; else `kind`. `None` if the
/// update tells nothing, which means "as before", or `other` if nothing ever told.
pub fn tool_name<'a>(update: &UpdateView<'a>) -> Option<Cow<'a, str>> {
    given_tool_name(update).or_else(|| update.get_str("kind")).filter(|name| !name.is_empty())
}

/// The name that the agent itself gives the tool of a call. Its kind is none: one kind is many tools.
pub fn given_tool_name<'a>(update: &UpdateView<'a>) -> Option<Cow<'a, str>> {
    let in_meta = |who: &str, what: &str| {
        let meta = Members::of(update.get("_meta")?)?;
        Members::of(meta.get(who)?)?.get_str(what)
    };
    in_meta("trunkline", "tool")
        .or_else(|| in_meta("claudeCode", "toolName"))
        .or_else(|| update.get_str("name"))
        .filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(update: &str) -> Option<String> {
        let raw: Box<RawValue> = serde_json::from_str(update).unwrap();
        tool_name(&UpdateView::of(&raw)).map(Cow::into_owned)
    }

    #[test]
    fn the_best_name_known_is_taken() {
        let full =
            r#"{"_meta":{"trunkline":{"tool":"a"},"claudeCode":{"toolName":"b"}},"name":"c","kind":"read"}"#;
        assert_eq!(name(full).unwrap(), "a");
        assert_eq!(name(r#"{"_meta":{"claudeCode":{"toolName":"b"}},"kind":"read"}"#).unwrap(), "b");
        assert_eq!(name(r#"{"_meta":{"claudeCode":7,"trunkline":{}},"name":"c"}"#).unwrap(), "c");
        assert_eq!(name(r#"{"_meta":[],"name":null,"kind":"read"}"#).unwrap(), "read");
        assert_eq!(name(r#"{"title":"t"}"#), None);
        assert_eq!(name("7"), None);
    }

    #[test]
    fn absent_members_stay_as_they_were() {
        let read = |json: &str| serde_json::from_str::<ToolCall>(json).unwrap();
        let mut call = read(
            r#"{"toolCallId":"t","title":"a","kind":"read","content":[{"type":"x"}],"rawInput":{"a":1.0}}"#,
        );
        call.apply(read(
            r#"{"toolCallId":"t","status":"completed","content":[],"title":null,"locations":7}"#,
        ));
        assert_eq!(
            serde_json::to_string(&call).unwrap(),
            r#"{"toolCallId":"t","title":"a","kind":"read","status":"completed","content":[],"rawInput":{"a":1.0}}"#
        );
    }

    #[test]
    fn new_kinds_and_contents_are_kept() {
        let json =
            r#"{"toolCallId":"t","kind":"dream","status":"paused","content":[{"type":"x","y":1.0},7]}"#;
        let call: ToolCall = serde_json::from_str(json).unwrap();
        assert_eq!(call.kind, Some(ToolKind::Unknown("dream".into())));
        assert_eq!(serde_json::to_string(&call).unwrap(), json);
    }
}
