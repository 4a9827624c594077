//! Making a conversation shorter: its older part becomes a summary, which the model itself writes.

use serde_json::json;
use trunkline_core::raw::Raw;
use trunkline_wire::model::{Ask, Call, Content, Failure, FailureKind, Message, Part};

use super::history::{Entry, estimate};
use super::stream::{self, Answered};
use crate::http::Http;
use crate::profiles::Ready;
use crate::turn::Turn;

/// Of a hundred tokens that the model can read, so many may be in use before the conversation is made shorter.
const FULL: u64 = 85;
/// Of what the model can read, the newest part that stays as it is: one in so many.
const KEPT: u64 = 4;
/// How much of one text goes into what is put in short, in bytes.
const MAX_PIECE: usize = 2_000;
/// The most tokens of a summary.
const MAX_SUMMARY: u32 = 4_000;

const TASK: &str = "Put the conversation below in short, for the one who goes on with it and has read none of it. Keep what was \
     asked and decided, names of files and what was changed in them, commands and what they showed, what failed, and what is \
     still to be done. Write plain text, without any introduction.";

/// Whether it is time.
pub(super) fn is_due(tokens: Option<u64>, messages: &[Message], context: u64) -> bool {
    let used = tokens.unwrap_or_else(|| estimate(messages));
    used >= context / 100 * FULL
}

/// Has the older part put in short.
///
/// # Errors
/// When there is nothing that could be put in short, or the model does not do it. `None`: the turn is to stop.
pub(super) async fn compact(
    http: &Http,
    ready: &Ready,
    messages: &[Message],
    turn: &Turn,
) -> Result<Option<Entry>, Failure> {
    let context = ready.context();
    // What the provider counts may be far from what is counted here: half of it is put in short in any case.
    let kept = kept(messages, (context / KEPT).min(estimate(messages) / 2));
    let old = &messages[..messages.len() - kept];
    if old.is_empty() {
        let why = "the last message alone is longer than the model can read";
        return Err(Failure::new(FailureKind::ContextTooLong, why));
    }
    let bytes = usize::try_from(context.saturating_mul(2)).unwrap_or(usize::MAX);
    let asked = [Message::user(format!("{TASK}\n\n{}", told(old, bytes)))];
    let ask = Ask {
        model: &ready.profile.model,
        messages: &asked,
        max_tokens: Some(MAX_SUMMARY),
        ..Ask::default()
    };
    let reply = match stream::answer(http, ready, &ask, turn, stream::Voice::Quiet).await {
        Answered::Whole(reply) => reply,
        Answered::Stopped(_) => return Ok(None),
        Answered::Failed(failure) => return Err(failure),
    };
    let text = reply.parts.iter().filter_map(|part| match part {
        Part::Text { text, .. } => Some(text.as_str()),
        Part::Thought { .. } | Part::Call(_) => None,
    });
    let summary: String = text.collect();
    if summary.trim().is_empty() {
        let why = "the conversation is too long, and the model did not put it in short";
        return Err(Failure::new(FailureKind::ContextTooLong, why));
    }
    let data = json!({ "messages": old.len(), "kept": kept, "summary": summary });
    let message = format!("The conversation is long: its first {} messages were put in short.", old.len());
    turn.note("history_compacted", message, Raw::of(&data).ok()).await;
    Ok(Some(Entry::Compacted { summary, kept }))
}

/// How many of the last messages stay as they are. The first of them is no result: its call would be missing. What a person
/// has just asked stays in any case.
fn kept(messages: &[Message], budget: u64) -> usize {
    let mut from = messages.len();
    while from > 0 && estimate(&messages[from - 1..]) <= budget {
        from -= 1;
    }
    let results =
        messages[from..].iter().take_while(|message| matches!(message, Message::Tool { .. })).count();
    let prompt = usize::from(matches!(messages.last(), Some(Message::User { .. })));
    (messages.len() - from - results).max(prompt)
}

/// A conversation as a text of bounded length: of one that is longer the middle is left out.
fn told(messages: &[Message], limit: usize) -> String {
    let all = messages.iter().flat_map(lines).collect::<Vec<_>>().join("\n\n");
    if all.len() <= limit {
        return all;
    }
    let (head, tail) =
        (all.floor_char_boundary(limit / 4), all.ceil_char_boundary(all.len() - limit / 4 * 3));
    format!("{}\n\n[… some of it is left out …]\n\n{}", &all[..head], &all[tail..])
}

fn lines(message: &Message) -> Vec<String> {
    match message {
        Message::User { content } => {
            content.iter().map(|content| format!("PERSON: {}", short(content))).collect()
        }
        Message::Assistant { parts } => parts.iter().filter_map(part).collect(),
        Message::Tool { results } => {
            let line = |result: &trunkline_wire::model::ToolResult| {
                let text = result.content.iter().map(short).collect::<Vec<_>>().join("\n");
                format!("RESULT of {}{}: {text}", result.name, if result.failed { " (failed)" } else { "" })
            };
            results.iter().map(line).collect()
        }
    }
}

fn part(part: &Part) -> Option<String> {
    match part {
        Part::Text { text, .. } => Some(format!("AGENT: {}", cut(text))),
        Part::Thought { .. } => None,
        Part::Call(Call { name, input, .. }) => {
            let input = serde_json::to_string(input).unwrap_or_default();
            Some(format!("CALL of {name}: {}", cut(&input)))
        }
    }
}

fn short(content: &Content) -> String {
    match content {
        Content::Text { text } => cut(text),
        Content::Image { mime_type, .. } => format!("[a picture, {mime_type}]"),
    }
}

fn cut(text: &str) -> String {
    super::tools::bounded(text.to_owned(), MAX_PIECE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_wire::model::ToolResult;

    fn turn(n: usize) -> Vec<Message> {
        let call = Call {
            id: n.to_string(),
            name: "read".into(),
            input: serde_json::Map::new(),
            broken: None,
            mark: None,
        };
        let content = vec![Content::text("x".repeat(400))];
        let result = ToolResult { id: n.to_string(), name: "read".into(), content, failed: false };
        vec![
            Message::user(format!("prompt {n}")),
            Message::Assistant { parts: vec![Part::Call(call)] },
            Message::Tool { results: vec![result] },
        ]
    }

    #[test]
    fn what_stays_never_begins_with_a_result() {
        let messages: Vec<Message> = (0..10).flat_map(turn).collect();
        let all = estimate(&messages);
        for budget in 0..all + 10 {
            let kept = kept(&messages, budget);
            let rest = &messages[messages.len() - kept..];
            assert!(!matches!(rest.first(), Some(Message::Tool { .. })));
            assert!(estimate(rest) <= budget || kept == 0);
        }
        assert_eq!(kept(&messages, all), messages.len());
    }

    #[test]
    fn what_is_told_is_bounded_and_has_both_ends() {
        let messages: Vec<Message> = (0..100).flat_map(turn).collect();
        let text = told(&messages, 5_000);
        assert!(
            text.len() < 5_100 && text.contains("prompt 0") && text.contains("prompt 99"),
            "{}",
            text.len()
        );
        assert!(told(&turn(7), 5_000).contains("CALL of read: {}"));
    }

    #[test]
    fn it_is_time_when_little_room_is_left() {
        assert!(is_due(Some(86_000), &[], 100_000) && !is_due(Some(84_000), &[], 100_000));
        assert!(is_due(None, &[Message::user("x".repeat(40_000))], 10_000));
    }
}
