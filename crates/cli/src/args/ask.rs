//! `ask`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::moment::parse_duration;

pub(crate) const EXAMPLES: &str = "\
Examples:
  trunkline ask \"Proceed with migration?\" --option yes --option no --priority urgent
  answer=$(trunkline ask \"Which branch?\" --timeout 10m --on-timeout default=main)";

#[derive(Debug, Args)]
pub(crate) struct Ask {
    /// One line that says what it is about
    pub(crate) title: String,
    /// The question in full; - reads it from stdin
    #[arg(long, short, value_name = "TEXT")]
    pub(crate) question: Option<String>,
    /// An answer to offer (repeatable); without any, the answer is a text
    #[arg(long = "option", short, value_name = "ANSWER")]
    pub(crate) options: Vec<String>,
    /// How soon it wants an answer
    #[arg(long, value_enum, default_value_t = Urgency::Normal)]
    pub(crate) priority: Urgency,
    /// How long to wait, like 10m [default: as long as it takes]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// What happens then: deny, escalate, or default=ANSWER [default: deny]
    #[arg(long, value_name = "WHAT")]
    pub(crate) on_timeout: Option<String>,
    /// Whatever helps to decide, as JSON
    #[arg(long, value_name = "JSON")]
    pub(crate) context: Option<String>,
    /// A label (repeatable)
    #[arg(long = "tag", value_name = "LABEL")]
    pub(crate) tags: Vec<String>,
    /// Ask in this session [default: one for this question]
    #[arg(long)]
    pub(crate) session: Option<String>,
    /// What to call the session [default: the script or program that asks]
    #[arg(long, conflicts_with = "session")]
    pub(crate) name: Option<String>,
}

/// How soon a question wants an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Urgency {
    Low,
    Normal,
    High,
    Urgent,
}
