//! What a model can do: the tools that are offered to it, and no other.
//!
//! A call goes through three steps: [`Toolbox::plan`] reads its input, looks at what it would change and says how it is shown;
//! then a person is asked, where that is needed; then [`Toolbox::run`] does it. All files are those below the workspace, and
//! commands run in custody, shut in like any agent's.

mod edit;
mod files;
mod pattern;
mod search;
mod shell;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use trunkline_core::event::Fact;
use trunkline_wire::acp::{ToolCall, ToolCallContent, ToolCallLocation, ToolKind};
use trunkline_wire::model::{Call, Content, Tool};

use super::servers::{Remote, RemoteCall};
use super::skills::{self, Skill};
use crate::acp::files::Files;
use crate::acp::terminal::Terminals;
use crate::bundle::Bundle;
use crate::driver::SessionPort;
use crate::turn::Turn;

/// How many bytes of what a tool gives a model gets.
pub(super) const MAX_OUTPUT: usize = 64 << 10;

/// The names of the tools that are built in.
pub(super) const NAMES: [&str; 11] = [
    "shell",
    "shell_output",
    "shell_stop",
    "read",
    "list",
    "glob",
    "grep",
    "write",
    "edit",
    "move",
    "delete",
];

/// What the tools of one session work on.
pub(super) struct Toolbox {
    pub(super) files: Arc<Files>,
    pub(super) workspace: PathBuf,
    pub(super) terminals: Terminals,
    /// The tools of the MCP servers that are connected.
    pub(super) remote: Vec<Remote>,
    pub(super) port: SessionPort,
    /// What the agent is, where it is a folder.
    pub(super) bundle: Bundle,
    pub(super) skills: Arc<[Skill]>,
}

/// A call that has been understood.
pub(super) struct Plan {
    /// How it is shown.
    pub(super) shown: ToolCall,
    pub(super) asks: Asks,
    action: Action,
}

impl Plan {
    /// For a tool of a server: only that knows what it does, so it is always asked about.
    pub(super) fn remote(shown: ToolCall, call: RemoteCall) -> Self {
        Self { shown, asks: Asks::Always, action: Action::Remote(call) }
    }
}

/// Whether a person is asked, where the session does not ask about all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// It is about what was allowed before.
    Never,
    /// It only looks; some places should not be looked into all the same.
    IfRisky,
    /// It does something.
    Always,
}

enum Action {
    Shell(shell::Command),
    Output(shell::Output),
    Stop(shell::Stop),
    Read(files::Read),
    List(files::List),
    Glob(search::Glob),
    Grep(search::Grep),
    Write(edit::Change),
    Move(files::Move),
    Delete(files::Delete),
    Remote(RemoteCall),
    Skill(skills::Asked),
}

/// What a call gave.
#[derive(Debug)]
pub(super) struct Done {
    /// What the model gets.
    pub(super) content: Vec<Content>,
    /// What a person sees, where that is something else than the text.
    pub(super) shown: Option<Vec<ToolCallContent>>,
    pub(super) failed: bool,
    /// What is to be told to the log.
    pub(super) facts: Vec<Fact>,
}

impl Done {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self { content: vec![Content::text(text)], shown: None, failed: false, facts: Vec::new() }
    }

    pub(super) fn failed(why: impl Into<String>) -> Self {
        Self { failed: true, ..Self::text(why) }
    }

    fn of(done: Result<Self, String>) -> Self {
        done.unwrap_or_else(Self::failed)
    }
}

/// The tool that gives skills, where there are some.
pub(super) fn skill() -> Tool {
    tool::<skills::Asked>(skills::NAME, skills::ABOUT)
}

/// The tools that are built in.
pub(super) fn offered() -> Vec<Tool> {
    vec![
        tool::<shell::Command>("shell", shell::ABOUT),
        tool::<shell::Output>("shell_output", shell::ABOUT_OUTPUT),
        tool::<shell::Stop>("shell_stop", shell::ABOUT_STOP),
        tool::<files::Read>("read", files::ABOUT_READ),
        tool::<files::List>("list", files::ABOUT_LIST),
        tool::<search::Glob>("glob", search::ABOUT_GLOB),
        tool::<search::Grep>("grep", search::ABOUT_GREP),
        tool::<edit::Write>("write", edit::ABOUT_WRITE),
        tool::<edit::Edit>("edit", edit::ABOUT_EDIT),
        tool::<files::Move>("move", files::ABOUT_MOVE),
        tool::<files::Delete>("delete", files::ABOUT_DELETE),
    ]
}

