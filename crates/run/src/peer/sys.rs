//! What the kernel tells about the other end of a Unix socket. The one call that no safe wrapper covers is here.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Pid;

/// `SO_PEERPIDFD` of `<asm-generic/socket.h>`, which the C library's headers do not name yet.
const SO_PEERPIDFD: libc::c_int = 77;

/// A handle of the process that connected; `None` where the kernel gives none, before Linux 6.5.
///
/// # Errors
/// When that process has ended.
pub(super) fn peer_pidfd(stream: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    let mut fd: libc::c_int = -1;
    let mut length: libc::socklen_t = size_of::<libc::c_int>() as u32;
    // SAFETY: the kernel writes at most `length` bytes, which `fd` has, and a descriptor it gives is new.
    #[expect(unsafe_code, reason = "SO_PEERPIDFD has no safe wrapper")]
    unsafe {
        let (value, size) = (&raw mut fd, &raw mut length);
        match libc::getsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, SO_PEERPIDFD, value.cast(), size) {
            0 if fd >= 0 => Ok(Some(OwnedFd::from_raw_fd(fd))),
            0 => Err(io::ErrorKind::NotFound.into()),
            _ => match io::Error::last_os_error() {
                error if error.raw_os_error() == Some(libc::ENOPROTOOPT) => Ok(None),
                error => Err(error),
            },
        }
    }
}

/// The number of the process that connected; `None` where it has none in our pid namespace.
pub(super) fn peer_pid(stream: BorrowedFd<'_>) -> io::Result<Option<Pid>> {
    let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length: libc::socklen_t = size_of::<libc::ucred>() as u32;
    // SAFETY: the kernel writes at most `length` bytes, which `peer` has. The safe wrapper has no word for a process
    // outside of our pid namespace, whose number is 0.
    #[expect(unsafe_code, reason = "SO_PEERCRED of such a process has no safe wrapper")]
    let result = unsafe {
        let (value, size) = (&raw mut peer, &raw mut length);
        libc::getsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, value.cast(), size)
    };
    if result == 0 { Ok(Pid::from_raw(peer.pid)) } else { Err(io::Error::last_os_error()) }
}

/// Whether the process behind a handle has not ended.
pub(super) fn is_alive(pidfd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
    matches!(poll(&mut fds, Some(&Timespec::default())), Ok(0))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn the_process_that_connected_is_told() {
        let (one, _other) = UnixStream::pair().unwrap();
        assert_eq!(peer_pid(one.as_fd()).unwrap(), Some(rustix::process::getpid()));
        if let Some(pidfd) = peer_pidfd(one.as_fd()).unwrap() {
            assert!(is_alive(pidfd.as_fd()));
        }
    }
}
