//! Commands that run for an agent.

use trunkline_core::event::{Event, Fact};

use crate::stage::played::said;
use crate::stage::{Stage, is_gone};
use crate::world::tags;

/// What the log has of a terminal's output.
fn output(events: &[Event]) -> String {
    let text = |event: &Event| match &event.fact {
        Fact::TerminalOutput(output) => Some(output.text.clone()),
        _ => None,
    };
    events.iter().filter_map(text).collect()
}

#[tokio::test]
async fn a_command_runs_to_its_end_and_the_log_has_it_all() {
    let mut stage = Stage::new().await;
    let events = stage
        .turn(
            "made = call('terminal/create', command='sh', args=['-c', 'echo out; echo err >&2; echo $GIVEN; pwd; exit 3'],
            env=[{'name': 'GIVEN', 'value': 'value'}], cwd='/usr')
tries('terminal/wait_for_exit', **made)
tries('terminal/output', **made)
tries('terminal/kill', **made)
tries('terminal/release', **made)
tries('terminal/output', **made)",
        )
        .await;
    let expected = "{\"exitCode\": 3}\n\
        {\"output\": \"out\\nerr\\nvalue\\n/usr\\n\", \"truncated\": false, \"exitStatus\": {\"exitCode\": 3}}\n\
        {}\n{}\n-32602: invalid params: there is no terminal term-1-1\n";
    assert_eq!(said(&events), expected);
    let mut kinds = tags(&events);
    kinds.retain(|kind| kind.starts_with("terminal."));
    assert_eq!(kinds, ["terminal.started", "terminal.output", "terminal.exited"]);
    assert_eq!(output(&events), "out\nerr\nvalue\n/usr\n");
    let Some(Fact::TerminalStarted(started)) =
        events.iter().map(|event| &event.fact).find(|fact| fact.tag() == "terminal.started")
    else {
        panic!()
    };
    assert_eq!(
        (started.terminal.as_str(), started.cwd.as_str(), started.argv.len()),
        ("term-1-1", "/usr", 3)
    );
    stage.finish().await;
}

#[tokio::test]
async fn a_command_can_be_watched_and_killed() {
    let mut stage = Stage::new().await;
    let heard = stage
        .hears(
            "made = call('terminal/create', command='echo ready; sleep 1000 & echo $!; wait')
while call('terminal/output', **made)['output'].count('\\n') < 2: pass
pid = call('terminal/output', **made)['output'].split()[1]
ended = begin('terminal/wait_for_exit', **made)
call('terminal/kill', **made)
say(answer(ended)['signal'] + ' ')
say(call('terminal/output', **made)['exitStatus']['signal'] + ' ' + pid)",
        )
        .await;
    let (signals, pid) = heard.rsplit_once(' ').unwrap();
    assert_eq!(signals, "SIGTERM SIGTERM");
    assert!(is_gone(pid));
    stage.finish().await;
}

#[tokio::test]
async fn of_much_output_the_end_is_kept_for_the_agent_and_both_ends_for_the_log() {
    let mut stage = Stage::new().await;
    let script = "print(\"é\" * 100); [print(n) for n in range(200000)]; print(\"last\")";
    let events = stage
        .turn(&format!(
            "made = call('terminal/create', command='python3', args=['-c', '{script}'], outputByteLimit=9)
call('terminal/wait_for_exit', **made)
tries('terminal/output', **made)
made = call('terminal/create', command='printf %s aé', outputByteLimit=1)
call('terminal/wait_for_exit', **made)
tries('terminal/output', **made)"
        ))
        .await;
    let expected = "{\"output\": \"999\\nlast\\n\", \"truncated\": true, \"exitStatus\": {\"exitCode\": 0}}\n\
        {\"output\": \"\", \"truncated\": true, \"exitStatus\": {\"exitCode\": 0}}\n";
    assert_eq!(said(&events), expected);
    let kept = output(&events);
    assert!(kept.starts_with("éé") && kept.contains("199999\nlast\n"));
    assert!(kept.contains("[… some of the output is not kept here …]"));
    assert!((250 << 10..300 << 10).contains(&kept.len()), "{}", kept.len());
    stage.finish().await;
}

#[tokio::test]
async fn a_command_outlives_its_turn_but_not_its_agent() {
    let mut stage = Stage::new().await;
    stage
        .hears("made = call('terminal/create', command='echo $$; read x < /dev/zero; exec sleep 1000')")
        .await;
    let events = stage.until("terminal.output").await;
    assert_eq!(events.last().unwrap().turn, None, "it is no part of a turn that is over");
    let pid = output(&events).trim().to_owned();
    assert!(!is_gone(&pid));
    assert_eq!(stage.hears("say(str('exitStatus' in call('terminal/output', **made)))").await, "False");
    let events = stage.turn("os._exit(1)").await;
    assert!(tags(&events).contains(&"terminal.exited"), "{:?}", tags(&events));
    stage.empty().await;
    assert!(is_gone(&pid));
    stage.finish().await;
}

#[tokio::test]
async fn what_cannot_be_run_is_told() {
    let mut stage = Stage::new().await;
    let heard = stage
        .hears(
            "tries('terminal/create', command='no-such-command')
tries('terminal/create', command='true', cwd='relative')
for n in range(64): call('terminal/create', command='true')
tries('terminal/create', command='true')",
        )
        .await;
    let lines: Vec<_> = heard.lines().collect();
    assert!(lines[0].contains("there is no `no-such-command` on PATH"), "{heard}");
    assert_eq!(lines[1], "-32602: invalid params: cwd must be an absolute path");
    assert_eq!(lines[2], "-32603: 64 terminals are open, which is the limit; release one");
    stage.finish().await;
}

#[tokio::test]
async fn terminals_that_are_just_starting_count() {
    let mut stage = Stage::new().await;
    let heard = stage
        .hears(
            "ids = [begin('terminal/create', command='true') for n in range(70)]
refused = 0
for id in ids:
    try: answer(id)
    except Refused: refused += 1
say(str(refused))",
        )
        .await;
    assert_eq!(heard, "6");
    stage.finish().await;
}
