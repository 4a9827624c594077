//! How the router ends.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::bus::{Bus, Client, gone, in_session, one, request, runs, with};

/// With idle workers it takes a tenth of a second; the rest is for a busy machine.
const PROMPT: Duration = Duration::from_millis(1000);

#[expect(clippy::disallowed_methods, reason = "a test measures how long the end takes")]
fn timed(act: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    act();
    begin.elapsed()
}

#[test]
fn the_end_of_stdin_ends_it_promptly_and_well() {
    let mut bus = Bus::stdio(&one(2));
    let pid = bus.call(1, "who", json!(null))["result"]["pid"].clone();
    bus.stdin = None;
    let took = timed(|| assert_eq!(bus.ended().code(), Some(0)));
    assert!(took < PROMPT, "{took:?}");
    assert!(!runs(&pid));
}

#[test]
fn a_signal_ends_it_promptly_and_well() {
    for signal in [Signal::TERM, Signal::INT] {
        let (mut bus, address) = Bus::tcp(&one(1), "127.0.0.1:0");
        let mut client = Client::connect(&address);
        let pid = client.call(1, "who", json!(null))["result"]["pid"].clone();
        let took = timed(|| {
            bus.signal(signal);
            assert_eq!(bus.ended().code(), Some(0));
        });
        assert!(took < PROMPT, "{took:?}");
        assert!(!runs(&pid));
        assert!(client.lines.rest().is_empty());
    }
}

#[test]
fn answers_in_flight_are_delivered_after_the_end_of_stdin() {
    let mut bus = Bus::stdio(&one(1));
    for id in 0..1000 {
        bus.send(request(id, "echo", json!(id)));
    }
    bus.stdin = None;
    let answers = bus.out.rest();
    assert_eq!(answers.len(), 1000);
    assert_eq!(bus.ended().code(), Some(0));
}

#[test]
fn answers_after_the_end_of_stdin_may_take_as_long_as_they_keep_coming() {
    let mut bus = Bus::stdio(&with(one(1), json!({"limits": {"drain_timeout_sec": 1}})));
    for id in 0..5 {
        bus.send(request(id, "nap", json!(0.25)));
    }
    bus.stdin = None;
    for id in 0..5 {
        assert_eq!(bus.out.json(), json!({"jsonrpc": "2.0", "id": id, "result": "rested"}));
    }
    assert_eq!(bus.ended().code(), Some(0));
}

#[test]
fn a_worker_that_never_answers_does_not_keep_a_pipe() {
    let mut bus = Bus::stdio(&with(one(2), json!({"limits": {"drain_silence_ms": 100}})));
    bus.send(in_session("a", 1, "hang", json!(null)));
    bus.send(in_session("b", 2, "echo", json!("answered")));
    assert_eq!(bus.out.json()["result"], "answered");
    bus.stdin = None;
    let took = timed(|| assert_eq!(bus.ended().code(), Some(0)));
    assert!(took < PROMPT * 3, "{took:?}");
    let error: serde_json::Value = serde_json::from_str(&bus.out.rest()[0]).unwrap();
    assert_eq!((&error["id"], &error["error"]["code"]), (&json!(1), &json!(5)));
    bus.log.until("Not all requests were answered");
}

#[test]
fn answers_that_a_worker_gives_when_told_to_end_are_delivered() {
    let config = with(one(1), json!({"limits": {"drain_timeout_sec": 20}}));
    let (mut bus, address) = Bus::tcp(&config, "127.0.0.1:0");
    let mut client = Client::connect(&address);
    client.call(1, "finish_on_term", json!(null));
    client.send(request(2, "hold", json!(null)));
    assert_eq!(client.call(3, "echo", json!(null))["id"], 3);
    bus.signal(Signal::TERM);
    bus.log.until("draining");
    client.send(request(4, "echo", json!(null)));
    assert_eq!(client.lines.json()["error"]["code"], 8, "nothing new is taken");
    // The second signal does not wait for answers any more: the workers are told.
    bus.signal(Signal::TERM);
    let answer = client.lines.json();
    assert_eq!((&answer["id"], &answer["result"]), (&json!(2), &json!("released")), "{answer}");
    assert_eq!(bus.ended().code(), Some(0));
}

#[test]
fn a_worker_that_does_not_end_is_killed_with_its_children() {
    let config = with(one(1), json!({"limits": {"drain_timeout_sec": 1, "drain_silence_ms": 100}}));
    let mut bus = Bus::stdio(&config);
    bus.call(1, "ignore_term", json!(null));
    let child = bus.call(2, "child", json!(null))["result"].clone();
    bus.send(request(3, "hang", json!(null)));
    bus.stdin = None;
    assert_eq!(bus.ended().code(), Some(0));
    gone(&child);
    let error: serde_json::Value = serde_json::from_str(&bus.out.rest()[0]).unwrap();
    assert_eq!((&error["id"], &error["error"]["code"]), (&json!(3), &json!(5)));
}

#[test]
fn grandchildren_end_with_a_worker_that_crashes() {
    let mut bus = Bus::stdio(&one(1));
    let child = bus.call(1, "child", json!(null))["result"].clone();
    assert!(runs(&child));
    assert_eq!(bus.call(2, "exit", json!(1))["error"]["code"], 5);
    gone(&child);
    bus.stop();
}

#[test]
fn a_client_that_has_left_ends_its_sessions() {
    let (bus, address) = Bus::tcp(&one(1), "127.0.0.1:0");
    let mut first = Client::connect(&address);
    first.send(in_session("s", 1, "echo", json!(null)));
    first.lines.json();
    first.stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(first.lines.rest().is_empty(), "it is closed from the other side too");
    let mut second = Client::connect(&address);
    second.send(in_session("s", 1, "stream", json!({"count": 1, "size": 1})));
    assert_eq!(second.lines.json()["method"], "note", "the session is the second client's now");
    bus.stop();
}
