//! What an agent may touch: a description, made from what the user has decided and what the agent is known to need. It
//! changes nothing; [`keep`](crate::keep) makes it hold.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
pub use trunkline_core::agent::Confined;

use crate::custody::Limits;
use crate::keep::control::Os;

/// Caches of tools, and what package managers have fetched, below the user's home: those that are there. None of them holds
/// programs that a shell finds, or what a shell reads when it starts.
const CACHES: [&str; 11] = [
    "~/.cache",
    "~/.npm",
    "~/.yarn/berry",
    "~/.local/share/pnpm/store",
    "~/.cargo/registry",
    "~/.cargo/git",
    "~/go/pkg",
    "~/.gradle/caches",
    "~/.m2/repository",
    "~/.bun/install/cache",
    "~/.nuget/packages",
];

/// Where temporary files go. An agent has directories of its own there.
const TEMPORARY: [&str; 2] = ["/tmp", "/var/tmp"];

/// Where the directories for agents' temporary files are, below the daemon's home.
pub const SCRATCH: &str = "scratch";

/// Whether agents are shut in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// They can do what their user can.
    Off,
    /// They write to their workspace, their own state and caches, and do not see the daemon's home.
    #[default]
    Workspace,
}

impl Mode {
    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Workspace => "workspace",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Off, Self::Workspace].into_iter().find(|mode| mode.name() == name)
    }
}

/// What a user decides about confinement, for all agents or for one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Whether at all; `workspace` if nobody says.
    pub mode: Option<Mode>,
    /// What may be written besides: absolute paths, or such that begin with `~/`.
    pub write: Vec<String>,
    /// What is not to be seen, in the same form.
    pub hide: Vec<String>,
    /// Whether there is a network; there is if nobody says.
    pub network: Option<bool>,
    /// How much may be used.
    pub limits: Bounds,
}

/// Limits as a user sets them; see [`Limits`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bounds {
    /// Descriptors of each process.
    pub open_files: Option<u64>,
    /// Processes and threads of the user.
    pub processes: Option<u64>,
    /// Memory that each process may write to, in bytes.
    pub memory: Option<u64>,
    /// Size of a file written, in bytes.
    pub file_size: Option<u64>,
}

/// How confinement is enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Means {
    /// By namespaces of users and mounts.
    Namespaces {
        /// And one of processes, so that no others are seen.
        processes: bool,
    },
    /// By Landlock alone.
    Landlock,
}

/// What a `keep` found to work on this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The strongest means that works, if any does.
    pub means: Option<Means>,
    /// Why no stronger one does, in words.
    pub why: Vec<String>,
}

/// What one command is confined to, as its keep is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    pub(crate) means: Means,
    /// Changed as the user could.
    pub(crate) write: Vec<Os>,
    /// Of these, directories to be made if they are missing, and files of settings (`.json`).
    pub(crate) make: Vec<Os>,
    /// Seen although it lies in what is hidden or temporary.
    pub(crate) read: Vec<Os>,
    /// Seen empty.
    pub(crate) hide: Vec<Os>,
    /// Directories in whose place `scratch` is seen, or an empty one without it.
    pub(crate) temporary: Vec<Os>,
    pub(crate) scratch: Option<Os>,
    pub(crate) network: bool,
}

/// The confinement of everything that this daemon starts.
#[derive(Clone, Debug, Default)]
pub struct Sandbox {
    /// What the user has decided for all agents.
    pub policy: Policy,
    /// What works here.
    pub found: Found,
    /// What no agent sees: the daemon's home.
    pub home: PathBuf,
}

/// An agent's command, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// What is decided for this agent.
    pub policy: &'a Policy,
    /// Where the agent keeps its state.
    pub state: &'a [String],
    /// With what environment.
    pub env: &'a [(OsString, OsString)],
    /// Where.
    pub workspace: &'a Path,
    /// The directory for its temporary files.
    pub scratch: Option<&'a Path>,
}

/// Why there is no confinement for a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unconfinable {
    /// A path is in no form that means one.
    #[error("sandbox: `{0}` is neither an absolute path without `..` nor one that begins with ~/")]
    Path(String),
    /// What is to be written is to be hidden.
    #[error("the daemon's home {home} is not shown to agents, so {path} cannot be opened to one")]
    Hidden {
        /// What is to be written.
        path: String,
        /// What hides it.
        home: String,
    },
}

