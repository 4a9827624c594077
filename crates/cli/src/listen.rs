//! Addresses: taken, or told who has them.

use std::io;
use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, bail};
use tokio::net::TcpListener;

pub(crate) fn base_url(address: SocketAddr) -> String {
    let host: IpAddr = if address.ip().is_unspecified() { [127, 0, 0, 1].into() } else { address.ip() };
    format!("http://{}", SocketAddr::new(host, address.port()))
}

pub(crate) async fn bind(address: SocketAddr, any_port: bool) -> Result<TcpListener> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let holder = crate::holder::of(address.port());
            let holder = holder.map_or_else(|| "another program".to_owned(), |holder| holder.to_string());
            if any_port {
                tracing::warn!(%address, holder, "the address is in use; a free port is taken");
                let free = SocketAddr::new(address.ip(), 0);
                return TcpListener::bind(free).await.context("no port is free");
            }
            bail!(
                "{address} is in use by {holder}. Stop it, or choose another address with --listen \
                 (port 0 takes a free one)"
            )
        }
        Err(error) => Err(error).with_context(|| format!("{address} cannot be listened on")),
    }
}
