use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Applies events given as `(type, data)`, all of turn 2, by the owner.
struct Story {
    transcript: Transcript,
    seq: u64,
    by: &'static str,
}

impl Story {
    fn new() -> Self {
        Self { transcript: Transcript::new(Some(Principal::owner())), seq: 0, by: "owner" }
    }

    #[expect(clippy::needless_pass_by_value, reason = "a story reads better without borrows")]
    fn tell(&mut self, kind: &str, data: Value) -> &mut Self {
        self.seq += 1;
        let line = json!({ "type": kind, "seq": self.seq, "at": 1, "by": self.by, "turn": 2, "data": data });
        self.transcript.apply(&Event::from_line(&line.to_string()).unwrap());
        self
    }

    #[expect(clippy::needless_pass_by_value, reason = "a story reads better without borrows")]
    fn update(&mut self, update: Value) -> &mut Self {
        self.tell("turn.update", json!({ "v": "acp/1", "update": update }))
    }

    fn say(&mut self, text: &str) -> &mut Self {
        self.update(
            json!({ "sessionUpdate": "agent_message_chunk", "content": { "type": "text", "text": text } }),
        )
    }

    fn start(&mut self, prompt: &str) -> &mut Self {
        let prompt = json!([{ "type": "text", "text": prompt }]);
        self.tell("turn.queued", json!({ "prompt": prompt }))
            .tell("turn.started", json!({ "prompt": prompt }))
    }

    fn end(&mut self, reason: &str) -> &mut Self {
        self.tell("turn.ended", json!({ "stop_reason": reason, "duration_ms": 4_200 }))
    }

    fn ask(&mut self) -> &mut Self {
        let tool = json!({ "toolCallId": "w", "title": "Write a.txt", "status": "pending", "content": [
            { "type": "diff", "path": "/w/a.txt", "oldText": "one\ntwo", "newText": "one\n2" },
        ] });
        self.tell(
            "request.opened",
            json!({ "id": ID, "kind": "permission", "title": "Write a.txt", "tool_call": tool, "options": [
                { "id": "y", "name": "Allow", "kind": "allow_once" },
                { "id": "a", "name": "Always allow", "kind": "allow_always" },
                { "id": "n", "name": "Deny", "kind": "reject_once" },
            ] }),
        )
    }

    fn settled(&mut self) -> String {
        show(&self.transcript.settled())
    }

    fn live(&self) -> String {
        show(&self.transcript.live())
    }
}

const ID: &str = "0190163d-8694-739b-aea5-966c26f8ad91";

