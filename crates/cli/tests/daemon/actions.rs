//! Operator actions, on the built binary: by the command line, by the API, and by the dialect whose verbs they are.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Daemon, Home, patiently, text};

const ACTIONS: &str = r#"
[operator_actions.status]
argv = ["printf", "%s|", "up", "a b; id", "$HOME"]
parallel = true

[operator_actions.forensics]
argv = ["sh", "-c", "echo looked >> seen"]

[operator_actions.reset]
argv = ["sh", "-c", "cat seen; echo broken >&2; exit 3"]
mutating = true
before = "forensics"

[operator_actions.stuck]
argv = ["sh", "-c", "echo begun; setsid sleep 1000 & sleep 1000"]
timeout_s = 1

[operator_actions.flood]
argv = ["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x; echo end"]

[operator_actions.slow]
argv = ["sh", "-c", "touch begun; while [ ! -e go ]; do sleep 0.05; done; echo went"]
"#;

fn home() -> Home {
    let home = Home::new();
    std::fs::create_dir(home.path()).unwrap();
    std::fs::write(home.path().join("config.toml"), ACTIONS).unwrap();
    home
}

async fn verb(daemon: &Daemon, name: &str) -> (StatusCode, Value) {
    let request = daemon.http.post(format!("{}/api/pve/{name}", daemon.base_url)).bearer_auth(&daemon.token);
    let response = request.send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

#[tokio::test]
async fn a_verb_runs_as_it_stands_and_says_how_it_went() {
    let home = home();
    let daemon = Daemon::start(&home);
    let (_, verbs) = daemon.get("/api/pve/verbs").await;
    let all = ["flood", "forensics", "reset", "slow", "status", "stuck"];
    assert_eq!(verbs, json!({ "verbs": all, "mutating": ["reset"] }));
    let (status, ran) = verb(&daemon, "status").await;
    let expected = json!({ "verb": "status", "exit_code": 0, "stdout": "up|a b; id|$HOME|", "stderr": "", "rejected": false });
    assert_eq!((status, ran), (StatusCode::OK, expected), "no shell has read it");
    let (status, ran) = verb(&daemon, "reset").await;
    assert_eq!(
        (status, &ran["exit_code"], &ran["stderr"]),
        (StatusCode::BAD_GATEWAY, &json!(3), &json!("broken\n"))
    );
    assert_eq!(ran["stdout"], "looked\n", "what comes before it came before it");
    assert_eq!(
        verb(&daemon, "Status").await,
        (StatusCode::BAD_REQUEST, json!({ "detail": "unknown verb 'Status'" }))
    );
    daemon.kill_9();
    home.is_quiet();
}

#[tokio::test]
async fn one_that_hangs_is_ended_with_all_that_it_started_and_one_that_floods_keeps_its_end() {
    let home = home();
    let daemon = Daemon::start(&home);
    let (status, ran) = verb(&daemon, "stuck").await;
    assert_eq!(
        (status, &ran["exit_code"], &ran["stdout"]),
        (StatusCode::BAD_GATEWAY, &json!(null), &json!("begun\n"))
    );
    assert_eq!(ran["stderr"], "timeout after 1s");
    assert!(!home.processes().iter().any(|(_, line)| line.contains("sleep 1000")), "{:?}", home.processes());
    let (_, ran) = verb(&daemon, "flood").await;
    let stdout = ran["stdout"].as_str().unwrap();
    assert!(stdout.len() <= 64 << 10 && stdout.ends_with("xend\n"), "{}", stdout.len());
    daemon.kill_9();
}

#[tokio::test]
async fn a_run_needs_nobody_who_waits_is_one_at_a_time_and_ends_over_a_crash() {
    let home = home();
    let daemon = Daemon::start(&home);
    let (_, session) = daemon.get("/v1/operator-runs").await;
    assert_eq!(session, json!({ "items": [] }));
    let mut caller = home.command(&["action", "slow"]).spawn().unwrap();
    let cwd = home.path().parent().unwrap().to_owned();
    patiently(|| cwd.join("begun").exists().then_some(())).expect("it begins");
    caller.kill().unwrap();
    caller.wait().unwrap();
    let (status, second) = verb(&daemon, "slow").await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(second["detail"].as_str().unwrap().contains("slow is running already"), "{second}");
    daemon.kill_9();
    let daemon = Daemon::start(&home);
    let (_, runs) = daemon.get("/v1/operator-runs").await;
    let run = &runs["items"][0];
    assert_eq!((&run["action"], &run["by"]), (&json!("slow"), &json!("owner")));
    assert!(run["outcome"]["error"].as_str().unwrap().contains("the daemon ended while it ran"), "{run}");
    daemon.kill_9();
}

#[tokio::test]
async fn what_changes_something_is_confirmed() {
    let home = home();
    let daemon = Daemon::start(&home);
    let run = "/v1/operator-actions/reset/run";
    let (status, problem) = daemon.post(run, json!({})).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("unconfirmed")));
    let refused = home.run(&["action", "reset"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("--yes"), "{}", text(&refused.stderr));
    let done = home.run(&["action", "reset", "--yes"]);
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(1), "looked\n".to_owned()));
    assert!(text(&done.stderr).contains("broken") && text(&done.stderr).contains("exit code 3"));
    let listed = text(&home.run(&["action"]).stdout);
    assert!(listed.contains("reset") && listed.contains("status"), "{listed}");
    let audit = text(&home.run(&["audit"]).stdout);
    assert!(audit.contains("operator.started") && audit.contains("exit code 3"), "{audit}");
    assert!(home.run(&["audit", "verify"]).status.success());
    let runs = text(&home.run(&["action", "--runs"]).stdout);
    assert!(runs.contains("forensics") && runs.contains("exit code 3"), "{runs}");
    daemon.kill_9();
}

#[tokio::test]
async fn a_configuration_that_cannot_be_is_refused_with_its_reason() {
    let home = home();
    std::fs::write(home.path().join("config.toml"), "[operator_actions.a]\nargv = [\"x\"]\nbefore = \"b\"")
        .unwrap();
    let refused = home.run(&["serve"]);
    assert!(text(&refused.stderr).contains("operator_actions.a: before: there is no action b"));
}
