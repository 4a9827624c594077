//! `action`.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Action {
    /// The action; without it, all are listed
    pub(crate) name: Option<String>,
    /// Do not ask once more before one that changes something
    #[arg(long, short = 'y', requires = "name")]
    pub(crate) yes: bool,
    /// List what ran last
    #[arg(long, conflicts_with = "name")]
    pub(crate) runs: bool,
}
