//! From the facts of a session to the events that clients of the engine know.
//!
//! The events of a turn are a fold of that turn's facts alone, reset where a turn starts: it can be begun at any turn, and gives
//! the same events with the same ids each time. An event's id is eight times the number of the fact that completed it, plus its
//! place among the events of that fact, so ids grow for ever and survive restarts; gaps between them mean nothing.
//!
//! Clients show each thought as a line of its own, so thoughts are held until something else follows.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use trunkline_core::call::Call;
use trunkline_core::event::{Event, Fact};
use trunkline_core::grant::{Added, Judged, Scope};
use trunkline_core::id::{GrantId, RequestId, Seq, TurnId};
use trunkline_core::raw::Raw;
use trunkline_core::request::{ClosedFact, Kind, Opened, Outcome};
use trunkline_core::risk::{Level, Risk};
use trunkline_core::turn::{Ended, Note, StopReason, Usage};
use trunkline_run::model::history::Entry;
use trunkline_wire::acp::{UpdateView, tool_name};
use trunkline_wire::engine;

use crate::folded::{Ids, prompt_text};

/// The ids of events.
pub(super) const IDS: Ids = Ids { places: 8 };
/// How much of what a tool gave back is sent.
const MAX_OUTPUT: usize = 256 << 10;
/// How much of each output stands for an answer that has no words.
const MAX_GIST: usize = 200;
/// Thoughts of so many bytes are sent without waiting for their end.
const MAX_THOUGHT: usize = 256 << 10;

/// An event, as it is sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Frame {
    pub(super) id: u64,
    pub(super) event: Value,
}

/// The fold of one turn.
#[derive(Debug, Default)]
pub(super) struct Fold {
    /// The session, by the name that its clients use.
    session: String,
    workspace: Option<String>,
    grants: BTreeMap<GrantId, Given>,
    turn: Turn,
    out: Vec<Frame>,
}

/// A standing permission, in the engine's words.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Given {
    scope: &'static str,
    rule: String,
    request: Option<RequestId>,
}

#[derive(Debug, Default)]
struct Turn {
    thought: String,
    spoke: bool,
    tools: BTreeMap<String, Tool>,
    /// Outputs of tools that went well, for a turn without words.
    gist: String,
    asked: BTreeMap<RequestId, Asked>,
    failed: Option<(String, bool)>,
    stop_word: Option<String>,
    steps: u64,
    max_steps: bool,
    /// The fact that is folded now, and how many events it has completed.
    now: (Seq, i64),
    places: u64,
}

#[derive(Debug, Default)]
struct Tool {
    name: String,
    input: Value,
    paths: Vec<String>,
    diff: Option<Value>,
    since: i64,
    shown: bool,
    over: bool,
    refused: bool,
}

#[derive(Debug)]
struct Asked {
    tool_id: String,
    event: Map<String, Value>,
    options: Vec<(String, bool)>,
    prompted: bool,
}

impl Frame {
    /// As it stands in a stream.
    pub(super) fn lines(&self) -> String {
        format!("id: {}\ndata: {}\n\n", self.id, self.event)
    }

    pub(super) fn kind(&self) -> &str {
        self.event["type"].as_str().unwrap_or_default()
    }
}

/// Whether nothing of a turn follows an event of this type.
pub(super) fn is_last(kind: &str) -> bool {
    matches!(kind, "turn_complete" | "error")
}

impl Given {
    pub(super) fn of(added: &Added) -> Self {
        let scope = match (added.mode, added.scope) {
            (Some(_), _) => "mode",
            (None, Some(Scope::Once)) => "once",
            (None, Some(Scope::Project)) => "project",
            (None, Some(Scope::Edits)) => "always_edits",
            (None, Some(Scope::Tool)) => "trust_tool",
            (None, Some(Scope::Session) | None) => "session",
        };
        let rule = match (&added.mode, &added.pattern) {
            (Some(mode), _) => format!("mode {}", mode.word()),
            (None, Some(pattern)) => pattern.clone(),
            (None, None) if added.scope == Some(Scope::Edits) => "edit".to_owned(),
            (None, None) => format!("tool({})", added.tool),
        };
        Self { scope, rule, request: added.request }
    }

    pub(super) const fn scope(&self) -> &'static str {
        self.scope
    }

    pub(super) fn rule(&self) -> &str {
        &self.rule
    }
}

impl Fold {
    /// A fold of a session's events, which stands before a turn. The grants are those that there are already.
    pub(super) fn new(session: String, workspace: Option<String>, grants: BTreeMap<GrantId, Given>) -> Self {
        Self { session, workspace, grants, ..Self::default() }
    }