fn tool<T: JsonSchema>(name: &str, description: &str) -> Tool {
    let mut input = schemars::schema_for!(T).to_value();
    if let Some(input) = input.as_object_mut() {
        input.remove("$schema");
        input.remove("title");
        // A schema without any is refused by some.
        input.entry("properties").or_insert_with(|| json!({}));
    }
    Tool { name: name.to_owned(), description: description.to_owned(), input }
}

impl Toolbox {
    /// Understands a call, and looks at what it would change.
    ///
    /// # Errors
    /// Why it cannot be done, for the model.
    pub(super) async fn plan(&self, call: &Call) -> Result<Plan, String> {
        if let Some(broken) = &call.broken {
            let begin: String = broken.chars().take(200).collect();
            return Err(format!("the input is no JSON object; it begins with: {begin}"));
        }
        if NAMES.contains(&call.name.as_str()) && !self.bundle.offers(&call.name) {
            return Err(format!("there is no tool {}", call.name));
        }
        match call.name.as_str() {
            "shell" => self.plan_shell(call),
            "shell_output" => {
                self.plan_looking(call, Action::Output, ToolKind::Execute, "Look at a command's output")
            }
            "shell_stop" => self.plan_looking(call, Action::Stop, ToolKind::Execute, "Stop a command"),
            "read" => {
                let asked: files::Read = input(&call.input)?;
                let title = format!("Read {}", asked.path);
                let shown = self.shown(call, ToolKind::Read, title, &[&asked.path], asked.line);
                Ok(Plan { shown, asks: Asks::IfRisky, action: Action::Read(asked) })
            }
            "list" => {
                let asked: files::List = input(&call.input)?;
                let path = asked.path.clone().unwrap_or_else(|| ".".to_owned());
                let shown = self.shown(call, ToolKind::Read, format!("List {path}"), &[&path], None);
                Ok(Plan { shown, asks: Asks::IfRisky, action: Action::List(asked) })
            }
            "glob" => {
                let asked: search::Glob = input(&call.input)?;
                let path = asked.path.clone().unwrap_or_else(|| ".".to_owned());
                let shown =
                    self.shown(call, ToolKind::Search, format!("Find {}", asked.pattern), &[&path], None);
                Ok(Plan { shown, asks: Asks::IfRisky, action: Action::Glob(asked) })
            }
            "grep" => {
                let asked: search::Grep = input(&call.input)?;
                let path = asked.path.clone().unwrap_or_else(|| ".".to_owned());
                let title = format!("Search for {}", asked.pattern);
                let shown = self.shown(call, ToolKind::Search, title, &[&path], None);
                Ok(Plan { shown, asks: Asks::IfRisky, action: Action::Grep(asked) })
            }
            "write" | "edit" => self.plan_change(call).await,
            "move" => {
                let asked: files::Move = input(&call.input)?;
                let title = format!("Move {} to {}", asked.from, asked.to);
                let shown = self.shown(call, ToolKind::Move, title, &[&asked.from, &asked.to], None);
                Ok(Plan { shown, asks: Asks::Always, action: Action::Move(asked) })
            }
            "delete" => {
                let asked: files::Delete = input(&call.input)?;
                let shown = self.shown(
                    call,
                    ToolKind::Delete,
                    format!("Delete {}", asked.path),
                    &[&asked.path],
                    None,
                );
                Ok(Plan { shown, asks: Asks::Always, action: Action::Delete(asked) })
            }
            skills::NAME if !self.skills.is_empty() => {
                self.plan_looking(call, Action::Skill, ToolKind::Read, "Read a skill")
            }
            name => match self.remote.iter().find(|remote| remote.is(name)) {
                Some(remote) => Ok(remote.plan(call)),
                None => Err(format!("there is no tool {name}")),
            },
        }
    }

