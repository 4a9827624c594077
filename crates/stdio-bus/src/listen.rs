//! The socket that clients connect to.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::args::Listen;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

/// A socket that listens.
#[derive(Debug)]
pub(crate) struct Listener {
    fd: OwnedFd,
    tcp: bool,
    /// The file of a Unix socket, and its device and inode, so that we remove no other.
    file: Option<(PathBuf, u64, u64)>,
    /// Where it listens, in words.
    pub(crate) at: String,
}

impl Listener {
    /// Listens; `None` for stdio.
    ///
    /// # Errors
    /// If it cannot; in words that say where.
    pub(crate) fn bind(listen: &Listen) -> Result<Option<Self>, String> {
        match listen {
            Listen::Stdio => Ok(None),
            Listen::Tcp(host, port) => {
                let failed = |error| format!("Failed to listen on TCP {host}:{port}: {error}");
                let addresses = (host.as_str(), *port).to_socket_addrs().map_err(failed)?;
                let mut last = io::ErrorKind::NotFound.into();
                for address in addresses {
                    match tcp(address) {
                        Ok(listener) => return Ok(Some(listener)),
                        Err(error) => last = error,
                    }
                }
                Err(failed(last))
            }
            Listen::Unix(path) => match unix(path) {
                Ok(listener) => Ok(Some(listener)),
                Err(error) => Err(format!("Failed to listen on Unix socket {}: {error}", path.display())),
            },
        }
    }

    /// A connection that waits, if one does.
    ///
    /// # Errors
    /// If the process or the machine has no descriptors left.
    pub(crate) fn accept(&self) -> io::Result<Option<OwnedFd>> {
        use rustix::io::Errno;
        match rustix::net::accept_with(&self.fd, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok(client) => {
                if self.tcp {
                    // Without it an answer behind a notification waits for the client's delayed acknowledgement.
                    rustix::net::sockopt::set_tcp_nodelay(&client, true)?;
                }
                Ok(Some(client))
            }
            Err(error @ (Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)) => Err(error.into()),
            // Nobody is there, or nobody any more.
            Err(_) => Ok(None),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some((path, device, inode)) = &self.file
            && std::fs::symlink_metadata(path)
                .is_ok_and(|found| (found.dev(), found.ino()) == (*device, *inode))
        {
            // Whoever removed it meanwhile did our work.
            let _removed = std::fs::remove_file(path);
        }
    }
}

fn tcp(address: SocketAddr) -> io::Result<Listener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let fd = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    rustix::net::sockopt::set_socket_reuseaddr(&fd, true)?;
    rustix::net::bind(&fd, &address)?;
    rustix::net::listen(&fd, BACKLOG)?;
    let bound = TcpListener::from(fd);
    let at = format!("TCP {}", bound.local_addr()?);
    Ok(Listener { fd: bound.into(), tcp: true, file: None, at })
}

/// A socket that nobody listens on is taken over; a file, or a socket in use, is not ours to remove.
fn unix(path: &Path) -> io::Result<Listener> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file is there that is no socket"));
        }
        Ok(_) => match UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
            Ok(_) => return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")),
            Err(error) => return Err(error),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let bound = UnixListener::bind(path)?;
    bound.set_nonblocking(true)?;
    rustix::net::listen(&bound, BACKLOG)?;
    let found = std::fs::symlink_metadata(path)?;
    let file = Some((path.to_owned(), found.dev(), found.ino()));
    Ok(Listener { fd: bound.into(), tcp: false, file, at: format!("Unix socket: {}", path.display()) })
}
