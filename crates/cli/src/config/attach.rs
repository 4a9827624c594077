//! `[attach]` and `[[serve.static]]`: the dialect of attachable sessions, and a client of it in a browser.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use trunkline_serve::{AttachSettings, Network};

use super::FILE;
use crate::env::Env;
use crate::error::{CliError, Result};
use crate::moment::parse_duration;

/// The directory below the user's home in which sessions work, if none is named.
const SESSIONS: &str = "trunkline-sessions";

/// What is decided.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attach {
    /// Where the listener for browsers is, if anywhere.
    pub(crate) listen: Option<SocketAddr>,
    /// What the dialect is told.
    pub(crate) settings: AttachSettings,
}

/// The table of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Table {
    listen: Option<SocketAddr>,
    agent: Option<String>,
    sessions_dir: Option<PathBuf>,
    default_mode: DefaultMode,
    turn_timeout: Option<String>,
    proxies: Vec<String>,
    proxy_header: Option<String>,
}

/// Whether turns of sessions that are made there ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum DefaultMode {
    #[default]
    Ask,
    TrustAll,
}

/// What else is served.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Served {
    #[serde(rename = "static")]
    files: Vec<Mount>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mount {
    path: String,
    dir: PathBuf,
}

impl Attach {
    pub(super) fn of(env: &Env, table: Table, served: Served) -> Result<Self> {
        let bad = |key: &str, why: String| CliError::usage(format!("{key}: {why} (from {FILE})"));
        let turn_timeout = table.turn_timeout.as_deref().map(parse_duration).transpose();
        let turn_timeout = turn_timeout.map_err(|why| bad("attach.turn_timeout", why))?;
        let proxies: std::result::Result<Vec<Network>, _> =
            table.proxies.iter().map(|network| network.parse()).collect();
        let proxies = proxies.map_err(|why| bad("attach.proxies", why.to_string()))?;
        let proxy_header = table.proxy_header.unwrap_or_else(|| "x-authentik-username".to_owned());
        let at_home = || env.user_home.as_deref().unwrap_or_else(|| Path::new("/")).join(SESSIONS);
        let sessions_dir = table.sessions_dir.unwrap_or_else(at_home);
        if !sessions_dir.is_absolute() {
            let why = "must be an absolute path".to_owned();
            return Err(bad("attach.sessions_dir", why));
        }
        let mut files = Vec::new();
        for Mount { path, dir } in served.files {
            if !(path.starts_with('/') && path.ends_with('/')) {
                return Err(bad("serve.static", format!("the path `{path}` must begin and end with `/`")));
            }
            if !dir.is_dir() {
                return Err(bad("serve.static", format!("{} is no directory", dir.display())));
            }
            files.push((path, dir));
        }
        let settings = AttachSettings {
            agent: table.agent.unwrap_or_else(|| "claude".to_owned()),
            sessions_dir,
            trusts_all: table.default_mode == DefaultMode::TrustAll,
            turn_timeout_ms: turn_timeout.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            proxies,
            proxy_header: proxy_header.to_ascii_lowercase(),
            files,
        };
        Ok(Self { listen: table.listen, settings })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::Paint;

    fn of(toml: &str) -> std::result::Result<Attach, String> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct File {
            attach: Table,
            serve: Served,
        }
        let File { attach, serve } = toml::from_str(toml).unwrap();
        let env = Env { user_home: Some("/home/ana".into()), ..Env::default() };
        Attach::of(&env, attach, serve).map_err(|error| error.render(Paint::PLAIN))
    }

    #[test]
    fn nothing_is_open_that_was_not_asked_for() {
        let Attach { listen, settings } = of("").unwrap();
        assert_eq!(
            (listen, settings.trusts_all, settings.proxies.len(), settings.files.len()),
            (None, false, 0, 0)
        );
        assert_eq!(settings.sessions_dir, Path::new("/home/ana/trunkline-sessions"));
    }

    #[test]
    fn what_is_said_is_checked() {
        let dir = tempfile::tempdir().unwrap();
        let mount = |path: &str, dir: &Path| format!("[[serve.static]]\npath = {path:?}\ndir = {dir:?}");
        assert_eq!(
            of(&mount("/", dir.path())).unwrap().settings.files,
            [("/".to_owned(), dir.path().to_owned())]
        );
        for (toml, why) in [
            ("[attach]\nsessions_dir = \"here\"".to_owned(), "attach.sessions_dir: must be an absolute path"),
            ("[attach]\nproxies = [\"10.0.0.0/40\"]".to_owned(), "attach.proxies: `10.0.0.0/40` is neither"),
            (
                "[attach]\nturn_timeout = \"soon\"".to_owned(),
                "attach.turn_timeout: `soon` is not a time span",
            ),
            (mount("app", dir.path()), "serve.static: the path `app` must begin and end with `/`"),
            (mount("/", Path::new("/no/such")), "serve.static: /no/such is no directory"),
        ] {
            let error = of(&toml).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
