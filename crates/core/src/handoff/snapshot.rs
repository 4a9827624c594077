//! What the daemon itself keeps of a turn, so that another agent can go on from its end.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::event::{Event, Fact};
use crate::id::TurnId;
use crate::quote::LINE_ENDS;
use crate::raw::Raw;
use crate::turn::{Ended, StopReason};
use crate::view::SessionView;

/// How many bytes of what the agent said last are kept.
const MAX_SAID: usize = 8 << 10;
/// How many bytes of what it was asked.
const MAX_ASKED: usize = 4 << 10;
/// How many bytes of what went wrong.
const MAX_ERROR: usize = 2 << 10;
/// How many files.
const MAX_FILES: usize = 200;
/// How many steps of its plan, and how many bytes of each.
const MAX_STEPS: usize = 50;
const MAX_STEP: usize = 500;
/// The status of a handoff whose agent cannot go on because its provider lets it do no more for now.
pub const RATE_LIMITED: &str = "paused";

/// What a turn has told, as far as a checkpoint has it.
#[derive(Debug, Default)]
pub struct Gathered {
    asked: Option<String>,
    said: String,
    /// Whether what is said next is another message.
    over: bool,
    steps: Vec<Step>,
    files: BTreeSet<String>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
struct Step {
    content: String,
    #[serde(default)]
    status: String,
}

/// A session update, as far as it is looked at.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Update {
    #[serde(default)]
    session_update: String,
    content: Option<Raw>,
    #[serde(default)]
    kind: Option<String>,
    locations: Option<Raw>,
    entries: Option<Raw>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
}

#[derive(Deserialize)]
struct Location {
    path: String,
}

#[derive(Serialize)]
struct Snapshot<'a> {
    agent: &'a str,
    turn: TurnId,
    stop_reason: StopReason,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    rate_limited: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    asked: Option<&'a str>,
    said: &'a str,
    plan: &'a [Step],
    files: &'a BTreeSet<String>,
}

impl Gathered {
    /// Takes the next event of the turn.
    pub fn take(&mut self, event: &Event) {
        match &event.fact {
            Fact::TurnStarted(started) => {
                let texts = started.prompt.iter().filter_map(|block| block.read::<Text>().ok());
                let asked = texts.map(|block| block.text).collect::<Vec<_>>().join("\n");
                self.asked = (!asked.is_empty()).then(|| head(&asked, MAX_ASKED).to_owned());
            }
            Fact::TurnUpdate(update) => {
                if let Ok(update) = update.update.read::<Update>() {
                    self.hear(update);
                }
            }
            Fact::FileWritten(written) => self.touch(written.path.clone()),
            _ => {}
        }
    }

    fn hear(&mut self, update: Update) {
        match update.session_update.as_str() {
            "agent_message_chunk" => {
                let text = update.content.and_then(|content| content.read::<Text>().ok());
                let Some(Text { text }) = text else { return };
                if std::mem::take(&mut self.over) {
                    self.said.clear();
                }
                self.said.push_str(&text);
                let over = self.said.len().saturating_sub(MAX_SAID);
                self.said.drain(..self.said.ceil_char_boundary(over));
            }
            "plan" => {
                let steps = update.entries.and_then(|entries| entries.read::<Vec<Step>>().ok());
                self.steps = steps.unwrap_or_default();
                self.steps.truncate(MAX_STEPS);
                for step in &mut self.steps {
                    step.content.truncate(head(&step.content, MAX_STEP).len());
                }
            }
            "tool_call" | "tool_call_update" => {
                self.over = true;
                if matches!(update.kind.as_deref(), Some("edit" | "delete" | "move")) {
                    let places = update.locations.and_then(|places| places.read::<Vec<Location>>().ok());
                    places.into_iter().flatten().for_each(|place| self.touch(place.path));
                }
            }
            _ => {}
        }
    }

    fn touch(&mut self, path: String) {
        if self.files.len() < MAX_FILES {
            self.files.insert(path);
        }
    }

    /// Which files the turn has changed.
    #[must_use]
    pub const fn files(&self) -> &BTreeSet<String> {
        &self.files
    }

    /// What of the agent's plan is not done; `None` if it made none.
    #[must_use]
    pub fn left_to_do(&self) -> Option<Vec<&str>> {
        let open = |step: &&Step| step.status != "completed";
        let left = self.steps.iter().filter(open).map(|step| step.content.as_str());
        (!self.steps.is_empty()).then(|| left.collect())
    }

