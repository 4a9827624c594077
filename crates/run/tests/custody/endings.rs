//! How trees end.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use trunkline_run::custody::{Exit, Spawn, SpawnError, Stuck};

use crate::support::*;

#[tokio::test]
async fn a_command_that_ends_by_itself_is_reported() {
    let custody = custody();
    let scripts = ["exit 0", "exit 3", "exit 255", "kill -9 $$", "kill -TERM $$", "kill -40 $$"];
    let mut exits = Vec::new();
    for script in scripts {
        let child = custody.spawn(sh(script)).await.unwrap();
        exits.push(child.exited().await);
        assert_eq!(child.ended().await, exits[exits.len() - 1]);
        assert_eq!(custody.scan(), []);
    }
    use Exit::{Code, Signal};
    assert_eq!(exits, [Code(0), Code(3), Code(255), Signal(9), Signal(15), Signal(40)]);
}

#[tokio::test]
async fn sigterm_comes_first_and_gives_time_to_clean_up() {
    let custody = custody();
    let mut child = custody.spawn(sh("trap 'echo cleaned; exit 7' TERM; echo ready; read x")).await.unwrap();
    let mut said = Said::of(&mut child);
    assert_eq!(said.line().await.unwrap(), "ready");
    assert_eq!(child.stop(LONG).await, Ok(Exit::Code(7)));
    assert_eq!(said.rest().await, ["cleaned"]);
}

#[tokio::test]
async fn a_stopped_process_hears_sigterm_too() {
    let custody = custody();
    let mut child = custody.spawn(sh("echo $$; kill -STOP $$; exit 1")).await.unwrap();
    Said::of(&mut child).line().await.unwrap();
    assert_eq!(child.stop(LONG).await, Ok(Exit::Signal(15)));
}

#[tokio::test]
async fn who_ignores_sigterm_is_killed() {
    let custody = custody();
    let mut child = custody.spawn(sh("trap '' TERM; echo ready; exec sleep 1000")).await.unwrap();
    assert_eq!(Said::of(&mut child).line().await.unwrap(), "ready");
    assert_eq!(child.stop(Duration::from_millis(50)).await, Ok(Exit::Signal(9)));
    assert_eq!(child.stop(LONG).await, Ok(Exit::Signal(9)), "stopping again changes nothing");
}

#[tokio::test]
async fn a_shorter_grace_period_overtakes_a_longer_one() {
    let custody = custody();
    let mut child = custody.spawn(sh("trap '' TERM; echo ready; exec sleep 1000")).await.unwrap();
    assert_eq!(Said::of(&mut child).line().await.unwrap(), "ready");
    let both = async { tokio::join!(biased; child.stop(LONG), child.stop(Duration::ZERO)) };
    assert_eq!(both.await, (Ok(Exit::Signal(9)), Ok(Exit::Signal(9))));
}

#[tokio::test]
async fn a_grandchild_in_a_session_of_its_own_ends_too() {
    let custody = custody();
    // The shell that setsid starts exits at once, so the sleep has lost its parent, its group and its session.
    let script = "setsid sh -c 'trap \"\" TERM; sleep 1000 & echo $!'; echo up; read x";
    let mut child = custody.spawn(sh(script)).await.unwrap();
    let mut said = Said::of(&mut child);
    let grandchild = said.pid().await;
    assert_eq!(said.line().await.unwrap(), "up");
    assert!(!grandchild.gone());
    assert!(matches!(child.stop(Duration::from_millis(50)).await, Ok(Exit::Signal(_))));
    assert!(grandchild.gone());
}

#[tokio::test]
async fn what_a_command_leaves_behind_ends_after_it() {
    let custody = custody();
    let script = "setsid sh -c 'trap \"\" TERM; sleep 1000 & echo $!'; sleep 1000 & echo $!; read x; exit 3";
    let mut child = custody.spawn(sh(script)).await.unwrap();
    let mut said = Said::of(&mut child);
    let left = [said.pid().await, said.pid().await];
    drop(child.stdin.take());
    assert_eq!(child.exited().await, Exit::Code(3));
    assert_eq!(child.ended().await, Exit::Code(3));
    assert!(left.iter().all(Process::gone));
}

#[tokio::test]
async fn a_hundred_stubborn_processes_end() {
    let custody = custody();
    let script = "
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for n in range(100):
    if os.fork() == 0:
        if n % 3 == 0: os.setsid()
        if n % 3 == 1: os.setpgid(0, 0)
        say(os.getpid())
        time.sleep(1000)
time.sleep(1000)";
    let mut child = custody.spawn(python(script)).await.unwrap();
    let mut said = Said::of(&mut child);
    let mut all = Vec::new();
    for _ in 0..100 {
        all.push(said.pid().await);
    }
    assert_eq!(child.stop(Duration::from_millis(50)).await, Ok(Exit::Signal(9)));
    assert!(all.iter().all(Process::gone));
}

