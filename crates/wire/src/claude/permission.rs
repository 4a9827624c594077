//! Claude asks whether it may, or asks a question with answers to choose from; the client asks a person.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::calls::{self, Tool};
use super::said::{Ask, AskedFor};
use super::{Adapter, MAX_ASKED};
use crate::acp::{
    PermissionOption, PermissionOptionKind, RequestPermissionOutcome, RequestPermissionRequest,
    RequestPermissionResponse, ToolCall, ToolCallContent, method,
};
use crate::jsonrpc::{self, Id};

/// Claude's tool for questions.
const QUESTION: &str = "AskUserQuestion";
const ALLOW: &str = "allow";
const REJECT: &str = "reject";
/// What Claude is told when it may not. Without an order to stop it looks for another way.
const DENIED: &str = "The user has not allowed this.";
const UNANSWERED: &str = "The user has not answered.";

/// What Claude asked and was not told yet.
#[derive(Debug)]
pub(super) struct Asked {
    call: String,
    input: Box<RawValue>,
    questions: Option<Questions>,
}

/// Questions are asked one after the other.
#[derive(Debug)]
struct Questions {
    rest: std::vec::IntoIter<Question>,
    now: Question,
    answers: serde_json::Map<String, Value>,
}

#[derive(Clone, Debug)]
struct Question {
    text: String,
    options: Vec<(String, Option<String>)>,
}

/// What Claude is told.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    response: Response<'a>,
}

#[derive(Serialize)]
struct Response<'a> {
    subtype: &'static str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<Decision<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(tag = "behavior", rename_all = "snake_case", rename_all_fields = "camelCase")]
