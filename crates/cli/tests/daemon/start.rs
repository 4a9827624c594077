//! Starting and stopping: one daemon for a home, clear refusals, a quick end.

use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{BINARY, Daemon, Home, kill, patiently, text};

#[tokio::test]
async fn a_second_daemon_on_the_same_home_is_refused() {
    let home = Home::new();
    let first = Daemon::start(&home);
    let second = home.run(&["serve"]);
    assert!(!second.status.success());
    let said = text(&second.stderr);
    assert!(said.contains("another daemon") && said.contains(&first.child.id().to_string()), "{said}");
    assert_eq!(first.get("/health").await.0, 200, "the first goes on");
}

#[tokio::test]
async fn a_port_in_use_names_its_holder() {
    let home = Home::new();
    let first = Daemon::start(&home);
    let other = Home::new();
    let listen = first.base_url.strip_prefix("http://").unwrap();
    let refused = other.command(&["serve"]).env("TRUNKLINE_LISTEN", listen).output().unwrap();
    let said = text(&refused.stderr);
    assert!(!refused.status.success());
    assert!(said.contains("is in use by trunkline"), "{said}");
    assert!(!other.path().join("runtime.json").exists());
}

#[tokio::test]
async fn a_daemon_that_a_command_starts_takes_a_free_port_and_says_so() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap();
    let named =
        format!("{} (process {})", fs::read_to_string("/proc/self/comm").unwrap().trim(), std::process::id());
    let home = Home::new();
    let run = |args: &[&str]| {
        let mut command = home.command(args);
        command.env_remove("TRUNKLINE_LISTEN").env("TRUNKLINE_DEFAULT_LISTEN", address.to_string());
        command.stdin(Stdio::null()).output().unwrap()
    };
    let refused = run(&["serve"]);
    let said = text(&refused.stderr);
    assert!(!refused.status.success() && said.contains(&format!("{address} is in use by {named}")), "{said}");
    assert!(!home.path().join("runtime.json").exists());
    let listed = run(&["ls"]);
    let said = text(&listed.stderr);
    let told =
        format!("port {} is in use by {named}; the daemon listens at http://127.0.0.1:", address.port());
    assert!(listed.status.success() && said.contains(&told), "{said}");
    let again = run(&["ls"]);
    assert!(
        again.status.success() && !text(&again.stderr).contains("in use"),
        "it is found again, and said once"
    );
    assert!(run(&["stop"]).status.success());
    home.is_quiet();
}

#[tokio::test]
async fn what_is_secret_is_private() {
    let home = Home::new();
    let daemon = Daemon::start(&home);
    let mode = |name: &str| fs::metadata(home.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("token"), mode("runtime.json"), mode("")), (0o600, 0o600, 0o700));
    assert_eq!(mode("trunkline.db") & 0o077, 0, "others cannot read the database");
    assert_eq!(mode("run/trunkline.sock"), 0o600);
    drop(daemon);
}

#[tokio::test]
async fn a_directory_that_was_there_keeps_its_mode() {
    let home = Home::new();
    fs::create_dir(home.path()).unwrap();
    let mode = |mode: u32| fs::set_permissions(home.path(), fs::Permissions::from_mode(mode)).unwrap();
    for open in [0o777, 0o1777, 0o720] {
        mode(open);
        let refused = home.run(&["serve"]);
        let said = text(&refused.stderr);
        assert!(!refused.status.success() && said.contains("chmod 700"), "{said}");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "nothing was put there");
    }
    mode(0o755);
    let _daemon = Daemon::start(&home);
    let kept = fs::metadata(home.path()).unwrap().permissions().mode() & 0o7777;
    assert_eq!(kept, 0o755);
    assert_eq!(fs::metadata(home.path().join("run")).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn a_damaged_or_newer_database_is_left_as_it_is() {
    for (offset, bytes, expected) in [
        (0, &b"this is no database at all"[..], "not a sound"),
        // `user_version` of SQLite's header, big-endian, at byte 60.
        (60, &[0x7f, 0, 0, 0][..], "newer"),
    ] {
        let home = Home::new();
        let mut daemon = Daemon::start(&home);
        assert!(home.run(&["stop"]).status.success());
        daemon.child.wait().unwrap();
        let path = home.path().join("trunkline.db");
        assert!(!home.path().join("trunkline.db-wal").exists(), "nothing beside the file would mend it");
        let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.seek(SeekFrom::Start(offset)).unwrap();
        file.write_all(bytes).unwrap();
        drop(file);
        let before = fs::read(&path).unwrap();
        let refused = home.run(&["serve"]);
        let said = text(&refused.stderr);
        assert!(!refused.status.success() && said.contains(expected), "{said}");
        assert!(fs::read(&path).unwrap() == before, "never overwritten");
    }
}

#[tokio::test]
async fn it_stops_within_two_seconds_with_clients_attached_and_turns_get_their_end() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home);
    let session = daemon.demo(&home.work()).await;
    let mut stream = daemon.follow(&session, 0).await.unwrap();
    daemon.prompt(&session, "write something").await;
    stream.until("request.opened").await;
    stops_in_time(&mut daemon);
    let mut last = Vec::new();
    while let Some(event) = stream.next().await {
        last.push(event);
    }
    assert_eq!(last.last().unwrap().event, "bye", "clients are told to come back");
    assert!(!home.path().join("runtime.json").exists());
    assert!(!home.path().join("trunkline.db-wal").exists(), "all of it is in the database");
    home.is_quiet();
    let daemon = Daemon::start(&home);
    let log = daemon.log(&session).await;
    let ended = log.iter().find(|event| event["type"] == "turn.ended").unwrap();
    assert_eq!(ended["data"]["stop_reason"], "interrupted");
    assert!(log.iter().any(|event| event["type"] == "agent.exited"));
    assert_eq!(daemon.get("/v1/requests?status=open").await.1["items"], json!([]));
}

