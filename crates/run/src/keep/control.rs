//! What the daemon and a `trunkline keep` say to each other: one JSON value a line, over a Unix stream socket.
//!
//! ```text
//! daemon → keep   {"start":{…}}                  once, first
//!                 {"stop":{"grace_ms":2000}}     any time; 0 kills at once
//!                 end of file                    as a stop with the grace of `start`
//! keep → daemon   {"started":{"pid":7,"start_time":91}}  or  {"failed":{"kind":…,"message":…}}
//!                 {"exited":{"code":0}}          the command itself is over
//!                 "ended"                        and nothing that it started is left
//! ```

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixStream;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use trunkline_wire::ndjson::Decoder;

use crate::sandbox::Confinement;

/// The most that Linux ever takes for arguments and environment together (`execve(2)`).
pub(crate) const MAX_ARGUMENTS: usize = 6 << 20;

/// The longest order: that much, of characters that JSON writes as six.
const MAX_ORDER: usize = 6 * MAX_ARGUMENTS + 64 * 1024;

/// The most of a command line that an error shows, in characters.
const SHOWN: usize = 200;

/// From the daemon.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    Start(Box<Start>),
    /// Ends the tree; the earliest of all deadlines asked for holds.
    Stop {
        grace_ms: u64,
    },
}

/// The command to run.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Start {
    /// Not empty; the first is looked up on the `PATH` of `env` unless it has a slash.
    pub(crate) argv: Vec<Os>,
    /// The whole environment.
    pub(crate) env: Vec<(Os, Os)>,
    pub(crate) cwd: Os,
    pub(crate) limits: Limits,
    /// The soft limit of open files where `limits` names none and the daemon has raised its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) open_files: Option<u64>,
    /// What it is shut in by; `None` leaves it all that its user has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) confine: Option<Confinement>,
    /// Between SIGTERM and SIGKILL when nobody says how long: the daemon is gone, or the command left
    /// descendants behind.
    pub(crate) grace_ms: u64,
}

/// From the keep.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Report {
    Started(ProcessId),
    Failed(Failure),
    Exited(Exit),
    Ended,
}

/// One process of this boot, which a pid alone does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessId {
    /// Its number, which the kernel will use again.
    pub pid: u32,
    /// When it started, in clock ticks since boot (field 22 of `/proc/<pid>/stat`).
    pub start_time: u64,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// It exited with this code, 0 to 255.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// Its `keep` was killed, so nobody saw how it ended.
    Lost,
}

/// Resource limits of a command and its descendants, soft and hard alike (see `setrlimit(2)`); `None` leaves what
/// the daemon has. A limit above the daemon's own hard limit is cut down to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Highest descriptor number plus one (`RLIMIT_NOFILE`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u64>,
    /// Processes and threads of the user, not of this tree alone (`RLIMIT_NPROC`); root is exempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
    /// Address space of each process, in bytes (`RLIMIT_AS`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_space: Option<u64>,
    /// Memory that each process may write to, in bytes (`RLIMIT_DATA`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<u64>,
    /// CPU time of each process, in seconds (`RLIMIT_CPU`): SIGXCPU, then SIGKILL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<u64>,
    /// Size of a file written, in bytes (`RLIMIT_FSIZE`): SIGXFSZ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_size: Option<u64>,
    /// Size of a core dump, in bytes (`RLIMIT_CORE`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core_size: Option<u64>,
}

/// Why a command did not start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What a caller may act on.
    pub kind: FailureKind,
    /// What was run, where, and why it failed, for a person.
    pub message: String,
}

/// What kept a command from starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// There is no such program: perhaps it is to be installed.
    NotFound,
    /// There is one, but it may not or cannot be executed.
    NotExecutable,
    /// It was to be shut in, and the kernel refuses that.
    Confinement,
    /// The working directory is missing, no directory, or closed to us.
    BadCwd,
    /// The arguments and environment are more than the kernel takes.
    TooLong,
    /// The `keep` process itself ended or broke before the command started.
    Keep,
    /// Anything else, such as no more processes or memory.
    System,
}

/// A string of the operating system. In JSON a string where it is UTF-8, else an array of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Os(pub(crate) OsString);

/// The keep's end of the control socket.
pub(super) struct Control {
    stream: UnixStream,
    decoder: Decoder,
    open: bool,
}

impl Control {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { stream, decoder: Decoder::new(MAX_ORDER), open: true }
    }

    /// What to poll for orders, until the daemon has closed its end or sent what is no order.
    pub(super) fn stream(&self) -> Option<&UnixStream> {
        self.open.then_some(&self.stream)
    }

    /// Waits for the first order. `None` when there is none to come, or it is another.
    pub(super) fn start(&mut self) -> Option<Start> {
        loop {
            match self.order() {
                Some(Order::Start(start)) => return Some(*start),
                Some(Order::Stop { .. }) => return None,
                None if self.open => self.read(),
                None => return None,
            }
        }
    }

    /// The next order that has been read.
    pub(super) fn order(&mut self) -> Option<Order> {
        let line = self.decoder.next()?;
        let order = line.text.ok().and_then(|text| serde_json::from_slice(&text).ok());
        self.open &= order.is_some();
        order
    }

    /// Reads once, waiting for bytes if there are none.
    pub(super) fn read(&mut self) {
        let mut bytes = [0; 16 * 1024];
        match self.stream.read(&mut bytes) {
            Ok(n) if n > 0 => self.decoder.push(&bytes[..n]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Ok(_) | Err(_) => self.open = false,
        }
    }

    /// Tells the daemon. Nobody may be listening any more, which changes nothing about what is to be done.
    pub(super) fn report(&mut self, report: &Report) {
        drop(self.stream.write_all(&line(report)));
    }
}

