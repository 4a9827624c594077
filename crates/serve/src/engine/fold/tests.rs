//! Turns as clients see them: golden transcripts, and what holds of all.

use proptest::prelude::*;
use trunkline_core::id::TurnId;
use trunkline_core::principal::Principal;
use trunkline_core::time::Time;

use super::*;

/// The request that the facts are about.
const REQUEST: &str = "0190163d-8694-739b-aea5-966c26f8ad91";
const GRANT: &str = "0190163d-8694-739b-aea5-966c26f8ad92";

/// Facts by their type and data, each a tenth of a second after the one before.
fn events(facts: &[(&str, Value)]) -> Vec<Event> {
    let event = |(n, (tag, data)): (usize, &(&str, Value))| {
        let line = json!({ "type": tag, "seq": n + 2, "at": 1_000 + n * 100, "by": "owner", "turn": 1, "data": data });
        Event::from_line(&line.to_string()).unwrap()
    };
    facts.iter().enumerate().map(event).collect()
}

fn frames(events: &[Event]) -> Vec<Frame> {
    let mut fold = Fold::new("s".to_owned(), Some("/work".to_owned()), BTreeMap::new());
    events.iter().flat_map(|event| fold.take(event)).collect()
}

/// The events of a transcript, without what is the same in all of them.
fn told(facts: &[(&str, Value)]) -> Vec<Value> {
    let bare = |frame: Frame| {
        let Value::Object(mut event) = frame.event else { unreachable!("every event is an object") };
        assert_eq!((event.remove("session_id"), event.remove("ts").is_some()), (Some("s".into()), true));
        event.into()
    };
    frames(&events(facts)).into_iter().map(bare).collect()
}

fn started() -> (&'static str, Value) {
    ("turn.started", json!({ "prompt": [{ "type": "text", "text": "Go." }] }))
}

#[expect(clippy::needless_pass_by_value, reason = "`json!` is written in its place")]
fn update(update: Value) -> (&'static str, Value) {
    ("turn.update", json!({ "v": "acp/1", "update": update }))
}

fn said(kind: &str, text: &str) -> (&'static str, Value) {
    update(json!({ "sessionUpdate": kind, "content": { "type": "text", "text": text } }))
}

fn call(status: &str) -> Value {
    json!({
        "sessionUpdate": "tool_call", "toolCallId": "t<1>", "title": "Write a", "kind": "edit", "status": status,
        "rawInput": { "path": "a" }, "locations": [{ "path": "/work/a" }], "_meta": { "trunkline": { "tool": "write" } },
        "content": [{ "type": "diff", "path": "/work/a", "oldText": null, "newText": "x" }],
    })
}

fn over(status: &str, text: &str) -> (&'static str, Value) {
    let name = if status == "failed" { "error" } else { "output" };
    update(
        json!({ "sessionUpdate": "tool_call_update", "toolCallId": "t<1>", "status": status, "rawOutput": { name: text } }),
    )
}

fn opened() -> (&'static str, Value) {
    let options = json!([{ "id": "allow", "name": "Allow", "kind": "allow_once" }, { "id": "deny", "name": "Deny", "kind": "reject_once" }]);
    (
        "request.opened",
        json!({ "id": REQUEST, "kind": "permission", "title": "Write a", "options": options, "tool_call": call("pending"), "tool": "write" }),
    )
}

fn judged(rule: Option<&str>) -> (&'static str, Value) {
    let risk = json!({ "level": "medium", "reason": "writes a" });
    ("request.judged", json!({ "id": REQUEST, "risk": risk, "rule": rule }))
}

fn closed(outcome: &str, option: Option<&str>, grant: Option<&str>) -> (&'static str, Value) {
    let answer = option.map(|option| json!({ "option": option }));
    ("request.closed", json!({ "id": REQUEST, "outcome": outcome, "answer": answer, "grant": grant }))
}

fn ended(reason: &str) -> (&'static str, Value) {
    let usage = json!({ "input": 3, "output": 4 });
    (
        "turn.ended",
        json!({ "stop_reason": reason, "duration_ms": 9_000, "error": "it broke", "usage": usage }),
    )
}

