//! An answer while it comes, and when it is whole.

use serde_json::{Map, Value};

use super::{Call, Failure, Mark, Part};

/// How large an answer may be, in bytes.
const MAX_ANSWER: usize = 32 << 20;
/// How many parts it may have.
const MAX_PARTS: usize = 4_096;

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// It says this.
    Text(String),
    /// It thinks this.
    Thought(String),
    /// It calls this.
    Call(Call),
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// What it thought, said and called.
    pub parts: Vec<Part>,
    /// What it used.
    pub usage: Usage,
    /// Why it ended; absent of an answer that was abandoned.
    pub stop: Option<Stop>,
    /// The same in the provider's own word.
    pub stop_word: String,
}

impl Reply {
    /// What there is of an answer that has not begun.
    #[must_use]
    pub const fn nothing() -> Self {
        let usage = Usage { input: None, output: None, cache_read: None, cache_write: None, thought: None };
        Self { parts: Vec::new(), usage, stop: None, stop_word: String::new() }
    }
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The model has no more to say.
    EndTurn,
    /// It waits for what its calls give.
    ToolUse,
    /// It has used all tokens that it may.
    MaxTokens,
    /// The model or its provider refuses.
    Refusal,
    /// The conversation is as long as the model can read.
    ContextFull,
    /// It is to be asked again, and will go on.
    Paused,
}

/// What an answer used, in tokens, as far as the provider told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Read, those from and into a cache included.
    pub input: Option<u64>,
    /// Written, those of thought included.
    pub output: Option<u64>,
    /// Read from a cache.
    pub cache_read: Option<u64>,
    /// Written into a cache.
    pub cache_write: Option<u64>,
    /// Thought.
    pub thought: Option<u64>,
}

/// An answer while it comes.
#[derive(Debug)]
pub(super) struct Draft {
    prefix: String,
    slots: Vec<Slot>,
    deltas: Vec<Delta>,
    bytes: usize,
    pub(super) usage: Usage,
    pub(super) stop: Option<Stop>,
    pub(super) word: String,
}

#[derive(Debug)]
enum Slot {
    Whole(Part),
    /// A call whose input is still being written.
    Open {
        id: String,
        name: String,
        input: String,
        mark: Option<Mark>,
    },
}

impl Draft {
    pub(super) const fn new(prefix: String) -> Self {
        let usage = Usage { input: None, output: None, cache_read: None, cache_write: None, thought: None };
        Self {
            prefix,
            slots: Vec::new(),
            deltas: Vec::new(),
            bytes: 0,
            usage,
            stop: None,
            word: String::new(),
        }
    }

    pub(super) fn take(&mut self) -> Vec<Delta> {
        std::mem::take(&mut self.deltas)
    }

    pub(super) fn text(&mut self, more: &str) -> Result<(), Failure> {
        if more.is_empty() {
            return Ok(());
        }
        self.count(more.len())?;
        self.deltas.push(Delta::Text(more.to_owned()));
        if let Some(Slot::Whole(Part::Text { text, mark: None })) = self.slots.last_mut() {
            text.push_str(more);
            return Ok(());
        }
        self.add(Slot::Whole(Part::Text { text: more.to_owned(), mark: None }))
    }

    pub(super) fn thought(&mut self, more: &str) -> Result<(), Failure> {
        if more.is_empty() {
            return Ok(());
        }
        self.count(more.len())?;
        self.deltas.push(Delta::Thought(more.to_owned()));
        if let Some(Slot::Whole(Part::Thought { text, mark: None })) = self.slots.last_mut() {
            text.push_str(more);
            return Ok(());
        }
        self.add(Slot::Whole(Part::Thought { text: more.to_owned(), mark: None }))
    }

    /// Marks the thought or the text that was just told. Where there is none, or it has its mark, a thought of which nothing is
    /// shown carries it.
    pub(super) fn mark(&mut self, new: Mark, of: Marked) -> Result<(), Failure> {
        self.count(new.data.to_string().len())?;
        match (self.slots.last_mut(), of) {
            (Some(Slot::Whole(Part::Thought { mark: mark @ None, .. })), Marked::Thought)
            | (Some(Slot::Whole(Part::Text { mark: mark @ None, .. })), Marked::Text) => {
                *mark = Some(new);
                Ok(())
            }
            _ => self.add(Slot::Whole(Part::Thought { text: String::new(), mark: Some(new) })),
        }
    }

