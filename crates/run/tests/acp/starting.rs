//! Agents that do not start, or that are no agents.

use std::time::Duration;

use serde_json::json;
use trunkline_core::event::Fact;
use trunkline_run::catalog::Custom;

use crate::stage::played::{end, error, notes, said};
use crate::stage::{Set, Stage};
use crate::world::tags;

async fn fails(set: Set) -> (String, Stage) {
    let mut stage = Stage::with(set).await;
    let events = stage.turn("say('never')").await;
    let work = stage.workspace();
    let error = error(&events).replace(work.to_str().unwrap(), "/w");
    stage.empty().await;
    assert_eq!(tags(&events).contains(&"agent.started"), tags(&events).contains(&"agent.exited"));
    (error, stage)
}

async fn fails_with(setup: &'static str) -> String {
    let (error, stage) = fails(Set { setup, start: Duration::from_secs(5), ..Set::default() }).await;
    stage.finish().await;
    error
}

fn command(words: &[&str]) -> Set {
    let argv = words.iter().map(|&word| word.to_owned()).collect();
    Set { argv: Some(argv), ..Set::default() }
}

/// With an end to patience that comes soon.
fn hasty(words: &[&str]) -> Set {
    Set { start: Duration::from_millis(300), ..command(words) }
}

#[tokio::test]
async fn a_program_that_cannot_be_run_is_told_with_where_it_was_sought() {
    let (error, _stage) = fails(command(&["no-such-agent", "--acp"])).await;
    let expected = "cannot run `no-such-agent --acp` in /w: there is no `no-such-agent` on PATH (/usr/local/bin:/usr/bin:/bin)";
    assert_eq!(error, expected);
    let (error, _stage) = fails(command(&["/etc/passwd"])).await;
    assert_eq!(error, "cannot run `/etc/passwd` in /w: /etc/passwd is not executable (permission denied)");
}

#[tokio::test]
async fn a_program_that_speaks_no_acp_is_told_with_what_it_said() {
    let (error, _stage) = fails(command(&["echo", "Welcome to the shell"])).await;
    let expected = "actor ended before it answered `initialize`, with exit code 0.\n\
        It was run as `echo Welcome to the shell` in /w.\n\
        The first line on its stdout that is no message: Welcome to the shell\n\
        It wrote nothing to stderr.";
    assert_eq!(error, expected);
    let (error, _stage) = fails(command(&["sh", "-c", "echo one >&2; echo two >&2; exit 3"])).await;
    let expected = "actor ended before it answered `initialize`, with exit code 3.\n\
        It was run as `sh -c echo one >&2; echo two >&2; exit 3` in /w.\n\
        The end of its stderr:\none\ntwo";
    assert_eq!(error, expected);
    let (error, _stage) = fails(command(&["sh", "-c", "kill -9 $$"])).await;
    assert!(error.starts_with("actor was ended before it answered `initialize`, by signal 9."), "{error}");
}

#[tokio::test]
async fn a_program_that_says_nothing_is_given_up() {
    let (error, _stage) = fails(hasty(&["sh", "-c", "echo loading >&2; exec sleep 1000"])).await;
    let expected = "actor said nothing for 0.3 s when asked for `initialize`; it may not speak ACP.\n\
        It was run as `sh -c echo loading >&2; exec sleep 1000` in /w.\n\
        The end of its stderr:\nloading";
    assert_eq!(error, expected);
}

/// `yes` floods its stdout for ever; `cat` asks us what we ask it.
#[tokio::test]
async fn a_flood_of_anything_else_is_given_up_too() {
    let (error, mut stage) = fails(hasty(&["yes"])).await;
    assert!(error.starts_with("actor said nothing for 0.3 s when asked for `initialize`"), "{error}");
    assert!(error.contains("The first line on its stdout that is no message: y\n"), "{error}");
    let events = stage.turn("again").await;
    let noted = notes(&events);
    assert_eq!((noted.len(), noted[0], noted[200]), (201, "bad_line", "notes_left_out"));
    stage.empty().await;
    let (error, _stage) = fails(command(&["cat"])).await;
    let expected = "actor answered `initialize` with an error: method not found: initialize (-32601)\n";
    assert!(error.starts_with(expected), "{error}");
}

#[tokio::test]
async fn answers_that_are_none_are_told() {
    let error = fails_with("overrides['initialize'] = lambda params: 'hello'").await;
    assert!(
        error.starts_with("actor answered `initialize` with what is no answer to it: invalid type"),
        "{error}"
    );
    let error = fails_with("overrides['initialize'] = lambda params: {'protocolVersion': 2}").await;
    let expected = "actor speaks version 2 of ACP, and this is version 1; try another version of it.";
    assert!(error.starts_with(expected), "{error}");
    let error = fails_with("overrides['session/new'] = lambda params: {}").await;
    assert!(
        error.starts_with("actor answered `session/new` with what is no answer to it: missing field"),
        "{error}"
    );
    let error =
        fails_with("handlers['initialize'] = lambda params: raw(b'{\"id\":\"2.1.0\"}\\n') or hang()").await;
    let expected =
        "actor answered `initialize` with an error: the response has neither a result nor an error (-32600)";
    assert!(error.starts_with(expected), "{error}");
}

