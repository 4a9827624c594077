//! Real agents of other vendors, set up to talk to the scripted model and to nothing else.
//!
//! `tests/agents/package.json` pins them; `npm ci --prefix tests/agents` installs them (Node 20 or newer). A kit
//! says how to start one; a test gives it a temporary home, a model server's address and the [`write_file`] script.
//!
//! The agents get no telemetry, no update checks, no true home and no network: what they want from outside goes to
//! a proxy, which is the model server, and is refused and recorded there as a `CONNECT`.

mod dialogue;

use std::io;
use std::path::{Path, PathBuf};

use crate::script::{Call, Rule, Script, Step, When};

pub use dialogue::{Decision, Dialogue, DialogueError, Direction, Line, Turn};

/// What the prompt must contain for the [`write_file`] script to call a tool.
pub const WRITE_PROMPT: &str = "Please write the file.";
/// What the model says after the tool, whether the tool was allowed or not.
pub const CLOSING_WORDS: &str = "All done.";

/// One agent, ready to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentKit {
    /// Its name in Trunkline's table of known agents.
    pub name: &'static str,
    /// The program and its arguments; the program's path is absolute.
    pub argv: Vec<String>,
    /// The environment it needs besides `PATH`, on which `node` must stand. Nothing else should be passed on.
    pub env: Vec<(String, String)>,
    /// Its temporary home.
    pub home: PathBuf,
    /// Its settings: paths below the home, and contents.
    pub files: Vec<(&'static str, String)>,
    /// What tests expect of it.
    pub traits: Traits,
}

/// How an agent differs from the others, as seen on the pinned version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// The stop reason of a turn in which the user denied the tool.
    pub stop_when_denied: &'static str,
    /// Whether a denied tool call is reported as failed. Of the others only the permission request tells of it.
    pub reports_denied_tool: bool,
    /// Whether it writes files through the client's `fs/write_text_file` when that is offered.
    pub writes_through_client: bool,
    /// Whether it can write a new file when `fs/read_text_file` is offered and answered, as it should be, with
    /// "resource not found".
    pub survives_missing_file: bool,
    /// Whether it ends by itself when its standard input is closed.
    pub ends_on_eof: bool,
}

impl AgentKit {
    /// All agents, each with a home of its own below `homes`.
    #[must_use]
    pub fn all(model_url: &str, homes: &Path) -> [Self; 3] {
        [
            Self::gemini(model_url, &homes.join("gemini")),
            Self::claude(model_url, &homes.join("claude")),
            Self::codex(model_url, &homes.join("codex")),
        ]
    }

    /// Google's Gemini CLI, which speaks ACP itself and asks the model in Gemini's dialect.
    #[must_use]
    pub fn gemini(model_url: &str, home: &Path) -> Self {
        let settings = serde_json::json!({
            "general": { "enableAutoUpdate": false, "enableAutoUpdateNotification": false },
            "model": { "name": "gemini-2.5-flash" },
            "privacy": { "usageStatisticsEnabled": false },
            "security": {
                "auth": { "selectedType": "gemini-api-key" },
                "folderTrust": { "enabled": false },
            },
            "telemetry": { "enabled": false },
        });
        Self {
            name: "gemini",
            argv: vec![program("gemini"), "--acp".to_owned()],
            env: environment(
                model_url,
                home,
                &[
                    ("GEMINI_API_KEY", "dummy"),
                    ("GOOGLE_GEMINI_BASE_URL", model_url),
                    // Without it the CLI starts itself a second time, only to have a larger heap.
                    ("GEMINI_CLI_NO_RELAUNCH", "true"),
                ],
            ),
            home: home.to_owned(),
            files: vec![(".gemini/settings.json", settings.to_string())],
            traits: Traits {
                stop_when_denied: "end_turn",
                reports_denied_tool: false,
                writes_through_client: true,
                survives_missing_file: false,
                ends_on_eof: true,
            },
        }
    }

    /// Anthropic's Claude Code behind Zed's ACP adapter; it asks the model in the dialect of messages.
    #[must_use]
    pub fn claude(model_url: &str, home: &Path) -> Self {
        Self {
            name: "claude-acp",
            argv: vec![program("claude-agent-acp")],
            env: claude_environment(model_url, home),
            home: home.to_owned(),
            files: Vec::new(),
            traits: Traits {
                stop_when_denied: "end_turn",
                reports_denied_tool: true,
                writes_through_client: false,
                survives_missing_file: true,
                ends_on_eof: false,
            },
        }
    }

    /// Anthropic's Claude Code itself, which speaks a protocol of its own.
    #[must_use]
    pub fn claude_code(model_url: &str, home: &Path) -> Self {
        Self { name: "claude", argv: vec![program("claude")], ..Self::claude(model_url, home) }
    }

    /// OpenAI's Codex behind Zed's ACP adapter; it asks the model in the dialect of responses. The program is a
    /// Node wrapper that passes no signal on to the agent proper: only ending the process group ends both.
    #[must_use]
    pub fn codex(model_url: &str, home: &Path) -> Self {
        let config = format!(
            r#"model = "scripted"
model_provider = "scripted"
approval_policy = "untrusted"
sandbox_mode = "read-only"
check_for_update_on_startup = false

[analytics]
enabled = false

[feedback]
enabled = false

[model_providers.scripted]
name = "scripted"
base_url = "{model_url}/v1"
wire_api = "responses"
env_key = "SCRIPTED_API_KEY"
request_max_retries = 0
stream_max_retries = 0
"#
        );
        Self {
            name: "codex",
            argv: vec![program("codex-acp")],
            env: environment(model_url, home, &[("SCRIPTED_API_KEY", "dummy")]),
            home: home.to_owned(),
            files: vec![(".codex/config.toml", config)],
            traits: Traits {
                stop_when_denied: "cancelled",
                reports_denied_tool: false,
                writes_through_client: false,
                survives_missing_file: true,
                ends_on_eof: false,
            },
        }
    }

