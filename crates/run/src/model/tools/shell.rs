//! Commands: in custody, shut in, with a limit in time, or left running.

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use trunkline_wire::acp::{
    CreateTerminalRequest, SessionUpdate, TerminalExitStatus, TerminalOutputResponse, ToolCall,
    ToolCallContent, ToolCallStatus, ToolKind, ToolTerminal,
};
use trunkline_wire::model::Call;

use super::{Action, Asks, Done, MAX_OUTPUT, Plan, Toolbox, input};
use crate::acp::terminal::Terminal;
use crate::turn::Turn;

pub(super) const ABOUT: &str = "Runs a line of shell in the workspace and gives what it prints and how it ended. It has no \
     terminal and no input. After `timeout_s` it is ended with all that it started. With `background` it runs on, and \
     `shell_output` and `shell_stop` take the id that is given.";
pub(super) const ABOUT_OUTPUT: &str = "Gives what a command that runs in the background has printed, the end of it if it is \
     much, and whether it has ended.";
pub(super) const ABOUT_STOP: &str = "Ends a command that runs in the background, with all that it started.";

/// How long a command may run if not said, and at most, in seconds.
const TIMEOUT_S: u32 = 120;
const MAX_TIMEOUT_S: u32 = 3_600;
/// How long output is waited for at most.
const MAX_WAIT_S: u32 = 300;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Command {
    /// The line.
    command: String,
    /// Where it runs: a directory below the workspace; the workspace if absent.
    #[serde(default)]
    cwd: Option<String>,
    /// How many seconds it may run, 120 if absent, 3600 at most.
    #[serde(default)]
    timeout_s: Option<u32>,
    /// Whether it runs on by itself, such as a server.
    #[serde(default)]
    background: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Output {
    /// The id of the command.
    id: String,
    /// How many seconds its end is waited for; not at all if absent.
    #[serde(default)]
    wait_s: Option<u32>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Stop {
    /// The id of the command.
    id: String,
}

impl Toolbox {
    pub(super) fn plan_shell(&self, call: &Call) -> Result<Plan, String> {
        let command: Command = input(&call.input)?;
        if command.command.trim().is_empty() {
            return Err("the command is empty".to_owned());
        }
        let shown = self.shown(call, ToolKind::Execute, command.command.clone(), &[], None);
        Ok(Plan { shown, asks: Asks::Always, action: Action::Shell(command) })
    }

    pub(super) async fn run_shell(&mut self, command: &Command, shown: &ToolCall, turn: &Turn) -> Done {
        let cwd = match self.cwd(command.cwd.as_deref()).await {
            Ok(cwd) => cwd,
            Err(why) => return Done::failed(why),
        };
        let asked = CreateTerminalRequest {
            command: "sh".to_owned(),
            args: vec!["-c".to_owned(), command.command.clone()],
            cwd: Some(cwd),
            output_byte_limit: Some(MAX_OUTPUT as u64),
            ..CreateTerminalRequest::default()
        };
        let made = match self.terminals.create(&asked).await {
            Ok(made) => made,
            Err(error) => return Done::failed(format!("the command was not started: {}", error.message)),
        };
        turn.fact(made.started.clone()).await;
        // The terminal tells its output by itself, and its start stands before that.
        turn.finish().await;
        let id = self.terminals.add(made, Some((turn.id(), turn.attempt())));
        let view = ToolCallContent::Terminal(ToolTerminal { terminal_id: id.clone() });
        let running = ToolCall {
            tool_call_id: shown.tool_call_id.clone(),
            status: Some(ToolCallStatus::InProgress),
            content: Some(vec![view.clone()]),
            ..ToolCall::default()
        };
        turn.update(SessionUpdate::ToolCallUpdate(running).to_raw().into()).await;
        let done = if command.background {
            Done::text(format!("it runs in the background; its id is {id}"))
        } else {
            self.wait(&id, command).await
        };
        Done { shown: Some(vec![view]), ..done }
    }

    async fn wait(&mut self, id: &str, command: &Command) -> Done {
        let Ok(terminal) = self.terminals.find(id) else { return Done::failed("the command is gone") };
        let seconds = command.timeout_s.unwrap_or(TIMEOUT_S).clamp(1, MAX_TIMEOUT_S);
        let end = tokio::time::timeout(Duration::from_secs(seconds.into()), terminal.clone().wait()).await;
        if end.is_err() {
            let _stuck_is_told_by_the_log = terminal.clone().kill().await;
        }
        let output = terminal.output();
        // It is over: it needs no place any more.
        let _released = self.terminals.release(id);
        let text = printed(&output);
        match end {
            Ok(TerminalExitStatus { exit_code: Some(0), .. }) => Done::text(text),
            Ok(status) => Done::failed(format!("{text}\n[{}]", ended(&status))),
            Err(_) => Done::failed(format!("{text}\n[it was ended after {seconds} s, as it took too long]")),
        }
    }

    pub(super) async fn shell_output(&self, asked: &Output) -> Result<Done, String> {
        let terminal = self.terminal(&asked.id)?;
        if let Some(seconds) = asked.wait_s {
            let wait = Duration::from_secs(seconds.min(MAX_WAIT_S).into());
            let _it_runs_on = tokio::time::timeout(wait, terminal.clone().wait()).await;
        }
        let output = terminal.output();
        let state = output.exit_status.as_ref().map_or_else(|| "it runs".to_owned(), ended);
        Ok(Done::text(format!("{}\n[{state}]", printed(&output))))
    }

    pub(super) async fn shell_stop(&mut self, asked: &Stop) -> Result<Done, String> {
        let terminal = self.terminal(&asked.id)?;
        terminal.clone().kill().await.map_err(|error| error.message)?;
        let output = terminal.output();
        let _released = self.terminals.release(&asked.id);
        let state = output.exit_status.as_ref().map_or_else(|| "it has ended".to_owned(), ended);
        Ok(Done::text(format!("{}\n[{state}]", printed(&output))))
    }

    fn terminal(&self, id: &str) -> Result<Terminal, String> {
        self.terminals.find(id).map_err(|_| format!("no command {id} runs in the background"))
    }

    /// The directory of a command, which no link leads out of.
    async fn cwd(&self, asked: Option<&str>) -> Result<PathBuf, String> {
        let Some(asked) = asked else { return Ok(self.workspace.clone()) };
        let (files, path) = (std::sync::Arc::clone(&self.files), PathBuf::from(asked));
        super::blocking(move || {
            files.real_directory(Path::new(&path)).map_err(|error| format!("cwd: {error}"))
        })
        .await
    }
}

fn printed(output: &TerminalOutputResponse) -> String {
    let cut = if output.truncated { "[… the beginning is left out …]\n" } else { "" };
    let text = output.output.trim_end_matches('\n');
    if text.is_empty() && cut.is_empty() { "[it printed nothing]".to_owned() } else { format!("{cut}{text}") }
}

fn ended(status: &TerminalExitStatus) -> String {
    match (status.exit_code, &status.signal) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("ended by {signal}"),
        (None, None) => "it has ended".to_owned(),
    }
}