    /// The events that this fact completes.
    pub(super) fn take(&mut self, event: &Event) -> Vec<Frame> {
        if let Fact::TurnStarted(_) = &event.fact {
            self.turn = Turn::default();
        }
        (self.turn.now, self.turn.places) = ((event.seq, event.at.0), 0);
        match (&event.fact, event.turn) {
            (Fact::GrantAdded(added), _) => {
                self.grants.insert(added.id, Given::of(added));
            }
            (_, Some(turn)) => self.fold(&event.fact, turn),
            (_, None) => {}
        }
        std::mem::take(&mut self.out)
    }

    fn fold(&mut self, fact: &Fact, turn: TurnId) {
        match fact {
            Fact::TurnStarted(started) => {
                self.push("turn_start", json!({ "turn": turn, "content": prompt_text(&started.prompt) }));
            }
            Fact::TurnUpdate(update) => self.update(&update.update),
            Fact::TurnNote(note) => self.note(note),
            Fact::DriverMemo(memo) => {
                if let Ok(Entry::Said(said)) = memo.raw.read::<Entry>()
                    && let Some(answer) = said.answer
                {
                    self.turn.steps += 1;
                    self.turn.stop_word = Some(answer.stop).filter(|word| !word.is_empty());
                }
            }
            Fact::RequestOpened(asked) => self.opened(asked),
            Fact::RequestJudged(judged) => self.judged(judged),
            Fact::RequestClosed(closed) => self.closed(closed),
            Fact::TurnEnded(ended) => self.ended(ended),
            _ => {}
        }
    }

    fn update(&mut self, update: &Raw) {
        let view = UpdateView::of(update.as_raw());
        match &*view.kind() {
            "agent_message_chunk" => {
                if let Some(text) = view.text().filter(|text| !text.is_empty()) {
                    self.finish_thought();
                    self.turn.spoke = true;
                    self.push("token", json!({ "text": text }));
                }
            }
            "agent_thought_chunk" => {
                self.turn.thought.push_str(view.text().as_deref().unwrap_or_default());
                if self.turn.thought.len() > MAX_THOUGHT {
                    self.finish_thought();
                }
            }
            "tool_call" | "tool_call_update" => self.tool(&view),
            _ => {}
        }
    }

    fn finish_thought(&mut self) {
        let thought = std::mem::take(&mut self.turn.thought);
        if !thought.trim().is_empty() {
            self.push("thinking", json!({ "text": thought }));
        }
    }

    fn tool(&mut self, view: &UpdateView<'_>) {
        let Some(id) = view.tool_call_id().map(|id| engine::tool_id(&id)) else { return };
        self.finish_thought();
        self.learn(&id, view);
        self.show(&id, view);
        match view.get_str("status").as_deref() {
            // What was waited for before is not the tool's own time.
            Some("in_progress") => self.turn.tools.entry(id).or_default().since = self.turn.now.1,
            Some("completed") => self.result(&id, view, true),
            Some("failed") => self.result(&id, view, false),
            _ => {}
        }
    }

    fn learn(&mut self, id: &str, view: &UpdateView<'_>) {
        let now = self.turn.now.1;
        let tool =
            self.turn.tools.entry(id.to_owned()).or_insert_with(|| Tool { since: now, ..Tool::default() });
        if let Some(name) = tool_name(view) {
            tool.name = name.into_owned();
        }
        let read = |name: &str| view.get(name).and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
        if let Some(input @ Value::Object(_)) = read("rawInput") {
            tool.input = input;
        }
        if let Some(Value::Array(places)) = read("locations") {
            tool.paths =
                places.iter().filter_map(|place| place["path"].as_str().map(str::to_owned)).collect();
        }
        if let Some(Value::Array(content)) = read("content") {
            tool.diff = diff(&content).or_else(|| tool.diff.take());
        }
    }

    /// Shows a tool, once.
    fn show(&mut self, id: &str, view: &UpdateView<'_>) {
        let risk = Raw::of(&Value::Object(members(view))).ok().map(|raw| {
            let name = self.turn.tools.get(id).map(|tool| tool.name.as_str()).filter(|name| !name.is_empty());
            let call = Call::read(name, Some(&raw), self.workspace.as_deref());
            Risk::of(&call).level
        });
        let Some(tool) = self.turn.tools.get_mut(id).filter(|tool| !tool.shown) else { return };
        tool.shown = true;
        let input = if tool.input.is_null() { json!({}) } else { tool.input.clone() };
        let event = json!({
            "tool_id": id, "tool_name": tool.name, "tool_type": engine::tool_type(&tool.name), "input": input,
            "risk_level": risk.unwrap_or(Level::Unknown).word(),
        });
        self.push("tool_start", event);
    }

