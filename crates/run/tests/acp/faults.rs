//! Agents that break in the middle of a turn, and those that only look like it.

use trunkline_core::event::Fact;
use trunkline_core::turn::StopReason;

use crate::stage::played::{end, error, notes, said};
use crate::stage::{Stage, is_gone};
use crate::world::tags;

#[tokio::test]
async fn long_lines_pass_and_longer_ones_are_noted() {
    let mut stage = Stage::new().await;
    let events = stage
        .turn(
            "say('x' * (5 << 20))
say('y' * (17 << 20))
raw(b'z' * (65 << 20) + b'\\n')
say('end')",
        )
        .await;
    assert_eq!(said(&events).matches("end").count(), 1);
    let large = events.iter().filter_map(|event| match &event.fact {
        Fact::TurnUpdate(update) => update.blob.as_ref().map(|blob| blob.bytes >> 20),
        _ => None,
    });
    assert_eq!(large.collect::<Vec<_>>(), [5, 17], "what is large is kept whole, beside the log");
    assert_eq!(notes(&events), ["line_too_long"]);
    stage.finish().await;
}

#[tokio::test]
async fn lines_that_are_no_messages_are_noted_and_passed_over() {
    let mut stage = Stage::new().await;
    let events = stage
        .turn(
            "for line in [b'caf\\xe9', b'Loading...', b'[]', b'7', b'{', b'{}', b'', b'  ', b'{\"id\": 1}', b'{\"id\": [], \"method\": \"x\"}']:
    raw(line + b'\\n')
raw(b'{\"id\": 5, \"method\": 7}\\n')
say(json.dumps(listen()['error']['code']))",
        )
        .await;
    assert_eq!(said(&events), "-32600");
    assert_eq!(notes(&events), ["bad_line"; 9]);
    let first = events.iter().find_map(|event| match &event.fact {
        Fact::TurnNote(note) => note.data.clone(),
        _ => None,
    });
    assert_eq!(first.unwrap().get(), "\"caf\u{fffd}\"");
    std::fs::remove_file(stage.record()).unwrap();
    stage.finish().await;
}

#[tokio::test]
async fn a_flood_on_stderr_holds_up_nobody() {
    let mut stage = Stage::new().await;
    let flood = "for n in range(2000): sys.stderr.write('noise ' * 1000 + '\\n')";
    assert_eq!(stage.hears(&format!("{flood}\nsay('through')")).await, "through");
    let events = stage.turn(&format!("{flood}\nos._exit(1)")).await;
    assert!(error(&events).len() < 6_000 && error(&events).ends_with("noise noise"));
    stage.finish().await;
}

#[tokio::test]
async fn an_agent_that_dies_leaves_nothing_but_a_clear_end() {
    for (code, words) in [
        ("os._exit(0)", "actor ended in the middle of the turn, with exit code 0."),
        ("os.kill(os.getpid(), 9)", "actor was ended in the middle of the turn, by signal 9."),
        ("raw(b'half a line'); os._exit(3)", "actor ended in the middle of the turn, with exit code 3."),
    ] {
        let mut stage = Stage::new().await;
        let events = stage
            .turn(&format!("say(daemon()); call('terminal/create', command='sleep', args=['1000']); {code}"))
            .await;
        assert!(error(&events).starts_with(words), "{}", error(&events));
        let mut kinds = tags(&events);
        kinds.retain(|kind| kind.ends_with("exited"));
        assert_eq!(kinds, ["terminal.exited", "agent.exited"]);
        stage.empty().await;
        assert!(is_gone(&said(&events)));
        stage.finish().await;
    }
}

#[tokio::test]
async fn an_agent_that_closes_its_output_is_ended() {
    let mut stage = Stage::new().await;
    let events = stage.turn("say(str(os.getpid())); os.close(1); hang()").await;
    let words = "actor broke off in the middle of the turn: it closed its output. It was still running, and was ended.";
    assert!(error(&events).starts_with(words), "{}", error(&events));
    assert!(is_gone(&said(&events)));
    stage.finish().await;
}

#[tokio::test]
async fn an_agent_that_closes_its_input_is_ended_when_there_is_something_to_say() {
    let mut stage = Stage::new().await;
    let deaf = "say(str(os.getpid())); os.close(0)";
    let events = stage.turn(&format!("{deaf}\nbegin('vendor/ask')\nhang()")).await;
    let words = "actor broke off in the middle of the turn: it does not read its input any more. It was still running";
    assert!(error(&events).starts_with(words), "{}", error(&events));
    assert!(is_gone(&said(&events)));
    stage.prompt(&format!("{deaf}\nhang()")).await;
    let pid = said(&stage.until("turn.update").await);
    stage.cancel_within(100).await;
    let events = stage.until("turn.ended").await;
    assert_eq!(end(&events).stop_reason, StopReason::Cancelled);
    stage.empty().await;
    assert!(is_gone(&pid));
    std::fs::remove_file(stage.record()).unwrap();
    stage.finish().await;
}

#[tokio::test]
async fn what_was_said_before_the_end_is_heard() {
    let mut stage = Stage::new().await;
    let events = stage
        .turn("say('last words'); send({'id': '2.1.2', 'result': {'stopReason': 'end_turn'}}); os._exit(0)")
        .await;
    assert_eq!((said(&events).as_str(), end(&events).stop_reason), ("last words", StopReason::EndTurn));
    stage.until("agent.exited").await;
    stage.finish().await;
}

#[tokio::test]
async fn requests_without_end_are_bounded() {
    let mut stage = Stage::new().await;
    let events = stage
        .turn(
            "made = call('terminal/create', command='sleep', args=['1000'])
ids = [begin('terminal/wait_for_exit', **made) for n in range(300)]
refused = 0
for id in ids[256:]:
    try: answer(id)
    except Refused as error:
        refused += 1
        full = error.args[1]
begin('terminal/wait_for_exit', ids[0], **made)
say(f'{refused} {full}')",
        )
        .await;
    assert_eq!(said(&events), "44 256 requests are unanswered, which is the limit");
    assert_eq!(notes(&events), ["duplicate_request"]);
    stage.finish().await;
}