impl Policy {
    /// This, and where it says nothing what `general` says.
    #[must_use]
    pub fn over(&self, general: &Self) -> Self {
        let both = |a: &[String], b: &[String]| a.iter().chain(b).cloned().collect();
        let (ours, theirs) = (self.limits, general.limits);
        Self {
            mode: self.mode.or(general.mode),
            write: both(&self.write, &general.write),
            hide: both(&self.hide, &general.hide),
            network: self.network.or(general.network),
            limits: Bounds {
                open_files: ours.open_files.or(theirs.open_files),
                processes: ours.processes.or(theirs.processes),
                memory: ours.memory.or(theirs.memory),
                file_size: ours.file_size.or(theirs.file_size),
            },
        }
    }

    /// As the kernel is told.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let Bounds { open_files, processes, memory, file_size } = self.limits;
        Limits { open_files, processes, data: memory, file_size, ..Limits::default() }
    }

    /// The first path of it that is none.
    ///
    /// # Errors
    /// [`Unconfinable::Path`].
    pub fn check(&self) -> Result<(), Unconfinable> {
        let all = self.write.iter().chain(&self.hide);
        all.map(|path| resolve(path, |_| None)).collect::<Result<Vec<_>, _>>().map(drop)
    }
}

impl Sandbox {
    /// How an agent with this policy is confined.
    #[must_use]
    pub fn confined(&self, policy: &Policy) -> Confined {
        match (policy.over(&self.policy).mode.unwrap_or_default(), self.found.means) {
            (Mode::Off, _) | (_, None) => Confined::No,
            (Mode::Workspace, Some(Means::Namespaces { .. })) => Confined::Namespace,
            (Mode::Workspace, Some(Means::Landlock)) => Confined::Landlock,
        }
    }

    /// Why agents are not confined by the strongest means, in words.
    #[must_use]
    pub fn why(&self) -> Vec<String> {
        match self.policy.mode.unwrap_or_default() {
            Mode::Off => vec!["the sandbox is switched off".to_owned()],
            Mode::Workspace => self.found.why.clone(),
        }
    }

    /// What a command is confined to; `None` where it is not to be, or cannot be.
    ///
    /// # Errors
    /// When what is decided contradicts itself.
    pub fn confine(&self, subject: &Subject<'_>) -> Result<Option<Confinement>, Unconfinable> {
        let policy = subject.policy.over(&self.policy);
        let Some(means) = self.found.means.filter(|_| policy.mode.unwrap_or_default() == Mode::Workspace)
        else {
            return Ok(None);
        };
        let expand = |list: &[String]| {
            let paths = list.iter().map(|path| resolve(path, |name| subject.var(name)));
            paths.collect::<Result<Vec<_>, _>>()
        };
        let state: Vec<PathBuf> = expand(subject.state)?.into_iter().flatten().collect();
        let caches: Vec<String> = CACHES.map(str::to_owned).to_vec();
        let asked = expand(&policy.write)?.into_iter().flatten();
        let mut write = vec![subject.workspace.to_owned()];
        write.extend(crate::workspace::repository(subject.workspace));
        write.extend(state.iter().cloned().chain(asked).chain(expand(&caches)?.into_iter().flatten()));
        let write = outermost(&write);
        let mut hide: Vec<PathBuf> = expand(&policy.hide)?.into_iter().flatten().collect();
        hide.extend(subject.var("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute()));
        self.must_not_show(&write)?;
        hide.push(self.home.clone());
        let temporary = TEMPORARY.iter().map(PathBuf::from);
        let temporary =
            temporary.chain(subject.var("TMPDIR").map(PathBuf::from).filter(|path| is_temporary(path)));
        let make = state.into_iter().filter(|path| write.contains(path));
        Ok(Some(Confinement {
            means,
            make: make.map(Os::from_path).collect(),
            write: write.into_iter().map(Os::from_path).collect(),
            read: Vec::new(),
            hide: hide.into_iter().map(Os::from_path).collect(),
            temporary: outermost(&temporary.collect::<Vec<_>>()).into_iter().map(Os::from_path).collect(),
            scratch: subject.scratch.map(Os::from),
            network: policy.network.unwrap_or(true),
        }))
    }

    /// Nothing that is written may be, or lie in, what no agent sees.
    fn must_not_show(&self, write: &[PathBuf]) -> Result<(), Unconfinable> {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let home = real(&self.home);
        match write.iter().find(|path| real(path).starts_with(&home)) {
            Some(path) if !self.home.as_os_str().is_empty() => Err(Unconfinable::Hidden {
                path: path.display().to_string(),
                home: self.home.display().to_string(),
            }),
            Some(_) | None => Ok(()),
        }
    }
}

impl Subject<'_> {
    /// The last value of a name counts.
    fn var(&self, name: &str) -> Option<&OsStr> {
        let found = self.env.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_os_str()).filter(|value| !value.is_empty())
    }
}

