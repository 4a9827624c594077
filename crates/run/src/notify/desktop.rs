//! The desktop of whoever runs the daemon: its own program shows notifications, in custody like every child.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use trunkline_core::view::RequestView;
use uuid::Uuid;

use super::text;
use crate::catalog::which;
use crate::custody::{Custody, Spawn, Stdin};

/// How long the desktop's program may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// What it gets of the daemon's environment: where the desktop is, and how to speak to it.
const PASSED: [&str; 11] = [
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "HOME",
    "LANG",
    "LC_ALL",
    "LOGNAME",
    "PATH",
    "USER",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_RUNTIME_DIR",
];

/// What shows notifications on this machine.
#[derive(Debug)]
pub struct Desktop {
    program: Program,
    env: Vec<(OsString, OsString)>,
}

#[derive(Debug)]
enum Program {
    NotifySend(PathBuf),
    OsaScript(PathBuf),
}

impl Desktop {
    /// What this machine has; `None` if that is nothing.
    #[must_use]
    pub fn find(env: &[(OsString, OsString)]) -> Option<Self> {
        let path = env.iter().find(|(key, _)| key == "PATH").map(|(_, value)| value.clone())?;
        let found = |name: &str| which(name, &path);
        let program = found("notify-send")
            .map(Program::NotifySend)
            .or_else(|| found("osascript").map(Program::OsaScript))?;
        let passed = |(key, _): &&(OsString, OsString)| PASSED.iter().any(|name| key == *name);
        Some(Self { program, env: env.iter().filter(passed).cloned().collect() })
    }

    pub(super) async fn show(&self, request: &RequestView, custody: &Custody) {
        let mut spawn = Spawn::new(self.program.argv(request), "/");
        spawn.resource = format!("notify/{}", Uuid::now_v7());
        spawn.env.clone_from(&self.env);
        spawn.stdin = Stdin::Null;
        match custody.spawn(spawn).await {
            Ok(child) => {
                if tokio::time::timeout(PATIENCE, child.ended()).await.is_err() {
                    let _it_is_killed_in_the_end = child.stop(Duration::ZERO).await;
                }
            }
            Err(error) => tracing::debug!(%error, "a notification is not shown"),
        }
    }
}

impl Program {
    fn argv(&self, request: &RequestView) -> Vec<OsString> {
        let (title, body) = text(request);
        match self {
            Self::NotifySend(program) => vec![program.into(), title.into(), markup(&body).into()],
            Self::OsaScript(program) => {
                let script = format!("display notification {} with title {}", quoted(&body), quoted(&title));
                vec![program.into(), "-e".into(), script.into()]
            }
        }
    }
}

/// The body is markup to many desktops.
fn markup(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A text in AppleScript.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::super::tests::request;
    use super::*;

    #[test]
    fn a_program_gets_what_it_shows() {
        let program = Program::NotifySend("/bin/notify-send".into());
        assert_eq!(
            program.argv(&request("t", "<b>&", true))[2].to_str().unwrap().lines().nth(1),
            Some("&lt;b&gt;&amp;")
        );
        let program = Program::OsaScript("/bin/osascript".into());
        let script = program.argv(&request("say \"hi\\\"", "q", true));
        assert!(
            script[2].to_str().unwrap().ends_with(r#"with title "AgentFlow: say \"hi\\\"""#),
            "{script:?}"
        );
    }

    #[test]
    fn without_a_program_there_is_no_desktop() {
        assert!(Desktop::find(&[("PATH".into(), "/nowhere".into())]).is_none());
        assert!(Desktop::find(&[]).is_none());
    }
}
