//! Much at once: nothing is lost, nothing waits for ever.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};

use serde_json::{Value, json};

use crate::bus::{Bus, Client, in_session, one, pool, request, with};

#[test]
fn lines_of_ten_megabytes_pass_in_both_directions() {
    let mut bus = Bus::stdio(&with(one(1), json!({"limits": {"max_input_buffer": 20_000_000}})));
    let sent = request(1, "length", json!("x".repeat(10_000_000)));
    bus.send(&sent);
    assert_eq!(bus.out.json()["result"], sent.len() + 1);
    let got = bus.call(2, "big", json!(10_000_000));
    assert_eq!(got["result"].as_str().unwrap().len(), 10_000_000);
    bus.stop();
}

#[test]
fn a_burst_waits_for_a_worker_that_is_still_starting() {
    let mut bus = Bus::stdio(&one(1));
    let long = "x".repeat(200);
    for id in 0..5000 {
        bus.send(request(id, "echo", json!(long)));
    }
    for id in 0..5000 {
        assert_eq!(bus.out.json()["id"], id, "the order is kept");
    }
    bus.stop();
}

#[test]
fn a_thousand_requests_before_the_first_answer_is_read() {
    // Stdout is not read until all is sent, and holds far more than a pipe does.
    let config = with(one(1), json!({"limits": {"max_output_queue": 10_000}}));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.json");
    std::fs::write(&path, config.to_string()).unwrap();
    let mut command = crate::bus::program();
    command.arg("--config").arg(&path);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    command.stderr(std::process::Stdio::null());
    let mut child = crate::bus::spawn(&mut command);
    let mut stdin = child.stdin.take().unwrap();
    let long = "x".repeat(1000);
    for id in 0..2000 {
        stdin.write_all(format!("{}\n", request(id, "echo", json!(long))).as_bytes()).unwrap();
    }
    let mut answered = HashSet::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while answered.len() < 2000 {
        let answer: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(answer["result"], long);
        assert!(answered.insert(answer["id"].as_u64().unwrap()));
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_long_stream_reaches_a_reader_that_pauses() {
    let (bus, address) = Bus::tcp(&one(1), "127.0.0.1:0");
    let mut slow = std::net::TcpStream::connect(&address).unwrap();
    let line = in_session("s", 1, "stream", json!({"count": 100_000, "size": 100}));
    slow.write_all(format!("{line}\n").as_bytes()).unwrap();
    // It reads nothing until another client has had an answer from the same worker, behind the stream.
    let mut other = Client::connect(&address);
    assert_eq!(other.call(1, "echo", json!("behind"))["result"], "behind");
    let mut reader = BufReader::new(slow);
    let mut notes = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if !line.contains("\"method\"") {
            assert!(line.contains("streamed"));
            break;
        }
        notes += 1;
    }
    assert_eq!(notes, 100_000);
    bus.stop();
}

#[test]
fn what_a_hanging_worker_cannot_take_is_refused() {
    let mut small = pool("p", 1);
    small["max_worker_queue"] = json!(1_000_000);
    let mut bus = Bus::stdio(&json!({"pools": [small], "limits": {"drain_timeout_sec": 1}}));
    bus.call(0, "echo", json!(null));
    bus.send(request(1, "hang", json!(null)));
    let long = "x".repeat(100_000);
    for id in 2..22 {
        bus.send(request(id, "echo", json!(long)));
    }
    let error = bus.out.json();
    assert_eq!(error["error"]["code"], 9, "{error}");
    assert!(error["id"].as_u64().unwrap() > 2);
    bus.stop();
}

#[test]
fn many_clients_sessions_and_requests() {
    let (bus, address) = Bus::tcp(&one(2), "127.0.0.1:0");
    let mut clients: Vec<Client> = Vec::new();
    for n in 0..200 {
        let mut client = Client::connect(&address);
        for s in 0..50 {
            client.send(in_session(&format!("s{n}.{s}"), s, "hold", json!(null)));
        }
        clients.push(client);
    }
    for (n, client) in clients.iter_mut().enumerate() {
        client.send(in_session(&format!("s{n}.0"), 99, "echo", json!(n)));
        assert_eq!(client.lines.json()["result"], n);
    }
    let mut other = Client::connect(&address);
    // Sessions were bound to the two workers in turn.
    for session in ["s0.0", "s0.1"] {
        other.send(in_session(session, 1, "release", json!(null)));
        assert_eq!(other.lines.json()["result"], "done");
    }
    for client in &clients {
        let ids: HashSet<u64> = (0..50).map(|_| client.lines.json()["id"].as_u64().unwrap()).collect();
        assert_eq!(ids.len(), 50);
    }
    drop(other);
    bus.stop();
}

#[test]
fn a_client_that_never_reads_is_cut_off_and_others_are_served() {
    let (bus, address) =
        Bus::tcp(&with(one(1), json!({"limits": {"max_output_queue": 1000}})), "127.0.0.1:0");
    let mut other = Client::connect(&address);
    other.call(1, "echo", json!(null));
    let mut deaf = std::net::TcpStream::connect(&address).unwrap();
    let line = in_session("s", 1, "stream", json!({"count": 60_000, "size": 1000}));
    deaf.write_all(format!("{line}\n").as_bytes()).unwrap();
    // The worker also owes the other one an answer, so it is not held up for the deaf one.
    other.send(in_session("o", 2, "echo", json!("served")));
    assert_eq!(other.lines.json()["result"], "served");
    bus.log.until("cut off");
    let mut rest = Vec::new();
    // The connection may be reset while there is still something to read.
    let _ended = deaf.read_to_end(&mut rest);
    assert_eq!(other.call(3, "echo", json!(1))["result"], 1);
    bus.stop();
}
