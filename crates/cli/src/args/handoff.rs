//! `handoff`.

use clap::{Args, Subcommand};

pub(crate) const EXAMPLES: &str = "\
Examples:
  trunkline handoff save --agent claude --summary \"port the parser\" --todo \"error paths\" --file src/parse.rs
  trunkline handoff resume --run codex
  trunkline handoff resume --agent claude | my-agent -p -";

#[derive(Debug, Args)]
pub(crate) struct Handoff {
    #[command(subcommand)]
    pub(crate) action: HandoffAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HandoffAction {
    /// Save work, so that another agent can go on with it
    Save(Save),
    /// Print the prompt with which an agent takes work over, or run an agent with it
    ///
    /// Without an ID it is the newest of this repository that is not completed. In the prompt, every line of the record
    /// begins with `| `, so that nothing in it can pass for your words.
    Resume(Resume),
    /// Show a handoff with its lanes and its last checkpoint
    Show {
        /// The handoff, by its id, or the beginning or end of it
        id: String,
    },
    /// List handoffs, the one last changed first
    List(ListHandoffs),
}

#[derive(Debug, Args)]
pub(crate) struct Save {
    /// Change this one instead of saving another
    pub(crate) id: Option<String>,
    /// Whose work it is, by the agent's name [default: the agent of --session]
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
    /// What is being done, and how far it is
    #[arg(long, short, value_name = "TEXT")]
    pub(crate) summary: Option<String>,
    /// What was decided (repeatable)
    #[arg(long = "decision", value_name = "TEXT")]
    pub(crate) decisions: Vec<String>,
    /// What is left to do (repeatable)
    #[arg(long = "todo", value_name = "TEXT")]
    pub(crate) todos: Vec<String>,
    /// A file that was touched (repeatable)
    #[arg(long = "file", value_name = "PATH")]
    pub(crate) files: Vec<String>,
    /// How it stands: active, paused, completed, or a word of yours
    #[arg(long, value_name = "WORD")]
    pub(crate) status: Option<String>,
    /// The repository [default: the one of this directory]
    #[arg(long, value_name = "PATH")]
    pub(crate) repo: Option<String>,
    /// The session it comes from
    #[arg(long)]
    pub(crate) session: Option<String>,
    /// Read all of it as a JSON object from stdin; what is given beside counts more
    #[arg(long)]
    pub(crate) stdin: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Resume {
    /// The handoff, by its id, or the beginning or end of it
    #[arg(conflicts_with_all = ["repo", "agent"])]
    pub(crate) id: Option<String>,
    /// The newest of this repository [default: the one of this directory]
    #[arg(long, value_name = "PATH")]
    pub(crate) repo: Option<String>,
    /// The newest of this agent, in whichever repository
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
    /// Run this agent of the catalog with it, in the repository
    #[arg(long, value_name = "AGENT")]
    pub(crate) run: Option<String>,
    /// With --run: do not attach, print the session's id and leave it to work
    #[arg(long, short, requires = "run")]
    pub(crate) detach: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListHandoffs {
    /// Only those of this agent
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
    /// Only those of this repository
    #[arg(long, value_name = "PATH")]
    pub(crate) repo: Option<String>,
    /// Only those that stand so
    #[arg(long, value_name = "WORD")]
    pub(crate) status: Option<String>,
    /// Only those of a session
    #[arg(long)]
    pub(crate) session: Option<String>,
    /// Only those from which a lane leads to this agent
    #[arg(long, value_name = "NAME")]
    pub(crate) to: Option<String>,
    /// How many at most
    #[arg(long, short = 'n', default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
}
