//! Whether whoever connects is one of our agents, or was started by one.
//!
//! An agent runs as the same user as its owner, so a token file or a stolen token would make it the owner. What it cannot
//! change is where it comes from: the kernel knows which process holds the other end of a connection, and the keeper of
//! every agent holds its whole tree. The look-up is made once for each connection, before its first answer.

use std::fs;
use std::net::{IpAddr, SocketAddr};

use rustix::process::Pid;
use trunkline_core::id::SessionId;

use crate::custody::{Custody, Running};
use crate::keep::tree::descendants;

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub enum Peer {
    /// Of a TCP connection: its address, and ours.
    Tcp(SocketAddr, SocketAddr),
    /// Of a Unix socket: the process that connected.
    Process(u32),
}

/// The session whose agent, or anything that agent started, is at the other end. Blocks for a moment: it reads `/proc`.
#[must_use]
pub fn agent(custody: &Custody, peer: Peer) -> Option<SessionId> {
    let running = custody.scan();
    if running.is_empty() {
        return None;
    }
    match peer {
        Peer::Process(pid) => running.iter().find(|tree| holds_process(tree, pid)).and_then(session),
        Peer::Tcp(theirs, ours) => {
            let link = format!("socket:[{}]", socket(theirs, ours)?);
            running.iter().find(|tree| holds_socket(tree, &link)).and_then(session)
        }
    }
}

/// Resources are named `<what>/<session>/…`.
fn session(tree: &Running) -> Option<SessionId> {
    tree.resource.split('/').find_map(|part| part.parse().ok())
}

fn tree(tree: &Running) -> Vec<u32> {
    let Some(keep) = i32::try_from(tree.keep_pid).ok().and_then(Pid::from_raw) else { return Vec::new() };
    let below =
        descendants(keep).into_iter().filter_map(|process| u32::try_from(process.pid.as_raw_pid()).ok());
    below.chain([tree.keep_pid]).collect()
}

fn holds_process(running: &Running, pid: u32) -> bool {
    tree(running).contains(&pid)
}

fn holds_socket(running: &Running, link: &str) -> bool {
    tree(running).into_iter().any(|pid| {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        open.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|target| target.as_os_str() == link)
    })
}

/// The inode of the peer's socket, from the kernel's table of established connections.
fn socket(theirs: SocketAddr, ours: SocketAddr) -> Option<u64> {
    let tables =
        ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    tables.iter().flat_map(|table| table.lines()).find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let (local, remote) = (address(fields.get(1)?)?, address(fields.get(2)?)?);
        let inode = fields.get(9)?.parse().ok()?;
        (local == plain(theirs) && remote == plain(ours) && inode != 0).then_some(inode)
    })
}

/// An address as the table writes it: each word of 32 bits in hexadecimal, in the machine's order, then the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.rsplit_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words: Vec<u32> = (0..ip.len() / 8)
        .map(|i| u32::from_str_radix(ip.get(i * 8..i * 8 + 8)?, 16).ok())
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let ip = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        16 => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
        _ => return None,
    };
    Some(plain(SocketAddr::new(ip, port)))
}

/// IPv4 addresses in IPv6 dress are the same addresses.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn the_kernels_table_is_read() {
        assert_eq!(address("0100007F:1F90").unwrap().to_string(), "127.0.0.1:8080");
        assert_eq!(address("00000000000000000000000001000000:0050").unwrap().to_string(), "[::1]:80");
        assert_eq!(address("0000000000000000FFFF00000100007F:0050").unwrap().to_string(), "127.0.0.1:80");
        assert_eq!(address("xyz:1"), None);
    }

    #[test]
    fn a_connection_is_found_by_its_two_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (theirs, ours) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
        let inode = socket(theirs, ours).unwrap();
        let link = format!("socket:[{inode}]");
        let own = fs::read_dir("/proc/self/fd").unwrap().flatten();
        assert!(
            own.filter_map(|fd| fs::read_link(fd.path()).ok())
                .any(|target| target.as_os_str() == link.as_str())
        );
        let (accepted, _) = listener.accept().unwrap();
        let other = socket(accepted.local_addr().unwrap(), accepted.peer_addr().unwrap()).unwrap();
        assert_ne!(other, inode, "each end has a socket of its own");
    }
}
