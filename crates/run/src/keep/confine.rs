//! Shutting a command in before it starts: what it may change, what it does not see, whom it may talk to.
//!
//! ```text
//! keep                         outside
//!  └─ the stand-in             in the new namespaces of users and mounts; ends as the command ended
//!      └─ the first process    of a pid namespace of its own; reaps, and takes everything with it when it ends
//!          └─ the command      without capabilities, without a way to gain any
//! ```
//!
//! All of it happens between fork and exec of the command, in a process with one thread, so that allocating is sound. What
//! cannot be set up keeps the command from starting: nothing runs with less than it was to have.
//!
//! The user namespace is there for root too: the kernel refuses whoever is in one to trace, or to look through
//! `/proc/<pid>` of, any process outside of it, whatever their users.

mod devices;
mod landlock;
mod mounts;
mod probe;
mod stand_in;
mod sys;
mod user;

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;

use super::control::Os;
use crate::sandbox::{Confinement, Means};

pub use probe::probe;
pub(super) use probe::{CONFINED, PROBE, look};

/// What did not work, and what the system said.
#[derive(Debug)]
struct Refused {
    what: String,
    error: io::Error,
}

type Result<T> = std::result::Result<T, Refused>;

/// Adds what was being done to an error of the system.
trait While<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<io::Error>> While<T> for std::result::Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Refused { what: what(), error: error.into() })
    }
}

/// Shuts this process in. It returns in the process that is to become the command, which need not be the one that
/// called. Why it failed is written to `said`, because a child passes on nothing but a number.
pub(super) fn enter(confine: &Confinement, cwd: &Path, mut said: impl Write) -> io::Result<()> {
    all(confine, cwd).map_err(|Refused { what, error }| {
        drop(said.write_all(format!("it cannot be confined: {what}: {error}").as_bytes()));
        error
    })
}

fn all(confine: &Confinement, cwd: &Path) -> Result<()> {
    for directory in &confine.make {
        make(Path::new(&directory.0))?;
    }
    match confine.means {
        Means::Landlock => landlock::enter(confine).and_then(|()| user::drop_rights(user::left())),
        Means::Namespaces { processes } => {
            let sockets = mounts::sockets(confine);
            let rights = user::enter(confine.network, processes)?;
            mounts::lay_out(confine, &sockets)?;
            if processes {
                stand_in::become_first()?;
                mounts::processes()?;
                user::drop_rights(rights)?;
                stand_in::become_second()?;
            } else {
                user::drop_rights(rights)?;
            }
            landlock::keep_to_itself();
            // The directory we are in lies under what was laid over it.
            rustix::process::chdir(cwd).doing(|| at("enter", cwd))
        }
    }
}

/// A directory that an agent keeps its state in and has not made yet, or a file of settings. It could not make it from
/// inside.
fn make(path: &Path) -> Result<()> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    if path.symlink_metadata().is_ok() {
        return Ok(());
    }
    if path.extension().is_some_and(|kind| kind == "json") {
        let new = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        return new.and_then(|mut file| file.write_all(b"{}")).doing(|| at("make", path));
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).doing(|| at("make", path))
}

fn at(what: &str, path: impl AsRef<Path>) -> String {
    format!("{what} {}", path.as_ref().display())
}

/// Each as a path.
fn paths(list: &[Os]) -> impl Iterator<Item = &Path> {
    list.iter().map(|path| Path::new(&path.0))
}

impl Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.what, self.error)
    }
}
