//! What a model is asked, in no provider's words.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Wire;

/// A question to a model: all it is to know.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ask<'a> {
    /// The model, by its provider's name.
    pub model: &'a str,
    /// What stands over the conversation.
    pub system: &'a str,
    /// The conversation; see [`repair`](super::repair).
    pub messages: &'a [Message],
    /// What it may call.
    pub tools: &'a [Tool],
    /// The most tokens of the answer. Where a provider demands a number and there is none, a usual one.
    pub max_tokens: Option<u32>,
    /// How much chance there is in the answer.
    pub temperature: Option<f32>,
    /// How much of the likely words is chosen from.
    pub top_p: Option<f32>,
    /// How much it is to think; absent: as the provider does by itself.
    pub effort: Option<Effort>,
    /// What stays the same over a session, for providers that keep caches by such a name.
    pub cache_key: Option<&'a str>,
}

/// How much a model is to think before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    /// A little.
    Low,
    /// As much as it takes.
    Medium,
    /// A lot.
    High,
}

impl Effort {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// The same in tokens of thought, for providers that count them.
    pub(super) const fn tokens(self) -> u32 {
        match self {
            Self::Low => 2_048,
            Self::Medium => 8_192,
            Self::High => 24_576,
        }
    }
}

/// What a model may call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// Its name, unique in a request: letters, digits, `_` and `-`, at most 64.
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// A JSON Schema of its input, an object.
    pub input: Value,
}

/// A message of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum Message {
    /// A person's.
    User {
        /// What it says.
        content: Vec<Content>,
    },
    /// The model's.
    Assistant {
        /// What it thought, said and called, in that order.
        parts: Vec<Part>,
    },
    /// What calls gave.
    Tool {
        /// The results of all calls of the message before.
        results: Vec<ToolResult>,
    },
}

/// A piece of what a person says or a tool gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Content {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// A picture.
    Image {
        /// Its media type.
        mime_type: String,
        /// Its bytes, in base64.
        data: String,
    },
}

/// A piece of what a model says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// Text.
    Text {
        /// The text.
        text: String,
        /// What its provider wants back with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mark: Option<Mark>,
    },
    /// A thought.
    Thought {
        /// What is shown of it; may be empty.
        text: String,
        /// What its provider wants back with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mark: Option<Mark>,
    },
    /// A call.
    Call(Call),
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Its id, unique in the conversation.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// Its input, an object.
    pub input: Map<String, Value>,
    /// What the model wrote instead of an object; the input is empty then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<String>,
    /// What its provider wants back with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Mark>,
}

/// What a call gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolResult {
    /// The call's id.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// What it gave.
    pub content: Vec<Content>,
    /// Whether it failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
}

/// What one provider wants back as it gave it, and no other can read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// Whose it is.
    pub wire: Wire,
    /// What it is.
    pub data: Value,
}

impl Mark {
    /// What is of this wire, if it is.
    pub(super) fn of(mark: Option<&Self>, wire: Wire) -> Option<&Value> {
        mark.filter(|mark| mark.wire == wire).map(|mark| &mark.data)
    }
}

impl Content {
    /// Text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }
}

impl Message {
    /// What a person says.
    pub fn user(text: impl Into<String>) -> Self {
        Self::User { content: vec![Content::text(text)] }
    }
}

/// The texts of some content, for providers that take nothing else in a place.
pub(super) fn texts(content: &[Content]) -> String {
    let text = |content: &Content| match content {
        Content::Text { text } => text.clone(),
        Content::Image { mime_type, .. } => format!("[a picture, {mime_type}]"),
    };
    content.iter().map(text).collect::<Vec<_>>().join("\n")
}
