//! The four ways a model is spoken to. Each module reads its requests into an [`Ask`] and writes an answer's parts,
//! as a stream of server-sent events or whole.

mod chat;
mod gemini;
mod messages;
mod responses;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ask::{Ask, Offer};
use crate::script::{Failure, Stop, Usage};

/// A provider's wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// OpenAI's chat completions, `POST /v1/chat/completions`.
    Chat,
    /// OpenAI's responses, `POST /v1/responses`.
    Responses,
    /// Anthropic's messages, `POST /v1/messages`.
    Messages,
    /// Gemini's, `POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent`.
    Gemini,
}

/// A part of an answer, after the script's waits are over and its tools picked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    Text(String),
    Thought(String),
    Call(ToolCall),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ToolCall {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: Arguments,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Arguments {
    Object(Value),
    Text(String),
}

/// How an answer ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct End {
    pub(crate) reason: Reason,
    pub(crate) usage: Usage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Done,
    ToolUse,
    Length,
    Filter,
}

/// What an answer carries besides its parts.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// The answer's number on this server, from 1; its ids are made of it.
    pub(crate) number: u64,
    pub(crate) model: String,
}

/// A server-sent event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    name: Option<&'static str>,
    data: String,
}

/// A dialect's events for one answer. The parts come one after the other: each is opened, grows by pieces and is
/// closed before the next. `index` counts parts from 0, and `part` is the part as it stands.
trait Encode: Send {
    fn begin(&mut self) -> Vec<Event>;
    fn open(&mut self, index: usize, part: &Part) -> Vec<Event>;
    fn delta(&mut self, index: usize, part: &Part, piece: &str) -> Vec<Event>;
    fn close(&mut self, index: usize, part: &Part) -> Vec<Event>;
    fn end(&mut self, parts: &[Part], end: End) -> Vec<Event>;
    fn fail(&mut self, failure: &Failure) -> Vec<Event>;
}

/// Writes one answer: `begin`, any number of `part`, then `end` or `fail`, each giving the bytes to send. A client
/// that wants no stream gets [`Writer::whole`] in the place of all of them.
pub(crate) struct Writer {
    dialect: Dialect,
    head: Head,
    encode: Box<dyn Encode>,
    parts: Vec<Part>,
    open: bool,
}

impl Dialect {
    /// Reads a request's body. For Gemini the model and the wish for a stream stand in the path and are put in by
    /// the caller.
    pub(crate) fn read(self, body: &Value) -> Result<Ask, String> {
        match self {
            Self::Chat => chat::read(body),
            Self::Responses => responses::read(body),
            Self::Messages => messages::read(body),
            Self::Gemini => gemini::read(body),
        }
    }

    /// A writer for one answer to the request with this body.
    pub(crate) fn writer(self, head: Head, body: &Value) -> Writer {
        let encode: Box<dyn Encode> = match self {
            Self::Chat => Box::new(chat::Encoder::new(head.clone(), body)),
            Self::Responses => Box::new(responses::Encoder::new(head.clone())),
            Self::Messages => Box::new(messages::Encoder::new(head.clone())),
            Self::Gemini => Box::new(gemini::Encoder::new(head.clone())),
        };
        Writer { dialect: self, head, encode, parts: Vec::new(), open: false }
    }

    /// The body of an error answer.
    pub(crate) fn failure(self, failure: &Failure) -> Value {
        match self {
            Self::Chat | Self::Responses => chat::failure(failure),
            Self::Messages => messages::failure(failure),
            Self::Gemini => gemini::failure(failure),
        }
    }

    /// The bytes of events. Gemini ends its lines with CR LF, the others with LF.
    fn frame(self, events: &[Event]) -> String {
        let newline = match self {
            Self::Gemini => "\r\n",
            Self::Chat | Self::Responses | Self::Messages => "\n",
        };
        let mut out = String::new();
        for event in events {
            if let Some(name) = event.name {
                out.extend(["event: ", name, newline]);
            }
            out.extend(["data: ", &event.data, newline, newline]);
        }
        out
    }
}

impl Writer {
    pub(crate) fn begin(&mut self) -> String {
        let events = self.encode.begin();
        self.dialect.frame(&events)
    }

    /// Takes a part into the answer; a text that follows a text goes on with it.
    pub(crate) fn part(&mut self, part: &Part) -> String {
        let mut events = Vec::new();
        if !self.grows(part) {
            events.extend(self.close());
            let part = part.emptied();
            events.extend(self.encode.open(self.parts.len(), &part));
            self.parts.push(part);
            self.open = true;
        }
        let index = self.parts.len() - 1;
        for piece in part.pieces() {
            self.parts[index].push(&piece);
            events.extend(self.encode.delta(index, &self.parts[index], &piece));
        }
        self.dialect.frame(&events)
    }

