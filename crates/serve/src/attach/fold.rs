//! From the facts of a session to the frames that clients of the dialect know.
//!
//! The frames of a turn are a fold of that turn's facts alone: it can be begun at any turn, and gives the same frames with
//! the same ids each time. A frame's id is four times the number of the fact that completed it, plus its place among the
//! frames of that fact, so ids grow for ever and survive restarts; gaps between them mean nothing.
//!
//! Clients show the first of several texts in a row and no more, so prose is held until something else follows it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};
use trunkline_core::event::{Event, Fact};
use trunkline_core::id::Seq;
use trunkline_core::principal::Principal;
use trunkline_core::raw::Raw;
use trunkline_core::request::Opened;
use trunkline_core::turn::{Ended, StopReason, Why};
use trunkline_wire::acp::{UpdateView, tool_name};

use crate::folded::{Ids, prompt_text};

/// The ids of frames.
pub(super) const IDS: Ids = Ids { places: 4 };
/// Prose of so many bytes is sent without waiting for its end.
const MAX_PROSE: usize = 4 << 20;
/// How much of what a tool gave back is sent to those who ask for it.
const MAX_RESULT: usize = 64 << 10;

/// A frame, as it is sent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Frame {
    kind: &'static str,
    #[serde(flatten)]
    members: Map<String, Value>,
    /// When it happened, in milliseconds since 1970.
    at: i64,
    pub(super) id: u64,
}

/// What is wanted of what an agent says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Detail {
    /// One frame for each block of prose and each tool.
    #[default]
    Blocks,
    /// Each piece as it comes, and also thoughts and what tools give back.
    All,
}

/// The fold of one turn.
#[derive(Debug, Default)]
pub(super) struct Fold {
    detail: Detail,
    /// Where answers can be given, for people.
    page: String,
    turn: Turn,
    out: Vec<Frame>,
}

#[derive(Debug, Default)]
struct Turn {
    prose: String,
    /// The id and the time of the last piece of prose.
    said: (u64, i64),
    /// Whether the agent has done anything.
    begun: bool,
    tools: BTreeMap<String, Tool>,
    stopped: Option<Why>,
    /// The fact that is folded now, and how many frames it has completed.
    now: (Seq, i64),
    places: u64,
}

#[derive(Debug, Default)]
struct Tool {
    name: String,
    input: Value,
    shown: bool,
}

impl Frame {
    /// Its line of JSON, in ASCII, as the original writes it.
    pub(super) fn line(&self) -> String {
        ascii(&serde_json::to_string(self).expect("a frame has a JSON form"))
    }
}

impl Fold {
    pub(super) fn new(detail: Detail, page: impl Into<String>) -> Self {
        Self { detail, page: page.into(), ..Self::default() }
    }

    /// The frames that this event completes.
    pub(super) fn take(&mut self, event: &Event) -> Vec<Frame> {
        if let Fact::TurnStarted(started) = &event.fact {
            self.turn = Turn::default();
            self.at(event);
            self.push("user", json!({ "text": prompt_text(&started.prompt) }));
        } else {
            self.at(event);
            if event.turn.is_some() {
                self.fold(event);
            }
        }
        std::mem::take(&mut self.out)
    }

    fn at(&mut self, event: &Event) {
        (self.turn.now, self.turn.places) = ((event.seq, event.at.0), 0);
    }

    fn fold(&mut self, event: &Event) {
        // An agent that was stopped before it did anything does not begin with its end.
        if self.turn.stopped.is_none() {
            self.begin(&event.by);
        }
        match &event.fact {
            Fact::TurnUpdate(update) => self.update(&update.update),
            Fact::RequestOpened(asked) => self.asked(asked),
            Fact::TurnStopping(stopping) => {
                self.turn.stopped = Some(stopping.why);
                if matches!(stopping.why, Why::Cancelled | Why::SessionClosed) {
                    self.finish_prose();
                    self.push("cancelled", json!({}));
                }
            }
            Fact::TurnEnded(ended) => self.ended(ended),
            _ => {}
        }
    }

    /// The first thing that the agent does shows that there is one.
    fn begin(&mut self, by: &Principal) {
        if let (false, Some(session)) = (self.turn.begun, by.as_str().strip_prefix("agent/")) {
            self.turn.begun = true;
            let session = session.to_owned();
            self.push("session", json!({ "session_id": session }));
        }
    }

    fn update(&mut self, update: &Raw) {
        let view = UpdateView::of(update.as_raw());
        match &*view.kind() {
            "agent_message_chunk" => {
                if let Some(text) = view.text() {
                    self.say(&text);
                }
            }
            "agent_thought_chunk" if self.detail == Detail::All => {
                if let Some(text) = view.text() {
                    self.push("thinking", json!({ "text": text }));
                }
            }
            "tool_call" | "tool_call_update" => self.tool(&view),
            _ => {}
        }
    }

    fn say(&mut self, text: &str) {
        if self.detail == Detail::All {
            return self.push("text", json!({ "text": text }));
        }
        self.turn.prose.push_str(text);
        self.turn.said = (self.next_id(), self.turn.now.1);
        if self.turn.prose.len() > MAX_PROSE {
            self.finish_prose();
            self.turn.places += 1;
        }
    }

    fn finish_prose(&mut self) {
        let prose = std::mem::take(&mut self.turn.prose);
        if !prose.is_empty() {
            let (id, at) = self.turn.said;
            let members = members(json!({ "text": prose }));
            self.out.push(Frame { kind: "text", members, at, id });
        }
    }