#[tokio::test]
async fn an_agent_that_wants_a_login_says_how() {
    let error = fails_with(
        "login = [{'id': 'g', 'name': 'Log in with G', 'description': 'In the browser'}]
def refuse(params): raise Refused(-32000, 'Authentication required', {'details': 'no key'})
overrides['session/new'] = refuse",
    )
    .await;
    let expected = "actor wants you to log in: Authentication required (-32000): no key\n\
        Its ways to log in:\n- Log in with G: In the browser\nIt was run as `python3 ";
    assert!(error.starts_with(expected), "{error}");
}

#[tokio::test]
async fn an_agent_without_a_workspace_is_not_started() {
    let mut stage = Stage::new().await;
    std::fs::remove_dir(stage.workspace()).unwrap();
    let events = stage.turn("say('never')").await;
    let work = stage.workspace();
    let expected =
        format!("the workspace {} cannot be used: No such file or directory (os error 2)", work.display());
    assert_eq!(error(&events), expected);
    std::fs::create_dir(work).unwrap();
    assert_eq!(stage.hears("say('now')").await, "now");
    stage.finish().await;
}

#[tokio::test]
async fn what_is_said_before_the_session_is_open_waits_for_it() {
    let mut stage = Stage::set(
        "def early(params):
    answer = new(params)
    say('early ')
    commands('help')
    say('of another', of='x')
    return answer
overrides['session/new'] = early",
    )
    .await;
    let events = stage.turn("say('late')").await;
    assert_eq!((said(&events).as_str(), notes(&events)), ("early late", vec!["foreign_session"]));
    assert!(tags(&events).contains(&"agent.status"));
    stage.finish().await;
}

#[tokio::test]
async fn modes_and_options_are_gauges() {
    let mut stage = Stage::set(
        "def modal(params):
    modes = {'currentModeId': 'ask', 'availableModes': [{'id': 'ask', 'name': 'Ask'}]}
    return {**new(params), 'modes': modes, 'models': {'currentModelId': 'm'}, 'configOptions': [{'id': 'o'}]}
overrides['session/new'] = modal",
    )
    .await;
    let mut events = stage.turn("update('current_mode_update', currentModeId='code')").await;
    events.retain(|event| event.fact.tag() == "agent.status");
    let told = events.iter().map(|event| match &event.fact {
        Fact::AgentStatus(status) => json!([status.kind, status.update.read::<serde_json::Value>().unwrap()]),
        _ => unreachable!(),
    });
    let expected = json!([
        ["modes", { "currentModeId": "ask", "availableModes": [{ "id": "ask", "name": "Ask" }] }],
        ["current_mode_update", { "sessionUpdate": "current_mode_update", "currentModeId": "ask" }],
        ["models", { "currentModelId": "m" }],
        ["config_option_update", { "sessionUpdate": "config_option_update", "configOptions": [{ "id": "o" }] }],
        ["current_mode_update", { "sessionUpdate": "current_mode_update", "currentModeId": "code" }],
    ]);
    assert_eq!(told.collect::<serde_json::Value>(), expected);
    stage.finish().await;
}

#[tokio::test]
async fn an_agent_gets_its_own_environment() {
    let env = [("GIVEN".to_owned(), "by the catalog".to_owned())].into();
    let mut stage = Stage::with(Set { custom: Custom { env, ..Custom::default() }, ..Set::default() }).await;
    let heard =
        stage.hears("say(json.dumps(sorted(set(os.environ) - {'PWD', 'SHLVL', '_', 'LC_CTYPE'})))").await;
    assert_eq!(heard, r#"["GIVEN", "PATH"]"#);
    let heard = stage.hears("say(os.getcwd())").await;
    assert_eq!(heard, stage.workspace().to_str().unwrap());
    stage.finish().await;
}

#[tokio::test]
async fn an_agent_that_ends_between_turns_is_noticed_and_started_again() {
    let mut stage = Stage::new().await;
    stage.hears("after = lambda: sys.exit(7)").await;
    let events = stage.until("agent.exited").await;
    let exited = events.last().unwrap();
    assert_eq!(exited.turn, None);
    let Fact::AgentExited(exited) = &exited.fact else { panic!() };
    assert_eq!((exited.incarnation, exited.code, exited.signal), (1, Some(7), None));
    let events = stage.turn("say('back')").await;
    assert_eq!((said(&events).as_str(), end(&events).error.as_deref()), ("back", None));
    assert_eq!(stage.finish().await[3..], ["initialize", "session/resume", "session/prompt"]);
}
