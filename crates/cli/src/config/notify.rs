//! Who is told that a request has come: `notify` (the desktop), `[notify_targets.NAME]` (services), and the address that they are
//! told to come to, `public_url`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use serde::Deserialize;
use trunkline_run::notify::target::{Kind, Target};
use trunkline_wire::model::Secret;

use super::profiles::{Hidden, must_be_private};
use super::{FILE, File, Flags, Layers};
use crate::env::Env;
use crate::error::{CliError, Result};

/// A service, as the file has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    kind: Kind,
    url: Option<Hidden>,
    url_env: Option<String>,
    token_env: Option<String>,
    #[serde(default)]
    details: bool,
    #[serde(default)]
    answer: bool,
}

/// Takes the tables of the file at `path`.
///
/// # Errors
/// A service that cannot be, or an address in a file that others can read.
pub(super) fn take(tables: BTreeMap<String, Table>, env: &Env, path: Option<&Path>) -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    for (name, table) in tables {
        let bad = |why: String| CliError::usage(format!("notify_targets.{name}: {why} (from {FILE})"));
        let named = |variable: &str| {
            let found = env.all.iter().find(|(key, _)| key == OsStr::new(variable));
            let text = found.and_then(|(_, value)| value.to_str()).filter(|value| !value.is_empty());
            text.map(Secret::new).ok_or_else(|| bad(format!("the environment has no {variable}")))
        };
        let url = match (table.url, &table.url_env) {
            (Some(Hidden(url)), None) => {
                if let Some(path) = path {
                    let hint = "or take it out, and name a variable in `url_env`";
                    must_be_private(&format!("the address of notify_targets.{name}"), hint, path)?;
                }
                Secret::new(url)
            }
            (None, Some(variable)) => named(variable)?,
            (None, None) => return Err(bad("say where it is, with `url` or `url_env`".to_owned())),
            (Some(_), Some(_)) => return Err(bad("`url` and `url_env` cannot both count".to_owned())),
        };
        let token = table.token_env.as_deref().map(named).transpose()?;
        let (kind, details, answer) = (table.kind, table.details, table.answer);
        let target = Target { kind, url, token, details, answer, name: name.clone() };
        target.check().map_err(|why| bad(why.to_string()))?;
        targets.push(target);
    }
    Ok(targets)
}

/// The address by which other devices reach the daemon, without a slash at its end.
pub(super) fn public_url(layers: &mut Layers<'_>, flags: &Flags, file: &File) -> Result<Option<String>> {
    let url = layers.text("public_url", flags.public_url.as_deref(), file.public_url.clone(), "off");
    if url == "off" {
        return Ok(None);
    }
    let url = url.trim_end_matches('/').to_owned();
    match host(&url) {
        Some(_) => Ok(Some(url)),
        None => Err(layers.bad("public_url", &format!("`{url}` is no address like https://tl.example:8443"))),
    }
}

/// The host of an address that is nothing but a scheme, a host and maybe a port.
pub(crate) fn host(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (rest, "443"),
    };
    let is_host = !host.is_empty() && host.chars().all(|c| c.is_alphanumeric() || ".-[]:".contains(c));
    (is_host && port.parse::<u16>().is_ok()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_scheme_a_host_and_maybe_a_port() {
        for (url, expected) in [
            ("https://tl.example", Some("tl.example")),
            ("http://10.0.0.2:7433", Some("10.0.0.2")),
            ("https://[::1]:80", Some("[::1]")),
            ("https://[::1]", Some("[::1]")),
            ("tl.example", None),
            ("https://", None),
            ("https://tl.example/path", None),
            ("https://a@b", None),
            ("https://tl.example:x", None),
        ] {
            assert_eq!(host(url), expected, "{url}");
        }
    }
}
