//! The environment, read once and handed in. No other file reads it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::style::Wishes;

/// What all our variables begin with.
const PREFIX: &str = "TRUNKLINE_";

/// A snapshot of what surrounds the process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Env {
    /// Our own variables without `TRUNKLINE_`, in lower case: `listen` for `TRUNKLINE_LISTEN`.
    pub(crate) ours: BTreeMap<String, String>,
    /// The user's home directory.
    pub(crate) user_home: Option<PathBuf>,
    /// Where programs are looked for.
    pub(crate) path: OsString,
    /// The working directory, without symbolic links.
    pub(crate) cwd: Option<PathBuf>,
    /// This program.
    pub(crate) exe: Option<PathBuf>,
    /// Where temporary files go.
    pub(crate) temp: PathBuf,
    /// The browser the user prefers.
    pub(crate) browser: Option<String>,
    /// Whether there is a screen that windows can open on.
    pub(crate) has_screen: bool,
    /// Whether the original hub's own variable says that nothing is shown on the desktop.
    pub(crate) no_notifications: bool,
    /// Whether the original hub's own variable lets `mcp` start the daemon.
    pub(crate) may_autostart_mcp: bool,
    /// What is said of colours.
    pub(crate) colours: Wishes,
    /// Everything, for the daemon to choose from what agents get.
    pub(crate) all: Vec<(OsString, OsString)>,
}

impl Env {
    /// Reads it.
    pub(crate) fn read() -> Self {
        Self {
            cwd: std::env::current_dir().ok(),
            exe: std::env::current_exe().ok(),
            temp: std::env::temp_dir(),
            ..Self::of(std::env::vars_os().collect())
        }
    }

    /// Takes what it needs from a list of variables. One of ours that is not UTF-8 is taken as near as can be: its value
    /// then fails where it is used, and the error names it.
    fn of(all: Vec<(OsString, OsString)>) -> Self {
        let get = |name: &str| all.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let text = |name: &str| get(name).map(|value| value.to_string_lossy().into_owned());
        let set = |name: &str| text(name).filter(|value| !value.is_empty());
        let ours = all.iter().filter_map(|(key, value)| {
            let key = key.to_str()?.strip_prefix(PREFIX)?.to_ascii_lowercase();
            Some((key, value.to_string_lossy().into_owned()))
        });
        Self {
            ours: ours.collect(),
            user_home: get("HOME").map(PathBuf::from).filter(|path| path.is_absolute()),
            path: get("PATH").unwrap_or_default(),
            browser: set("BROWSER"),
            has_screen: cfg!(target_os = "macos")
                || set("DISPLAY").is_some()
                || set("WAYLAND_DISPLAY").is_some(),
            no_notifications: text("AGENTFLOW_DESKTOP_NOTIFICATIONS").is_some_and(|value| {
                matches!(value.trim().to_ascii_lowercase().as_str(), "0" | "false" | "no" | "off")
            }),
            may_autostart_mcp: !text("SESSIONBUS_MCP_AUTOSTART").is_some_and(|value| {
                matches!(value.trim().to_ascii_lowercase().as_str(), "0" | "false" | "no")
            }),
            colours: Wishes {
                no_color: set("NO_COLOR").is_some(),
                clicolor_off: text("CLICOLOR").as_deref() == Some("0"),
                clicolor_force: set("CLICOLOR_FORCE").is_some_and(|value| value != "0"),
                dumb: set("TERM").is_none_or(|term| term == "dumb"),
            },
            all,
            ..Self::default()
        }
    }
}

#[cfg(test)]
impl Env {
    /// An environment of these variables.
    pub(crate) fn with(vars: &[(&str, &str)]) -> Self {
        Self::of(vars.iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_variables_are_known_by_their_keys() {
        assert!(Env::with(&[("AGENTFLOW_DESKTOP_NOTIFICATIONS", " No ")]).no_notifications);
        assert!(!Env::with(&[("AGENTFLOW_DESKTOP_NOTIFICATIONS", "nope")]).no_notifications);
        assert!(!Env::with(&[("SESSIONBUS_MCP_AUTOSTART", " No ")]).may_autostart_mcp);
        assert!(Env::with(&[("SESSIONBUS_MCP_AUTOSTART", "off")]).may_autostart_mcp);
        let env =
            Env::with(&[("TRUNKLINE_LISTEN", "x"), ("HOME", "/h"), ("NO_COLOR", ""), ("CLICOLOR", "0")]);
        assert_eq!(env.ours, BTreeMap::from([("listen".to_owned(), "x".to_owned())]));
        assert_eq!(env.user_home, Some(PathBuf::from("/h")));
        assert!(!env.colours.no_color && env.colours.clicolor_off && env.colours.dumb);
    }
}
