//! Standing permissions of the built daemon, with an agent that asks: what is released, previewed, and never inherited.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Daemon, Home, Stream};

const AGENT: &str = include_str!("permissions.py");

/// A session of the agent that asks about each line of its prompt.
async fn asking(home: &Home, daemon: &Daemon) -> String {
    let script = home.work().join("agent.py");
    fs::write(&script, AGENT).unwrap();
    let body = json!({ "agent": "asker", "argv": ["python3", script], "workspace": home.work() });
    let (status, session) = daemon.post("/v1/sessions", body).await;
    assert_eq!(status, 201, "{session}");
    session["id"].as_str().unwrap().to_owned()
}

/// The next request: its id, once the rules have been asked about it.
async fn asked(stream: &mut Stream) -> (String, Value) {
    let seen = stream.until("request.judged").await;
    let judged = &seen.last().unwrap()["data"];
    (judged["id"].as_str().unwrap().to_owned(), judged.clone())
}

async fn grant(daemon: &Daemon, body: Value) -> String {
    let (status, given) = daemon.post("/v1/grants", body).await;
    assert_eq!(status, 201, "{given}");
    given["id"].as_str().unwrap().to_owned()
}

async fn answer(daemon: &Daemon, request: &str, body: Value) -> (u16, Value) {
    let (status, answered) = daemon.post(&format!("/v1/requests/{request}/answer"), body).await;
    (status.as_u16(), answered)
}

/// The last record of the audit.
async fn recorded(daemon: &Daemon) -> Value {
    let (status, page) = daemon.get("/v1/audit?limit=1").await;
    assert_eq!(status, 200, "{page}");
    page["items"][0]["record"].clone()
}

#[tokio::test]
async fn a_prompt_that_waits_is_released_when_its_project_gets_a_grant() {
    let home = Home::new();
    let daemon = Daemon::start(&home);
    let session = asking(&home, &daemon).await;
    let mut stream = daemon.follow(&session, 0).await.unwrap();
    daemon.prompt(&session, "npm run build\nnpm run test").await;
    let (first, judged) = asked(&mut stream).await;
    assert_eq!(judged["rule"], "no rule covers the command `npm run build`");
    // Whether this machine confines agents or not: this test is of the grant.
    let elsewhere = json!({ "pattern": "shell(npm run *)", "project": "/elsewhere", "unconfined": true });
    grant(&daemon, elsewhere).await;
    let (_, open) = daemon.get("/v1/requests?status=open").await;
    assert_eq!(open["items"][0]["id"], json!(first), "a grant of another project releases nothing");
    let here = json!({ "pattern": "shell(npm run *)", "project": home.work(), "unconfined": true });
    let given = grant(&daemon, here).await;
    let seen = stream.until("turn.ended").await;
    let closed: Vec<_> = seen.iter().filter(|event| event["type"] == "request.closed").collect();
    assert_eq!(closed.len(), 2, "what waits, and what is asked after it: {seen:?}");
    assert!(closed.iter().all(|event| event["data"]["grant"] == json!(given) && event["by"] == "owner"));
    let record = recorded(&daemon).await;
    assert_eq!(
        (&record["deed"]["kind"], &record["deed"]["grants"]),
        (&json!("request.granted"), &json!([given]))
    );
    assert_eq!(record["deed"]["asked"]["title"], "npm run test");
    assert_eq!(record["source"], Value::Null, "nobody came: the grant answered");
}

#[tokio::test]
async fn a_preview_tells_of_what_was_asked_before() {
    let home = Home::new();
    let daemon = Daemon::start(&home);
    let session = asking(&home, &daemon).await;
    let mut stream = daemon.follow(&session, 0).await.unwrap();
    daemon.prompt(&session, "npm run build\nnpm run lint\nrm -rf /\nid; npm run test").await;
    for option in ["yes", "no", "no", "yes"] {
        let (request, _) = asked(&mut stream).await;
        assert_eq!(answer(&daemon, &request, json!({ "option": option })).await.0, 200);
    }
    stream.until("turn.ended").await;
    let preview = async |rule: &str| {
        let (status, found) = daemon.post("/v1/grants/preview", json!({ "pattern": rule })).await;
        assert_eq!(status, 200, "{found}");
        let count = |name: &str| found[name].as_u64().unwrap();
        (count("looked_at"), count("allowed"), count("refused"), count("high_risk"))
    };
    assert_eq!(preview("shell(npm run *)").await, (4, 2, 1, 0), "not the line that also runs `id`");
    assert_eq!(preview("shell(rm -rf /)").await, (4, 0, 0, 1), "it would still be asked about");
    assert_eq!(preview("read").await, (4, 0, 0, 0));
}

