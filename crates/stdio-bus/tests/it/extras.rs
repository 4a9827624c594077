//! What is ours and must be asked for.

use serde_json::{Value, json};

use crate::bus::{Bus, in_session, one, pool, program, request, with};

#[test]
fn agents_choose_pools_and_there_is_a_default() {
    let mut coder = pool("coder", 1);
    coder["agents"] = json!(["claude"]);
    let config = json!({"pools": [pool("plain", 1), coder], "default_pool": "plain"});
    let mut bus = Bus::stdio(&config);
    bus.send(r#"{"id":1,"method":"who","agentId":"claude"}"#);
    assert_eq!(bus.out.json()["result"]["name"], "coder");
    bus.send(r#"{"id":2,"method":"who","agentId":"somebody"}"#);
    assert_eq!(bus.out.json()["result"]["name"], "plain");
    bus.stop();
}

#[test]
fn agents_with_inner_sessions_are_heard() {
    let mut bus = Bus::stdio(&with(one(1), json!({"route_params_session": true})));
    bus.call(1, "session/new", json!({"sessionId": "inner"}));
    let update = r#"{"method":"session/update","params":{"sessionId":"inner","update":{}}}"#;
    bus.send(request(2, "say", json!(update)));
    assert_eq!(bus.out.next(), update);
    assert_eq!(bus.out.json()["result"], "said");
    bus.stop();
}

#[test]
fn requests_time_out_and_silent_workers_are_replaced() {
    let mut timed = pool("p", 1);
    timed["request_timeout_ms"] = json!(50);
    let mut bus = Bus::stdio(&json!({"pools": [timed]}));
    let error = bus.call(1, "hang", json!(null));
    assert_eq!((&error["id"], &error["error"]["code"]), (&json!(1), &json!(3)));
    drop(bus);
    let mut checked = pool("p", 1);
    checked["health"] = json!({"method": "hang", "interval_ms": 60_000, "timeout_ms": 50});
    let bus = Bus::stdio(&json!({"pools": [checked]}));
    bus.log.until("did not answer its health check");
    bus.log.until("Worker started");
    bus.stop();
}

#[test]
fn policy_is_kept_and_records_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records");
    let mut guarded = pool("p", 1);
    guarded["policy"] = json!({"default": "deny", "rules": [{"role": "user", "allow": ["echo"]}]});
    let mut bus = Bus::stdio(&json!({"pools": [guarded], "record": path}));
    let denied = bus.call(1, "exit", json!(1));
    assert_eq!(denied["error"]["code"], 7);
    let mut message: Value = serde_json::from_str(&request(2, "echo", json!("in"))).unwrap();
    message["_ext"] = json!({"identity": {"subjectId": "u", "role": "user"}, "audit": {"eventId": "e1"}});
    bus.send(message.to_string());
    assert_eq!(bus.out.json()["result"], "in");
    bus.stop();
    let text = std::fs::read_to_string(&path).unwrap();
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&records[0]["method"], &records[0]["allowed"]), (&json!("exit"), &json!(false)));
    assert_eq!((&records[1]["audit"]["eventId"], &records[1]["allowed"]), (&json!("e1"), &json!(true)));
}

#[test]
fn streams_are_tagged() {
    let mut bus = Bus::stdio(&with(one(1), json!({"tag_streams": true})));
    bus.send(in_session("a", 1, "stream", json!({"count": 1, "size": 1})));
    let note = bus.out.json();
    assert_eq!((&note["requestId"], &note["method"]), (&json!(1), &json!("note")));
    bus.stop();
}

#[test]
fn the_router_tells_its_status() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let shown = path.to_str().unwrap();
    let config = with(one(1), json!({"status": true, "answer_hello": true}));
    let bus = Bus::start(&config, &["--unix", shown]);
    bus.log.until("Listening on Unix socket");
    let output = program().args(["status", "--unix", shown]).output().unwrap();
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(status["pools"][0]["workers"][0]["state"], "up");
    let output = program().args(["status", "--unix", shown, "--metrics"]).output().unwrap();
    assert!(
        String::from_utf8(output.stdout).unwrap().contains("stdio_bus_worker_up{pool=\"p\",worker=\"0\"} 1")
    );
    bus.stop();
}

#[test]
fn stdout_gets_empty_lines_where_they_are_asked_for() {
    let mut bus = Bus::stdio(&with(one(1), json!({"keepalive_ms": 5})));
    assert_eq!(bus.out.next(), "");
    bus.send(request(1, "echo", json!(1)));
    assert!(bus.out.until("result").contains("\"id\":1"));
    bus.stop();
}
