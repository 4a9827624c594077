//! What was said in a session, as its driver remembers it: entries in the session's log, and what they come to.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use trunkline_core::budget::Spent;
use trunkline_core::event::{Event, Fact};
use trunkline_core::id::{LogId, Seq, SessionId, TurnId};
use trunkline_core::raw::Raw;
use trunkline_core::time::Time;
use trunkline_core::turn::Usage;
use trunkline_log::frame::Want;
use trunkline_log::{Log, LogError};
use trunkline_wire::model::Message;

/// How many bytes of the log are read at once.
const PAGE: usize = 4 << 20;

/// An entry of the memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// Somebody said this.
    Said(Box<Said>),
    /// What stood before the last `kept` messages was put into this summary.
    Compacted {
        /// The summary.
        summary: String,
        /// How many messages stay as they are.
        kept: usize,
    },
    /// All of it was forgotten.
    Cleared {},
    /// A person has let as much again be used as the budget says.
    Raised {},
}

/// A message, and how it came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// The message.
    pub message: Message,
    /// Of an answer: who gave it, and how it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
}

/// How an answer came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The profile.
    pub profile: String,
    /// The model.
    pub model: String,
    /// Why it ended, in the provider's own word; empty if it was cut off.
    pub stop: String,
    /// What it used.
    pub usage: Usage,
}

/// What is known of a conversation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// The messages that the model is given.
    pub messages: Vec<Message>,
    /// How many tokens the last answer has read and written.
    pub tokens: Option<u64>,
    /// What the session has used, whatever was forgotten since.
    pub spent: Spent,
    /// How often a person has let as much again be used.
    pub raised: u32,
}

/// An entry with its place in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// Its number.
    pub seq: Seq,
    /// When it was kept.
    pub at: Time,
    /// The turn it belongs to.
    pub turn: Option<TurnId>,
    /// The entry.
    pub entry: Entry,
}

/// The words before a summary.
const SUMMARY: &str = "This conversation was made shorter. What was said before, in short:";

impl Entry {
    /// As the log keeps it.
    #[must_use]
    pub fn to_raw(&self) -> Raw {
        Raw::of(self).expect("an entry has string keys only")
    }

    /// A message of which no more is known.
    #[must_use]
    pub fn said(message: Message) -> Self {
        Self::Said(Box::new(Said { message, answer: None }))
    }
}

impl History {
    /// Takes the next entry in.
    pub fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Said(said) => {
                if let Some(answer) = &said.answer {
                    let used = [answer.usage.input, answer.usage.output];
                    self.tokens = used.iter().any(Option::is_some).then(|| used.iter().flatten().sum());
                    self.spent.tokens += self.tokens.unwrap_or(0);
                    self.spent.cost += answer.usage.cost.unwrap_or(0.0);
                }
                if matches!(said.message, Message::User { .. }) {
                    self.spent.turns += 1;
                }
                self.messages.push(said.message.clone());
            }
            Entry::Compacted { summary, kept } => {
                let from = self.messages.len().saturating_sub(*kept);
                let kept = self.messages.split_off(from);
                self.messages = vec![Message::user(format!("{SUMMARY}\n\n{summary}"))];
                self.messages.extend(kept);
                self.tokens = None;
            }
            Entry::Cleared {} => {
                *self = Self { spent: self.spent, raised: self.raised, ..Self::default() };
            }
            Entry::Raised {} => self.raised += 1,
        }
    }

    /// Reads it from a session's log.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn load(log: &dyn Log, session: SessionId) -> Result<Self, LogError> {
        let mut history = Self::default();
        read(log, session, |kept| history.apply(&kept.entry)).await?;
        Ok(history)
    }
}

/// Reads all entries of a session, oldest first.
///
/// # Errors
/// When the log cannot be read.
pub async fn read(log: &dyn Log, session: SessionId, mut each: impl FnMut(Kept)) -> Result<(), LogError> {
    let (id, mut after) = (LogId::session(session), Seq::ZERO);
    loop {
        let page = log.read(&id, after, Want { bytes: PAGE, folded: true }).await?;
        for frame in &page.frames {
            for (_, line) in frame.lines_after(after) {
                if let Some(kept) = entry(line) {
                    each(kept);
                }
            }
        }
        match page.frames.last() {
            Some(last) => after = last.last,
            None => return Ok(()),
        }
    }
}

/// The entry in a line of the log, if it is one. What another driver or a newer version has kept is passed over.
fn entry(line: &str) -> Option<Kept> {
    if !line.starts_with(r#"{"type":"driver.memo""#) {
        return None;
    }
    let Event { seq, at, turn, fact: Fact::DriverMemo(memo), .. } = Event::from_line(line).ok()? else {
        return None;
    };
    Some(Kept { seq, at, turn, entry: memo.raw.read().ok()? })
}

/// The ids of all calls so far, so that none comes twice.
pub(super) fn call_ids(messages: &[Message]) -> std::collections::BTreeSet<String> {
    use trunkline_wire::model::Part;
    let parts = messages.iter().filter_map(|message| match message {
        Message::Assistant { parts } => Some(parts),
        Message::User { .. } | Message::Tool { .. } => None,
    });
    let ids = parts.flatten().filter_map(|part| match part {
        Part::Call(call) => Some(call.id.clone()),
        Part::Text { .. } | Part::Thought { .. } => None,
    });
    ids.collect()
}

/// A rough number of tokens, where no provider has counted.
pub(super) fn estimate(messages: &[Message]) -> u64 {
    let bytes: usize =
        messages.iter().map(|message| weight(&serde_json::to_value(message).unwrap_or_default())).sum();
    bytes as u64 / 4
}

/// How many bytes a value says. A picture counts as a page.
fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(list) => list.iter().map(weight).sum(),
        Value::Object(map) if map.get("type").is_some_and(|kind| kind == "image") => 6_000,
        Value::Object(map) => map.iter().map(|(name, value)| name.len() + weight(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(history: &History) -> Vec<String> {
        history.messages.iter().map(|message| serde_json::to_string(message).unwrap()).collect()
    }

    #[test]
    fn a_summary_takes_the_place_of_what_was_before() {
        let mut history = History::default();
        for text in ["a", "b", "c"] {
            history.apply(&Entry::said(Message::user(text)));
        }
        history.apply(&Entry::Compacted { summary: "a and b".to_owned(), kept: 1 });
        let told = texts(&history);
        assert_eq!(told.len(), 2);
        assert!(told[0].contains("a and b") && told[1].contains("\"c\""), "{told:?}");
        history.apply(&Entry::Raised {});
        history.apply(&Entry::Cleared {});
        let used = Spent { turns: 3, ..Spent::default() };
        let left = History { spent: used, raised: 1, ..History::default() };
        assert_eq!(history, left, "what was used stays used");
    }

    #[test]
    fn entries_are_read_back_as_they_were_kept() {
        let usage = Usage { input: Some(3), output: Some(4), ..Usage::default() };
        let answer = Answer { profile: "p".into(), model: "m".into(), stop: "stop".into(), usage };
        let said = Said { message: Message::Assistant { parts: vec![] }, answer: Some(answer) };
        for entry in [
            Entry::said(Message::user("x")),
            Entry::Said(Box::new(said)),
            Entry::Cleared {},
            Entry::Raised {},
        ] {
            assert_eq!(entry.to_raw().read::<Entry>().unwrap(), entry);
        }
        assert!(
            Raw::parse(r#"{"acp_session":"s"}"#).unwrap().read::<Entry>().is_err(),
            "another driver's is none"
        );
    }
}
