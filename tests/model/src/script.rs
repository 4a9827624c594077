//! What the model will say, and when: the script's types, as they stand in a JSON file.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::num::NonZeroUsize;

use crate::ask::Ask;
use crate::dialect::Dialect;

/// The largest script file read, in bytes.
pub const MAX_SCRIPT_BYTES: usize = 4 << 20;
/// The most rules in a script, and the most steps in a rule.
pub const MAX_ENTRIES: usize = 4096;

/// An ordered list of rules. The first rule that fits a request and is not used up answers it; a request that no
/// rule fits is refused with status 400 and recorded as such, so that a test sees the hole in its script.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// The rules, tried in order.
    pub rules: Vec<Rule>,
}

/// One answer and the requests it is for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Which requests this rule answers; empty fits every request.
    #[serde(default)]
    pub when: When,
    /// How many requests the rule answers before it is used up; absent means any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// The answer, step by step.
    pub answer: Vec<Step>,
    /// Why the answer ends; absent means a normal end, which is "tool use" where the answer holds a tool call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// The token counts reported with the answer.
    #[serde(default)]
    pub usage: Usage,
    /// Write the answer's stream in pieces of this many bytes, so that events and characters are split anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk_bytes: Option<NonZeroUsize>,
}

/// Conditions on a request; all that are given must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// The text of the last user message contains this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_text: Option<String>,
    /// Whether the conversation ends in a tool result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_tool: Option<bool>,
    /// The conversation ends in tool results and one of them contains this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_text: Option<String>,
    /// At least one of these tools is offered. Agents' side calls (titles, summaries) offer none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offers: Vec<String>,
    /// The request came in this dialect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialect: Option<Dialect>,
}

/// One step of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// A piece of the answer's text. Neighbouring pieces are one text, sent as so many deltas.
    Text(String),
    /// A piece of the model's thinking. Chat completions send it as `reasoning_content`, as several vendors do.
    Thought(String),
    /// A tool call: the first alternative whose tool the request offers. If none is offered the request is
    /// refused with status 400.
    Call(Vec<Call>),
    /// Wait this many milliseconds of tokio's clock.
    WaitMs(u64),
    /// Wait until the test opens the gate of this name.
    WaitFor(String),
    /// Fail. Before anything was sent this is an HTTP status, later the dialect's error event. Last step.
    Error(Failure),
    /// Cut the connection with the answer incomplete. Last step.
    Cut {},
}

/// A tool call under one agent's name for the tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The tool's name as the request offers it.
    pub tool: String,
    /// The arguments: an object, or a string for a tool that takes free text.
    pub arguments: Value,
    /// Whether it is called although it is not offered, as a model does that makes a tool up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unoffered: bool,
}

/// An error answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The HTTP status, 400 to 599.
    pub status: u16,
    /// What went wrong, for people.
    pub message: String,
    /// The value of a `retry-after` header, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
}

/// Why an answer ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// The limit on output tokens was reached.
    Length,
    /// The provider's filter stopped it.
    Filter,
}

/// Token counts, as reported to the client; nothing is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Tokens read, those from a cache included.
    pub input: u64,
    /// Tokens written.
    pub output: u64,
    /// Tokens read from the provider's cache, at most `input`.
    #[serde(default)]
    pub cached: u64,
}

/// Why a script was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// Not JSON, or not of the script's form.
    #[error("the script is not valid: {0}")]
    Form(#[from] serde_json::Error),
    /// Too many bytes, rules or steps.
    #[error("the script is too large: {what} is {size}, the limit is {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it is.
        size: usize,
        /// How large it may be.
        limit: usize,
    },
    /// A rule that cannot be played.
    #[error("rule {rule} (from 0): {problem}")]
    Rule {
        /// The rule's index.
        rule: usize,
        /// What is wrong with it.
        problem: String,
    },
}

/// A step that calls a tool, as JSON.
#[must_use]
#[expect(clippy::needless_pass_by_value, reason = "`json!` is written in its place")]
pub fn call(tool: &str, arguments: Value) -> Value {
    json!({ "call": [{ "tool": tool, "arguments": arguments }] })
}

