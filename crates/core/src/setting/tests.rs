use super::*;
use crate::id::Node;
use crate::machine::{Context, Machine};
use crate::principal::{Caller, Principal};
use crate::raw::Raw;
use crate::session::{Command, Effect, Session};
use crate::time::Time;

/// A session whose agent has told what it offers.
fn session(gauges: &[(&str, serde_json::Value)]) -> Session {
    let mut session = Session::default();
    let created = serde_json::json!({ "id": uuid::Uuid::nil(), "driver": "acp", "agent": "a" });
    let created: crate::session::Created = serde_json::from_value(created).unwrap();
    let mut facts: Vec<Fact> = vec![created.into()];
    if !gauges.is_empty() {
        facts.push(crate::agent::Memo { raw: Raw::parse("{}").unwrap() }.into());
    }
    for (kind, update) in gauges {
        facts
            .push(crate::agent::Status { kind: (*kind).to_owned(), update: Raw::of(update).unwrap() }.into());
    }
    facts.into_iter().for_each(|fact| apply(&mut session, 1, fact));
    session
}

fn apply(session: &mut Session, seq: u64, fact: impl Into<Fact>) {
    let (by, fact) = (Principal::owner(), fact.into());
    session.apply(&Event { seq: Seq(seq), at: Time(0), by, turn: None, key: None, fact });
}

fn decide(session: &Session, setting: Setting) -> Result<Vec<Setting>, String> {
    let (caller, node) = (Caller::trunkline(), Node { name: "here".into(), incarnation: 1 });
    let ctx = Context { now: Time(0), caller: &caller, node: &node, next: Seq(9) };
    let drafts = session.decide(&Command::Set(setting), &ctx).map_err(|refused| refused.to_string())?;
    let chosen = drafts.into_iter().map(|draft| match draft.fact {
        Fact::SettingChosen(chosen) => chosen.setting,
        other => panic!("{other:?}"),
    });
    Ok(chosen.collect())
}

fn mode(id: &str) -> Setting {
    Setting::Mode(id.to_owned())
}

fn option(id: &str, value: &str) -> Setting {
    Setting::Option { id: id.to_owned(), value: Value::Id(value.to_owned()) }
}

fn modal() -> Session {
    let modes = serde_json::json!({ "currentModeId": "ask", "availableModes":
        [{ "id": "ask", "name": "Ask first" }, { "id": "code", "name": "Code" }] });
    session(&[("modes", modes)])
}

#[test]
fn a_mode_is_one_of_those_offered() {
    let session = modal();
    assert_eq!(decide(&session, mode("code")), Ok(vec![mode("code")]));
    assert_eq!(decide(&session, mode("CODE")), Ok(vec![mode("code")]), "by name, in any case");
    assert_eq!(decide(&session, mode("ask")), Ok(vec![]), "it is in it already");
    assert_eq!(decide(&session, mode("fly")), Err("mode must be one of: ask, code".to_owned()));
    let model = decide(&session, Setting::Model("m".into()));
    assert_eq!(model, Err("model cannot be chosen: this agent offers none".to_owned()));
    assert_eq!(decide(&session, mode("")), Err("mode must not be empty".to_owned()));
}

#[test]
fn an_option_of_the_category_is_the_mode() {
    let options = serde_json::json!({ "configOptions": [
        { "id": "m", "name": "Mode", "category": "mode", "type": "select", "currentValue": "act",
          "options": [{ "group": "g", "name": "G", "options": [{ "value": "act", "name": "Act" }] }, { "value": "plan", "name": "Plan" }] },
        { "id": "web", "name": "Web", "type": "boolean", "currentValue": false }, 7,
    ]});
    let session = session(&[("config_option_update", options)]);
    assert_eq!(decide(&session, mode("plan")), Ok(vec![option("m", "plan")]));
    assert_eq!(decide(&session, option("m", "act")), Ok(vec![]));
    assert_eq!(decide(&session, option("m", "fly")), Err("value must be one of: act, plan".to_owned()));
    assert_eq!(decide(&session, option("x", "fly")), Err("option must be one of: m, web".to_owned()));
    assert_eq!(decide(&session, option("web", "on")), Err("value must be true or false".to_owned()));
    let on = Setting::Option { id: "web".into(), value: Value::Bool(true) };
    assert_eq!(decide(&session, on.clone()), Ok(vec![on]));
    let view = session.offered();
    assert_eq!(view.mode.unwrap().current.as_deref(), Some("act"));
    assert_eq!(view.options.len(), 2);
}

#[test]
fn a_choice_waits_until_the_agent_has_answered_it() {
    let mut session = modal();
    apply(&mut session, 5, Chosen { setting: mode("code") });
    assert_eq!(decide(&session, mode("code")), Ok(vec![]), "it was chosen already");
    assert_eq!(decide(&session, mode("ask")), Ok(vec![mode("ask")]), "and can be taken back");
    assert_eq!(session.offered().mode.unwrap().chosen.as_deref(), Some("code"));
    assert!(session.wanted().effects.is_empty(), "no agent runs that could be set");
    let node = Node { name: "here".into(), incarnation: 1 };
    apply(
        &mut session,
        6,
        crate::agent::Started {
            node,
            incarnation: 1,
            pid: 1,
            start_time: None,
            boot_id: None,
            argv: vec![],
            confined: None,
        },
    );
    let pending = Pending { chosen: Seq(5), setting: mode("code") };
    assert_eq!(session.wanted().effects, [Effect::Set(pending)]);
    apply(&mut session, 7, Chosen { setting: mode("ask") });
    apply(&mut session, 8, Settled { chosen: Seq(5), error: None });
    assert_eq!(session.wanted().effects, [Effect::Set(Pending { chosen: Seq(7), setting: mode("ask") })]);
    apply(&mut session, 9, Settled { chosen: Seq(7), error: Some("no".into()) });
    assert!(session.wanted().effects.is_empty());
}

#[test]
fn a_model_that_was_taken_is_the_current_one_until_the_agent_tells_its_models() {
    let models = serde_json::json!({ "currentModelId": "m1", "availableModels":
        [{ "modelId": "m1", "name": "One" }, { "modelId": "m2", "name": "Two" }] });
    let mut session = session(&[("models", models.clone())]);
    let two = Setting::Model("m2".into());
    assert_eq!(decide(&session, Setting::Model("two".into())), Ok(vec![two.clone()]));
    apply(&mut session, 5, Chosen { setting: two });
    apply(&mut session, 6, Settled { chosen: Seq(5), error: None });
    let current = |session: &Session| session.offered().model.unwrap().current.unwrap();
    assert_eq!(current(&session), "m2");
    apply(&mut session, 7, crate::agent::Status { kind: "models".into(), update: Raw::of(&models).unwrap() });
    assert_eq!(current(&session), "m1");
}

#[test]
fn before_its_first_start_an_agent_may_offer_anything() {
    let mut session = session(&[]);
    assert_eq!(decide(&session, mode("plan")), Ok(vec![mode("plan")]));
    apply(&mut session, 5, Chosen { setting: mode("plan") });
    assert_eq!(session.offered().mode.unwrap().chosen.as_deref(), Some("plan"));
    for n in 0..MAX_PENDING as u64 {
        apply(&mut session, 6 + n, Chosen { setting: option(&n.to_string(), "x") });
    }
    let refused = decide(&session, option("more", "x")).unwrap_err();
    assert_eq!(refused, "there are already 100 choices that wait for the agent, which is the limit");
}
