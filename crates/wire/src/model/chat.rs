//! OpenAI's chat completions, and what others make of them.

use serde::Deserialize;
use serde_json::{Value, json};

use super::draft::Draft;
use super::prompt::texts;
use super::{Ask, Call, Content, Failure, Message, Part, Stop, Usage, read};
use crate::sse::Event;

/// The body of a request.
pub(super) fn body(ask: &Ask<'_>, openai: bool) -> Value {
    let mut messages = Vec::new();
    if !ask.system.is_empty() {
        messages.push(json!({ "role": "system", "content": ask.system }));
    }
    ask.messages.iter().for_each(|message| push(&mut messages, message));
    let mut body = json!({
        "model": ask.model,
        "messages": messages,
        "stream": true,
        "stream_options": { "include_usage": true },
    });
    if !ask.tools.is_empty() {
        body["tools"] = ask.tools.iter().map(tool).collect();
    }
    if let Some(max_tokens) = ask.max_tokens {
        // OpenAI's models that think refuse the older name; servers of others may not know the newer.
        let name = if openai { "max_completion_tokens" } else { "max_tokens" };
        body[name] = json!(max_tokens);
    }
    if let Some(temperature) = ask.temperature {
        body["temperature"] = json!(super::number(temperature));
    }
    if let Some(top_p) = ask.top_p {
        body["top_p"] = json!(super::number(top_p));
    }
    if let Some(effort) = ask.effort {
        body["reasoning_effort"] = json!(effort.name());
    }
    if let (true, Some(key)) = (openai, ask.cache_key) {
        body["prompt_cache_key"] = json!(key);
    }
    body
}

fn tool(tool: &super::Tool) -> Value {
    let function = json!({ "name": tool.name, "description": tool.description, "parameters": tool.input });
    json!({ "type": "function", "function": function })
}

fn push(out: &mut Vec<Value>, message: &Message) {
    match message {
        Message::User { content } => out.push(json!({ "role": "user", "content": user(content) })),
        Message::Assistant { parts } => out.extend(assistant(parts)),
        Message::Tool { results } => {
            for result in results {
                out.push(
                    json!({ "role": "tool", "tool_call_id": result.id, "content": texts(&result.content) }),
                );
            }
            // A result is text alone: pictures follow as a user's.
            let images: Vec<Content> =
                results.iter().flat_map(|result| &result.content).filter(is_image).cloned().collect();
            if !images.is_empty() {
                out.push(json!({ "role": "user", "content": user(&images) }));
            }
        }
    }
}

fn is_image(content: &&Content) -> bool {
    matches!(content, Content::Image { .. })
}

/// A text alone goes as a text: servers that know no parts are many.
fn user(content: &[Content]) -> Value {
    if !content.iter().any(|content| is_image(&content)) {
        return json!(texts(content));
    }
    let part = |content: &Content| match content {
        Content::Text { text } => json!({ "type": "text", "text": text }),
        Content::Image { mime_type, data } => {
            json!({ "type": "image_url", "image_url": { "url": format!("data:{mime_type};base64,{data}") } })
        }
    };
    content.iter().map(part).collect()
}

fn assistant(parts: &[Part]) -> Option<Value> {
    let mut text = String::new();
    let mut calls = Vec::new();
    for part in parts {
        match part {
            Part::Text { text: more, .. } => text.push_str(more),
            Part::Thought { .. } => {}
            Part::Call(Call { id, name, input, .. }) => {
                let arguments = Value::Object(input.clone()).to_string();
                let function = json!({ "name": name, "arguments": arguments });
                calls.push(json!({ "id": id, "type": "function", "function": function }));
            }
        }
    }
    let mut message =
        json!({ "role": "assistant", "content": if text.is_empty() { Value::Null } else { json!(text) } });
    if !calls.is_empty() {
        message["tool_calls"] = json!(calls);
    } else if text.is_empty() {
        return None;
    }
    Some(message)
}

/// The stream of an answer.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// Calls being written: their index, id and place.
    open: Vec<(u64, String, usize)>,
    refused: bool,
    pub(super) over: bool,
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Used>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Option<Delta>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Delta {
    content: Option<String>,
    refusal: Option<String>,
    reasoning_content: Option<String>,
    reasoning: Option<String>,
    tool_calls: Option<Vec<CallDelta>>,
}

