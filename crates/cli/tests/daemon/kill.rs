//! `kill -9` of the daemon under load: what was acknowledged is there, clients resume, no agent is left behind.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::harness::{Daemon, Home};

const ROUNDS: usize = 20;
const WRITERS: usize = 8;

/// A client that was attached through every life of the daemon.
#[derive(Default)]
struct Client {
    seen: Vec<u64>,
}

impl Client {
    /// Reads until the connection is gone.
    async fn attach(&mut self, daemon: &Daemon, session: &str, caught_up: impl FnOnce()) {
        let after = self.seen.last().copied().unwrap_or(0);
        let mut caught_up = Some(caught_up);
        let Ok(mut stream) = daemon.follow(session, after).await else { return };
        while let Some(event) = stream.next().await {
            match event.event.as_str() {
                "message" => self.seen.push(event.id.parse().unwrap()),
                "caught-up" => caught_up.take().into_iter().for_each(|tell| tell()),
                other => panic!("{other}"),
            }
        }
    }
}

/// Writes until the daemon is gone; gives what was acknowledged.
async fn write(
    daemon: &Daemon,
    session: &str,
    writer: usize,
    round: usize,
    count: &AtomicUsize,
) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for n in 0.. {
        let payload = format!("{round}/{writer}/{n}");
        let body = json!({"kind": "note", "payload": payload});
        let path = format!("/v1/sessions/{session}/inbox");
        match daemon.ask(reqwest::Method::POST, &path, Some(&body)).await {
            Ok((status, _)) if status == 201 => {
                acknowledged.push(payload);
                count.fetch_add(1, Ordering::SeqCst);
            }
            Ok((status, body)) => panic!("{status}: {body}"),
            Err(_) => break,
        }
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_under_load_lose_nothing_that_was_acknowledged() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home);
    let sessions = [daemon.external().await, daemon.external().await];
    let mut clients = [Client::default(), Client::default()];
    let mut acknowledged: Vec<String> = Vec::new();
    for round in 0..ROUNDS {
        let hosted = daemon.demo(&home.work()).await;
        daemon.prompt(&hosted, "write something").await;
        let count = Arc::new(AtomicUsize::new(0));
        let [one, two] = &mut clients;
        let writers = (0..WRITERS).map(|n| write(&daemon, &sessions[n % 2], n, round, &count));
        let pid = daemon.child.id().to_string();
        // It dies in the middle of things: after a different number of acknowledgements in each round.
        let killer = async {
            while count.load(Ordering::SeqCst) < 20 + round * 13 {
                tokio::task::yield_now().await;
            }
            let status = std::process::Command::new("kill").args(["-9", &pid]).status();
            assert!(status.unwrap().success());
        };
        let (written, (), (), ()) = tokio::join!(
            futures_util::future::join_all(writers),
            killer,
            one.attach(&daemon, &sessions[0], || {}),
            two.attach(&daemon, &sessions[1], || {}),
        );
        acknowledged.extend(written.into_iter().flatten());
        daemon.child.wait().unwrap();
        home.is_quiet();
        daemon = Daemon::start(&home);
    }
    let mut kept = BTreeSet::new();
    for (session, client) in sessions.iter().zip(&mut clients) {
        let log = daemon.log(session).await;
        let payloads = log.iter().filter(|event| event["type"] == "message.queued");
        kept.extend(payloads.map(|event| event["data"]["payload"].as_str().unwrap().to_owned()));
        let head = log.last().unwrap()["seq"].as_u64().unwrap();
        let daemon = &daemon;
        let (stop, stopped) = tokio::sync::oneshot::channel();
        tokio::select! {
            () = client.attach(daemon, session, move || stop.send(()).unwrap()) => {}
            _ = stopped => {}
        }
        assert_eq!(client.seen, (1..=head).collect::<Vec<_>>(), "no gap and no double over {ROUNDS} lives");
    }
    let lost: Vec<_> = acknowledged.iter().filter(|payload| !kept.contains(*payload)).collect();
    assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), acknowledged.len());
    assert!(acknowledged.len() > ROUNDS * 20);
    let (_, hosted) = daemon.get("/v1/sessions?agent=demo&limit=200").await;
    for session in hosted["items"].as_array().unwrap() {
        let log = daemon.log(session["id"].as_str().unwrap()).await;
        let count = |kind: &str| log.iter().filter(|event: &&Value| event["type"] == kind).count();
        assert_eq!(count("turn.started"), count("turn.ended"), "every turn has its end");
    }
}
