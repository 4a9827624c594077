//! Services that are told of requests.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::harness::{Daemon, Home, text};

/// Takes one request, answers with this status, and gives the path and the JSON body.
async fn take(listener: &TcpListener, status: &str) -> (String, Value) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut read = Vec::new();
    let body = loop {
        assert!(stream.read_buf(&mut read).await.unwrap() > 0, "cut off");
        let text = String::from_utf8_lossy(&read);
        if let Some((_, body)) = text.split_once("\r\n\r\n")
            && let Ok(body) = serde_json::from_str(body)
        {
            break body;
        }
    };
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.unwrap();
    let head = String::from_utf8_lossy(&read);
    (head.split(' ').nth(1).unwrap().to_owned(), body)
}

#[tokio::test]
async fn a_webhook_and_a_topic_are_told_and_tried_again() {
    let home = Home::new();
    let (hook, ntfy) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let at = |listener: &TcpListener| listener.local_addr().unwrap();
    fs::create_dir_all(home.path()).unwrap();
    let config = home.path().join("config.toml");
    let targets = format!(
        "public_url = \"https://tl.example/\"\n[notify_targets.chat]\nkind = \"webhook\"\nurl = \"http://{}/canary\"\nanswer = true\n\
         [notify_targets.phone]\nkind = \"ntfy\"\nurl = \"http://{}/topic\"\ndetails = true\n",
        at(&hook),
        at(&ntfy)
    );
    fs::write(&config, targets).unwrap();
    fs::set_permissions(&config, Permissions::from_mode(0o644)).unwrap();
    let open = home.run(&["config", "show"]);
    let says = text(&open.stderr);
    assert!(says.contains("notify_targets.chat, and others may read it (mode 644)"), "{says}");
    fs::set_permissions(&config, Permissions::from_mode(0o600)).unwrap();
    let daemon = Daemon::start(&home);
    let session = daemon.external().await;
    let ask = json!({"kind": "question", "title": "Which port?", "question": "One that is free.", "priority": "high"});
    let (status, asked) = daemon.post(&format!("/v1/sessions/{session}/requests"), ask).await;
    assert_eq!(status, 201, "{asked}");
    let link = format!("https://tl.example/r/{}", asked["id"].as_str().unwrap());
    let (path, body) = take(&hook, "500 Internal Server Error").await;
    assert_eq!(
        (&*path, &body["request"]["title"], &body["url"]),
        ("/canary", &json!("Which port?"), &json!(link))
    );
    assert_eq!(body["request"].get("question"), None);
    let answer = body["answer"]["url"].as_str().unwrap().to_owned();
    assert_eq!(take(&hook, "200 OK").await, (path, body), "tried again");
    let (path, body) = take(&ntfy, "200 OK").await;
    assert_eq!((&*path, &body["topic"], &body["priority"]), ("/", &json!("topic"), &json!(4)));
    assert_eq!((&body["message"], &body["click"]), (&json!("Which port?\nOne that is free."), &json!(link)));
    // The link outlives the daemon that made it.
    let answer = answer.strip_prefix("https://tl.example").unwrap();
    daemon.kill_9();
    let daemon = Daemon::start(&home);
    let sent = daemon
        .http
        .post(format!("{}{answer}", daemon.base_url))
        .json(&json!({"text": "8080"}))
        .send()
        .await
        .unwrap();
    assert_eq!(sent.status(), 200, "{}", sent.text().await.unwrap());
    let (_, request) = daemon.get(&format!("/v1/requests/{}", asked["id"].as_str().unwrap())).await;
    assert_eq!(
        (&request["closed"]["answer"]["text"], &request["closed"]["by"]),
        (&json!("8080"), &json!("link/chat"))
    );
}