#[derive(Deserialize)]
struct CallDelta {
    index: Option<u64>,
    id: Option<String>,
    function: Option<FunctionDelta>,
}

#[derive(Deserialize)]
struct FunctionDelta {
    name: Option<String>,
    /// A text; an object with some servers.
    arguments: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Used {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<Details>,
    completion_tokens_details: Option<Details>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Details {
    cached_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
}

impl Stream {
    pub(super) fn event(&mut self, event: &Event, draft: &mut Draft) -> Result<(), Failure> {
        if event.data.trim() == "[DONE]" {
            self.over = true;
            return Ok(());
        }
        let chunk: Chunk = read(&event.data)?;
        if let Some(error) = chunk.error {
            return Err(Failure::of_event(&json!({ "error": error })));
        }
        if let Some(used) = chunk.usage {
            note(&mut draft.usage, used);
        }
        let Some(choice) = chunk.choices.into_iter().next() else { return Ok(()) };
        let delta = choice.delta.unwrap_or_default();
        if let Some(thought) = delta.reasoning_content.or(delta.reasoning) {
            draft.thought(&thought)?;
        }
        if let Some(text) = delta.content {
            draft.text(&text)?;
        }
        if let Some(text) = delta.refusal {
            self.refused |= !text.is_empty();
            draft.text(&text)?;
        }
        for call in delta.tool_calls.unwrap_or_default() {
            self.call(call, draft)?;
        }
        if let Some(word) = choice.finish_reason.filter(|word| !word.is_empty()) {
            self.end(draft);
            // Some servers say `stop` behind calls.
            let stop = if self.refused { Stop::Refusal } else { stop(&word, draft.has_calls()) };
            draft.stop(stop, &word);
        }
        Ok(())
    }

    /// All calls are whole now.
    pub(super) fn end(&mut self, draft: &mut Draft) {
        for (_, _, place) in self.open.drain(..) {
            draft.end(place);
        }
        // A server that ends without any reason, behind its last word, has ended.
        if self.over && draft.stop.is_none() {
            draft.stop(stop("", draft.has_calls()), "");
        }
    }

    fn call(&mut self, call: CallDelta, draft: &mut Draft) -> Result<(), Failure> {
        let id = call.id.unwrap_or_default();
        let (name, arguments) =
            call.function.map_or((None, None), |function| (function.name, function.arguments));
        // What has no index continues the last call, unless it has an id of its own. One index for several calls is seen too.
        let index = call.index.or_else(|| self.open.last().map(|(index, ..)| *index)).unwrap_or(0);
        let known =
            self.open.iter().rev().find(|(at, known, _)| *at == index && (id.is_empty() || *known == id));
        let place = match known {
            Some((.., place)) => {
                let place = *place;
                if let Some(more) = name.filter(|_| id.is_empty()) {
                    draft.rename(place, &more);
                }
                place
            }
            None => {
                let place = draft.begin(Some(&id), name.as_deref().unwrap_or_default(), None)?;
                self.open.push((index, id, place));
                place
            }
        };
        match arguments {
            Some(Value::String(text)) => draft.input(place, &text),
            Some(Value::Null) | None => Ok(()),
            Some(whole) => draft.set_input(place, &whole.to_string()),
        }
    }
}

fn note(usage: &mut Usage, used: Used) {
    let (prompt, completion) =
        (used.prompt_tokens_details.unwrap_or_default(), used.completion_tokens_details.unwrap_or_default());
    usage.input = used.prompt_tokens.or(usage.input);
    usage.output = used.completion_tokens.or(usage.output);
    usage.cache_read = prompt.cached_tokens.or(usage.cache_read);
    usage.thought = completion.reasoning_tokens.or(usage.thought);
}

fn stop(word: &str, calls: bool) -> Stop {
    match word {
        "length" => Stop::MaxTokens,
        "content_filter" => Stop::Refusal,
        _ if calls => Stop::ToolUse,
        _ => Stop::EndTurn,
    }
}
