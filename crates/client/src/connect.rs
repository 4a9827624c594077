//! The way to a daemon: its Unix socket where its home directory is ours, else TCP.
//!
//! A port that a daemon has left can be taken by any user of the machine, who would then be sent the token. The socket
//! lies in a directory that only its owner may enter.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, io};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::UnixStream;
use tower_service::Service;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);

/// A pool of connections.
#[derive(Clone)]
pub(crate) enum Way {
    Tcp(Client<HttpConnector, Full<Bytes>>),
    Unix(Client<Socket, Full<Bytes>>),
}

impl Way {
    pub(crate) fn tcp() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        Self::Tcp(builder().build(connector))
    }

    pub(crate) fn unix(path: PathBuf) -> Self {
        Self::Unix(builder().build(Socket(path)))
    }

    pub(crate) async fn request(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Error> {
        match self {
            Self::Tcp(pool) => pool.request(request).await,
            Self::Unix(pool) => pool.request(request).await,
        }
    }
}

fn builder() -> hyper_util::client::legacy::Builder {
    let mut builder = Client::builder(TokioExecutor::new());
    builder.pool_timer(TokioTimer::new());
    builder
}

/// Connects to one socket, whatever host the request names.
#[derive(Clone)]
pub(crate) struct Socket(PathBuf);

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Service<Uri> for Socket {
    type Response = TokioIo<UnixStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let path = self.0.clone();
        Box::pin(async move {
            let late = |_| io::Error::from(io::ErrorKind::TimedOut);
            let connected = tokio::time::timeout(CONNECT, UnixStream::connect(path));
            connected.await.map_err(late)?.map(TokioIo::new)
        })
    }
}
