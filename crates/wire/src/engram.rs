//! The agent bus over TCP: one JSON object on each line, one reply to each, in order, and pushes between replies.
//!
//! The protocol is that of the original agent bus: clients of it know a push by its member `event`, which no reply has, and
//! match replies by their order alone. What was added is opt-in: members and operations that the original does not know.
//!
//! * [`Request`]: reads a line. * [`Reply`] and [`push`]: write one. * [`Name`]: keys, topics and agents, which may be any
//!   scalar.

mod encode;
mod fields;
mod handoff;
mod name;

use serde_json::value::RawValue;

use crate::raw::as_str;
pub use encode::{Reply, ascii, push};
use fields::Fields;
pub use handoff::{Filled, Handoff};
pub use name::Name;

/// The longest line, in bytes. A longer one is answered with an error, and the connection goes on.
pub const MAX_LINE: usize = 16 << 20;

/// A line that was read.
#[derive(Debug)]
pub struct Request {
    /// What is asked for.
    pub op: Op,
    /// What the sender calls the request, to be repeated in the reply.
    pub id: Option<Box<RawValue>>,
}

/// A line that is no request.
#[derive(Debug)]
pub struct Bad {
    /// What is wrong with it.
    pub error: String,
    /// What the sender calls the request.
    pub id: Option<Box<RawValue>>,
}

/// How long a key lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ttl {
    /// For ever.
    Forever,
    /// So many milliseconds; less than nothing is gone at once.
    Ms(i64),
}

/// How many signals are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// The newest of them.
    Newest(usize),
    /// All but the oldest of them.
    AllBut(usize),
}

/// What can be asked for.
#[derive(Debug)]
#[expect(missing_docs, reason = "the members are those of the protocol")]
pub enum Op {
    Ping,
    Hello,
    Auth { token: String },
    Put { key: Name, value: Box<RawValue>, agent: Option<Name>, namespace: Name, ttl: Ttl },
    Get { key: Name, namespace: Name },
    Delete { key: Name, namespace: Name },
    Keys { namespace: Name, agent: Option<Name> },
    All { namespace: Name },
    Clear { namespace: Name },
    Restore { namespace: Name, data: Vec<(Name, Box<RawValue>)> },
    Publish { topic: Name, data: Box<RawValue>, agent: Option<Name> },
    Subscribe { topic: Name, wildcard: bool },
    Unsubscribe { topic: Name, wildcard: bool },
    Signals { topic: Option<Name>, agent: Option<Name>, limit: Limit, since: Option<String> },
    Register { agent: Name, metadata: Option<Box<RawValue>> },
    Agents,
    Transfer { from: Name, to: Name, keys: Option<Vec<Name>>, namespace: Name },
    Transfers { namespace: Name },
    Handoff(Handoff),
}

impl Request {
    /// Reads a line that is not blank.
    ///
    /// # Errors
    /// When it is not JSON, not an object, or not a request.
    pub fn read(line: &[u8]) -> Result<Self, Bad> {
        let bad = |error: &str| Bad { error: error.to_owned(), id: None };
        let text = std::str::from_utf8(line).map_err(|_| bad("invalid UTF-8"))?;
        let text = fields::tolerate(text.trim());
        let fields = Fields::of(&text).map_err(bad)?;
        let id = fields.get("id").map(ToOwned::to_owned);
        match op(&fields) {
            Ok(op) => Ok(Self { op, id }),
            Err(error) => Err(Bad { error, id }),
        }
    }
}

fn op(fields: &Fields<'_>) -> Result<Op, String> {
    let name = fields.get("op").map_or_else(|| Some("".into()), as_str);
    let Some(name) = name else { return Err(format!("unknown op: {}", shown(fields.get("op")))) };
    Ok(match &*name {
        "ping" => Op::Ping,
        "hello" => Op::Hello,
        "auth" => Op::Auth { token: fields.text("token")? },
        "put" => Op::Put {
            key: fields.name("key")?,
            value: fields.value("value"),
            agent: fields.agent("agent")?,
            namespace: fields.namespace()?,
            ttl: ttl(fields.get("ttl"))?,
        },
        "get" => Op::Get { key: fields.name("key")?, namespace: fields.namespace()? },
        "delete" => Op::Delete { key: fields.name("key")?, namespace: fields.namespace()? },
        "keys" => Op::Keys { namespace: fields.namespace()?, agent: fields.optional("agent")? },
        "all" | "snapshot" => Op::All { namespace: fields.namespace()? },
        "clear" => Op::Clear { namespace: fields.namespace()? },
        "restore" => {
            let data = fields.members("data")?;
            let data = data.into_iter().map(|(key, value)| (Name::text(&key), value.to_owned())).collect();
            Op::Restore { data, namespace: fields.namespace()? }
        }
        "publish" => Op::Publish {
            topic: fields.name("topic")?,
            data: fields.value("data"),
            agent: fields.agent("agent")?,
        },
        "subscribe" => Op::Subscribe { topic: fields.name("topic")?, wildcard: fields.truth("wildcard") },
        "unsubscribe" => Op::Unsubscribe { topic: fields.name("topic")?, wildcard: fields.truth("wildcard") },
        "signals" => Op::Signals {
            topic: fields.optional("topic")?,
            agent: fields.optional("agent")?,
            limit: limit(fields.get("limit"))?,
            since: fields.optional_text("since")?,
        },
        "register" => Op::Register { agent: fields.name("agent_id")?, metadata: fields.truthy("metadata") },
        "agents" => Op::Agents,
        "transfer" => Op::Transfer {
            from: fields.name("from_agent")?,
            to: fields.name("to_agent")?,
            keys: fields.names("keys")?,
            namespace: fields.namespace()?,
        },
        "transfers" => Op::Transfers { namespace: fields.namespace()? },
        other => match Handoff::read(other, fields)? {
            Some(handoff) => Op::Handoff(handoff),
            None => return Err(format!("unknown op: {other}")),
        },
    })
}

/// A value as an error names it.
fn shown(value: Option<&RawValue>) -> String {
    let text = value.map_or("", RawValue::get);
    let end = text.char_indices().nth(60).map_or(text.len(), |(at, _)| at);
    text[..end].to_owned()
}

fn ttl(value: Option<&RawValue>) -> Result<Ttl, String> {
    let Some(value) = value.filter(|value| fields::is_truthy(value)) else { return Ok(Ttl::Forever) };
    let seconds = match value.get() {
        "true" => 1.0,
        number => number
            .parse::<f64>()
            .map_err(|_| format!("ttl must be a number of seconds, not {}", shown(Some(value))))?,
    };
    if !seconds.is_finite() {
        return Ok(Ttl::Forever);
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is too large becomes the largest, 292 million years"
    )]
    Ok(Ttl::Ms((seconds * 1000.0).ceil() as i64))
}

fn limit(value: Option<&RawValue>) -> Result<Limit, String> {
    let Some(value) = value else { return Ok(Limit::Newest(50)) };
    let count: i64 = match value.get() {
        "true" => 1,
        "false" => 0,
        number => {
            number.parse().map_err(|_| format!("limit must be a whole number, not {}", shown(Some(value))))?
        }
    };
    let size = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    Ok(if count > 0 { Limit::Newest(size) } else { Limit::AllBut(size) })
}

#[cfg(test)]
mod tests;
