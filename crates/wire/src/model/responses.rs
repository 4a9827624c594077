//! OpenAI's responses. Nothing is stored there: what the model thought comes back sealed, and goes along with the next request.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::draft::{Draft, Marked};
use super::prompt::texts;
use super::{Ask, Call, Content, Failure, Mark, Message, Part, Stop, Wire, read};
use crate::sse::Event;

/// The body of a request.
pub(super) fn body(ask: &Ask<'_>) -> Value {
    let mut input = Vec::new();
    ask.messages.iter().for_each(|message| push(&mut input, message));
    let mut body = json!({
        "model": ask.model,
        "input": input,
        "stream": true,
        "store": false,
        "include": ["reasoning.encrypted_content"],
    });
    if !ask.system.is_empty() {
        body["instructions"] = json!(ask.system);
    }
    if !ask.tools.is_empty() {
        body["tools"] = ask.tools.iter().map(tool).collect();
    }
    if let Some(max_tokens) = ask.max_tokens {
        body["max_output_tokens"] = json!(max_tokens);
    }
    if let Some(temperature) = ask.temperature {
        body["temperature"] = json!(super::number(temperature));
    }
    if let Some(top_p) = ask.top_p {
        body["top_p"] = json!(super::number(top_p));
    }
    if let Some(effort) = ask.effort {
        body["reasoning"] = json!({ "effort": effort.name(), "summary": "auto" });
    }
    if let Some(key) = ask.cache_key {
        body["prompt_cache_key"] = json!(key);
    }
    body
}

fn tool(tool: &super::Tool) -> Value {
    json!({
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.input,
        "strict": false,
    })
}

fn push(out: &mut Vec<Value>, message: &Message) {
    match message {
        Message::User { content } => out.push(json!({ "role": "user", "content": user(content) })),
        Message::Assistant { parts } => out.extend(parts.iter().filter_map(item)),
        Message::Tool { results } => {
            for result in results {
                let output = texts(&result.content);
                out.push(json!({ "type": "function_call_output", "call_id": result.id, "output": output }));
            }
            let images = results.iter().flat_map(|result| &result.content);
            let images: Vec<Content> =
                images.filter(|content| matches!(content, Content::Image { .. })).cloned().collect();
            if !images.is_empty() {
                out.push(json!({ "role": "user", "content": user(&images) }));
            }
        }
    }
}

fn user(content: &[Content]) -> Value {
    let part = |content: &Content| match content {
        Content::Text { text } => json!({ "type": "input_text", "text": text }),
        Content::Image { mime_type, data } => {
            json!({ "type": "input_image", "image_url": format!("data:{mime_type};base64,{data}") })
        }
    };
    content.iter().map(part).collect()
}

fn item(part: &Part) -> Option<Value> {
    match part {
        Part::Text { text, .. } => {
            let content = json!([{ "type": "output_text", "text": text }]);
            Some(json!({ "type": "message", "role": "assistant", "content": content }))
        }
        // A thought goes back as it came, sealed, or not at all.
        Part::Thought { mark, .. } => Mark::of(mark.as_ref(), Wire::Responses).cloned(),
        Part::Call(Call { id, name, input, .. }) => {
            let arguments = Value::Object(input.clone()).to_string();
            Some(json!({ "type": "function_call", "call_id": id, "name": name, "arguments": arguments }))
        }
    }
}

/// The stream of an answer.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// The places of calls being written, by the index of their item.
    open: BTreeMap<u64, usize>,
    refused: bool,
    pub(super) over: bool,
}

#[derive(Deserialize)]
struct Said {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    output_index: u64,
    #[serde(default)]
    delta: Option<Value>,
    #[serde(default)]
    item: Option<Value>,
    #[serde(default)]
    response: Option<Value>,
}

impl Stream {
    pub(super) fn event(&mut self, event: &Event, draft: &mut Draft) -> Result<(), Failure> {
        if event.data.trim() == "[DONE]" {
            return Ok(());
        }
        let said: Said = read(&event.data)?;
        let delta = said.delta.as_ref().and_then(Value::as_str).unwrap_or_default();
        match said.kind.as_str() {
            "response.output_text.delta" => draft.text(delta),
            "response.refusal.delta" => {
                self.refused = true;
                draft.text(delta)
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => draft.thought(delta),
            "response.reasoning_summary_part.added" => self.next_part(draft),
            "response.output_item.added" => self.begin(said.output_index, said.item.as_ref(), draft),
            "response.function_call_arguments.delta" => {
                let place = self.open.get(&said.output_index).copied();
                place.map_or(Ok(()), |place| draft.input(place, delta))
            }
            "response.output_item.done" => self.item(said.output_index, said.item, draft),
            "response.completed" | "response.incomplete" => {
                self.end(&said.response.unwrap_or_default(), draft);
                Ok(())
            }
            "response.failed" => Err(Failure::of_event(&said.response.unwrap_or_default())),
            "error" => Err(Failure::of_event(&read::<Value>(&event.data)?)),
            _ => Ok(()),
        }
    }

    /// Between the parts of a summary stands an empty line.
    fn next_part(&mut self, draft: &mut Draft) -> Result<(), Failure> {
        if draft.thinks() { draft.thought("\n\n") } else { Ok(()) }
    }

    fn begin(&mut self, index: u64, item: Option<&Value>, draft: &mut Draft) -> Result<(), Failure> {
        let Some(item) = item.filter(|item| item["type"] == "function_call") else { return Ok(()) };
        let (id, name) = (item["call_id"].as_str(), item["name"].as_str().unwrap_or_default());
        let place = draft.begin(id, name, None)?;
        self.open.insert(index, place);
        Ok(())
    }

    fn item(&mut self, index: u64, item: Option<Value>, draft: &mut Draft) -> Result<(), Failure> {
        let Some(item) = item else { return Ok(()) };
        match item["type"].as_str() {
            Some("function_call") => {
                if !self.open.contains_key(&index) {
                    self.begin(index, Some(&item), draft)?;
                }
                let Some(place) = self.open.remove(&index) else { return Ok(()) };
                if let Some(arguments) = item["arguments"].as_str() {
                    draft.set_input(place, arguments)?;
                }
                draft.end(place);
                Ok(())
            }
            // Without the seal it would be looked for in a store, where it is not.
            Some("reasoning") if item["encrypted_content"].is_string() => {
                draft.mark(Mark { wire: Wire::Responses, data: item }, Marked::Thought)
            }
            _ => Ok(()),
        }
    }

    fn end(&mut self, response: &Value, draft: &mut Draft) {
        self.over = true;
        let (used, number) = (&response["usage"], |value: &Value| value.as_u64());
        draft.usage.input = number(&used["input_tokens"]);
        draft.usage.output = number(&used["output_tokens"]);
        draft.usage.cache_read = number(&used["input_tokens_details"]["cached_tokens"]);
        draft.usage.thought = number(&used["output_tokens_details"]["reasoning_tokens"]);
        let word = response["incomplete_details"]["reason"].as_str();
        let word = word.or_else(|| response["status"].as_str()).unwrap_or("completed").to_owned();
        let stop = match word.as_str() {
            "max_output_tokens" => Stop::MaxTokens,
            "content_filter" => Stop::Refusal,
            _ if self.refused => Stop::Refusal,
            _ if draft.has_calls() => Stop::ToolUse,
            _ => Stop::EndTurn,
        };
        draft.stop(stop, &word);
    }
}