#[tokio::test]
async fn a_mode_releases_what_it_allows_and_high_risk_takes_a_second_step() {
    let home = Home::new();
    let daemon = Daemon::start(&home);
    let session = asking(&home, &daemon).await;
    let mut stream = daemon.follow(&session, 0).await.unwrap();
    daemon.prompt(&session, "mkdir a\nrm -rf /\nrm -rf ~").await;
    asked(&mut stream).await;
    let mode = async |mode: &str| {
        grant(&daemon, json!({ "mode": mode, "session": session, "unconfined": true })).await;
    };
    mode("confirm_all").await;
    mode("default").await;
    let closed = stream.until("request.closed").await;
    assert!(closed.last().unwrap()["data"]["grant"].is_string(), "what is of medium risk is released");
    let (request, judged) = asked(&mut stream).await;
    assert_eq!(judged["risk"]["level"], "high");
    let (status, problem) = answer(&daemon, &request, json!({ "option": "yes" })).await;
    assert_eq!(
        (status, &problem["code"], &problem["field"]),
        (422, &json!("confirmation_required"), &json!("confirm"))
    );
    assert!(problem["detail"].as_str().unwrap().contains("high risk"), "{problem}");
    let said = home.run(&["answer", &request, "yes"]);
    assert_eq!(said.status.code(), Some(2), "nobody is there to be asked again");
    let (status, answered) = answer(&daemon, &request, json!({ "option": "yes", "confirm": true })).await;
    assert_eq!((status, &answered["status"]), (200, &json!("answered")));
    let record = recorded(&daemon).await;
    assert_eq!(
        (&record["deed"]["confirmed"], &record["deed"]["asked"]["risk"]["level"]),
        (&json!(true), &json!("high"))
    );
    let (request, _) = asked(&mut stream).await;
    let said = home.run(&["allow", &request, "--force"]);
    assert_eq!(said.status.code(), Some(0), "{said:?}");
    stream.until("turn.ended").await;
    daemon.prompt(&session, "rm -rf /").await;
    asked(&mut stream).await;
    mode("trust_all").await;
    stream.until("turn.ended").await;
}

#[tokio::test]
async fn where_nothing_confines_the_agent_only_grants_given_for_that_count() {
    let home = Home::new();
    fs::create_dir(home.path()).unwrap();
    fs::write(home.path().join("config.toml"), "[sandbox]\nmode = \"off\"\n").unwrap();
    let daemon = Daemon::start(&home);
    let session = asking(&home, &daemon).await;
    let mut stream = daemon.follow(&session, 0).await.unwrap();
    grant(&daemon, json!({ "mode": "trust_all", "session": session })).await;
    grant(&daemon, json!({ "pattern": "shell", "project": home.work() })).await;
    daemon.prompt(&session, "npm run build").await;
    let (_, judged) = asked(&mut stream).await;
    let rule = judged["rule"].as_str().unwrap();
    assert!(rule.contains("nothing confines the agent"), "{rule}");
    grant(&daemon, json!({ "pattern": "shell(npm run *)", "session": session, "unconfined": true })).await;
    stream.until("turn.ended").await;
}

#[tokio::test]
async fn an_agent_starts_no_turn_that_could_inherit_anything() {
    let home = Home::new();
    let daemon = Daemon::start(&home);
    let (session, other) = (asking(&home, &daemon).await, daemon.external().await);
    grant(&daemon, json!({ "mode": "trust_all", "session": session, "unconfined": true })).await;
    let scope = json!({ "agent": other });
    let (_, made) = daemon.post("/v1/tokens", json!({ "name": "other", "scope": scope })).await;
    let turns = format!("{}/v1/sessions/{session}/turns", daemon.base_url);
    let prompt = daemon.http.post(turns).bearer_auth(made["token"].as_str().unwrap());
    let refused = prompt.json(&json!({ "prompt": "npm run build" })).send().await.unwrap();
    assert_eq!(refused.status(), 403);
}