#[tokio::test]
async fn a_chain_that_forks_and_exits_for_ever_ends() {
    let custody = custody();
    let mark = format!("TRUNKLINE_CHAIN={}", std::process::id());
    let (name, value) = mark.split_once('=').unwrap();
    let mut spawn = python(
        "
say('up')
while True:
    if os.fork(): os._exit(0)",
    );
    spawn.env.push((name.into(), value.into()));
    let mut child = custody.spawn(spawn).await.unwrap();
    Said::of(&mut child).line().await.unwrap();
    assert_eq!(child.ended().await, Exit::Code(0));
    assert_eq!(with_environment(&mark), [0; 0]);
}

#[tokio::test]
async fn orphans_are_reaped_while_the_command_runs() {
    let custody = custody();
    let script = "
for n in range(3):
    if os.fork() == 0:
        parent = os.getpid()
        if os.fork() == 0:
            while os.getppid() == parent: os.sched_yield()
            say(os.getpid())
        os._exit(0)
    os.wait()
say('up')
input()";
    let mut child = custody.spawn(python(script)).await.unwrap();
    let mut said = Said::of(&mut child);
    let mut orphans = Vec::new();
    for _ in 0..4 {
        orphans.extend(said.line().await.unwrap().parse::<u32>());
    }
    assert_eq!(orphans.len(), 3);
    // A reaped process has no entry; a zombie has. There is no descriptor to wait on for that.
    for orphan in orphans {
        let entry = format!("/proc/{orphan}/stat");
        let reaped = async {
            while std::path::Path::new(&entry).exists() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, reaped).await.expect("it is reaped");
    }
    assert_eq!(custody.scan().len(), 1);
    child.stop(LONG).await.unwrap();
}

#[tokio::test]
async fn dropping_the_child_ends_its_tree() {
    let custody = custody();
    let mut child = custody.spawn(sh("echo $$; exec sleep 1000")).await.unwrap();
    let command = Said::of(&mut child).pid().await;
    let keep = Process::open(custody.scan()[0].keep_pid);
    drop(child);
    tokio::task::spawn_blocking(move || [command.wait(), keep.wait()]).await.unwrap();
}

#[tokio::test]
async fn a_start_that_nobody_waits_for_ends() {
    let custody = with_grace(Duration::ZERO);
    {
        let mut spawn = std::pin::pin!(custody.spawn(sh("sleep 1000")));
        tokio::select! {
            biased;
            _ = &mut spawn => panic!("it cannot have started yet"),
            () = std::future::ready(()) => {}
        }
    }
    let keep = Process::open(custody.scan()[0].keep_pid);
    tokio::task::spawn_blocking(move || keep.wait()).await.unwrap();
}

#[tokio::test]
async fn a_keep_that_is_told_to_go_ends_its_tree() {
    let custody = with_grace(LONG);
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT] {
        let child = custody.spawn(sh("exec sleep 1000")).await.unwrap();
        let keep = Pid::from_raw(custody.scan()[0].keep_pid.cast_signed()).unwrap();
        kill_process(keep, signal).unwrap();
        assert_eq!(child.ended().await, Exit::Signal(15));
    }
}

#[tokio::test]
async fn a_killed_keep_takes_its_command_along() {
    let custody = custody();
    let mut child = custody.spawn(sh("echo $$; exec sleep 1000")).await.unwrap();
    let command = Said::of(&mut child).pid().await;
    let keep = Pid::from_raw(custody.scan()[0].keep_pid.cast_signed()).unwrap();
    kill_process(keep, Signal::KILL).unwrap();
    assert_eq!(child.ended().await, Exit::Lost);
    tokio::task::spawn_blocking(move || command.wait()).await.unwrap();
    assert_eq!(custody.scan(), []);
}

#[tokio::test]
async fn stopping_all_ends_all_and_starts_nothing_more() {
    let custody = custody();
    let spawn = |name: &str| Spawn { resource: name.to_owned(), ..sh("exec sleep 1000") };
    let one = custody.spawn(spawn("one")).await.unwrap();
    let two = custody.spawn(spawn("two")).await.unwrap();
    let running = custody.scan();
    assert_eq!(running.iter().map(|running| &*running.resource).collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(
        running.iter().map(|running| running.process).collect::<Vec<_>>(),
        [one, two].map(|c| Some(c.process()))
    );
    assert_eq!(custody.stop_all(LONG).await, []);
    assert_eq!(custody.scan(), []);
    assert!(matches!(custody.spawn(spawn("three")).await, Err(SpawnError::Closed)));
}

#[tokio::test]
async fn a_tree_that_does_not_end_is_told_with_what_is_left() {
    let custody = custody();
    let child = custody.spawn(sh("exec sleep 1000")).await.unwrap();
    let keep = Pid::from_raw(custody.scan()[0].keep_pid.cast_signed()).unwrap();
    kill_process(keep, Signal::STOP).unwrap();
    // Time now passes as soon as there is nothing to do but wait.
    tokio::time::pause();
    assert_eq!(child.stop(LONG).await, Err(Stuck { pids: vec![child.process().pid] }));
    tokio::time::resume();
    assert_eq!(custody.scan()[0].process, Some(child.process()));
    kill_process(keep, Signal::CONT).unwrap();
    assert_eq!(child.ended().await, Exit::Signal(15));
}