impl Script {
    /// Reads a script from JSON text and checks it.
    ///
    /// # Errors
    /// [`ScriptError`] if it is too large, not of the documented form, or holds a rule that cannot be played.
    pub fn from_json(text: &str) -> Result<Self, ScriptError> {
        within("the file", text.len(), MAX_SCRIPT_BYTES)?;
        let script: Self = serde_json::from_str(text)?;
        script.check()?;
        Ok(script)
    }

    /// A script that gives these answers in this order, each once. An answer is a list of steps, or a whole rule.
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json).
    pub fn in_order(answers: &[Value]) -> Result<Self, ScriptError> {
        let once = |answer: &Value| match answer {
            Value::Object(rule) => {
                let mut rule = rule.clone();
                rule.insert("times".to_owned(), 1.into());
                Value::Object(rule)
            }
            steps => json!({ "times": 1, "answer": steps }),
        };
        let rules: Vec<_> = answers.iter().map(once).collect();
        Self::from_json(&json!({ "rules": rules }).to_string())
    }

    /// Checks that every rule can be played.
    ///
    /// # Errors
    /// [`ScriptError::TooLarge`] or [`ScriptError::Rule`].
    pub fn check(&self) -> Result<(), ScriptError> {
        within("the number of rules", self.rules.len(), MAX_ENTRIES)?;
        for (index, rule) in self.rules.iter().enumerate() {
            within("a rule's number of steps", rule.answer.len(), MAX_ENTRIES)?;
            rule.check().map_err(|problem| ScriptError::Rule { rule: index, problem })?;
        }
        Ok(())
    }

    /// The names of all gates the script waits at.
    pub(crate) fn gates(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().flat_map(|rule| &rule.answer).filter_map(|step| match step {
            Step::WaitFor(gate) => Some(gate.as_str()),
            Step::Text(_)
            | Step::Thought(_)
            | Step::Call(_)
            | Step::WaitMs(_)
            | Step::Error(_)
            | Step::Cut {} => None,
        })
    }
}

impl Rule {
    fn check(&self) -> Result<(), String> {
        if self.usage.cached > self.usage.input {
            return Err("usage.cached is more than usage.input".to_owned());
        }
        for (index, step) in self.answer.iter().enumerate() {
            let last = index + 1 == self.answer.len();
            step.check(last).map_err(|problem| format!("step {index} (from 0): {problem}"))?;
        }
        Ok(())
    }
}

impl Step {
    fn check(&self, last: bool) -> Result<(), String> {
        match self {
            Self::Error(_) | Self::Cut {} if !last => {
                Err("the answer ends here, no step may follow".to_owned())
            }
            Self::Error(failure) if !(400..600).contains(&failure.status) => {
                Err(format!("status {} is not an error's status (400 to 599)", failure.status))
            }
            Self::Call(alternatives) if alternatives.is_empty() => Err("a call without any tool".to_owned()),
            Self::Call(alternatives) => match alternatives.iter().find(|call| !call.takes_a_tool()) {
                Some(call) => {
                    Err(format!("the arguments of {} are neither an object nor a string", call.tool))
                }
                None => Ok(()),
            },
            Self::Text(_)
            | Self::Thought(_)
            | Self::WaitMs(_)
            | Self::WaitFor(_)
            | Self::Error(_)
            | Self::Cut {} => Ok(()),
        }
    }
}

impl Call {
    fn takes_a_tool(&self) -> bool {
        self.arguments.is_object() || self.arguments.is_string()
    }
}

impl When {
    /// Whether a request meets all conditions.
    pub(crate) fn fits(&self, ask: &Ask) -> bool {
        let text = self.user_text.as_ref().is_none_or(|part| ask.user_text.contains(part.as_str()));
        let after = self.after_tool.is_none_or(|after| after != ask.tool_results.is_empty());
        let result = self
            .result_text
            .as_ref()
            .is_none_or(|part| ask.tool_results.iter().any(|result| result.contains(part.as_str())));
        let offers = self.offers.is_empty() || self.offers.iter().any(|tool| ask.offer(tool).is_some());
        let dialect = self.dialect.is_none_or(|dialect| dialect == ask.dialect);
        text && after && result && offers && dialect
    }
}

impl Default for Usage {
    fn default() -> Self {
        Self { input: 10, output: 5, cached: 0 }
    }
}

fn within(what: &'static str, size: usize, limit: usize) -> Result<(), ScriptError> {
    if size > limit { Err(ScriptError::TooLarge { what, size, limit }) } else { Ok(()) }
}
