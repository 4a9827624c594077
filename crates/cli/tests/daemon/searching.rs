//! Finding what was said, also by a daemon that has lost its index.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Daemon, Home, text};

fn search(home: &Home, words: &[&str]) -> Vec<Value> {
    let ran = home.run(&[&["search", "--json"], words].concat());
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    let found: Value = serde_json::from_slice(&ran.stdout).unwrap();
    found["items"].as_array().unwrap().clone()
}

/// Searches until something is found: the index is a moment behind.
fn found(home: &Home, words: &[&str]) -> Value {
    loop {
        if let Some(first) = search(home, words).into_iter().next() {
            return first;
        }
    }
}

#[tokio::test]
async fn a_transcript_is_found_and_so_after_a_crash_and_without_the_index() {
    let home = Home::new();
    let daemon = Daemon::start(&home);
    let session = daemon.demo(&home.work()).await;
    let mut stream = daemon.follow(&session, 0).await.unwrap();
    daemon.prompt(&session, "look for the Zebra").await;
    stream.until("request.opened").await;
    let first = found(&home, &["zebra"]);
    assert_eq!((&first["session"], &first["said"]), (&json!(session), &json!("prompt")));
    assert!(search(&home, &["giraffe"]).is_empty());
    let shown = text(&home.run(&["search", "zebra"]).stdout);
    assert!(shown.ends_with("\n  look for the Zebra\n"), "{shown}");
    daemon.kill_9();
    let daemon = Daemon::start(&home);
    assert_eq!(found(&home, &["zebra"])["seq"], first["seq"]);
    daemon.kill_9();
    fs::write(home.path().join("search.db"), "damaged").unwrap();
    let _daemon = Daemon::start(&home);
    assert_eq!(found(&home, &["zebra"])["seq"], first["seq"]);
}
