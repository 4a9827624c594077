//! Turns of the demo agent: allow, deny, cancel, a daemon restart in between, many lifecycles.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Daemon, Home, Stream, patiently};

async fn asked(stream: &mut Stream) -> Value {
    stream.until("request.opened").await.pop().unwrap()["data"].clone()
}

fn option(request: &Value, kind: &str) -> String {
    let options = request["options"].as_array().unwrap();
    options.iter().find(|option| option["kind"] == kind).unwrap()["id"].as_str().unwrap().to_owned()
}

async fn answer(daemon: &Daemon, request: &Value, kind: &str) {
    let path = format!("/v1/requests/{}/answer", request["id"].as_str().unwrap());
    let (status, body) = daemon.post(&path, json!({ "option": option(request, kind) })).await;
    assert_eq!(status, 200, "{body}");
}

fn files(home: &Home) -> usize {
    fs::read_dir(home.work()).unwrap().count()
}

#[tokio::test]
async fn allow_writes_the_file_deny_and_cancel_do_not() {
    let home = Home::new();
    let daemon = Daemon::start(&home);
    let session = daemon.demo(&home.work()).await;
    let mut stream = daemon.follow(&session, 0).await.unwrap();

    daemon.prompt(&session, "write a greeting").await;
    let request = asked(&mut stream).await;
    assert!(request["tool_call"].is_object(), "the card shows what is asked");
    assert_eq!(files(&home), 0, "nothing is written before it is allowed");
    answer(&daemon, &request, "allow_once").await;
    let rest = stream.until("turn.ended").await;
    assert_eq!(rest.last().unwrap()["data"]["stop_reason"], "end_turn");
    assert!(rest.iter().any(|event| event["type"] == "file.written"), "{rest:#?}");
    assert_eq!(files(&home), 1);
    let written = fs::read_dir(home.work()).unwrap().next().unwrap().unwrap().path();
    fs::remove_file(written).unwrap();

    daemon.prompt(&session, "write a greeting").await;
    let request = asked(&mut stream).await;
    answer(&daemon, &request, "reject_once").await;
    stream.until("turn.ended").await;
    assert_eq!(files(&home), 0);

    daemon.prompt(&session, "write a greeting").await;
    let request = asked(&mut stream).await;
    let (status, _) = daemon.post(&format!("/v1/sessions/{session}/cancel"), json!({})).await;
    assert_eq!(status, 202);
    let rest = stream.until("turn.ended").await;
    assert_eq!(rest.last().unwrap()["data"]["stop_reason"], "cancelled");
    assert_eq!(files(&home), 0);
    let (_, shown) = daemon.get(&format!("/v1/requests/{}", request["id"].as_str().unwrap())).await;
    assert_eq!(shown["status"], "cancelled");
}

#[tokio::test]
async fn a_session_goes_on_after_a_restart() {
    let home = Home::new();
    let daemon = Daemon::start(&home);
    let session = daemon.demo(&home.work()).await;
    daemon.kill_9();
    let daemon = Daemon::start(&home);
    let mut stream = daemon.follow(&session, 0).await.unwrap();
    daemon.prompt(&session, "write a greeting").await;
    let request = asked(&mut stream).await;
    daemon.kill_9();
    home.is_quiet();
    let daemon = Daemon::start(&home);
    let (_, shown) = daemon.get(&format!("/v1/requests/{}", request["id"].as_str().unwrap())).await;
    assert_eq!(shown["status"], "cancelled", "its turn was interrupted");
    let mut stream = daemon.follow(&session, 0).await.unwrap();
    let before = stream.until("turn.ended").await;
    assert_eq!(before.last().unwrap()["data"]["stop_reason"], "interrupted");
    daemon.prompt(&session, "write a greeting").await;
    let request = asked(&mut stream).await;
    answer(&daemon, &request, "allow_once").await;
    stream.until("turn.ended").await;
    assert_eq!(files(&home), 1);
}

/// How long connections may take to close before what is open is counted.
const SETTLES: Duration = Duration::from_secs(1);
/// How many lives a daemon has until everything that it keeps open is open: one of each kind.
const WARM: usize = 5;

