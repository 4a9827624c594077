//! `profiles`.

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use trunkline_core::profile::Provider;

pub(crate) const EXAMPLES: &str = "\
Examples:
  trunkline profiles add claude --provider anthropic --model claude-sonnet-4-5
  trunkline profiles key claude < key.txt
  trunkline profiles add local --provider ollama --model qwen3
  trunkline profiles test";

#[derive(Debug, Args)]
pub(crate) struct Profiles {
    #[command(subcommand)]
    pub(crate) action: Option<ProfilesAction>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProfilesAction {
    /// Make a profile
    Add(AddProfile),
    /// Remove a profile that was made, with its key
    Rm {
        /// The profile
        profile: String,
    },
    /// Set the key of a profile, from stdin or from a prompt that shows nothing
    Key {
        /// The profile
        profile: String,
        /// Set the value of this header instead, which the profile names
        #[arg(long, value_name = "NAME")]
        header: Option<String>,
        /// Drop the key and the values of headers that the daemon keeps
        #[arg(long, conflicts_with = "header")]
        drop: bool,
    },
    /// Ask the model of a profile for one token, to see whether it works
    Test {
        /// The profile; without it, the one that is taken if none is named
        profile: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AddProfile {
    /// What to call it; the one called `default` is taken if none is named
    pub(crate) profile: String,
    /// Who runs the model
    #[arg(long, value_parser = PossibleValuesParser::new(Provider::ALL.map(Provider::name)))]
    pub(crate) provider: String,
    /// The model, by its provider's name
    #[arg(long)]
    pub(crate) model: String,
    /// The provider's address, where it is not the usual one
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,
    /// The variable of the daemon's environment that holds the key
    #[arg(long, value_name = "NAME")]
    pub(crate) key_env: Option<String>,
    /// A header to send along; its value is set by `profiles key --header` (repeatable)
    #[arg(long = "header", value_name = "NAME")]
    pub(crate) headers: Vec<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) description: String,
    /// The most tokens of one answer
    #[arg(long, value_name = "TOKENS")]
    pub(crate) max_tokens: Option<u32>,
    /// How many tokens the model can read
    #[arg(long, value_name = "TOKENS")]
    pub(crate) context: Option<u64>,
    /// Offer the model no tools
    #[arg(long)]
    pub(crate) no_tools: bool,
    /// Put it in the place of the one of this name
    #[arg(long)]
    pub(crate) replace: bool,
}
