//! What can be found of a session: its text, in passages. Pure: events in, passages out.
//!
//! A prompt is a passage, so is what an agent says without a break, a tool call with what it gave, a question, its answer, a
//! message, and a title. What an agent thinks is not: nobody was told.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{Event, Fact};
use crate::id::Seq;
use crate::raw::Raw;
use crate::time::Time;

/// The most bytes of one passage. Prose that is longer becomes several; of anything else the start is kept.
pub const MAX_PASSAGE: usize = 16 << 10;

/// A piece of a session's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// The event with which it begins.
    pub seq: Seq,
    /// When that was.
    pub at: Time,
    /// What it is.
    pub said: Said,
    /// The text, without control characters other than line ends.
    pub text: String,
}

/// What a passage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// The session's title.
    Title,
    /// What an agent was asked.
    Prompt,
    /// What it said.
    Answer,
    /// A tool call: its title, and text that it gave.
    Tool,
    /// What a person was asked, or what they answered.
    Request,
    /// The text of a message in the session's inbox.
    Message,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// Gathers the passages of a log, event by event.
#[derive(Debug, Default)]
pub struct Passages {
    done: Vec<Passage>,
    /// What the agent is saying.
    prose: Option<Passage>,
}

/// A session update, as far as it is looked at.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Update {
    #[serde(default)]
    session_update: String,
    content: Option<Raw>,
    title: Option<String>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
}

/// A part of what a tool gave.
#[derive(Deserialize)]
struct Part {
    content: Option<Raw>,
}

/// How lines of events begin from which passages are made.
const TELLING: [&str; 7] = [
    r#"{"type":"turn.update""#,
    r#"{"type":"turn.started""#,
    r#"{"type":"request.opened""#,
    r#"{"type":"request.closed""#,
    r#"{"type":"message.queued""#,
    r#"{"type":"session.created""#,
    r#"{"type":"session.updated""#,
];

/// Whether the event of a line may have something to say. Others need not be read.
#[must_use]
pub fn is_telling(line: &str) -> bool {
    TELLING.iter().any(|begin| line.starts_with(begin))
}

impl Passages {
    /// Takes the next event.
    pub fn take(&mut self, event: &Event) {
        match &event.fact {
            Fact::TurnUpdate(update) => {
                if let Ok(update) = update.update.read::<Update>() {
                    self.hear(event, update);
                }
            }
            Fact::SessionCreated(created) => self.add_all(event, Said::Title, &created.title),
            Fact::SessionUpdated(updated) => self.add_all(event, Said::Title, &updated.title),
            Fact::TurnStarted(started) => {
                self.add_all(event, Said::Prompt, started.prompt.iter().filter_map(text));
            }
            Fact::RequestOpened(opened) => {
                self.add_all(event, Said::Request, [&opened.title, &opened.question]);
            }
            Fact::RequestClosed(closed) => {
                let answer = closed.answer.iter();
                self.add_all(event, Said::Request, answer.filter_map(|answer| answer.text.as_ref()));
            }
            Fact::MessageQueued(queued) => {
                self.add_all(event, Said::Message, text(&queued.payload));
            }
            _ => {}
        }
    }

    /// The passages so far; what is being said counts as said.
    #[must_use]
    pub fn finish(mut self) -> Vec<Passage> {
        self.end_prose();
        self.done
    }

    fn end_prose(&mut self) {
        self.done.extend(self.prose.take().filter(|prose| !prose.text.trim().is_empty()));
    }

    fn hear(&mut self, event: &Event, update: Update) {
        match update.session_update.as_str() {
            "agent_message_chunk" => {
                if let Some(text) = update.content.as_ref().and_then(text) {
                    self.say(event, &clean(&text));
                }
            }
            "tool_call" | "tool_call_update" => {
                let parts = update.content.and_then(|content| content.read::<Vec<Part>>().ok());
                let given = parts.into_iter().flatten().filter_map(|part| text(&part.content?));
                self.add_all(event, Said::Tool, update.title.into_iter().chain(given));
            }
            _ => {}
        }
    }

