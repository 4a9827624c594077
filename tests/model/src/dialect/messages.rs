//! Anthropic messages. Source: Anthropic's API reference, "Messages" and "Streaming messages".

use serde_json::{Value, json};

use super::{Dialect, Encode, End, Event, Head, Part, Reason, Tail, error_type, list, text_of};
use crate::ask::{Ask, Offer};
use crate::script::{Failure, Usage};

pub(super) struct Encoder {
    head: Head,
}

pub(super) fn read(body: &Value) -> Result<Ask, String> {
    let mut tail = Tail::default();
    for message in list(body, "messages")? {
        match message["role"].as_str() {
            Some("user") => user(&mut tail, &message["content"]),
            Some("assistant") => tail.model(),
            Some("system") => {}
            _ => return Err("messages: an entry has no known role".to_owned()),
        }
    }
    let offered = body["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    let tools = offered.iter().filter_map(|tool| tool["name"].as_str()).map(Offer::object).collect();
    Ok(tail.ask(Dialect::Messages, body, tools))
}

/// A user message holds text, tool results, or results and then text.
fn user(tail: &mut Tail, content: &Value) {
    let blocks = content.as_array().map(Vec::as_slice).unwrap_or_default();
    let results = blocks.iter().filter(|block| block["type"] == "tool_result");
    results.for_each(|block| tail.result(text_of(&block["content"])));
    tail.user(text_of(content));
}

impl Encoder {
    pub(super) fn new(head: Head) -> Self {
        Self { head }
    }
}

impl Encode for Encoder {
    fn begin(&mut self) -> Vec<Event> {
        let mut message = message(&self.head, &[], &Value::Null);
        message["usage"] = json!({ "input_tokens": 0, "output_tokens": 0 });
        vec![
            event("message_start", json!({ "message": message })),
            // The real service sends one too; a client must pass over it.
            event("ping", json!({})),
        ]
    }

    fn open(&mut self, index: usize, part: &Part) -> Vec<Event> {
        let block = match part {
            Part::Text(_) => json!({ "type": "text", "text": "" }),
            Part::Thought(_) => json!({ "type": "thinking", "thinking": "", "signature": "" }),
            Part::Call(call) => json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": {} }),
        };
        vec![event("content_block_start", json!({ "index": index, "content_block": block }))]
    }

    fn delta(&mut self, index: usize, part: &Part, piece: &str) -> Vec<Event> {
        let delta = match part {
            Part::Text(_) => json!({ "type": "text_delta", "text": piece }),
            Part::Thought(_) => json!({ "type": "thinking_delta", "thinking": piece }),
            Part::Call(_) => json!({ "type": "input_json_delta", "partial_json": piece }),
        };
        vec![block_delta(index, &delta)]
    }

    fn close(&mut self, index: usize, part: &Part) -> Vec<Event> {
        let mut events = Vec::new();
        if matches!(part, Part::Thought(_)) {
            let delta = json!({ "type": "signature_delta", "signature": signature(&self.head, index) });
            events.push(block_delta(index, &delta));
        }
        events.push(event("content_block_stop", json!({ "index": index })));
        events
    }

    fn end(&mut self, _parts: &[Part], end: End) -> Vec<Event> {
        let delta = json!({ "stop_reason": stop_reason(end.reason), "stop_sequence": null });
        vec![
            event("message_delta", json!({ "delta": delta, "usage": usage(end.usage) })),
            event("message_stop", json!({})),
        ]
    }

    fn fail(&mut self, error: &Failure) -> Vec<Event> {
        vec![Event::named("error", &failure(error))]
    }
}

pub(super) fn whole(head: &Head, parts: &[Part], end: End) -> Value {
    let blocks: Vec<_> = parts.iter().enumerate().map(|(index, part)| block(head, index, part)).collect();
    let mut message = message(head, &blocks, &json!(stop_reason(end.reason)));
    message["usage"] = usage(end.usage);
    message
}

pub(super) fn failure(failure: &Failure) -> Value {
    json!({ "type": "error", "error": { "type": error_type(failure.status), "message": failure.message } })
}

fn message(head: &Head, content: &[Value], stop_reason: &Value) -> Value {
    json!({
        "id": format!("msg_{}", head.number), "type": "message", "role": "assistant", "model": head.model,
        "content": content, "stop_reason": stop_reason, "stop_sequence": null,
    })
}

fn block(head: &Head, index: usize, part: &Part) -> Value {
    match part {
        Part::Text(text) => json!({ "type": "text", "text": text }),
        Part::Thought(text) => {
            json!({ "type": "thinking", "thinking": text, "signature": signature(head, index) })
        }
        Part::Call(call) => json!({
            "type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments.as_object(),
        }),
    }
}

fn signature(head: &Head, index: usize) -> String {
    format!("signature-{}-{index}", head.number)
}

fn event(name: &'static str, mut data: Value) -> Event {
    data["type"] = json!(name);
    Event::named(name, &data)
}

fn block_delta(index: usize, delta: &Value) -> Event {
    event("content_block_delta", json!({ "index": index, "delta": delta }))
}

fn stop_reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Done => "end_turn",
        Reason::ToolUse => "tool_use",
        Reason::Length => "max_tokens",
        Reason::Filter => "refusal",
    }
}

/// Anthropic counts the cached tokens beside the others, not among them.
fn usage(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.input - usage.cached, "cache_read_input_tokens": usage.cached,
        "cache_creation_input_tokens": 0, "output_tokens": usage.output,
    })
}