    /// The snapshot of a checkpoint at the end of the turn.
    #[must_use]
    pub fn snapshot(&self, session: &SessionView, turn: TurnId, ended: &Ended) -> Raw {
        let error = ended.error.as_deref();
        let snapshot = Snapshot {
            agent: &session.agent,
            turn,
            stop_reason: ended.stop_reason,
            error: error.map(|error| head(error, MAX_ERROR)),
            rate_limited: is_rate_limit(ended),
            workspace: session.workspace.as_deref(),
            asked: self.asked.as_deref(),
            said: self.said.trim_matches(LINE_ENDS),
            plan: &self.steps,
            files: &self.files,
        };
        Raw::of(&snapshot).expect("a snapshot has a JSON form")
    }
}

/// Whether a turn ended because its provider lets the agent do no more for now. Agents say so in words alone.
#[must_use]
pub fn is_rate_limit(ended: &Ended) -> bool {
    let error = ended.error.as_deref().unwrap_or_default().to_ascii_lowercase();
    let says = |words: &str| error.contains(words);
    let number = || error.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == "429");
    let known =
        ["rate limit", "rate_limit", "rate-limit", "usage limit", "too many requests", "quota exceeded"];
    ended.stop_reason == StopReason::Error && (known.into_iter().any(says) || number())
}

fn head(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Seq;
    use crate::principal::Principal;
    use crate::time::Time;
    use crate::turn::{Started, Update};

    fn told(facts: impl IntoIterator<Item = Fact>) -> Gathered {
        let mut told = Gathered::default();
        for fact in facts {
            let (seq, at, by) = (Seq(1), Time(0), Principal::owner());
            told.take(&Event { seq, at, by, turn: None, key: None, fact });
        }
        told
    }

    fn update(json: &serde_json::Value) -> Fact {
        Update::of(Raw::of(json).unwrap()).into()
    }

    fn says(text: &str) -> Fact {
        update(&serde_json::json!({
            "sessionUpdate": "agent_message_chunk", "content": { "type": "text", "text": text }
        }))
    }

    fn tool(kind: &str, path: &str) -> Fact {
        update(&serde_json::json!({
            "sessionUpdate": "tool_call", "toolCallId": "1", "kind": kind, "locations": [{ "path": path }]
        }))
    }

    fn ended(error: &str) -> Ended {
        let ended = serde_json::json!({ "stop_reason": "error", "duration_ms": 1, "error": error });
        serde_json::from_value(ended).unwrap()
    }

    #[test]
    fn the_last_words_the_plan_and_the_files_are_kept() {
        let block = Raw::parse(r#"{"type":"text","text":"fix it"}"#).unwrap();
        let plan = serde_json::json!({
            "sessionUpdate": "plan",
            "entries": [
                { "content": "look", "status": "completed", "priority": "low" },
                { "content": "mend", "status": "pending", "priority": "low" },
            ],
        });
        let told = told([
            Started { prompt: vec![block], deadline: None }.into(),
            says("I look."),
            tool("read", "/a"),
            tool("edit", "/b"),
            update(&plan),
            says("Half"),
            says(" done."),
            update(&serde_json::json!({ "sessionUpdate": 3 })),
        ]);
        assert_eq!((told.asked.as_deref(), told.said.as_str()), (Some("fix it"), "Half done."));
        assert_eq!(told.left_to_do(), Some(vec!["mend"]));
        assert_eq!(told.files.iter().collect::<Vec<_>>(), ["/b"]);
        assert_eq!(Gathered::default().left_to_do(), None);
    }

    #[test]
    fn what_is_long_is_kept_from_its_end() {
        let told = told((0..5).map(|_| says(&"é".repeat(MAX_SAID / 3))).chain([says("end")]));
        assert!(told.said.len() <= MAX_SAID && told.said.ends_with("end"), "{}", told.said.len());
    }

    #[test]
    fn a_rate_limit_is_known_by_its_words() {
        for error in [
            "429 Too Many Requests",
            "API Error: Rate limit reached",
            "Claude AI usage limit reached|1731000000",
            r#"{"type":"rate_limit_error"}"#,
        ] {
            assert!(is_rate_limit(&ended(error)), "{error}");
        }
        for error in ["", "it ended by itself with code 1", "no such file: 4290"] {
            assert!(!is_rate_limit(&ended(error)), "{error}");
        }
        let done = Ended { stop_reason: StopReason::EndTurn, ..ended("429") };
        assert!(!is_rate_limit(&done), "it has not failed");
    }
}
