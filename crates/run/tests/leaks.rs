//! Fifty lives and deaths, after which nothing is left: no process, no zombie, no descriptor. A program of its own,
//! because it counts what the whole process has.

#[path = "fixtures/open_files.rs"]
mod open_files;

use std::ffi::OsString;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use trunkline_run::custody::{Custody, CustodyOptions, Exit, Lines, Spawn, become_subreaper};

use open_files::{open_but_pipes, open_files, open_like};

/// It has a grandchild that ignores SIGTERM, has a session of its own, and has lost its parent; then does as told.
const AGENT: &str = r#"setsid sh -c 'trap "" TERM; sleep 1000 & echo up'; read order; exit 7"#;

#[derive(Clone, Copy, Debug)]
enum Ending {
    /// Of the command, by itself.
    Exit,
    Stop,
    Drop,
    /// Of the future that starts it.
    DropStart,
    /// Of the keep, with SIGKILL.
    KillKeep,
}

#[tokio::test]
async fn fifty_lives_leave_nothing() {
    let custody = Custody::new(CustodyOptions {
        keep_program: env!("CARGO_BIN_EXE_keep-fixture").into(),
        grace: Duration::from_millis(10),
        subreaper: Some(become_subreaper().expect("Linux")),
    });
    let endings = [Ending::Exit, Ending::Stop, Ending::Drop, Ending::DropStart, Ending::KillKeep];
    let own = open_files();
    // The first round opens what the runtime keeps open.
    for ending in endings {
        live(&custody, ending).await;
    }
    let before = open_but_pipes(&own).await;
    for ending in endings.iter().cycle().take(50) {
        live(&custody, *ending).await;
    }
    assert_eq!(open_like(&before).await, before);
    // We are the parent of every orphan below us, so no child means that nobody is left at all.
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    assert_eq!(waitid(WaitId::All, options).map(|_| "a child is left"), Err(Errno::CHILD));
}

async fn live(custody: &Custody, ending: Ending) {
    let path = (OsString::from("PATH"), OsString::from("/usr/bin:/bin"));
    let spawn = Spawn { env: vec![path], ..Spawn::new(["/bin/sh", "-c", AGENT], "/") };
    if let Ending::DropStart = ending {
        tokio::select! {
            biased;
            _ = custody.spawn(spawn) => panic!("it cannot have started yet"),
            () = std::future::ready(()) => {}
        }
        return gone(custody).await;
    }
    let mut child = custody.spawn(spawn).await.expect("sh");
    let mut lines = Lines::new(child.stdout.take().expect("a pipe"));
    let said = lines.next().await.expect("a pipe").expect("a line");
    assert_eq!(said.line.text.expect("a short line"), "up");
    match ending {
        Ending::Exit => {
            drop(child.stdin.take());
            assert_eq!(child.ended().await, Exit::Code(7));
        }
        Ending::Stop => {
            let exit = child.stop(Duration::from_millis(10)).await;
            assert!(matches!(exit, Ok(Exit::Signal(15 | 9))), "{exit:?}");
        }
        Ending::KillKeep => {
            let keep = custody.scan()[0].keep_pid.cast_signed();
            kill_process(Pid::from_raw(keep).expect("not 0"), Signal::KILL).expect("it lives");
            assert_eq!(child.ended().await, Exit::Lost);
        }
        Ending::Drop | Ending::DropStart => drop(child),
    }
    gone(custody).await;
}

/// Waits until nothing runs.
async fn gone(custody: &Custody) {
    let gone = async {
        while !custody.scan().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), gone).await.expect("it ends");
}
