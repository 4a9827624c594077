//! Claude Code's own protocol over real processes, with the faults that it can have. What it shares with agents that speak
//! ACP, its pipes, limits and end, is tested with those.

use trunkline_core::turn::StopReason;
use trunkline_run::catalog::{Custom, Speaks};

use crate::stage::played::{end, error, notes, said};
use crate::stage::{Set, Stage, is_gone};
use crate::world::{inbox, tags};

async fn stage() -> Stage {
    let dir = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/acp/agents/claude.py");
    let argv = ["python3", script, dir.path().to_str().unwrap()].map(str::to_owned).to_vec();
    let custom = Custom { driver: Some(Speaks::Claude), ..Custom::default() };
    Stage::with(Set { argv: Some(argv), custom, dir, ..Set::default() }).await
}

#[tokio::test]
async fn a_turn_asks_a_person_and_goes_on_with_the_answer() {
    let mut stage = stage().await;
    stage.prompt("say('I look. ')\nuse('Bash', command='df -h')\nif may('Bash', command='df -h')['behavior'] == 'allow': back('30G')\nsay('Done.')").await;
    stage.until("request.opened").await;
    let asked = inbox(&stage.hub).await.remove(0);
    assert_eq!((asked.title.as_str(), asked.tool.as_deref()), ("df -h", Some("Bash")));
    stage.answer("allow").await;
    let events = stage.until("turn.ended").await;
    assert_eq!((end(&events).stop_reason, notes(&events)), (StopReason::EndTurn, vec![]));
    assert!(said(&events).ends_with("Done."), "{}", said(&events));
    stage.finish().await;
}

#[tokio::test]
async fn a_conversation_goes_on_in_another_process_and_begins_anew_where_it_is_gone() {
    let mut stage = stage().await;
    assert_eq!(stage.hears("say(f'{resumed}')").await, "False");
    stage.restart().await;
    assert_eq!(stage.hears("say(f'{resumed}')").await, "True");
    stage.hears("os.unlink(conversation)").await;
    stage.restart().await;
    let events = stage.turn("say(f'{resumed}')").await;
    assert_eq!((said(&events).as_str(), notes(&events)), ("False", vec!["history_lost"]));
    stage.finish().await;
}

#[tokio::test]
async fn a_first_turn_that_died_before_the_conversation_began_is_no_end_of_the_session() {
    let mut stage = stage().await;
    let events = stage.turn("os.unlink(conversation); os._exit(3)").await;
    assert!(error(&events).starts_with("actor ended in the middle of the turn, with exit code 3."));
    assert_eq!(stage.hears("say('here')").await, "here");
    stage.finish().await;
}

#[tokio::test]
async fn a_cancel_interrupts_a_tool_and_a_question() {
    let mut stage = stage().await;
    for (what, sign) in
        [("use('Bash', command='x'); wait()", "turn.update"), ("may('Bash', command='x')", "request.opened")]
    {
        stage.prompt(what).await;
        stage.until(sign).await;
        stage.cancel().await;
        let events = stage.until("turn.ended").await;
        assert_eq!(end(&events).stop_reason, StopReason::Cancelled);
        assert_eq!(inbox(&stage.hub).await, []);
    }
    assert_eq!(stage.hears("say('still here')").await, "still here", "in the same process");
    stage.finish().await;
}

#[tokio::test]
async fn one_that_does_not_listen_is_ended_with_all_that_it_started() {
    let mut stage = stage().await;
    stage.prompt("signal.signal(signal.SIGTERM, signal.SIG_IGN); say(daemon()); hang()").await;
    let pid = said(&stage.until("turn.update").await);
    stage.cancel_within(100).await;
    let events = stage.until("turn.ended").await;
    assert_eq!(end(&events).stop_reason, StopReason::Cancelled);
    stage.empty().await;
    assert!(is_gone(&pid));
    stage.finish().await;
}

#[tokio::test]
async fn bursts_long_lines_and_a_loud_stderr_hold_up_nobody() {
    let mut stage = stage().await;
    let events = stage
        .turn(
            "for n in range(500): sys.stderr.write('noise ' * 1000 + '\\n')
for n in range(2000): say('x')
say('y' * (10 << 20))
raw(b'[1,2]\\nHello!\\n')
say('end')",
        )
        .await;
    assert_eq!(end(&events).stop_reason, StopReason::EndTurn);
    assert_eq!(notes(&events), ["bad_line"; 2]);
    let text = said(&events);
    assert_eq!((text.matches('x').count(), text.matches("end").count()), (2000, 1));
    stage.finish().await;
}

#[tokio::test]
async fn what_it_calls_an_error_is_one_and_it_goes_on() {
    let mut stage = stage().await;
    let events = stage.turn("end(is_error=True, result='API Error: overloaded')").await;
    assert!(error(&events).contains("API Error: overloaded"), "{}", error(&events));
    let events = stage.turn("end(result='Only this.')").await;
    assert_eq!((end(&events).stop_reason, said(&events).as_str()), (StopReason::EndTurn, "Only this."));
    stage.finish().await;
}

#[tokio::test]
async fn a_closed_output_is_the_end() {
    let mut stage = stage().await;
    let events = stage.turn("say(str(os.getpid())); os.close(1); hang()").await;
    assert!(error(&events).contains("it closed its output"), "{}", error(&events));
    assert!(is_gone(&said(&events)));
    assert!(tags(&events).contains(&"agent.exited"));
    stage.finish().await;
}
