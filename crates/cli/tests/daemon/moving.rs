//! The database of an existing human-input hub goes on here.

use std::fs;
use std::path::Path;

use reqwest::Method;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::harness::{Daemon, Home, text};

const AGENT: &str = "5f0f5b8e-6a0f-4a57-9c0e-0a6f2f6f0001";
const SILENT: &str = "5f0f5b8e-6a0f-4a57-9c0e-0a6f2f6f0002";
const ANSWERED: &str = "5f0f5b8e-6a0f-4a57-9c0e-0a6f2f6f0011";
const DISMISSED: &str = "5f0f5b8e-6a0f-4a57-9c0e-0a6f2f6f0012";
const PENDING: &str = "5f0f5b8e-6a0f-4a57-9c0e-0a6f2f6f0013";
const MESSAGE: &str = "5f0f5b8e-6a0f-4a57-9c0e-0a6f2f6f0021";

/// The tables of the original, with an agent in the middle of its work and one that never asked.
fn database(path: &Path) {
    let hub = Connection::open(path).unwrap();
    hub.execute_batch(&format!(
        r#"
        CREATE TABLE sessions(id INTEGER PRIMARY KEY, session_id VARCHAR(36) UNIQUE, display_name VARCHAR(255), tenant_id VARCHAR(255),
          state VARCHAR(32), metadata_json JSON, created_at DATETIME, updated_at DATETIME, last_seen_at DATETIME);
        CREATE TABLE input_requests(id INTEGER PRIMARY KEY, request_id VARCHAR(36) UNIQUE, session_id VARCHAR(36), title VARCHAR(255),
          question TEXT, context_json JSON, priority VARCHAR(16), tags_json JSON, status VARCHAR(16), response_text TEXT,
          responder VARCHAR(255), created_at DATETIME, answered_at DATETIME);
        CREATE TABLE inbox_messages(id INTEGER PRIMARY KEY, message_id VARCHAR(36) UNIQUE, session_id VARCHAR(36),
          message_type VARCHAR(32), payload_json JSON, status VARCHAR(16), created_at DATETIME, delivered_at DATETIME, acked_at DATETIME);
        CREATE TABLE idempotency_keys(id INTEGER PRIMARY KEY, scope VARCHAR(255), key VARCHAR(255), resource_type VARCHAR(64),
          resource_id VARCHAR(36), created_at DATETIME, UNIQUE(scope, key));
        INSERT INTO sessions VALUES
          (1, '{AGENT}', 'bot', 'acme', 'WAITING_FOR_INPUT', '{{"repo": "x"}}', '2024-05-01 08:00:00.250000',
           '2024-05-01 08:05:00.000000', '2024-05-01 08:05:00.500000'),
          (2, '{SILENT}', 'silent', NULL, 'DONE', 'null', '2024-05-01 07:00:00.000000', '2024-05-01 07:00:00.000000',
           '2024-05-01 07:00:00.000000');
        INSERT INTO input_requests VALUES
          (1, '{ANSWERED}', '{AGENT}', 'Branch?', 'Which?', 'null', 'NORMAL', '[]', 'ANSWERED', 'main', 'ana',
           '2024-05-01 08:01:00.125000', '2024-05-01 08:02:00.750000'),
          (2, '{DISMISSED}', '{AGENT}', 'Old', 'q', 'null', 'LOW', 'null', 'DISMISSED', NULL, NULL, '2024-05-01 08:03:00.000000', NULL),
          (3, '{PENDING}', '{AGENT}', 'Migrate?', 'Shall I?', '{{"table": "users"}}', 'URGENT', '["db"]', 'PENDING', NULL, NULL,
           '2024-05-01 08:05:00.500000', NULL);
        INSERT INTO inbox_messages VALUES (1, '{MESSAGE}', '{AGENT}', 'INPUT_RESPONSE',
          '{{"request_id": "{ANSWERED}", "response_text": "main", "responder": "ana", "answered_at": "2024-05-01T08:02:00.750000+00:00"}}',
          'DELIVERED', '2024-05-01 08:02:00.750000', '2024-05-01 08:02:01.000000', NULL);
        "#
    ))
    .unwrap();
}

impl Daemon {
    /// As a client of the original asks: without a token.
    async fn legacy(&self, path: &str) -> Value {
        let response = self.http.get(format!("{}/api/{path}", self.base_url)).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.unwrap()
    }

    async fn legacy_post(&self, path: &str, body: Value) -> Value {
        let post = self.http.post(format!("{}/api/{path}", self.base_url)).json(&body);
        post.send().await.unwrap().json().await.unwrap()
    }
}

