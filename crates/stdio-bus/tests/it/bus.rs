//! A router under test, and clients of it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take before the test gives up. Nothing waits this long when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_stdio_bus"))
}

pub(crate) fn spawn(command: &mut Command) -> Child {
    #[expect(clippy::disallowed_methods, reason = "a test ends what it starts")]
    command.spawn().unwrap()
}

/// A pool of scripted workers.
pub(crate) fn pool(id: &str, instances: usize) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/worker.py");
    json!({"id": id, "command": "python3", "args": ["-S", "-E", script, id], "instances": instances})
}

/// A configuration of one pool.
pub(crate) fn one(instances: usize) -> Value {
    json!({"pools": [pool("p", instances)]})
}

/// A configuration with other keys on top.
pub(crate) fn with(mut config: Value, keys: Value) -> Value {
    let (Value::Object(config_keys), Value::Object(keys)) = (&mut config, keys) else { panic!("objects") };
    config_keys.extend(keys);
    config
}

/// Lines that come from somewhere, read by a thread of their own.
pub(crate) struct Lines(Receiver<String>);

impl Lines {
    pub(crate) fn of(source: impl std::io::Read + Send + 'static) -> Self {
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let mut source = BufReader::new(source);
            loop {
                let mut line = Vec::new();
                match source.read_until(b'\n', &mut line) {
                    Ok(0) | Err(_) => break,
                    Ok(_) if line.ends_with(b"\n") => {
                        line.pop();
                        if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                            break;
                        }
                    }
                    Ok(_) => break,
                }
            }
        });
        Self(lines)
    }

    /// The next line; panics if none comes.
    pub(crate) fn next(&self) -> String {
        match self.0.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => panic!("no line came"),
            Err(RecvTimeoutError::Disconnected) => panic!("the stream has ended"),
        }
    }

    pub(crate) fn json(&self) -> Value {
        let line = self.next();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// The first line that holds this text.
    pub(crate) fn until(&self, text: &str) -> String {
        std::iter::repeat_with(|| self.next()).find(|line| line.contains(text)).unwrap()
    }

    /// All lines up to the end of the stream.
    pub(crate) fn rest(&self) -> Vec<String> {
        let next = || match self.0.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Timeout) => panic!("the stream does not end"),
            Err(RecvTimeoutError::Disconnected) => None,
        };
        std::iter::from_fn(next).collect()
    }
}

/// A running router.
pub(crate) struct Bus {
    pub(crate) child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) out: Lines,
    pub(crate) log: Lines,
    _folder: TempDir,
}

impl Bus {
    /// One client on stdio.
    pub(crate) fn stdio(config: &Value) -> Self {
        Self::start(config, &[])
    }

    /// Listens on TCP; the address as it logs it.
    pub(crate) fn tcp(config: &Value, address: &str) -> (Self, String) {
        let bus = Self::start(config, &["--tcp", address]);
        let line = bus.log.until("Listening on TCP ");
        let address = line.rsplit_once("TCP ").unwrap().1.to_owned();
        (bus, address)
    }

    pub(crate) fn start(config: &Value, args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, config.to_string()).unwrap();
        let mut command = program();
        command.arg("--config").arg(path).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn(&mut command);
        let stdin = child.stdin.take();
        let out = Lines::of(child.stdout.take().unwrap());
        let stderr: ChildStderr = child.stderr.take().unwrap();
        Self { child, stdin, out, log: Lines::of(stderr), _folder: folder }
    }

    pub(crate) fn send(&mut self, line: impl AsRef<[u8]>) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(&[line.as_ref(), b"\n"].concat()).unwrap();
    }

    /// Sends a request and returns the next line, which is its answer if nothing else happens.
    pub(crate) fn call(&mut self, id: u64, method: &str, params: Value) -> Value {
        self.send(request(id, method, params));
        self.out.json()
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Ends it by closing its stdin, or by a signal; it must end well.
    pub(crate) fn stop(mut self) {
        self.stdin = None;
        self.signal(rustix::process::Signal::TERM);
        let status = self.ended();
        assert_eq!((status.code(), status.signal()), (Some(0), None));
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        // One that has ended by itself need not be killed.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[expect(clippy::needless_pass_by_value, reason = "a test reads better without")]
pub(crate) fn request(id: u64, method: &str, params: Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string()
}

/// A request of a session.
#[expect(clippy::needless_pass_by_value, reason = "a test reads better without")]
pub(crate) fn in_session(session: &str, id: u64, method: &str, params: Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params, "sessionId": session}).to_string()
}

/// A client on a socket.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    pub(crate) lines: Lines,
}

impl Client {
    pub(crate) fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let lines = Lines::of(stream.try_clone().unwrap());
        Self { stream, lines }
    }

    pub(crate) fn send(&mut self, line: impl AsRef<[u8]>) {
        self.stream.write_all(&[line.as_ref(), b"\n"].concat()).unwrap();
    }

    pub(crate) fn call(&mut self, id: u64, method: &str, params: Value) -> Value {
        self.send(request(id, method, params));
        self.lines.json()
    }
}

/// Whether a process is there, and not only waits to be reaped.
pub(crate) fn runs(pid: &Value) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

/// Waits until a process is gone.
pub(crate) fn gone(pid: &Value) {
    let pid = rustix::process::Pid::from_raw(pid.as_i64().unwrap() as i32).unwrap();
    if let Ok(process) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) {
        let mut ended = [rustix::event::PollFd::new(&process, rustix::event::PollFlags::IN)];
        let patience = rustix::event::Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
        assert_eq!(rustix::event::poll(&mut ended, Some(&patience)), Ok(1), "the process lives on");
    }
}