#[test]
fn a_turn_with_a_prompt_is_told_in_the_engines_words() {
    let told = told(&[
        started(),
        said("agent_thought_chunk", "Hm"),
        said("agent_thought_chunk", "."),
        said("agent_message_chunk", "I write."),
        update(call("pending")),
        opened(),
        judged(Some("no rule covers it")),
        closed("answered", Some("allow"), None),
        update(json!({ "sessionUpdate": "tool_call_update", "toolCallId": "t<1>", "status": "in_progress" })),
        over("completed", "written"),
        ended("end_turn"),
    ]);
    let diff = json!({ "path": "/work/a", "old_text": null, "new_text": "x" });
    let expected = json!([
        { "type": "turn_start", "turn": 1, "content": "Go." },
        { "type": "thinking", "text": "Hm." },
        { "type": "token", "text": "I write." },
        { "type": "tool_start", "tool_id": "t_1_", "tool_name": "write", "tool_type": "file_create", "input": { "path": "a" }, "risk_level": "medium" },
        { "type": "permission_request", "tool_id": "t_1_", "tool_name": "write", "tool_type": "file_create", "input": { "path": "a" },
          "title": "Write a", "request": REQUEST, "diff": diff, "expires_at": null, "risk_level": "medium", "risk_reason": "writes a",
          "rule": "no rule covers it" },
        { "type": "permission_granted", "tool_id": "t_1_", "scope": "once", "auto": false, "rule": null },
        { "type": "tool_result", "tool_id": "t_1_", "tool_name": "write", "success": true, "output": "written", "error": "",
          "execution_time": 0.1, "metadata": { "file_path": "/work/a", "diff_info": diff } },
        { "type": "turn_complete", "input_tokens": 3, "output_tokens": 4, "thinking_tokens": 0, "tool_calls": 1, "steps": 0,
          "max_steps_reached": false, "stop_reason": "end_turn", "stop": "end_turn", "duration_ms": 9_000, "cost": null },
    ]);
    assert_eq!(Value::Array(told), expected);
}

#[test]
fn what_a_rule_answers_is_not_asked_and_the_rule_is_named() {
    let added = json!({ "id": GRANT, "scope": "session", "pattern": "edit(a)", "request": REQUEST });
    let by_rule = told(&[
        started(),
        ("grant.added", added.clone()),
        opened(),
        judged(None),
        closed("answered", Some("allow"), Some(GRANT)),
    ]);
    let granted = by_rule.last().unwrap();
    assert_eq!(
        *granted,
        json!({ "type": "permission_granted", "tool_id": "t_1_", "scope": "session", "auto": true, "rule": "edit(a)" })
    );
    assert!(by_rule.iter().all(|event| event["type"] != "permission_request"));
    let given = told(&[
        started(),
        opened(),
        judged(Some("x")),
        ("grant.added", added),
        closed("answered", Some("allow"), None),
    ]);
    assert_eq!(
        (&given.last().unwrap()["scope"], &given.last().unwrap()["auto"]),
        (&json!("session"), &json!(false))
    );
    let elsewhere =
        told(&[started(), opened(), judged(None), closed("answered", Some("allow"), Some(GRANT))]);
    assert_eq!(elsewhere.last().unwrap()["scope"], "project", "it stands in another log");
}

#[test]
fn what_is_not_allowed_is_told_whatever_the_reason() {
    let tell = |closed: (&'static str, Value)| {
        let told = told(&[started(), opened(), judged(Some("x")), closed, over("failed", "not allowed")]);
        let kinds: Vec<_> =
            told[3..].iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect();
        let denied = told.iter().find(|event| event["type"] == "permission_denied").unwrap();
        assert_eq!(told.last().unwrap()["metadata"]["permission_denied"], true);
        (kinds, denied["reason"].as_str().unwrap().to_owned())
    };
    let kinds = |kinds: &[&str]| kinds.iter().map(|kind| (*kind).to_owned()).collect::<Vec<_>>();
    let denied = kinds(&["permission_denied", "tool_result"]);
    assert_eq!(tell(closed("answered", Some("deny"), None)), (denied.clone(), String::new()));
    assert_eq!(tell(closed("cancelled", None, None)), (denied, "cancelled".to_owned()));
    let expired = kinds(&["permission_expired", "permission_denied", "tool_result"]);
    assert_eq!(tell(closed("expired", Some("deny"), None)), (expired, "expired".to_owned()));
}

