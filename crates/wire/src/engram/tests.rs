use proptest::prelude::*;

use super::*;

fn read(line: &str) -> Op {
    Request::read(line.as_bytes()).unwrap_or_else(|bad| panic!("{line}: {}", bad.error)).op
}

fn error(line: &[u8]) -> String {
    Request::read(line).err().unwrap_or_else(|| panic!("{line:?} is a request")).error
}

fn name(json: &str) -> Name {
    Name::of(&RawValue::from_string(json.to_owned()).unwrap()).unwrap()
}

#[test]
fn a_put_as_the_original_client_sends_it() {
    let line = r#"{"op": "put", "key": "k", "value": {"a": [1, 2]}, "agent": null, "namespace": "default"}"#;
    let Op::Put { key, value, agent, namespace, ttl } = read(line) else { panic!("{line}") };
    assert_eq!((key.as_str(), namespace.as_str(), agent, ttl), ("k", "default", None, Ttl::Forever));
    assert_eq!(value.get(), r#"{"a": [1, 2]}"#);
}

#[test]
fn names_are_the_same_when_python_says_so() {
    let same = |a, b| assert_eq!(name(a), name(b));
    same("1", "1.0");
    same("1", "true");
    same("0", "false");
    same("0", "-0.0");
    same("1e3", "1000");
    same(r#""a""#, r#""\u0061""#);
    for (a, b) in
        [("1", r#""1""#), ("null", r#""null""#), ("null", r#""None""#), ("1.5", "1"), (r#""\u00011""#, "1")]
    {
        assert_ne!(name(a), name(b), "{a} and {b}");
    }
    let shown = |json| {
        let mut out = String::new();
        name(json).write(&mut out);
        out
    };
    for json in [
        "1",
        "1.5",
        "null",
        "\"a\"",
        "\"\\u00e9\\ud83d\\ude00\"",
        "\"\\u0001x\"",
        "123456789012345678901234567890",
    ] {
        assert_eq!(shown(json), json);
    }
    assert_eq!(name("null").in_topic(), "None");
}

#[test]
fn a_time_to_live_is_what_python_makes_of_it() {
    let ttl = |json: &str| match Request::read(format!(r#"{{"op":"put","key":1,"ttl":{json}}}"#).as_bytes()) {
        Ok(Request { op: Op::Put { ttl, .. }, .. }) => Ok(ttl),
        Ok(other) => panic!("{other:?}"),
        Err(bad) => Err(bad.error),
    };
    for json in ["0", "0.0", "\"\"", "false", "[]", "{ }", "null", "NaN", "Infinity", "1e999"] {
        assert_eq!(ttl(json), Ok(Ttl::Forever), "{json}");
    }
    assert_eq!(ttl("true"), Ok(Ttl::Ms(1000)));
    assert_eq!(ttl("0.0505"), Ok(Ttl::Ms(51)));
    assert_eq!(ttl("-1"), Ok(Ttl::Ms(-1000)));
    assert_eq!(ttl("1e300"), Ok(Ttl::Ms(i64::MAX)));
    assert_eq!(ttl("\"5\"").unwrap_err(), "ttl must be a number of seconds, not \"5\"");
    assert!(ttl("[1]").is_err());
}

#[test]
fn a_limit_is_what_python_makes_of_it() {
    let limit = |member: &str| match Request::read(format!(r#"{{"op":"signals"{member}}}"#).as_bytes()) {
        Ok(Request { op: Op::Signals { limit, .. }, .. }) => Some(limit),
        Ok(_) | Err(_) => None,
    };
    assert_eq!(limit(""), Some(Limit::Newest(50)));
    assert_eq!(limit(r#","limit":3"#), Some(Limit::Newest(3)));
    assert_eq!(limit(r#","limit":0"#), Some(Limit::AllBut(0)));
    assert_eq!(limit(r#","limit":-2"#), Some(Limit::AllBut(2)));
    for bad in [r#","limit":null"#, r#","limit":"2""#, r#","limit":1.5"#] {
        assert_eq!(limit(bad), None, "{bad}");
    }
}

#[test]
fn what_is_no_request_is_told_so() {
    for (line, told) in [
        (&b"{"[..], "invalid JSON"),
        (b"{} {}", "invalid JSON"),
        (b"\xef\xbb\xbf{}", "invalid JSON"),
        (b"\xff", "invalid UTF-8"),
        (b"5", "a request must be a JSON object"),
        (b"[1]", "a request must be a JSON object"),
        (b"{}", "unknown op: "),
        (br#"{"op":null}"#, "unknown op: null"),
        (br#"{"op":"PING"}"#, "unknown op: PING"),
        (br#"{"op":"get"}"#, "'key'"),
        (br#"{"op":"put","value":1}"#, "'key'"),
        (br#"{"op":"put","key":[]}"#, "key must be a text or a number: unhashable type: 'list'"),
        (
            br#"{"op":"get","key":1,"namespace":{}}"#,
            "namespace must be a text or a number: unhashable type: 'dict'",
        ),
        (br#"{"op":"restore","data":[]}"#, "data must be an object, not []"),
        (br#"{"op":"transfer","from_agent":"a"}"#, "'to_agent'"),
        (br#"{"op":"signals","since":5}"#, "since must be a text"),
        (br#"{"op":"save_session","agent_id":null}"#, "agent_id must not be null"),
        (
            br#"{"op":"save_session","agent_id":"a","foo":1}"#,
            "a session has no 'foo'; it has agent_id, repo, status, task_summary, decisions, files_touched, todos, metadata",
        ),
        (br#"{"op":"save_session","agent_id":"a","repo":[]}"#, "repo must be a text, not []"),
        (br#"{"op":"checkpoint","session_id":"s","agent_id":"a"}"#, "'snapshot'"),
    ] {
        assert_eq!(error(line), told, "{}", String::from_utf8_lossy(line));
    }
    let bad = Request::read(br#"{"op":"nope","id":{"n":7}}"#).unwrap_err();
    assert_eq!(bad.id.unwrap().get(), r#"{"n":7}"#);
}

#[test]
fn the_last_of_several_members_counts() {
    let Op::Get { key, .. } = read(r#"{"op":"get","key":"a","key":"b"}"#) else { panic!() };
    assert_eq!(key.as_str(), "b");
}

#[test]
fn numbers_that_are_no_json_are_null_and_texts_stay() {
    let line = r#"{"op":"put","key":"NaN \" Infinity","value":[NaN,-Infinity,{"NaN":Infinity}]}"#;
    let Op::Put { key, value, .. } = read(line) else { panic!("{line}") };
    assert_eq!(key.as_str(), "NaN \" Infinity");
    assert_eq!(value.get(), r#"[null,null,{"NaN":null}]"#);
}

#[test]
fn deep_json_and_large_numbers_pass() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let Op::Put { value, .. } = read(&format!(r#"{{"op":"put","key":1,"value":{deep}}}"#)) else { panic!() };
    assert_eq!(value.get(), deep);
    let line = r#"{"op":"put","key":1,"value":[123456789012345678901234567890, 1e400, "\ud800"]}"#;
    let Op::Put { value, .. } = read(line) else { panic!() };
    assert_eq!(value.get(), r#"[123456789012345678901234567890, 1e400, "\ud800"]"#);
}

#[test]
fn replies_and_pushes_as_the_original_writes_them() {
    let line = |reply: Reply| {
        let mut out = Vec::new();
        reply.end(&mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(line(Reply::ok(None)), "{\"ok\": true}\n");
    let id = RawValue::from_string("7".to_owned()).unwrap();
    let reply = Reply::ok(Some(&id)).json("value", "\"é😀\"").plain("count", 2);
    assert_eq!(
        line(reply),
        "{\"ok\": true, \"id\": 7, \"value\": \"\\u00e9\\ud83d\\ude00\", \"count\": 2}\n"
    );
    assert_eq!(line(Reply::error(None, "'key'")), "{\"ok\": false, \"error\": \"'key'\"}\n");
    let list = Reply::ok(None).list("keys", ["a", "b"], |out, key| Name::text(key).write(out));
    assert_eq!(line(list), "{\"ok\": true, \"keys\": [\"a\", \"b\"]}\n");
    let mut out = String::new();
    push(&mut out, "t", "[1]", Some(&Name::text("ana")));
    push(&mut out, "t", "null", None);
    assert_eq!(
        out,
        "{\"event\": \"signal\", \"topic\": \"t\", \"data\": [1], \"agent\": \"ana\"}\n\
         {\"event\": \"signal\", \"topic\": \"t\", \"data\": null, \"agent\": null}\n"
    );
}

proptest! {
    #[test]
    fn no_line_panics(line in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _read = Request::read(&line);
    }

    #[test]
    fn a_text_comes_back_as_the_name_that_it_was(text in "\\PC{0,20}|[\\x00-\\x1f]{0,8}") {
        let json = serde_json::to_string(&text).unwrap();
        let mut out = String::new();
        name(&json).write(&mut out);
        prop_assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        prop_assert!(out.is_ascii());
    }

    #[test]
    fn json_in_ascii_is_the_same_json(text in "\\PC{0,40}") {
        let json = serde_json::to_string(&text).unwrap();
        let mut out = String::new();
        ascii(&mut out, &json);
        prop_assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
    }
}