    /// Does what was planned. Dropped, it ends what it has begun.
    pub(super) async fn run(&mut self, plan: Plan, turn: &Turn) -> Done {
        let files = Arc::clone(&self.files);
        let bounded = match plan.action {
            Action::Shell(command) => return self.run_shell(&command, &plan.shown, turn).await,
            Action::Output(asked) => return Done::of(self.shell_output(&asked).await),
            Action::Stop(asked) => return Done::of(self.shell_stop(&asked).await),
            Action::Remote(call) => return call.run(&self.port).await,
            Action::Skill(asked) => {
                let skills = Arc::clone(&self.skills);
                blocking(move || asked.run(&skills)).await
            }
            Action::Read(asked) => blocking(move || asked.run(&files)).await,
            Action::List(asked) => blocking(move || asked.run(&files)).await,
            Action::Glob(asked) => blocking(move || asked.run(&files)).await,
            Action::Grep(asked) => blocking(move || asked.run(&files)).await,
            Action::Write(change) => blocking(move || change.run(&files)).await,
            Action::Move(asked) => blocking(move || asked.run(&files)).await,
            Action::Delete(asked) => blocking(move || asked.run(&files)).await,
        };
        Done::of(bounded)
    }

    fn plan_looking<T: DeserializeOwned>(
        &self,
        call: &Call,
        action: fn(T) -> Action,
        kind: ToolKind,
        title: &str,
    ) -> Result<Plan, String> {
        let action = action(input(&call.input)?);
        Ok(Plan { shown: self.shown(call, kind, title.to_owned(), &[], None), asks: Asks::Never, action })
    }

    async fn plan_change(&self, call: &Call) -> Result<Plan, String> {
        let files = Arc::clone(&self.files);
        let change = if call.name == "write" {
            let asked: edit::Write = input(&call.input)?;
            blocking(move || edit::Change::whole(&files, asked)).await?
        } else {
            let asked: edit::Edit = input(&call.input)?;
            blocking(move || edit::Change::part(&files, &asked)).await?
        };
        let verb = if call.name == "write" { "Write" } else { "Edit" };
        let title = format!("{verb} {}", change.path);
        let mut shown = self.shown(call, ToolKind::Edit, title, &[&change.path], change.line);
        shown.content = Some(vec![change.diff(&self.workspace)]);
        Ok(Plan { shown, asks: Asks::Always, action: Action::Write(change) })
    }

    /// How a call is shown before it runs.
    fn shown(
        &self,
        call: &Call,
        kind: ToolKind,
        title: String,
        paths: &[&str],
        line: Option<u32>,
    ) -> ToolCall {
        let place = |path: &&str| ToolCallLocation { path: self.absolute(path), line };
        let locations: Vec<ToolCallLocation> = paths.iter().map(place).collect();
        ToolCall {
            title: Some(title),
            kind: Some(kind),
            locations: (!locations.is_empty()).then_some(locations),
            ..bare(call)
        }
    }

    /// A path as it is shown: whole, and without any `.` or `..` where it stays below the workspace.
    fn absolute(&self, path: &str) -> PathBuf {
        match self.files.below(Path::new(path)) {
            Ok(below) => self.workspace.join(below),
            Err(_) => self.workspace.join(path),
        }
    }
}

/// A call of which nothing is understood.
pub(super) fn bare(call: &Call) -> ToolCall {
    let raw = |value: &Value| serde_json::value::to_raw_value(value).expect("values have a JSON form");
    ToolCall {
        tool_call_id: call.id.clone(),
        title: Some(call.name.clone()),
        kind: Some(ToolKind::Other),
        raw_input: Some(raw(&Value::Object(call.input.clone()))),
        meta: Some(raw(&json!({ "trunkline": { "tool": call.name } }))),
        ..ToolCall::default()
    }
}

fn input<T: DeserializeOwned>(input: &Map<String, Value>) -> Result<T, String> {
    serde_json::from_value(Value::Object(input.clone()))
        .map_err(|error| format!("the input does not fit: {error}"))
}

/// Work on files: it blocks, so it has a thread of its own.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(format!("it broke: {error}")),
    }
}

/// The beginning of a text that is too long, and a word of how much is missing.
pub(super) fn bounded(text: String, limit: usize) -> String {
    if text.len() <= limit {
        return text;
    }
    let end = text.floor_char_boundary(limit);
    let left = text.len() - end;
    format!("{}\n[… {left} more bytes are left out …]", &text[..end])
}

#[cfg(test)]
mod tests;
