//! The daemon's own death, and what it was started with.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::support::*;

/// A daemon with one command in custody, started by a shell that may set the scene first.
struct Daemon {
    process: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Daemon {
    fn start(scene: &str, argv: &[&str]) -> Self {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(format!("{scene}; exec \"$0\" \"$@\"")).args([FIXTURE, "daemon"]).args(argv);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        #[expect(clippy::disallowed_methods, reason = "this is the daemon that keeps, not what is kept")]
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("it says something").unwrap()
    }

    fn keep(&mut self) -> Process {
        Process::open(self.line().strip_prefix("keep ").unwrap().parse().unwrap())
    }

    fn pid(&mut self) -> Process {
        Process::open(self.line().parse().unwrap())
    }
}

/// A command and a grandchild that ignores SIGTERM, has a session of its own and lost its parent.
const FAMILY: &str = "setsid sh -c 'trap \"\" TERM; sleep 1000 & echo $!'; echo $$; read x; exec sleep 1000";

#[test]
fn nothing_outlives_a_killed_daemon() {
    let mut daemon = Daemon::start(":", &["sh", "-c", FAMILY]);
    let (keep, grandchild, command) = (daemon.keep(), daemon.pid(), daemon.pid());
    daemon.process.kill().unwrap();
    daemon.process.wait().unwrap();
    [command, grandchild, keep].iter().for_each(Process::wait);
}

#[test]
fn what_a_killed_keep_leaves_falls_to_the_daemon() {
    let mut daemon = Daemon::start(":", &["sh", "-c", FAMILY]);
    let keep: i32 = daemon.line().strip_prefix("keep ").unwrap().parse().unwrap();
    let (grandchild, command) = (daemon.pid(), daemon.pid());
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(keep).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    assert_eq!(daemon.line(), "ended Lost");
    assert!(command.gone() && grandchild.gone());
    assert!(daemon.process.wait().unwrap().success());
}

#[test]
fn signals_are_at_their_defaults_whatever_the_daemon_was_started_with() {
    let scene = "trap '' HUP INT QUIT USR1 TERM XFSZ PIPE";
    let mut daemon = Daemon::start(scene, &["grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"]);
    let _keep = daemon.line();
    assert_eq!(daemon.line(), "SigBlk:\t0000000000000000");
    assert_eq!(daemon.line(), "SigIgn:\t0000000000000000");
    assert_eq!(daemon.line(), "ended Code(0)");
    assert!(daemon.process.wait().unwrap().success());
}
