//! A minimal ACP client: enough to take one turn with a real agent and to keep every line of it. It tells a broken
//! agent from a broken Trunkline, and it makes the recordings in `tests/agents/recordings`.

use serde::Serialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinSet;

use super::AgentKit;

/// How long an agent may take for one answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest line an agent may write, in bytes; a longer one is garbage.
const MAX_LINE: u64 = 16 << 20;
/// How much of an agent's standard error is kept, in bytes; the rest is read and dropped.
const MAX_STDERR: u64 = 64 << 10;

/// A running agent and everything said with it. Dropped, it ends the agent's process group.
#[derive(Debug)]
pub struct Dialogue {
    agent: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    stderr: JoinSet<String>,
    capabilities: Value,
    requests: u64,
    lines: Vec<Line>,
}

/// One line of the conversation, without its line break.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Which way it went.
    pub dir: Direction,
    /// The line.
    pub line: String,
}

/// Which way a line went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To the agent.
    In,
    /// From the agent.
    Out,
}

/// What the user says to a request for permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Allow it this once.
    Allow,
    /// Reject it this once.
    Deny,
    /// Cancel the turn.
    Cancel,
}

/// A turn that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// The agent's stop reason.
    pub stop_reason: String,
    /// The methods the agent called or notified, in order.
    pub methods: Vec<String>,
    /// The `update` of each `session/update`, in order.
    pub updates: Vec<Value>,
    /// The parameters of each request for permission.
    pub permissions: Vec<Value>,
}

