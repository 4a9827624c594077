//! Turns that go as they should, and the oddities that are no fault.

use serde_json::json;
use trunkline_core::event::Fact;
use trunkline_core::raw::Raw;
use trunkline_core::request::{OptionKind, Outcome};
use trunkline_core::session::Command;
use trunkline_core::turn::{Queued, StopReason, Usage, WhenBusy};

use crate::stage::Stage;
use crate::stage::played::{end, error, notes, said};
use crate::world::{inbox, prompt, tags};

#[tokio::test]
async fn a_turn_streams_asks_and_ends() {
    let mut stage = Stage::new().await;
    stage.prompt("say('one '); say('two'); option = ask('Write it'); say(option)").await;
    let begun = stage.until("request.opened").await;
    let expected = [
        "session.created",
        "turn.queued",
        "turn.claimed",
        "turn.started",
        "agent.started",
        "driver.memo",
        "turn.update",
        "request.opened",
    ];
    let mut kinds = tags(&begun);
    kinds.dedup();
    assert_eq!(kinds, expected);
    assert_eq!(said(&begun), "one two");
    let asked = inbox(&stage.hub).await.remove(0);
    let options: Vec<_> = asked.options.iter().map(|choice| (choice.id.as_str(), choice.kind)).collect();
    assert_eq!((asked.title.as_str(), asked.question.as_str()), ("Write it", ""));
    assert_eq!(options, [("yes", OptionKind::AllowOnce), ("no", OptionKind::RejectOnce)]);
    let tool_call = r#"{"toolCallId": "t1", "title": "Write it", "kind": "edit"}"#;
    assert_eq!(asked.tool_call.unwrap().get(), tool_call, "as it came");
    stage.answer("yes").await;
    let events = stage.until("turn.ended").await;
    assert_eq!((said(&events).as_str(), end(&events).stop_reason), ("yes", StopReason::EndTurn));
    let Fact::AgentStarted(started) = &begun[4].fact else { panic!() };
    assert_eq!((started.incarnation, started.argv[0].as_str()), (1, "python3"));
    assert_eq!(stage.custody.scan()[0].process.unwrap().pid, started.pid);
    assert_eq!(stage.finish().await, ["initialize", "session/new", "session/prompt"]);
}

#[tokio::test]
async fn a_denial_is_passed_on_and_ids_may_be_texts() {
    let mut stage = Stage::new().await;
    stage.prompt("say(ask(id='699b0b09-01d4-40af-82ef-af1d4e2b21ae')); stop = 'cancelled'").await;
    stage.until("request.opened").await;
    stage.answer("no").await;
    let events = stage.until("turn.ended").await;
    assert_eq!((said(&events).as_str(), end(&events).stop_reason), ("no", StopReason::Cancelled));
    stage.finish().await;
}

#[tokio::test]
async fn two_questions_may_be_open_at_a_time() {
    let mut stage = Stage::new().await;
    stage.prompt("a = permission('A'); b = permission('B'); say(answer(b)['outcome']['optionId']); say(answer(a)['outcome']['optionId'])").await;
    stage.until("request.opened").await;
    stage.until("request.opened").await;
    let mut asked = inbox(&stage.hub).await;
    asked.sort_by(|a, b| b.title.cmp(&a.title));
    for (asked, option) in asked.iter().zip(["no", "yes"]) {
        let answer = trunkline_core::request::Answer { option: Some(option.into()), ..Default::default() };
        stage.hub.answer(&crate::world::owner(), asked, answer, None).await.unwrap();
    }
    assert_eq!(said(&stage.until("turn.ended").await), "noyes");
    stage.finish().await;
}