    fn say(&mut self, event: &Event, text: &str) {
        let mut prose = self.prose.take().unwrap_or_else(|| Passage {
            seq: event.seq,
            at: event.at,
            said: Said::Answer,
            text: String::new(),
        });
        prose.text.push_str(text);
        while prose.text.len() > MAX_PASSAGE {
            let rest = prose.text.split_off(prose.text.floor_char_boundary(MAX_PASSAGE));
            let next = Passage { text: rest, seq: event.seq, at: event.at, ..prose };
            self.done.push(std::mem::replace(&mut prose, next));
        }
        self.prose = Some(prose);
    }

    /// Adds a passage of these texts, if there is anything in them.
    fn add_all(&mut self, event: &Event, said: Said, texts: impl IntoIterator<Item = impl AsRef<str>>) {
        self.end_prose();
        let mut whole = String::new();
        for text in texts {
            let text = text.as_ref().trim();
            if !text.is_empty() && whole.len() < MAX_PASSAGE {
                if !whole.is_empty() {
                    whole.push('\n');
                }
                whole.push_str(&clean(&text[..text.floor_char_boundary(MAX_PASSAGE - whole.len())]));
            }
        }
        if !whole.is_empty() {
            self.done.push(Passage { seq: event.seq, at: event.at, said, text: whole });
        }
    }
}

/// The text of a content block.
fn text(block: &Raw) -> Option<String> {
    block.read::<Text>().ok().map(|block| block.text)
}

fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::principal::Principal;

    fn event(seq: u64, tag: &str, data: &Value) -> Event {
        let by = Principal::owner();
        let line = json!({"type": tag, "seq": seq, "at": seq, "by": by, "turn": 2, "data": data});
        Event::from_line(&line.to_string()).unwrap()
    }

    fn update(seq: u64, update: &Value) -> Event {
        event(seq, "turn.update", &json!({"v": "acp/1", "update": update}))
    }

    fn said(seq: u64, text: &str) -> Event {
        update(
            seq,
            &json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}),
        )
    }

    fn passages(events: &[Event]) -> Vec<(u64, Said, String)> {
        let mut passages = Passages::default();
        events.iter().for_each(|event| passages.take(event));
        passages.finish().into_iter().map(|passage| (passage.seq.0, passage.said, passage.text)).collect()
    }

    #[test]
    fn a_turn_is_its_prompt_its_prose_and_its_tools() {
        let found = passages(&[
            event(
                3,
                "turn.started",
                &json!({"prompt": [{"type": "text", "text": "why?"}, {"type": "image"}]}),
            ),
            said(4, "Because "),
            update(
                5,
                &json!({"sessionUpdate": "agent_thought_chunk", "content": {"type": "text", "text": "hm"}}),
            ),
            said(6, "of the \u{1b}sort."),
            update(
                7,
                &json!({"sessionUpdate": "tool_call", "toolCallId": "a", "title": "cargo test", "content": [
                    {"type": "content", "content": {"type": "text", "text": "2 failed"}}, {"type": "diff", "path": "a"}]}),
            ),
            said(8, "Fixed."),
        ]);
        let expected = [
            (3, Said::Prompt, "why?"),
            (4, Said::Answer, "Because of the sort."),
            (7, Said::Tool, "cargo test\n2 failed"),
            (8, Said::Answer, "Fixed."),
        ];
        assert_eq!(found, expected.map(|(seq, said, text)| (seq, said, text.to_owned())));
    }

    #[test]
    fn what_is_long_is_cut_at_a_character() {
        let long = "é".repeat(MAX_PASSAGE);
        let found = passages(&[said(1, &long), event(2, "session.updated", &json!({"title": long}))]);
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].2.len() + found[1].2.len(), long.len());
        assert_eq!(found[2].2.len(), MAX_PASSAGE);
    }

    #[test]
    fn what_says_nothing_is_no_passage() {
        assert_eq!(
            passages(&[event(1, "session.updated", &json!({})), update(2, &json!(7)), said(3, "")]).len(),
            0
        );
    }
}
