//! A client for each dialect, written apart from the server: plain HTTP/1.1, server-sent events, and the parts of an
//! answer put together again.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use trunkline_model_server::{Dialect, ModelServer};

pub(crate) const ALL: [Dialect; 4] = [Dialect::Chat, Dialect::Responses, Dialect::Messages, Dialect::Gemini];

/// An HTTP response, and whether it came whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
    pub(crate) complete: bool,
}

/// An answer put together again.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) thought: String,
    /// Id, tool and arguments; free text is a JSON string.
    pub(crate) calls: Vec<(String, String, Value)>,
    pub(crate) stop: String,
    /// Read, written and cached tokens.
    pub(crate) usage: (u64, u64, u64),
    /// The code or type of an error in the stream.
    pub(crate) error: Option<String>,
}

/// Who said something in a conversation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Said<'a> {
    User(&'a str),
    Call(&'a str),
    Result(&'a str),
}

/// Sends a request and reads the response to its end.
pub(crate) async fn send(server: &ModelServer, method: &str, path: &str, headers: &str, body: &str) -> Reply {
    let mut stream = open(server, method, path, headers, body).await;
    let mut bytes = Vec::new();
    // A cut connection may show as a reset.
    let _cut = stream.read_to_end(&mut bytes).await;
    reply(&bytes)
}

/// Sends a request and leaves the response unread.
pub(crate) async fn open(
    server: &ModelServer,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> TcpStream {
    let host = server.url().replace("http://", "");
    let mut stream = TcpStream::connect(&host).await.unwrap();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
    );
    // A server that refuses a body may close before it is sent.
    let _refused = stream.write_all(format!("{head}{body}").as_bytes()).await;
    stream
}

/// Asks in a dialect, with the tool `write` offered, and puts the answer together.
pub(crate) async fn ask(server: &ModelServer, dialect: Dialect, stream: bool, talk: &[Said<'_>]) -> Answer {
    let reply = raw(server, dialect, stream, talk).await;
    assert_eq!((reply.status, reply.complete), (200, true), "{reply:?}");
    if stream { assemble(dialect, &events(&reply.body)) } else { whole(dialect, &reply.body) }
}

/// Asks in a dialect and gives the response as it is.
pub(crate) async fn raw(server: &ModelServer, dialect: Dialect, stream: bool, talk: &[Said<'_>]) -> Reply {
    let (path, body) = request(dialect, stream, talk);
    send(server, "POST", &path, "", &body.to_string()).await
}

/// The path and body of a request.
pub(crate) fn request(dialect: Dialect, stream: bool, talk: &[Said<'_>]) -> (String, Value) {
    let schema = json!({ "type": "object" });
    match dialect {
        Dialect::Chat => {
            let function = json!({ "name": "write", "parameters": schema });
            let tools = json!([{ "type": "function", "function": function }]);
            let messages: Vec<_> = talk.iter().map(chat_message).collect();
            let body = json!({
                "model": "m", "stream": stream, "stream_options": { "include_usage": true },
                "messages": messages, "tools": tools,
            });
            ("/v1/chat/completions".to_owned(), body)
        }
        Dialect::Responses => {
            let tools = json!([
                { "type": "function", "name": "write", "parameters": schema },
                { "type": "custom", "name": "patch" },
            ]);
            let input: Vec<_> = talk.iter().map(response_item).collect();
            let body = json!({ "model": "m", "stream": stream, "input": input, "tools": tools });
            ("/v1/responses".to_owned(), body)
        }
        Dialect::Messages => {
            let tools = json!([{ "name": "write", "input_schema": schema }]);
            let messages: Vec<_> = talk.iter().map(anthropic_message).collect();
            let body = json!({
                "model": "m", "max_tokens": 99, "stream": stream, "messages": messages, "tools": tools,
            });
            ("/v1/messages".to_owned(), body)
        }
        Dialect::Gemini => {
            let tools = json!([{ "functionDeclarations": [{ "name": "write" }] }]);
            let contents: Vec<_> = talk.iter().map(gemini_content).collect();
            let method = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
            (format!("/v1beta/models/m:{method}"), json!({ "contents": contents, "tools": tools }))
        }
    }
}

fn chat_message(said: &Said<'_>) -> Value {
    match said {
        Said::User(text) => json!({ "role": "user", "content": [{ "type": "text", "text": text }] }),
        Said::Call(id) => {
            let function = json!({ "name": "write", "arguments": "{}" });
            json!({ "role": "assistant", "tool_calls": [{ "id": id, "type": "function", "function": function }] })
        }
        Said::Result(text) => json!({ "role": "tool", "tool_call_id": "c", "content": text }),
    }
}

fn response_item(said: &Said<'_>) -> Value {
    match said {
        Said::User(text) => json!({ "role": "user", "content": [{ "type": "input_text", "text": text }] }),
        Said::Call(id) => {
            json!({ "type": "function_call", "call_id": id, "name": "write", "arguments": "{}" })
        }
        Said::Result(text) => json!({ "type": "function_call_output", "call_id": "c", "output": text }),
    }
}

fn anthropic_message(said: &Said<'_>) -> Value {
    let (role, block) = match said {
        Said::User(text) => ("user", json!({ "type": "text", "text": text })),
        Said::Call(id) => {
            ("assistant", json!({ "type": "tool_use", "id": id, "name": "write", "input": {} }))
        }
        Said::Result(text) => ("user", json!({ "type": "tool_result", "tool_use_id": "c", "content": text })),
    };
    json!({ "role": role, "content": [block] })
}

fn gemini_content(said: &Said<'_>) -> Value {
    let (role, part) = match said {
        Said::User(text) => ("user", json!({ "text": text })),
        Said::Call(id) => ("model", json!({ "functionCall": { "id": id, "name": "write", "args": {} } })),
        Said::Result(text) => {
            ("user", json!({ "functionResponse": { "name": "write", "response": { "output": text } } }))
        }
    };
    json!({ "role": role, "parts": [part] })
}

fn reply(bytes: &[u8]) -> Reply {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
    let headers: BTreeMap<_, _> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let (body, complete) = if headers.contains_key("transfer-encoding") {
        dechunk(&bytes[end..])
    } else {
        let length = headers.get("content-length").and_then(|length| length.parse().ok());
        (bytes[end..].to_vec(), length == Some(bytes.len() - end))
    };
    Reply { status, headers, body: String::from_utf8(body).unwrap(), complete }
}

/// Takes the chunks out of a body; says whether the last, empty one came.
fn dechunk(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut out = Vec::new();
    while let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            return (out, true);
        }
        out.extend_from_slice(&bytes[end + 2..end + 2 + size]);
        bytes = &bytes[end + 2 + size + 2..];
    }
    (out, false)
}

/// The events of a stream: name and data.
pub(crate) fn events(body: &str) -> Vec<(Option<String>, String)> {
    let body = body.replace("\r\n", "\n");
    let blocks = body.split("\n\n").filter(|block| !block.is_empty());
    blocks
        .map(|block| {
            let field = |name: &str| block.lines().find_map(|line| Some(line.strip_prefix(name)?.to_owned()));
            (field("event: "), field("data: ").unwrap())
        })
        .collect()
}

/// Folds a stream's events as a client of the dialect does.
pub(crate) fn assemble(dialect: Dialect, events: &[(Option<String>, String)]) -> Answer {
    let mut answer = Answer::default();
    let mut arguments: BTreeMap<u64, String> = BTreeMap::new();
    for (name, data) in events {
        if data == "[DONE]" {
            continue;
        }
        let data: Value = serde_json::from_str(data).unwrap();
        match dialect {
            Dialect::Chat => chat_event(&mut answer, &mut arguments, &data),
            Dialect::Responses => response_event(&mut answer, name.as_deref().unwrap(), &data),
            Dialect::Messages => {
                anthropic_event(&mut answer, &mut arguments, name.as_deref().unwrap(), &data);
            }
            Dialect::Gemini => gemini_event(&mut answer, &data),
        }
    }
    for (call, text) in answer.calls.iter_mut().zip(arguments.into_values()) {
        call.2 = serde_json::from_str(&text).unwrap();
    }
    answer
}

fn whole(dialect: Dialect, body: &str) -> Answer {
    let body: Value = serde_json::from_str(body).unwrap();
    let mut answer = Answer::default();
    match dialect {
        Dialect::Chat => {
            let message = &body["choices"][0]["message"];
            answer.text = text(&message["content"]);
            answer.thought = text(&message["reasoning_content"]);
            for call in list(&message["tool_calls"]) {
                let arguments = serde_json::from_str(&text(&call["function"]["arguments"])).unwrap();
                answer.calls.push((text(&call["id"]), text(&call["function"]["name"]), arguments));
            }
            answer.stop = text(&body["choices"][0]["finish_reason"]);
            answer.usage = chat_usage(&body["usage"]);
        }
        Dialect::Responses => response_done(&mut answer, &body),
        Dialect::Messages => {
            for block in list(&body["content"]) {
                answer.text += &text(&block["text"]);
                answer.thought += &text(&block["thinking"]);
                if block["type"] == "tool_use" {
                    answer.calls.push((text(&block["id"]), text(&block["name"]), block["input"].clone()));
                }
            }
            answer.stop = text(&body["stop_reason"]);
            answer.usage = anthropic_usage(&body["usage"]);
        }
        Dialect::Gemini => gemini_event(&mut answer, &body),
    }
    answer
}

fn chat_event(answer: &mut Answer, arguments: &mut BTreeMap<u64, String>, data: &Value) {
    if data["usage"].is_object() {
        answer.usage = chat_usage(&data["usage"]);
    }
    if data["error"].is_object() {
        answer.error = Some(text(&data["error"]["type"]));
    }
    let Some(choice) = data["choices"].get(0) else { return };
    answer.text += &text(&choice["delta"]["content"]);
    answer.thought += &text(&choice["delta"]["reasoning_content"]);
    answer.stop += &text(&choice["finish_reason"]);
    for call in list(&choice["delta"]["tool_calls"]) {
        if call["id"].is_string() {
            answer.calls.push((text(&call["id"]), text(&call["function"]["name"]), Value::Null));
        }
        *arguments.entry(call["index"].as_u64().unwrap()).or_default() +=
            &text(&call["function"]["arguments"]);
    }
}

fn chat_usage(usage: &Value) -> (u64, u64, u64) {
    (
        number(&usage["prompt_tokens"]),
        number(&usage["completion_tokens"]),
        number(&usage["prompt_tokens_details"]["cached_tokens"]),
    )
}

/// Checks that the deltas add up to what the closing response repeats, and takes the latter.
fn response_event(answer: &mut Answer, name: &str, data: &Value) {
    assert_eq!(data["type"], name, "the name stands in the event and in its data");
    match name {
        "response.output_text.delta" => answer.text += &text(&data["delta"]),
        "response.reasoning_summary_text.delta" => answer.thought += &text(&data["delta"]),
        "response.completed" | "response.incomplete" => {
            let mut closing = Answer::default();
            response_done(&mut closing, &data["response"]);
            assert_eq!((&answer.text, &answer.thought), (&closing.text, &closing.thought));
            *answer = closing;
        }
        "response.failed" => answer.error = Some(text(&data["response"]["error"]["code"])),
        _ => {}
    }
}

fn response_done(answer: &mut Answer, response: &Value) {
    for item in list(&response["output"]) {
        let (id, name) = (text(&item["call_id"]), text(&item["name"]));
        match item["type"].as_str().unwrap() {
            "message" => answer.text += &text(&item["content"][0]["text"]),
            "reasoning" => answer.thought += &text(&item["summary"][0]["text"]),
            "function_call" => {
                answer.calls.push((id, name, serde_json::from_str(&text(&item["arguments"])).unwrap()));
            }
            "custom_tool_call" => answer.calls.push((id, name, item["input"].clone())),
            other => panic!("an item of the unknown type {other}"),
        }
    }
    answer.stop = text(&response["status"]) + &text(&response["incomplete_details"]["reason"]);
    let usage = &response["usage"];
    answer.usage = (
        number(&usage["input_tokens"]),
        number(&usage["output_tokens"]),
        number(&usage["input_tokens_details"]["cached_tokens"]),
    );
}

fn anthropic_event(answer: &mut Answer, arguments: &mut BTreeMap<u64, String>, name: &str, data: &Value) {
    assert_eq!(data["type"], name, "the name stands in the event and in its data");
    let (block, delta) = (&data["content_block"], &data["delta"]);
    match name {
        "content_block_start" if block["type"] == "tool_use" => {
            answer.calls.push((text(&block["id"]), text(&block["name"]), Value::Null));
        }
        "content_block_delta" => {
            answer.text += &text(&delta["text"]);
            answer.thought += &text(&delta["thinking"]);
            if let Some(piece) = delta["partial_json"].as_str() {
                *arguments.entry(data["index"].as_u64().unwrap()).or_default() += piece;
            }
        }
        "message_delta" => {
            answer.stop = text(&delta["stop_reason"]);
            answer.usage = anthropic_usage(&data["usage"]);
        }
        "error" => answer.error = Some(text(&data["error"]["type"])),
        _ => {}
    }
}

fn anthropic_usage(usage: &Value) -> (u64, u64, u64) {
    let cached = number(&usage["cache_read_input_tokens"]);
    (number(&usage["input_tokens"]) + cached, number(&usage["output_tokens"]), cached)
}

fn gemini_event(answer: &mut Answer, data: &Value) {
    if data["error"].is_object() {
        answer.error = Some(text(&data["error"]["status"]));
    }
    let candidate = &data["candidates"][0];
    for part in list(&candidate["content"]["parts"]) {
        let slot = if part["thought"] == true { &mut answer.thought } else { &mut answer.text };
        *slot += &text(&part["text"]);
        if let Some(call) = part.get("functionCall") {
            answer.calls.push((text(&call["id"]), text(&call["name"]), call["args"].clone()));
        }
    }
    answer.stop += &text(&candidate["finishReason"]);
    if let Some(usage) = data.get("usageMetadata") {
        answer.usage = (
            number(&usage["promptTokenCount"]),
            number(&usage["candidatesTokenCount"]),
            number(&usage["cachedContentTokenCount"]),
        );
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}