impl Start {
    /// Bytes of the arguments and the environment.
    pub(crate) fn size(&self) -> usize {
        let texts = self.argv.iter().chain(self.env.iter().flat_map(|(name, value)| [name, value]));
        texts.map(|text| text.0.len() + 1).sum()
    }

    /// What was run, where, and why it failed.
    pub(crate) fn failure(&self, kind: FailureKind, why: &str) -> Failure {
        let cwd = self.cwd.0.to_string_lossy();
        Failure { kind, message: format!("cannot run `{}` in {cwd}: {why}", self.shown()) }
    }

    /// There is more of arguments and environment than the kernel takes.
    pub(crate) fn too_long(&self) -> Failure {
        let why = format!("its {} bytes of arguments and environment are too many", self.size());
        self.failure(FailureKind::TooLong, &why)
    }

    /// The command line for a person: on one line, of bounded length.
    fn shown(&self) -> String {
        let word = |word: &Os| word.0.to_string_lossy().chars().take(SHOWN + 1).collect::<Vec<_>>();
        let line = self.argv.iter().flat_map(|text| std::iter::once(' ').chain(word(text))).skip(1);
        let line = line.map(|c| if c.is_control() { ' ' } else { c });
        let shown: String = line.take(SHOWN + 1).collect();
        match shown.char_indices().nth(SHOWN) {
            Some((at, _)) => shown[..at].to_owned() + "…",
            None => shown,
        }
    }
}

/// A message as it goes over the socket.
pub(crate) fn line(message: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).expect("messages have string keys and no fallible parts");
    line.push(b'\n');
    line
}

impl Os {
    pub(crate) fn from_path(path: std::path::PathBuf) -> Self {
        Self(path.into_os_string())
    }
}

impl<T: AsRef<OsStr> + ?Sized> From<&T> for Os {
    fn from(text: &T) -> Self {
        Self(text.as_ref().to_owned())
    }
}

impl Serialize for Os {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.to_str() {
            Some(text) => serializer.serialize_str(text),
            None => self.0.as_bytes().serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Os {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Bytes(Vec<u8>),
        }
        Ok(Self(match Form::deserialize(deserializer)? {
            Form::Text(text) => text.into(),
            Form::Bytes(bytes) => OsString::from_vec(bytes),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_protocol_reads_as_documented() {
        let start = Start {
            argv: vec![Os::from("agent"), Os(OsString::from_vec(vec![b'a', 0xff]))],
            env: vec![(Os::from("PATH"), Os::from("/bin"))],
            cwd: Os::from("/w"),
            limits: Limits { open_files: Some(64), ..Limits::default() },
            open_files: None,
            confine: None,
            grace_ms: 5,
        };
        let said = [
            line(&Order::Start(Box::new(start))),
            line(&Order::Stop { grace_ms: 0 }),
            line(&Report::Started(ProcessId { pid: 7, start_time: 91 })),
            line(&Report::Failed(Failure { kind: FailureKind::BadCwd, message: "no".to_owned() })),
            line(&Report::Exited(Exit::Code(3))),
            line(&Report::Exited(Exit::Signal(9))),
            line(&Report::Ended),
        ];
        let said = String::from_utf8(said.concat()).unwrap();
        let expected = [
            r#"{"start":{"argv":["agent",[97,255]],"env":[["PATH","/bin"]],"cwd":"/w","limits":{"open_files":64},"grace_ms":5}}"#,
            r#"{"stop":{"grace_ms":0}}"#,
            r#"{"started":{"pid":7,"start_time":91}}"#,
            r#"{"failed":{"kind":"bad_cwd","message":"no"}}"#,
            r#"{"exited":{"code":3}}"#,
            r#"{"exited":{"signal":9}}"#,
            r#""ended""#,
        ];
        assert_eq!(said.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_stream_that_does_not_begin_with_a_start_starts_nothing() {
        for said in ["", "{\"start\":", "{\"stop\":{\"grace_ms\":1}}\n", "hello\n"] {
            let (mut ours, theirs) = UnixStream::pair().unwrap();
            ours.write_all(said.as_bytes()).unwrap();
            drop(ours);
            assert_eq!(Control::new(theirs).start(), None, "{said}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_pass_through_an_os_string(bytes: Vec<u8>) {
            let os = Os(OsString::from_vec(bytes));
            let json = serde_json::to_string(&os).unwrap();
            prop_assert_eq!(serde_json::from_str::<Os>(&json).unwrap(), os);
        }
    }
}
