//! A tool call, taken apart into the pieces that a rule must cover one by one.
//!
//! Whatever an agent calls its tools, a call runs commands, reads or writes files, or fetches something. A call whose
//! effect cannot be told is *opaque*; no rule covers it, a person is asked.

use serde_json::Value;
use trunkline_shell::{Command, Dir, Redirect, SHELLS, Script, Way};

use crate::raw::Raw;
use crate::request::Opened;

/// Where a path leads, as far as its text tells. Links are the sandbox's matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Below the workspace, by its path from there; empty for the workspace itself.
    Inside(String),
    /// Elsewhere.
    Outside(String),
    /// Nobody can tell.
    Unknown(String),
}

impl Place {
    /// Resolves a path from a directory. A path with `..` is not resolved: behind a link it leads elsewhere.
    #[must_use]
    pub fn of(path: &str, from: &Dir, workspace: Option<&str>) -> Self {
        let unknown = || Self::Unknown(path.to_owned());
        if path.split('/').any(|part| part == "..")
            || path.starts_with('~')
            || path.contains(['*', '?', '[', '$', '`'])
        {
            return if path.starts_with("~/") { Self::Outside(path.to_owned()) } else { unknown() };
        }
        let whole = match from {
            _ if path.starts_with('/') => path.to_owned(),
            Dir::Start => format!("./{path}"),
            Dir::At(dir) if dir.split('/').any(|part| part == "..") => return unknown(),
            Dir::At(dir) if dir.starts_with('/') => format!("{dir}/{path}"),
            Dir::At(dir) => format!("./{dir}/{path}"),
            Dir::Unknown => return unknown(),
        };
        let parts = |path: &str| -> Vec<String> {
            path.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect()
        };
        let found = parts(&whole);
        if !whole.starts_with('/') {
            return Self::Inside(found.join("/"));
        }
        let root = workspace.map(parts);
        match root.and_then(|root| found.strip_prefix(root.as_slice()).map(<[String]>::to_vec)) {
            Some(rest) => Self::Inside(rest.join("/")),
            None => Self::Outside(whole),
        }
    }

    /// The path as it was given, or from the workspace.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Inside(path) | Self::Outside(path) | Self::Unknown(path) => path,
        }
    }
}

/// One thing that a call does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// It runs a command, in this directory.
    Run(Box<Command>, Place),
    /// It reads a file or searches below it.
    Read(Place),
    /// It writes, moves or makes a file.
    Edit(Place),
    /// It removes a file.
    Delete(Place),
    /// It fetches from this address.
    Fetch(String),
    /// It calls a tool of an MCP server.
    Mcp(String, String),
    /// It calls a tool, and nothing more is known.
    Tool(String),
}

/// A tool call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Call {
    /// The tool's name, as the agent says it.
    pub tool: Option<String>,
    /// What it does.
    pub pieces: Vec<Piece>,
    /// The directory that the agent works in.
    pub workspace: Option<String>,
    /// What of it cannot be told.
    pub opaque: Vec<String>,
}

impl Call {
    /// Takes a permission's tool call apart.
    #[must_use]
    pub fn of(asked: &Opened, workspace: Option<&str>) -> Self {
        Self::read(asked.tool.as_deref(), asked.tool_call.as_ref(), workspace)
    }

    /// Takes a tool call apart.
    #[must_use]
    pub fn read(tool: Option<&str>, tool_call: Option<&Raw>, workspace: Option<&str>) -> Self {
        let (tool_name, root) = (tool.map(str::to_owned), workspace.map(str::to_owned));
        let mut call = Self { tool: tool_name, workspace: root, ..Self::default() };
        let json = tool_call.and_then(|raw| raw.read::<Value>().ok()).unwrap_or(Value::Null);
        let input = &json["rawInput"];
        let kind = json["kind"].as_str().or(tool).unwrap_or_default().to_ascii_lowercase();
        if let Some((server, name)) = tool.and_then(mcp) {
            call.pieces.push(Piece::Mcp(server, name));
            return call;
        }
        let command =
            ["command", "cmd", "script"].iter().map(|name| &input[*name]).find(|value| !value.is_null());
        match kind.as_str() {
            "execute" | "bash" | "shell" | "terminal" => call.execute(command, input, workspace),
            // A command beside another kind is still run.
            _ if command.is_some() => call.execute(command, input, workspace),
            "read" | "search" => call.files(&json, workspace, Piece::Read),
            "edit" | "move" | "write" => call.files(&json, workspace, Piece::Edit),
            "delete" => call.files(&json, workspace, Piece::Delete),
            "fetch" => match input["url"].as_str() {
                Some(url) => call.pieces.push(Piece::Fetch(url.to_owned())),
                None => call.named(),
            },
            _ => call.named(),
        }
        call
    }

