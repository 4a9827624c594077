//! `audit`.

use std::time::Duration;

use clap::{Args, Subcommand};
use trunkline_core::audit::Deed;
use trunkline_core::audit::chain::Head;

use crate::moment::parse_duration;

pub(super) const EXAMPLES: &str = "\
Examples:
  trunkline audit --since 7d --kind request.answered
  trunkline audit verify                       # note the head it prints
  trunkline audit verify --head 42:9f86d0...   # later: nothing up to it was changed";

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Audit {
    #[command(flatten)]
    pub(crate) listed: Listed,
    #[command(subcommand)]
    pub(crate) action: Option<AuditAction>,
}

/// What is listed.
#[derive(Debug, Args)]
pub(crate) struct Listed {
    /// Only what is about this session
    #[arg(long)]
    pub(crate) session: Option<String>,
    /// Only what this principal did, such as owner or token/phone
    #[arg(long = "by", value_name = "PRINCIPAL")]
    pub(crate) principal: Option<String>,
    /// Only this kind of deed
    #[arg(long, value_parser = Deed::KINDS)]
    pub(crate) kind: Option<String>,
    /// Only what was recorded in this time, like 2d
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) since: Option<Duration>,
    /// How many records at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) limit: u64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditAction {
    /// Check that no record was changed, removed, added or moved
    ///
    /// Prints the head of the chain. Kept elsewhere and given to a later check, it also tells whether the newest records
    /// were cut off, or all were made anew. Fails, and names the first bad record, if something is wrong.
    Verify {
        /// A head that was printed earlier
        #[arg(long, value_name = "N:HASH")]
        head: Option<Head>,
    },
}
