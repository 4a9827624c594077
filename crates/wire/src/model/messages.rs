//! Anthropic's messages.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::draft::{Draft, Marked};
use super::{Ask, Call, Content, Failure, Mark, Message, Part, Stop, Wire, read};
use crate::sse::Event;

/// A number must be given.
const MAX_TOKENS: u32 = 16_384;
/// The most that a thought must leave for the answer.
const MIN_ANSWER: u32 = 4_096;

/// The body of a request. The system prompt, the tools and the conversation so far are marked to be cached.
pub(super) fn body(ask: &Ask<'_>) -> Value {
    let thinks = ask.effort.filter(|_| may_think(ask.messages)).map(|effort| effort.tokens());
    let max_tokens = ask.max_tokens.unwrap_or(MAX_TOKENS);
    // Tokens of thought count to those of the answer, so there must be more of these.
    let max_tokens = thinks.map_or(max_tokens, |thinks| max_tokens.max(thinks + MIN_ANSWER));
    let mut body = json!({
        "model": ask.model,
        "max_tokens": max_tokens,
        "stream": true,
        "messages": messages(ask.messages, thinks.is_some()),
    });
    if !ask.system.is_empty() {
        body["system"] = json!([{ "type": "text", "text": ask.system, "cache_control": cached() }]);
    }
    if !ask.tools.is_empty() {
        body["tools"] = tools(ask);
    }
    match thinks {
        // With thought no other temperature than 1 is taken.
        Some(tokens) => body["thinking"] = json!({ "type": "enabled", "budget_tokens": tokens }),
        None => {
            if let Some(temperature) = ask.temperature {
                body["temperature"] = json!(super::number(temperature));
            } else if let Some(top_p) = ask.top_p {
                body["top_p"] = json!(super::number(top_p));
            }
        }
    }
    body
}

/// Within a turn, a call that was made without a thought forbids to switch thought on: another model may have made it.
fn may_think(messages: &[Message]) -> bool {
    let turn = messages.iter().rev().take_while(|message| !matches!(message, Message::User { .. }));
    let own = |part: Option<&Part>| match part {
        Some(Part::Thought { mark, .. }) => Mark::of(mark.as_ref(), Wire::Messages).is_some(),
        Some(Part::Text { .. } | Part::Call(_)) | None => false,
    };
    let mut said = turn.filter_map(|message| match message {
        Message::Assistant { parts } => Some(own(parts.first())),
        Message::User { .. } | Message::Tool { .. } => None,
    });
    said.all(|thought| thought)
}

fn cached() -> Value {
    json!({ "type": "ephemeral" })
}

fn tools(ask: &Ask<'_>) -> Value {
    let tool = |tool: &super::Tool| json!({ "name": tool.name, "description": tool.description, "input_schema": tool.input });
    let mut tools: Vec<Value> = ask.tools.iter().map(tool).collect();
    if let Some(last) = tools.last_mut() {
        last["cache_control"] = cached();
    }
    Value::Array(tools)
}

/// Messages of one role that follow each other are one. The last block of what was said to the model is marked, so that the next
/// request finds the conversation up to here in the cache.
fn messages(all: &[Message], thinks: bool) -> Value {
    let mut out: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in all {
        let (role, blocks) = match message {
            Message::User { content } => ("user", content.iter().map(content_block).collect()),
            Message::Tool { results } => ("user", results.iter().map(result).collect()),
            Message::Assistant { parts } => {
                ("assistant", parts.iter().filter_map(|part| block(part, thinks)).collect::<Vec<_>>())
            }
        };
        match out.last_mut() {
            Some((last, so_far)) if *last == role => so_far.extend(blocks),
            _ => out.push((role, blocks)),
        }
    }
    if let Some(block) = out.last_mut().and_then(|(_, blocks)| blocks.last_mut()) {
        block["cache_control"] = cached();
    }
    let out = out.into_iter().filter(|(_, blocks)| !blocks.is_empty());
    out.map(|(role, content)| json!({ "role": role, "content": content })).collect()
}

fn content_block(content: &Content) -> Value {
    match content {
        Content::Text { text } => json!({ "type": "text", "text": text }),
        Content::Image { mime_type, data } => json!({
            "type": "image",
            "source": { "type": "base64", "media_type": mime_type, "data": data },
        }),
    }
}

fn result(result: &super::ToolResult) -> Value {
    let content: Vec<Value> = result.content.iter().map(content_block).collect();
    let mut block = json!({ "type": "tool_result", "tool_use_id": result.id, "content": content });
    if result.failed {
        block["is_error"] = json!(true);
    }
    block
}

