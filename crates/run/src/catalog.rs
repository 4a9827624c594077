//! The agents that can be run: a built-in table, over which the user's own entries go.

mod builtin;
mod environment;

use std::collections::{BTreeMap, btree_map};
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bundle::{self, Bundle};
use crate::profiles::Profiles;
use crate::sandbox::Policy;

pub use environment::environment;

/// The driver of agents that speak the Agent Client Protocol.
pub const ACP: &str = "acp";
/// The driver of Claude Code, which speaks a protocol of its own.
pub const CLAUDE: &str = "claude";

/// The agents that can be run, by name.
#[derive(Debug)]
pub struct Catalog {
    entries: BTreeMap<String, Entry>,
    path: OsString,
    profiles: Profiles,
    /// The daemon's home, where the user's agents that are folders are.
    home: Option<PathBuf>,
}

/// One agent, and how it is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name by which sessions ask for it.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// What moves it.
    pub driver: String,
    /// The program, looked up on `PATH` unless it has a slash, and its arguments.
    pub argv: Vec<String>,
    /// Variables that are set for it.
    pub env: BTreeMap<String, String>,
    /// Variables of the daemon's environment that it gets beside the usual ones, see [`environment`]: names, or
    /// beginnings of names with `*` behind them.
    pub env_pass: Vec<String>,
    /// Whether it is offered `fs/read_text_file`. Gemini takes the answer that a file is missing for a failure, and
    /// cannot make a new one; without the offer it reads by itself.
    pub offer_read: bool,
    /// Whether its process is started anew after a cancelled turn. The first prompt after one is answered at once by
    /// Claude's adapter, as an empty end of turn, because an event of the cancelled turn is still in its queue; the
    /// prompt itself then runs unseen. To send it again would have it done twice.
    pub restart_after_cancel: bool,
    /// Whether it is given the daemon's own MCP server, with which it can ask a person.
    pub mcp: bool,
    /// Where it keeps its state: absolute paths, or such that begin with `~/`. It may write there.
    pub state: Vec<String>,
    /// What is decided about its confinement.
    pub sandbox: Policy,
    /// How to install it, for people; empty where that is not known.
    pub hint: String,
    /// Prompts that a person may want to send at a touch.
    pub presets: Vec<Preset>,
}

/// A prompt that a person may want to send at a touch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// What stands on the button.
    pub label: String,
    /// What is sent.
    pub prompt: String,
}

/// What a user says about an agent: changes to a built-in one, or a new one, which needs an `argv`. A new one is known by its
/// program: what runs `claude` is Claude Code, under whatever name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Custom {
    /// Its name for people.
    pub title: Option<String>,
    /// The program and its arguments.
    pub argv: Option<Vec<String>>,
    /// What it speaks, where its program does not tell.
    pub driver: Option<Speaks>,
    /// Variables to set, added to those of the built-in entry.
    pub env: BTreeMap<String, String>,
    /// Variables to pass on, instead of those of the built-in entry.
    pub env_pass: Option<Vec<String>>,
    /// See [`Entry::offer_read`].
    pub offer_read: Option<bool>,
    /// See [`Entry::restart_after_cancel`].
    pub restart_after_cancel: Option<bool>,
    /// See [`Entry::mcp`].
    pub mcp: Option<bool>,
    /// What it may touch, where that differs from what holds for all.
    pub sandbox: Policy,
    /// Prompts that a person may want to send at a touch.
    pub presets: Vec<Preset>,
}

/// What an agent that is run by its command line speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Speaks {
    /// The Agent Client Protocol.
    Acp,
    /// What Claude Code speaks.
    Claude,
}

/// An agent as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// What moves it.
    pub driver: String,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Where the program is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Whether it can be run.
    pub found: bool,
    /// Why not, and what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Prompts that a person may want to send at a touch.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub presets: Vec<Preset>,
}

/// Why an agent cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unrunnable {
    /// Neither a name nor a command line was given.
    #[error("name an agent of the catalog, or give the command line of one that speaks ACP")]
    Nothing,
    /// The command line has no program.
    #[error("the command line is empty; its first word must be the program")]
    NoProgram,
    /// It is a folder, and something is wrong with it.
    #[error("the agent {name} cannot be read: {why}")]
    Broken {
        /// Its name.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// No agent has this name.
    #[error("there is no agent called {name}{}", similar(.closest.as_deref()))]
    Unknown {
        /// The name given.
        name: String,
        /// The name that may have been meant.
        closest: Option<String>,
    },
}

fn similar(closest: Option<&str>) -> String {
    match closest {
        Some(name) => format!("; did you mean {name}?"),
        None => "; `trunkline catalog` lists those that are known".to_owned(),
    }
}

