//! OpenAI chat completions. Source: OpenAI's API reference, "Chat" and "Streaming events".

use serde_json::{Value, json};

use super::{Dialect, Encode, End, Event, Head, Part, Reason, Tail, error_type, list, text_of};
use crate::ask::{Ask, Offer};
use crate::script::{Failure, Usage};

/// A fixed time of creation keeps transcripts equal from run to run.
const CREATED: u64 = 1_700_000_000;

pub(super) struct Encoder {
    head: Head,
    calls: usize,
    usage_wanted: bool,
}

pub(super) fn read(body: &Value) -> Result<Ask, String> {
    let mut tail = Tail::default();
    for message in list(body, "messages")? {
        match message["role"].as_str() {
            Some("user") => tail.user(text_of(&message["content"])),
            Some("tool") => tail.result(text_of(&message["content"])),
            Some("assistant") => tail.model(),
            Some("system" | "developer") => {}
            _ => return Err("messages: an entry has no known role".to_owned()),
        }
    }
    let offered = body["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    let tools =
        offered.iter().filter_map(|tool| tool["function"]["name"].as_str()).map(Offer::object).collect();
    Ok(tail.ask(Dialect::Chat, body, tools))
}

impl Encoder {
    pub(super) fn new(head: Head, body: &Value) -> Self {
        let usage_wanted = body["stream_options"]["include_usage"].as_bool().unwrap_or(false);
        Self { head, calls: 0, usage_wanted }
    }

    fn step(&self, delta: &Value) -> Event {
        self.chunk(&json!([{ "index": 0, "delta": delta, "finish_reason": null }]), &Value::Null)
    }

    fn chunk(&self, choices: &Value, usage: &Value) -> Event {
        Event::data(&json!({
            "id": self.head.id(), "object": "chat.completion.chunk", "created": CREATED,
            "model": self.head.model, "choices": choices, "usage": usage,
        }))
    }
}

impl Encode for Encoder {
    fn begin(&mut self) -> Vec<Event> {
        vec![self.step(&json!({ "role": "assistant", "content": "" }))]
    }

    fn open(&mut self, _index: usize, part: &Part) -> Vec<Event> {
        let Part::Call(call) = part else { return Vec::new() };
        let function = json!({ "name": call.name, "arguments": "" });
        let opened = json!({ "index": self.calls, "id": call.id, "type": "function", "function": function });
        self.calls += 1;
        vec![self.step(&json!({ "tool_calls": [opened] }))]
    }

    fn delta(&mut self, _index: usize, part: &Part, piece: &str) -> Vec<Event> {
        let delta = match part {
            Part::Text(_) => json!({ "content": piece }),
            Part::Thought(_) => json!({ "reasoning_content": piece }),
            Part::Call(_) => {
                json!({ "tool_calls": [{ "index": self.calls - 1, "function": { "arguments": piece } }] })
            }
        };
        vec![self.step(&delta)]
    }

    fn close(&mut self, _index: usize, _part: &Part) -> Vec<Event> {
        Vec::new()
    }

    fn end(&mut self, _parts: &[Part], end: End) -> Vec<Event> {
        let choice = json!([{ "index": 0, "delta": {}, "finish_reason": finish(end.reason) }]);
        let mut events = vec![self.chunk(&choice, &Value::Null)];
        if self.usage_wanted {
            events.push(self.chunk(&json!([]), &usage(end.usage)));
        }
        events.push(Event::literal("[DONE]"));
        events
    }

    fn fail(&mut self, error: &Failure) -> Vec<Event> {
        vec![Event::data(&failure(error))]
    }
}

impl Head {
    fn id(&self) -> String {
        format!("chatcmpl-{}", self.number)
    }
}

pub(super) fn whole(head: &Head, parts: &[Part], end: End) -> Value {
    let mut message = json!({ "role": "assistant", "content": null });
    let mut calls = Vec::new();
    for part in parts {
        match part {
            Part::Text(text) => append(&mut message["content"], text),
            Part::Thought(text) => append(&mut message["reasoning_content"], text),
            Part::Call(call) => calls.push(json!({
                "id": call.id, "type": "function",
                "function": { "name": call.name, "arguments": call.arguments.as_text() },
            })),
        }
    }
    if !calls.is_empty() {
        message["tool_calls"] = Value::Array(calls);
    }
    json!({
        "id": head.id(), "object": "chat.completion", "created": CREATED, "model": head.model,
        "choices": [{ "index": 0, "message": message, "finish_reason": finish(end.reason) }],
        "usage": usage(end.usage),
    })
}

/// OpenAI's error body, which both of its dialects share.
pub(super) fn failure(failure: &Failure) -> Value {
    json!({ "error": {
        "message": failure.message, "type": error_type(failure.status), "param": null, "code": null,
    } })
}

fn append(slot: &mut Value, text: &str) {
    let before = slot.as_str().unwrap_or_default();
    *slot = Value::String(format!("{before}{text}"));
}

fn finish(reason: Reason) -> &'static str {
    match reason {
        Reason::Done => "stop",
        Reason::ToolUse => "tool_calls",
        Reason::Length => "length",
        Reason::Filter => "content_filter",
    }
}

fn usage(usage: Usage) -> Value {
    json!({
        "prompt_tokens": usage.input, "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": { "cached_tokens": usage.cached },
    })
}
