//! The release binary as its users run it: started on a home directory, spoken to over a socket, measured from outside.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::http::{Http, Stream};

/// How long a daemon may take to start or to stop before the measurement is given up.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often its address is looked for: a start is measured this exactly.
const LOOK: Duration = Duration::from_micros(200);
/// How many connections are opened side by side.
const AT_ONCE: usize = 50;

/// A running daemon. It is killed when this is dropped.
pub(crate) struct Daemon {
    child: Child,
    pid: u32,
    pub(crate) address: SocketAddr,
    /// Where the clients of the original agent bus connect.
    pub(crate) bus: SocketAddr,
    pub(crate) token: String,
    /// When its process was started.
    pub(crate) spawned: Instant,
}

/// What a process has of the machine's memory, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Memory {
    /// Everything of it that is in memory, what it shares with others too.
    pub(crate) resident: f64,
    /// The same, with what is shared counted in part.
    pub(crate) proportional: f64,
    /// What it alone has.
    pub(crate) private: f64,
    /// Heap and stacks: not backed by a file.
    pub(crate) anonymous: f64,
}

/// The time this process and the daemon have had on a core.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cpu {
    daemon: Duration,
    client: Duration,
}

impl Cpu {
    /// What both have used since `before`, for each of `count` things.
    pub(crate) fn per(self, before: Self, count: f64) -> String {
        let micros = |now: Duration, then| now.saturating_sub(then).as_secs_f64() * 1e6 / count.max(1.0);
        format!(
            "time on a core: daemon {:.1} µs, client {:.1} µs each",
            micros(self.daemon, before.daemon),
            micros(self.client, before.client)
        )
    }
}

impl Daemon {
    /// Starts a daemon and waits until it says where it listens.
    pub(crate) async fn start(binary: &Path, home: &Path) -> Result<Self> {
        let mut command = Command::new(binary);
        command.arg("serve").current_dir(home).stdin(Stdio::null()).stdout(Stdio::null());
        command
            .env("TRUNKLINE_HOME", home)
            .env("TRUNKLINE_LISTEN", "127.0.0.1:0")
            .env("TRUNKLINE_ENGRAM_LISTEN", "127.0.0.1:0")
            // What the daemon tells others, it tells them in the user's home.
            .env("HOME", home)
            .env("TRUNKLINE_NOTIFY", "off")
            .env("TRUNKLINE_LOG", "warn");
        command.stderr(fs::File::create(home.join("stderr"))?).kill_on_drop(true);
        let spawned = Instant::now();
        #[expect(
            clippy::disallowed_methods,
            reason = "it is a program that is measured, and it is killed on drop"
        )]
        let mut child = command.spawn().with_context(|| format!("{} cannot be started", binary.display()))?;
        let pid = child.id().context("a process has a number")?;
        let runtime = home.join("runtime.json");
        loop {
            if let Some(Runtime { port, engram, .. }) = running(&runtime, pid) {
                let token = fs::read_to_string(home.join("token"))?.trim().to_owned();
                let address = SocketAddr::from(([127, 0, 0, 1], port));
                return Ok(Self { child, pid, address, bus: engram, token, spawned });
            }
            if let Some(status) = child.try_wait()? {
                bail!("the daemon ended ({status}): {}", fs::read_to_string(home.join("stderr"))?);
            }
            ensure!(spawned.elapsed() < PATIENCE, "the daemon did not start within {PATIENCE:?}");
            sleep(LOOK).await;
        }
    }

    pub(crate) async fn connect(&self) -> Result<Http> {
        Http::connect(self.address, &self.token).await
    }

    /// Opens many connections and does something with each.
    pub(crate) async fn connect_all<T, F, Fut>(&self, count: usize, make: F) -> Result<Vec<T>>
    where
        T: Send + 'static,
        F: Fn(usize, Http) -> Fut,
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        let mut all = Vec::with_capacity(count);
        let mut opening = JoinSet::new();
        for n in 0..count {
            opening.spawn(make(n, self.connect().await?));
            if opening.len() >= AT_ONCE {
                all.push(opening.join_next().await.context("one is open")???);
            }
        }
        while let Some(opened) = opening.join_next().await {
            all.push(opened??);
        }
        Ok(all)
    }

    /// Attaches to sessions, to the `n`-th of them the `n`-th client, around and around, and waits until all are caught up.
    pub(crate) async fn attach(&self, count: usize, sessions: &[String]) -> Result<Vec<Stream>> {
        self.connect_all(count, |n, http| {
            let path = format!("/v1/sessions/{}/events?client=bench", sessions[n % sessions.len()]);
            async move {
                let mut stream = http.stream(&path).await?;
                stream.catch_up().await?;
                Ok(stream)
            }
        })
        .await
    }

    /// Makes sessions whose agent runs elsewhere.
    pub(crate) async fn make_sessions(&self, count: usize) -> Result<Vec<String>> {
        let mut http = self.connect().await?;
        let mut sessions = Vec::with_capacity(count);
        for n in 0..count {
            let body = format!(r#"{{"driver":"external","agent":"bench","title":"session {n}"}}"#);
            let made = http.post("/v1/sessions", &body).await?;
            sessions.push(made["id"].as_str().context("a session has an id")?.to_owned());
        }
        Ok(sessions)
    }

    pub(crate) fn memory(&self) -> Result<Memory> {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid))?;
        Ok(Memory::parse(&text))
    }

    pub(crate) fn cpu(&self) -> Result<Cpu> {
        Ok(Cpu { daemon: on_cpu(&self.pid.to_string())?, client: on_cpu("self")? })
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).context("a process has a number")?;
        kill_process(pid, Signal::TERM)?;
        let status =
            tokio::time::timeout(PATIENCE, self.child.wait()).await.context("the daemon does not stop")??;
        ensure!(status.success(), "the daemon ended badly: {status}");
        Ok(())
    }
}