/// Spawn, turn, then end, cancel or crash. Every fifth agent leaves a grandchild in a session of its own, and every tenth
/// time the daemon is killed, the first time while the agent waits for an answer. Fifty of them, or as many as
/// `make test-long` asks for. What a daemon has open is counted once, and never changes.
#[tokio::test]
async fn lifecycles_leave_no_process_and_no_descriptor() {
    let wanted = std::env::var("TRUNKLINE_LIFECYCLES").ok();
    let count = wanted.map_or(50, |count| count.parse().unwrap());
    let home = Home::new();
    let mut daemon = Daemon::start(&home);
    let mut descriptors = None;
    for n in 0..count {
        let session = match n % 5 {
            4 => detaching(&daemon, &home).await,
            _ => daemon.demo(&home.work()).await,
        };
        let mut stream = daemon.follow(&session, 0).await.unwrap();
        daemon.prompt(&session, "write a greeting").await;
        let request = asked(&mut stream).await;
        let killed = n % 10 == 9;
        match if killed { n / 10 % 4 } else { n % 4 } {
            0 if killed => {}
            0 => answer(&daemon, &request, "allow_once").await,
            1 => answer(&daemon, &request, "reject_once").await,
            2 => {
                daemon.post(&format!("/v1/sessions/{session}/cancel"), json!({})).await;
            }
            _ => crash(&daemon, &session).await,
        }
        if killed {
            daemon.kill_9();
            home.is_quiet();
            daemon = Daemon::start(&home);
            continue;
        }
        stream.until("turn.ended").await;
        let (status, body) = daemon.post(&format!("/v1/sessions/{session}/close"), json!({})).await;
        assert_eq!(status, 200, "{body}");
        only_the_daemon(&home, &daemon);
        drop(stream);
        if n % 10 + 1 >= WARM {
            // Connections that are closing have to close; what leaks stays.
            let first = match descriptors {
                Some(first) => first,
                None => *descriptors.insert(settled_descriptors(&daemon).await),
            };
            let same = has_descriptors(&daemon, first).await;
            assert!(same, "{first} were open, and at {n} there are {:?}", descriptor_names(&daemon));
        }
    }
    drop(daemon);
    home.is_quiet();
}

/// The agent's process dies under its turn.
async fn crash(daemon: &Daemon, session: &str) {
    let log = daemon.log(session).await;
    let started = log.iter().find(|event| event["type"] == "agent.started").unwrap();
    let pid = started["data"]["pid"].to_string();
    std::process::Command::new("kill").args(["-9", &pid]).status().unwrap();
}

/// The demo agent behind a shell that leaves a grandchild in a session of its own.
async fn detaching(daemon: &Daemon, home: &Home) -> String {
    let script = format!(
        "setsid sh -c 'sleep 1000' </dev/null >/dev/null 2>&1 & exec {} demo-agent --pace 0",
        crate::harness::BINARY
    );
    let body = json!({"agent": "demo", "argv": ["sh", "-c", script], "workspace": home.work()});
    let (status, body) = daemon.post("/v1/sessions", body).await;
    assert_eq!(status, 201, "{body}");
    body["id"].as_str().unwrap().to_owned()
}

fn only_the_daemon(home: &Home, daemon: &Daemon) {
    let alone = patiently(|| {
        let pids: Vec<_> = home.processes().into_iter().map(|(pid, _)| pid).collect();
        (pids == [daemon.child.id()]).then_some(())
    });
    assert!(alone.is_some(), "processes are left: {:?}", home.processes());
}

/// How many are open, but for the database: how many of its readers there are depends on what is read at a time. They have
/// a bound of their own: four readers and the writer, and each holds the database, its log and the index of that.
fn open_descriptors(daemon: &Daemon) -> usize {
    let (database, others): (Vec<_>, Vec<_>) =
        descriptor_names(daemon).into_iter().partition(|name| name.contains("/trunkline.db"));
    assert!(database.len() <= 16, "{database:?}");
    others.len()
}

/// How many are open without the connections that are just closing: the fewest within a while.
async fn settled_descriptors(daemon: &Daemon) -> usize {
    let (start, mut fewest) = (std::time::Instant::now(), usize::MAX);
    while start.elapsed() < SETTLES {
        fewest = fewest.min(open_descriptors(daemon));
        // Our own ends of the connections close in between.
        tokio::task::yield_now().await;
    }
    fewest
}

/// Waits until exactly so many are open.
async fn has_descriptors(daemon: &Daemon, count: usize) -> bool {
    let start = std::time::Instant::now();
    while open_descriptors(daemon) != count {
        if start.elapsed() > crate::harness::PATIENCE {
            return false;
        }
        tokio::task::yield_now().await;
    }
    true
}

fn descriptor_names(daemon: &Daemon) -> Vec<String> {
    let all = fs::read_dir(format!("/proc/{}/fd", daemon.child.id())).unwrap();
    let name = |entry: std::io::Result<fs::DirEntry>| fs::read_link(entry.unwrap().path());
    all.filter_map(|entry| Some(name(entry).ok()?.display().to_string())).collect()
}
