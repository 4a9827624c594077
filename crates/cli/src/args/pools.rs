//! `pools`.

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Pools {
    #[command(subcommand)]
    pub(crate) action: Option<PoolsAction>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PoolsAction {
    /// Replace all workers of a pool; turns under way there end with an error
    Restart {
        /// The pool
        pool: String,
    },
    /// Have a pool take no more prompts; turns under way go on
    Drain {
        /// The pool
        pool: String,
    },
    /// Have a drained pool take prompts again
    Resume {
        /// The pool
        pool: String,
    },
}