/// Why the conversation broke off.
#[derive(Debug, thiserror::Error)]
pub enum DialogueError {
    /// The agent could not be started, or its pipes broke.
    #[error("the agent's process: {0}")]
    Io(#[from] std::io::Error),
    /// The agent closed its standard output.
    #[error("the agent closed its output; its last words: {0}")]
    Closed(String),
    /// The agent took longer than a minute.
    #[error("the agent gave no answer to {0} within a minute")]
    Silent(String),
    /// The agent wrote something that is not JSON-RPC.
    #[error("the agent wrote a line that is not a JSON object: {0}")]
    Garbage(String),
    /// The agent answered with an error.
    #[error("{method} failed: {error}")]
    Failed {
        /// The method.
        method: String,
        /// The error object.
        error: Value,
    },
    /// The agent's permission request has no option of the kind the user chose.
    #[error("no option of the kind {0}")]
    NoOption(&'static str),
}

impl Dialogue {
    /// Starts the agent in a workspace and initializes it with the capabilities given.
    ///
    /// # Errors
    /// [`DialogueError`].
    pub async fn start(
        kit: &AgentKit,
        workspace: &Path,
        path: &str,
        capabilities: Value,
    ) -> Result<Self, DialogueError> {
        kit.prepare()?;
        let mut command = Command::new(&kit.argv[0]);
        command.args(&kit.argv[1..]).env_clear().env("PATH", path).envs(kit.env.iter().cloned());
        command.current_dir(workspace).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[expect(clippy::disallowed_methods, reason = "the test kit stands apart from the daemon's custody")]
        let mut agent = command.spawn()?;
        let missing = "all three streams are piped";
        let stdin = Some(agent.stdin.take().expect(missing));
        let stdout = BufReader::new(agent.stdout.take().expect(missing));
        let errors = agent.stderr.take().expect(missing);
        let mut stderr = JoinSet::new();
        stderr.spawn(last_words(errors));
        let mut new =
            Self { agent, stdin, stdout, stderr, capabilities: Value::Null, requests: 0, lines: Vec::new() };
        let client = json!({ "name": "trunkline", "title": "Trunkline", "version": "0.1.0" });
        let hello = json!({ "protocolVersion": 1, "clientCapabilities": capabilities, "clientInfo": client });
        new.capabilities = new.call("initialize", hello).await?["agentCapabilities"].take();
        Ok(new)
    }

    /// The agent's capabilities.
    #[must_use]
    pub fn capabilities(&self) -> &Value {
        &self.capabilities
    }

    /// Every line so far.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Begins a session and returns its id.
    ///
    /// # Errors
    /// [`DialogueError`].
    pub async fn new_session(&mut self, workspace: &Path) -> Result<String, DialogueError> {
        let answer = self.call("session/new", json!({ "cwd": workspace, "mcpServers": [] })).await?;
        Ok(answer["sessionId"].as_str().unwrap_or_default().to_owned())
    }

    /// Takes up a session of an earlier process.
    ///
    /// # Errors
    /// [`DialogueError`].
    pub async fn load_session(&mut self, session: &str, workspace: &Path) -> Result<(), DialogueError> {
        let params = json!({ "sessionId": session, "cwd": workspace, "mcpServers": [] });
        self.call("session/load", params).await.map(drop)
    }

    /// Takes a turn, deciding on every request for permission alike.
    ///
    /// # Errors
    /// [`DialogueError`].
    pub async fn prompt(
        &mut self,
        session: &str,
        text: &str,
        decision: Decision,
    ) -> Result<Turn, DialogueError> {
        let prompt = json!({ "sessionId": session, "prompt": [{ "type": "text", "text": text }] });
        let mut turn = Turn {
            stop_reason: String::new(),
            methods: Vec::new(),
            updates: Vec::new(),
            permissions: Vec::new(),
        };
        let id = self.request("session/prompt", prompt).await?;
        let answer = self.answer("session/prompt", id, Some((decision, &mut turn))).await?;
        answer["stopReason"].as_str().unwrap_or_default().clone_into(&mut turn.stop_reason);
        Ok(turn)
    }

    /// Ends the agent by closing its input, and with SIGTERM if that does not end it within the patience given.
    /// Returns whether it ended by itself, and what it wrote to its standard error.
    ///
    /// # Errors
    /// [`DialogueError::Io`].
    pub async fn end(mut self, patience: Duration) -> Result<(bool, String), DialogueError> {
        self.stdin = None;
        let by_itself = tokio::time::timeout(patience, self.agent.wait()).await.is_ok();
        if !by_itself {
            self.signal("TERM");
            self.agent.wait().await?;
        }
        Ok((by_itself, self.stderr.join_next().await.and_then(Result::ok).unwrap_or_default()))
    }

    async fn call(&mut self, method: &str, params: Value) -> Result<Value, DialogueError> {
        let id = self.request(method, params).await?;
        self.answer(method, id, None).await
    }

    async fn request(&mut self, method: &str, params: Value) -> Result<u64, DialogueError> {
        let id = self.requests;
        self.requests += 1;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).await?;
        Ok(id)
    }

    /// Reads on until the answer to a request is there, and serves the agent's own requests meanwhile.
    async fn answer(
        &mut self,
        method: &str,
        id: u64,
        mut turn: Option<(Decision, &mut Turn)>,
    ) -> Result<Value, DialogueError> {
        loop {
            let mut message = self.read(method).await?;
            match message["method"].as_str().map(str::to_owned) {
                Some(called) => {
                    if let Some((_, turn)) = &mut turn {
                        turn.take(&called, &message["params"]);
                    }
                    let decision = turn.as_ref().map_or(Decision::Deny, |(decision, _)| *decision);
                    self.serve(&called, &message, decision).await?;
                }
                None if message["id"] == id => {
                    let error = message["error"].take();
                    let method = method.to_owned();
                    return match error {
                        Value::Null => Ok(message["result"].take()),
                        error => Err(DialogueError::Failed { method, error }),
                    };
                }
                None => {}
            }
        }
    }

    async fn serve(
        &mut self,
        method: &str,
        message: &Value,
        decision: Decision,
    ) -> Result<(), DialogueError> {
        let (id, params) = (&message["id"], &message["params"]);
        if id.is_null() {
            return Ok(());
        }
        let file = params["path"].as_str().map(PathBuf::from).unwrap_or_default();
        let answer = match method {
            "session/request_permission" => {
                if decision == Decision::Cancel {
                    let session = json!({ "sessionId": params["sessionId"] });
                    self.send(&json!({ "jsonrpc": "2.0", "method": "session/cancel", "params": session }))
                        .await?;
                }
                ("result", json!({ "outcome": outcome(&params["options"], decision)? }))
            }
            "fs/read_text_file" => match std::fs::read_to_string(&file) {
                Ok(content) => ("result", json!({ "content": content })),
                Err(_) => ("error", json!({ "code": -32002, "message": "Resource not found" })),
            },
            "fs/write_text_file" => {
                std::fs::write(&file, params["content"].as_str().unwrap_or_default())?;
                ("result", json!({}))
            }
            _ => ("error", json!({ "code": -32601, "message": "Method not found" })),
        };
        self.send(&json!({ "jsonrpc": "2.0", "id": id, answer.0: answer.1 })).await
    }

    async fn send(&mut self, message: &Value) -> Result<(), DialogueError> {
        let line = message.to_string();
        let stdin = self.stdin.as_mut().expect("only `end` closes the input, and it takes the dialogue");
        stdin.write_all(format!("{line}\n").as_bytes()).await?;
        self.lines.push(Line { dir: Direction::In, line });
        Ok(())
    }

    async fn read(&mut self, method: &str) -> Result<Value, DialogueError> {
        let mut bytes = Vec::new();
        let mut limited = (&mut self.stdout).take(MAX_LINE);
        let reading = tokio::time::timeout(PATIENCE, limited.read_until(b'\n', &mut bytes));
        if reading.await.map_err(|_| DialogueError::Silent(method.to_owned()))?? == 0 {
            self.signal("KILL");
            let words = self.stderr.join_next().await.and_then(Result::ok).unwrap_or_default();
            return Err(DialogueError::Closed(words));
        }
        let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        let message: Value = serde_json::from_str(&line).unwrap_or_default();
        self.lines.push(Line { dir: Direction::Out, line: line.clone() });
        if message.is_object() { Ok(message) } else { Err(DialogueError::Garbage(line)) }
    }

    /// Signals the agent's group: some agents are a wrapper around another process.
    fn signal(&self, signal: &str) {
        let Some(group) = self.agent.id() else { return };
        let mut kill = std::process::Command::new("kill");
        kill.args(["-s", signal, "--", &format!("-{group}")]).stderr(Stdio::null());
        // A group that is already gone is what is wanted.
        drop(kill.status());
    }
}

impl Drop for Dialogue {
    fn drop(&mut self) {
        self.signal("KILL");
    }
}

impl Turn {
    fn take(&mut self, method: &str, params: &Value) {
        self.methods.push(method.to_owned());
        match method {
            "session/update" => self.updates.push(params["update"].clone()),
            "session/request_permission" => self.permissions.push(params.clone()),
            _ => {}
        }
    }

