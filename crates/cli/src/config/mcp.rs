//! `[mcp_servers.NAME]`: where the built-in agent gets more tools, and the values of variables and headers where the user keeps
//! those in the file.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use trunkline_core::mcp::{Server, check_server_name};
use trunkline_run::mcp::OfFile;
use trunkline_wire::model::Secret;

use super::FILE;
use super::profiles::{Hidden, must_be_private};
use crate::error::{CliError, Result};

/// A server of the file: that of `trunkline_core`, with secrets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    command: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, Hidden>,
    #[serde(default)]
    env_pass: Vec<String>,
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, Hidden>,
    #[serde(default)]
    description: String,
    enabled: Option<bool>,
    timeout_s: Option<u64>,
    sandbox: Option<bool>,
}

impl Table {
    fn into_server(self) -> OfFile {
        let names = |values: &BTreeMap<String, Hidden>| values.keys().cloned().collect();
        let secrets = |values: BTreeMap<String, Hidden>| -> Vec<(String, Secret)> {
            values.into_iter().map(|(name, value)| (name, Secret::new(value.0))).collect()
        };
        let server = Server {
            command: self.command,
            args: self.args,
            env: names(&self.env),
            env_pass: self.env_pass,
            url: self.url,
            headers: names(&self.headers),
            description: self.description,
            enabled: self.enabled.unwrap_or(true),
            timeout_s: self.timeout_s,
            sandbox: self.sandbox,
        };
        OfFile { server, env: secrets(self.env), headers: secrets(self.headers) }
    }
}

/// Takes the tables of the file at `path`.
///
/// # Errors
/// A server that cannot be, or secrets in a file that others can read.
pub(super) fn take(tables: BTreeMap<String, Table>, path: Option<&Path>) -> Result<BTreeMap<String, OfFile>> {
    let mut servers = BTreeMap::new();
    for (name, table) in tables {
        let of = table.into_server();
        let checked = check_server_name(&name).and_then(|()| of.server.check());
        checked.map_err(|why| CliError::usage(format!("mcp_servers.{name}: {why} (from {FILE})")))?;
        servers.insert(name, of);
    }
    let with_secret = servers.iter().find(|(_, of)| !of.env.is_empty() || !of.headers.is_empty());
    if let (Some((name, _)), Some(path)) = (with_secret, path) {
        let hint = "or name a variable of the daemon's environment in `env_pass`";
        must_be_private(&format!("a variable or a header of mcp_servers.{name}"), hint, path)?;
    }
    Ok(servers)
}
