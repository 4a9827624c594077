//! Messages: what Claude says, thinks and does, and what its tools give back.
//!
//! Text comes twice: in pieces while it streams, then whole. What has streamed is not said again; what has not (messages
//! that Claude makes without a model, or of a version that does not stream) is.

use std::collections::{BTreeMap, VecDeque};

use serde_json::value::RawValue;

use super::Adapter;
use super::calls::{self, Tool};
use super::said::{Assistant, Block, StreamEvent, Tokens, User};
use crate::acp::{ContentBlock, ContentChunk, SessionUpdate, ToolCall, ToolCallStatus};
use crate::raw::{Members, as_str};

/// How many messages are known to have streamed. The whole text follows within moments.
const MAX_STREAMED: usize = 64;
/// How many tool calls may run at a time; of more only the call is told, not its result.
const MAX_CALLS: usize = 4096;

/// What has been heard of the messages and calls of a turn.
#[derive(Debug, Default)]
pub(super) struct Flow {
    streamed: VecDeque<String>,
    calls: BTreeMap<String, Tool>,
    /// Whether anything was said in this turn.
    pub(super) has_spoken: bool,
    /// How full the context was after the last answer of the model.
    pub(super) context: u64,
}

impl Flow {
    /// A turn is over. Calls may outlast it: their results come with a later one.
    pub(super) fn end(&mut self) {
        self.has_spoken = false;
    }

    fn has_streamed(&self, id: Option<&String>) -> bool {
        id.is_some_and(|id| self.streamed.contains(id))
    }
}

impl Adapter {
    pub(super) fn event(&mut self, StreamEvent { event, parent_tool_use_id: parent }: StreamEvent<'_>) {
        match &*event.kind {
            "message_start" => {
                if let Some(message) = event.message {
                    self.flow.streamed.push_back(message.id);
                    if self.flow.streamed.len() > MAX_STREAMED {
                        self.flow.streamed.pop_front();
                    }
                }
            }
            "content_block_start" => {
                if let Some(Block { id: Some(id), name: Some(name), .. }) = event.content_block {
                    self.begin(&id, &name, parent.as_deref());
                }
            }
            "content_block_delta" => {
                let Some(delta) = event.delta else { return };
                if let Some(text) = delta.text {
                    self.said(&text, parent.as_deref());
                } else if let Some(thinking) = delta.thinking {
                    self.thought(&thinking, parent.as_deref());
                }
            }
            "message_delta" => self.spent(event.usage.filter(|_| parent.is_none())),
            _ => {}
        }
    }

    pub(super) fn message(&mut self, Assistant { message, parent_tool_use_id: parent }: Assistant<'_>) {
        let streamed = self.flow.has_streamed(message.id.as_ref());
        for block in message.content {
            let kind = block.kind.clone();
            match (&*kind, block) {
                ("text", Block { text: Some(text), .. }) if !streamed => self.said(&text, parent.as_deref()),
                ("thinking", Block { thinking: Some(thinking), .. }) if !streamed => {
                    self.thought(&thinking, parent.as_deref());
                }
                (_, Block { id: Some(id), name: Some(name), input: Some(input), .. }) => {
                    self.call(&id, &name, input, parent.as_deref());
                }
                (_, Block { tool_use_id: Some(id), content, is_error, .. }) => {
                    self.came_back(&id, content, is_error.unwrap_or_default());
                }
                _ => {}
            }
        }
    }

    pub(super) fn results(&mut self, User { message }: User<'_>) {
        if let Some(text) = as_str(message.content) {
            // What a command of Claude's own printed.
            if let Some(printed) = between(&text, "<local-command-stdout>", "</local-command-stdout>") {
                self.said(printed, None);
            }
            return;
        }
        let Ok(blocks) = serde_json::from_str::<Vec<Block<'_>>>(message.content.get()) else { return };
        for Block { tool_use_id, content, is_error, .. } in blocks {
            if let Some(id) = tool_use_id {
                self.came_back(&id, content, is_error.unwrap_or_default());
            }
        }
    }

    pub(super) fn system(&mut self, members: &Members<'_>) {
        if members.get_str("subtype").as_deref() == Some("init")
            && let Some(mode) = members.get_str("permissionMode")
        {
            self.in_mode(&mode);
        }
    }

    /// What Claude says; another agent's words, below one of its calls, are to it what thoughts are.
    pub(super) fn said(&mut self, text: &str, parent: Option<&str>) {
        if parent.is_some() {
            return self.thought(text, parent);
        }
        if !text.is_empty() {
            self.flow.has_spoken = true;
            self.update(&SessionUpdate::agent_text(text));
        }
    }

    fn thought(&mut self, text: &str, parent: Option<&str>) {
        if !text.is_empty() {
            let meta = parent.map(|parent| calls::meta(None, Some(parent)));
            let content = ContentBlock::text(text);
            self.update(&SessionUpdate::AgentThoughtChunk(ContentChunk { content, message_id: None, meta }));
        }
    }

    /// A call begins; its input still streams.
    fn begin(&mut self, id: &str, name: &str, parent: Option<&str>) {
        let tool = Tool::of(name);
        if !tool.is_shown() {
            return;
        }
        self.know(id, tool);
        let call = ToolCall {
            title: Some(name.to_owned()),
            status: Some(ToolCallStatus::Pending),
            ..tool.call(id, name, parent)
        };
        self.update(&SessionUpdate::ToolCall(call));
    }

    /// A call, with its input.
    fn call(&mut self, id: &str, name: &str, input: &RawValue, parent: Option<&str>) {
        if let Some(plan) = calls::plan(name, input) {
            return self.update(&SessionUpdate::Plan(plan));
        }
        let tool = Tool::of(name);
        if !tool.is_shown() {
            return;
        }
        let call = calls::with_input(tool.call(id, name, parent), name, input);
        if self.flow.calls.contains_key(id) {
            self.update(&SessionUpdate::ToolCallUpdate(call));
        } else {
            self.know(id, tool);
            let status = Some(ToolCallStatus::Pending);
            self.update(&SessionUpdate::ToolCall(ToolCall { status, ..call }));
        }
    }

    fn know(&mut self, id: &str, tool: Tool) {
        if self.flow.calls.len() < MAX_CALLS {
            self.flow.calls.insert(id.to_owned(), tool);
        }
    }

    /// A call may go on: a person or a rule has said so.
    pub(super) fn begun(&mut self, id: &str) {
        if self.flow.calls.contains_key(id) {
            let status = Some(ToolCallStatus::InProgress);
            let call = ToolCall { tool_call_id: id.to_owned(), status, ..ToolCall::default() };
            self.update(&SessionUpdate::ToolCallUpdate(call));
        }
    }

    fn came_back(&mut self, id: &str, content: Option<&RawValue>, failed: bool) {
        let Some(tool) = self.flow.calls.remove(id) else { return };
        let status = if failed { ToolCallStatus::Failed } else { ToolCallStatus::Completed };
        // What a call has changed is shown already, and more than the words that it is done.
        let shown = if tool == Tool::Edit && !failed { None } else { content.map(calls::output) };
        let call = ToolCall {
            tool_call_id: id.to_owned(),
            status: Some(status),
            content: shown.filter(|shown| !shown.is_empty()),
            ..ToolCall::default()
        };
        self.update(&SessionUpdate::ToolCallUpdate(call));
    }

    fn spent(&mut self, tokens: Option<Tokens>) {
        if let Some(tokens) = tokens {
            self.flow.context = tokens.context();
        }
    }
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    Some(rest.split_once(end)?.0.trim())
}