    fn tool(&mut self, view: &UpdateView<'_>) {
        let Some(id) = view.tool_call_id().map(std::borrow::Cow::into_owned) else { return };
        let status = view.get_str("status");
        let over = matches!(status.as_deref(), Some("completed" | "failed"));
        let runs = over || status.as_deref() == Some("in_progress");
        self.learn(&id, view);
        let has_input = self.turn.tools.get(&id).is_some_and(|tool| has_content(&tool.input));
        if runs || has_input {
            self.show(&id);
        }
        if over && self.detail == Detail::All {
            let result = shortened(shown_text(view));
            let failed = status.as_deref() == Some("failed");
            self.push("tool_result", json!({ "tool_id": id, "is_error": failed, "result": result }));
        }
    }

    fn learn(&mut self, id: &str, view: &UpdateView<'_>) {
        let tool = self.turn.tools.entry(id.to_owned()).or_default();
        if let Some(name) = tool_name(view) {
            tool.name = name.into_owned();
        }
        if let Some(input) = view.get("rawInput").and_then(|input| serde_json::from_str(input.get()).ok()) {
            tool.input = input;
        }
    }

    /// Shows a tool, once.
    fn show(&mut self, id: &str) {
        let Some(tool) = self.turn.tools.get_mut(id).filter(|tool| !tool.shown) else { return };
        tool.shown = true;
        let name = if tool.name.is_empty() { "tool".to_owned() } else { tool.name.clone() };
        // It was wanted for this alone.
        let input = match std::mem::take(&mut tool.input) {
            input @ Value::Object(_) => input,
            Value::Null => json!({}),
            other => json!({ "input": other }),
        };
        self.finish_prose();
        self.push("tool", json!({ "name": name, "input": input }));
    }

    /// A client of this dialect can answer nothing: it is told what waits, and where that can be answered.
    fn asked(&mut self, asked: &Opened) {
        self.finish_prose();
        if let Some(call) = &asked.tool_call {
            let view = UpdateView::of(call.as_raw());
            if let Some(id) = view.tool_call_id().map(std::borrow::Cow::into_owned) {
                self.learn(&id, &view);
                self.show(&id);
            }
        }
        let command = format!("{} — answer at {} or with `trunkline inbox`", asked.title, self.page);
        self.push(
            "tool",
            json!({ "name": "Needs you", "input": { "command": command, "request": asked.id } }),
        );
    }

    fn ended(&mut self, ended: &Ended) {
        self.finish_prose();
        let cancelled = matches!(self.turn.stopped, Some(Why::Cancelled | Why::SessionClosed));
        if !cancelled {
            let duration = ended.duration_ms;
            let result = |is_error: bool, text: &str| json!({ "is_error": is_error, "result": text, "duration_ms": duration, "usage": ended.usage });
            let (kind, members) = match ended.stop_reason {
                StopReason::EndTurn => ("result", result(false, "")),
                StopReason::MaxTokens => ("result", result(true, "the model's token limit was reached")),
                StopReason::MaxTurnRequests => {
                    ("result", result(true, "the limit of model requests was reached"))
                }
                StopReason::Refusal => ("result", result(true, "the agent refused to go on")),
                StopReason::Cancelled => ("cancelled", json!({})),
                StopReason::Timeout => {
                    ("error", json!({ "error": format!("turn timed out after {}s", duration / 1000) }))
                }
                StopReason::Interrupted => ("error", json!({ "error": "interrupted by restart" })),
                StopReason::Error => {
                    ("error", json!({ "error": ended.error.as_deref().unwrap_or("the turn failed") }))
                }
            };
            self.push(kind, members);
        }
        self.push("turn_end", json!({}));
        let now = (self.turn.now, self.turn.places);
        self.turn = Turn { now: now.0, places: now.1, ..Turn::default() };
    }

    fn next_id(&self) -> u64 {
        // A fact completes fewer frames than there are places for it.
        IDS.id(self.turn.now.0, self.turn.places)
    }

    fn push(&mut self, kind: &'static str, value: Value) {
        let (id, at) = (self.next_id(), self.turn.now.1);
        self.turn.places += 1;
        self.out.push(Frame { kind, members: members(value), at, id });
    }
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn has_content(input: &Value) -> bool {
    match input {
        Value::Object(members) => !members.is_empty(),
        Value::Null => false,
        _ => true,
    }
}

/// What a tool shows, as text.
fn shown_text(view: &UpdateView<'_>) -> String {
    let content: Vec<Value> =
        view.get("content").and_then(|content| serde_json::from_str(content.get()).ok()).unwrap_or_default();
    let texts = content.iter().filter_map(|one| one["content"]["text"].as_str());
    texts.collect::<Vec<_>>().join("\n")
}

/// The end of a text that is too long, which is where a command says how it went.
fn shortened(text: String) -> String {
    match text.len().checked_sub(MAX_RESULT) {
        None | Some(0) => text,
        Some(over) => format!("…{}", &text[text.ceil_char_boundary(over)..]),
    }
}

/// JSON in which all that is not ASCII is escaped.
fn ascii(json: &str) -> String {
    use std::fmt::Write;
    if json.is_ascii() {
        return json.to_owned();
    }
    json.chars().fold(String::with_capacity(json.len() * 2), |mut out, c| {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}").expect("writing to a string cannot fail");
            }
        }
        out
    })
}

#[cfg(test)]
mod tests;
