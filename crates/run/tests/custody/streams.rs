//! What goes through the pipes.

use tokio::io::AsyncReadExt;
use trunkline_run::custody::{Exit, SendError, Spawn, Stderr, Stdin};

use crate::support::*;

#[tokio::test]
async fn lines_go_in_and_come_out() {
    let custody = custody();
    let mut child = custody.spawn(sh("exec cat")).await.unwrap();
    let mut stdio = child.stdio().unwrap();
    assert!(child.stdio().is_none());
    for n in 0..100 {
        stdio.writer.send(format!("{{\"id\":{n}}}")).await.unwrap();
    }
    for n in 0..100 {
        let said = stdio.lines.next().await.unwrap().unwrap();
        assert_eq!(said.line.text.unwrap(), format!("{{\"id\":{n}}}"));
    }
    stdio.writer.close().await;
    assert!(stdio.lines.next().await.unwrap().is_none());
    assert_eq!(child.ended().await, Exit::Code(0));
}

#[tokio::test]
async fn a_closed_stdout_is_not_the_end() {
    let custody = custody();
    let mut child = custody.spawn(sh("echo last; exec 1>&- 2>&-; exec sleep 1000")).await.unwrap();
    assert_eq!(Said::of(&mut child).rest().await, ["last"]);
    assert!(custody.scan()[0].process.is_some());
    assert_eq!(child.stop(LONG).await, Ok(Exit::Signal(15)));
}

#[tokio::test]
async fn a_flood_on_stderr_stalls_nothing_and_its_end_is_kept() {
    let custody = custody();
    let script = "
import sys
for n in range(3 << 20 >> 10):
    sys.stderr.write('%7d' % n + 'x' * 1016 + '\\n')
say('done')
sys.stdin.read()";
    let mut child = custody.spawn(python(script)).await.unwrap();
    let mut said = Said::of(&mut child);
    assert_eq!(said.line().await.unwrap(), "done");
    drop(child.stdin.take());
    assert_eq!(child.ended().await, Exit::Code(0));
    let tail = child.stderr_tail();
    assert!((60 << 10..=64 << 10).contains(&tail.len()), "{}", tail.len());
    assert!(tail.lines().all(|line| line.len() == 1023));
    assert!(tail.lines().last().unwrap().starts_with("   3071x"));
}

#[tokio::test]
async fn stderr_is_complete_when_the_tree_has_ended() {
    let custody = custody();
    for n in 0..20 {
        let child = custody.spawn(sh(&format!("echo 'fatal: {n}' >&2; exit 1"))).await.unwrap();
        child.ended().await;
        assert_eq!(child.stderr_tail(), format!("fatal: {n}\n"));
    }
}

#[tokio::test]
async fn stderr_can_go_where_stdout_goes() {
    let custody = custody();
    let spawn = Spawn { stderr: Stderr::Stdout, stdin: Stdin::Null, ..sh("echo a; echo b >&2; echo c; cat") };
    let mut child = custody.spawn(spawn).await.unwrap();
    assert!(child.stdin.is_none());
    let mut both = String::new();
    child.stdout.take().unwrap().read_to_string(&mut both).await.unwrap();
    assert_eq!((&*both, child.ended().await, &*child.stderr_tail()), ("a\nb\nc\n", Exit::Code(0), ""));
}

#[tokio::test]
async fn a_command_that_does_not_read_holds_up_nobody_for_ever() {
    let custody = custody();
    let mut child = custody.spawn(sh("exec sleep 1000")).await.unwrap();
    let writer = child.stdio().unwrap().writer;
    let fill = async {
        let line = bytes::Bytes::from(vec![b'x'; 64 << 10]);
        loop {
            if let Err(refused) = writer.send(line.clone()).await {
                return refused;
            }
        }
    };
    // Filling goes as far as it can before the stop is asked for, and learns of the end.
    let (refused, stopped) = tokio::join!(biased; fill, child.stop(LONG));
    assert_eq!((refused, stopped), (SendError::Closed, Ok(Exit::Signal(15))));
}