    pub(crate) fn end(&mut self, end: End) -> String {
        let mut events = self.close();
        events.extend(self.encode.end(&self.parts, end));
        self.dialect.frame(&events)
    }

    pub(crate) fn fail(&mut self, failure: &Failure) -> String {
        let events = self.encode.fail(failure);
        self.dialect.frame(&events)
    }

    /// The answer so far as one JSON value.
    pub(crate) fn whole(&self, end: End) -> Value {
        match self.dialect {
            Dialect::Chat => chat::whole(&self.head, &self.parts, end),
            Dialect::Responses => responses::whole(&self.head, &self.parts, end),
            Dialect::Messages => messages::whole(&self.head, &self.parts, end),
            Dialect::Gemini => gemini::whole(&self.head, &self.parts, end),
        }
    }

    fn grows(&self, part: &Part) -> bool {
        self.open
            && matches!(
                (self.parts.last(), part),
                (Some(Part::Text(_)), Part::Text(_)) | (Some(Part::Thought(_)), Part::Thought(_))
            )
    }

    fn close(&mut self) -> Vec<Event> {
        if !self.open {
            return Vec::new();
        }
        self.open = false;
        let index = self.parts.len() - 1;
        self.encode.close(index, &self.parts[index])
    }
}

impl Part {
    /// The part as it is opened: a text is still empty, a call is known.
    fn emptied(&self) -> Self {
        match self {
            Self::Text(_) => Self::Text(String::new()),
            Self::Thought(_) => Self::Thought(String::new()),
            Self::Call(call) => Self::Call(call.clone()),
        }
    }

    /// The pieces it is streamed in. Providers stream a call's arguments in pieces that are no JSON by themselves.
    fn pieces(&self) -> Vec<String> {
        match self {
            Self::Text(text) | Self::Thought(text) => vec![text.clone()],
            Self::Call(call) => halves(&call.arguments.as_text()),
        }
    }

    fn push(&mut self, piece: &str) {
        match self {
            Self::Text(text) | Self::Thought(text) => text.push_str(piece),
            Self::Call(_) => {}
        }
    }
}

impl Event {
    fn data(data: &Value) -> Self {
        Self { name: None, data: data.to_string() }
    }

    fn named(name: &'static str, data: &Value) -> Self {
        Self { name: Some(name), data: data.to_string() }
    }

    fn literal(data: &str) -> Self {
        Self { name: None, data: data.to_owned() }
    }
}

impl Arguments {
    /// The arguments as the text that OpenAI's dialects put into a string.
    fn as_text(&self) -> String {
        match self {
            Self::Object(value) => value.to_string(),
            Self::Text(text) => text.clone(),
        }
    }

    /// The arguments as an object; free text is put under `input`.
    fn as_object(&self) -> Value {
        match self {
            Self::Object(value) => value.clone(),
            Self::Text(text) => serde_json::json!({ "input": text }),
        }
    }
}

impl Reason {
    pub(crate) fn of(stop: Option<Stop>, calls: bool) -> Self {
        match stop {
            Some(Stop::Length) => Self::Length,
            Some(Stop::Filter) => Self::Filter,
            None if calls => Self::ToolUse,
            None => Self::Done,
        }
    }
}

/// Follows a conversation from its start and keeps what it ends in.
#[derive(Default)]
struct Tail {
    user_text: String,
    tool_results: Vec<String>,
}

impl Tail {
    fn user(&mut self, text: String) {
        if !text.is_empty() {
            self.user_text = text;
            self.tool_results.clear();
        }
    }

    fn result(&mut self, text: String) {
        self.tool_results.push(text);
    }

    fn model(&mut self) {
        self.tool_results.clear();
    }

    fn ask(self, dialect: Dialect, body: &Value, tools: Vec<Offer>) -> Ask {
        Ask {
            dialect,
            model: body["model"].as_str().unwrap_or("unnamed").to_owned(),
            stream: body["stream"].as_bool().unwrap_or(false),
            tools,
            user_text: self.user_text,
            tool_results: self.tool_results,
        }
    }
}

/// The list under `key`, or what is wrong with it.
fn list<'a>(body: &'a Value, key: &str) -> Result<&'a Vec<Value>, String> {
    body[key].as_array().ok_or_else(|| format!("{key}: a list is required"))
}

/// The text of content that is a string or a list of parts with a `text`; parts of other kinds are left out.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

/// Text in two pieces, as providers stream arguments; one if it is too short to split.
fn halves(text: &str) -> Vec<String> {
    let mut middle = text.len() / 2;
    while !text.is_char_boundary(middle) {
        middle -= 1;
    }
    let (first, second) = text.split_at(middle);
    [first, second].into_iter().filter(|half| !half.is_empty()).map(str::to_owned).collect()
}

/// The error type that OpenAI and Anthropic give to a status.
fn error_type(status: u16) -> &'static str {
    match status {
        400 | 422 => "invalid_request_error",
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}
