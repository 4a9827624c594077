//! `search`.

use clap::Args;

pub(crate) const EXAMPLES: &str = "\
Examples:
  trunkline search parser
  trunkline search '\"connection refused\"' --limit 50";

#[derive(Debug, Args)]
pub(crate) struct Search {
    /// The words: all of them must be there; each also finds longer words that begin with it
    #[arg(required = true, value_name = "WORD")]
    pub(crate) words: Vec<String>,
    /// Only in this session
    #[arg(long, value_name = "SESSION")]
    pub(crate) session: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=200))]
    pub(crate) limit: u64,
}
