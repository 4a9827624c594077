//! What is forwarded, where to, and as it came.

use serde_json::{Value, json};

use crate::bus::{Bus, Client, in_session, one, pool, request, with};

#[test]
fn lines_arrive_as_they_were_sent() {
    let mut bus = Bus::stdio(&one(1));
    for (sent, heard) in [
        (r#"{"id" : 1,  "method":"raw", "b":1, "b":2, "x":"\u0041\/"}"#, None),
        ("\t{\"method\":\"raw\",\"id\":1}  ", None),
        ("{\"method\":\"raw\",\"id\":1}\r", Some("{\"method\":\"raw\",\"id\":1}")),
        (r#"{"id":1,"method":"raw","agentId":"a","_ext":{"identity":{"role":"r"}}}"#, None),
    ] {
        bus.send(sent);
        assert_eq!(bus.out.json()["result"], heard.unwrap_or(sent));
    }
    bus.send("\n\r\n");
    let odd = r#"{ "jsonrpc":"2.0", "result" : [1.0, 2e0] , "x":"\u0041", "id" :  5 }"#;
    bus.send(in_session("s", 5, "say", json!(odd)));
    assert_eq!(bus.out.next(), odd);
    bus.stop();
}

#[test]
fn hello_is_the_workers_unless_asked_for() {
    let mut bus = Bus::stdio(&one(1));
    assert_eq!(bus.call(1, "stdio_bus/hello", json!({"a": 1}))["result"], json!({"a": 1}));
    bus.stop();
}

#[test]
fn what_cannot_be_read_is_answered_and_the_rest_served() {
    let mut bus = Bus::stdio(&with(one(1), json!({"limits": {"max_input_buffer": 1000}})));
    for bad in ["[]", "[{\"id\":1}]", "{\"a\":nul}", "   ", "{\"a\":\"\t\"}", "{'a':1}"] {
        bus.send(bad);
        let error = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}"#;
        assert_eq!(bus.out.next(), error);
    }
    let fits = request(1, "length", json!("x".repeat(1000 - 1 - request(1, "length", json!("")).len())));
    bus.send(&fits);
    assert_eq!(bus.out.json()["result"], 1000);
    bus.send(fits.replace("xxx", "xxxx"));
    assert_eq!(
        bus.out.next(),
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"Message too large"}}"#
    );
    assert_eq!(bus.call(2, "echo", json!("on"))["result"], "on");
    bus.stop();
}

#[test]
fn sessions_stay_with_their_worker_and_work_is_spread() {
    let mut bus = Bus::stdio(&one(3));
    let mut pids = Vec::new();
    for n in 0..3 {
        let session = format!("s{n}");
        let mut who = |id| {
            bus.send(in_session(&session, id, "who", json!(null)));
            bus.out.json()["result"]["pid"].clone()
        };
        let pid = who(1);
        assert_eq!((&who(2), &who(3)), (&pid, &pid));
        pids.push(pid);
    }
    pids.sort_by_key(Value::as_u64);
    pids.dedup();
    assert_eq!(pids.len(), 3, "each session got a worker of its own");
    bus.stop();
}

#[test]
fn answers_find_who_asked_though_ids_collide_and_order_is_lost() {
    let (bus, address) = Bus::tcp(&one(1), "127.0.0.1:0");
    let (mut a, mut b, mut c) =
        (Client::connect(&address), Client::connect(&address), Client::connect(&address));
    a.send(r#"{"id":5,"method":"hold","params":"a"}"#);
    assert_eq!(a.call(1, "echo", json!(1))["result"], 1);
    b.send(r#"{"id":5,"method":"hold","params":"b"}"#);
    b.send(r#"{"id":"5","method":"hold","params":"b"}"#);
    assert_eq!(b.call(1, "echo", json!(1))["result"], 1);
    // The worker answers in reverse order.
    assert_eq!(c.call(5, "release", json!(null))["result"], "done");
    assert_eq!(a.lines.json()["id"], 5);
    assert_eq!((b.lines.json()["id"].clone(), b.lines.json()["id"].clone()), (json!("5"), json!(5)));
    bus.stop();
}

#[test]
fn notifications_and_questions_reach_the_owner_and_answers_the_asker() {
    let (bus, address) = Bus::tcp(&one(2), "127.0.0.1:0");
    let (mut owner, mut other) = (Client::connect(&address), Client::connect(&address));
    owner.send(in_session("s", 1, "echo", json!(null)));
    owner.lines.json();
    other.send(in_session("s", 2, "stream", json!({"count": 2, "size": 3})));
    assert_eq!(owner.lines.json()["method"], "note");
    assert_eq!(owner.lines.json()["method"], "note");
    assert_eq!(other.lines.json()["result"], "streamed");
    owner.send(in_session("s", 3, "ask", json!({"id": "q1"})));
    let question = owner.lines.json();
    assert_eq!((&question["id"], &question["method"]), (&json!("q1"), &json!("question")));
    assert_eq!(owner.lines.json()["result"], "asked");
    owner.send(r#"{"id":"q1","result":"no session"}"#);
    assert_eq!(owner.lines.json()["line"], r#"{"id":"q1","result":"no session"}"#);
    owner.send(r#"{"id":"q9","result":"by session","sessionId":"s"}"#);
    assert_eq!(owner.lines.json()["line"], r#"{"id":"q9","result":"by session","sessionId":"s"}"#);
    bus.stop();
}

#[test]
fn pools_are_named() {
    let mut bus = Bus::stdio(&json!({"pools": [pool("a", 1), pool("b", 1)]}));
    bus.send(r#"{"id":1,"method":"who","pool":"b"}"#);
    assert_eq!(bus.out.json()["result"]["name"], "b");
    for bad in [r#"{"id":2,"method":"who"}"#, r#"{"id":2,"method":"who","pool":"B"}"#] {
        bus.send(bad);
        let error = bus.out.json();
        assert_eq!((&error["id"], &error["error"]["code"]), (&json!(2), &json!(1)));
    }
    bus.stop();
}

#[test]
fn workers_get_what_they_are_given_and_nothing_else() {
    let mut given = pool("p", 2);
    given["env"] = json!({"MARK": "given"});
    given["cwd"] = json!("/");
    let (bus, address) = Bus::tcp(&json!({"pools": [given]}), "127.0.0.1:0");
    let mut client = Client::connect(&address);
    for id in 0..2 {
        let who = client.call(id, "who", json!(null))["result"].clone();
        assert_eq!((&who["env"], &who["cwd"]), (&json!("given"), &json!("/")));
        assert_eq!(who["pid"], who["pgid"], "each leads a group of its own");
        assert_eq!(client.call(id, "fds", json!(null))["result"], json!([]));
    }
    bus.stop();
}
