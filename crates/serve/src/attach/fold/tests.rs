//! Turns as clients see them.

use proptest::prelude::*;
use trunkline_core::id::TurnId;
use trunkline_core::time::Time;
use trunkline_core::turn::{Started, Stopping, Update};

use super::*;

const AGENT: &str = "agent/0190163d-8694-739b-aea5-966c26f8ad91";

fn event(seq: u64, by: &str, fact: impl Into<Fact>) -> Event {
    let turn = Some(TurnId(Seq(1)));
    Event { seq: Seq(seq), at: Time(7), by: by.parse().unwrap(), turn, key: None, fact: fact.into() }
}

fn update(seq: u64, update: &Value) -> Event {
    event(seq, AGENT, Update::of(Raw::of(update).unwrap()))
}

fn said(seq: u64, text: &str) -> Event {
    let content = json!({ "type": "text", "text": text });
    update(seq, &json!({ "sessionUpdate": "agent_message_chunk", "content": content }))
}

fn tool(seq: u64, id: &str, input: &Value, status: &str) -> Event {
    update(
        seq,
        &json!({
            "sessionUpdate": "tool_call_update", "toolCallId": id, "rawInput": input, "status": status, "name": "Bash",
        }),
    )
}

fn started(seq: u64) -> Event {
    let prompt = vec![Raw::of(&json!({ "type": "text", "text": "Why is it slow?" })).unwrap()];
    event(seq, "owner", Started { prompt, deadline: None })
}

fn ended(seq: u64, stop_reason: &str) -> Event {
    let ended = json!({ "stop_reason": stop_reason, "duration_ms": 9000, "error": "it broke" });
    event(seq, AGENT, serde_json::from_value::<Ended>(ended).unwrap())
}

fn stopping(seq: u64, why: Why) -> Event {
    event(seq, "owner", Stopping { why, until: Time(0) })
}

fn frames(events: &[Event]) -> Vec<Value> {
    let mut fold = Fold::new(Detail::Blocks, "http://here/");
    let frames = events.iter().flat_map(|event| fold.take(event));
    frames.map(|frame| serde_json::from_str(&frame.line()).unwrap()).collect()
}

/// Each frame as its kind, with what matters of it.
fn told(events: &[Event]) -> Vec<String> {
    let tell = |frame: &Value| {
        let of = |name: &str| frame[name].as_str().map(str::to_owned);
        let kind = frame["kind"].as_str().unwrap();
        match ["text", "error", "name"].into_iter().find_map(of) {
            Some(what) => format!("{kind} {what}"),
            None => kind.to_owned(),
        }
    };
    frames(events).iter().map(tell).collect()
}

