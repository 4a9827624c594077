//! Gemini's generateContent. Source: Google's API reference for the Generative Language API, v1beta.

use serde_json::{Value, json};

use super::{Dialect, Encode, End, Event, Head, Part, Reason, Tail, list, text_of};
use crate::ask::{Ask, Offer};
use crate::script::{Failure, Usage};

pub(super) struct Encoder {
    head: Head,
}

pub(super) fn read(body: &Value) -> Result<Ask, String> {
    let mut tail = Tail::default();
    for content in list(body, "contents")? {
        match content["role"].as_str() {
            Some("user" | "function") | None => user(&mut tail, &content["parts"]),
            Some("model") => tail.model(),
            Some(role) => return Err(format!("contents: the role {role:?} is not known")),
        }
    }
    let groups = body["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    let tools = groups
        .iter()
        .filter_map(|group| group["functionDeclarations"].as_array())
        .flatten()
        .filter_map(|tool| tool["name"].as_str())
        .map(Offer::object)
        .collect();
    Ok(tail.ask(Dialect::Gemini, body, tools))
}

fn user(tail: &mut Tail, parts: &Value) {
    let all = parts.as_array().map(Vec::as_slice).unwrap_or_default();
    let results = all.iter().filter_map(|part| part.get("functionResponse"));
    results.for_each(|result| tail.result(result["response"].to_string()));
    tail.user(text_of(parts));
}

impl Encoder {
    pub(super) fn new(head: Head) -> Self {
        Self { head }
    }
}

impl Encode for Encoder {
    fn begin(&mut self) -> Vec<Event> {
        Vec::new()
    }

    fn open(&mut self, _index: usize, _part: &Part) -> Vec<Event> {
        Vec::new()
    }

    fn delta(&mut self, _index: usize, part: &Part, piece: &str) -> Vec<Event> {
        let part = match part {
            Part::Text(_) => json!({ "text": piece }),
            Part::Thought(_) => json!({ "text": piece, "thought": true }),
            // Gemini streams no arguments: a call comes whole when it is closed.
            Part::Call(_) => return Vec::new(),
        };
        vec![Event::data(&chunk(&self.head, &[part]))]
    }

    fn close(&mut self, _index: usize, part: &Part) -> Vec<Event> {
        match part {
            Part::Call(_) => vec![Event::data(&chunk(&self.head, &[content_part(part)]))],
            Part::Text(_) | Part::Thought(_) => Vec::new(),
        }
    }

    fn end(&mut self, _parts: &[Part], end: End) -> Vec<Event> {
        vec![Event::data(&finished(&self.head, &[json!({ "text": "" })], end))]
    }

    fn fail(&mut self, error: &Failure) -> Vec<Event> {
        vec![Event::data(&failure(error))]
    }
}

pub(super) fn whole(head: &Head, parts: &[Part], end: End) -> Value {
    finished(head, &parts.iter().map(content_part).collect::<Vec<_>>(), end)
}

pub(super) fn failure(failure: &Failure) -> Value {
    let status = match failure.status {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "INTERNAL",
    };
    json!({ "error": { "code": failure.status, "message": failure.message, "status": status } })
}

fn content_part(part: &Part) -> Value {
    match part {
        Part::Text(text) => json!({ "text": text }),
        Part::Thought(text) => json!({ "text": text, "thought": true }),
        Part::Call(call) => json!({
            "functionCall": { "id": call.id, "name": call.name, "args": call.arguments.as_object() },
        }),
    }
}

fn chunk(head: &Head, parts: &[Value]) -> Value {
    json!({
        "candidates": [{ "index": 0, "content": { "role": "model", "parts": parts } }],
        "modelVersion": head.model, "responseId": format!("gemini-{}", head.number),
    })
}

fn finished(head: &Head, parts: &[Value], end: End) -> Value {
    let mut chunk = chunk(head, parts);
    chunk["candidates"][0]["finishReason"] = json!(match end.reason {
        Reason::Done | Reason::ToolUse => "STOP",
        Reason::Length => "MAX_TOKENS",
        Reason::Filter => "SAFETY",
    });
    chunk["usageMetadata"] = usage(end.usage);
    chunk
}

fn usage(usage: Usage) -> Value {
    json!({
        "promptTokenCount": usage.input, "cachedContentTokenCount": usage.cached,
        "candidatesTokenCount": usage.output, "totalTokenCount": usage.input + usage.output,
    })
}