#[tokio::test]
async fn it_keeps_its_ids_its_times_and_what_waits() {
    let home = Home::new();
    let old = home.work().join("agentflow.db");
    database(&old);
    let before = fs::read(&old).unwrap();
    let daemon = Daemon::start(&home);
    let import = || home.run(&["import", "--from", "sessionbus", old.to_str().unwrap()]);
    let moved = import();
    assert!(moved.status.success(), "{}", text(&moved.stderr));
    assert_eq!(text(&moved.stdout), format!("{AGENT}\n{SILENT}\n"));
    let sessions = daemon.legacy("sessions").await;
    let expected = json!([
        {
            "session_id": AGENT, "display_name": "bot", "state": "OFFLINE", "last_seen_at": "2024-05-01T08:05:00.500000",
            "pending_request_count": 1, "response_acknowledged": false, "tenant_id": "acme", "metadata": {"repo": "x"},
        },
        {
            "session_id": SILENT, "display_name": "silent", "state": "OFFLINE", "last_seen_at": "2024-05-01T07:00:00",
            "pending_request_count": 0, "response_acknowledged": false, "tenant_id": null, "metadata": null,
        },
    ]);
    assert_eq!(sessions, expected);
    let requests = daemon.legacy("requests").await;
    let expected = json!([
        {
            "request_id": PENDING, "session_id": AGENT, "title": "Migrate?", "question": "Shall I?",
            "context_json": {"table": "users"}, "priority": "URGENT", "tags": ["db"], "status": "PENDING",
            "response_text": null, "responder": null, "created_at": "2024-05-01T08:05:00.500000", "answered_at": null,
        },
        {
            "request_id": DISMISSED, "session_id": AGENT, "title": "Old", "question": "q", "context_json": null,
            "priority": "LOW", "tags": null, "status": "DISMISSED", "response_text": null, "responder": null,
            "created_at": "2024-05-01T08:03:00", "answered_at": null,
        },
        {
            "request_id": ANSWERED, "session_id": AGENT, "title": "Branch?", "question": "Which?", "context_json": null,
            "priority": "NORMAL", "tags": [], "status": "ANSWERED", "response_text": "main", "responder": "ana",
            "created_at": "2024-05-01T08:01:00.125000", "answered_at": "2024-05-01T08:02:00.750000",
        },
    ]);
    assert_eq!(requests, expected);
    assert_eq!(import().stdout, b"", "what is here is not moved again");
    assert_eq!((daemon.legacy("sessions").await, daemon.legacy("requests").await), (sessions, requests));
    assert_eq!(fs::read(&old).unwrap(), before);
    let beside = fs::read_dir(home.work()).unwrap().count();
    assert_eq!(beside, 1, "nothing was put beside it");
}

#[tokio::test]
async fn its_agents_go_on_where_they_were() {
    let home = Home::new();
    let old = home.work().join("agentflow.db");
    database(&old);
    // The command starts the daemon.
    let moved = home.run(&["import", "--from", "sessionbus", old.to_str().unwrap()]);
    assert!(moved.status.success(), "{}", text(&moved.stderr));
    assert!(home.run(&["stop"]).status.success());
    let daemon = Daemon::start(&home);
    let inbox = format!("sessions/{AGENT}/inbox");
    let expected = json!([{
        "message_id": MESSAGE, "type": "INPUT_RESPONSE", "status": "DELIVERED",
        "payload": {
            "request_id": ANSWERED, "response_text": "main", "responder": "ana", "answered_at": "2024-05-01T08:02:00.750000+00:00",
        },
        "created_at": "2024-05-01T08:02:00.750000", "delivered_at": "2024-05-01T08:02:01", "acked_at": null,
    }]);
    assert_eq!(daemon.legacy(&format!("{inbox}?timeout=0")).await["messages"], expected);
    let acked = daemon.legacy_post(&format!("{inbox}/{MESSAGE}/ack"), json!({})).await;
    assert_eq!(acked["status"], "ACKED");
    let answer = json!({"response_text": "go on"});
    let answered = daemon.legacy_post(&format!("requests/{PENDING}/respond"), answer).await;
    assert_eq!(answered["status"], "ANSWERED");
    let messages = daemon.legacy(&format!("{inbox}?timeout=20")).await["messages"].clone();
    assert_eq!(
        (messages.as_array().unwrap().len(), &messages[0]["payload"]["request_id"]),
        (1, &json!(PENDING))
    );
    let more = json!({"title": "And now?", "question": "q"});
    let asked = daemon.legacy_post(&format!("sessions/{AGENT}/requests"), more).await;
    assert!(asked["request_id"].is_string(), "{asked}");
    // One that was deleted here does not come back.
    let path = format!("/v1/sessions/{SILENT}");
    assert_eq!(daemon.ask(Method::DELETE, &path, None).await.unwrap().0, 204);
    let again = home.run(&["import", "--from", "sessionbus", old.to_str().unwrap()]);
    assert_eq!(
        (again.status.code(), text(&again.stdout)),
        (Some(0), String::new()),
        "{}",
        text(&again.stderr)
    );
}
