//! What the tests share.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use trunkline_run::custody::{Child, Custody, CustodyOptions, Lines, Spawn};

/// How long anything may take on a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A grace period that a test waits out only when it fails.
pub(crate) const LONG: Duration = PATIENCE;

/// The program that has `keep`.
pub(crate) const FIXTURE: &str = env!("CARGO_BIN_EXE_keep-fixture");

pub(crate) fn custody() -> Custody {
    with_grace(Duration::from_millis(100))
}

pub(crate) fn with_grace(grace: Duration) -> Custody {
    Custody::new(CustodyOptions { keep_program: FIXTURE.into(), grace, subreaper: None })
}

/// A shell script, in `/`, with nothing but a `PATH`.
pub(crate) fn sh(script: &str) -> Spawn {
    let path = (OsString::from("PATH"), OsString::from("/usr/local/bin:/usr/bin:/bin"));
    Spawn { env: vec![path], ..Spawn::new(["/bin/sh", "-c", script], "/") }
}

/// A Python script that may `say` lines, each in one write.
pub(crate) fn python(script: &str) -> Spawn {
    let script = &format!("import os\ndef say(what): os.write(1, (str(what) + '\\n').encode())\n{script}");
    let argv = ["python3", "-c", script].map(OsString::from).to_vec();
    Spawn { argv, ..sh("") }
}

/// What a child has to say, line by line.
pub(crate) struct Said(Lines);

impl Said {
    pub(crate) fn of(child: &mut Child) -> Self {
        Self(Lines::new(child.stdout.take().unwrap()))
    }

    /// The next line, or `None` at the end.
    pub(crate) async fn line(&mut self) -> Option<String> {
        let said =
            tokio::time::timeout(PATIENCE, self.0.next()).await.expect("it says something").unwrap()?;
        Some(String::from_utf8_lossy(&said.line.text.unwrap()).into_owned())
    }

    /// The next line, which is a process's number.
    pub(crate) async fn pid(&mut self) -> Process {
        Process::open(self.line().await.unwrap().trim().parse().unwrap())
    }

    pub(crate) async fn rest(&mut self) -> Vec<String> {
        let mut rest = Vec::new();
        while let Some(line) = self.line().await {
            rest.push(line);
        }
        rest
    }
}

/// A process held by a descriptor, which still means this one when its number means another.
pub(crate) struct Process(OwnedFd);

impl Process {
    /// A living process.
    pub(crate) fn open(pid: u32) -> Self {
        let pid = Pid::from_raw(pid.cast_signed()).unwrap();
        Self(pidfd_open(pid, PidfdFlags::empty()).expect("it lives"))
    }

    /// Whether it has ended by now.
    pub(crate) fn gone(&self) -> bool {
        self.gone_within(Duration::ZERO)
    }

    /// Waits for its end.
    pub(crate) fn wait(&self) {
        assert!(self.gone_within(PATIENCE), "it lives on");
    }

    fn gone_within(&self, time: Duration) -> bool {
        let time = Timespec::try_from(time).unwrap();
        poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&time)).unwrap() == 1
    }
}

/// The numbers of all processes whose environment has this entry. The test's own has not.
pub(crate) fn with_environment(entry: &str) -> Vec<u32> {
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|pid| pid.file_name().to_str()?.parse().ok());
    let has = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|found| found == entry.as_bytes())
    };
    pids.filter(has).collect()
}
