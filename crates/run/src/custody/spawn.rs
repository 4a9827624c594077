//! What to run, and why it could not be run.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use uuid::Uuid;

use crate::keep::control::{Failure, FailureKind, Limits, MAX_ARGUMENTS, Os, Start};
use crate::sandbox::Confinement;

/// A command to run in custody.
#[derive(Clone, Debug)]
pub struct Spawn {
    /// What this process is, for the one who wants it running: a session's agent, a terminal, a tool call. There is
    /// never more than one process tree of a resource.
    pub resource: String,
    /// Which life of the resource this is.
    pub incarnation: Uuid,
    /// The program and its arguments. A program without a slash is looked up on the `PATH` of `env`.
    pub argv: Vec<OsString>,
    /// The whole environment; nothing is inherited. The last of several values of one name counts.
    pub env: Vec<(OsString, OsString)>,
    /// The working directory, absolute.
    pub cwd: PathBuf,
    /// What it may use.
    pub limits: Limits,
    /// What it is shut in by.
    pub confine: Option<Confinement>,
    /// What it reads.
    pub stdin: Stdin,
    /// Where its stderr goes.
    pub stderr: Stderr,
}

/// What a command reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stdin {
    /// What we write.
    #[default]
    Piped,
    /// Nothing: end of file at once.
    Null,
}

/// Where a command's stderr goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stderr {
    /// Read always, whoever waits for what, and its last 64 KiB kept.
    #[default]
    Tail,
    /// Into the same pipe as stdout, in the order written, as in a terminal.
    Stdout,
}

/// Why there is no child.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// A part of the request cannot be passed to any program.
    #[error("{field}: {why}")]
    Invalid {
        /// Which part.
        field: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The resource still has a process tree. Stop that, wait until it has ended, and try again.
    #[error("{resource} is still running (incarnation {incarnation})")]
    Running {
        /// The resource asked for.
        resource: String,
        /// Its living incarnation.
        incarnation: Uuid,
    },
    /// The daemon is shutting down.
    #[error("no process is started any more: the daemon is shutting down")]
    Closed,
    /// `trunkline keep` itself could not be started.
    #[error("cannot run {} keep: {source}", program.display())]
    Keep {
        /// The binary that was to be the keep.
        program: PathBuf,
        /// Why not: out of descriptors, processes or memory, or there is no such file.
        source: std::io::Error,
    },
    /// The command did not start.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl Spawn {
    /// A command with stdin, stdout and a tail of stderr, no limits, an empty environment, and its name as the
    /// resource.
    pub fn new(argv: impl IntoIterator<Item = impl Into<OsString>>, cwd: impl Into<PathBuf>) -> Self {
        let argv: Vec<OsString> = argv.into_iter().map(Into::into).collect();
        Self {
            resource: argv.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            incarnation: Uuid::nil(),
            argv,
            env: Vec::new(),
            cwd: cwd.into(),
            limits: Limits::default(),
            confine: None,
            stdin: Stdin::default(),
            stderr: Stderr::default(),
        }
    }

    /// What `ps` shows behind `keep`: the program's file name.
    pub(super) fn label(&self) -> &OsStr {
        let name = self.argv.first().map(|program| program.as_bytes()).unwrap_or_default();
        let name = name.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        OsStr::from_bytes(&name[..name.len().min(64)])
    }

    /// The order that starts it, if what is asked for can be said to a kernel at all.
    pub(super) fn order(&self, grace: Duration) -> Result<Start, SpawnError> {
        let invalid = |field, why| Err(SpawnError::Invalid { field, why });
        let nul = |text: &OsStr| text.as_bytes().contains(&0);
        if self.argv.first().is_none_or(|program| program.is_empty()) {
            return invalid("argv", "there is no program");
        }
        if self.argv.iter().any(|word| nul(word)) {
            return invalid("argv", "a word holds a NUL byte");
        }
        if self.env.iter().any(|(name, value)| nul(name) || nul(value)) {
            return invalid("env", "a variable holds a NUL byte");
        }
        if self.env.iter().any(|(name, _)| name.is_empty() || name.as_bytes().contains(&b'=')) {
            return invalid("env", "a name is empty or holds `=`");
        }
        if !self.cwd.is_absolute() || nul(self.cwd.as_os_str()) {
            return invalid("cwd", "it must be an absolute path without NUL bytes");
        }
        let start = Start {
            argv: self.argv.iter().map(Os::from).collect(),
            env: self.env.iter().map(|(name, value)| (Os::from(name), Os::from(value))).collect(),
            cwd: Os::from(&self.cwd),
            limits: self.limits,
            open_files: super::files::before(),
            confine: self.confine.clone(),
            grace_ms: millis(grace),
        };
        if start.size() > MAX_ARGUMENTS { Err(start.too_long().into()) } else { Ok(start) }
    }
}

/// A failure of the keep, not of the command.
pub(super) fn broken(message: String) -> Failure {
    Failure { kind: FailureKind::Keep, message }
}

/// A grace period as it is told to a keep.
pub(super) fn millis(grace: Duration) -> u64 {
    u64::try_from(grace.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_program_can_be_given_is_refused_by_field() {
        let good = Spawn::new(["/bin/agent", "--acp"], "/w");
        assert!(good.order(Duration::ZERO).is_ok());
        assert_eq!(good.label(), "agent");
        let with = |change: &dyn Fn(&mut Spawn)| {
            let mut spawn = good.clone();
            change(&mut spawn);
            spawn.order(Duration::ZERO).unwrap_err().to_string()
        };
        let env = |name: &str, value: &str| {
            with(&|spawn| spawn.env = vec![(OsString::from(name), OsString::from(value))])
        };
        let refusals = [
            with(&|spawn| spawn.argv.clear()),
            with(&|spawn| spawn.argv[0].clear()),
            with(&|spawn| spawn.argv.push("a\0".into())),
            with(&|spawn| spawn.cwd = "w".into()),
            with(&|spawn| spawn.cwd = "/w\0".into()),
            env("", "x"),
            env("A=B", "x"),
            env("A", "x\0"),
        ];
        let expected = [
            "argv: there is no program",
            "argv: there is no program",
            "argv: a word holds a NUL byte",
            "cwd: it must be an absolute path without NUL bytes",
            "cwd: it must be an absolute path without NUL bytes",
            "env: a name is empty or holds `=`",
            "env: a name is empty or holds `=`",
            "env: a variable holds a NUL byte",
        ];
        assert_eq!(refusals, expected);
    }
}
