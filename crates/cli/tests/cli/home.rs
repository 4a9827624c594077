//! A home of its own for each test, and the commands one runs in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_trunkline");
/// No step of a test takes this long on any machine; what does hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A home directory with a workspace beside it. Dropping it stops the daemon.
pub(crate) struct Home {
    dir: TempDir,
}

/// How a command ended.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Home {
    /// A home whose demo agent does not pause.
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("tl-").tempdir().unwrap();
        let home = Self { dir };
        fs::create_dir(home.work()).unwrap();
        fs::write(home.work().join("a.txt"), "one\ntwo\n").unwrap();
        fs::create_dir(home.path()).unwrap();
        fs::set_permissions(home.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let config = format!("[agents.demo]\nargv = [\"{BINARY}\", \"demo-agent\", \"--pace\", \"0\"]\n");
        fs::write(home.path().join("config.toml"), config).unwrap();
        home
    }

    /// The same, whose agents are not shut in.
    pub(crate) fn unconfined() -> Self {
        let home = Self::new();
        let path = home.path().join("config.toml");
        let config = fs::read_to_string(&path).unwrap();
        fs::write(path, format!("{config}\n[sandbox]\nmode = \"off\"\n")).unwrap();
        home
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    /// A command with nothing in its environment but what it needs. No browser is on its `PATH`.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(args).env_clear().current_dir(self.work()).stdin(Stdio::null());
        command.env("PATH", "/nowhere").env("HOME", self.dir.path()).env("TERM", "xterm-256color");
        command.env("TRUNKLINE_HOME", self.path()).env("TRUNKLINE_LISTEN", "127.0.0.1:0");
        command.env("TMPDIR", self.dir.path()).env("NO_COLOR", "1");
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        ran(self.command(args).output().unwrap(), self.dir.path())
    }

    /// Runs a command that must work, and gives what it printed.
    pub(crate) fn prints(&self, args: &[&str]) -> String {
        let Ran { code, out, err } = self.run(args);
        assert_eq!(code, 0, "{args:?}\n{out}\n{err}");
        out
    }

    /// Starts a command and lets it run.
    pub(crate) fn begin(&self, args: &[&str]) -> Running {
        let child = self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Running { child, root: self.dir.path().to_owned() }
    }

    /// What a command prints as JSON.
    pub(crate) fn json(&self, args: &[&str]) -> serde_json::Value {
        let out = self.prints(&[args, &["--json"]].concat());
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{args:?}: {error}\n{out}"))
    }

    /// Waits until something waits for an answer, and gives its id.
    pub(crate) fn asked(&self) -> String {
        patiently("a request", || {
            let inbox = self.json(&["inbox"]);
            Some(inbox["items"].get(0)?["id"].as_str()?.to_owned())
        })
    }

    /// Waits until the only session's state is this.
    pub(crate) fn is(&self, state: &str) {
        patiently(state, || {
            let list = self.json(&["ls"]);
            (list["items"][0]["state"] == state).then_some(())
        });
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        drop(self.command(&["stop", "--no-start"]).output());
    }
}

/// A command that runs.
pub(crate) struct Running {
    child: Child,
    root: PathBuf,
}

impl Running {
    pub(crate) fn wait(self) -> Ran {
        ran(self.child.wait_with_output().unwrap(), &self.root)
    }
}

/// Looks again and again until there is something to see.
pub(crate) fn patiently<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(start.elapsed() < PATIENCE, "there is no {what}");
        std::thread::yield_now();
    }
}

fn ran(output: std::process::Output, root: &Path) -> Ran {
    let text = |bytes: Vec<u8>| tidy(&String::from_utf8(bytes).unwrap(), root);
    Ran { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

/// Puts fixed words where each run has others.
fn tidy(text: &str, root: &Path) -> String {
    text.replace(&root.display().to_string(), "~")
}

/// Puts `ID` where ids are, and `PORT` where ports are, for snapshots.
pub(crate) fn anonymous(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\0']) {
        if c.is_ascii_alphanumeric() || c == '-' {
            word.push(c);
            continue;
        }
        let hex = word.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        let id = hex && matches!(word.len(), 8 | 36);
        let port = out.ends_with("127.0.0.1:") && word.len() >= 4;
        out.push_str(if id {
            "ID"
        } else if port {
            "PORT"
        } else {
            &word
        });
        word.clear();
        out.push(c);
    }
    out.trim_end_matches('\0').to_owned()
}
