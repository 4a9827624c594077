//! A daemon in a temporary home, and what a user does with it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use trunkline_wire::sse::{Decoder, Event};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_trunkline");
/// No step of a test takes this long on any machine; what does hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A home with a workspace in it.
pub(crate) struct Home {
    dir: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("tl-").tempdir().unwrap();
        fs::create_dir(dir.path().join("work")).unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    /// A command in this home, with nothing else in its environment but what programs need.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.by(BINARY, args)
    }

    /// The same with any program.
    pub(crate) fn by(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).env_clear().current_dir(self.work());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.dir.path()).env("TRUNKLINE_HOME", self.path());
        command.env("TRUNKLINE_LISTEN", "127.0.0.1:0").env("NO_COLOR", "1").env("TRUNKLINE_NOTIFY", "off");
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).stdin(Stdio::null()).output().unwrap()
    }

    /// Processes that were started for this home or its workspace, the daemon itself among them.
    pub(crate) fn processes(&self) -> Vec<(u32, String)> {
        let marker = self.dir.path().to_str().unwrap();
        let pids = fs::read_dir("/proc").unwrap().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        pids.filter_map(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let cwd = fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
            let ours = text(&environment).contains(marker) || cwd.starts_with(marker);
            let line = text(&fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default()).replace('\0', " ");
            (ours && pid != std::process::id()).then_some((pid, line))
        })
        .collect()
    }

    /// Waits until no process of this home is left.
    pub(crate) fn is_quiet(&self) {
        let left = patiently(|| {
            let left = self.processes();
            left.is_empty().then_some(())
        });
        assert!(left.is_some(), "processes are left: {:?}", self.processes());
    }
}

/// Looks again and again until there is something to see.
pub(crate) fn patiently<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let start = std::time::Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(seen) = look() {
            return Some(seen);
        }
        std::thread::yield_now();
    }
    None
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A running daemon, and a client that holds its owner's token.
pub(crate) struct Daemon {
    pub(crate) child: Child,
    pub(crate) base_url: String,
    pub(crate) token: String,
    pub(crate) http: reqwest::Client,
}

impl Daemon {
    pub(crate) fn start(home: &Home) -> Self {
        Self::start_by(home, home.command(&["serve"]))
    }

    /// By a command that becomes the daemon.
    pub(crate) fn start_by(home: &Home, mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        // In a group of its own, so that a signal to it reaches nobody else.
        command.process_group(0);
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("ready") {
            let read = stderr.read_line(&mut said).unwrap();
            assert!(read > 0, "the daemon ended: {said}");
        }
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        let (base_url, token) = found(&home.path());
        Self { child, base_url, token, http: reqwest::Client::new() }
    }

    pub(crate) fn kill_9(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn signal(&self, signal: &str) {
        kill(&self.child, signal);
    }

    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> reqwest::Result<(StatusCode, Value)> {
        let mut request =
            self.http.request(method, format!("{}{path}", self.base_url)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let status = response.status();
        let text = response.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.ask(Method::GET, path, None).await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.ask(Method::POST, path, Some(&body)).await.unwrap()
    }

    /// A session of an agent that runs elsewhere.
    pub(crate) async fn external(&self) -> String {
        let (status, body) = self.post("/v1/sessions", json!({"driver": "external", "agent": "bot"})).await;
        assert_eq!(status, 201, "{body}");
        body["id"].as_str().unwrap().to_owned()
    }

    /// A session of the demo agent, which takes no pauses.
    pub(crate) async fn demo(&self, workspace: &Path) -> String {
        let argv = json!([BINARY, "demo-agent", "--pace", "0"]);
        let body = json!({"agent": "demo", "argv": argv, "workspace": workspace});
        let (status, body) = self.post("/v1/sessions", body).await;
        assert_eq!(status, 201, "{body}");
        body["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn prompt(&self, session: &str, text: &str) -> u64 {
        let (status, body) =
            self.post(&format!("/v1/sessions/{session}/turns"), json!({"prompt": text})).await;
        assert_eq!(status, 201, "{body}");
        body["turn"].as_u64().unwrap()
    }

    /// The whole log of a session.
    pub(crate) async fn log(&self, session: &str) -> Vec<Value> {
        let mut all: Vec<Value> = Vec::new();
        loop {
            let after = all.last().map_or(0, |event| event["seq"].as_u64().unwrap());
            let (status, page) =
                self.get(&format!("/v1/sessions/{session}/events?after={after}&limit=10000")).await;
            assert_eq!(status, 200, "{page}");
            all.extend(page["items"].as_array().unwrap().iter().cloned());
            if page["more"] == false {
                return all;
            }
        }
    }

    pub(crate) async fn follow(&self, session: &str, after: u64) -> reqwest::Result<Stream> {
        let url = format!("{}/v1/sessions/{session}/events", self.base_url);
        let request = self.http.get(url).bearer_auth(&self.token).header("accept", "text/event-stream");
        let response = request.header("last-event-id", after).send().await?.error_for_status()?;
        Ok(Stream { body: response.bytes_stream().boxed(), decoder: Decoder::default() })
    }
}

pub(crate) fn kill(child: &Child, signal: &str) {
    let status = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _it_may_be_gone = self.child.kill();
        let _it_may_be_reaped = self.child.wait();
    }
}

fn found(home: &Path) -> (String, String) {
    let runtime: Value = serde_json::from_slice(&fs::read(home.join("runtime.json")).unwrap()).unwrap();
    let token = fs::read_to_string(home.join("token")).unwrap();
    (runtime["base_url"].as_str().unwrap().to_owned(), token.trim().to_owned())
}

/// An event stream.
pub(crate) struct Stream {
    body: futures_util::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    decoder: Decoder,
}

impl Stream {
    /// The next event; `None` when the connection is gone.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.decoder.next() {
                return Some(event.unwrap());
            }
            self.decoder.push(&self.body.next().await?.ok()?);
        }
    }

    /// The data of events up to one of this type.
    pub(crate) async fn until(&mut self, kind: &str) -> Vec<Value> {
        let mut seen = Vec::new();
        loop {
            let event = self.next().await.expect("the stream goes on");
            if event.event != "message" {
                continue;
            }
            let value: Value = serde_json::from_str(&event.data).unwrap();
            let found = value["type"] == kind;
            seen.push(value);
            if found {
                return seen;
            }
        }
    }
}