    fn result(&mut self, id: &str, view: &UpdateView<'_>, success: bool) {
        let now = self.turn.now.1;
        let Some(tool) = self.turn.tools.get_mut(id).filter(|tool| !tool.over) else { return };
        tool.over = true;
        let text = output(view);
        let mut metadata = Map::new();
        if tool.refused {
            metadata.insert("permission_denied".to_owned(), Value::Bool(true));
        }
        for (name, path) in ["file_path", "to_path"].iter().zip(&tool.paths) {
            metadata.insert((*name).to_owned(), path.clone().into());
        }
        if let (true, Some(diff)) = (success, tool.diff.take()) {
            metadata.insert("diff_info".to_owned(), diff);
        }
        if success && !text.is_empty() {
            let end = text.char_indices().nth(MAX_GIST).map_or(text.len(), |(at, _)| at);
            if !self.turn.gist.is_empty() {
                self.turn.gist.push_str("\n\n");
            }
            if self.turn.gist.len() < MAX_OUTPUT {
                self.turn.gist.push_str(&text[..end]);
            }
        }
        let seconds = f64::from(u32::try_from((now - tool.since).max(0)).unwrap_or(u32::MAX)) / 1000.0;
        let (output, error) = if success { (text, String::new()) } else { (String::new(), text) };
        let event = json!({
            "tool_id": id, "tool_name": tool.name, "success": success, "output": output, "error": error,
            "execution_time": seconds, "metadata": metadata,
        });
        self.push("tool_result", event);
    }

    fn opened(&mut self, asked: &Opened) {
        self.finish_thought();
        if asked.kind != Kind::Permission {
            self.push(
                "question_gate",
                json!({ "question": asked.title, "request": asked.id, "pending_tools": [] }),
            );
            return;
        }
        let view = asked.tool_call.as_ref().map(|call| UpdateView::of(call.as_raw())).unwrap_or_default();
        let id = view.tool_call_id().map_or_else(|| asked.id.to_string(), |id| engine::tool_id(&id));
        self.learn(&id, &view);
        self.show(&id, &view);
        let tool = self.turn.tools.entry(id.clone()).or_default();
        let event = json!({
            "tool_id": id, "tool_name": tool.name, "tool_type": engine::tool_type(&tool.name), "input": tool.input,
            "title": asked.title, "request": asked.id, "diff": tool.diff, "expires_at": asked.deadline.map(|time| time.0),
        });
        let Value::Object(event) = event else { return };
        let options = asked.options.iter().map(|choice| (choice.id.clone(), choice.kind.allows())).collect();
        self.turn.asked.insert(asked.id, Asked { tool_id: id, event, options, prompted: false });
    }

    /// Only what no rule answers is asked.
    fn judged(&mut self, judged: &Judged) {
        let Some(asked) = self.turn.asked.get_mut(&judged.id) else { return };
        let Some(rule) = &judged.rule else { return };
        asked.prompted = true;
        let mut event = asked.event.clone();
        event.insert("risk_level".to_owned(), judged.risk.level.word().into());
        event.insert("risk_reason".to_owned(), judged.risk.reason.clone().into());
        event.insert("rule".to_owned(), rule.clone().into());
        if let Some(said) = &judged.said {
            event.insert("said".to_owned(), said.clone().into());
        }
        self.push("permission_request", Value::Object(event));
    }

    fn closed(&mut self, closed: &ClosedFact) {
        let Some(asked) = self.turn.asked.remove(&closed.id) else { return };
        let id = asked.tool_id;
        let option = closed.answer.as_ref().and_then(|answer| answer.option.as_deref());
        let allows = asked.options.iter().any(|(name, allows)| Some(name.as_str()) == option && *allows);
        if allows && closed.outcome == Outcome::Answered {
            let by_rule = closed.grant.map(|grant| {
                let unknown = || Given { scope: "project", rule: format!("grant {grant}"), request: None };
                self.grants.get(&grant).cloned().unwrap_or_else(unknown)
            });
            // What was given with this answer is how far the answer reaches.
            let given = self.grants.values().find(|given| given.request == Some(closed.id)).cloned();
            let reach = given.or_else(|| by_rule.clone());
            let event = json!({
                "tool_id": id, "scope": reach.as_ref().map_or("once", |given| given.scope),
                "auto": !asked.prompted, "rule": reach.map(|given| given.rule),
            });
            return self.push("permission_granted", event);
        }
        if let Some(tool) = self.turn.tools.get_mut(&id) {
            tool.refused = true;
        }
        let reason = match closed.outcome {
            Outcome::Answered => {
                closed.answer.as_ref().and_then(|answer| answer.text.clone()).unwrap_or_default()
            }
            Outcome::Expired => "expired".to_owned(),
            Outcome::Cancelled | Outcome::Superseded => "cancelled".to_owned(),
        };
        if closed.outcome == Outcome::Expired {
            self.push("permission_expired", json!({ "tool_id": id }));
        }
        self.push("permission_denied", json!({ "tool_id": id, "reason": reason }));
    }

