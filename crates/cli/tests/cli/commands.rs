use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::home::{Home, anonymous};

#[test]
fn a_command_starts_the_daemon_unless_told_not_to() {
    let home = Home::new();
    let refused = home.run(&["ls", "--no-start"]);
    assert_eq!(refused.code, 5);
    insta::assert_snapshot!(refused.err, @r"
    error: no daemon runs in ~/home
    hint: start it with `trunkline serve --detach`
    ");
    assert_eq!(home.run(&["status"]).code, 5);
    let listed = home.run(&["ls"]);
    assert_eq!((listed.code, listed.out.as_str()), (0, ""));
    insta::assert_snapshot!(listed.err, @r"
    starting the daemon in ~/home
    no sessions; `trunkline run` makes one
    ");
    assert!(home.prints(&["status"]).starts_with("running at http://127.0.0.1:"));
    assert_eq!(home.json(&["status"])["running"], true);
    assert!(home.prints(&["logs"]).contains("ready"));
    assert!(home.prints(&["serve", "--detach"]).starts_with("already running at"));
    assert_eq!(home.prints(&["stop"]), "stopped\n");
    assert!(!home.path().join("runtime.json").exists());
    assert_eq!(home.run(&["stop"]).err, "no daemon runs\n");
}

#[test]
fn a_daemon_that_cannot_start_says_why() {
    let home = Home::new();
    fs::write(home.path().join("trunkline.db"), "this is no database").unwrap();
    let failed = home.run(&["ls"]);
    assert_eq!(failed.code, 5);
    assert!(
        failed.err.contains("the daemon did not start")
            && failed.err.contains("is not a sound Trunkline database"),
        "{}",
        failed.err
    );
    fs::write(home.path().join("config.toml"), "lisen = 1").unwrap();
    let examined = home.run(&["doctor"]);
    assert_eq!(examined.code, 1);
    assert!(
        examined.out.contains("FAIL  config") && examined.out.contains("unknown field `lisen`"),
        "{}",
        examined.out
    );
    let failed = home.run(&["ls"]);
    assert_eq!(failed.code, 2);
    assert!(failed.err.ends_with("hint: did you mean `listen`?\n"), "{}", failed.err);
}

#[test]
fn commands_wait_for_a_daemon_that_stops() {
    let home = Home::new();
    let terminate = || {
        // An agent at work gives the daemon something to end.
        home.prints(&["run", "demo", "look around", "--detach"]);
        home.asked();
        let pid = home.json(&["status"])["pid"].as_i64().unwrap();
        let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    };
    terminate();
    assert!(home.prints(&["ls"]).contains("demo"), "another has taken its place");
    terminate();
    home.prints(&["stop"]);
    assert!(!home.path().join("runtime.json").exists(), "it was waited for");
}

#[test]
fn an_agent_runs_asks_and_is_allowed() {
    let home = Home::unconfined();
    home.prints(&["serve", "--detach"]);
    let run = home.begin(&["run", "demo", "look around"]);
    let id = home.asked();
    let inbox = home.prints(&["inbox"]);
    assert!(
        inbox.contains("  permission  medium  demo   Write trunkline-demo.md  allow, always, reject  ~/work"),
        "{inbox}"
    );
    assert!(home.run(&["inbox"]).err.contains("not confined"), "what a permission is worth is said");
    insta::assert_snapshot!(home.prints(&["allow", &id[id.len() - 8..]]), @"answered: Write trunkline-demo.md → Allow");
    let ran = run.wait();
    assert_eq!(ran.code, 0, "{}", ran.err);
    insta::assert_snapshot!(ran.out, @r"
    I will have a look around and write down what I find.

    There is 1 file here. I would like to keep that in `trunkline-demo.md`, so I ask you first.

    Done: `trunkline-demo.md` has 7 lines. This was a demo: no model was asked, and nothing left this machine.
    ");
    insta::assert_snapshot!(anonymous(&ran.err), @r"
    • List the files in work
    • Write trunkline-demo.md
    ? Write trunkline-demo.md
      it waits for you: trunkline allow ID, or trunkline deny ID; or trunkline attach ID
    ");
    insta::assert_snapshot!(fs::read_to_string(home.work().join("trunkline-demo.md")).unwrap(), @r"
    # What is here

    Asked: look around

    - a.txt (2 lines)

    1 file, 2 lines.
    ");
    let late = home.run(&["deny", &id]);
    assert_eq!(late.code, 4);
    let told = late.err.strip_prefix("error: the request was already answered by owner at ");
    assert!(told.is_some_and(|at| at.trim_end().ends_with(" UTC")), "{}", late.err);
}

#[test]
fn a_rule_is_given_listed_and_taken_back_where_one_stands() {
    let home = Home::unconfined();
    home.prints(&["run", "demo", "look around", "--detach"]);
    home.asked();
    home.prints(&["grants", "add", "edit(*.md)", "--unconfined"]);
    // What waits and is covered now need not be asked any more.
    home.is("idle");
    assert!(home.work().join("trunkline-demo.md").exists());
    let listed = home.json(&["grants"]);
    assert_eq!(listed["items"][0]["pattern"], "edit(*.md)", "{listed}");
    home.prints(&["grants", "rm", listed["items"][0]["id"].as_str().unwrap()]);
    assert_eq!(home.json(&["grants"])["items"], serde_json::json!([]));
    let bad = home.run(&["grants", "add", "edit(*.md"]);
    assert_eq!((bad.code, bad.err.as_str()), (2, "error: pattern at character 10: expected `)`\n"));
}

#[test]
fn a_refusal_and_a_cancel_take_the_other_paths() {
    let home = Home::new();
    home.prints(&["serve", "--detach"]);
    let run = home.begin(&["run", "demo", "look around"]);
    home.asked();
    home.prints(&["deny"]);
    let ran = run.wait();
    assert_eq!(ran.code, 0);
    assert!(
        ran.out.ends_with("All right: I leave `trunkline-demo.md` alone. What I found is above.\n"),
        "{}",
        ran.out
    );

    let again = home.begin(&["prompt", "--wait", "once more"]);
    let id = home.asked();
    insta::assert_snapshot!(home.run(&["prompt", "now"]).err.replace(|c: char| c.is_ascii_digit(), ""), @r"
    error: turn  is running; wait for its end, cancel it, or queue this prompt
    hint: add --queue to let the prompt wait, or `trunkline cancel` the turn
    ");
    let turn = home.prints(&["prompt", "-", "and then this", "--queue"]);
    assert!(home.prints(&["queue"]).contains("and then this"));
    home.prints(&["queue", "rm", turn.trim()]);
    assert_eq!(home.run(&["queue", "list"]).err, "no prompt waits\n");
    home.prints(&["cancel"]);
    let ran = again.wait();
    assert_eq!((ran.code, ran.err.contains("cancelled after")), (10, true), "{}", ran.err);
    assert_eq!(home.run(&["answer", &id, "allow"]).code, 4);
    assert_eq!(home.run(&["cancel"]).code, 4);
    assert!(!home.work().join("trunkline-demo.md").exists());
}

#[test]
fn every_event_of_a_turn_is_a_line_of_json() {
    let home = Home::new();
    home.prints(&["serve", "--detach"]);
    let run = home.begin(&["run", "demo", "look around", "--json"]);
    home.asked();
    home.prints(&["answer", "-", "2"]);
    let ran = run.wait();
    let events: Vec<serde_json::Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!((kinds[0], kinds[kinds.len() - 1]), ("turn.queued", "turn.ended"));
    // It was allowed for good: the next turn does not ask.
    assert_eq!(home.run(&["prompt", "--wait", "again"]).code, 0);
}

#[test]
fn a_session_is_exported_and_imported() {
    let home = Home::new();
    home.prints(&["serve", "--detach"]);
    let run = home.begin(&["run", "demo", "look around"]);
    home.asked();
    home.prints(&["allow"]);
    run.wait();
    let file = home.work().join("session.ndjson");
    let file = file.to_str().unwrap();
    assert!(home.run(&["export", "-o", file]).err.contains("events written"));
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(home.run(&["export", "-o", file]).code, 1, "a file is never overwritten");
    let exported = fs::read_to_string(file).unwrap();
    let head: serde_json::Value = serde_json::from_str(exported.lines().next().unwrap()).unwrap();
    assert_eq!(head["trunkline"], "export/1");
    assert_eq!(head["head"].as_u64().unwrap() as usize, exported.lines().count() - 1);

    let id = home.prints(&["import", file]);
    assert_ne!(id.trim(), head["session"]["id"]);
    let again = home.prints(&["export", id.trim()]);
    let words = |text: &str| text.matches("agent_message_chunk").count();
    assert_eq!(words(&again), words(&exported));
    let bad = home.run(&["import", home.path().join("config.toml").to_str().unwrap()]);
    assert_eq!(bad.code, 2);
    assert!(bad.err.starts_with("error: line 1 of the export cannot be read"), "{}", bad.err);
}

#[test]
fn sessions_are_named_by_parts_of_their_ids_and_removed() {
    let home = Home::new();
    let id = home.prints(&["run", "demo", "--detach", "--title", "First"]);
    let id = id.trim();
    assert_eq!(home.json(&["ls", "--here"])["items"][0]["title"], "First");
    let (start, end) = (&id[..13], &id[id.len() - 8..]);
    for given in [id, start, end, "-"] {
        assert_eq!(home.run(&["queue", "list", given]).code, 0, "{given}");
    }
    assert_eq!(home.run(&["queue", "list", "0000"]).code, 3);
    assert_eq!(home.run(&["queue", "list", "nonsense"]).code, 2);
    assert_eq!(home.prints(&["close"]), format!("closed {id}\n"));
    let refused = home.run(&["prompt", id, "hi"]);
    assert_eq!(refused.code, 4);
    insta::assert_snapshot!(refused.err, @r"
    error: the session is closed
    hint: start another with `trunkline run`
    ");
    assert_eq!(home.run(&["rm", end]).code, 2, "nobody is there to be asked");
    assert_eq!(home.prints(&["rm", "--force", end]), format!("deleted {id}\n"));
    assert_eq!(home.run(&["prompt", id, "hi"]).code, 3);
    insta::assert_snapshot!(home.run(&["attach"]).err, @r"
    error: attach needs a terminal
    hint: `trunkline export` prints what there is, `trunkline prompt --wait` what comes
    ");
    insta::assert_snapshot!(home.run(&["cancel"]).err, @r"
    error: there is no session of this directory
    hint: name one: `trunkline ls` lists them all, `trunkline run` makes one
    ");
}

#[test]
fn an_agent_that_is_not_there_is_told_with_what_to_do() {
    let home = Home::new();
    let unknown = home.run(&["run", "gemni", "hi"]);
    assert_eq!(unknown.code, 2);
    insta::assert_snapshot!(unknown.err, @r"
    starting the daemon in ~/home
    error: there is no agent called gemni; did you mean gemini?
    ");
    let missing = home.run(&["run", "gemini", "hi"]);
    assert_eq!(missing.code, 15, "{}", missing.err);
    let other = home.run(&["run", "hi", "--", "/no/such/agent", "--acp"]);
    assert_eq!(other.code, 15);
    assert!(other.err.contains("/no/such/agent"), "{}", other.err);
}

#[test]
fn tokens_and_links_are_made() {
    let home = Home::new();
    let token = home.prints(&["token", "create", "phone", "--scope", "viewer", "--ttl", "1d"]);
    assert!(token.trim().len() >= 40, "{token}");
    let list = home.prints(&["token", "list"]);
    assert!(list.contains("\nphone  viewer  ") && list.contains("  in 23h  "), "{list}");
    assert_eq!(home.run(&["token", "revoke", "phone"]).err, "phone opens nothing any more\n");
    assert_eq!(home.run(&["token", "revoke", "phone"]).code, 3);
    home.prints(&["token", "create", "desk"]);
    assert_eq!(home.json(&["token", "revoke", "desk"])["name"], "desk");
    let link = home.prints(&["open", "--url"]);
    assert!(link.starts_with("http://127.0.0.1:") && link.contains("/#code="), "{link}");
    let shown = home.run(&["open"]);
    assert!(shown.err.contains("there is no browser") && shown.out.contains("/#code="), "{}", shown.err);
    assert_eq!(
        fs::read_dir(home.path().join("run"))
            .unwrap()
            .flatten()
            .filter(|e| e.file_name().to_string_lossy().starts_with("open-"))
            .count(),
        0
    );
    home.run(&["open", "--url", "--demo"]);
    assert_eq!(home.json(&["ls"])["items"][0]["agent"], "demo");
}

#[test]
fn a_phone_is_let_in_by_a_code() {
    let home = Home::new();
    let alone = home.run(&["pair"]);
    assert_eq!(alone.code, 1);
    assert!(
        alone.err.contains("an address of this machine alone") && alone.err.contains("public_url"),
        "{}",
        alone.err
    );
    fs::write(home.path().join("config.toml"), "public_url = \"https://tl.example\"\n").unwrap();
    home.prints(&["stop"]);
    let shown = home.run(&["pair"]);
    assert_eq!(shown.code, 0, "{}", shown.err);
    let (code, url) = shown.out.trim_end().rsplit_once('\n').unwrap();
    assert!(url.starts_with("https://tl.example/#code=") && code.lines().count() > 15, "{}", shown.out);
    assert!(home.json(&["pair"])["url"].as_str().unwrap().starts_with("https://tl.example/#code="));
}

#[test]
fn the_doctor_finds_what_is_wrong() {
    let home = Home::unconfined();
    home.prints(&["ls"]);
    let well = home.run(&["doctor", "--json"]);
    assert_eq!(well.code, 0, "{}", well.out);
    assert!(well.out.contains("agents here can act as you"), "{}", well.out);
    fs::set_permissions(home.path().join("token"), fs::Permissions::from_mode(0o644)).unwrap();
    let ill = home.run(&["doctor"]);
    assert_eq!(ill.code, 1);
    assert!(
        ill.out.contains("FAIL  token") && ill.out.contains("hint: chmod 600 ~/home/token"),
        "{}",
        ill.out
    );
}

#[test]
fn the_doctor_makes_the_lists_anew_while_no_daemon_runs() {
    let home = Home::new();
    // A checkpoint of the interrupted turn, which is kept in its own time, would change the list.
    let config = home.path().join("config.toml");
    let text = fs::read_to_string(&config).unwrap() + "\n[handoffs]\ncheckpoints = false\n";
    fs::write(config, text).unwrap();
    home.run(&["open", "--url", "--demo"]);
    home.prints(&["stop"]);
    let before = home.json(&["ls"]);
    let busy = home.run(&["doctor", "--reindex"]);
    assert!(busy.code == 1 && busy.err.contains("trunkline stop"), "{}", busy.err);
    home.prints(&["stop"]);
    let done = home.json(&["doctor", "--reindex"]);
    assert!(done["logs"].as_u64() >= Some(1) && done["rows"].as_u64() >= Some(1), "{done}");
    assert_eq!(home.json(&["ls"])["items"], before["items"]);
}

#[test]
fn completions_are_scripts_and_need_no_configuration() {
    let home = Home::new();
    fs::write(home.path().join("config.toml"), "nonsense").unwrap();
    for shell in ["bash", "zsh", "fish"] {
        assert!(home.prints(&["completions", shell]).contains("trunkline"), "{shell}");
    }
    assert_eq!(home.run(&["completions", "perl"]).code, 2);
}

#[test]
fn the_configuration_is_shown_with_its_sources() {
    let home = Home::new();
    let shown = home.prints(&["config", "show", "--log", "debug"]).replace(crate::home::BINARY, "trunkline");
    // How wide the columns are depends on where this runs.
    let words: Vec<_> =
        shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    insta::assert_snapshot!(words.join("\n"), @r"
    KEY VALUE FROM
    home ~/home TRUNKLINE_HOME
    listen 127.0.0.1:0 TRUNKLINE_LISTEN
    log debug --log
    turn_timeout off default
    max_concurrent_turns off default
    allowed_hosts - default
    allowed_origins - default
    insecure_bind false default
    sessionbus local default
    dashboard off default
    announce agentflow,sessionbus default
    notify on default
    public_url off default
    tls_cert - default
    tls_key - default
    tls off default
    engram local default
    engram_listen 127.0.0.1:0 default
    sandbox workspace default
    agents.demo trunkline demo-agent --pace 0 config.toml
    ");
    assert_eq!(home.json(&["config", "show"])["settings"][1]["source"], "TRUNKLINE_LISTEN");
}
