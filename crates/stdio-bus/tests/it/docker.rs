//! The stand-in for docker, called as the SDKs call docker.

use std::process::Output;

use serde_json::json;

use crate::bus::{Client, gone, one, program};

fn docker(folder: &tempfile::TempDir, args: &[&str]) -> Output {
    program().arg("docker").args(args).env("TMPDIR", folder.path()).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap().trim().to_owned()
}

/// A port that was free a moment ago; what is published must be known beforehand.
fn free_port() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

#[test]
fn a_container_is_run_and_stopped() {
    let folder = tempfile::tempdir().unwrap();
    assert!(text(&docker(&folder, &["--version"])).starts_with("Docker version"));
    for args in [&["image", "inspect", "stdiobus:latest"][..], &["pull", "stdiobus:latest"]] {
        assert!(docker(&folder, args).status.success());
    }
    let config = folder.path().join("c.json");
    std::fs::write(&config, one(1).to_string()).unwrap();
    let (mount, port) = (format!("{}:/config.json:ro", config.display()), free_port());
    let publish = format!("127.0.0.1:{port}:8080");
    let run = ["run", "-d", "--rm", "--name", "bus-1", "-v", &mount, "-p", &publish, "stdiobus:latest"];
    let run = [&run[..], &["--config", "/config.json", "--tcp", "0.0.0.0:8080"]].concat();
    let started = docker(&folder, &run);
    assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    let id = text(&started);
    let mut client = Client::connect(&format!("127.0.0.1:{port}"));
    let pid = client.call(1, "who", json!(null))["result"]["pid"].clone();
    assert_eq!(text(&docker(&folder, &["ps", "-q"])), id);
    assert!(!docker(&folder, &run).status.success(), "the name is in use");
    // The SDKs keep the first twelve characters of an id.
    let stopped = docker(&folder, &["stop", "-t", "5", &id[..12]]);
    assert!(stopped.status.success(), "{}", String::from_utf8_lossy(&stopped.stderr));
    gone(&pid);
    assert!(client.lines.rest().is_empty());
    assert!(!docker(&folder, &["stop", &id]).status.success(), "it is there no more");
}

#[test]
fn what_cannot_be_run_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("c.json");
    std::fs::write(&config, "{}").unwrap();
    let mount = format!("{}:/c.json", config.display());
    let run =
        ["run", "-v", &mount, "-p", "127.0.0.1:0:1", "image", "--config", "/c.json", "--tcp", "0.0.0.0:1"];
    let failed = docker(&folder, &run);
    assert!(!failed.status.success());
    assert!(String::from_utf8(failed.stderr).unwrap().contains("config: missing required 'pools' array"));
    assert!(!docker(&folder, &["build", "."]).status.success());
}
