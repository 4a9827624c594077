//! Coalescing a stream of session updates into few, without changing what a reader of them knows.
//!
//! Agents send text by the word and tool calls by the field. Here
//! * adjacent text chunks of one kind and message become one chunk, if there is nothing else in them;
//! * updates of one tool call become one, member by member, the last value of each; not one with `_meta`, in which
//!   agents stream terminal output;
//! * gauges, the updates of which only the last one matters, are no transcript and come out at once;
//! * `user_message_chunk` is dropped: the prompt is known already;
//! * everything else passes as it came.
//!
//! The order stays: text never moves, and an update of a tool call moves only ahead of updates of other tool
//! calls. Time is the caller's, who flushes when it is time or [`Merger::pending_bytes`] says so.

use super::UpdateView;
use crate::raw::Members;
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use std::borrow::Cow;

/// What became of an update.
#[derive(Clone, Copy, Debug)]
pub enum Pushed<'a> {
    /// It is held, and what comes may merge into it: flush at the end of the window.
    Held,
    /// It is held behind what was, and nothing will merge into it: flush now to have it out at once.
    Ready,
    /// It is a gauge and not held.
    Gauge {
        /// Which one.
        kind: Gauge,
        /// The update as it came.
        raw: &'a RawValue,
    },
    /// It is of no use.
    Dropped,
}

/// Updates that replace the last of their kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gauge {
    /// `available_commands_update`
    AvailableCommands,
    /// `current_mode_update`
    CurrentMode,
    /// `config_option_update`
    ConfigOption,
    /// `session_info_update`
    SessionInfo,
    /// `usage_update`
    Usage,
}

/// Holds updates of one session until they are flushed.
///
/// It holds what it is given: the bound is the caller's, by flushing when [`pending_bytes`](Self::pending_bytes)
/// reaches a limit (a few KiB; the cost of a merge grows with what is held).
///
/// ```
/// let mut merger = trunkline_wire::acp::merge::Merger::default();
/// for word in ["Hello, ", "world"] {
///     merger.push(&trunkline_wire::acp::SessionUpdate::agent_text(word).to_raw());
/// }
/// let updates = merger.flush();
/// assert_eq!(trunkline_wire::acp::UpdateView::of(&updates[0]).text().unwrap(), "Hello, world");
/// assert_eq!(updates.len(), 1);
/// ```
#[derive(Debug, Default)]
pub struct Merger {
    held: Vec<Held>,
    bytes: usize,
}

#[derive(Debug)]
enum Held {
    Text(Text),
    Tool { id: String, raw: Box<RawValue> },
    Other(Box<RawValue>),
}

/// A chunk of plain text and what merged into it.
#[derive(Debug)]
struct Text {
    first: Box<RawValue>,
    /// The later chunks' text, still escaped. So merged text is the bytes that came, and a surrogate pair cut in
    /// two by the agent is whole again.
    more: String,
}

impl Gauge {
    /// The gauge that an update's `sessionUpdate` names, if it is one.
    pub fn of(kind: &str) -> Option<Self> {
        Some(match kind {
            "available_commands_update" => Self::AvailableCommands,
            "current_mode_update" => Self::CurrentMode,
            "config_option_update" => Self::ConfigOption,
            "session_info_update" => Self::SessionInfo,
            "usage_update" => Self::Usage,
            _ => return None,
        })
    }
}

