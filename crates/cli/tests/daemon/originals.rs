//! Clients of the original human-input hub find the daemon, and are let in.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{BINARY, Daemon, Home, patiently, text};

fn told(home: &Home, folder: &str) -> Option<Value> {
    let file = home.work().join("..").join(folder).join("runtime.json");
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

#[tokio::test]
async fn the_daemon_is_found_while_it_runs() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home);
    for folder in [".agentflow", ".sessionbus"] {
        let told = told(&home, folder).unwrap();
        assert_eq!(told["base_url"], daemon.base_url, "{folder}");
        assert!(told["port"].is_u64() && told["updated_at"].is_u64());
    }
    let listed = daemon.http.get(format!("{}/api/sessions", daemon.base_url)).send().await.unwrap();
    assert_eq!((listed.status().as_u16(), listed.text().await.unwrap()), (200, "[]".to_owned()));
    daemon.signal("-TERM");
    daemon.child.wait().unwrap();
    assert_eq!((told(&home, ".agentflow"), told(&home, ".sessionbus")), (None, None));
}

#[tokio::test]
async fn what_others_have_written_stays_and_each_file_can_be_left_out() {
    let home = Home::new();
    fs::create_dir_all(home.path()).unwrap();
    fs::write(home.path().join("config.toml"), "announce = [\"agentflow\"]\n").unwrap();
    let mut daemon = Daemon::start(&home);
    assert!(told(&home, ".agentflow").is_some() && told(&home, ".sessionbus").is_none());
    let other = home.work().join("../.agentflow/runtime.json");
    fs::write(&other, r#"{"base_url":"http://127.0.0.1:1","port":1}"#).unwrap();
    daemon.signal("-TERM");
    daemon.child.wait().unwrap();
    assert_eq!(told(&home, ".agentflow").unwrap()["port"], 1);
}

#[tokio::test]
async fn an_agent_of_ours_is_not_a_program_of_the_user() {
    let home = Home::new();
    let daemon = Daemon::start(&home);
    let seen = home.work().join("seen");
    let code = format!(
        "import urllib.request, urllib.error\n\
         try:\n    status = urllib.request.urlopen('{}/api/sessions').status\n\
         except urllib.error.HTTPError as error:\n    status = error.code\n\
         open({:?}, 'w').write(f'{{status}}.')\n",
        daemon.base_url, seen
    );
    let body = json!({"agent": "mole", "argv": ["python3", "-c", code], "workspace": home.work()});
    let (status, body) = daemon.post("/v1/sessions", body).await;
    assert_eq!(status, 201, "{body}");
    daemon.prompt(body["id"].as_str().unwrap(), "go").await;
    let status = patiently(|| fs::read_to_string(&seen).ok().filter(|text| text.ends_with('.')));
    assert_eq!(status.as_deref(), Some("403."));
}

#[tokio::test]
async fn a_new_request_is_shown_on_the_desktop() {
    let home = Home::new();
    let bin = home.work().join("bin");
    fs::create_dir(&bin).unwrap();
    let shown = home.work().join("shown");
    let script = format!("#!/bin/sh\nprintf '%s\\n' \"$@\" end >> {shown:?}\n");
    fs::write(bin.join("notify-send"), script).unwrap();
    fs::set_permissions(bin.join("notify-send"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut command = home.command(&["serve"]);
    command.env("PATH", path).env("TRUNKLINE_NOTIFY", "on");
    let daemon = Daemon::start_by(&home, command);
    let post = |path: String, body: Value| daemon.http.post(format!("{}{path}", daemon.base_url)).json(&body);
    let made: Value = post("/api/sessions/register".into(), json!({"display_name": "bot"}))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let session = made["session_id"].as_str().unwrap();
    let ask = json!({"title": "Go\non?", "question": "Shall I?", "priority": "HIGH"});
    let made: Value =
        post(format!("/api/sessions/{session}/requests"), ask).send().await.unwrap().json().await.unwrap();
    let seen = patiently(|| fs::read_to_string(&shown).ok().filter(|text| text.ends_with("end\n"))).unwrap();
    let request = made["request_id"].as_str().unwrap();
    assert_eq!(seen, format!("AgentFlow: Go on?\nHIGH | {session}\nShall I?\nRequest: {request}\nend\n"));
}

#[tokio::test]
async fn the_hub_is_started_by_its_own_name() {
    let home = Home::new();
    let link = home.work().join("agentflow-hub");
    std::os::unix::fs::symlink(BINARY, &link).unwrap();
    let mut command = Command::new(&link);
    command.args(["--port", "1", "--help"]).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.env("HOME", home.work().join("..")).env("TRUNKLINE_HOME", home.path());
    command.env("TRUNKLINE_LISTEN", "127.0.0.1:0").env("TRUNKLINE_NOTIFY", "off").process_group(0);
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let runtime = patiently(|| fs::read(home.path().join("runtime.json")).ok());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(runtime.is_some());
}

#[tokio::test]
async fn a_script_asks_and_gets_its_answer() {
    let home = Home::new();
    let daemon = Daemon::start(&home);
    let script = home.work().join("deploy.sh");
    let line =
        format!("{BINARY} ask 'Proceed?' --option yes --option no --priority urgent; echo \"code $?\"\n");
    fs::write(&script, line).unwrap();
    let command = home.command(&[]);
    let mut shell = Command::new("/bin/sh");
    shell.arg(&script).env_clear().current_dir(home.work());
    shell.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let child = shell.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let request = loop {
        let (_, open) = daemon.get("/v1/requests?status=open").await;
        if let Some(request) = open["items"].as_array().unwrap().first() {
            break request.clone();
        }
    };
    assert_eq!(
        (request["agent"].as_str(), request["priority"].as_str()),
        (Some("deploy.sh"), Some("urgent"))
    );
    let path = format!("/v1/requests/{}/answer", request["id"].as_str().unwrap());
    daemon.post(&path, json!({"option": "yes"})).await;
    let out = child.wait_with_output().unwrap();
    assert_eq!(text(&out.stdout), "yes\ncode 0\n");
    let (_, session) = daemon.get(&format!("/v1/sessions/{}", request["session"].as_str().unwrap())).await;
    assert_eq!(session["state"], "closed");
}

#[tokio::test]
async fn when_time_runs_out_the_script_is_told() {
    let home = Home::new();
    let _daemon = Daemon::start(&home);
    let denied = home.run(&["ask", "Anybody?", "--timeout", "1s"]);
    assert_eq!((denied.status.code(), text(&denied.stdout)), (Some(11), String::new()));
    let default = home.run(&["ask", "Anybody?", "--timeout", "1s", "--on-timeout", "default=nobody"]);
    assert_eq!((default.status.code(), text(&default.stdout)), (Some(0), "nobody\n".to_owned()));
    let json = home.run(&[
        "--json",
        "ask",
        "Anybody?",
        "--option",
        "A",
        "--timeout",
        "1s",
        "--on-timeout",
        "default=a",
    ]);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(
        (&json["outcome"], &json["answer"], &json["option"]),
        (&json!("expired"), &json!("A"), &json!("A"))
    );
    let wrong = home.run(&["ask", "x", "--on-timeout", "deny"]);
    assert_eq!(wrong.status.code(), Some(2));
}
