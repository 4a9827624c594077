//! Conversations that any provider accepts.

use std::collections::BTreeSet;

use super::{Content, Message, Part, ToolResult};

/// What the result of a call says that was not carried out.
const NOT_RUN: &str = "This call was not carried out: the turn was stopped before.";

/// A conversation as it may be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Repaired(pub Vec<Message>);

/// Makes a conversation one that any provider accepts, wherever it was cut off: every call has its result right behind it and
/// every result its call, no message is empty, the first is a person's, and messages of a person that follow each other
/// are one.
#[must_use]
pub fn repair(messages: &[Message]) -> Repaired {
    let mut out: Vec<Message> = Vec::with_capacity(messages.len());
    let mut owed: Vec<(String, String)> = Vec::new();
    for message in messages {
        match message {
            Message::Tool { results } => answer(&mut out, &mut owed, results),
            Message::User { content } => {
                settle(&mut out, &mut owed);
                let content = content.iter().filter(|content| !is_empty(content)).cloned();
                match out.last_mut() {
                    Some(Message::User { content: before }) => before.extend(content),
                    _ => {
                        let content: Vec<Content> = content.collect();
                        out.extend((!content.is_empty()).then_some(Message::User { content }));
                    }
                }
            }
            Message::Assistant { parts } => {
                settle(&mut out, &mut owed);
                say(&mut out, &mut owed, parts);
            }
        }
    }
    settle(&mut out, &mut owed);
    Repaired(out)
}

fn say(out: &mut Vec<Message>, owed: &mut Vec<(String, String)>, parts: &[Part]) {
    let mut seen = BTreeSet::new();
    let keeps = |part: &&Part| match part {
        Part::Text { text, mark } => !text.is_empty() || mark.is_some(),
        Part::Thought { text, mark } => !text.is_empty() || mark.is_some(),
        Part::Call(call) => seen.insert(call.id.clone()),
    };
    let parts: Vec<Part> = parts.iter().filter(keeps).cloned().collect();
    // What was only thought, and then cut off, is no message.
    let says = |part: &Part| {
        matches!(part, Part::Call(_)) || matches!(part, Part::Text { text, .. } if !text.trim().is_empty())
    };
    if !parts.iter().any(says) {
        return;
    }
    if out.is_empty() {
        out.push(Message::user("(the beginning of this conversation is not kept)"));
    }
    let calls = parts.iter().filter_map(|part| match part {
        Part::Call(call) => Some((call.id.clone(), call.name.clone())),
        Part::Text { .. } | Part::Thought { .. } => None,
    });
    owed.extend(calls);
    match out.last_mut() {
        Some(Message::Assistant { parts: before }) => before.extend(parts),
        _ => out.push(Message::Assistant { parts }),
    }
}

fn answer(out: &mut Vec<Message>, owed: &mut Vec<(String, String)>, results: &[ToolResult]) {
    let mut given = Vec::new();
    for result in results {
        if let Some(place) = owed.iter().position(|(id, _)| *id == result.id) {
            owed.remove(place);
            let mut result = result.clone();
            if result.content.iter().all(is_empty) {
                result.content = vec![Content::text("(no output)")];
            }
            given.push(result);
        }
    }
    match out.last_mut() {
        Some(Message::Tool { results }) => results.extend(given),
        _ if !given.is_empty() => out.push(Message::Tool { results: given }),
        _ => {}
    }
}

/// Answers the calls that have no result.
fn settle(out: &mut Vec<Message>, owed: &mut Vec<(String, String)>) {
    let result = |(id, name)| ToolResult { id, name, content: vec![Content::text(NOT_RUN)], failed: true };
    let missing: Vec<ToolResult> = owed.drain(..).map(result).collect();
    match out.last_mut() {
        _ if missing.is_empty() => {}
        Some(Message::Tool { results }) => results.extend(missing),
        _ => out.push(Message::Tool { results: missing }),
    }
}

fn is_empty(content: &Content) -> bool {
    matches!(content, Content::Text { text } if text.is_empty())
}
