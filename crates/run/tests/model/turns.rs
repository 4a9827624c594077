use serde_json::json;
use trunkline_core::agent::Status;
use trunkline_core::event::Fact;
use trunkline_core::profile::{Prices, Provider};
use trunkline_core::session::Command;
use trunkline_core::setting::Setting;
use trunkline_core::turn::{StopReason, WhenBusy};
use trunkline_run::model::history::{self, Entry};

use crate::stage::played::{end, notes};
use crate::stage::{CANARY, Stage, WIRES, answers, call, calls, updates, words};
use crate::world::{owner, prompt};

#[tokio::test]
async fn what_a_model_thinks_and_says_is_told_and_counted() {
    for provider in WIRES {
        let answer = json!({
            "answer": [{ "thought": "Hm, " }, { "thought": "yes." }, { "text": "Good " }, { "text": "day — ü." }],
            "usage": { "input": 120, "output": 30, "cached": 100 }, "chunk_bytes": 7,
        });
        let mut stage = Stage::with(provider, answers(&[answer]), |profile| {
            profile.prices = Some(Prices { input: 1.0, output: 10.0, cache_read: 0.1, cache_write: 0.0 });
        })
        .await;
        let events = stage.turn("Hello?").await;
        assert_eq!(words(&events), "Good day — ü.", "{provider:?}");
        let thoughts: String = updates(&events, "agent_thought_chunk")
            .iter()
            .map(|chunk| chunk["content"]["text"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(thoughts, "Hm, yes.", "{provider:?}");
        let end = end(&events);
        assert_eq!(end.stop_reason, StopReason::EndTurn);
        let usage = end.usage.unwrap();
        assert_eq!(
            (usage.input, usage.output, usage.cache_read),
            (Some(120), Some(30), Some(100)),
            "{provider:?}"
        );
        assert!((usage.cost.unwrap() - 0.00033).abs() < 1e-9, "{provider:?} {usage:?}");
        let gauge = events.iter().find_map(|event| match &event.fact {
            Fact::AgentStatus(Status { kind, update }) if kind == "usage_update" => Some(update.clone()),
            _ => None,
        });
        assert_eq!(gauge.unwrap().read::<serde_json::Value>().unwrap()["used"], 150);
        stage.finish().await;
    }
}

#[tokio::test]
async fn parallel_calls_and_one_without_arguments_run_and_the_model_goes_on() {
    for provider in WIRES {
        let first =
            json!([{ "text": "I look." }, call("list", json!({})), call("read", json!({ "path": "a.txt" }))]);
        let mut stage = Stage::new(provider, answers(&[first, json!([{ "text": "It says A." }])])).await;
        std::fs::write(stage.workspace().join("a.txt"), "A\n").unwrap();
        let events = stage.turn("What is in it?").await;
        assert_eq!(words(&events), "I look.It says A.");
        let expected = [("list", "completed", "a.txt\n"), ("read", "completed", "     1\tA\n")];
        let expected = expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(calls(&events), expected, "{provider:?}");
        let asked = stage.asked();
        assert_eq!(asked.len(), 2);
        assert_eq!(asked[0].ask.as_ref().unwrap().tools.len(), 11, "what is offered is what there is");
        let results = &asked[1].ask.as_ref().unwrap().tool_results;
        assert!(results[0].contains("a.txt") && results[1].contains('A'), "{provider:?} {results:?}");
        assert!(!events.iter().any(|event| event.fact.tag() == "request.opened"), "looking asks nobody");
        stage.finish().await;
    }
}

#[tokio::test]
async fn a_session_remembers_what_was_said_over_a_restart_and_with_another_model() {
    let script =
        answers(&[json!([{ "text": "One." }]), json!([{ "text": "Two." }]), json!([{ "text": "Three." }])]);
    let mut stage = Stage::new(Provider::Anthropic, script).await;
    assert_eq!(stage.hears("first").await, "One.");
    stage.restart().await;
    assert_eq!(stage.hears("second").await, "Two.");
    stage.command(Command::Set(Setting::Model("other".to_owned()))).await;
    stage.until("setting.settled").await;
    stage.restart().await;
    assert_eq!(stage.hears("third").await, "Three.");
    let asked = stage.asked();
    let last = asked[2].body.to_string();
    for said in ["first", "One.", "second", "Two.", "third"] {
        assert!(last.contains(said), "{last}");
    }
    let model = |n: usize| asked[n].body["model"].as_str().unwrap().to_owned();
    assert_eq!([model(0), model(1), model(2)], ["anthropic-model", "anthropic-model", "other-model"]);
    stage.finish().await;
}

#[tokio::test]
async fn what_was_said_is_kept_with_how_it_came_about_and_no_key() {
    let mut stage = Stage::new(Provider::Openai, answers(&[json!([{ "text": "Yes." }])])).await;
    stage.turn("Well?").await;
    let mut kept = Vec::new();
    history::read(&*stage.disk, stage.id, |entry| kept.push(entry.entry)).await.unwrap();
    let [Entry::Said(asked), Entry::Said(said)] = kept.as_slice() else { panic!("{kept:?}") };
    assert_eq!(asked.answer, None);
    let answer = said.answer.as_ref().unwrap();
    assert_eq!(
        (answer.profile.as_str(), answer.model.as_str(), answer.stop.as_str()),
        ("default", "openai-model", "stop")
    );
    let log = crate::world::log(&*stage.disk, stage.id).await;
    assert!(!log.iter().any(|event| event.to_line().contains(CANARY)));
    stage.finish().await;
}

#[tokio::test]
async fn ids_that_a_provider_gives_twice_are_told_apart() {
    let script = answers(&[
        json!([call("list", json!({}))]),
        json!([call("list", json!({ "path": "." }))]),
        json!([{ "text": "Done." }]),
    ]);
    // The scripted Gemini gives no ids at all.
    let mut stage = Stage::new(Provider::Gemini, script).await;
    let events = stage.turn("Look twice.").await;
    let ids: std::collections::BTreeSet<_> =
        updates(&events, "tool_call").iter().map(|call| call["toolCallId"].to_string()).collect();
    assert_eq!(ids.len(), 2);
    stage.finish().await;
}

#[tokio::test]
async fn a_model_that_never_ends_is_ended() {
    let again = json!([call("list", json!({}))]);
    let script = answers(&[again.clone(), again.clone(), again]);
    let mut stage = Stage::with(Provider::Openai, script, |profile| profile.max_steps = Some(2)).await;
    let events = stage.turn("Go on and on.").await;
    assert_eq!(end(&events).stop_reason, StopReason::MaxTurnRequests);
    assert!(notes(&events).contains(&"max_steps_reached"));
    assert_eq!(stage.asked().len(), 2);
    stage.finish().await;
}

#[tokio::test]
async fn limits_and_refusals_have_their_names() {
    for provider in WIRES {
        let script = answers(&[
            json!({ "answer": [{ "text": "Once upon" }], "stop": "length" }),
            json!({ "answer": [{ "text": "I can" }], "stop": "filter" }),
        ]);
        let mut stage = Stage::new(provider, script).await;
        assert_eq!(end(&stage.turn("a").await).stop_reason, StopReason::MaxTokens, "{provider:?}");
        assert_eq!(end(&stage.turn("b").await).stop_reason, StopReason::Refusal, "{provider:?}");
        stage.finish().await;
    }
}

#[tokio::test]
async fn many_sessions_at_a_time_never_mix() {
    let rules: Vec<_> = (0..20)
        .map(|n| json!({ "when": { "user_text": format!("<{n}>") }, "answer": [{ "text": format!("I am {n}") }, { "wait_for": "all" }, { "text": format!(", still {n}.") }] }))
        .collect();
    let script = trunkline_model_server::Script::from_json(&json!({ "rules": rules }).to_string()).unwrap();
    let stage = Stage::new(Provider::Openai, script).await;
    let mut talks = Vec::new();
    for n in 0..20 {
        let (id, reader) = stage.another().await;
        stage.hub.command(&owner(), id, prompt(&format!("<{n}>"), WhenBusy::Reject), None).await.unwrap();
        talks.push((n, reader));
    }
    for n in 0..20 {
        stage.server.request(|asked| asked.body.to_string().contains(&format!("<{n}>"))).await;
    }
    stage.server.release("all").unwrap();
    for (n, mut reader) in talks {
        let events = crate::stage::played::until(&mut reader, "turn.ended").await;
        assert_eq!(words(&events), format!("I am {n}, still {n}."));
    }
    stage.finish().await;
}

#[tokio::test]
async fn a_profile_that_is_gone_is_told_and_the_session_lives_on() {
    let mut stage = Stage::new(Provider::Openai, answers(&[json!([{ "text": "Here." }])])).await;
    stage.command(Command::Set(Setting::Model("none".to_owned()))).await;
    let events = stage.turn("Hello?").await;
    let error = crate::stage::played::error(&events);
    assert!(error.contains("no profile none"), "{error}");
    stage.command(Command::Set(Setting::Model("other".to_owned()))).await;
    assert_eq!(stage.hears("Hello?").await, "Here.");
    stage.finish().await;
}
