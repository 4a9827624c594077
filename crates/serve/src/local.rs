//! Callers that can show no credential: programs of the daemon's own user, by what the kernel says of their connection.
//!
//! It is looked up when a request needs it, once for a connection. A browser is none of them, on the daemon's own address:
//! any page can make it send requests. Neither is what came through a proxy or a tunnel, which runs as the user and brings
//! everybody along.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::http::{Extensions, HeaderMap, header};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::OnceCell;
use trunkline_core::audit::{MAX_CLIENT, Source, Transport};
use trunkline_run::peer::{is_our_user, is_own_user};

/// Where a connection comes from, as far as it has been looked up.
#[derive(Debug)]
pub(crate) struct Wire {
    ends: Ends,
    own: OnceCell<bool>,
}

#[derive(Debug)]
enum Ends {
    Tcp { theirs: SocketAddr, ours: SocketAddr },
    Unix { own: bool, peer: Option<String> },
    Unknown,
}

impl Wire {
    pub(crate) fn tcp(stream: &TcpStream) -> Self {
        let ends = match (stream.peer_addr(), stream.local_addr()) {
            (Ok(theirs), Ok(ours)) => Ends::Tcp { theirs, ours },
            (Ok(_) | Err(_), _) => Ends::Unknown,
        };
        Self { ends, own: OnceCell::new() }
    }

    pub(crate) fn unix(stream: &UnixStream) -> Self {
        let peer = stream.peer_cred().ok();
        let own = peer.is_some_and(|peer| is_our_user(peer.uid()));
        let peer = peer.map(|peer| match peer.pid() {
            Some(pid) => format!("uid {}, pid {pid}", peer.uid()),
            None => format!("uid {}", peer.uid()),
        });
        Self { ends: Ends::Unix { own, peer }, own: OnceCell::new() }
    }

    /// The address that it comes from, unless it is no TCP connection.
    pub(crate) fn peer(&self) -> Option<std::net::IpAddr> {
        match self.ends {
            Ends::Tcp { theirs, .. } => Some(theirs.ip()),
            Ends::Unix { .. } | Ends::Unknown => None,
        }
    }

    /// Whether it comes from this machine and from the daemon's own user.
    pub(crate) async fn is_own_user(&self) -> bool {
        match self.ends {
            Ends::Unix { own, .. } => own,
            Ends::Unknown => false,
            Ends::Tcp { theirs, .. } if !theirs.ip().to_canonical().is_loopback() => false,
            Ends::Tcp { theirs, ours } => {
                let look = || async move {
                    let looked = tokio::task::spawn_blocking(move || is_own_user(theirs, ours));
                    looked.await.unwrap_or(false)
                };
                *self.own.get_or_init(look).await
            }
        }
    }
}

/// Where a request comes from, for the audit; `None` where that was not looked at.
pub(crate) fn source(headers: &HeaderMap, extensions: &Extensions) -> Option<Source> {
    let (transport, peer) = match &extensions.get::<Arc<Wire>>()?.ends {
        Ends::Tcp { theirs, .. } => (Transport::Tcp, Some(theirs.to_string())),
        Ends::Unix { peer, .. } => (Transport::Unix, peer.clone()),
        Ends::Unknown => (Transport::Tcp, None),
    };
    let client = headers.get(header::USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let client = client.map(|name| name.chars().filter(|c| !c.is_control()).take(MAX_CLIENT).collect());
    Some(Source { transport, peer, forwarded: was_forwarded(headers), token: None, client })
}

/// Whether a request was passed on by something between its sender and us.
pub(crate) fn was_forwarded(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        let name = name.as_str();
        matches!(name, "forwarded" | "via" | "x-real-ip") || name.starts_with("x-forwarded-")
    })
}

/// Whether a browser sent it. Programs send none of these; Node.js's own `fetch` sends `sec-fetch-mode`, and no more.
pub(crate) fn is_from_browser(headers: &HeaderMap) -> bool {
    ["origin", "sec-fetch-site", "sec-fetch-dest", "sec-fetch-user"]
        .iter()
        .any(|name| headers.contains_key(*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), "x".parse().unwrap())])
    }

    #[test]
    fn proxies_and_browsers_are_known_by_their_headers() {
        for name in ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"] {
            assert!(was_forwarded(&with(name)) && !is_from_browser(&with(name)), "{name}");
        }
        for name in ["origin", "sec-fetch-site", "sec-fetch-dest"] {
            assert!(is_from_browser(&with(name)) && !was_forwarded(&with(name)), "{name}");
        }
        assert!(!was_forwarded(&with("user-agent")) && !is_from_browser(&with("sec-fetch-mode")));
    }
}