fn block(part: &Part, thinks: bool) -> Option<Value> {
    match part {
        Part::Text { text, .. } => (!text.trim().is_empty()).then(|| json!({ "type": "text", "text": text })),
        // A thought is taken back only with its signature, and only where thought is switched on.
        Part::Thought { text, mark } => {
            let mark = Mark::of(mark.as_ref(), Wire::Messages).filter(|_| thinks)?;
            Some(match mark["redacted"].as_str() {
                Some(data) => json!({ "type": "redacted_thinking", "data": data }),
                None => json!({ "type": "thinking", "thinking": text, "signature": mark["signature"] }),
            })
        }
        Part::Call(Call { id, name, input, .. }) => {
            Some(json!({ "type": "tool_use", "id": id, "name": name, "input": input }))
        }
    }
}

/// The stream of an answer.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// The places of calls whose input is being written, by the index of their block.
    open: BTreeMap<u64, usize>,
    pub(super) over: bool,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Said {
    MessageStart {
        message: Begun,
    },
    ContentBlockStart {
        index: u64,
        content_block: Block,
    },
    ContentBlockDelta {
        index: u64,
        delta: Delta,
    },
    ContentBlockStop {
        index: u64,
    },
    MessageDelta {
        delta: End,
        #[serde(default)]
        usage: Option<Usage>,
    },
    MessageStop,
    Error {
        error: Value,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Begun {
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text {
        #[serde(default)]
        text: String,
    },
    Thinking {
        #[serde(default)]
        thinking: String,
    },
    RedactedThinking {
        data: String,
    },
    ToolUse {
        id: String,
        name: String,
        #[serde(default)]
        input: Value,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Delta {
    #[serde(rename = "text_delta")]
    Text { text: String },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: String },
    #[serde(rename = "signature_delta")]
    Signature { signature: String },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: String },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct End {
    stop_reason: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
}

impl Stream {
    pub(super) fn event(&mut self, event: &Event, draft: &mut Draft) -> Result<(), Failure> {
        match read::<Said>(&event.data)? {
            Said::MessageStart { message } => note(draft, message.usage),
            Said::ContentBlockStart { index, content_block } => {
                return self.begin(index, content_block, draft);
            }
            Said::ContentBlockDelta { index, delta } => match delta {
                Delta::Text { text } => return draft.text(&text),
                Delta::Thinking { thinking } => return draft.thought(&thinking),
                Delta::Signature { signature } => {
                    let data = json!({ "signature": signature });
                    return draft.mark(Mark { wire: Wire::Messages, data }, Marked::Thought);
                }
                Delta::InputJson { partial_json } => {
                    let place = self.open.get(&index).copied();
                    return place.map_or(Ok(()), |place| draft.input(place, &partial_json));
                }
                Delta::Other => {}
            },
            Said::ContentBlockStop { index } => {
                if let Some(place) = self.open.remove(&index) {
                    draft.end(place);
                }
            }
            Said::MessageDelta { delta, usage } => {
                note(draft, usage);
                if let Some(word) = delta.stop_reason {
                    draft.stop(stop(&word), &word);
                }
            }
            Said::MessageStop => self.over = true,
            Said::Error { error } => return Err(Failure::of_event(&json!({ "error": error }))),
            Said::Other => {}
        }
        Ok(())
    }

    fn begin(&mut self, index: u64, block: Block, draft: &mut Draft) -> Result<(), Failure> {
        match block {
            Block::Text { text } => draft.text(&text),
            Block::Thinking { thinking } => draft.thought(&thinking),
            Block::RedactedThinking { data } => {
                draft.mark(Mark { wire: Wire::Messages, data: json!({ "redacted": data }) }, Marked::None)
            }
            Block::ToolUse { id, name, input } => {
                let place = draft.begin(Some(&id), &name, None)?;
                // Some that call themselves compatible give all of it at once.
                if input.as_object().is_some_and(|input| !input.is_empty()) {
                    draft.input(place, &input.to_string())?;
                }
                self.open.insert(index, place);
                Ok(())
            }
            Block::Other => Ok(()),
        }
    }
}

/// The newest number of each kind counts.
fn note(draft: &mut Draft, usage: Option<Usage>) {
    let Some(usage) = usage else { return };
    let so_far = &mut draft.usage;
    if let Some(input) = usage.input_tokens {
        let cache = [usage.cache_read_input_tokens, usage.cache_creation_input_tokens];
        so_far.input = Some(input + cache.iter().flatten().sum::<u64>());
    }
    so_far.output = usage.output_tokens.or(so_far.output);
    so_far.cache_read = usage.cache_read_input_tokens.or(so_far.cache_read);
    so_far.cache_write = usage.cache_creation_input_tokens.or(so_far.cache_write);
}

fn stop(word: &str) -> Stop {
    match word {
        "tool_use" => Stop::ToolUse,
        "max_tokens" => Stop::MaxTokens,
        "refusal" => Stop::Refusal,
        "pause_turn" => Stop::Paused,
        "model_context_window_exceeded" => Stop::ContextFull,
        _ => Stop::EndTurn,
    }
}