    fn named(&mut self) {
        match &self.tool {
            Some(tool) => self.pieces.push(Piece::Tool(tool.clone())),
            None => self.opaque.push("which tool it calls is not said".to_owned()),
        }
    }

    fn files(&mut self, json: &Value, workspace: Option<&str>, piece: fn(Place) -> Piece) {
        let mut paths: Vec<&str> = Vec::new();
        let listed = [&json["locations"], &json["content"]];
        paths.extend(
            listed
                .iter()
                .filter_map(|list| list.as_array())
                .flatten()
                .filter_map(|item| item["path"].as_str()),
        );
        let names = [
            "path",
            "file_path",
            "filePath",
            "abs_path",
            "notebook_path",
            "source",
            "destination",
            "old_path",
            "new_path",
        ];
        paths.extend(names.iter().filter_map(|name| json["rawInput"][*name].as_str()));
        paths.sort_unstable();
        paths.dedup();
        if paths.is_empty() {
            return self.named();
        }
        self.pieces.extend(paths.into_iter().map(|path| piece(Place::of(path, &Dir::Start, workspace))));
    }

    fn execute(&mut self, command: Option<&Value>, input: &Value, workspace: Option<&str>) {
        let words = |list: &Vec<Value>| {
            list.iter().map(|word| word.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        };
        let script = match command {
            Some(Value::String(line)) => {
                let args = input["args"].as_array().filter(|args| !args.is_empty());
                match args.map(words) {
                    None => trunkline_shell::read(line),
                    Some(Some(args)) => trunkline_shell::read_words(&[vec![line.clone()], args].concat()),
                    Some(None) => return self.opaque.push("its arguments are no words".to_owned()),
                }
            }
            Some(Value::Array(list)) => match words(list) {
                Some(words) => unwrapped(&words),
                None => return self.opaque.push("its command is no list of words".to_owned()),
            },
            Some(_) | None => return self.opaque.push("which command it runs is not said".to_owned()),
        };
        let start = ["cwd", "workdir", "working_directory", "directory"]
            .iter()
            .find_map(|name| input[*name].as_str());
        self.script(script, start, workspace);
    }

    fn script(&mut self, script: Script, start: Option<&str>, workspace: Option<&str>) {
        let from = |dir: &Dir| match (dir, start) {
            (Dir::Start, Some(start)) => Dir::At(start.to_owned()),
            (Dir::At(dir), Some(start)) if !dir.starts_with('/') => Dir::At(format!("{start}/{dir}")),
            (Dir::Start | Dir::At(_) | Dir::Unknown, _) => dir.clone(),
        };
        let file = |redirect: &Redirect| {
            let place = Place::of(&redirect.path.text, &from(&redirect.dir), workspace);
            match redirect.way {
                Way::Read => Piece::Read(place),
                Way::Write => Piece::Edit(place),
            }
        };
        self.pieces.extend(script.all_redirects().map(file).collect::<Vec<_>>());
        for command in script.commands {
            let place = Place::of(".", &from(&command.dir), workspace);
            self.pieces.push(Piece::Run(Box::new(command), place));
        }
        self.opaque.extend(script.opaque);
        if self.pieces.is_empty() && self.opaque.is_empty() {
            self.opaque.push("it runs nothing".to_owned());
        }
    }
}

/// `["bash", "-lc", "line"]` is how many agents run a line.
fn unwrapped(words: &[String]) -> Script {
    match words {
        [shell, option, line]
            if SHELLS.contains(&shell.rsplit('/').next().unwrap_or(shell))
                && option.starts_with('-')
                && option.ends_with('c') =>
        {
            trunkline_shell::read(line)
        }
        words => trunkline_shell::read_words(words),
    }
}

/// The server and the tool, in the names that agents give tools of MCP servers.
fn mcp(tool: &str) -> Option<(String, String)> {
    let (server, name) = tool.strip_prefix("mcp__").and_then(|rest| rest.split_once("__"))?;
    (!server.is_empty() && !name.is_empty()).then(|| (server.to_owned(), name.to_owned()))
}
