//! `grants`.

use std::time::Duration;

use clap::{Args, Subcommand};

use crate::moment::parse_duration;

#[derive(Debug, Args)]
pub(crate) struct Grants {
    #[command(subcommand)]
    pub(crate) action: Option<GrantAction>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GrantAction {
    /// List the grants that count in a session; without one, those of projects
    List {
        /// The session [default: the one that runs here]
        #[arg(long)]
        session: Option<String>,
    },
    /// Allow what a rule covers
    Add {
        /// The rule, or a mode: confirm_all, default, auto_approve_edits, trust_all
        rule: String,
        /// In this session [default: the one that runs here]
        #[arg(long, conflicts_with = "project")]
        session: Option<String>,
        /// In every session of the repository at this path
        #[arg(long, value_name = "DIR")]
        project: Option<String>,
        /// Only the next call that it covers
        #[arg(long, conflicts_with = "project")]
        once: bool,
        /// For the turns of this principal, such as schedule/nightly [default: those of people]
        #[arg(long = "for", value_name = "PRINCIPAL")]
        principal: Option<String>,
        /// Also while nothing confines the agent, which else asks about everything
        #[arg(long)]
        unconfined: bool,
        /// How long it counts, like 8h [default: until it is revoked]
        #[arg(long, value_name = "TIME", value_parser = parse_duration)]
        ttl: Option<Duration>,
    },
    /// Take a grant back
    Rm {
        /// Its id
        grant: String,
        /// The session that it is of
        #[arg(long)]
        session: Option<String>,
    },
    /// Show what a rule would have allowed
    Preview {
        /// The rule
        rule: String,
        /// Only in this session
        #[arg(long)]
        session: Option<String>,
        /// How many days to look back
        #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..=90))]
        days: u64,
    },
}
