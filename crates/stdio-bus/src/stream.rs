//! Reading and writing descriptors without ever waiting.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::SendFlags;

use crate::log::is;

/// How much a pipe is asked to hold. What a smaller pipe cannot take waits in memory.
pub(crate) const PIPE: usize = 256 * 1024;

/// A descriptor, and how it is kept from blocking.
#[derive(Debug)]
pub(crate) enum Stream {
    /// It does not block by itself.
    Free(OwnedFd),
    /// A socket that others may use as well: each call says that it must not block.
    Shared(OwnedFd),
    /// A file or a terminal, whose writers wait for nobody.
    Plain(OwnedFd),
}

impl Stream {
    /// Our stdin, to read.
    pub(crate) fn stdin() -> io::Result<Self> {
        Self::standard(rustix::stdio::stdin(), 0, OFlags::RDONLY)
    }

    /// Our stdout, to write.
    pub(crate) fn stdout() -> io::Result<Self> {
        Self::standard(rustix::stdio::stdout(), 1, OFlags::WRONLY)
    }

    /// A pipe is opened anew: to keep the one that we were given from blocking would keep everybody else who has it
    /// from blocking too, and that may be our workers' stderr.
    fn standard(fd: BorrowedFd<'_>, number: u32, flags: OFlags) -> io::Result<Self> {
        let stat = rustix::fs::fstat(fd)?;
        if is(&stat, FileType::Fifo) {
            let flags = flags | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let path = format!("/proc/self/fd/{number}");
            if let Ok(opened) = rustix::fs::open(path, flags, Mode::empty()) {
                // A pipe that stays small is only slower.
                let _larger = rustix::pipe::fcntl_setpipe_size(&opened, PIPE);
                return Ok(Self::Free(opened));
            }
        }
        let copy = rustix::io::fcntl_dupfd_cloexec(fd, 3)?;
        Ok(if is(&stat, FileType::Socket) { Self::Shared(copy) } else { Self::Plain(copy) })
    }

    /// Reads what is there. `None`: nothing yet. Zero: it has ended.
    pub(crate) fn read(&self, into: &mut [u8]) -> Option<usize> {
        match rustix::io::read(self, into) {
            Ok(count) => Some(count),
            Err(Errno::AGAIN | Errno::INTR) => None,
            // A connection that was reset has ended, as far as reading goes.
            Err(_) => Some(0),
        }
    }

    /// Writes what there is room for.
    ///
    /// # Errors
    /// If nobody reads it any more.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let written = match self {
            Self::Free(fd) | Self::Plain(fd) => rustix::io::write(fd, bytes),
            Self::Shared(fd) => rustix::net::send(fd, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL),
        };
        match written {
            Ok(count) => Ok(count),
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Free(fd) | Self::Shared(fd) | Self::Plain(fd) => fd.as_fd(),
        }
    }
}
