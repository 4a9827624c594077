//! `export` and `import`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The session
    pub(crate) session: Option<String>,
    /// Write to a file
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// What `trunkline export` wrote, - reads it from stdin; with --from, the other program's database or directory
    pub(crate) file: PathBuf,
    /// Read what another program has kept, without changing it
    #[arg(long, value_enum, value_name = "PROGRAM")]
    pub(crate) from: Option<Source>,
}

/// A program whose data can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Source {
    /// The original human-input hub: its agentflow.db
    Sessionbus,
    /// The original agent bus: its handoff.db
    Engram,
    /// The original engine of model turns: its directory ~/.kollab, or the config.json there
    Kollab,
}
