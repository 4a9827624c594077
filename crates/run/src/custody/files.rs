//! How many files may be open: more for the daemon, whose every connection is one, and as before for what it starts.

use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many files the daemon may have open, where the system allows it.
const ENOUGH: u64 = 65_536;

/// The limit this process was started with, once it was raised. It is the whole process's, as the limit is.
static BEFORE: OnceLock<u64> = OnceLock::new();

/// Raises this process's soft limit of open files as far as the hard one goes, within reason. What is started from now on
/// has the old one again: programs that close or watch all descriptors there may be become slow with a large one.
///
/// # Errors
/// The kernel refuses; the limit is what it was.
pub fn raise_open_files() -> std::io::Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(ENOUGH, |hard| hard.min(ENOUGH));
    match current {
        Some(soft) if soft < wanted => {
            setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })?;
            BEFORE.get_or_init(|| soft);
            Ok(())
        }
        Some(_) | None => Ok(()),
    }
}

/// What a command gets, if that is not what this process has.
pub(super) fn before() -> Option<u64> {
    BEFORE.get().copied()
}
