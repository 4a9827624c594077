//! Listeners: connections in, the router behind, and a stop that does not wait for ever.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use trunkline_run::Hub;
use trunkline_run::catalog::Catalog;

use crate::app::App;
use crate::auth::Auth;
use crate::gate::Allowed;

/// How long a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How many connections are served at a time; more wait in the system's queue.
const MAX_CONNECTIONS: usize = 16_384;
/// Connections have this long to end their answers when the daemon stops.
const DRAIN: Duration = Duration::from_millis(500);

/// What a server is made of.
pub struct Options {
    /// The hub behind it.
    pub hub: Hub,
    /// The agents that can be run.
    pub catalog: Arc<Catalog>,
    /// The secret in the owner's token file.
    pub owner_token: String,
    /// Which hosts and origins are ours.
    pub allowed: Allowed,
    /// The URL of the page, as the owner would type it.
    pub base_url: String,
    /// How long a turn may run if its prompt does not say.
    pub turn_timeout_ms: Option<u64>,
}

/// The server. Connections are accepted while [`serve_tcp`](Self::serve_tcp) or [`serve_unix`](Self::serve_unix) run.
pub struct Server {
    router: Router,
    app: Arc<App>,
    tasks: TaskTracker,
    closing: CancellationToken,
    places: Arc<tokio::sync::Semaphore>,
}

impl Server {
    /// Makes a server that accepts nothing yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let app = Arc::new(App {
            auth: Auth::new(&options.owner_token),
            hub: options.hub,
            allowed: options.allowed,
            catalog: options.catalog,
            base_url: options.base_url,
            turn_timeout_ms: options.turn_timeout_ms,
            started: tokio::time::Instant::now(),
            stop_asked: CancellationToken::new(),
            clients: std::sync::atomic::AtomicU64::new(1),
        });
        Self {
            router: crate::routes::router(Arc::clone(&app)),
            app,
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            places: Arc::new(tokio::sync::Semaphore::new(MAX_CONNECTIONS)),
        }
    }

    /// Resolves when somebody has asked the daemon to stop.
    pub async fn stop_asked(&self) {
        self.app.stop_asked.cancelled().await;
    }

    /// Accepts connections until the server stops.
    ///
    /// # Errors
    /// When the listener itself fails.
    pub async fn serve_tcp(&self, listener: TcpListener) -> io::Result<()> {
        self.accept(async || {
            let (stream, _) = listener.accept().await?;
            // A frame must not wait for the acknowledgement of the one before it.
            stream.set_nodelay(true)?;
            Ok(stream)
        })
        .await
    }

    /// Accepts connections until the server stops.
    ///
    /// # Errors
    /// When the listener itself fails.
    pub async fn serve_unix(&self, listener: UnixListener) -> io::Result<()> {
        self.accept(async || Ok(listener.accept().await?.0)).await
    }

    /// Stops: streams are told to come back, answers under way are finished, within half a second.
    pub async fn close(&self) {
        self.closing.cancel();
        self.tasks.close();
        if tokio::time::timeout(DRAIN, self.tasks.wait()).await.is_err() {
            tracing::debug!("some connections were cut");
        }
    }

    async fn accept<S, F>(&self, next: F) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: AsyncFn() -> io::Result<S>,
    {
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.closing.cancelled() => return Ok(()),
                accepted = async {
                    let place = Arc::clone(&self.places).acquire_owned().await;
                    (place, next().await)
                } => accepted,
            };
            match accepted {
                (Ok(place), Ok(stream)) => {
                    let (router, closing) = (self.router.clone(), self.closing.clone());
                    self.tasks.spawn(async move {
                        connection(stream, router, closing).await;
                        drop(place);
                    });
                }
                (_, Err(error)) if is_passing(&error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                (_, Err(error)) => return Err(error),
                (Err(_), _) => return Ok(()),
            }
        }
    }
}

/// Whether accepting may work again: a client that left early, or too many open files.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, InvalidInput};
    let kind = matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted | InvalidInput
    );
    kind || matches!(error.raw_os_error(), Some(23 | 24))
}

async fn connection<S>(stream: S, router: Router, closing: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(router);
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
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
