//! The audit of the built daemon: what a chain tells after kills, and after somebody was at the database.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::harness::{Daemon, Home, text};

const ROUNDS: usize = 8;
const PEOPLE: usize = 4;

/// Asks and answers until the daemon is gone; gives the requests whose answer was acknowledged.
async fn decide(daemon: &Daemon, session: &str, count: &AtomicUsize) -> Vec<String> {
    let mut acknowledged = Vec::new();
    let ask = json!({ "kind": "question", "title": "Deploy it?" });
    loop {
        let path = format!("/v1/sessions/{session}/requests");
        let Ok((_, asked)) = daemon.ask(reqwest::Method::POST, &path, Some(&ask)).await else { break };
        let request = asked["id"].as_str().unwrap().to_owned();
        let path = format!("/v1/requests/{request}/answer");
        let Ok((status, body)) =
            daemon.ask(reqwest::Method::POST, &path, Some(&json!({ "text": "yes" }))).await
        else {
            break;
        };
        assert_eq!(status, 200, "{body}");
        acknowledged.push(request);
        count.fetch_add(1, Ordering::SeqCst);
    }
    acknowledged
}

/// All records, oldest first.
async fn records(daemon: &Daemon) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    loop {
        let after = all.last().map_or(0, |item| item["n"].as_u64().unwrap());
        let (status, page) = daemon.get(&format!("/v1/audit/chain?after={after}")).await;
        assert_eq!(status, 200, "{page}");
        all.extend(page["items"].as_array().unwrap().iter().cloned());
        if page["next"].is_null() {
            return all;
        }
    }
}

fn verify(home: &Home, args: &[&str]) -> (i32, String, String) {
    let done = home.run(&[&["--no-start", "audit", "verify"], args].concat());
    (done.status.code().unwrap(), text(&done.stdout), text(&done.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_in_the_middle_leave_a_chain_that_holds_all_that_was_acknowledged() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home);
    let session = daemon.external().await;
    let mut acknowledged = BTreeSet::new();
    let mut heads: Vec<String> = Vec::new();
    for round in 0..ROUNDS {
        let (count, pid) = (AtomicUsize::new(0), daemon.child.id().to_string());
        let people = (0..PEOPLE).map(|_| decide(&daemon, &session, &count));
        let killer = async {
            while count.load(Ordering::SeqCst) < 5 + round * 7 {
                tokio::task::yield_now().await;
            }
            assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
        };
        let (decided, ()) = tokio::join!(futures_util::future::join_all(people), killer);
        acknowledged.extend(decided.into_iter().flatten());
        daemon.child.wait().unwrap();
        daemon = Daemon::start(&home);
        let (code, out, err) = verify(&home, &[]);
        assert_eq!(code, 0, "{err}");
        heads.push(out.lines().last().unwrap().trim_start_matches("head").trim().to_owned());
    }
    let all = records(&daemon).await;
    let mut recorded = BTreeSet::new();
    for item in &all {
        let request = item["record"]["deed"]["request"].as_str().unwrap();
        assert!(recorded.insert(request.to_owned()), "recorded twice: {item}");
    }
    let lost: Vec<_> = acknowledged.difference(&recorded).collect();
    assert!(lost.is_empty(), "{lost:?}");
    let log = daemon.log(&session).await;
    let closed = log.iter().filter(|event| event["type"] == "request.closed").count();
    assert_eq!(closed, recorded.len(), "each answer that was kept is recorded, acknowledged or not");
    for head in &heads {
        assert_eq!(verify(&home, &["--head", head]).0, 0, "what was noted in an earlier life holds");
    }
    let source = &all[0]["record"]["source"];
    assert!(source["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{source}");
}

#[tokio::test]
async fn whoever_edits_the_database_is_found_out() {
    let home = Home::new();
    let daemon = Daemon::start(&home);
    let session = daemon.external().await;
    for title in ["Deploy it?", "Delete it?", "Publish it?"] {
        let ask = json!({ "kind": "question", "title": title });
        let (_, asked) = daemon.post(&format!("/v1/sessions/{session}/requests"), ask).await;
        let answer = format!("/v1/requests/{}/answer", asked["id"].as_str().unwrap());
        assert_eq!(daemon.post(&answer, json!({ "text": "yes" })).await.0, 200);
    }
    let shown = home.run(&["audit"]);
    let shown = text(&shown.stdout);
    assert!(shown.contains("request.answered") && shown.contains("Delete it?"), "{shown}");
    let (code, out, _) = verify(&home, &["--json"]);
    let sound: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &sound["sound"], &sound["head"]["n"]), (0, &json!(true), &json!(3)));
    let head = format!("3:{}", sound["head"]["hash"].as_str().unwrap());
    stop(daemon);
    // The second record says afterwards that something harmless was answered.
    let edit = "SET body = replace(body, 'Delete it?', 'Explain it')";
    let sql = format!("UPDATE frame {edit} WHERE log = {AUDIT} AND body LIKE '%Delete it?%'");
    assert_eq!(tamper(&home, &sql), 1);
    let daemon = Daemon::start(&home);
    let (code, out, err) = verify(&home, &[]);
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    assert!(err.contains("record 2 was changed"), "{err}");
    let (code, out, _) = verify(&home, &["--json"]);
    let broken: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &broken["sound"], &broken["record"]), (1, &json!(false), &json!(2)));
    stop(daemon);
    // Somebody who takes the second record out of the middle, and somebody who cuts off the newest.
    assert_eq!(tamper(&home, &format!("DELETE FROM frame WHERE log = {AUDIT} AND last = 2")), 1);
    let daemon = Daemon::start(&home);
    let (code, _, err) = verify(&home, &[]);
    assert!(code == 1 && err.contains("record 2 is missing"), "{err}");
    stop(daemon);
    assert_eq!(tamper(&home, &format!("DELETE FROM frame WHERE log = {AUDIT} AND last = 3")), 1);
    let daemon = Daemon::start(&home);
    assert_eq!(verify(&home, &[]).0, 0, "the first record is as it was");
    let (code, _, err) = verify(&home, &["--head", &head]);
    assert!(code == 1 && err.contains("record 2 is missing"), "{err}");
    drop(daemon);
}

/// The number of the audit's log.
const AUDIT: &str = "(SELECT id FROM log WHERE name = 'audit')";

/// Does something to the database while no daemon has it open; gives how many frames that was.
fn tamper(home: &Home, sql: &str) -> usize {
    rusqlite::Connection::open(home.path().join("trunkline.db")).unwrap().execute(sql, []).unwrap()
}

/// Stops it as a user does.
fn stop(mut daemon: Daemon) {
    daemon.signal("-TERM");
    daemon.child.wait().unwrap();
}