enum Decision<'a> {
    Allow { updated_input: Cow<'a, RawValue> },
    Deny { message: &'a str },
}

impl Adapter {
    pub(super) fn ask(&mut self, Ask { request_id, request }: Ask<'_>) {
        let AskedFor { subtype, tool_name, input, tool_use_id, decision_reason } = request;
        let (Some(name), Some(input), "can_use_tool") = (tool_name, input, &*subtype) else {
            return self.refuse(&request_id, &format!("`{subtype}` is not known here"));
        };
        if self.asked.len() >= MAX_ASKED {
            return self.refuse(&request_id, "too many questions are open");
        }
        let call = tool_use_id.unwrap_or_else(|| request_id.clone());
        let questions = if name == QUESTION { Questions::of(input) } else { None };
        let shown = calls::with_input(Tool::of(&name).call(&call, &name, None), &name, input);
        let (shown, options) = match &questions {
            Some(questions) => questions.now.asked(shown),
            None => (because(shown, decision_reason), may()),
        };
        self.request(&request_id, &shown, options);
        self.asked.insert(request_id, Asked { call, input: input.to_owned(), questions });
    }

    fn request(&mut self, id: &str, call: &ToolCall, options: Vec<PermissionOption>) {
        let tool_call = serde_json::value::to_raw_value(call).expect("it has string keys only");
        let session_id = self.session.clone();
        let params = RequestPermissionRequest { session_id, tool_call, options, meta: None };
        let Ok(id) = Id::try_from(id) else { return self.refuse(id, "its id is too long") };
        let mut line = Vec::new();
        jsonrpc::write_request(&mut line, &id, method::SESSION_REQUEST_PERMISSION, &params)
            .expect(super::STRING_KEYS);
        self.out.client.push(line);
    }

    /// The client's answer, or that there is none.
    pub(super) fn decided(&mut self, id: &Id, answer: Option<&RawValue>) {
        let Some(id) = id.as_str().map(Cow::into_owned) else { return };
        let Some(mut asked) = self.asked.remove(&id) else { return };
        let answer = answer.and_then(|answer| serde_json::from_str(answer.get()).ok());
        let chosen = match answer {
            Some(RequestPermissionResponse { outcome: RequestPermissionOutcome::Selected { option_id } }) => {
                Some(option_id)
            }
            Some(RequestPermissionResponse { outcome: RequestPermissionOutcome::Cancelled }) | None => None,
        };
        if let Some(questions) = &mut asked.questions {
            match questions.take(chosen) {
                Next::Ask => {
                    let call = Tool::of(QUESTION).call(&asked.call, QUESTION, None);
                    let call = calls::with_input(call, QUESTION, &asked.input);
                    let (call, options) = questions.now.asked(call);
                    self.request(&id, &call, options);
                    self.asked.insert(id, asked);
                }
                Next::Answered => {
                    let input = questions.answered(&asked.input);
                    self.decide(&id, Decision::Allow { updated_input: Cow::Owned(input) });
                }
                Next::Unanswered => self.decide(&id, Decision::Deny { message: UNANSWERED }),
            }
        } else if chosen.as_deref() == Some(ALLOW) {
            self.begun(&asked.call);
            self.decide(&id, Decision::Allow { updated_input: Cow::Borrowed(&asked.input) });
        } else {
            self.decide(&id, Decision::Deny { message: DENIED });
        }
    }

    fn decide(&mut self, request_id: &str, decision: Decision<'_>) {
        let response = Response { subtype: "success", request_id, response: Some(decision), error: None };
        self.tell(&Told { kind: "control_response", response });
    }

    fn refuse(&mut self, request_id: &str, why: &str) {
        let response = Response { subtype: "error", request_id, response: None, error: Some(why) };
        self.tell(&Told { kind: "control_response", response });
    }
}

enum Next {
    Ask,
    Answered,
    Unanswered,
}

impl Questions {
    fn of(input: &RawValue) -> Option<Self> {
        let input: Value = serde_json::from_str(input.get()).ok()?;
        let option = |option: &Value| {
            let description = option["description"].as_str().map(str::to_owned);
            Some((option["label"].as_str()?.to_owned(), description))
        };
        let question = |question: &Value| {
            let options: Vec<_> = question["options"].as_array()?.iter().filter_map(option).collect();
            let text = question["question"].as_str()?.to_owned();
            (!options.is_empty()).then_some(Question { text, options })
        };
        let questions: Option<Vec<_>> = input["questions"].as_array()?.iter().map(question).collect();
        let mut rest = questions?.into_iter();
        Some(Self { now: rest.next()?, rest, answers: serde_json::Map::new() })
    }

    fn take(&mut self, chosen: Option<String>) -> Next {
        let Some(chosen) = chosen else { return Next::Unanswered };
        self.answers.insert(self.now.text.clone(), Value::String(chosen));
        match self.rest.next() {
            Some(next) => {
                self.now = next;
                Next::Ask
            }
            None => Next::Answered,
        }
    }

    /// The input of the call with the answers in it, which is how Claude takes them.
    fn answered(&self, input: &RawValue) -> Box<RawValue> {
        let mut input: Value = serde_json::from_str(input.get()).unwrap_or_default();
        input["answers"] = Value::Object(self.answers.clone());
        serde_json::value::to_raw_value(&input).expect("it has string keys only")
    }
}

impl Question {
    /// The call that asks it, and its answers.
    fn asked(&self, call: ToolCall) -> (ToolCall, Vec<PermissionOption>) {
        let described = self.options.iter().filter_map(|(label, description)| {
            description.as_ref().map(|description| format!("- {label}: {description}"))
        });
        let described: Vec<_> = described.collect();
        let content = (!described.is_empty()).then(|| vec![ToolCallContent::text(described.join("\n"))]);
        let options = self.options.iter().map(|(label, _)| option(label, label, "choice"));
        (ToolCall { title: Some(self.text.clone()), content, ..call }, options.collect())
    }
}

fn may() -> Vec<PermissionOption> {
    vec![option(ALLOW, "Allow", "allow_once"), option(REJECT, "Deny", "reject_once")]
}

fn option(id: &str, name: &str, kind: &str) -> PermissionOption {
    let kind = match kind {
        "allow_once" => PermissionOptionKind::AllowOnce,
        "reject_once" => PermissionOptionKind::RejectOnce,
        other => PermissionOptionKind::Unknown(other.to_owned()),
    };
    PermissionOption { option_id: id.to_owned(), name: name.to_owned(), kind, meta: None }
}

/// With Claude's own reason to ask, where it tells one.
fn because(mut call: ToolCall, reason: Option<String>) -> ToolCall {
    if let Some(reason) = reason.filter(|reason| !reason.trim().is_empty()) {
        call.content.get_or_insert_default().push(ToolCallContent::text(reason));
    }
    call
}
