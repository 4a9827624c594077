//! What the original SDK's public API does on our router, which it starts as it would start a container.
//!
//! `STDIO_BUS` names the router under test; `make sdk-test` builds it and sets the variable.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stdiobus::{BusState, DockerOptions, Error, RequestOptions, StdioBus};
use tempfile::TempDir;

/// The worker that the Python SDK's tests use too.
const WORKER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/python/tests/programs/worker.py");

/// What is on disk of one bus.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// The router under the name `docker`, which keeps what it must remember in this place.
    fn engine(&self) -> DockerOptions {
        let router = std::env::var("STDIO_BUS").expect("STDIO_BUS names the router under test");
        let (docker, engine) = (self.0.path().join("docker"), self.0.path().join("engine"));
        symlink(router, &docker).unwrap();
        let script =
            format!("#!/bin/sh\nTMPDIR='{}' exec '{}' \"$@\"\n", self.0.path().display(), docker.display());
        fs::write(&engine, script).unwrap();
        fs::set_permissions(&engine, fs::Permissions::from_mode(0o755)).unwrap();
        DockerOptions { engine_path: text(&engine), ..DockerOptions::default() }
    }

    fn bus(&self, config: &Value) -> StdioBus {
        let path = self.0.path().join("bus.json");
        fs::write(&path, config.to_string()).unwrap();
        let built = StdioBus::builder()
            .config_path(text(&path))
            .backend_docker()
            .docker_options(self.engine())
            .timeout(Duration::from_secs(20))
            .build();
        built.unwrap()
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn workers(instances: usize) -> Value {
    json!({"pools": [{"id": "pool", "command": "python3", "args": [WORKER], "instances": instances}]})
}

/// Whether a process is there, and not only waits to be reaped.
fn runs(pid: &Value) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[tokio::test]
async fn it_starts_asks_and_stops() {
    let place = Place::new();
    let bus = place.bus(&workers(1));
    bus.start().await.unwrap();
    assert_eq!((bus.state(), bus.backend_type()), (BusState::Running, "docker"));
    let answer = bus.request("echo", json!({"text": "grüße"})).await.unwrap();
    assert_eq!(answer["echo"], json!({"text": "grüße"}));
    assert_eq!(answer["sessionId"], bus.client_session_id());
    assert!(runs(&answer["pid"]));
    let options = RequestOptions::default().session_id("mine").agent_id("agent");
    let answer = bus.request_with_options("echo", json!({}), options).await.unwrap();
    assert_eq!((&answer["sessionId"], &answer["agentId"]), (&json!("mine"), &json!("agent")));
    let stopping = Instant::now();
    bus.stop().await.unwrap();
    assert!(stopping.elapsed() < Duration::from_secs(5), "the original takes that long to give up");
    assert_eq!(bus.state(), BusState::Stopped);
    assert!(!runs(&answer["pid"]), "the router takes its workers along");
}

#[tokio::test]
async fn a_streams_chunks_are_gathered() {
    let place = Place::new();
    let bus = place.bus(&workers(1));
    bus.start().await.unwrap();
    let chunks: Vec<String> = (0..1000).map(|number| format!("{number} ")).collect();
    let answer = bus.request("stream", json!({"chunks": chunks})).await.unwrap();
    assert_eq!(answer["text"], chunks.concat());
    bus.stop().await.unwrap();
}

#[tokio::test]
async fn notifications_come_in_order() {
    let place = Place::new();
    let bus = place.bus(&workers(1));
    bus.start().await.unwrap();
    let mut told = bus.subscribe_notifications();
    bus.request("tell", json!({"count": 50})).await.unwrap();
    for number in 0..50 {
        assert_eq!(told.recv().await.unwrap()["params"]["number"], number);
    }
    bus.notify("mute", json!({})).await.unwrap();
    bus.stop().await.unwrap();
}

#[tokio::test]
async fn five_hundred_requests_at_once_each_get_their_answer() {
    let place = Place::new();
    let bus = std::sync::Arc::new(place.bus(&workers(2)));
    bus.start().await.unwrap();
    let ask = |number: usize| {
        let bus = std::sync::Arc::clone(&bus);
        let options = RequestOptions::default().session_id(format!("s{}", number % 10));
        tokio::spawn(async move { bus.request_with_options("echo", json!({"n": number}), options).await })
    };
    let asked: Vec<_> = (0..500).map(ask).collect();
    for (number, answer) in asked.into_iter().enumerate() {
        assert_eq!(answer.await.unwrap().unwrap()["echo"]["n"], number);
    }
    bus.stop().await.unwrap();
}

#[tokio::test]
async fn a_large_message_passes_each_way() {
    let place = Place::new();
    let bus = place.bus(&workers(1));
    bus.start().await.unwrap();
    let filling = "x".repeat(900_000);
    let answer = bus.request("echo", json!({"filling": filling})).await.unwrap();
    assert_eq!(answer["echo"]["filling"], filling);
    bus.stop().await.unwrap();
}

#[tokio::test]
async fn errors_arrive_as_errors_and_a_dead_worker_is_replaced() {
    let place = Place::new();
    let bus = place.bus(&workers(1));
    bus.start().await.unwrap();
    let refused = bus.request("fail", json!({"code": 7, "message": "not you"})).await;
    assert!(
        matches!(&refused, Err(Error::TransportError { message }) if message == "7: not you"),
        "{refused:?}"
    );
    let died = bus.request("exit", json!({"code": 3})).await;
    let told = |message: &str| message.starts_with("5: The worker ended before it answered");
    assert!(matches!(&died, Err(Error::TransportError { message }) if told(message)), "{died:?}");
    assert_eq!(bus.request("echo", json!({"n": 1})).await.unwrap()["echo"]["n"], 1);
    bus.stop().await.unwrap();
}

#[tokio::test]
async fn a_configuration_that_is_wrong_says_so_at_the_start() {
    let place = Place::new();
    let bus = place.bus(&json!({"pools": []}));
    let refused = bus.start().await;
    let told = |message: &str| message.contains("'pools' array must not be empty");
    assert!(matches!(&refused, Err(Error::TransportError { message }) if told(message)), "{refused:?}");
}

#[tokio::test]
async fn a_configuration_can_be_made_by_the_program() {
    let place = Place::new();
    let pool = stdiobus::PoolConfig {
        id: "pool".into(),
        command: "python3".into(),
        args: vec![WORKER.into()],
        instances: 1,
    };
    let config = stdiobus::BusConfig { pools: vec![pool], limits: None };
    let bus =
        StdioBus::builder().config(config).backend_docker().docker_options(place.engine()).build().unwrap();
    bus.start().await.unwrap();
    assert_eq!(bus.request("echo", json!({"n": 1})).await.unwrap()["echo"]["n"], 1);
    bus.stop().await.unwrap();
}
