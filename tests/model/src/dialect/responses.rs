//! OpenAI responses. Source: OpenAI's API reference, "Responses" and "Streaming events".

use serde_json::{Value, json};

use super::{Arguments, Dialect, Encode, End, Event, Head, Part, Reason, Tail, list, text_of};
use crate::ask::{Ask, Input, Offer};
use crate::script::{Failure, Usage};

/// A fixed time of creation keeps transcripts equal from run to run.
const CREATED: u64 = 1_700_000_000;

pub(super) struct Encoder {
    head: Head,
    events: u64,
}

pub(super) fn read(body: &Value) -> Result<Ask, String> {
    let mut tail = Tail::default();
    if let Some(text) = body["input"].as_str() {
        tail.user(text.to_owned());
    } else {
        for item in list(body, "input")? {
            match (item["type"].as_str().unwrap_or("message"), item["role"].as_str()) {
                ("message", Some("user")) => tail.user(text_of(&item["content"])),
                ("message", Some("system" | "developer")) => {}
                (kind, _) if kind.ends_with("_output") => tail.result(output_text(&item["output"])),
                _ => tail.model(),
            }
        }
    }
    let offered = body["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(tail.ask(Dialect::Responses, body, offered.iter().flat_map(offers).collect()))
}

/// What stands between the name of a namespace and that of a tool in it, as scripts and records have them.
const IN: char = '/';

/// The tools that an entry offers: itself, or those of a namespace.
fn offers(tool: &Value) -> Vec<Offer> {
    let (Some(space), Some(inner)) = (tool["name"].as_str(), tool["tools"].as_array()) else {
        return offer(tool).into_iter().collect();
    };
    let named = |offer: Offer| Offer { name: format!("{space}{IN}{}", offer.name), ..offer };
    inner.iter().filter_map(offer).map(named).collect()
}

/// A tool's output is a string, a list of content parts, or an older object with `content`.
fn output_text(output: &Value) -> String {
    if output.is_object() { text_of(&output["content"]) } else { text_of(output) }
}

fn offer(tool: &Value) -> Option<Offer> {
    let name = tool["name"].as_str()?.to_owned();
    let input = if tool["type"] == "custom" { Input::Text } else { Input::Object };
    Some(Offer { name, input })
}

impl Encoder {
    pub(super) fn new(head: Head) -> Self {
        Self { head, events: 0 }
    }

    fn event(&mut self, name: &'static str, mut data: Value) -> Event {
        data["type"] = json!(name);
        data["sequence_number"] = json!(self.events);
        self.events += 1;
        Event::named(name, &data)
    }

    /// An event about an item's content: the item's id and place, and one thing more.
    fn about(&mut self, name: &'static str, index: usize, part: &Part, key: &str, value: Value) -> Event {
        let mut data = json!({ "item_id": item_id(&self.head, index, part), "output_index": index });
        match part {
            Part::Text(_) => data["content_index"] = json!(0),
            Part::Thought(_) => data["summary_index"] = json!(0),
            Part::Call(_) => {}
        }
        data[key] = value;
        self.event(name, data)
    }

    fn item(&mut self, name: &'static str, index: usize, part: &Part, status: &str) -> Event {
        let item = item(&self.head, index, part, status);
        self.event(name, json!({ "output_index": index, "item": item }))
    }
}

impl Encode for Encoder {
    fn begin(&mut self) -> Vec<Event> {
        let response = response(&self.head, "in_progress", &[]);
        vec![
            self.event("response.created", json!({ "response": response })),
            self.event("response.in_progress", json!({ "response": response })),
        ]
    }

    fn open(&mut self, index: usize, part: &Part) -> Vec<Event> {
        let mut events = vec![self.item("response.output_item.added", index, part, "in_progress")];
        match part {
            Part::Text(text) => {
                events.push(self.about("response.content_part.added", index, part, "part", text_part(text)));
            }
            Part::Thought(text) => {
                let name = "response.reasoning_summary_part.added";
                events.push(self.about(name, index, part, "part", summary_part(text)));
            }
            Part::Call(_) => {}
        }
        events
    }

    fn delta(&mut self, index: usize, part: &Part, piece: &str) -> Vec<Event> {
        let name = match part {
            Part::Text(_) => "response.output_text.delta",
            Part::Thought(_) => "response.reasoning_summary_text.delta",
            Part::Call(call) => match call.arguments {
                Arguments::Object(_) => "response.function_call_arguments.delta",
                Arguments::Text(_) => "response.custom_tool_call_input.delta",
            },
        };
        vec![self.about(name, index, part, "delta", json!(piece))]
    }

    fn close(&mut self, index: usize, part: &Part) -> Vec<Event> {
        let mut events = match part {
            Part::Text(text) => vec![
                self.about("response.output_text.done", index, part, "text", json!(text)),
                self.about("response.content_part.done", index, part, "part", text_part(text)),
            ],
            Part::Thought(text) => vec![
                self.about("response.reasoning_summary_text.done", index, part, "text", json!(text)),
                self.about("response.reasoning_summary_part.done", index, part, "part", summary_part(text)),
            ],
            Part::Call(call) => {
                let (name, key) = match call.arguments {
                    Arguments::Object(_) => ("response.function_call_arguments.done", "arguments"),
                    Arguments::Text(_) => ("response.custom_tool_call_input.done", "input"),
                };
                vec![self.about(name, index, part, key, json!(call.arguments.as_text()))]
            }
        };
        events.push(self.item("response.output_item.done", index, part, "completed"));
        events
    }

    fn end(&mut self, parts: &[Part], end: End) -> Vec<Event> {
        let response = whole(&self.head, parts, end);
        let name = match end.reason {
            Reason::Done | Reason::ToolUse => "response.completed",
            Reason::Length | Reason::Filter => "response.incomplete",
        };
        vec![self.event(name, json!({ "response": response }))]
    }

    fn fail(&mut self, failure: &Failure) -> Vec<Event> {
        let mut response = response(&self.head, "failed", &[]);
        response["error"] = json!({ "code": code(failure.status), "message": failure.message });
        vec![self.event("response.failed", json!({ "response": response }))]
    }
}

pub(super) fn whole(head: &Head, parts: &[Part], end: End) -> Value {
    let (status, why) = match end.reason {
        Reason::Done | Reason::ToolUse => ("completed", Value::Null),
        Reason::Length => ("incomplete", json!({ "reason": "max_output_tokens" })),
        Reason::Filter => ("incomplete", json!({ "reason": "content_filter" })),
    };
    let items: Vec<_> = parts.iter().enumerate().map(|(i, part)| item(head, i, part, "completed")).collect();
    let mut response = response(head, status, &items);
    response["incomplete_details"] = why;
    response["usage"] = usage(end.usage);
    response
}

fn response(head: &Head, status: &str, output: &[Value]) -> Value {
    json!({
        "id": format!("resp_{}", head.number), "object": "response", "created_at": CREATED,
        "model": head.model, "status": status, "output": output,
        "error": null, "incomplete_details": null, "usage": null,
    })
}

fn item(head: &Head, index: usize, part: &Part, status: &str) -> Value {
    let id = item_id(head, index, part);
    let started = status == "in_progress";
    match part {
        Part::Text(text) => {
            let content = if started { json!([]) } else { json!([text_part(text)]) };
            json!({ "id": id, "type": "message", "role": "assistant", "status": status, "content": content })
        }
        Part::Thought(text) => {
            let summary = if started { json!([]) } else { json!([summary_part(text)]) };
            json!({ "id": id, "type": "reasoning", "summary": summary })
        }
        Part::Call(call) => {
            let (kind, key) = match call.arguments {
                Arguments::Object(_) => ("function_call", "arguments"),
                Arguments::Text(_) => ("custom_tool_call", "input"),
            };
            let input = if started { String::new() } else { call.arguments.as_text() };
            let (space, name) = call.name.rsplit_once(IN).map_or((None, &*call.name), |(s, n)| (Some(s), n));
            let mut item = json!({
                "id": id, "type": kind, "status": status, "call_id": call.id, "name": name, key: input,
            });
            if let Some(space) = space {
                item["namespace"] = json!(space);
            }
            item
        }
    }
}

fn item_id(head: &Head, index: usize, part: &Part) -> String {
    let prefix = match part {
        Part::Text(_) => "msg",
        Part::Thought(_) => "rs",
        Part::Call(call) => match call.arguments {
            Arguments::Object(_) => "fc",
            Arguments::Text(_) => "ctc",
        },
    };
    format!("{prefix}_{}_{index}", head.number)
}

fn text_part(text: &str) -> Value {
    json!({ "type": "output_text", "text": text, "annotations": [] })
}

fn summary_part(text: &str) -> Value {
    json!({ "type": "summary_text", "text": text })
}

fn code(status: u16) -> &'static str {
    if status == 429 { "rate_limit_exceeded" } else { "server_error" }
}

fn usage(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.input, "input_tokens_details": { "cached_tokens": usage.cached },
        "output_tokens": usage.output, "output_tokens_details": { "reasoning_tokens": 0 },
        "total_tokens": usage.input + usage.output,
    })
}