    /// The text of the agent's message chunks, joined.
    #[must_use]
    pub fn text(&self) -> String {
        let chunks = self.updates.iter().filter(|update| update["sessionUpdate"] == "agent_message_chunk");
        chunks.filter_map(|chunk| chunk["content"]["text"].as_str()).collect()
    }

    /// The last status told of any tool call, in a call or an update.
    #[must_use]
    pub fn tool_status(&self) -> Option<&str> {
        let calls = self.updates.iter().rev().filter(|update| update["toolCallId"].is_string());
        calls.filter_map(|update| update["status"].as_str()).next()
    }
}

fn outcome(options: &Value, decision: Decision) -> Result<Value, DialogueError> {
    let kind = match decision {
        Decision::Allow => "allow_once",
        Decision::Deny => "reject_once",
        Decision::Cancel => return Ok(json!({ "outcome": "cancelled" })),
    };
    let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
    let option = options.iter().find(|option| option["kind"] == kind).ok_or(DialogueError::NoOption(kind))?;
    Ok(json!({ "outcome": "selected", "optionId": option["optionId"] }))
}

/// Keeps the beginning of an agent's standard error and reads the rest, so that the agent never blocks on it.
async fn last_words(mut errors: tokio::process::ChildStderr) -> String {
    let mut kept = Vec::new();
    let mut beginning = (&mut errors).take(MAX_STDERR);
    // A broken pipe ends the reading as the end of the file does.
    let _read = beginning.read_to_end(&mut kept).await;
    let _rest = tokio::io::copy(&mut errors, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&kept).into_owned()
}
