//! `kv`, `pub`, `sub`, `agents`.

use std::time::Duration;

use clap::{Args, Subcommand};

use crate::moment::parse_duration;

pub(crate) const KV_EXAMPLES: &str = "\
Examples:
  trunkline kv put build.status '{\"ok\": true}' --ttl 10m
  trunkline kv get build.status
  trunkline kv put lock.deploy '\"ana\"' --if-absent && ./deploy";

pub(crate) const SUB_EXAMPLES: &str = "\
Examples:
  trunkline sub 'build.>' | jq .data
  trunkline sub deploy.done --count 1 && ./announce
  trunkline sub jobs --group workers | while read -r job; do ./work \"$job\"; done";

#[derive(Debug, Args)]
pub(crate) struct Kv {
    #[command(subcommand)]
    pub(crate) action: KvAction,
    /// The namespace
    #[arg(long, short, global = true, default_value = "default")]
    pub(crate) namespace: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KvAction {
    /// List the keys of the namespace
    Ls {
        /// Only keys that begin like this
        prefix: Option<String>,
    },
    /// List the namespaces
    Namespaces,
    /// Print the value of a key, as JSON
    Get {
        /// The key
        key: String,
    },
    /// Write a key
    Put {
        /// The key
        key: String,
        /// Its value: JSON, or a text if it is none; - reads it from stdin
        value: String,
        /// How long it lasts, like 10m [default: for ever]
        #[arg(long, value_name = "TIME", value_parser = parse_duration)]
        ttl: Option<Duration>,
        /// Whose it is
        #[arg(long)]
        owner: Option<String>,
        /// Only if the key is not there
        #[arg(long, conflicts_with = "if_revision")]
        if_absent: bool,
        /// Only if the key has this revision
        #[arg(long, value_name = "NUMBER")]
        if_revision: Option<u64>,
        /// Wait until it is on the disk, which it is within 50 ms anyway
        #[arg(long)]
        durable: bool,
    },
    /// Delete a key
    Rm {
        /// The key
        key: String,
        /// Only if it has this revision
        #[arg(long, value_name = "NUMBER")]
        if_revision: Option<u64>,
    },
    /// Give the keys of one owner to another
    Transfer {
        /// Whose they are
        from: String,
        /// Whose they are to be
        to: String,
        /// Which [default: all of theirs]
        keys: Vec<String>,
    },
    /// Print what happens to the keys, one line of JSON each, until Ctrl-C
    Watch,
}

#[derive(Debug, Args)]
pub(crate) struct Pub {
    /// The topic, such as build.app.done
    pub(crate) topic: String,
    /// What to say: JSON, or a text if it is none; - reads it from stdin
    pub(crate) data: String,
    /// Who says it
    #[arg(long = "as", value_name = "AGENT")]
    pub(crate) agent: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Sub {
    /// A topic, or a pattern: * is any one word, > at the end any one or more
    pub(crate) pattern: String,
    /// Print so many messages that are retained first
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    pub(crate) last: usize,
    /// End after so many
    #[arg(long, value_name = "NUMBER")]
    pub(crate) count: Option<u64>,
    /// Take messages as a member of this group: each goes to one member, and is done with once it is printed
    #[arg(long, value_name = "NAME", conflicts_with = "last")]
    pub(crate) group: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Agents {
    #[command(subcommand)]
    pub(crate) action: Option<AgentsAction>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AgentsAction {
    /// Say who an agent is, and what it can
    Register {
        /// Its name
        agent: String,
        /// Something it can, in a word of its own (repeatable)
        #[arg(long = "can", value_name = "WORD")]
        capabilities: Vec<String>,
        /// Whatever else is to be known of it, as JSON
        #[arg(long, value_name = "JSON")]
        metadata: Option<String>,
        /// For how long it may be counted on, like 2m
        #[arg(long, value_name = "TIME", value_parser = parse_duration)]
        lease: Option<Duration>,
    },
    /// Take an agent out of the registry
    Rm {
        /// Its name
        agent: String,
    },
}
