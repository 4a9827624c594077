//! What a failing worker costs: its requesters an error at once, and nobody else anything.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bus::{Bus, Client, in_session, one, request, with};

/// An error must come this fast; the rest is for a machine that is busy with other tests.
const AT_ONCE: Duration = Duration::from_millis(100);
const BUSY: u32 = 10;

#[expect(clippy::disallowed_methods, reason = "a test measures how long an answer takes")]
fn timed<T>(act: impl FnOnce() -> T) -> (T, Duration) {
    let begin = Instant::now();
    (act(), begin.elapsed())
}

/// One worker fails by `method` while another works; both clients are served after that.
fn fails(method: &str, params: &Value) {
    let (bus, address) = Bus::tcp(&one(2), "127.0.0.1:0");
    let (mut a, mut b) = (Client::connect(&address), Client::connect(&address));
    a.send(in_session("a", 1, "who", json!(null)));
    let first = a.lines.json()["result"]["pid"].clone();
    b.send(in_session("b", 1, "who", json!(null)));
    let other = b.lines.json()["result"]["pid"].clone();
    assert_ne!(first, other);
    a.send(in_session("a", 2, "hold", json!(null)));
    let ((), took) = timed(|| {
        a.send(in_session("a", 3, method, params.clone()));
        for id in [2, 3] {
            let error = a.lines.json();
            assert_eq!((&error["id"], &error["error"]["code"]), (&json!(id), &json!(5)), "{method}");
        }
    });
    assert!(took < AT_ONCE * BUSY, "{method}: {took:?}");
    b.send(in_session("b", 2, "who", json!(null)));
    assert_eq!(b.lines.json()["result"]["pid"], other, "{method}: the other worker is none the wiser");
    a.send(in_session("a", 4, "who", json!(null)));
    assert_ne!(a.lines.json()["result"]["pid"], first, "{method}: the session begins anew");
    bus.stop();
}

#[test]
fn a_worker_that_exits() {
    fails("exit", &json!(3));
}

#[test]
fn a_worker_that_exits_with_zero() {
    fails("exit", &json!(0));
}

#[test]
fn a_worker_that_is_killed() {
    fails("die", &json!(null));
}

#[test]
fn a_worker_that_closes_its_stdout() {
    fails("close", &json!(1));
}

#[test]
fn a_worker_that_closes_its_stdin() {
    fails("close", &json!(0));
}

#[test]
fn garbage_on_stdout_costs_nothing() {
    let mut bus = Bus::stdio(&one(1));
    let pid = bus.call(1, "who", json!(null))["result"]["pid"].clone();
    for noise in ["Loading model ...", "[1]", "42", "   ", "{\"half\":"] {
        assert_eq!(bus.call(2, "say", json!(noise))["result"], "said");
    }
    assert_eq!(bus.call(3, "who", json!(null))["result"]["pid"], pid);
    bus.log.until("no JSON object");
    bus.stop();
}

#[test]
fn a_line_that_is_too_long_costs_its_requester_only() {
    let mut bus = Bus::stdio(&with(one(1), json!({"limits": {"max_input_buffer": 10_000}})));
    let pid = bus.call(1, "who", json!(null))["result"]["pid"].clone();
    bus.send(request(2, "hold", json!(null)));
    let error = bus.call(3, "big", json!(50_000));
    assert_eq!((&error["id"], &error["error"]["code"]), (&json!(3), &json!(5)));
    bus.send(request(4, "release", json!(null)));
    assert_eq!((bus.out.json()["id"].clone(), bus.out.json()["id"].clone()), (json!(2), json!(4)));
    assert_eq!(bus.call(5, "who", json!(null))["result"]["pid"], pid);
    bus.stop();
}

#[test]
fn a_worker_that_cannot_stay_up_opens_its_circuit_and_answers_are_errors() {
    let config = json!({
        "pools": [{"id": "f", "command": "false", "instances": 1}, {"id": "n", "command": "/no/such", "instances": 1}],
        "limits": {"max_restarts": 2},
    });
    let mut bus = Bus::stdio(&config);
    bus.log.until("the circuit is open");
    bus.log.until("the circuit is open");
    for pool in ["f", "n"] {
        bus.send(format!(r#"{{"id":"x","method":"m","pool":"{pool}"}}"#));
        let error = bus.out.json();
        assert_eq!((&error["id"], &error["error"]["code"]), (&json!("x"), &json!(8)));
        assert!(error["error"]["message"].as_str().unwrap().contains("circuit"));
    }
    bus.stop();
}

#[test]
fn a_client_that_is_killed_in_a_flood_harms_nobody() {
    let (bus, address) = Bus::tcp(&one(1), "127.0.0.1:0");
    let mut other = Client::connect(&address);
    for _ in 0..3 {
        let mut flood = Client::connect(&address);
        flood.send(in_session("s", 1, "stream", json!({"count": 20_000, "size": 100})));
        flood.lines.next();
        flood.stream.shutdown(std::net::Shutdown::Both).unwrap();
    }
    assert_eq!(other.call(1, "echo", json!("alive"))["result"], "alive");
    bus.stop();
}