    /// Makes the home and puts the settings into it.
    ///
    /// # Errors
    /// What the file system says; that the agent is not installed, with the command that installs it.
    pub fn prepare(&self) -> io::Result<()> {
        if !Path::new(&self.argv[0]).exists() {
            let message = format!("{} is missing: run `npm ci --prefix tests/agents`", self.argv[0]);
            return Err(io::Error::new(io::ErrorKind::NotFound, message));
        }
        std::fs::create_dir_all(&self.home)?;
        for (path, content) in &self.files {
            let path = self.home.join(path);
            path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            std::fs::write(path, content)?;
        }
        Ok(())
    }

    /// Makes what the agent keeps on disk an hour older, to be called between two processes that share a session.
    ///
    /// Gemini CLI names a conversation's file by the minute. `session/load` in the minute of `session/new` first
    /// starts a new conversation in the same file and then finds nothing to load; a minute later all is well.
    ///
    /// # Errors
    /// What the file system says.
    pub fn let_an_hour_pass(&self) -> io::Result<()> {
        let projects = self.home.join(".gemini/tmp");
        if !projects.exists() {
            return Ok(());
        }
        for project in std::fs::read_dir(projects)? {
            let chats = project?.path().join("chats");
            if chats.exists() {
                let files = std::fs::read_dir(chats)?.map(|file| Ok(file?.path()));
                let mut files = files.collect::<io::Result<Vec<_>>>()?;
                // The oldest first, or it is overwritten by the next.
                files.sort();
                files.iter().try_for_each(|file| make_older(file))?;
            }
        }
        Ok(())
    }
}

/// The script for a turn with one file write: to a prompt with [`WRITE_PROMPT`] the model calls the agent's tool for
/// files or, where it has none, its shell; after that it says [`CLOSING_WORDS`]. To anything else it says "Ready.".
///
/// The path must be absolute, and both it and the content free of single quotes.
#[must_use]
pub fn write_file(path: &Path, content: &str) -> Script {
    let arguments = serde_json::json!({ "file_path": path, "content": content });
    let command = format!("printf %s '{content}' > '{}'", path.display());
    let call = |tool: &str, arguments: &serde_json::Value| Call {
        tool: tool.to_owned(),
        arguments: arguments.clone(),
        unoffered: false,
    };
    let calls = vec![
        call("write_file", &arguments),
        call("Write", &arguments),
        call("exec_command", &serde_json::json!({ "cmd": command })),
    ];
    let tools = calls.iter().map(|call| call.tool.clone()).collect();
    let asked = When {
        user_text: Some(WRITE_PROMPT.to_owned()),
        after_tool: Some(false),
        offers: tools,
        ..When::default()
    };
    let say = |text: &str| Step::Text(text.to_owned());
    Script {
        rules: vec![
            Rule {
                when: asked,
                answer: vec![say("I will "), say("write it."), Step::Call(calls)],
                ..Rule::default()
            },
            Rule {
                when: When { after_tool: Some(true), ..When::default() },
                answer: vec![say("All "), say("done.")],
                ..Rule::default()
            },
            Rule { answer: vec![say("Ready.")], ..Rule::default() },
        ],
    }
}

fn program(name: &str) -> String {
    let bin = Path::new(env!("CARGO_MANIFEST_DIR")).join("../agents/node_modules/.bin");
    bin.join(name).to_string_lossy().into_owned()
}

fn environment(model_url: &str, home: &Path, own: &[(&str, &str)]) -> Vec<(String, String)> {
    let home = home.to_string_lossy();
    let common = [
        ("HOME", home.as_ref()),
        ("LANG", "C.UTF-8"),
        ("TERM", "dumb"),
        ("HTTP_PROXY", model_url),
        ("HTTPS_PROXY", model_url),
        ("NO_PROXY", "127.0.0.1,localhost"),
    ];
    common.iter().chain(own).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn claude_environment(model_url: &str, home: &Path) -> Vec<(String, String)> {
    let own = [
        ("ANTHROPIC_API_KEY", "dummy"),
        ("ANTHROPIC_BASE_URL", model_url),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
        ("DISABLE_AUTOUPDATER", "1"),
        ("DISABLE_ERROR_REPORTING", "1"),
        ("DISABLE_TELEMETRY", "1"),
    ];
    environment(model_url, home, &own)
}

/// `session-2026-11-21T10-33-….jsonl` becomes a file of the hour before, or of midnight's.
fn make_older(file: &Path) -> io::Result<()> {
    let Some(name) = file.file_name().and_then(|name| name.to_str()) else { return Ok(()) };
    let Some((date, time)) = name.split_once('T') else { return Ok(()) };
    let Some((hour, rest)) = time.split_once('-') else { return Ok(()) };
    let Ok(hour) = hour.parse::<u8>() else { return Ok(()) };
    std::fs::rename(file, file.with_file_name(format!("{date}T{:02}-{rest}", (hour + 23) % 24)))
}
