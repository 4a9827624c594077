//! Writing to an agent, as somebody types it.

use serde_json::{Value, json};

use crate::harness::{Daemon, Home, text};

#[tokio::test]
async fn an_idle_agent_is_woken_a_busy_one_waits_and_nobody_is_an_error() {
    let home = Home::new();
    let daemon = Daemon::start(&home);
    let session = daemon.demo(&home.work()).await;
    let mut stream = daemon.follow(&session, 0).await.unwrap();
    let sent = home.run(&["send", "demo", "write a greeting", "--json"]);
    let sent: Value = serde_json::from_slice(&sent.stdout).unwrap();
    assert_eq!((&sent["to"], &sent["state"]), (&json!(session), &json!("delivered")));
    let asked = stream.until("request.opened").await;
    let queued = asked.iter().find(|event| event["type"] == "turn.queued").unwrap();
    assert_eq!(
        (&queued["by"], &queued["data"]["prompt"][0]["text"]),
        (&json!("owner"), &json!("write a greeting"))
    );
    let second = home.run(&["send", &session, "hello"]);
    assert!(
        second.status.success() && text(&second.stderr).contains("the agent is busy"),
        "{}",
        text(&second.stderr)
    );
    let cancelled = home.run(&["cancel", &session]);
    assert!(cancelled.status.success(), "{}", text(&cancelled.stderr));
    let rest = stream.until("message.delivered").await;
    assert!(rest.iter().any(|event| event["type"] == "turn.ended"), "only after the turn: {rest:?}");
    let unknown = home.run(&["send", "dmeo", "hello"]);
    let says = text(&unknown.stderr);
    assert!(
        unknown.status.code() == Some(3) && says.contains("there is no agent dmeo; did you mean demo"),
        "{says}"
    );
}
