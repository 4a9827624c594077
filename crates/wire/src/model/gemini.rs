//! Gemini's `streamGenerateContent`.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::draft::{Draft, Marked};
use super::prompt::texts;
use super::{Ask, Call, Content, Failure, Mark, Message, Part, Stop, ToolResult, Wire, read};
use crate::sse::Event;

/// The body of a request.
pub(super) fn body(ask: &Ask<'_>) -> Value {
    let mut body = json!({ "contents": contents(ask.messages) });
    if !ask.system.is_empty() {
        body["systemInstruction"] = json!({ "parts": [{ "text": ask.system }] });
    }
    if !ask.tools.is_empty() {
        let declarations: Vec<Value> = ask.tools.iter().map(tool).collect();
        body["tools"] = json!([{ "functionDeclarations": declarations }]);
    }
    let mut config = Map::new();
    if let Some(max_tokens) = ask.max_tokens {
        config.insert("maxOutputTokens".to_owned(), json!(max_tokens));
    }
    if let Some(temperature) = ask.temperature {
        config.insert("temperature".to_owned(), json!(super::number(temperature)));
    }
    if let Some(top_p) = ask.top_p {
        config.insert("topP".to_owned(), json!(super::number(top_p)));
    }
    if let Some(effort) = ask.effort {
        let thinking = json!({ "includeThoughts": true, "thinkingBudget": effort.tokens() });
        config.insert("thinkingConfig".to_owned(), thinking);
    }
    if !config.is_empty() {
        body["generationConfig"] = Value::Object(config);
    }
    body
}

fn tool(tool: &super::Tool) -> Value {
    json!({ "name": tool.name, "description": tool.description, "parametersJsonSchema": tool.input })
}

fn contents(all: &[Message]) -> Value {
    let mut out: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in all {
        let (role, parts) = match message {
            Message::User { content } => ("user", content.iter().map(content_part).collect()),
            Message::Assistant { parts } => ("model", parts.iter().filter_map(part).collect()),
            Message::Tool { results } => ("user", results.iter().flat_map(result).collect::<Vec<_>>()),
        };
        match out.last_mut() {
            Some((last, so_far)) if *last == role => so_far.extend(parts),
            _ => out.push((role, parts)),
        }
    }
    let out = out.into_iter().filter(|(_, parts)| !parts.is_empty());
    out.map(|(role, parts)| json!({ "role": role, "parts": parts })).collect()
}

fn content_part(content: &Content) -> Value {
    match content {
        Content::Text { text } => json!({ "text": text }),
        Content::Image { mime_type, data } => {
            json!({ "inlineData": { "mimeType": mime_type, "data": data } })
        }
    }
}

fn part(part: &Part) -> Option<Value> {
    let (mut value, mark) = match part {
        Part::Text { text, mark } => (json!({ "text": text }), mark),
        // What it thought it does not take back, but for the signature where it stands alone.
        Part::Thought { mark, .. } => {
            (Mark::of(mark.as_ref(), Wire::Gemini).map(|_| json!({ "text": "" }))?, mark)
        }
        Part::Call(Call { name, input, mark, .. }) => {
            (json!({ "functionCall": { "name": name, "args": input } }), mark)
        }
    };
    if let Some(signature) = Mark::of(mark.as_ref(), Wire::Gemini) {
        value["thoughtSignature"] = signature.clone();
    }
    Some(value)
}

/// A response is an object; pictures follow it.
fn result(result: &ToolResult) -> Vec<Value> {
    let name = if result.failed { "error" } else { "output" };
    let response = json!({ name: texts(&result.content) });
    let mut parts = vec![json!({ "functionResponse": { "name": result.name, "response": response } })];
    let images = result.content.iter().filter(|content| matches!(content, Content::Image { .. }));
    parts.extend(images.map(content_part));
    parts
}

/// The stream of an answer.
#[derive(Debug)]
pub(super) struct Stream;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chunk {
    #[serde(default)]
    candidates: Vec<Candidate>,
    #[serde(default)]
    usage_metadata: Option<Used>,
    #[serde(default)]
    prompt_feedback: Option<Feedback>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    #[serde(default)]
    content: Option<Said>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    parts: Vec<Piece>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Piece {
    text: Option<String>,
    #[serde(default)]
    thought: bool,
    thought_signature: Option<Value>,
    function_call: Option<Function>,
}

#[derive(Deserialize)]
struct Function {
    id: Option<String>,
    #[serde(default)]
    name: String,
    #[serde(default)]
    args: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feedback {
    block_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Used {
    prompt_token_count: Option<u64>,
    candidates_token_count: Option<u64>,
    thoughts_token_count: Option<u64>,
    cached_content_token_count: Option<u64>,
}

impl Stream {
    #[expect(clippy::unused_self, reason = "the streams of all wires are called alike")]
    pub(super) fn event(&mut self, event: &Event, draft: &mut Draft) -> Result<(), Failure> {
        let chunk: Chunk = read(&event.data)?;
        if let Some(error) = chunk.error {
            return Err(Failure::of_event(&json!({ "error": error })));
        }
        if let Some(used) = chunk.usage_metadata {
            let usage = &mut draft.usage;
            usage.input = used.prompt_token_count.or(usage.input);
            usage.thought = used.thoughts_token_count.or(usage.thought);
            // What it thought is not among what it said here.
            let said = used.candidates_token_count.map(|said| said + used.thoughts_token_count.unwrap_or(0));
            usage.output = said.or(usage.output);
            usage.cache_read = used.cached_content_token_count.or(usage.cache_read);
        }
        if let Some(reason) = chunk.prompt_feedback.and_then(|feedback| feedback.block_reason) {
            draft.stop(Stop::Refusal, &reason);
        }
        let Some(candidate) = chunk.candidates.into_iter().next() else { return Ok(()) };
        for piece in candidate.content.map(|said| said.parts).unwrap_or_default() {
            push(piece, draft)?;
        }
        if let Some(word) = candidate.finish_reason {
            draft.stop(stop(&word, draft.has_calls()), &word);
        }
        Ok(())
    }
}

fn push(piece: Piece, draft: &mut Draft) -> Result<(), Failure> {
    let mark = piece.thought_signature.map(|data| Mark { wire: Wire::Gemini, data });
    if let Some(call) = piece.function_call {
        return draft.call(call.id.as_deref(), &call.name, call.args, mark);
    }
    let text = piece.text.unwrap_or_default();
    if piece.thought {
        draft.thought(&text)?;
    } else {
        draft.text(&text)?;
    }
    match mark {
        Some(mark) => draft.mark(mark, if piece.thought { Marked::Thought } else { Marked::Text }),
        None => Ok(()),
    }
}

fn stop(word: &str, calls: bool) -> Stop {
    match word {
        "MAX_TOKENS" => Stop::MaxTokens,
        "SAFETY" | "RECITATION" | "LANGUAGE" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII"
        | "IMAGE_SAFETY" => Stop::Refusal,
        _ if calls => Stop::ToolUse,
        _ => Stop::EndTurn,
    }
}
