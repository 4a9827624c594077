//! Listeners and their clients.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::bus::{Bus, Client, in_session, one, request};

#[test]
fn names_and_both_families_are_accepted_and_the_chosen_port_is_told() {
    for (asked, told) in
        [("localhost:0", ":"), ("127.0.0.1:0", "127.0.0.1:"), (":0", "0.0.0.0:"), ("[::1]:0", "[::1]:")]
    {
        if asked == "[::1]:0" && std::net::TcpListener::bind("[::1]:0").is_err() {
            continue;
        }
        let (bus, address) = Bus::tcp(&one(1), asked);
        assert!(address.contains(told) && !address.ends_with(":0"), "{address}");
        let mut client = Client::connect(&address.replace("0.0.0.0", "127.0.0.1"));
        assert_eq!(client.call(1, "echo", json!(asked))["result"], asked);
        bus.stop();
    }
}

#[test]
fn a_client_that_has_closed_its_side_is_still_answered() {
    let (bus, address) = Bus::tcp(&one(1), "127.0.0.1:0");
    let mut stream = std::net::TcpStream::connect(&address).unwrap();
    stream.write_all(format!("{}\n", request(1, "echo", json!("nc"))).as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.contains("\"nc\""), "{text}");
    bus.stop();
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test measures latency")]
fn small_lines_are_not_held_back() {
    let (bus, address) = Bus::tcp(&one(1), "127.0.0.1:0");
    let mut client = Client::connect(&address);
    let mut best = Duration::MAX;
    for id in 0..20 {
        let begin = Instant::now();
        client.send(in_session("s", id, "stream", json!({"count": 3, "size": 5})));
        client.lines.until("streamed");
        best = best.min(begin.elapsed());
    }
    assert!(best < Duration::from_millis(20), "a delayed acknowledgement would cost 40 ms: {best:?}");
    bus.stop();
}

#[test]
fn a_unix_socket_is_made_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let shown = path.to_str().unwrap();
    let bus = Bus::start(&one(1), &["--unix", shown]);
    bus.log.until("Listening on Unix socket");
    let mut stream = UnixStream::connect(&path).unwrap();
    let lines = crate::bus::Lines::of(stream.try_clone().unwrap());
    stream.write_all(format!("{}\n", request(1, "echo", json!(7))).as_bytes()).unwrap();
    assert_eq!(lines.json()["result"], 7);
    let mut second = Bus::start(&one(1), &["--unix", shown]);
    assert_eq!(second.ended().code(), Some(1), "a socket in use is not stolen");
    bus.stop();
    assert!(!path.exists());
}

#[test]
fn stale_sockets_are_taken_over_and_files_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let bus = Bus::start(&one(1), &["--unix", path.to_str().unwrap()]);
    bus.log.until("Listening on Unix socket");
    bus.stop();
    std::fs::write(&path, "precious").unwrap();
    let mut bus = Bus::start(&one(1), &["--unix", path.to_str().unwrap()]);
    assert_eq!(bus.ended().code(), Some(1));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}
