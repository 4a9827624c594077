//! How one agent's process and its terminals are shut in.

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use trunkline_core::agent::Confined;

use super::trouble::Trouble;
use crate::catalog::Entry;
use crate::custody::Limits;
use crate::sandbox::{Confinement, SCRATCH, Sandbox, Subject};

/// What an agent and its terminals are shut in by: the same for all of them, over the agent's life.
#[derive(Debug)]
pub(crate) struct Shut {
    pub(crate) confined: Confined,
    pub(crate) limits: Limits,
    confinement: Option<Confinement>,
    _scratch: Option<Scratch>,
}

/// A directory that goes with its owner.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Shut {
    /// The name is that of the directory for temporary files: of nobody else who is shut in.
    pub(crate) fn new(
        sandbox: &Sandbox,
        name: &str,
        entry: &Entry,
        env: &[(OsString, OsString)],
        workspace: &Path,
    ) -> Result<Self, Trouble> {
        let confined = sandbox.confined(&entry.sandbox);
        let scratch = match confined {
            Confined::No => None,
            Confined::Namespace | Confined::Landlock => {
                let path = sandbox.home.join(SCRATCH).join(name);
                Some(Scratch::new(path).map_err(Trouble::Scratch)?)
            }
        };
        let subject = Subject {
            policy: &entry.sandbox,
            state: &entry.state,
            env,
            workspace,
            scratch: scratch.as_ref().map(|scratch| scratch.0.as_path()),
        };
        let confinement = sandbox.confine(&subject).map_err(Trouble::Unconfinable)?;
        let limits = entry.sandbox.over(&sandbox.policy).limits();
        Ok(Self { confined, limits, confinement, _scratch: scratch })
    }

    /// For a command of this agent.
    pub(crate) fn confinement(&self, argv: &[impl AsRef<Path>]) -> Option<Confinement> {
        self.confinement.clone().map(|confinement| confinement.showing(argv))
    }
}

impl Scratch {
    /// One that an agent of the same number has left behind is taken over.
    fn new(path: PathBuf) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    /// The agent's process may still be ending, and then leaves what it writes from now on; the daemon's next start clears
    /// that away.
    fn drop(&mut self) {
        let path = std::mem::take(&mut self.0);
        let clear = move || drop(std::fs::remove_dir_all(path));
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(clear)),
            Err(_) => clear(),
        }
    }
}