#[tokio::test]
async fn a_question_that_nobody_waits_for_any_more_is_closed() {
    let mut stage = Stage::new().await;
    let events = stage.turn("permission('Too late'); say('done')").await;
    let closed = events.iter().find_map(|event| match &event.fact {
        Fact::RequestClosed(closed) => Some(closed.outcome),
        _ => None,
    });
    assert_eq!((closed, end(&events).stop_reason), (Some(Outcome::Cancelled), StopReason::EndTurn));
    stage.hears("say('next')").await;
    let record = std::fs::read_to_string(stage.record()).unwrap();
    assert!(record.contains(r#"\"outcome\":\"cancelled\""#), "the agent is told all the same");
    stage.finish().await;
}

#[tokio::test]
async fn a_question_that_cannot_be_asked_is_told_so() {
    let mut stage = Stage::new().await;
    let ask = "tries('session/request_permission', toolCall={'toolCallId': 't'}, options=[])";
    let events = stage.turn(ask).await;
    assert_eq!(said(&events), "-32602: invalid params: options must not be empty for a permission\n");
    assert_eq!(notes(&events), ["request_refused"]);
    let heard =
        stage.hears("tries('session/request_permission', toolCall={}, sessionId='other', options=[])").await;
    assert_eq!(heard, "-32602: invalid params: there is no session other\n");
    stage.finish().await;
}

#[tokio::test]
async fn what_is_not_known_is_kept_or_refused_and_never_fatal() {
    let mut stage = Stage::new().await;
    let events = stage
        .turn(
            "tries('craft/drainMidTurnQueue', x=1)
send({'method': '_vendor/news', 'params': {'a': [1.0]}})
update('holograms', b=1)
update('tool_call_update', toolCallId='never called', status='completed')
say('of another', of='other')
say('end')",
        )
        .await;
    assert_eq!(said(&events), "-32601: method not found: craft/drainMidTurnQueue\nend");
    assert_eq!(notes(&events), ["unknown_request", "unknown_notification", "foreign_session"]);
    let kept = |text: &str| {
        events.iter().any(
            |event| matches!(&event.fact, Fact::TurnUpdate(update) if update.update.get().contains(text)),
        )
    };
    assert!(kept(r#""holograms", "b": 1"#) && kept("never called"));
    let news = events.iter().find_map(|event| match &event.fact {
        Fact::TurnNote(note) if note.code == "unknown_notification" => note.data.clone(),
        _ => None,
    });
    assert_eq!(news.unwrap().get(), r#"{"a": [1.0]}"#);
    stage.finish().await;
}

#[tokio::test]
async fn usage_comes_from_the_answer_and_an_unknown_end_is_an_error() {
    let mut stage = Stage::new().await;
    let events = stage
        .turn("update('usage_update', used=9, size=10); usage = {'totalTokens': 9, 'inputTokens': 5, 'outputTokens': 4, 'cachedReadTokens': 3}")
        .await;
    let expected = Usage { input: Some(5), output: Some(4), cache_read: Some(3), ..Usage::default() };
    assert_eq!(end(&events).usage, Some(expected));
    assert!(tags(&events).contains(&"agent.status"), "{:?}", tags(&events));
    let events = stage.turn("stop = 'max_tokens'; usage = None").await;
    assert_eq!((end(&events).stop_reason, end(&events).usage), (StopReason::MaxTokens, None));
    let events = stage.turn("stop = 'bored'").await;
    assert_eq!(error(&events), "actor ended the turn for a reason that is not known here: bored");
    stage.finish().await;
}

#[tokio::test]
async fn an_error_ends_the_turn_and_not_the_agent() {
    let mut stage = Stage::new().await;
    let events = stage.turn("raise Refused(-32603, 'Internal error', {'details': 'no credit'})").await;
    assert_eq!(
        error(&events),
        "actor answered `session/prompt` with an error: Internal error (-32603): no credit"
    );
    let events = stage.turn("send({'id': 'x', 'result': {}}); raw(b'{\"id\":\"' + str(os.getppid()).encode() + b'\"}\\n'); say('on')").await;
    assert_eq!((said(&events).as_str(), notes(&events)), ("on", vec!["unexpected_answer", "bad_line"]));
    assert_eq!(stage.finish().await.iter().filter(|method| *method == "initialize").count(), 1);
}

#[tokio::test]
async fn content_is_passed_on_if_the_agent_takes_it() {
    let mut stage = Stage::set("capabilities['promptCapabilities'] = {'image': True}").await;
    let block = |block| Raw::of(&block).unwrap();
    let text = block(json!({ "type": "text", "text": "say(json.dumps(params['prompt'][1]))" }));
    let queued = |other| Command::Prompt {
        queued: Queued { prompt: vec![text.clone(), other], timeout_ms: None },
        when_busy: WhenBusy::Reject,
    };
    let link = block(json!({ "type": "resource_link", "uri": "file:///a", "name": "a" }));
    let setup = "exec_prompt = prompt
def prompt_with_params(p):
    global params
    params = p
    return exec_prompt({'prompt': p['prompt'][:1]})
overrides['session/prompt'] = prompt_with_params";
    assert_eq!(stage.hears(setup).await, "");
    stage.command(queued(link.clone())).await;
    let heard = said(&stage.until("turn.ended").await);
    assert_eq!(
        Raw::parse(&heard).unwrap().read::<serde_json::Value>().unwrap(),
        link.read::<serde_json::Value>().unwrap()
    );
    stage.command(queued(block(json!({ "type": "image", "data": "", "mimeType": "image/png" })))).await;
    assert_eq!(end(&stage.until("turn.ended").await).stop_reason, StopReason::EndTurn);
    stage.command(queued(block(json!({ "type": "audio", "data": "", "mimeType": "audio/wav" })))).await;
    let events = stage.until("turn.ended").await;
    assert_eq!(
        error(&events),
        "actor takes no content of type `audio` (prompt[1]); leave it out, or name a file instead."
    );
    stage.finish().await;
}

#[tokio::test]
async fn prompts_in_line_go_to_the_same_process() {
    let mut stage = Stage::new().await;
    stage.prompt("ask(); say(str(os.getpid()))").await;
    stage.until("request.opened").await;
    stage.command(prompt("say(str(os.getpid()))", WhenBusy::Queue)).await;
    stage.answer("yes").await;
    let first = said(&stage.until("turn.ended").await);
    assert_eq!(first, said(&stage.until("turn.ended").await));
    stage.finish().await;
}

#[tokio::test]
async fn between_turns_gauges_are_kept_and_nothing_is_asked() {
    let mut stage = Stage::new().await;
    let talk = "def then():
    global heard
    say('nobody '); say('listens')
    send({'method': '_vendor/news', 'params': {'a': [1.0]}})
    commands('later')
    heard = []
    for method, params in [
        ('fs/write_text_file', {'path': 'x', 'content': 'x'}),
        ('terminal/create', {'command': 'true'}),
        ('terminal/output', {'terminalId': 'none'}),
        ('vendor/ask', {}),
    ]:
        try: heard.append(call(method, **params))
        except Refused as refused: heard.append(refused.args)
    heard.append(ask())
    update('current_mode_update', currentModeId='told')
after = then";
    assert_eq!(stage.hears(talk).await, "");
    let events = stage.until("agent.status").await;
    let Fact::AgentStatus(status) = &events.last().unwrap().fact else { panic!() };
    assert!(status.kind == "available_commands_update" && status.update.get().contains("later"));
    let mut told = events;
    let events = stage.until("agent.status").await;
    assert!(
        matches!(&events.last().unwrap().fact, Fact::AgentStatus(status) if status.kind == "current_mode_update")
    );
    told.extend(events);
    assert_eq!(inbox(&stage.hub).await.len(), 0);
    let events = stage.turn("say(json.dumps(heard))").await;
    let expected = json!([
        [-32600, "no turn is running"],
        [-32600, "no turn is running"],
        [-32602, "invalid params: there is no terminal none"],
        [-32601, "method not found: vendor/ask"],
        null,
    ]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&said(&events)).unwrap(), expected);
    told.extend(events.into_iter().take_while(|event| event.fact.tag() != "turn.started"));
    assert_eq!((said(&told).as_str(), notes(&told)), ("nobody listens", vec!["unknown_notification"]));
    assert!(told.iter().filter(|event| event.fact.tag() == "turn.update").all(|event| event.turn.is_none()));
    assert!(!stage.workspace().join("x").exists());
    stage.finish().await;
}

#[tokio::test]
async fn what_an_unprompted_agent_says_is_bounded() {
    let mut stage = Stage::new().await;
    let talk = "def then():
    for n in range(300): say('x' * 1000)
    update('current_mode_update', currentModeId='told')
after = then";
    assert_eq!(stage.hears(talk).await, "");
    let mut told = stage.until("agent.status").await;
    told.extend(stage.turn("pass").await);
    let kept = said(&told).len() / 1_000;
    assert!((200..300).contains(&kept), "{kept}");
    let note = told.iter().find_map(|event| match &event.fact {
        Fact::TurnNote(note) => Some((note.code.as_str(), note.message.as_str())),
        _ => None,
    });
    let left_out = format!("{} more updates came while no turn was running, and are not kept", 300 - kept);
    assert_eq!(note, Some(("updates_between_turns", left_out.as_str())));
    stage.finish().await;
}
