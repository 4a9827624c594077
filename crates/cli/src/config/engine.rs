//! `[engine]`: the dialect of the original engine of model turns, and a page in which its client runs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use trunkline_serve::EngineSettings;

use super::FILE;
use crate::env::Env;
use crate::error::{CliError, Result};
use crate::moment::parse_duration;

/// The directory below the user's home in which sessions work that name none.
const SESSIONS: &str = "trunkline-sessions";
/// The directory of the original below the user's home.
pub(crate) const KOLLAB: &str = ".kollab";
/// The script of the original client, where a directory is named.
const SCRIPT: &str = "app.js";

/// What is decided.
#[derive(Clone, Debug, Default)]
pub(crate) struct Engine {
    /// Where the listener for browsers is, if anywhere.
    pub(crate) listen: Option<SocketAddr>,
    /// Where original clients look for their token, if it is to be put there.
    pub(crate) token_file: Option<PathBuf>,
    /// The same where the daemon is started by the original's name, whose clients want it.
    pub(crate) usual_token_file: Option<PathBuf>,
    /// What the dialect is told. Its token is not among it.
    pub(crate) settings: EngineSettings,
}

/// The table of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Table {
    listen: Option<SocketAddr>,
    client: Option<PathBuf>,
    sessions_dir: Option<PathBuf>,
    permission_timeout: Option<String>,
    token_file: Option<bool>,
}

impl Engine {
    /// What counts where the daemon is started by the original's name.
    pub(crate) fn started_by_name(self) -> Self {
        Self { token_file: self.usual_token_file.clone(), ..self }
    }

    pub(super) fn of(env: &Env, home: &Path, table: Table) -> Result<Self> {
        let bad = |key: &str, why: String| CliError::usage(format!("{key}: {why} (from {FILE})"));
        let timeout =
            table.permission_timeout.as_deref().filter(|text| *text != "off").map(parse_duration).transpose();
        let timeout = timeout.map_err(|why| bad("engine.permission_timeout", why))?;
        let at_home = || env.user_home.as_deref().unwrap_or_else(|| Path::new("/")).join(SESSIONS);
        let sessions_dir = table.sessions_dir.unwrap_or_else(at_home);
        for (key, path) in
            [("engine.sessions_dir", Some(&sessions_dir)), ("engine.client", table.client.as_ref())]
        {
            if path.is_some_and(|path| !path.is_absolute()) {
                return Err(bad(key, "must be an absolute path".to_owned()));
            }
        }
        let client = table.client.map(|path| if path.is_dir() { path.join(SCRIPT) } else { path });
        // A daemon whose home is outside of the user's is not the one that the user's clients mean.
        let user =
            env.user_home.as_deref().filter(|user| home.starts_with(user)).map(|user| user.join(KOLLAB));
        let wanted =
            |kollab: &PathBuf| table.token_file.unwrap_or_else(|| table.listen.is_some() || kollab.is_dir());
        let settings = EngineSettings {
            token_sha256: None,
            sessions_dir,
            user_home: env.user_home.clone(),
            agents_home: Some(home.to_owned()),
            ask_ms: timeout.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            client,
        };
        let file = |kollab: PathBuf| kollab.join("engine.token");
        Ok(Self {
            listen: table.listen,
            token_file: user.clone().filter(wanted).map(file),
            usual_token_file: user.filter(|_| table.token_file != Some(false)).map(file),
            settings,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::Paint;

    fn of(user: &Path, toml: &str) -> std::result::Result<Engine, String> {
        let env = Env { user_home: Some(user.to_owned()), ..Env::default() };
        let engine = Engine::of(&env, &user.join(".trunkline"), toml::from_str(toml).unwrap());
        engine.map_err(|error| error.render(Paint::PLAIN))
    }

    #[test]
    fn original_clients_are_given_a_token_where_there_are_any() {
        let user = tempfile::tempdir().unwrap();
        let file = |toml: &str| of(user.path(), toml).unwrap().token_file;
        assert_eq!(file(""), None);
        let there = Some(user.path().join(".kollab/engine.token"));
        assert_eq!(file("listen = \"127.0.0.1:0\""), there);
        std::fs::create_dir(user.path().join(".kollab")).unwrap();
        assert_eq!((file(""), file("token_file = false")), (there, None));
        let env = Env { user_home: Some(user.path().to_owned()), ..Env::default() };
        let elsewhere = Engine::of(&env, Path::new("/tmp/t"), Table::default()).unwrap();
        assert_eq!(elsewhere.token_file, None, "not for a daemon that has its home elsewhere");
    }

    #[test]
    fn what_is_said_is_checked() {
        let user = tempfile::tempdir().unwrap();
        let engine = of(user.path(), "permission_timeout = \"5m\"\nclient = \"/opt\"").unwrap();
        assert_eq!(engine.settings.ask_ms, Some(300_000));
        assert_eq!(engine.settings.client.as_deref(), Some(Path::new("/opt/app.js")));
        for (toml, why) in [
            ("sessions_dir = \"here\"", "engine.sessions_dir: must be an absolute path"),
            ("client = \"app.js\"", "engine.client: must be an absolute path"),
            ("permission_timeout = \"soon\"", "engine.permission_timeout: `soon` is not a time span"),
        ] {
            let error = of(user.path(), toml).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