#[test]
fn a_turn_is_told_from_its_prompt_to_its_end() {
    let events = [
        started(2),
        said(3, "I look. "),
        said(4, "Now."),
        tool(5, "t", &json!({ "command": "df -h" }), "in_progress"),
        tool(6, "t", &json!(null), "completed"),
        said(7, "Full."),
        ended(8, "end_turn"),
    ];
    let expected = [
        "user Why is it slow?",
        "session",
        "text I look. Now.",
        "tool Bash",
        "text Full.",
        "result",
        "turn_end",
    ];
    assert_eq!(told(&events), expected);
    let frames = frames(&events);
    assert_eq!(frames[3]["input"], json!({ "command": "df -h" }));
    assert_eq!(
        (&frames[5]["is_error"], &frames[5]["result"], &frames[5]["duration_ms"]),
        (&json!(false), &json!(""), &json!(9000))
    );
    assert_eq!(frames[0]["at"], 7);
    let ids: Vec<_> = frames.iter().map(|frame| frame["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [8, 12, 16, 20, 28, 32, 33]);
}

#[test]
fn a_turn_ends_once_whatever_ended_it() {
    let end = |events: &[Event]| told(&[&[started(2)], events].concat())[1..].join(", ");
    let cancelled = [said(3, "Hm"), stopping(4, Why::Cancelled), said(5, "!"), ended(6, "cancelled")];
    assert_eq!(end(&cancelled), "session, text Hm, cancelled, text !, turn_end");
    assert_eq!(end(&[ended(3, "cancelled")]), "session, cancelled, turn_end");
    let late = [stopping(3, Why::Timeout), ended(4, "timeout")];
    assert_eq!(end(&late), "error turn timed out after 9s, turn_end");
    assert_eq!(end(&[ended(3, "interrupted")]), "session, error interrupted by restart, turn_end");
    assert_eq!(end(&[ended(3, "error")]), "session, error it broke, turn_end");
    assert_eq!(end(&[ended(3, "max_tokens")]), "session, result, turn_end");
}

#[test]
fn a_tool_is_shown_once_as_soon_as_it_is_known_what_it_does() {
    let input = json!({ "command": "ls" });
    let events = [
        started(2),
        tool(3, "a", &json!({}), "pending"),
        tool(4, "a", &input, "pending"),
        tool(5, "a", &input, "in_progress"),
        tool(6, "a", &json!(null), "completed"),
        tool(7, "b", &json!({}), "in_progress"),
        tool(8, "c", &json!("x"), "pending"),
    ];
    assert_eq!(told(&events), ["user Why is it slow?", "session", "tool Bash", "tool Bash", "tool Bash"]);
    assert_eq!(
        (&frames(&events)[2]["input"], &frames(&events)[4]["input"]),
        (&input, &json!({ "input": "x" }))
    );
}

#[test]
fn what_waits_for_a_person_is_told_with_where_to_answer() {
    let call =
        json!({ "toolCallId": "t", "title": "rm -r", "rawInput": { "command": "rm -r" }, "name": "Bash" });
    let asked = json!({
        "id": "0190163d-8694-739b-aea5-966c26f8ad92", "kind": "permission", "title": "rm -r", "options": [],
        "tool_call": call, "priority": "normal",
    });
    let asked: Opened = serde_json::from_value(asked).unwrap();
    let events = [started(2), said(3, "I clean."), event(4, AGENT, asked)];
    assert_eq!(told(&events)[2..], ["text I clean.", "tool Bash", "tool Needs you"]);
    let command = frames(&events)[4]["input"]["command"].as_str().unwrap().to_owned();
    assert!(command.starts_with("rm -r — answer at http://here/"), "{command}");
}

#[test]
fn those_who_ask_get_each_piece_and_what_tools_give_back() {
    let content = json!({ "type": "text", "text": "hm" });
    let thought = update(4, &json!({ "sessionUpdate": "agent_thought_chunk", "content": content }));
    let done = update(
        6,
        &json!({
            "sessionUpdate": "tool_call_update", "toolCallId": "t", "status": "failed",
            "content": [{ "type": "content", "content": { "type": "text", "text": "no" } }],
        }),
    );
    let mut fold = Fold::new(Detail::All, "");
    let events = [started(2), said(3, "a"), thought, said(5, "b"), done];
    let frames: Vec<_> = events.iter().flat_map(|event| fold.take(event)).collect();
    let kinds: Vec<_> = frames.iter().map(|frame| frame.kind).collect();
    assert_eq!(kinds, ["user", "session", "text", "thinking", "text", "tool", "tool_result"]);
}

#[test]
fn lines_are_ascii() {
    let line = frames(&[started(2), said(3, "µ😀"), ended(4, "end_turn")])[2].clone();
    assert_eq!(line["text"], "µ😀");
    let mut fold = Fold::new(Detail::All, "");
    fold.take(&started(2));
    assert!(fold.take(&said(3, "µ😀"))[1].line().contains(r"\u00b5\ud83d\ude00"));
}

proptest! {
    /// Ids grow, whatever happens, and a fold that begins at the turn again gives the same frames.
    #[test]
    fn ids_grow_and_come_again(kinds in proptest::collection::vec(0..7u8, 1..60)) {
        let events: Vec<_> = kinds.iter().enumerate().map(|(n, kind)| {
            let seq = n as u64 + 2;
            match kind {
                0 => started(seq),
                1 | 2 => said(seq, "x"),
                3 => tool(seq, "t", &json!({ "command": "x" }), "pending"),
                4 => tool(seq, &format!("t{seq}"), &json!({}), "completed"),
                5 => stopping(seq, Why::Cancelled),
                _ => ended(seq, "end_turn"),
            }
        }).collect();
        let all = frames(&events);
        let ids: Vec<_> = all.iter().map(|frame| frame["id"].as_u64().unwrap()).collect();
        prop_assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
        for (n, kind) in kinds.iter().enumerate() {
            if *kind == 0 {
                let again = frames(&events[n..]);
                let from = again[0]["id"].as_u64().unwrap();
                let rest: Vec<_> = all.iter().filter(|frame| frame["id"].as_u64().unwrap() >= from).cloned().collect();
                prop_assert_eq!(again, rest);
            }
        }
    }
}
