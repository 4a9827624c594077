//! The agent bus from outside: by the original's command, over a kill, and from an agent's own process.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{BINARY, Daemon, Home, patiently, text};

/// Sends one request, and reads one line.
fn ask(address: &str, request: &Value) -> Value {
    let mut stream = TcpStream::connect(address).unwrap();
    writeln!(stream, "{request}").unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}

fn told(home: &Home) -> String {
    let runtime: Value =
        serde_json::from_slice(&fs::read(home.path().join("runtime.json")).unwrap()).unwrap();
    runtime["engram"].as_str().unwrap().to_owned()
}

#[test]
fn what_was_acknowledged_long_enough_ago_survives_a_kill() {
    let home = Home::new();
    let daemon = Daemon::start(&home);
    let put = home.run(&["kv", "put", "lock", "\"ana\"", "--if-absent", "--durable", "--owner", "ana"]);
    assert!(put.status.success(), "{}", text(&put.stderr));
    daemon.kill_9();
    let _daemon = Daemon::start(&home);
    assert_eq!(ask(&told(&home), &json!({"op": "get", "key": "lock"})), json!({"ok": true, "value": "ana"}));
    let second = home.run(&["kv", "put", "lock", "\"ben\"", "--if-absent"]);
    assert!(
        !second.status.success() && text(&second.stderr).contains("read it again"),
        "{}",
        text(&second.stderr)
    );
    assert_eq!(text(&home.run(&["kv", "get", "lock"]).stdout), "\"ana\"\n");
}

#[test]
fn what_is_published_in_one_terminal_is_printed_in_another() {
    let home = Home::new();
    let _daemon = Daemon::start(&home);
    let mut reader =
        home.command(&["sub", "build.>", "--count", "1"]).stdout(Stdio::piped()).spawn().unwrap();
    // It subscribes in its own time; what it prints is the first message behind that.
    let told = || {
        let published = home.run(&["pub", "build.app", "{\"ok\": true}", "--as", "ana", "--json"]);
        let published: Value = serde_json::from_slice(&published.stdout).unwrap();
        assert!(published["seq"].is_u64(), "{published}");
        reader.try_wait().unwrap()
    };
    assert!(patiently(told).unwrap().success());
    let mut line = String::new();
    BufReader::new(reader.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let message: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&message["topic"], &message["data"]), (&json!("build.app"), &json!({"ok": true})));
    let taken = home.run(&["sub", "build.app", "--last", "1", "--count", "0"]);
    assert_eq!(text(&taken.stdout).lines().count(), 1);
    let agents = text(&home.run(&["agents"]).stdout);
    assert!(agents.contains("ana"), "{agents}");
}

#[test]
fn the_command_of_the_original_says_where_it_listens() {
    let home = Home::new();
    let mut command = Command::new(BINARY);
    command.arg0("engram-bus").args(["--host", "localhost", "--port", "0"]).env_clear();
    command.envs(home.command(&[]).get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdout(Stdio::piped()).stderr(Stdio::null()).stdin(Stdio::null());
    let mut bus = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(bus.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("engram-bus server listening on ").unwrap();
    assert_eq!(ask(address, &json!({"op": "ping"})), json!({"ok": true, "pong": true}));
    assert_eq!(told(&home), address);
    interrupt(bus.id());
    assert_eq!(bus.wait().unwrap().code(), Some(0));
}

fn interrupt(pid: u32) {
    let killed = Command::new("kill").args(["-INT", &pid.to_string()]).status().unwrap();
    assert!(killed.success());
}

#[tokio::test]
async fn an_agent_is_itself_on_the_bus_whatever_it_shows() {
    let home = Home::new();
    let daemon = Daemon::start(&home);
    let seen = home.work().join("seen");
    let (host, port) =
        told(&home).rsplit_once(':').map(|(host, port)| (host.to_owned(), port.to_owned())).unwrap();
    let code = format!(
        "import json, socket\n\
         bus = socket.create_connection(({host:?}, {port}))\n\
         lines = bus.makefile('r')\n\
         def ask(**request):\n    bus.sendall((json.dumps(request) + '\\n').encode())\n    return json.loads(lines.readline())\n\
         said = [ask(op='put', key='k', value=1), ask(op='auth', token={:?})]\n\
         open({seen:?}, 'w').write(json.dumps(said) + '.')\n",
        daemon.token
    );
    let body = json!({"agent": "mole", "argv": ["python3", "-c", code], "workspace": home.work()});
    let (status, body) = daemon.post("/v1/sessions", body).await;
    assert_eq!(status, 201, "{body}");
    daemon.prompt(body["id"].as_str().unwrap(), "go").await;
    let said = patiently(|| fs::read_to_string(&seen).ok().filter(|text| text.ends_with('.'))).unwrap();
    let said: Value = serde_json::from_str(said.trim_end_matches('.')).unwrap();
    assert_eq!(said[0], json!({"ok": true}), "agents share");
    assert_eq!(said[1]["error"], json!("an agent's process is that agent, whatever token it shows"));
}
