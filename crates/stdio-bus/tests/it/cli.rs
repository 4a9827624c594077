//! The command line.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::bus::{Bus, one, pool, program, request, spawn, with};

/// Exit code and stderr.
fn fails(args: &[&str]) -> (Option<i32>, String) {
    let output = program().args(args).stdin(Stdio::null()).output().unwrap();
    assert!(output.stdout.is_empty());
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn mistakes_end_with_one_and_a_reason() {
    for (args, reason) in [
        (&[][..], "Error: --config or --config-fd is required"),
        (&["--frob"], "Error: unknown option '--frob'"),
        (&["--config", "/nowhere/at/all"], "config: cannot open '/nowhere/at/all'"),
        (&["--config-fd", "999"], "config: cannot read from fd 999"),
        (&["--help"], "Usage: stdio_bus"),
    ] {
        let (code, stderr) = fails(args);
        assert_eq!(code, Some(1), "{args:?}");
        assert!(stderr.starts_with(reason), "{stderr}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.json");
    std::fs::write(&path, r#"{"pools":[{"id":"p","command":"cat","instances":0}]}"#).unwrap();
    let (code, stderr) = fails(&["--config", path.to_str().unwrap()]);
    assert_eq!((code, stderr.trim()), (Some(1), "config: pool 'p' must have at least 1 instance"));
}

#[test]
fn the_version_is_told() {
    let output = program().arg("--version").output().unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("stdio_bus "));
}

#[test]
fn an_address_that_cannot_be_had_fails_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.json");
    std::fs::write(&path, one(1).to_string()).unwrap();
    let (config, taken) = (path.to_str().unwrap(), std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let address = taken.local_addr().unwrap().to_string();
    let (code, stderr) = fails(&["--config", config, "--tcp", &address]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("Failed to listen on TCP"), "{stderr}");
}

#[test]
fn the_configuration_may_come_through_a_descriptor_of_any_number() {
    for number in [3, 15, 200] {
        let (read, mut write) = std::io::pipe().unwrap();
        let inherited = rustix::io::dup(&read).unwrap();
        // The shell gives the pipe the number that is asked for.
        let script =
            format!("exec {number}<&{}; exec \"$0\" --config-fd {number} --stdio", inherited.as_raw_fd());
        let mut command = Command::new("bash");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_stdio_bus")]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = spawn(&mut command);
        drop((read, inherited));
        // More than a pipe holds, so that it must be read before anything else.
        let config = with(one(1), json!({"_comment": "x".repeat(200_000)}));
        write.write_all(config.to_string().as_bytes()).unwrap();
        drop(write);
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(format!("{}\n", request(1, "fds", json!(null))).as_bytes()).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["result"], json!([]), "nothing leaks into workers");
    }
}

#[test]
fn the_last_mode_wins_and_non_ascii_arrives() {
    let config =
        r#"{"pools":[{"id":"p","command":"python3","args":["-S","-E","SCRIPT","caf\u00e9"],"instances":1}]}"#;
    let script = pool("p", 1)["args"][2].as_str().unwrap().to_owned();
    let config = serde_json::from_str(&config.replace("SCRIPT", &script)).unwrap();
    let mut bus = Bus::start(&config, &["--tcp", "127.0.0.1:0", "--stdio"]);
    assert_eq!(bus.call(1, "who", json!(null))["result"]["name"], "café");
    bus.stop();
}
