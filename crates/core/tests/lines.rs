//! A few hundred lines of shell, each with its verdict under one set of rules, and its risk.
//!
//! `lines.txt` has a line for each: the verdict, the risk, and the line itself, in which `⏎` stands for a newline, `␀` for
//! NUL, `␍` for a carriage return and `␠` for a space that does not break.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

use trunkline_core::call::Call;
use trunkline_core::pattern::Pattern;
use trunkline_core::raw::Raw;
use trunkline_core::risk::{Level, Risk};

const RULES: [&str; 13] = [
    "shell(git status)",
    "shell(ls *)",
    "shell(echo *)",
    "shell(cat *)",
    "shell(head *)",
    "shell(npm run *)",
    "shell(timeout *)",
    "shell(nohup *)",
    "shell(bash *)",
    "shell(env *)",
    "edit(src/**)",
    "read(docs/**)",
    "shell(command *)",
];

fn call(line: &str) -> Call {
    let line = line.replace('⏎', "\n").replace('␀', "\0").replace('␍', "\r").replace('␠', "\u{a0}");
    let json = serde_json::json!({ "kind": "execute", "rawInput": { "command": line } });
    Call::read(Some("Bash"), Some(&Raw::of(&json).unwrap()), Some("/work"))
}

/// What the rules and the risk say of a line, as a request would be decided.
fn verdict(line: &str) -> (&'static str, Risk) {
    let rules: Vec<Pattern> = RULES.iter().map(|rule| rule.parse().unwrap()).collect();
    let call = call(line);
    let risk = Risk::of(&call);
    let each =
        call.pieces.iter().all(|piece| piece.is_free() || rules.iter().any(|rule| rule.covers(piece, &call)));
    let allowed = call.is_clear() && each && risk.level != Level::High;
    (if allowed { "allow" } else { "ask" }, risk)
}

#[test]
fn every_line_has_its_verdict() {
    let wrong: Vec<String> = include_str!("lines.txt")
        .lines()
        .filter_map(|entry| {
            let (expected, line) = entry.split_once(" | ").unwrap();
            let (verdict, risk) = verdict(line);
            let found = format!("{verdict} {}", risk.level.word());
            (found != expected)
                .then(|| format!("{entry}\n    is {found}: {} {:?}", risk.reason, call(line).opaque))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