impl Catalog {
    /// The built-in table with the user's entries over it. Programs are looked for on `path`, the daemon's `PATH`.
    ///
    /// # Errors
    /// `NoProgram` when an entry that is not built in has no command line, or an empty one; with its name.
    pub fn new(
        custom: BTreeMap<String, Custom>,
        path: impl Into<OsString>,
    ) -> Result<Self, (String, Unrunnable)> {
        let builtins: BTreeMap<String, Entry> =
            builtin::all().map(|entry| (entry.name.clone(), entry)).collect();
        let mut entries = builtins.clone();
        for (name, custom) in custom {
            let program = custom.argv.as_ref().and_then(|argv| argv.first());
            let known = entries.remove(&name).or_else(|| by_program(builtins.values(), program?).cloned());
            let known = known.map(|known| Entry { name: name.clone(), ..known });
            let entry = known.unwrap_or_else(|| Entry::plain(&name, Vec::new())).with(custom);
            if entry.has_program() && entry.argv.first().is_none_or(String::is_empty) {
                return Err((name, Unrunnable::NoProgram));
            }
            if !entry.has_program() && !entry.argv.is_empty() {
                return Err((name, Unrunnable::NoProgram));
            }
            entries.insert(name, entry);
        }
        Ok(Self { entries, path: path.into(), profiles: Profiles::default(), home: None })
    }

    /// Says where models are: the agent that asks them itself can be run while one of them can be used.
    #[must_use]
    pub fn with_profiles(self, profiles: Profiles) -> Self {
        Self { profiles, ..self }
    }

    /// Says where the user's agents are that are folders ([`bundle`](crate::bundle)).
    #[must_use]
    pub fn with_bundles(self, home: PathBuf) -> Self {
        Self { home: Some(home), ..self }
    }

    /// Adds agents that are run otherwise than by their command line: pools.
    ///
    /// # Errors
    /// The name of one that is taken already.
    pub fn with(mut self, more: impl IntoIterator<Item = Entry>) -> Result<Self, String> {
        for entry in more {
            match self.entries.entry(entry.name.clone()) {
                btree_map::Entry::Vacant(place) => drop(place.insert(entry)),
                btree_map::Entry::Occupied(taken) => return Err(taken.key().clone()),
            }
        }
        Ok(self)
    }

    /// All agents, by name.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// All agents as lists show them, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        let mut all: Vec<Listed> = self.entries().map(|entry| self.listed(entry)).collect();
        for (name, bundle) in self.home.iter().flat_map(|home| bundle::list(home)) {
            if !self.entries.contains_key(&name) {
                let wrong = bundle.as_ref().err().cloned();
                let listed = self.listed(&bundled(Bundle { name, ..bundle.unwrap_or_default() }));
                all.push(Listed {
                    found: listed.found && wrong.is_none(),
                    why: wrong.or(listed.why),
                    ..listed
                });
            }
        }
        all
    }

    /// As [`resolve`](Self::resolve), for a session in this workspace: an agent may be a folder too, the user's or one that
    /// the workspace brings. Blocks.
    ///
    /// # Errors
    /// See [`Unrunnable`].
    pub fn resolve_in(
        &self,
        agent: Option<&str>,
        argv: Option<&[String]>,
        workspace: &Path,
    ) -> Result<Entry, Unrunnable> {
        match (self.resolve(agent, argv), &self.home, agent) {
            (Err(Unrunnable::Unknown { name, closest }), Some(home), Some(asked)) => {
                match bundle::find(home, Some(workspace), asked) {
                    Ok(Some(bundle)) => Ok(bundled(bundle)),
                    Ok(None) => Err(Unrunnable::Unknown { name, closest }),
                    Err(why) => Err(Unrunnable::Broken { name, why }),
                }
            }
            (resolved, _, _) => resolved,
        }
    }

    /// The agent of this name, with this command line where one is given.
    ///
    /// A command line of its own needs no name: an agent is known by its program, whatever the arguments, and any other
    /// program is an agent that speaks ACP.
    ///
    /// # Errors
    /// See [`Unrunnable`].
    pub fn resolve(&self, agent: Option<&str>, argv: Option<&[String]>) -> Result<Entry, Unrunnable> {
        let argv = match argv {
            None | Some([]) if agent.is_some() => None,
            None => return Err(Unrunnable::Nothing),
            Some([program, ..]) if !program.is_empty() => argv,
            Some(_) => return Err(Unrunnable::NoProgram),
        };
        let named = agent.and_then(|name| self.entries.get(name));
        match (agent, argv) {
            (Some(name), None) => named.cloned().ok_or_else(|| self.unknown(name)),
            (agent, Some(argv)) => {
                let known = if agent.is_some() { named } else { by_program(self.entries(), &argv[0]) };
                let plain = || Entry::plain(agent.unwrap_or_else(|| file_name(&argv[0])), Vec::new());
                let known = known.filter(|known| known.has_process()).cloned().unwrap_or_else(plain);
                Ok(Entry { argv: argv.to_vec(), ..known })
            }
            (None, None) => Err(Unrunnable::Nothing),
        }
    }

    fn unknown(&self, name: &str) -> Unrunnable {
        let distance = |known: &&String| edits(known, name);
        let closest =
            self.entries.keys().min_by_key(distance).filter(|known| edits(known, name) <= known.len() / 2);
        Unrunnable::Unknown { name: name.to_owned(), closest: closest.cloned() }
    }

    fn listed(&self, entry: &Entry) -> Listed {
        let Some(program) = entry.argv.first() else {
            let why = self.profiles.ready(None).err().map(|error| error.to_string());
            let Entry { name, title, driver, argv, presets, .. } = entry.clone();
            return Listed { name, title, driver, argv, path: None, found: why.is_none(), why, presets };
        };
        let path = which(program, &self.path).map(|path| path.to_string_lossy().into_owned());
        let missing = || {
            let install = if entry.hint.is_empty() { String::new() } else { format!("; {}", entry.hint) };
            format!("there is no `{program}` on PATH{install}")
        };
        let why = path.is_none().then(missing);
        let Entry { name, title, driver, argv, presets, .. } = entry.clone();
        Listed { name, title, driver, argv, path, found: why.is_none(), why, presets }
    }
}

