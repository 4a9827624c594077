//! `mcp` and `hook`.

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct Mcp {
    /// Act as you: answer requests too, and see everything. Without it the host asks, and answers nothing that agents ask
    #[arg(long)]
    pub(crate) operator: bool,
    /// Reach the daemon at this address, without a token, instead of by its home directory
    #[arg(long, value_name = "URL", conflicts_with = "operator")]
    pub(crate) url: Option<String>,
    /// Print what to write into a host's configuration
    #[arg(long, value_enum, value_name = "HOST", num_args = 0..=1, default_missing_value = "all")]
    pub(crate) print_config: Option<Host>,
}

/// What speaks MCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Host {
    ClaudeDesktop,
    ClaudeCode,
    Cursor,
    Gemini,
    Codex,
    All,
}

#[derive(Debug, Args)]
pub(crate) struct Hook {
    #[command(subcommand)]
    pub(crate) action: HookAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HookAction {
    /// Print the hooks for Claude Code's settings.json
    Claude,
    /// Print the hooks for Codex's hooks.json
    Codex,
    /// Print the hooks for Gemini CLI's settings.json
    Gemini,
    /// Be the hook: read what happened on stdin, print the decision
    Run {
        /// Whose hook it is
        vendor: HookVendor,
    },
}

/// An agent with hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HookVendor {
    Claude,
    Codex,
    Gemini,
}
