//! `send`.

use clap::Args;

pub(crate) const EXAMPLES: &str = "\
Examples:
  trunkline send codex \"the schema has changed: see docs/schema.md\"
  git diff | trunkline send 26f8ad91 -";

#[derive(Debug, Args)]
pub(crate) struct Send {
    /// The agent: its session's id, the beginning or the end of it, its title, or the agent's name
    pub(crate) to: String,
    /// What it should know, or do; - reads it from stdin
    pub(crate) text: String,
}
