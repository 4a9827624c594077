//! Providers of models: one conversation, four ways to speak it.
//!
//! ```text
//! Ask ── Endpoint::request ──▶ url, headers, body          the caller sends it
//!                              bytes of the answer ──▶ Decoder::push ──▶ Delta…
//!                              its end             ──▶ Decoder::finish ──▶ Reply | Failure
//!                              a status over 299   ──▶ Failure::of_answer
//! ```
//!
//! - [`Wire`]: Anthropic's messages, OpenAI's chat completions and responses, Gemini. Azure, OpenRouter, Ollama, LM Studio and
//!   whatever else calls itself compatible are settings of [`Wire::Chat`].
//! - [`Ask`], [`Message`]: what is asked, in no provider's words. It is what is kept of a conversation, so that a session may
//!   go on with another provider. What only its own provider can read, such as the signature of a thought, is a [`Mark`].
//! - [`repair`]: a conversation that any provider accepts, whatever it was cut off in.

mod chat;
mod draft;
mod endpoint;
mod failure;
mod gemini;
mod limits;
mod messages;
mod prompt;
mod repair;
mod responses;
#[cfg(test)]
mod tests;

use crate::sse;

pub use draft::{Delta, Reply, Stop, Usage};
pub use endpoint::{Endpoint, HttpRequest, Secret, Shows, Wire};
pub use failure::{Failure, FailureKind};
pub use limits::reset;
pub use prompt::{Ask, Call, Content, Effort, Mark, Message, Part, Tool, ToolResult};
pub use repair::{Repaired, repair};

use draft::Draft;

/// The largest event of a stream that is taken.
const MAX_EVENT: usize = 16 << 20;
/// How much of an answer that is no event stream is kept, to be told.
const MAX_STRAY: usize = 16 << 10;

/// Reads the stream of one answer.
#[derive(Debug)]
pub struct Decoder {
    events: sse::Decoder,
    state: State,
    draft: Draft,
    /// The answer's beginning, as long as it had no event: it may be an error in plain JSON.
    stray: Option<Vec<u8>>,
}

#[derive(Debug)]
enum State {
    Messages(messages::Stream),
    Chat(chat::Stream),
    Responses(responses::Stream),
    Gemini(gemini::Stream),
}

impl Decoder {
    /// A decoder for the answer to a request. Calls that the provider gives no id get one that begins with `prefix`.
    #[must_use]
    pub fn new(wire: Wire, prefix: impl Into<String>) -> Self {
        let state = match wire {
            Wire::Messages => State::Messages(messages::Stream::default()),
            Wire::Chat => State::Chat(chat::Stream::default()),
            Wire::Responses => State::Responses(responses::Stream::default()),
            Wire::Gemini => State::Gemini(gemini::Stream),
        };
        let draft = Draft::new(prefix.into());
        Self { events: sse::Decoder::new(MAX_EVENT), state, draft, stray: Some(Vec::new()) }
    }

    /// Takes the next bytes of the answer, and gives what they tell.
    ///
    /// # Errors
    /// When the provider says that it failed, or what it says cannot be read. The stream is of no use then.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Delta>, Failure> {
        self.events.push(bytes);
        if let Some(stray) = &mut self.stray {
            stray.extend_from_slice(&bytes[..bytes.len().min(MAX_STRAY - stray.len())]);
        }
        for event in self.events.by_ref() {
            let event = event.map_err(|error| Failure::broken(error.to_string()))?;
            self.stray = None;
            match &mut self.state {
                State::Messages(stream) => stream.event(&event, &mut self.draft)?,
                State::Chat(stream) => stream.event(&event, &mut self.draft)?,
                State::Responses(stream) => stream.event(&event, &mut self.draft)?,
                State::Gemini(stream) => stream.event(&event, &mut self.draft)?,
            }
        }
        Ok(self.draft.take())
    }

    /// Whether the provider has said its last word. Some keep the connection open behind it.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        match &self.state {
            State::Messages(stream) => stream.over,
            State::Chat(stream) => stream.over,
            State::Responses(stream) => stream.over,
            State::Gemini(_) => false,
        }
    }

    /// The answer is at its end: what it was, and deltas that only its end makes known.
    ///
    /// # Errors
    /// When it ended in the middle, or was no answer.
    pub fn finish(mut self) -> Result<(Vec<Delta>, Reply), Failure> {
        if let Some(stray) = self.stray.filter(|stray| !stray.trim_ascii().is_empty()) {
            return Err(Failure::of_stray(&stray));
        }
        match &mut self.state {
            State::Chat(stream) => stream.end(&mut self.draft),
            State::Messages(_) | State::Responses(_) | State::Gemini(_) => {}
        }
        if self.draft.stop.is_none() {
            return Err(Failure::cut());
        }
        let deltas = self.draft.take();
        Ok((deltas, self.draft.reply()))
    }

    /// What there is of an answer that is not waited for: whole calls and thoughts, and text as far as it came.
    #[must_use]
    pub fn abandon(self) -> Reply {
        self.draft.reply()
    }
}

/// Reads the data of an event.
fn read<'a, T: serde::Deserialize<'a>>(data: &'a str) -> Result<T, Failure> {
    serde_json::from_str(data).map_err(|error| Failure::broken(format!("an event cannot be read: {error}")))
}

/// A number as it was written, and not as its nearest in binary.
fn number(number: f32) -> f64 {
    number.to_string().parse().expect("what is printed of a number is one")
}