    fn note(&mut self, note: &Note) {
        let data: Value = note.data.as_ref().and_then(|data| data.read().ok()).unwrap_or_default();
        match note.code.as_str() {
            "model_failed" => {
                let (code, _) = engine::error_code(data["code"].as_str().unwrap_or_default());
                let retryable = data["retryable"].as_bool().unwrap_or(false);
                self.turn.failed = Some((code.to_owned(), retryable));
            }
            "max_steps_reached" => self.turn.max_steps = true,
            "retrying" => {
                let (code, _) = engine::error_code(data["code"].as_str().unwrap_or_default());
                let event = json!({
                    "code": code, "message": note.message, "attempt": data["attempt"], "of": data["of"], "in_ms": data["in_ms"],
                });
                self.push("retrying", event);
            }
            code => self.push("notice", json!({ "code": code, "message": note.message })),
        }
    }

    fn ended(&mut self, ended: &Ended) {
        self.finish_thought();
        let error = |code: &str, message: &str, retryable: bool| json!({ "code": code, "message": message, "retryable": retryable });
        let stop = match ended.stop_reason {
            StopReason::EndTurn => "end_turn",
            StopReason::MaxTokens => "max_tokens",
            StopReason::MaxTurnRequests => "max_turn_requests",
            StopReason::Refusal => "refusal",
            StopReason::Cancelled => {
                return self.push("error", error("cancelled", "Turn cancelled by user", false));
            }
            StopReason::Timeout => {
                let message = format!("the turn took longer than {} s", ended.duration_ms / 1000);
                return self.push("error", error("timeout", &message, true));
            }
            StopReason::Interrupted => {
                return self.push("error", error("interrupted", "interrupted by restart", true));
            }
            StopReason::Error => {
                let (code, retryable) =
                    self.turn.failed.take().unwrap_or_else(|| ("internal".to_owned(), false));
                let message = ended.error.as_deref().unwrap_or("the turn failed");
                return self.push("error", error(&code, message, retryable));
            }
        };
        if !self.turn.spoke && !self.turn.gist.is_empty() {
            let text = std::mem::take(&mut self.turn.gist);
            self.push("token", json!({ "text": text, "synthetic": true }));
        }
        let Usage { input, output, thought, cost, .. } = ended.usage.unwrap_or_default();
        let event = json!({
            "input_tokens": input.unwrap_or(0), "output_tokens": output.unwrap_or(0), "thinking_tokens": thought.unwrap_or(0),
            "tool_calls": self.turn.tools.len(), "steps": self.turn.steps, "max_steps_reached": self.turn.max_steps,
            "stop_reason": self.turn.stop_word.clone().unwrap_or_else(|| stop.to_owned()), "stop": stop,
            "duration_ms": ended.duration_ms, "cost": cost,
        });
        self.push("turn_complete", event);
    }

    fn push(&mut self, kind: &str, members: Value) {
        // A fact completes fewer events than there are places for it.
        let id = IDS.id(self.turn.now.0, self.turn.places);
        self.turn.places += 1;
        let mut event = Map::from_iter([
            ("type".to_owned(), kind.into()),
            ("session_id".to_owned(), self.session.clone().into()),
            ("ts".to_owned(), self.turn.now.1.into()),
        ]);
        if let Value::Object(members) = members {
            event.extend(members);
        }
        self.out.push(Frame { id, event: Value::Object(event) });
    }
}

fn members(view: &UpdateView<'_>) -> Map<String, Value> {
    let member = |(name, raw): (&str, &serde_json::value::RawValue)| {
        Some((name.to_owned(), serde_json::from_str(raw.get()).ok()?))
    };
    view.members().filter_map(member).collect()
}

fn diff(content: &[Value]) -> Option<Value> {
    let found = content.iter().find(|one| one["type"] == "diff")?;
    Some(json!({ "path": found["path"], "old_text": found["oldText"], "new_text": found["newText"] }))
}

/// What a tool gave, as text: the end of it, where that is long, for there a command says how it went.
fn output(view: &UpdateView<'_>) -> String {
    let raw: Value =
        view.get("rawOutput").and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    let told = ["output", "error"].iter().find_map(|name| raw[*name].as_str()).map(str::to_owned);
    let shown = || {
        let content: Vec<Value> =
            view.get("content").and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        content.iter().filter_map(|one| one["content"]["text"].as_str()).collect::<Vec<_>>().join("\n")
    };
    let text = told.unwrap_or_else(shown);
    match text.len().checked_sub(MAX_OUTPUT) {
        None | Some(0) => text,
        Some(over) => format!("…{}", &text[text.ceil_char_boundary(over)..]),
    }
}

#[cfg(test)]
mod tests;
