//! A router or a relay that is started, and the connections to it.

use std::fmt;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::load::{Ends, Load, Ran, check, exchange, run};
use super::parts::{RELAY, WORKER};
use crate::daemon::Home;

/// What is measured.
#[derive(Clone, Copy)]
pub(crate) enum Kind<'a> {
    Router(&'a Path),
    /// The router, run by a program that counts.
    Under(&'a [String], &'a Path),
    Relay,
}

/// How clients come to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Stdio,
    Tcp,
    Unix,
}

impl Way {
    pub(crate) const ALL: [Self; 3] = [Self::Stdio, Self::Tcp, Self::Unix];
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stdio => "stdio",
            Self::Tcp => "tcp",
            Self::Unix => "unix",
        })
    }
}

/// A running one. It is ended when this is dropped.
pub(crate) struct Peer {
    child: Child,
    way: Way,
    address: String,
    socket: PathBuf,
    _home: Home,
}

impl Peer {
    pub(crate) fn start(kind: Kind<'_>, way: Way, workers: usize, dir: &Path) -> Result<Self> {
        Self::with(kind, way, &json!({ "args": [WORKER], "instances": workers }), dir)
    }

    /// With other keys of the pool: its workers are this program.
    pub(crate) fn with(kind: Kind<'_>, way: Way, pool: &Value, dir: &Path) -> Result<Self> {
        let home = Home::new(dir)?;
        let socket = home.path().join("s");
        let mut command = match kind {
            Kind::Router(binary) => router(Command::new(binary), way, pool, home.path())?,
            Kind::Under(counter, binary) => {
                let (program, args) = counter.split_first().context("a counter is a program")?;
                let mut command = Command::new(program);
                command.args(args).arg(binary);
                router(command, way, pool, home.path())?
            }
            Kind::Relay => relay(way, &socket)?,
        };
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[expect(clippy::disallowed_methods, reason = "it is what is measured, and it is ended on drop")]
        let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
        let address = match way {
            Way::Stdio => String::new(),
            Way::Tcp | Way::Unix => listening(&mut child)?,
        };
        Ok(Self { child, way, address, socket, _home: home })
    }

    /// Connects clients and has them send.
    pub(crate) fn run(mut self, load: Load, clients: usize, span: Duration) -> Result<Ran> {
        let ends = (0..clients).map(|_| self.connect()).collect::<Result<Vec<_>>>()?;
        check(ends.first().context("there is a client")?)?;
        run(ends, load, span)
    }

    /// Connects a client, has it exchange this many messages, and waits until the router has ended in good order.
    pub(crate) fn exchange(mut self, load: Load, messages: u64) -> Result<()> {
        exchange(self.connect()?, load, messages)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the router ended with {status}");
        Ok(())
    }

    pub(crate) fn connect(&mut self) -> Result<Ends> {
        Ok(match self.way {
            Way::Stdio => {
                let piped = (self.child.stdout.take(), self.child.stdin.take());
                let (Some(from), Some(to)) = piped else { bail!("over stdio there is one client") };
                Ends { from: from.into(), to: to.into() }
            }
            Way::Tcp => {
                let stream = TcpStream::connect(&self.address)?;
                stream.set_nodelay(true)?;
                Ends { from: stream.try_clone()?.into(), to: stream.into() }
            }
            Way::Unix => {
                let stream = UnixStream::connect(&self.socket)?;
                Ends { from: stream.try_clone()?.into(), to: stream.into() }
            }
        })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // What cannot be killed has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn router(mut command: Command, way: Way, keys: &Value, home: &Path) -> Result<Command> {
    let mut pool = json!({ "id": "pool", "command": std::env::current_exe()?, "instances": 1 });
    for (key, value) in keys.as_object().into_iter().flatten() {
        pool[key] = value.clone();
    }
    let config = home.join("config.json");
    fs::write(&config, json!({ "pools": [pool] }).to_string())?;
    command.arg("--config").arg(config);
    match way {
        Way::Stdio => command.arg("--stdio"),
        Way::Tcp => command.args(["--tcp", "127.0.0.1:0"]),
        Way::Unix => command.arg("--unix").arg(home.join("s")),
    };
    Ok(command)
}

fn relay(way: Way, socket: &Path) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(RELAY);
    match way {
        Way::Stdio => &mut command,
        Way::Tcp => command.arg("tcp:127.0.0.1:0"),
        Way::Unix => command.arg(format!("unix:{}", socket.display())),
    };
    Ok(command)
}

/// Waits until it says where it listens; what else it says is read and passed over for as long as it runs.
fn listening(child: &mut Child) -> Result<String> {
    let mut stderr = BufReader::new(child.stderr.take().context("piped")?);
    let mut line = String::new();
    loop {
        line.clear();
        ensure!(stderr.read_line(&mut line)? > 0, "it ended before it listened");
        if let Some((_, address)) = line.split_once("Listening on ") {
            let address = address.trim().rsplit(' ').next().unwrap_or_default().to_owned();
            std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
            return Ok(address);
        }
    }
}
