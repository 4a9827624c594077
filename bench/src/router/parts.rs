//! What this program plays beside the one it measures: the worker behind the router, and the relay in the router's place.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

/// The word that makes this program the worker.
pub(crate) const WORKER: &str = "echo-worker";
/// The word that makes it a worker that fails, in the way that the next word says.
pub(crate) const FAULTY: &str = "faulty-worker";
/// The word that makes it the relay.
pub(crate) const RELAY: &str = "relay";

const CHUNK: usize = 256 << 10;
const ASKED: &[u8] = b"\"method\":\"e\",\"params\":";
const ANSWERED: &[u8] = b"\"result\":";

/// Plays a part, if the command line names one.
pub(crate) fn play(args: &[String]) -> Option<Result<()>> {
    match args.get(1)?.as_str() {
        WORKER => Some(echo()),
        FAULTY => Some(faulty(args.get(2).map_or("", String::as_str))),
        RELAY => Some(relay(args.get(2).map_or("", String::as_str))),
        _ => None,
    }
}

/// What a worker does instead of answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Exits,
    ExitsWell,
    IsKilled,
    ClosesStdout,
    ClosesStdin,
    Hangs,
}

impl Fault {
    pub(crate) const ALL: [Self; 6] =
        [Self::Exits, Self::ExitsWell, Self::IsKilled, Self::ClosesStdout, Self::ClosesStdin, Self::Hangs];
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exits => "exits with 3",
            Self::ExitsWell => "exits with 0",
            Self::IsKilled => "is killed",
            Self::ClosesStdout => "closes its stdout",
            Self::ClosesStdin => "closes its stdin",
            Self::Hangs => "hangs",
        })
    }
}

/// Answers the first line as the other worker does, and fails at the second.
fn faulty(fault: &str) -> Result<()> {
    let fault = Fault::ALL.into_iter().find(|known| known.to_string() == fault).context("no such fault")?;
    let mut lines = io::stdin().lines();
    let first = lines.next().context("there is a first line")??;
    let asked = std::str::from_utf8(ASKED)?;
    writeln!(io::stdout(), "{}", first.replace(asked, std::str::from_utf8(ANSWERED)?))?;
    io::stdout().flush()?;
    lines.next().context("there is a second line")??;
    let nowhere = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    match fault {
        #[expect(clippy::exit, reason = "that is the fault")]
        Fault::Exits => std::process::exit(3),
        Fault::ExitsWell => return Ok(()),
        Fault::IsKilled => rustix::process::kill_process(rustix::process::getpid(), Signal::KILL)?,
        Fault::ClosesStdout => rustix::stdio::dup2_stdout(&nowhere)?,
        Fault::ClosesStdin => rustix::stdio::dup2_stdin(&nowhere)?,
        Fault::Hangs => {}
    }
    loop {
        thread::park();
    }
}

/// Answers each line by its own `params`, as many at a time as have come.
fn echo() -> Result<()> {
    let (mut stdin, mut stdout) = (io::stdin().lock(), io::stdout().lock());
    let mut buffer = vec![0; CHUNK];
    let (mut rest, mut out) = (Vec::new(), Vec::new());
    let finder = memchr::memmem::Finder::new(ASKED);
    loop {
        let count = stdin.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        rest.extend_from_slice(&buffer[..count]);
        let whole = memchr::memrchr(b'\n', &rest).map_or(0, |at| at + 1);
        for line in rest[..whole].split_inclusive(|byte| *byte == b'\n') {
            match finder.find(line) {
                Some(at) => {
                    out.extend_from_slice(&line[..at]);
                    out.extend_from_slice(ANSWERED);
                    out.extend_from_slice(&line[at + ASKED.len()..]);
                }
                None => out.extend_from_slice(line),
            }
        }
        rest.drain(..whole);
        stdout.write_all(&out)?;
        stdout.flush()?;
        out.clear();
    }
}

/// Starts a worker and copies bytes between it and one client, a thread for each direction.
fn relay(way: &str) -> Result<()> {
    let mut worker = worker()?;
    let (to, from) = (worker.stdin.take().context("piped")?, worker.stdout.take().context("piped")?);
    let client: (OwnedFd, OwnedFd) = match way.split_once(':') {
        None => (io::stdin().as_fd().try_clone_to_owned()?, io::stdout().as_fd().try_clone_to_owned()?),
        Some(("tcp", address)) => {
            let listener = TcpListener::bind(address)?;
            tell(&format!("Listening on TCP {}", listener.local_addr()?))?;
            let (stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            (stream.try_clone()?.into(), stream.into())
        }
        Some(("unix", path)) => {
            let listener = UnixListener::bind(path)?;
            tell(&format!("Listening on Unix socket: {path}"))?;
            let (stream, _) = listener.accept()?;
            (stream.try_clone()?.into(), stream.into())
        }
        Some(_) => bail!("no such way: {way}"),
    };
    let there = thread::spawn(move || copy(client.0, to.into()));
    copy(from.into(), client.1)?;
    there.join().map_err(|_| anyhow::anyhow!("a thread of the relay ended early"))??;
    worker.wait()?;
    Ok(())
}

fn worker() -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(WORKER).stdin(Stdio::piped()).stdout(Stdio::piped());
    #[expect(clippy::disallowed_methods, reason = "the relay waits for it, and it ends when its stdin does")]
    Ok(command.spawn()?)
}

#[expect(clippy::print_stderr, reason = "that is where whoever started us looks")]
fn tell(line: &str) -> io::Result<()> {
    eprintln!("{line}");
    io::stderr().flush()
}

fn copy(from: OwnedFd, to: OwnedFd) -> io::Result<()> {
    let (mut from, mut to) = (std::fs::File::from(from), std::fs::File::from(to));
    let mut buffer = vec![0; CHUNK];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            count => to.write_all(&buffer[..count])?,
        }
    }
}
