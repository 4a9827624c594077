//! Empty lines that keep readers moving.
//!
//! The original Python SDK reads stdout and stderr line by line, on a few threads that all its buses share: six on a
//! machine with two cores. A stream that says nothing keeps one of them for ever, and after a few quiet buses nobody
//! hears the next one. An empty line, which the SDK passes over, sets the thread free.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::FileType;

use crate::log::is;

/// How far apart empty lines are unless the configuration says otherwise.
pub(crate) const EVERY: u64 = 100;

/// The beat on one stream.
#[derive(Debug)]
pub(crate) struct Pulse {
    every: u64,
    next: u64,
}

impl Pulse {
    pub(crate) const fn new(every: u64, now: u64) -> Self {
        Self { every, next: now + every }
    }

    /// When it is due.
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    /// Whether an empty line is to be written to `stream` now. Not where something waits to be read: then nobody is
    /// kept, and whoever reads would have one line more to pass over.
    pub(crate) fn is_due(&mut self, stream: impl AsFd, now: u64) -> bool {
        if now < self.next {
            return false;
        }
        self.next = now.saturating_add(self.every);
        // What is no pipe does not tell; its readers are nobody's that we know of.
        !matches!(rustix::io::ioctl_fionread(stream), Ok(1..))
    }
}

/// Whether we were started as the original SDK starts the router: it alone hands the configuration over in a pipe, and
/// holds the other ends of all three standard streams.
pub(crate) fn wanted(config: &OwnedFd) -> bool {
    let pipe =
        |fd: std::os::fd::BorrowedFd<'_>| rustix::fs::fstat(fd).is_ok_and(|stat| is(&stat, FileType::Fifo));
    let standard = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
    pipe(config.as_fd()) && standard.into_iter().all(pipe)
}
