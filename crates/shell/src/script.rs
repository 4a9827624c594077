//! The types that a line is read into.

use crate::word::Word;

/// What a line would run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script {
    /// Every simple command, in the order they are written.
    pub commands: Vec<Command>,
    /// What redirections of whole groups read and write.
    pub redirects: Vec<Redirect>,
    /// What is not understood, each with its reason. A line that has any is never covered by a permission.
    pub opaque: Vec<String>,
}

impl Script {
    /// All redirections, with where a relative path of theirs starts.
    pub fn all_redirects(&self) -> impl Iterator<Item = &Redirect> {
        self.redirects.iter().chain(self.commands.iter().flat_map(|command| &command.redirects))
    }
}

/// A simple command: a program with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The program and its arguments; never empty.
    pub words: Vec<Word>,
    /// The names of variables that are set for it alone.
    pub env: Vec<String>,
    /// What it reads and writes by redirection.
    pub redirects: Vec<Redirect>,
    /// Where it runs.
    pub dir: Dir,
    /// The program, as written, whose output it reads.
    pub piped_from: Option<String>,
    /// The command that runs it, such as `sudo`; empty when the shell does.
    pub run_by: Vec<String>,
    /// Why only a rule that spells every word may cover it: it carries a program of its own.
    pub exact_only: Option<String>,
}

impl Command {
    /// A command of these words alone.
    #[must_use]
    pub fn of(words: Vec<Word>) -> Self {
        let (env, redirects, run_by) = (Vec::new(), Vec::new(), Vec::new());
        Self { words, env, redirects, dir: Dir::Start, piped_from: None, run_by, exact_only: None }
    }

    /// The program's name without its directory.
    #[must_use]
    pub fn program(&self) -> &str {
        let text = self.words.first().map_or("", |word| word.text.as_str());
        text.rsplit('/').next().unwrap_or(text)
    }

    /// The arguments.
    #[must_use]
    pub fn args(&self) -> &[Word] {
        self.words.get(1..).unwrap_or_default()
    }

    /// Whether all its words are known to the letter.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.env.is_empty() && self.words.iter().all(|word| word.is_known())
    }
}

/// Where a command runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Dir {
    /// Where the line starts.
    #[default]
    Start,
    /// In this directory, relative to the start unless it is absolute.
    At(String),
    /// Nobody knows.
    Unknown,
}

impl Dir {
    /// The directory after `cd path`.
    #[must_use]
    pub fn after(&self, path: &Word) -> Self {
        if !path.is_literal() || path.text.starts_with('-') || path.text.is_empty() {
            return Self::Unknown;
        }
        match self {
            Self::Start => Self::At(path.text.clone()),
            Self::At(_) if path.text.starts_with('/') => Self::At(path.text.clone()),
            Self::At(dir) => Self::At(format!("{dir}/{}", path.text)),
            Self::Unknown if path.text.starts_with('/') => Self::At(path.text.clone()),
            Self::Unknown => Self::Unknown,
        }
    }
}

/// What a redirection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It reads a file.
    Read,
    /// It writes a file.
    Write,
}

/// A redirection from or to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// What it does.
    pub way: Way,
    /// The file.
    pub path: Word,
    /// Where a relative path starts.
    pub dir: Dir,
}