/// An agent that is a folder, as an entry.
fn bundled(bundle: Bundle) -> Entry {
    let about = Some(bundle.description).filter(|about| !about.is_empty());
    let title = bundle.title.or(about).unwrap_or_else(|| bundle.name.clone());
    Entry { driver: crate::model::MODEL.to_owned(), title, ..Entry::plain(&bundle.name, Vec::new()) }
}

/// The agent that is run by a program of this name.
fn by_program<'a>(mut entries: impl Iterator<Item = &'a Entry>, program: &str) -> Option<&'a Entry> {
    let name = file_name(program);
    entries.find(|entry| entry.has_process() && file_name(&entry.argv[0]) == name)
}

impl Entry {
    /// Whether each session has a process of it. A pool's program is whatever its workers are made of: an interpreter says
    /// nothing of what it runs.
    fn has_process(&self) -> bool {
        self.driver == ACP || self.driver == CLAUDE
    }

    /// Whether it is a program at all. The driver that asks models itself runs none.
    fn has_program(&self) -> bool {
        self.driver != crate::model::MODEL
    }

    /// An agent of which nothing is known but its command line.
    pub(crate) fn plain(name: &str, argv: Vec<String>) -> Self {
        Self {
            name: name.to_owned(),
            title: name.to_owned(),
            driver: ACP.to_owned(),
            argv,
            env: BTreeMap::new(),
            env_pass: Vec::new(),
            offer_read: true,
            restart_after_cancel: false,
            mcp: false,
            state: Vec::new(),
            sandbox: Policy::default(),
            hint: String::new(),
            presets: Vec::new(),
        }
    }

    fn with(self, custom: Custom) -> Self {
        let Custom {
            title,
            argv,
            driver,
            env,
            env_pass,
            offer_read,
            restart_after_cancel,
            mcp,
            sandbox,
            presets,
        } = custom;
        let driver = driver.map(|driver| match driver {
            Speaks::Acp => ACP,
            Speaks::Claude => CLAUDE,
        });
        Self {
            title: title.unwrap_or(self.title),
            driver: driver.map_or(self.driver, str::to_owned),
            argv: argv.unwrap_or(self.argv),
            env: self.env.into_iter().chain(env).collect(),
            env_pass: env_pass.unwrap_or(self.env_pass),
            offer_read: offer_read.unwrap_or(self.offer_read),
            restart_after_cancel: restart_after_cancel.unwrap_or(self.restart_after_cancel),
            mcp: mcp.unwrap_or(self.mcp),
            sandbox: sandbox.over(&self.sandbox),
            presets,
            ..self
        }
    }
}

/// The file that a program's name means, if there is one that can be executed: itself where it has a slash, else the
/// first of its name in the directories of `path`.
#[must_use]
pub fn which(program: &str, path: &OsStr) -> Option<PathBuf> {
    let executable = |file: &PathBuf| {
        file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(executable);
    }
    std::env::split_paths(path).map(|directory| directory.join(program)).find(executable)
}

fn file_name(program: &str) -> &str {
    Path::new(program).file_name().and_then(OsStr::to_str).unwrap_or(program)
}

/// How many characters must be added, removed or replaced to make one text of the other.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(100).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests;