impl Confinement {
    /// Nothing may be written, everything be seen, and nobody be talked to.
    #[must_use]
    pub fn by(means: Means) -> Self {
        let none = Vec::new;
        Self {
            means,
            write: none(),
            make: none(),
            read: none(),
            hide: none(),
            temporary: none(),
            scratch: None,
            network: false,
        }
    }

    /// Whether the command's parent is the first process of a pid namespace.
    pub(crate) fn has_first_process(&self) -> bool {
        matches!(self.means, Means::Namespaces { processes: true })
    }

    /// The same for this command line: the files that it names are seen, also where they lie among others' temporary ones.
    #[must_use]
    pub fn showing(mut self, argv: &[impl AsRef<Path>]) -> Self {
        let named = argv.iter().map(AsRef::as_ref).filter(|path| path.is_absolute() && is_plain(path));
        // What is hidden stays so, and what is written need not be seen besides.
        let within = |path: &Path, list: &[Os]| list.iter().any(|place| path.starts_with(&place.0));
        let temporary = named.filter(|path| {
            within(path, &self.temporary) && !within(path, &self.hide) && !within(path, &self.write)
        });
        let shown: Vec<Os> =
            temporary.filter(|path| !self.temporary.iter().any(|t| *path == t.0)).map(Os::from).collect();
        self.read.extend(shown);
        self
    }

    /// The same with a network.
    #[must_use]
    pub fn with_network(self) -> Self {
        Self { network: true, ..self }
    }

    /// The same, and these may be written.
    #[must_use]
    pub fn writing(mut self, paths: impl IntoIterator<Item = PathBuf>) -> Self {
        self.write.extend(paths.into_iter().map(Os::from_path));
        self
    }

    /// The same, and these are not seen.
    #[must_use]
    pub fn hiding(mut self, paths: impl IntoIterator<Item = PathBuf>) -> Self {
        self.hide.extend(paths.into_iter().map(Os::from_path));
        self
    }
}

impl fmt::Display for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Namespaces { processes: true } => "namespaces of users, mounts and processes",
            Self::Namespaces { processes: false } => "namespaces of users and mounts",
            Self::Landlock => "Landlock",
        })
    }
}

/// A path as a user writes it: absolute, `~/…`, or `$NAME` for what a variable holds. It is none where the variable is not
/// set.
fn resolve<'a>(path: &str, var: impl Fn(&str) -> Option<&'a OsStr>) -> Result<Option<PathBuf>, Unconfinable> {
    let full = match (path.strip_prefix("~/"), path.strip_prefix('$')) {
        (Some(below), _) => var("HOME").map(|home| straight(home).join(below)),
        (None, Some(name)) => var(name).map(straight),
        (None, None) => Some(PathBuf::from(path)),
    };
    match full {
        Some(full) if !full.is_absolute() || !is_plain(&full) => Err(Unconfinable::Path(path.to_owned())),
        full => Ok(full),
    }
}

/// A path as a variable has it, which may go up and down. What is not there cannot be followed.
fn straight(path: &OsStr) -> PathBuf {
    let path = Path::new(path);
    if is_plain(path) { path.to_owned() } else { path.canonicalize().unwrap_or_else(|_| path.to_owned()) }
}

fn is_plain(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
}

/// A private place for temporary files need not be made of a directory that others' files are in.
fn is_temporary(path: &Path) -> bool {
    path.is_absolute() && is_plain(path) && path.components().count() > 1
}

/// Without those that lie within another, and without repetitions. What lies within is writable anyway, and an agent
/// could have put a link in its place.
fn outermost(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut kept: Vec<PathBuf> = Vec::new();
    for path in paths {
        let within = paths.iter().any(|other| path != other && path.starts_with(other));
        if !within && !kept.contains(path) {
            kept.push(path.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests;
