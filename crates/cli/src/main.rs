//! The `trunkline` binary: the daemon, and every command by which a person or a script uses it.
//!
//! - [`args`]: the command line. [`env`]: the environment, read once. [`config`]: both together with `config.toml`.
//! - [`names`]: other names it is called by. [`app`]: runs a command. `commands`: one file for each of them, or for a few that belong together.
//! - [`serve`], [`holder`], [`announce`], [`logging`]: the daemon itself. [`start`]: starting it in the background.
//! - [`screen`], [`style`], [`table`], [`clean`], [`moment`]: what is printed, and how.
//! - [`error`], [`exit`]: what went wrong, what to do about it, and the exit code.
//! - [`transcript`]: events as lines of text, pure. [`attach`]: the same, live, with a line to type in.
//! - [`mcp`]: the MCP server on stdin and stdout. [`hook`]: agents that a person runs in a terminal of their own.
//! - [`demo_agent`]: a real agent without a model, to try everything with.

mod announce;
mod app;
mod args;
mod attach;
mod clean;
mod commands;
mod config;
mod demo_agent;
mod engine;
mod env;
mod error;
mod exit;
mod holder;
mod hook;
mod listen;
mod logging;
mod mcp;
mod moment;
mod names;
mod pick;
mod screen;
mod serve;
mod signals;
mod start;
mod style;
mod table;
mod tls;
mod transcript;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    // A keeper closes descriptors and forks: it must come before any thread and any open file.
    if args.nth(1).is_some_and(|command| command == "keep") {
        return trunkline_run::keep::main(args);
    }
    app::main()
}
