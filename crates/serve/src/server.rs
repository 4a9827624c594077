//! Listeners: connections in, the router behind, and a stop that does not wait for ever.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use trunkline_run::Hub;
use trunkline_run::catalog::Catalog;
use trunkline_run::custody::Custody;
use trunkline_run::peer::{Origin, Peer, Peers};
use trunkline_run::pools::Pools;

use crate::app::App;
use crate::auth::Auth;
use crate::gate::{Allowed, Came, stranger};
use crate::local::Wire;
use crate::tls::{self, Door, Passed};

/// How long a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How many connections are served at a time; more wait in the system's queue.
const MAX_CONNECTIONS: usize = 16_384;
/// How long accepting rests after it failed.
const ACCEPT_REST: Duration = Duration::from_millis(50);
/// Connections have this long to end their answers when the daemon stops.
const DRAIN: Duration = Duration::from_millis(500);

/// What a server is made of.
pub struct Options {
    /// The hub behind it.
    pub hub: Hub,
    /// The agents that can be run.
    pub catalog: Arc<Catalog>,
    /// What was said in sessions, found by its words.
    pub transcripts: trunkline_run::search::Transcripts,
    /// The pools of workers.
    pub pools: Pools,
    /// What runs without any model.
    pub actions: trunkline_run::operator::Actions,
    /// The secret in the owner's token file.
    pub owner_token: String,
    /// The links by which a request is answered without a token.
    pub links: Arc<trunkline_run::notify::link::Links>,
    /// The devices that are told of requests by Web Push.
    pub push: trunkline_run::notify::push::Push,
    /// Which hosts and origins are ours.
    pub allowed: Allowed,
    /// The certificate for TCP, if TLS is spoken there.
    pub tls: Option<Arc<trunkline_run::tls::Tls>>,
    /// The URL of the page, as the owner would type it.
    pub base_url: String,
    /// Where other machines find the daemon, if that is known.
    pub outside: Option<String>,
    /// How long a turn may run if its prompt does not say.
    pub turn_timeout_ms: Option<u64>,
    /// How much agents may write to each other.
    pub guards: trunkline_core::tell::Guards,
    /// The processes of our agents: whoever connects from among them is that agent.
    pub custody: Custody,
    /// Who may use the dialect of the original human-input hub.
    pub sessionbus: crate::Sessionbus,
    /// Who may use the dialect of the original agent bus.
    pub engram: crate::engram::Access,
    /// What is decided about the dialect of attachable sessions.
    pub attach: crate::attach::Settings,
    /// What is decided about the dialect of the original engine of model turns.
    pub engine: crate::engine::Settings,
}

/// The server. Connections are accepted while [`serve`](Self::serve) runs.
pub struct Server {
    router: Router,
    dashboard: Router,
    attach: Router,
    engine: Router,
    app: Arc<App>,
    tasks: TaskTracker,
    closing: CancellationToken,
    places: Arc<Semaphore>,
    peers: Arc<Peers>,
    door: Option<Door>,
}