#[test]
fn every_end_has_one_event() {
    for (reason, kind, code) in [
        ("end_turn", "turn_complete", None),
        ("max_tokens", "turn_complete", None),
        ("max_turn_requests", "turn_complete", None),
        ("refusal", "turn_complete", None),
        ("cancelled", "error", Some("cancelled")),
        ("timeout", "error", Some("timeout")),
        ("interrupted", "error", Some("interrupted")),
        ("error", "error", Some("internal")),
    ] {
        let told = told(&[started(), ended(reason)]);
        assert_eq!(
            (told.len(), told[1]["type"].as_str(), told[1]["code"].as_str()),
            (2, Some(kind), code),
            "{reason}"
        );
        assert!(is_last(kind));
    }
    let data = json!({ "code": "rate_limited", "retryable": true });
    let failed = told(&[
        started(),
        ("turn.note", json!({ "code": "model_failed", "message": "m", "data": data })),
        ended("error"),
    ]);
    assert_eq!([&failed[1]["code"], &failed[1]["retryable"]], [&json!("rate_limit"), &json!(true)]);
}

#[test]
fn a_turn_of_tools_alone_says_what_they_gave() {
    let told =
        told(&[started(), update(call("pending")), over("completed", &"x".repeat(300)), ended("end_turn")]);
    assert_eq!(told[3], json!({ "type": "token", "text": "x".repeat(MAX_GIST), "synthetic": true }));
}

/// Any fact of a turn.
fn fact() -> impl Strategy<Value = (&'static str, Value)> {
    prop_oneof![
        Just(started()),
        Just(said("agent_message_chunk", "a")),
        Just(said("agent_thought_chunk", "b")),
        Just(update(call("pending"))),
        Just(update(call("completed"))),
        Just(over("completed", "c")),
        Just(over("failed", "d")),
        Just(opened()),
        Just(judged(Some("x"))),
        Just(judged(None)),
        Just(closed("answered", Some("allow"), None)),
        Just(closed("expired", None, None)),
        Just(ended("end_turn")),
        Just(ended("cancelled")),
    ]
}

proptest! {
    #[test]
    fn ids_grow_and_are_those_of_their_facts(facts in proptest::collection::vec(fact(), 0..40)) {
        let frames = frames(&events(&facts));
        prop_assert!(frames.is_sorted_by(|a, b| a.id < b.id));
        for frame in &frames {
            prop_assert!(IDS.last_of(IDS.fact_of(frame.id)) >= frame.id && IDS.fact_of(frame.id).0 >= 2);
        }
    }

    #[test]
    fn a_fold_can_begin_at_any_turn(before in proptest::collection::vec(fact(), 0..20), turn in proptest::collection::vec(fact(), 0..20)) {
        let mut facts = before.clone();
        facts.push(started());
        facts.extend(turn);
        let all = events(&facts);
        let whole: Vec<_> = frames(&all).into_iter().filter(|frame| IDS.fact_of(frame.id).0 >= before.len() as u64 + 2).collect();
        prop_assert_eq!(whole, frames(&all[before.len()..]));
    }
}

#[test]
fn nothing_of_another_log_is_told() {
    let mut fold = Fold::new("s".to_owned(), None, BTreeMap::new());
    let outside = Event {
        seq: Seq(9),
        at: Time(1),
        by: Principal::owner(),
        turn: None,
        key: None,
        fact: trunkline_core::agent::Memo::cleared().into(),
    };
    assert!(fold.take(&outside).is_empty());
    let of_turn = Event { turn: Some(TurnId(Seq(1))), ..outside };
    assert!(fold.take(&of_turn).is_empty(), "nor what a driver remembers");
}
