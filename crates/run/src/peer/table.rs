//! The kernel's table of TCP connections.

use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// How often the table is read for one connection. The kernel writes it in pieces, so that a connection can be missed
/// while others come and go.
const READS: u32 = 4;
/// The states of a connection whose end is still read, as the table writes them: `ESTABLISHED`, and `FIN_WAIT1` and
/// `FIN_WAIT2`, in which it has said that it sends no more.
const STANDING: [&str; 3] = ["01", "04", "05"];

/// A socket that somebody holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) inode: u64,
    /// The user who made it.
    pub(super) uid: u32,
}

/// The sockets that stood when the table was read, by their own address and the one at the other end.
struct Read {
    number: u64,
    sockets: HashMap<(SocketAddr, SocketAddr), Socket>,
}

/// How many readings have begun.
static BEGUN: AtomicU64 = AtomicU64::new(0);
/// The newest reading. Many who connect at once share one: each takes a reading that began after it had connected.
static NEWEST: Mutex<Option<Read>> = Mutex::new(None);

/// The peer's socket of an established connection. One that nobody holds any more is none.
pub(super) fn socket(theirs: SocketAddr, ours: SocketAddr) -> Option<Socket> {
    let ends = (plain(theirs), plain(ours));
    (0..READS).find_map(|_| {
        let begun_before = BEGUN.load(Ordering::SeqCst);
        let mut newest = NEWEST.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.as_ref().is_none_or(|read| read.number <= begun_before) {
            let number = BEGUN.fetch_add(1, Ordering::SeqCst) + 1;
            *newest = Some(Read { number, sockets: read_all() });
        }
        newest.as_ref()?.sockets.get(&ends).copied()
    })
}

fn read_all() -> HashMap<(SocketAddr, SocketAddr), Socket> {
    let tables =
        ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    tables.iter().flat_map(|table| standing(table)).collect()
}

fn standing(table: &str) -> impl Iterator<Item = ((SocketAddr, SocketAddr), Socket)> {
    table.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (local, remote, state) = (fields.next()?, fields.next()?, fields.next()?);
        let (uid, inode) = (fields.nth(3)?, fields.nth(1)?);
        if !STANDING.contains(&state) || inode == "0" {
            return None;
        }
        let socket = Socket { inode: inode.parse().ok()?, uid: uid.parse().ok()? };
        Some(((address(local)?, address(remote)?), socket))
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
    fn addresses_are_read() {
        assert_eq!(address("0100007F:1F90").unwrap().to_string(), "127.0.0.1:8080");
        assert_eq!(address("00000000000000000000000001000000:0050").unwrap().to_string(), "[::1]:80");
        assert_eq!(address("0000000000000000FFFF00000100007F:0050").unwrap().to_string(), "127.0.0.1:80");
        assert_eq!(address("xyz:1"), None);
    }

    #[test]
    fn only_a_connection_that_stands_and_that_somebody_holds_counts() {
        let line = |state: &str, inode: u64| {
            format!(
                "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
                 1: 0100007F:1F90 0100007F:1D09 {state} 00000000:00000000 00:00000000 00000000  1000        0 {inode} 1 0\n"
            )
        };
        let find = |table: &str, theirs, ours| {
            standing(table).find(|(ends, _)| *ends == (theirs, ours)).map(|(_, socket)| socket)
        };
        let (theirs, ours) = ("127.0.0.1:8080".parse().unwrap(), "127.0.0.1:7433".parse().unwrap());
        assert_eq!(find(&line("01", 77), theirs, ours), Some(Socket { inode: 77, uid: 1000 }));
        assert_eq!(find(&line("01", 77), ours, theirs), None, "the other end is another socket");
        assert_eq!(find(&line("01", 0), theirs, ours), None, "sent and closed");
        assert!(find(&line("05", 77), theirs, ours).is_some(), "it sends no more, and still reads");
        assert_eq!(find(&line("05", 0), theirs, ours), None);
        assert_eq!(find(&line("06", 77), theirs, ours), None);
    }

    #[test]
    fn a_connection_is_found_by_its_two_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (theirs, ours) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
        let found = socket(theirs, ours).unwrap();
        assert_eq!(found.uid, rustix::process::geteuid().as_raw());
        let link = format!("socket:[{}]", found.inode);
        let own = fs::read_dir("/proc/self/fd").unwrap().flatten();
        let mut own = own.filter_map(|fd| fs::read_link(fd.path()).ok());
        assert!(own.any(|target| target.as_os_str() == link.as_str()));
        let (accepted, _) = listener.accept().unwrap();
        let other = socket(accepted.local_addr().unwrap(), accepted.peer_addr().unwrap()).unwrap();
        assert_ne!(other, found, "each end has a socket of its own");
        drop(client);
        assert_eq!(socket(theirs, ours), None);
    }
}
