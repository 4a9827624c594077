//! A request, read from any dialect: what the rules look at.

use serde::Serialize;

use crate::dialect::Dialect;

/// What a client asked of the model, in no provider's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ask {
    /// The dialect it came in.
    pub dialect: Dialect,
    /// The model asked for.
    pub model: String,
    /// Whether the answer is wanted as a stream of events.
    pub stream: bool,
    /// The tools the model may call, in the request's order.
    pub tools: Vec<Offer>,
    /// The text of the last user message that has any, its parts joined by line breaks.
    pub user_text: String,
    /// The tool results the conversation ends in; empty if it ends otherwise.
    pub tool_results: Vec<String>,
}

/// A tool offered to the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Offer {
    /// The tool's name.
    pub name: String,
    /// What it takes.
    pub input: Input,
}

/// What a tool takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// An object by a JSON schema.
    Object,
    /// Free text, as OpenAI's custom tools do.
    Text,
}

impl Ask {
    /// The offered tool of this name.
    #[must_use]
    pub fn offer(&self, name: &str) -> Option<&Offer> {
        self.tools.iter().find(|offer| offer.name == name)
    }
}

impl Offer {
    /// A tool that takes an object.
    pub(crate) fn object(name: &str) -> Self {
        Self { name: name.to_owned(), input: Input::Object }
    }
}
