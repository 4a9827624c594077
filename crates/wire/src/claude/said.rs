//! What Claude says, as far as it is read. Members of no interest are passed over; one that is not as it should be makes the
//! line a bad one.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

/// A piece of a message, while it streams.
#[derive(Debug, Deserialize)]
pub(super) struct StreamEvent<'a> {
    #[serde(borrow)]
    pub(super) event: Event<'a>,
    /// The call of the tool under which another agent works.
    #[serde(default)]
    pub(super) parent_tool_use_id: Option<String>,
}

/// As the model's own stream has it.
#[derive(Debug, Deserialize)]
pub(super) struct Event<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
    #[serde(default)]
    pub(super) message: Option<MessageId>,
    #[serde(default, borrow)]
    pub(super) content_block: Option<Block<'a>>,
    #[serde(default, borrow)]
    pub(super) delta: Option<Delta<'a>>,
    #[serde(default)]
    pub(super) usage: Option<Tokens>,
}

#[derive(Debug, Deserialize)]
pub(super) struct MessageId {
    pub(super) id: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Delta<'a> {
    #[serde(default, borrow)]
    pub(super) text: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    pub(super) thinking: Option<Cow<'a, str>>,
}

/// A message that is whole, or a part of it that is.
#[derive(Debug, Deserialize)]
pub(super) struct Assistant<'a> {
    #[serde(borrow)]
    pub(super) message: Message<'a>,
    #[serde(default)]
    pub(super) parent_tool_use_id: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Message<'a> {
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(borrow)]
    pub(super) content: Vec<Block<'a>>,
}

/// A content block of the model's wire, of any type.
#[derive(Debug, Deserialize)]
pub(super) struct Block<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
    #[serde(default, borrow)]
    pub(super) text: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    pub(super) thinking: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default, borrow)]
    pub(super) input: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) tool_use_id: Option<String>,
    #[serde(default, borrow)]
    pub(super) content: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) is_error: Option<bool>,
    #[serde(default)]
    pub(super) source: Option<Source>,
}

/// Where a picture is.
#[derive(Debug, Deserialize)]
pub(super) struct Source {
    #[serde(default)]
    pub(super) data: Option<String>,
    #[serde(default)]
    pub(super) media_type: Option<String>,
}

/// What the model is told next: results of tools, mostly.
#[derive(Debug, Deserialize)]
pub(super) struct User<'a> {
    #[serde(borrow)]
    pub(super) message: UserMessage<'a>,
}

#[derive(Debug, Deserialize)]
pub(super) struct UserMessage<'a> {
    /// A text, or blocks.
    #[serde(borrow)]
    pub(super) content: &'a RawValue,
}

/// The end of a turn.
#[derive(Debug, Deserialize)]
pub(super) struct Ended {
    #[serde(default)]
    pub(super) subtype: String,
    #[serde(default)]
    pub(super) is_error: bool,
    #[serde(default)]
    pub(super) result: Option<String>,
    #[serde(default)]
    pub(super) errors: Vec<String>,
    #[serde(default)]
    pub(super) stop_reason: Option<String>,
    #[serde(default)]
    pub(super) usage: Option<Tokens>,
    /// Of the whole session.
    #[serde(default)]
    pub(super) total_cost_usd: Option<f64>,
    #[serde(default, rename = "modelUsage")]
    pub(super) models: BTreeMap<String, ModelUsage>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Tokens {
    pub(super) input_tokens: Option<u64>,
    pub(super) output_tokens: Option<u64>,
    pub(super) cache_read_input_tokens: Option<u64>,
    pub(super) cache_creation_input_tokens: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ModelUsage {
    #[serde(default)]
    pub(super) context_window: u64,
}

/// It asks something of whoever runs it.
#[derive(Debug, Deserialize)]
pub(super) struct Ask<'a> {
    pub(super) request_id: String,
    #[serde(borrow)]
    pub(super) request: AskedFor<'a>,
}

#[derive(Debug, Deserialize)]
pub(super) struct AskedFor<'a> {
    pub(super) subtype: String,
    #[serde(default)]
    pub(super) tool_name: Option<String>,
    #[serde(default, borrow)]
    pub(super) input: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) tool_use_id: Option<String>,
    /// Why it asks, where a rule or a hook of its own is the reason.
    #[serde(default)]
    pub(super) decision_reason: Option<String>,
}

/// Its answer to an order.
#[derive(Debug, Deserialize)]
pub(super) struct Ordered<'a> {
    #[serde(borrow)]
    pub(super) response: OrderedWith<'a>,
}

#[derive(Debug, Deserialize)]
pub(super) struct OrderedWith<'a> {
    pub(super) subtype: String,
    pub(super) request_id: String,
    #[serde(default, borrow)]
    pub(super) response: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) error: Option<String>,
}

/// What it can do, as it answers `initialize`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Offers {
    pub(super) commands: Vec<Command>,
    pub(super) models: Vec<Model>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Command {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) argument_hint: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Model {
    pub(super) value: String,
    pub(super) display_name: String,
    pub(super) description: Option<String>,
}

impl Tokens {
    /// How much of the model's context is taken.
    pub(super) fn context(&self) -> u64 {
        let Self { input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens } =
            *self;
        [input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens]
            .into_iter()
            .flatten()
            .sum()
    }
}
