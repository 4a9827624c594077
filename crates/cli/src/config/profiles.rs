//! `[profiles.NAME]`: where models are, and their keys where the user keeps those in the file.
//!
//! A key may stand there only while nobody else can read the file, and no error quotes what stands near one.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde::Deserialize;
use trunkline_core::budget::Budget;
use trunkline_core::park::Park;
use trunkline_core::profile::{Effort, Prices, Profile, Provider, check_profile_name};
use trunkline_core::spending::DailyBudget;
use trunkline_run::profiles::OfFile;
use trunkline_wire::model::Secret;

use super::FILE;
use crate::error::{CliError, Result};

/// A profile of the file: that of `trunkline_core`, with secrets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    provider: Provider,
    model: String,
    base_url: Option<String>,
    api_key: Option<Hidden>,
    api_key_env: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, Hidden>,
    api_version: Option<String>,
    #[serde(default)]
    description: String,
    max_tokens: Option<u32>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    effort: Option<Effort>,
    context: Option<u64>,
    max_steps: Option<u32>,
    timeout_s: Option<u64>,
    tools: Option<bool>,
    prices: Option<Prices>,
    budget: Option<Budget>,
    daily_budget: Option<DailyBudget>,
    park: Option<Park>,
}

/// A text that is not printed.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Hidden(pub(super) String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl Table {
    fn into_profile(self) -> OfFile {
        let names = self.headers.keys().cloned().collect();
        let headers = self.headers.into_iter().map(|(name, value)| (name, Secret::new(value.0)));
        OfFile {
            api_key: self.api_key.map(|key| Secret::new(key.0)),
            headers: headers.collect(),
            profile: Profile {
                base_url: self.base_url,
                api_key_env: self.api_key_env,
                headers: names,
                api_version: self.api_version,
                description: self.description,
                max_tokens: self.max_tokens,
                temperature: self.temperature,
                top_p: self.top_p,
                effort: self.effort,
                context: self.context,
                max_steps: self.max_steps,
                timeout_s: self.timeout_s,
                tools: self.tools,
                prices: self.prices,
                budget: self.budget,
                daily_budget: self.daily_budget,
                park: self.park,
                ..Profile::new(self.provider, self.model)
            },
        }
    }
}

/// Takes the tables of the file at `path`.
///
/// # Errors
/// A profile that cannot be, or secrets in a file that others can read.
pub(super) fn take(tables: BTreeMap<String, Table>, path: Option<&Path>) -> Result<BTreeMap<String, OfFile>> {
    let mut profiles = BTreeMap::new();
    for (name, table) in tables {
        let of = table.into_profile();
        let has_key = of.api_key.is_some() || of.profile.api_key_env.is_some();
        let checked = check_profile_name(&name).and_then(|()| of.profile.check(has_key));
        checked.map_err(|why| CliError::usage(format!("profiles.{name}: {why} (from {FILE})")))?;
        profiles.insert(name, of);
    }
    let with_secret = profiles.iter().find(|(_, of)| of.api_key.is_some() || !of.headers.is_empty());
    if let (Some((name, _)), Some(path)) = (with_secret, path) {
        let hint = format!(
            "or take it out, name a variable in `api_key_env`, or set it with `trunkline profiles key {name}`"
        );
        must_be_private(&format!("a key or a header of profiles.{name}"), &hint, path)?;
    }
    Ok(profiles)
}

/// Refuses a file with a secret that others may read.
pub(super) fn must_be_private(secret: &str, hint: &str, path: &Path) -> Result<()> {
    let shown = path.display();
    let meta = path.metadata().map_err(|error| CliError::usage(format!("{shown}: {error}")))?;
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let what = format!("{shown} has {secret}, and others may read it (mode {mode:o})");
    Err(CliError::usage(what).hint(format!("`chmod 600 {shown}`; {hint}")))
}

/// What is wrong with the file, without its text where a secret may stand there.
pub(super) fn told(text: &str, error: &toml::de::Error) -> String {
    if !error.span().is_some_and(|span| is_near_secret(text, span)) {
        return error.to_string().trim_end().to_owned();
    }
    let line = error.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    // What is told of a value of another type quotes it.
    let why = if error.message().starts_with("invalid type") || error.message().starts_with("invalid value") {
        "a value of another type is expected there"
    } else {
        error.message()
    };
    format!("line {line}, which is not shown because a secret may stand there: {why}")
}

/// Whether a place is in a table of profiles, MCP servers or services to tell, or in a line that names a key.
fn is_near_secret(text: &str, span: Range<usize>) -> bool {
    let upto = text.get(..span.start).unwrap_or(text);
    let begin = upto.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[begin..].lines().next().unwrap_or_default();
    let table = text[..begin].lines().rev().map(str::trim_start).find(|line| line.starts_with('['));
    let is_head = line.trim_start().starts_with('[');
    let may_have =
        |text: &str| ["profiles", "notify_targets", "mcp_servers"].iter().any(|name| text.contains(name));
    (!is_head && table.is_some_and(may_have)) || line.contains("api_key") || may_have(line)
}
