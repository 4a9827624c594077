//! Which rule answers, what is recorded of it, and what a bad script is told.

use serde_json::{Value, json};
use trunkline_model_server::{ModelServer, Outcome, Script};

use crate::client::{ALL, Said, ask, raw, request, send};

async fn server(rules: Value) -> ModelServer {
    let script = Script::from_json(&json!({ "rules": rules }).to_string()).unwrap();
    ModelServer::start(script).await.unwrap()
}

#[tokio::test]
async fn conditions_see_the_end_of_the_conversation() {
    let say = |text: &str| json!([{ "text": text }]);
    let server = server(json!([
        { "when": { "result_text": "denied" }, "answer": say("as you wish") },
        { "when": { "after_tool": true }, "answer": say("done") },
        { "when": { "user_text": "second", "offers": ["no", "write"] }, "answer": say("again") },
        { "when": { "offers": ["no"] }, "answer": say("never") },
        { "when": { "after_tool": false }, "answer": say("first") },
    ]))
    .await;
    let first = Said::User("the first");
    let used = [first, Said::Call("c"), Said::Result("ok")];
    let denied = [first, Said::Call("c"), Said::Result("it was denied")];
    let later = [first, Said::Call("c"), Said::Result("ok"), Said::User("the second")];
    for dialect in ALL {
        let mut texts = Vec::new();
        for talk in [&[first][..], &used, &denied, &later] {
            texts.push(ask(&server, dialect, true, talk).await.text);
        }
        assert_eq!(texts, ["first", "done", "as you wish", "again"], "{dialect:?}");
    }
}

#[tokio::test]
async fn a_rule_is_used_up_and_the_dialect_counts() {
    let server = server(json!([
        { "when": { "dialect": "gemini" }, "answer": [{ "text": "google" }] },
        { "times": 1, "answer": [{ "text": "once" }] },
        { "times": 1, "answer": [{ "text": "twice" }] },
    ]))
    .await;
    let mut texts = Vec::new();
    for dialect in [ALL[0], ALL[3], ALL[1]] {
        texts.push(ask(&server, dialect, false, &[Said::User("hi")]).await.text);
    }
    assert_eq!(texts, ["once", "google", "twice"]);
    for dialect in ALL.into_iter().take(3) {
        let refused = raw(&server, dialect, true, &[Said::User("hi")]).await;
        assert_eq!(refused.status, 400);
        assert!(refused.body.contains("no rule of the script fits"), "{}", refused.body);
    }
    let rules: Vec<_> = server.requests().iter().map(|one| (one.rule, one.outcome)).collect();
    let (complete, refused) = (Outcome::Complete, Outcome::Refused);
    let expected = [(Some(1), complete), (Some(0), complete), (Some(2), complete)];
    assert_eq!(rules, [&expected[..], &[(None, refused); 3]].concat());
}

#[tokio::test]
async fn another_script_begins_anew() {
    let server = server(json!([{ "times": 1, "answer": [{ "text": "old" }] }])).await;
    assert_eq!(ask(&server, ALL[0], true, &[Said::User("hi")]).await.text, "old");
    let new = json!({ "rules": [{ "times": 1, "answer": [{ "text": "new" }] }] }).to_string();
    server.load(Script::from_json(&new).unwrap()).unwrap();
    assert_eq!(ask(&server, ALL[0], true, &[Said::User("hi")]).await.text, "new");
}

#[tokio::test]
async fn the_record_shows_the_request_and_no_secret() {
    let server = server(json!([{ "answer": [] }])).await;
    for (dialect, header) in ALL.into_iter().zip([
        "authorization: Bearer sesame\r\n",
        "Authorization: Bearer sesame\r\n",
        "x-api-key: sesame\r\n",
        "x-goog-api-key: sesame\r\n",
    ]) {
        let (path, body) = request(dialect, true, &[Said::User("hi")]);
        let path =
            if path.contains('?') { format!("{path}&key=sesame") } else { format!("{path}?key=sesame") };
        let headers = format!("{header}user-agent: me\r\n");
        assert_eq!(send(&server, "POST", &path, &headers, &body.to_string()).await.status, 200);
        let recorded = server.requests().pop().unwrap();
        assert!(!serde_json::to_string(&recorded).unwrap().contains("sesame"), "{recorded:?}");
        assert_eq!((&recorded.headers["user-agent"], &recorded.body), (&"me".to_owned(), &body));
        let ask = recorded.ask.unwrap();
        assert_eq!((ask.model.as_str(), ask.user_text.as_str(), ask.stream), ("m", "hi", true));
        assert_eq!(ask.tools[0].name, "write");
    }
}

#[test]
fn a_bad_script_is_told_what_is_wrong() {
    let cases = [
        (json!({ "rules": [{ "anwser": [] }] }), "unknown field `anwser`"),
        (json!({ "rules": [{ "answer": [{ "shout": "x" }] }] }), "unknown variant `shout`"),
        (json!({ "rules": [{ "answer": [] }, { "answer": [{ "cut": {} }, { "text": "x" }] }] }), "rule 1"),
        (json!({ "rules": [{ "answer": [{ "error": { "status": 200, "message": "" } }] }] }), "status 200"),
        (json!({ "rules": [{ "answer": [{ "call": [] }] }] }), "a call without any tool"),
        (
            json!({ "rules": [{ "answer": [{ "call": [{ "tool": "t", "arguments": 1 }] }] }] }),
            "the arguments of t are neither",
        ),
        (
            json!({ "rules": [{ "answer": [], "usage": { "input": 1, "output": 1, "cached": 2 } }] }),
            "usage.cached is more",
        ),
        (json!({ "rules": [{ "answer": vec![json!({ "text": "" }); 4097] }] }), "the limit is 4096"),
    ];
    for (script, problem) in cases {
        let error = Script::from_json(&script.to_string()).unwrap_err().to_string();
        assert!(error.contains(problem), "{error:?} should hold {problem:?}");
    }
    assert!(Script::from_json(&" ".repeat(5 << 20)).unwrap_err().to_string().contains("the file is 5242880"));
}

#[test]
fn the_documented_script_is_a_script() {
    let docs = include_str!("../../src/lib.rs");
    let example = docs.split("//! ```").nth(1).unwrap().trim_start_matches("json");
    let script = Script::from_json(&example.replace("//!", "")).unwrap();
    assert_eq!(script.rules.len(), 4);
    let again = serde_json::to_string(&script).unwrap();
    assert_eq!(Script::from_json(&again).unwrap(), script, "a script is written as it is read");
}
