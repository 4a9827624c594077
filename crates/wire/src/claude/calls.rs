//! Claude's tools, as a person sees them used.

use std::path::PathBuf;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::said::Block;
use crate::acp::{
    ContentBlock, Diff, ImageContent, Plan, PlanEntry, PlanEntryPriority, PlanEntryStatus, ToolCall,
    ToolCallContent, ToolCallLocation, ToolContent, ToolKind,
};
use crate::raw::as_str;

/// What sort of thing a tool does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tool {
    Run,
    Read,
    Edit,
    Search,
    Fetch,
    Think,
    Mode,
    /// Its plan, which is shown as such.
    Plan,
    Other,
}

impl Tool {
    pub(super) fn of(name: &str) -> Self {
        match name {
            "Bash" => Self::Run,
            "Read" | "NotebookRead" => Self::Read,
            "Edit" | "MultiEdit" | "Write" | "NotebookEdit" => Self::Edit,
            "Glob" | "Grep" | "LS" => Self::Search,
            "WebFetch" | "WebSearch" => Self::Fetch,
            "Task" | "Agent" => Self::Think,
            "EnterPlanMode" | "ExitPlanMode" => Self::Mode,
            "TodoWrite" => Self::Plan,
            _ => Self::Other,
        }
    }

    pub(super) const fn is_shown(self) -> bool {
        !matches!(self, Self::Plan)
    }

    const fn kind(self) -> ToolKind {
        match self {
            Self::Run => ToolKind::Execute,
            Self::Read => ToolKind::Read,
            Self::Edit => ToolKind::Edit,
            Self::Search => ToolKind::Search,
            Self::Fetch => ToolKind::Fetch,
            Self::Think | Self::Plan => ToolKind::Think,
            Self::Mode => ToolKind::SwitchMode,
            Self::Other => ToolKind::Other,
        }
    }

    /// A call of it, of which no more is known.
    pub(super) fn call(self, id: &str, name: &str, parent: Option<&str>) -> ToolCall {
        ToolCall {
            tool_call_id: id.to_owned(),
            kind: Some(self.kind()),
            meta: Some(meta(Some(name), parent)),
            ..ToolCall::default()
        }
    }
}

/// Where Claude's ACP adapter says it too: the tool's name, and the call under which another agent makes this one.
pub(super) fn meta(tool: Option<&str>, parent: Option<&str>) -> Box<RawValue> {
    let mut members = serde_json::Map::new();
    members.extend(tool.map(|tool| ("toolName".to_owned(), json!(tool))));
    members.extend(parent.map(|parent| ("parentToolUseId".to_owned(), json!(parent))));
    serde_json::value::to_raw_value(&json!({ "claudeCode": members })).expect("it has string keys only")
}

/// The call with all that its input tells.
pub(super) fn with_input(call: ToolCall, name: &str, input: &RawValue) -> ToolCall {
    let value: Value = serde_json::from_str(input.get()).unwrap_or_default();
    let path = ["file_path", "notebook_path", "path"].iter().find_map(|member| value[*member].as_str());
    let line = value["offset"].as_u64().and_then(|line| u32::try_from(line).ok());
    let locations = path
        .filter(|path| path.starts_with('/'))
        .map(|path| vec![ToolCallLocation { path: path.into(), line }]);
    ToolCall {
        title: Some(title(name, &value, path)),
        content: shown(name, &value, path),
        locations,
        raw_input: Some(input.to_owned()),
        ..call
    }
}

fn title(name: &str, input: &Value, path: Option<&str>) -> String {
    let text = |member: &str| input[member].as_str().filter(|text| !text.trim().is_empty());
    let of = |verb: &str, what: Option<&str>| what.map(|what| format!("{verb} {what}"));
    let told = match name {
        "Bash" => text("command").map(str::to_owned),
        "Read" | "NotebookRead" => of("Read", path),
        "Write" => of("Write", path),
        "Edit" | "MultiEdit" | "NotebookEdit" => of("Edit", path),
        "Glob" => of("Find", text("pattern")),
        "Grep" => of("Search for", text("pattern")),
        "LS" => of("List", path),
        "WebFetch" => of("Fetch", text("url")),
        "WebSearch" => of("Search the web for", text("query")),
        "Task" | "Agent" => text("description").map(str::to_owned),
        "ExitPlanMode" => Some("Carry out the plan".to_owned()),
        _ => name.strip_prefix("mcp__").map(|name| name.replacen("__", ": ", 1)),
    };
    told.unwrap_or_else(|| name.to_owned())
}

/// What a person is to see of it before it is done.
fn shown(name: &str, input: &Value, path: Option<&str>) -> Option<Vec<ToolCallContent>> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let diff = |old_text: Option<String>, new_text: Option<String>| {
        let (path, new_text) = (PathBuf::from(path?), new_text?);
        Some(ToolCallContent::Diff(Diff { path, old_text, new_text }))
    };
    match name {
        "Write" => Some(vec![diff(None, text(&input["content"]))?]),
        "Edit" => Some(vec![diff(text(&input["old_string"]), text(&input["new_string"]))?]),
        "MultiEdit" => {
            let edits = input["edits"].as_array()?.iter();
            edits.map(|edit| diff(text(&edit["old_string"]), text(&edit["new_string"]))).collect()
        }
        "NotebookEdit" => Some(vec![diff(None, text(&input["new_source"]))?]),
        "Bash" => Some(vec![ToolCallContent::text(text(&input["description"])?)]),
        "ExitPlanMode" => Some(vec![ToolCallContent::text(text(&input["plan"])?)]),
        "Task" | "Agent" => Some(vec![ToolCallContent::text(text(&input["prompt"])?)]),
        _ => None,
    }
}

/// What a call gave back: a text, or blocks.
pub(super) fn output(content: &RawValue) -> Vec<ToolCallContent> {
    if let Some(text) = as_str(content) {
        let text = text.trim_start_matches("<tool_use_error>").trim_end_matches("</tool_use_error>");
        return if text.trim().is_empty() { Vec::new() } else { vec![ToolCallContent::text(text)] };
    }
    let blocks: Vec<Block<'_>> = serde_json::from_str(content.get()).unwrap_or_default();
    blocks.into_iter().filter_map(block).collect()
}

fn block(block: Block<'_>) -> Option<ToolCallContent> {
    let kind = block.kind.clone();
    match (&*kind, block) {
        ("text", Block { text: Some(text), .. }) => Some(ToolCallContent::text(text)),
        ("image", Block { source: Some(source), .. }) => {
            let image =
                ImageContent { data: source.data?, mime_type: source.media_type?, ..ImageContent::default() };
            Some(ToolCallContent::Content(ToolContent { content: ContentBlock::Image(image) }))
        }
        _ => None,
    }
}

/// Its plan, if the call is one that tells it.
pub(super) fn plan(name: &str, input: &RawValue) -> Option<Plan> {
    if Tool::of(name) != Tool::Plan {
        return None;
    }
    let input: Value = serde_json::from_str(input.get()).ok()?;
    let entry = |todo: &Value| {
        let status = match todo["status"].as_str() {
            Some("in_progress") => PlanEntryStatus::InProgress,
            Some("completed") => PlanEntryStatus::Completed,
            _ => PlanEntryStatus::Pending,
        };
        let content = todo["content"].as_str()?.to_owned();
        Some(PlanEntry { content, priority: PlanEntryPriority::Medium, status })
    };
    let entries = input["todos"].as_array()?.iter().filter_map(entry).collect();
    Some(Plan { entries, meta: None })
}
