//! Whose the other end of a connection is.

use std::net::SocketAddr;

use super::table;

/// Whether the other end of a TCP connection is a socket of our own user that somebody still holds. Blocks for a moment: it
/// reads the kernel's table. Where there is no such table nobody is.
#[must_use]
pub fn is_own_user(theirs: SocketAddr, ours: SocketAddr) -> bool {
    table::socket(theirs, ours).is_some_and(|socket| is_our_user(socket.uid))
}

/// Whether a user is the one we run as.
#[must_use]
pub fn is_our_user(uid: u32) -> bool {
    uid == rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn our_own_connection_is_our_own() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (theirs, ours) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
        assert!(is_own_user(theirs, ours));
        drop(client);
        assert!(!is_own_user(theirs, ours));
    }
}