impl Server {
    /// Makes a server that accepts nothing yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self::extended(options, |mcp| mcp)
    }

    /// The same, with something around the handler of the MCP server: what a program adds that has the server in it.
    #[must_use]
    pub fn extended<H: rmcp::ServerHandler + Send + 'static>(
        options: Options,
        mcp: impl Fn(crate::mcp::Handler) -> H + Send + Sync + 'static,
    ) -> Self {
        let tasks = TaskTracker::new();
        let app = Arc::new(App {
            tasks: tasks.clone(),
            auth: Auth::new(&options.owner_token),
            links: options.links,
            push: options.push,
            hub: options.hub,
            allowed: options.allowed,
            tls: options.tls.clone(),
            catalog: options.catalog,
            sandbox: options.custody.sandbox().clone(),
            transcripts: options.transcripts,
            pools: options.pools,
            actions: options.actions,
            base_url: options.base_url,
            outside: options.outside,
            turn_timeout_ms: options.turn_timeout_ms,
            guards: options.guards,
            started: tokio::time::Instant::now(),
            sessionbus: options.sessionbus,
            engram: options.engram,
            attach: options.attach,
            engine: options.engine,
            stop_asked: CancellationToken::new(),
            clients: std::sync::atomic::AtomicU64::new(1),
        });
        Self {
            router: crate::routes::router(&app, crate::mcp::router(&app, mcp)),
            dashboard: crate::sessionbus::dashboard(Arc::clone(&app)),
            attach: crate::attach::router(Arc::clone(&app)),
            engine: crate::engine::router(Arc::clone(&app)),
            app,
            tasks,
            closing: CancellationToken::new(),
            places: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            peers: Arc::new(Peers::new(options.custody)),
            door: options.tls.as_deref().map(Door::new),
        }
    }

    /// What it answers, for whoever accepts connections in another way.
    pub(crate) fn into_router(self) -> Router {
        self.router
    }

    /// Resolves when somebody has asked the daemon to stop.
    pub async fn stop_asked(&self) {
        self.app.stop_asked.cancelled().await;
    }

    /// Accepts connections until the server stops.
    ///
    /// # Errors
    /// When the listener itself fails.
    pub async fn serve(&self, listener: Listener) -> io::Result<()> {
        loop {
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return Ok(()) };
            let accepted = tokio::select! {
                biased;
                () = self.closing.cancelled() => return Ok(()),
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok(stream) => self.take(&listener, stream, place),
                Err(error) if is_final(&error) => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(ACCEPT_REST).await;
                }
            }
        }
    }

    /// Serves a connection, beside the others.
    fn take(&self, listener: &Listener, stream: Stream, place: OwnedSemaphorePermit) {
        let router = match listener {
            Listener::Dashboard(_) => self.dashboard.clone(),
            Listener::Attach(_) => self.attach.clone(),
            Listener::Engine(_) => self.engine.clone(),
            Listener::Tcp(_) | Listener::Unix(_) | Listener::Engram(_) => self.router.clone(),
        };
        let is_bus = matches!(listener, Listener::Engram(_));
        let (app, closing, peers) = (Arc::clone(&self.app), self.closing.clone(), Arc::clone(&self.peers));
        let door = self.door.clone();
        self.tasks.spawn(async move {
            let origin = origin(&stream, peers).await;
            match stream {
                Either::Left(stream) if is_bus => crate::engram::serve(app, stream, origin, closing).await,
                stream => {
                    let (router, agent) = match origin {
                        Origin::Outside => (router, None),
                        Origin::Agent(session) => (router, Some(session)),
                        Origin::Unknown => (Router::new().fallback(stranger), None),
                    };
                    let (wire, local) = (wire(&stream), local(&stream));
                    let entering = enter(stream, door.as_ref());
                    let entered = tokio::select! {
                        biased;
                        () = closing.cancelled() => None,
                        entered = entering => entered,
                    };
                    let Some(Entered { io, secure, to_tls }) = entered else { return };
                    let router = if to_tls { Router::new().fallback(tls::elsewhere) } else { router };
                    connection(io, router, (Came { agent, local, secure }, wire), place, closing).await;
                }
            }
        });
    }

    /// Stops: streams are told to come back, answers under way are finished, within half a second.
    pub async fn close(&self) {
        self.closing.cancel();
        self.tasks.close();
        if tokio::time::timeout(DRAIN, self.tasks.wait()).await.is_err() {
            tracing::debug!("some connections were cut");
        }
    }
}

/// Where connections come from.
pub enum Listener {
    /// A TCP port.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixListener),
    /// A TCP port where the dashboard of a dialect is, and that dialect's paths alone.
    Dashboard(TcpListener),
    /// A TCP port where a browser's client of attachable sessions is, and that dialect's paths alone.
    Attach(TcpListener),
    /// A TCP port where the page of the original engine's client is, and that dialect's paths alone.
    Engine(TcpListener),
    /// A TCP port where the original agent bus is spoken, and nothing of HTTP.
    Engram(TcpListener),
}

type Stream = Either<TcpStream, UnixStream>;

/// A connection as HTTP sees it. One type for all, so that the server is compiled once.
type Io = Either<Stream, Box<TlsStream<TcpStream>>>;

/// A connection that is through the door.
struct Entered {
    io: Io,
    /// Whether it is TLS.
    secure: bool,
    /// Whether all it is told is to come back by TLS.
    to_tls: bool,
}

