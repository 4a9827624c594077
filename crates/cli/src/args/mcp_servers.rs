//! `mcp-servers`.

use clap::{Args, Subcommand};

pub(crate) const EXAMPLES: &str = "\
Examples:
  trunkline mcp-servers add files -- npx -y @modelcontextprotocol/server-filesystem .
  trunkline mcp-servers add tracker --url https://mcp.example.com/mcp --header Authorization
  trunkline mcp-servers set tracker Authorization < header.txt
  trunkline mcp-servers status my-session
  trunkline mcp-servers trust my-session files";

#[derive(Debug, Args)]
pub(crate) struct McpServers {
    #[command(subcommand)]
    pub(crate) action: Option<McpServersAction>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum McpServersAction {
    /// Make a server
    Add(AddMcpServer),
    /// Remove a server that was made, with its secrets
    Rm {
        /// The server
        server: String,
    },
    /// Set the value of a variable or a header of a server, from stdin or from a prompt that shows nothing
    Set {
        /// The server
        server: String,
        /// The variable or the header
        name: String,
    },
    /// Show how a session stands to each server, and its tools
    Status {
        /// The session [default: the one that runs here]
        session: Option<String>,
    },
    /// Connect a session to a server
    Connect {
        /// The session
        session: String,
        /// The server
        server: String,
    },
    /// End a session's connection to a server
    Disconnect {
        /// The session
        session: String,
        /// The server
        server: String,
    },
    /// Show what a server of a session's project would start, and let it run
    Trust {
        /// The session
        session: String,
        /// The server
        server: String,
        /// Ask nothing
        #[arg(long)]
        yes: bool,
        /// Let it run no longer
        #[arg(long, conflicts_with = "yes")]
        drop: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AddMcpServer {
    /// What to call it
    pub(crate) server: String,
    /// The address of a server that is spoken to over streamable HTTP
    #[arg(long, conflicts_with = "command")]
    pub(crate) url: Option<String>,
    /// A variable of its program; its value is set by `mcp-servers set` (repeatable)
    #[arg(long = "env", value_name = "NAME")]
    pub(crate) env: Vec<String>,
    /// A variable of the daemon's environment that its program gets too (repeatable)
    #[arg(long, value_name = "NAME")]
    pub(crate) env_pass: Vec<String>,
    /// A header to send along; its value is set by `mcp-servers set` (repeatable)
    #[arg(long = "header", value_name = "NAME")]
    pub(crate) headers: Vec<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) description: String,
    /// Let sessions connect to it only when told to
    #[arg(long)]
    pub(crate) disabled: bool,
    /// Do not shut its program in as the agent's own commands are
    #[arg(long)]
    pub(crate) no_sandbox: bool,
    /// Put it in the place of the one of this name; values that it has stay
    #[arg(long)]
    pub(crate) replace: bool,
    /// The program that is started in a session's workspace, and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}