impl Merger {
    /// Takes the next update.
    pub fn push<'a>(&mut self, update: &'a RawValue) -> Pushed<'a> {
        let view = UpdateView::of(update);
        let kind = view.kind();
        if let Some(kind) = Gauge::of(&kind) {
            return Pushed::Gauge { kind, raw: update };
        }
        match &*kind {
            "user_message_chunk" => Pushed::Dropped,
            "agent_message_chunk" | "agent_thought_chunk" => self.push_text(update, &view),
            "tool_call_update" => self.push_tool(update, &view),
            _ => self.push_other(update),
        }
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// About how many bytes a flush would give.
    pub fn pending_bytes(&self) -> usize {
        self.bytes
    }

    /// Gives out what is held, in order.
    pub fn flush(&mut self) -> Vec<Box<RawValue>> {
        self.bytes = 0;
        let into_raw = |held| match held {
            Held::Text(text) => text.into_raw(),
            Held::Tool { raw, .. } | Held::Other(raw) => raw,
        };
        self.held.drain(..).map(into_raw).collect()
    }

    fn push_text<'a>(&mut self, update: &'a RawValue, view: &UpdateView<'a>) -> Pushed<'a> {
        let Some(new) = PlainText::of(view) else { return self.push_other(update) };
        if let Some(Held::Text(last)) = self.held.last_mut()
            && new.continues(&last.first)
        {
            last.more.push_str(new.text);
            self.bytes += new.text.len();
            return Pushed::Held;
        }
        self.hold(Held::Text(Text { first: update.to_owned(), more: String::new() }), update);
        Pushed::Held
    }

    fn push_tool<'a>(&mut self, update: &'a RawValue, view: &UpdateView<'a>) -> Pushed<'a> {
        let Some(id) = view.tool_call_id() else { return self.push_other(update) };
        if view.get("_meta").is_some() {
            // It will not grow, but these come in floods: let them share a flush.
            self.hold(Held::Other(update.to_owned()), update);
            return Pushed::Held;
        }
        for held in self.held.iter_mut().rev() {
            let Held::Tool { id: other, raw } = held else { break };
            if *other == id {
                let merged = merge_members(raw, view);
                self.bytes = self.bytes - raw.get().len() + merged.get().len();
                *raw = merged;
                return Pushed::Held;
            }
        }
        self.hold(Held::Tool { id: id.into_owned(), raw: update.to_owned() }, update);
        Pushed::Held
    }

    fn push_other<'a>(&mut self, update: &'a RawValue) -> Pushed<'a> {
        self.hold(Held::Other(update.to_owned()), update);
        Pushed::Ready
    }

    fn hold(&mut self, held: Held, update: &RawValue) {
        self.bytes += update.get().len();
        self.held.push(held);
    }
}

impl Text {
    /// A chunk into which nothing merged goes out as it came.
    fn into_raw(self) -> Box<RawValue> {
        let Self { first, more } = self;
        if more.is_empty() {
            return first;
        }
        let view = UpdateView::of(&first);
        let PlainText { kind, message_id, text } =
            PlainText::of(&view).expect("only plain text is held as text");
        let text = RawValue::from_string(format!("\"{text}{more}\""))
            .expect("JSON strings joined are a JSON string");
        to_raw_value(&Chunk { kind: &kind, message_id, content: Content { kind: "text", text: &text } })
            .expect("a chunk has string keys only")
    }
}

/// A chunk that has a text block and nothing else in it.
struct PlainText<'a> {
    kind: Cow<'a, str>,
    message_id: Option<&'a RawValue>,
    /// Still escaped, without its quotes.
    text: &'a str,
}

impl<'a> PlainText<'a> {
    fn of(view: &UpdateView<'a>) -> Option<Self> {
        let content = Members::of(view.get("content")?)?;
        let plain = content.get_str("type")? == "text"
            && content.iter().all(|(name, _)| matches!(name, "type" | "text"))
            && view.members().all(|(name, _)| matches!(name, "sessionUpdate" | "content" | "messageId"));
        let text = content.get("text")?.get().strip_prefix('"')?.strip_suffix('"')?;
        plain.then(|| Self { kind: view.kind(), message_id: view.get("messageId"), text })
    }

    fn continues(&self, first: &RawValue) -> bool {
        let view = UpdateView::of(first);
        self.kind == view.kind()
            && self.message_id.map(RawValue::get) == view.get("messageId").map(RawValue::get)
    }
}

#[derive(Serialize)]
struct Chunk<'a> {
    #[serde(rename = "sessionUpdate")]
    kind: &'a str,
    #[serde(rename = "messageId", skip_serializing_if = "Option::is_none")]
    message_id: Option<&'a RawValue>,
    content: Content<'a>,
}

#[derive(Serialize)]
struct Content<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    text: &'a RawValue,
}

/// The members of `old` with those of `new` put in their place or behind. Nulls, which say "as before", go.
fn merge_members(old: &RawValue, new: &UpdateView<'_>) -> Box<RawValue> {
    struct Merged<'a>(&'a UpdateView<'a>, &'a UpdateView<'a>);

    impl Serialize for Merged<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let Self(old, new) = self;
            let replaced = old.members().map(|(name, value)| (name, new.get(name).unwrap_or(value)));
            serializer.collect_map(replaced.chain(new.members().filter(|(name, _)| old.get(name).is_none())))
        }
    }

    to_raw_value(&Merged(&UpdateView::of(old), new)).expect("members have string keys only")
}

#[cfg(test)]
mod tests;