/// Takes a connection through the door, if there is one.
async fn enter(stream: Stream, door: Option<&Door>) -> Option<Entered> {
    let plain = |io| Entered { io, secure: false, to_tls: false };
    let (tcp, door) = match (stream, door) {
        (Either::Left(tcp), Some(door)) => (tcp, door),
        (stream, _) => return Some(plain(Either::Left(stream))),
    };
    match door.pass(tcp).await {
        Ok(Passed::Tls(io)) => Some(Entered { secure: true, ..plain(Either::Right(io)) }),
        Ok(Passed::Near(tcp)) => Some(plain(Either::Left(Either::Left(tcp)))),
        Ok(Passed::Far(tcp)) => Some(Entered { to_tls: true, ..plain(Either::Left(Either::Left(tcp))) }),
        Err(error) => {
            tracing::debug!(%error, "a connection did not come to TLS");
            None
        }
    }
}

impl Listener {
    async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener)
            | Self::Dashboard(listener)
            | Self::Attach(listener)
            | Self::Engine(listener)
            | Self::Engram(listener) => {
                let (stream, _) = listener.accept().await?;
                // A frame must not wait for the acknowledgement of the one before it. It fails for who has left already.
                let _client_left = stream.set_nodelay(true);
                Ok(Either::Left(stream))
            }
            Self::Unix(listener) => Ok(Either::Right(listener.accept().await?.0)),
        }
    }
}

/// Whether nothing will ever be accepted again, because what we have is no listening socket: `EBADF`, `EINVAL`, `ENOTSOCK`.
/// Everything else is about one client (it left early, a firewall forbids it) or passes (no memory, too many files).
fn is_final(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(9 | 22 | 88))
}

/// What can be looked up of a connection.
fn wire(stream: &Stream) -> Wire {
    match stream {
        Either::Left(tcp) => Wire::tcp(tcp),
        Either::Right(unix) => Wire::unix(unix),
    }
}

/// Where a connection comes from. Whoever is not known to be outside is not taken for somebody outside.
async fn origin(stream: &Stream, peers: Arc<Peers>) -> Origin {
    if !peers.must_look() {
        return Origin::Outside;
    }
    let peer = match stream {
        Either::Left(tcp) => Peer::tcp(tcp.peer_addr(), tcp.local_addr()),
        Either::Right(unix) => Peer::unix(unix),
    };
    tokio::task::spawn_blocking(move || peers.origin(&peer)).await.unwrap_or(Origin::Unknown)
}

/// The address of ours that was connected to.
fn local(stream: &Stream) -> Option<IpAddr> {
    match stream {
        Either::Left(tcp) => tcp.local_addr().ok().map(|address| address.ip()),
        Either::Right(_) => None,
    }
}

async fn connection(
    io: Io,
    router: Router,
    (came, wire): (Came, Wire),
    place: OwnedSemaphorePermit,
    closing: CancellationToken,
) {
    let wire = Arc::new(wire);
    // A WebSocket goes on when the connection is no longer HTTP, and keeps its place.
    let place = Arc::new(place);
    let service = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(came);
        request.extensions_mut().insert(Arc::clone(&wire));
        request.extensions_mut().insert(Arc::clone(&place));
        service.call(request)
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    tokio::pin!(connection);
    let mut leaving = false;
    loop {
        tokio::select! {
            biased;
            () = closing.cancelled(), if !leaving => {
                leaving = true;
                connection.as_mut().graceful_shutdown();
            }
            outcome = connection.as_mut() => {
                if let Err(error) = outcome {
                    tracing::debug!(%error, "a connection ended early");
                }
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_listener_that_is_none_ends_the_server() {
        // EPERM, EAGAIN, ENOMEM, ENFILE, EMFILE, EPROTO, ENETDOWN, ECONNABORTED, ENOBUFS, ETIMEDOUT, EHOSTUNREACH
        for passing in [1, 11, 12, 23, 24, 71, 100, 103, 105, 110, 113] {
            assert!(!is_final(&io::Error::from_raw_os_error(passing)), "{passing}");
        }
        for last in [9, 22, 88] {
            assert!(is_final(&io::Error::from_raw_os_error(last)), "{last}");
        }
        assert!(!is_final(&io::ErrorKind::InvalidInput.into()));
    }
}