fn show(lines: &[Line]) -> String {
    lines.iter().map(|line| line.render(Paint::PLAIN)).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_turn_from_prompt_to_end() {
    let mut story = Story::new();
    story.tell("session.created", json!({ "id": ID, "driver": "acp", "agent": "demo", "workspace": "/w" }));
    story.start("Have a look\nand tell me").say("I will ").say("look.\n\nNow:\n- one thing\n");
    story.update(json!({ "sessionUpdate": "plan", "entries": [
        { "content": "Look", "priority": "high", "status": "in_progress" },
        { "content": "Tell", "priority": "low", "status": "pending" },
    ] }));
    story.update(
        json!({ "sessionUpdate": "tool_call", "toolCallId": "r", "title": "Read a.txt", "kind": "read" }),
    );
    story.update(json!({ "sessionUpdate": "tool_call_update", "toolCallId": "r", "status": "completed",
        "content": [{ "type": "content", "content": { "type": "text", "text": "one\ntwo" } }] }));
    story.update(json!({ "sessionUpdate": "plan", "entries": [
        { "content": "Look", "priority": "high", "status": "completed" },
        { "content": "Tell", "priority": "low", "status": "pending" },
    ] }));
    story.say("That is all.").end("end_turn");
    insta::assert_snapshot!(story.settled(), @r"
    demo in /w

    › Have a look
      and tell me

    I will look.

    Now:
    - one thing

    ▸ Look
    ☐ Tell
    ● Read a.txt
      one
      two
    ☑ Look

    That is all.

    done in 4s
    ");
    assert_eq!(story.live(), "");
    assert_eq!(story.transcript.status().render(Paint::PLAIN), "ready");
}

#[test]
fn words_are_printed_line_by_line_as_they_come() {
    let mut story = Story::new();
    story.start("go").say("One line\nand a ha");
    insta::assert_snapshot!(story.settled(), @r"
    › go

    One line
    ");
    insta::assert_snapshot!(story.live(), @"and a ha");
    story.say("lf\n");
    insta::assert_snapshot!(story.settled(), @"and a half");
    assert_eq!(story.live(), "");
}

#[test]
fn a_tool_is_live_until_it_is_done_and_nothing_overtakes_it() {
    let mut story = Story::new();
    story.start("go");
    story.settled();
    story.update(json!({ "sessionUpdate": "tool_call_update", "toolCallId": "x", "title": "Run tests",
        "status": "in_progress", "rawInput": { "command": ["make", "test"] },
        "content": [{ "type": "terminal", "terminalId": "t" }] }));
    story.tell("terminal.output", json!({ "terminal": "t", "text": "1 passed\n2 pas" }));
    story.tell("terminal.output", json!({ "terminal": "t", "text": "sed\n" }));
    story.say("Meanwhile.");
    assert_eq!(story.settled(), "");
    insta::assert_snapshot!(story.live(), @r"
    ◐ Run tests
      $ make test
      │ 1 passed
      │ 2 passed

    Meanwhile.
    ");
    story.update(json!({ "sessionUpdate": "tool_call_update", "toolCallId": "x", "status": "failed" }));
    insta::assert_snapshot!(story.settled(), @r"
    ✗ Run tests
      $ make test
      │ 1 passed
      │ 2 passed
    ");
    story.update(json!({ "sessionUpdate": "tool_call_update", "toolCallId": "x", "status": "failed" }));
    assert_eq!(story.live(), "\nMeanwhile.", "what comes after its end is not told again");
}

#[test]
fn a_permission_has_a_card_and_an_outcome() {
    let mut story = Story::new();
    story.start("go").ask();
    story.settled();
    insta::assert_snapshot!(story.live(), @"○ Write a.txt");
    insta::assert_snapshot!(show(&card(&story.transcript.open()[0], true)), @r"
    ? Write a.txt
      /w/a.txt
        one
      - two
      + 2
      1 Allow (y)
      2 Always allow
      3 Deny (n)
    ");
    assert_eq!(story.transcript.status().render(Paint::PLAIN), "waiting for you");
    story.by = "token/phone";
    story.tell("request.closed", json!({ "id": ID, "outcome": "answered", "answer": { "option": "y" } }));
    assert!(story.transcript.open().is_empty());
    story.update(json!({ "sessionUpdate": "tool_call_update", "toolCallId": "w", "status": "completed" }));
    insta::assert_snapshot!(story.settled(), @r"
    ● Write a.txt
      /w/a.txt
        one
      - two
      + 2
    ✔ Write a.txt → Allow by token/phone
    ");
}

#[test]
fn every_end_says_what_happened() {
    let mut story = Story::new();
    for reason in ["max_tokens", "refusal", "timeout", "interrupted"] {
        story.start("go").end(reason);
    }
    story.start("go").tell("turn.stopping", json!({ "why": "cancelled", "until": 9 })).end("cancelled");
    story.by = "agent/x";
    story.tell("agent.exited", json!({ "incarnation": 1, "signal": 9 }));
    story.tell(
        "turn.ended",
        json!({ "stop_reason": "error", "duration_ms": 1, "error": "it ran `x` in /w\nand that said no" }),
    );
    insta::assert_snapshot!(story.settled().replace("\n\n", "\n"), @r"
    › go
    stopped at the token limit after 4s
    › go
    the agent refused to go on after 4s
    › go
    timed out after 4s
    › go
    interrupted with the daemon after 4s
    › go
    stopping: cancelled
    cancelled after 4s
    failed after 1ms: it ran `x` in /w
    and that said no
    ");
}

#[test]
fn an_agent_cannot_play_tricks_on_the_terminal() {
    let evil = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}\r";
    let mut story = Story::new();
    story.start(evil).say(evil).update(
        json!({ "sessionUpdate": "tool_call", "toolCallId": "e", "title": evil,
        "rawInput": { "command": evil }, "content": [
            { "type": "content", "content": { "type": "text", "text": evil } },
            { "type": "diff", "path": evil, "oldText": evil, "newText": "x" },
            { "type": "terminal", "terminalId": "t" }] }),
    );
    story.tell("terminal.output", json!({ "terminal": "t", "text": evil }));
    story.tell(
        "request.opened",
        json!({ "id": ID, "kind": "permission", "title": "t", "question": evil,
            "options": [{ "id": "y", "name": evil, "kind": "allow_once" }] }),
    );
    let all =
        format!("{}{}{}", story.settled(), story.live(), show(&card(&story.transcript.open()[0], true)));
    assert!(!all.chars().any(|c| c != '\n' && (c.is_control() || c == '\u{202e}')), "{all:?}");
}

#[test]
fn too_much_at_once_is_printed_before_its_end() {
    let mut story = Story::new();
    story.start("go");
    let tool = |n: usize, status: &str| json!({ "sessionUpdate": "tool_call_update", "toolCallId": n.to_string(), "title": format!("job {n}"), "status": status });
    for n in 0..MAX_LIVE + 2 {
        story.update(tool(n, "in_progress"));
    }
    let settled = story.settled();
    assert!(settled.ends_with("◐ job 0\n◐ job 1"), "{settled}");
    story.update(tool(0, "completed"));
    assert_eq!(story.settled(), "● job 0");
    story.end("end_turn");
    let rest = story.settled();
    assert_eq!(rest.lines().filter(|line| *line == "◐ job 1").count(), 1, "{rest}");
    assert!(!rest.lines().any(|line| line.ends_with("job 0")), "{rest}");
}

proptest! {
    /// However the events of a turn are cut into batches, the same lines come out.
    #[test]
    fn what_is_printed_does_not_depend_on_when(cuts in prop::collection::vec(any::<bool>(), 12)) {
        let told = |cuts: &[bool]| {
            let mut story = Story::new();
            let mut out = Vec::new();
            for (n, cut) in cuts.iter().enumerate() {
                match n {
                    0 => story.start("go"),
                    1..=4 => story.say("some words\nand "),
                    5 => story.ask(),
                    6 => story.tell("request.closed", json!({ "id": ID, "outcome": "answered", "answer": { "option": "n" } })),
                    7 => story.update(json!({ "sessionUpdate": "tool_call_update", "toolCallId": "w", "status": "failed" })),
                    8..=10 => story.say("more"),
                    _ => story.end("end_turn"),
                };
                if *cut {
                    out.extend(story.transcript.settled());
                }
            }
            out.extend(story.transcript.settled());
            show(&out)
        };
        prop_assert_eq!(told(&cuts), told(&[false; 12]));
    }
}

#[test]
fn what_is_cut_short_says_so() {
    let update =
        json!({ "sessionUpdate": "tool_call", "toolCallId": "t", "title": "Edit", "status": "completed" });
    let mut story = Story::new();
    story.start("go").tell(
        "turn.update",
        json!({ "v": "acp/1", "update": update, "blob": { "sha256": "ab", "bytes": 300_000 } }),
    );
    let told = story.end("end_turn").settled();
    assert!(told.contains("cut short: all 293 KiB are on the page and in `trunkline export`"), "{told}");
}
