//! Modes, models and options, chosen before, in and between turns.

use serde_json::json;
use trunkline_core::event::{Event, Fact};
use trunkline_core::session::Command;
use trunkline_core::setting::{Setting, Value};
use trunkline_core::turn::StopReason;

use crate::stage::Stage;
use crate::stage::played::{end, said};
use crate::world::owner;

const MODAL: &str = "mode = 'ask'
modes = [{'id': id, 'name': id.title()} for id in ['ask', 'code', 'plan']]
def modal(params):
    return {**new(params), 'modes': {'currentModeId': mode, 'availableModes': modes}}
def set_mode(params):
    global mode
    if params['modeId'] == 'plan': raise Refused(-32603, 'not now')
    mode = params['modeId']
    return {}
overrides['session/new'] = modal
overrides['session/set_mode'] = set_mode";

fn mode(id: &str) -> Command {
    Command::Set(Setting::Mode(id.to_owned()))
}

/// What the agent made of the last choice.
fn settled(events: &[Event]) -> Option<&str> {
    let settled = events.iter().rev().find_map(|event| match &event.fact {
        Fact::SettingSettled(settled) => Some(settled),
        _ => None,
    });
    settled.expect("it was answered").error.as_deref()
}

async fn current(stage: &Stage) -> Option<String> {
    stage.hub.look(stage.id, |session| session.offered().mode.unwrap().current).await.unwrap().0
}

#[tokio::test]
async fn a_mode_is_chosen_before_in_and_between_turns() {
    let mut stage = Stage::set(MODAL).await;
    // Before its first start: the first prompt finds it set.
    stage.command(mode("code")).await;
    assert_eq!(stage.hears("say(mode)").await, "code");
    assert_eq!(current(&stage).await.as_deref(), Some("code"));
    let unknown = stage.hub.command(&owner(), stage.id, mode("fly"), None).await.unwrap_err();
    assert_eq!(unknown.to_string(), "mode must be one of: ask, code, plan");
    // Between turns.
    stage.command(mode("ask")).await;
    let events = stage.until("setting.settled").await;
    assert_eq!((settled(&events), events.last().unwrap().turn), (None, None));
    assert_eq!(current(&stage).await.as_deref(), Some("ask"));
    // In the middle of a turn.
    stage.prompt("say(mode); serve(listen()); say(' ' + mode)").await;
    let mut events = stage.until("turn.update").await;
    stage.command(mode("Code")).await;
    events.extend(stage.until("turn.ended").await);
    assert_eq!((said(&events).as_str(), settled(&events)), ("ask code", None));
    // The agent may refuse.
    stage.command(mode("plan")).await;
    assert_eq!(settled(&stage.until("setting.settled").await), Some("not now (-32603)"));
    assert_eq!(current(&stage).await.as_deref(), Some("code"));
    let called = stage.finish().await;
    let set = "session/set_mode";
    let expected = ["initialize", "session/new", set, "session/prompt", set, "session/prompt", set, set];
    assert_eq!(called, expected);
}

#[tokio::test]
async fn a_choice_outlives_the_agent_that_has_not_answered_it() {
    let mut stage = Stage::set(MODAL).await;
    stage.hears("overrides['session/set_mode'] = lambda params: os._exit(1)").await;
    stage.command(mode("code")).await;
    stage.until("agent.exited").await;
    let resumed = "say(mode)";
    assert_eq!(stage.hears(resumed).await, "code", "the next process is told anew");
    stage.finish().await;
}

#[tokio::test]
async fn a_turn_can_be_stopped_while_a_choice_is_not_answered() {
    let mut stage = Stage::set(MODAL).await;
    stage.hears("overrides['session/set_mode'] = lambda params: hang()").await;
    stage.command(mode("code")).await;
    stage.prompt("say('never')").await;
    stage.cancel_within(500).await;
    assert_eq!(end(&stage.until("turn.ended").await).stop_reason, StopReason::Cancelled);
    std::fs::remove_file(stage.record()).unwrap();
    stage.finish().await;
}

#[tokio::test]
async fn options_are_set_and_what_the_agent_answers_is_the_gauge() {
    let mut stage = Stage::set(
        "values = {'web': False, 'model': 'small'}
def options():
    sizes = [{'value': v, 'name': v.title()} for v in ['small', 'large']]
    return [
        {'id': 'web', 'name': 'Web', 'type': 'boolean', 'currentValue': values['web']},
        {'id': 'model', 'name': 'Model', 'category': 'model', 'type': 'select', 'currentValue': values['model'], 'options': sizes},
    ]
def set_option(params):
    values[params['configId']] = params['value']
    return {'configOptions': options()}
overrides['session/new'] = lambda params: {**new(params), 'configOptions': options()}
overrides['session/set_config_option'] = set_option",
    )
    .await;
    assert_eq!(stage.hears("say(json.dumps(values))").await, r#"{"web": false, "model": "small"}"#);
    stage.command(Command::Set(Setting::Option { id: "web".into(), value: Value::Bool(true) })).await;
    assert_eq!(settled(&stage.until("setting.settled").await), None);
    stage.command(Command::Set(Setting::Model("Large".into()))).await;
    assert_eq!(settled(&stage.until("setting.settled").await), None);
    assert_eq!(stage.hears("say(json.dumps(values))").await, r#"{"web": true, "model": "large"}"#);
    let offered = stage.hub.look(stage.id, |session| session.offered()).await.unwrap().0;
    let offered = serde_json::to_value(offered).unwrap();
    assert_eq!(offered["model"]["current"], json!("large"));
    assert_eq!(offered["options"][0]["current"], json!(true));
    stage.finish().await;
}