impl Memory {
    fn parse(rollup: &str) -> Self {
        let bytes = |name: &str| {
            let line = rollup.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
            kib.unwrap_or_default() * 1024.0
        };
        Self {
            resident: bytes("Rss"),
            proportional: bytes("Pss"),
            private: bytes("Private_Clean") + bytes("Private_Dirty"),
            anonymous: bytes("Anonymous"),
        }
    }
}

/// A directory that is removed with everything in it.
pub(crate) struct Home(tempfile::TempDir);

impl Home {
    pub(crate) fn new(parent: &Path) -> Result<Self> {
        let made = tempfile::Builder::new().prefix("bench-").tempdir_in(parent);
        Ok(Self(made.with_context(|| format!("{} cannot be written to", parent.display()))?))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.path().join("trunkline.db")
    }
}

#[derive(Deserialize)]
struct Runtime {
    port: u16,
    pid: u32,
    engram: SocketAddr,
}

fn running(path: &Path, pid: u32) -> Option<Runtime> {
    let runtime: Runtime = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    (runtime.pid == pid).then_some(runtime)
}

/// The time all threads of a process have had on a core; the kernel counts it in hundredths of a second.
fn on_cpu(process: &str) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The second field, the name, may have anything in it; it ends at the last parenthesis.
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<u64>().ok()).unwrap_or_default();
    Ok(Duration::from_millis((ticks(11) + ticks(12)) * 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_bytes() {
        let rollup = "5581d0000-7ffc0000 ---p 00000000 00:00 0 [rollup]\nRss:    2048 kB\nPss:    1024 kB\nPss_Anon: 3 kB\n\
                      Private_Clean:  4 kB\nPrivate_Dirty:  8 kB\nAnonymous:  16 kB\n";
        let kib = |n: f64| n * 1024.0;
        let expected = Memory {
            resident: kib(2048.0),
            proportional: kib(1024.0),
            private: kib(12.0),
            anonymous: kib(16.0),
        };
        assert_eq!(Memory::parse(rollup), expected);
    }

    #[test]
    fn this_process_has_been_on_a_core() {
        let start = on_cpu("self").unwrap();
        while on_cpu("self").unwrap() == start {
            std::hint::spin_loop();
        }
    }
}