    /// A call begins; gives its place.
    pub(super) fn begin(
        &mut self,
        id: Option<&str>,
        name: &str,
        mark: Option<Mark>,
    ) -> Result<usize, Failure> {
        let id = match id.filter(|id| !id.is_empty()) {
            Some(id) => id.to_owned(),
            None => format!("{}{}", self.prefix, self.slots.len()),
        };
        self.count(id.len() + name.len())?;
        self.add(Slot::Open { id, name: name.to_owned(), input: String::new(), mark })?;
        Ok(self.slots.len() - 1)
    }

    /// More of a call's input.
    pub(super) fn input(&mut self, place: usize, more: &str) -> Result<(), Failure> {
        self.count(more.len())?;
        if let Some(Slot::Open { input, .. }) = self.slots.get_mut(place) {
            input.push_str(more);
        }
        Ok(())
    }

    /// The name of a call comes in pieces with some.
    pub(super) fn rename(&mut self, place: usize, more: &str) {
        if let Some(Slot::Open { name, .. }) = self.slots.get_mut(place) {
            name.push_str(more);
        }
    }

    /// A call's input in place of what there was of it.
    pub(super) fn set_input(&mut self, place: usize, whole: &str) -> Result<(), Failure> {
        self.count(whole.len())?;
        if let Some(Slot::Open { input, .. }) = self.slots.get_mut(place) {
            whole.clone_into(input);
        }
        Ok(())
    }

    /// A call's input is whole.
    pub(super) fn end(&mut self, place: usize) {
        let Some(slot) = self.slots.get_mut(place) else { return };
        let Slot::Open { id, name, input, mark } = slot else { return };
        let (id, name, mark) = (std::mem::take(id), std::mem::take(name), mark.take());
        let (input, broken) = parse(std::mem::take(input));
        let call = Call { id, name, input, broken, mark };
        *slot = Slot::Whole(Part::Call(call.clone()));
        self.deltas.push(Delta::Call(call));
    }

    /// A call that comes whole.
    pub(super) fn call(
        &mut self,
        id: Option<&str>,
        name: &str,
        input: Map<String, Value>,
        mark: Option<Mark>,
    ) -> Result<(), Failure> {
        let place = self.begin(id, name, mark)?;
        let text = Value::Object(input).to_string();
        self.input(place, &text)?;
        self.end(place);
        Ok(())
    }

    /// Whether the last that it told is a thought that goes on.
    pub(super) fn thinks(&self) -> bool {
        matches!(self.slots.last(), Some(Slot::Whole(Part::Thought { mark: None, .. })))
    }

    pub(super) fn has_calls(&self) -> bool {
        self.slots.iter().any(|slot| matches!(slot, Slot::Open { .. } | Slot::Whole(Part::Call(_))))
    }

    pub(super) fn stop(&mut self, stop: Stop, word: &str) {
        self.stop = Some(stop);
        word.clone_into(&mut self.word);
    }

    pub(super) fn reply(self) -> Reply {
        let whole = |slot| match slot {
            Slot::Whole(part) => Some(part),
            Slot::Open { .. } => None,
        };
        let parts = self.slots.into_iter().filter_map(whole).collect();
        Reply { parts, usage: self.usage, stop: self.stop, stop_word: self.word }
    }

    fn add(&mut self, slot: Slot) -> Result<(), Failure> {
        if self.slots.len() >= MAX_PARTS {
            return Err(Failure::broken(format!("the answer has more than {MAX_PARTS} parts")));
        }
        self.slots.push(slot);
        Ok(())
    }

    fn count(&mut self, bytes: usize) -> Result<(), Failure> {
        self.bytes += bytes;
        if self.bytes > MAX_ANSWER {
            return Err(Failure::broken(format!("the answer is larger than {} MiB", MAX_ANSWER >> 20)));
        }
        Ok(())
    }
}

/// What a mark is of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Marked {
    Thought,
    Text,
    /// Nothing that was told.
    None,
}

/// The input of a call. None at all is an empty one: many models write nothing where there is nothing to say.
fn parse(input: String) -> (Map<String, Value>, Option<String>) {
    if input.trim().is_empty() {
        return (Map::new(), None);
    }
    match serde_json::from_str(&input) {
        Ok(Value::Object(map)) => (map, None),
        Ok(Value::Null) => (Map::new(), None),
        // Some write the object as a text.
        Ok(Value::String(text)) => match serde_json::from_str(&text) {
            Ok(Value::Object(map)) => (map, None),
            Ok(_) | Err(_) => (Map::new(), Some(input)),
        },
        Ok(_) | Err(_) => (Map::new(), Some(input)),
    }
}
