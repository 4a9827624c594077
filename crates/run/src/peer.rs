//! Who is at the other end of a connection: one of our agents, somebody outside of all their trees, or nobody knows.
//!
//! An agent runs as the same user as its owner, so a token file or a stolen token would make it the owner. What it cannot
//! change is where it comes from: the kernel knows which process holds the other end of a connection, and the keeper of
//! every agent is above all its tree. The look-up is made once for each connection, before its first answer.
//!
//! It identifies positively. An agent has many ways not to be found: it can hide its descriptors, keep them in one
//! thread's own table, or be gone before anybody looks. It has none to be *found elsewhere*. So a connection is from
//! outside only if a process holds it that is seen to descend from no keeper; what is not found is [`Origin::Unknown`].

mod judge;
mod kernel;
mod sys;
mod table;
mod user;

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::process::Pid;
use trunkline_core::id::SessionId;

use crate::custody::{Custody, Running};
use judge::{Judge, Known, Tree};
use kernel::Kernel;
pub use user::{is_our_user, is_own_user};

/// How many processes are remembered as having been outside; the oldest goes.
const MAX_KNOWN: usize = 32;

/// The other end of a connection.
#[derive(Debug)]
pub enum Peer {
    /// Of a TCP connection: its address, and ours.
    Tcp(SocketAddr, SocketAddr),
    /// Of a Unix socket: the process that connected.
    Process(Caller),
    /// It cannot be told, not even by the kernel.
    Gone,
}

/// The process that connected to a Unix socket.
#[derive(Debug)]
pub struct Caller {
    pid: Option<Pid>,
    /// Tells whether the number is still that process's. Kernels before Linux 6.5 do not give it.
    pidfd: Option<OwnedFd>,
    /// When it was asked for, in clock ticks since boot.
    asked: u64,
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// From the process tree of this session's agent.
    Agent(SessionId),
    /// From a process that no agent has started.
    Outside,
    /// Nobody can tell, so it may be an agent's.
    Unknown,
}

/// Tells where connections come from.
#[derive(Debug)]
pub struct Peers {
    custody: Custody,
    /// Processes that held a connection before and were outside: whoever has connected once connects again.
    known: Mutex<VecDeque<Known>>,
}

impl Peer {
    /// The other end of a TCP connection.
    #[must_use]
    pub fn tcp(theirs: std::io::Result<SocketAddr>, ours: std::io::Result<SocketAddr>) -> Self {
        theirs.and_then(|theirs| Ok(Self::Tcp(theirs, ours?))).unwrap_or(Self::Gone)
    }

    /// The other end of a Unix socket's connection.
    #[must_use]
    pub fn unix(stream: impl AsFd) -> Self {
        let stream = stream.as_fd();
        // Otherwise who connected has ended.
        let Ok(pidfd) = sys::peer_pidfd(stream) else { return Self::Gone };
        let Ok(pid) = sys::peer_pid(stream) else { return Self::Gone };
        Self::Process(Caller { pid, pidfd, asked: kernel::ticks() })
    }
}

impl Peers {
    /// Tells it by the trees in this custody.
    #[must_use]
    pub fn new(custody: Custody) -> Self {
        Self { custody, known: Mutex::default() }
    }

    /// Whether there is anything to look up: without an agent, now or before, everybody is outside.
    #[must_use]
    pub fn must_look(&self) -> bool {
        self.custody.has_held()
    }

    /// Where a connection comes from. Blocks for a moment: it reads `/proc`.
    #[must_use]
    pub fn origin(&self, peer: &Peer) -> Origin {
        let trees: Vec<_> = self.custody.scan().iter().filter_map(tree).collect();
        let judge = Judge::new(&Kernel, trees, rustix::process::getpid());
        match peer {
            Peer::Process(caller) => judge.process(caller.pid, caller.asked, || caller.lives()),
            Peer::Tcp(theirs, _) if !is_of_this_machine(*theirs) => Origin::Outside,
            Peer::Tcp(theirs, ours) => {
                let known = self.known().iter().copied().collect::<Vec<_>>();
                let (origin, holder) = judge.connection(*theirs, *ours, &known);
                if let Some(holder) = holder.filter(|holder| !known.contains(holder)) {
                    let mut known = self.known();
                    known.push_front(holder);
                    known.truncate(MAX_KNOWN);
                }
                origin
            }
            Peer::Gone => Origin::Unknown,
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, VecDeque<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Caller {
    /// Whether the process that connected still is, so that its number is nobody else's.
    fn lives(&self) -> bool {
        self.pidfd.as_ref().is_none_or(|pidfd| sys::is_alive(pidfd.as_fd()))
    }
}

/// Resources are named `<what>/<session>/…`.
fn tree(running: &Running) -> Option<Tree> {
    let keep = i32::try_from(running.keep_pid).ok().and_then(Pid::from_raw)?;
    let session = running.resource.split('/').find_map(|part| part.parse().ok());
    Some(Tree { keep, session })
}

/// Whether an address is one of this machine's own. Only such a one can be bound to.
fn is_of_this_machine(mut address: SocketAddr) -> bool {
    address.set_port(0);
    let refused = |error: &std::io::Error| error.kind() == std::io::ErrorKind::AddrNotAvailable;
    address.ip().to_canonical().is_loopback()
        || UdpSocket::bind(address).as_ref().err().is_none_or(|error| !refused(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_machine_are_told_from_others() {
        for (address, own) in [
            ("127.0.0.1:1", true),
            ("127.9.9.9:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            // Reserved for documentation: nobody has it.
            ("192.0.2.77:1", false),
        ] {
            assert_eq!(is_of_this_machine(address.parse().unwrap()), own, "{address}");
        }
    }
}