/// Tells the daemon to stop and waits until it is gone.
fn stops_in_time(daemon: &mut Daemon) {
    let start = Instant::now();
    daemon.signal("-TERM");
    let status = daemon.child.wait().unwrap();
    assert!(status.success(), "{status}");
    assert!(start.elapsed() <= Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test]
async fn it_stops_well_from_when_it_can_be_found_and_leaves_one_file() {
    let home = Home::new();
    // Whoever can find it can signal it: at that very moment it stops as well as at any other.
    for _ in 0..5 {
        let mut serve = home.command(&["serve"]);
        let mut child = serve.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let runtime = home.path().join("runtime.json");
        assert!(patiently(|| runtime.exists().then_some(())).is_some());
        kill(&child, "-TERM");
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        let status = child.wait().unwrap();
        assert!(status.success() && said.contains("stopped"), "{status} {said}");
        assert!(!runtime.exists());
        for side in ["-wal", "-shm"] {
            assert!(!home.path().join(format!("trunkline.db{side}")).exists(), "{side} is left: {said}");
        }
    }
}

#[tokio::test]
async fn it_stops_in_time_with_agents_that_do_not_listen_and_clients_that_say_nothing() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home);
    let script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('deaf', 'w'); time.sleep(600)";
    let body = json!({"agent": "deaf", "argv": ["python3", "-c", script], "workspace": home.work()});
    let mut streams = Vec::new();
    for _ in 0..3 {
        let (status, session) = daemon.post("/v1/sessions", body.clone()).await;
        assert_eq!(status, 201, "{session}");
        let session = session["id"].as_str().unwrap();
        streams.push(daemon.follow(session, 0).await.unwrap());
        daemon.prompt(session, "listen").await;
    }
    let deaf = home.work().join("deaf");
    assert!(
        tokio::task::spawn_blocking(move || patiently(|| deaf.exists().then_some(())))
            .await
            .unwrap()
            .is_some()
    );
    let address = daemon.base_url.strip_prefix("http://").unwrap().to_owned();
    let mut silent = std::net::TcpStream::connect(address).unwrap();
    silent.write_all(b"POST /v1/sessions HTTP/1.1\r\ncontent-length: 100\r\n").unwrap();
    stops_in_time(&mut daemon);
    drop((streams, silent));
    home.is_quiet();
}

#[tokio::test]
async fn a_full_disk_refuses_with_507_loses_nothing_and_recovers() {
    let home = Home::new();
    let daemon = Daemon::start(&home);
    let session = daemon.external().await;
    let limit = |limit: &str| {
        let pid = daemon.child.id().to_string();
        let status =
            std::process::Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={limit}")]).status();
        assert!(status.unwrap().success());
    };
    let path = format!("/v1/sessions/{session}/inbox");
    let mut acknowledged = 0;
    // No file of the daemon may grow beyond this: what a full disk looks like to it.
    limit("400000:unlimited");
    let refused = loop {
        let (status, body) = daemon.post(&path, json!({"kind": "note", "payload": "x".repeat(20_000)})).await;
        match status.as_u16() {
            201 => acknowledged += 1,
            _ => break (status, body),
        }
        assert!(acknowledged < 1_000, "the limit was never met");
    };
    assert_eq!((refused.0.as_u16(), refused.1["code"].as_str()), (507, Some("disk_full")), "{}", refused.1);
    assert_eq!(daemon.get(&format!("/v1/sessions/{session}")).await.0, 200, "reading goes on");
    limit("unlimited:unlimited");
    let (status, body) = daemon.post(&path, json!({"kind": "note", "payload": "after"})).await;
    assert_eq!(status, 201, "{body}");
    let log = daemon.log(&session).await;
    let kept = log.iter().filter(|event| event["type"] == "message.queued").count();
    assert_eq!(kept, acknowledged + 1);
    for (event, seq) in log.iter().zip(1..) {
        assert_eq!(event["seq"], seq);
    }
}

#[tokio::test]
async fn the_daemon_may_open_more_files_and_agents_as_many_as_before() {
    let home = Home::new();
    let limited = home.by("prlimit", &["--nofile=300:5000", BINARY, "serve"]);
    let daemon = Daemon::start_by(&home, limited);
    let session = daemon.demo(&home.work()).await;
    let mut stream = daemon.follow(&session, 0).await.unwrap();
    daemon.prompt(&session, "write something").await;
    stream.until("request.opened").await;
    let limits = |pid: u32| {
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap().to_owned();
        line.split_ascii_whitespace().skip(3).take(2).map(str::to_owned).collect::<Vec<_>>().join(":")
    };
    assert_eq!(limits(daemon.child.id()), "5000:5000");
    let started = daemon.log(&session).await.into_iter().find(|event| event["type"] == "agent.started");
    let agent = started.unwrap()["data"]["pid"].as_u64().unwrap();
    assert_eq!(limits(u32::try_from(agent).unwrap()), "300:5000");
}
