//! Requests to other machines, over TLS: the one client that the daemon has for that.

use std::error::Error as _;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use trunkline_wire::model::{Failure, FailureKind, HttpRequest, reset};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(15);
/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(60);
/// How much of an answer that is an error is read.
const MAX_ERROR: usize = 64 << 10;

type Pool = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A client. Cheap to clone; clones share their connections, and nothing else.
#[derive(Clone, Debug, Default)]
pub struct Http(Arc<OnceLock<(Pool, Option<String>)>>);

/// The body of an answer, as it comes.
#[derive(Debug)]
pub(crate) struct Body {
    body: Incoming,
    silence: Duration,
}

impl Http {
    /// Sends a request, and waits until the answer begins; an answer that is no success is a failure.
    ///
    /// # Errors
    /// [`Failure`], in the words of the provider where it says any.
    pub(crate) async fn post(&self, request: HttpRequest, silence: Duration) -> Result<Body, Failure> {
        let answer = self.ask(request, silence).await?;
        let body = |answer: Response<Incoming>| Body { body: answer.into_body(), silence };
        if answer.status().is_success() {
            return Ok(body(answer));
        }
        let status = answer.status().as_u16();
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let (after, reset) = (header("retry-after").map(str::to_owned), reset(header));
        let told = body(answer).all(MAX_ERROR).await;
        let mut failure = Failure::of_answer(status, after.as_deref(), &told);
        if failure.kind == FailureKind::RateLimited {
            failure.retry_after = failure.retry_after.or(reset);
        }
        Err(failure)
    }

    /// Sends a request, and gives the status of the answer, whatever it is.
    ///
    /// # Errors
    /// [`Failure`] when there is no answer.
    pub(crate) async fn status(&self, request: HttpRequest, silence: Duration) -> Result<u16, Failure> {
        Ok(self.ask(request, silence).await?.status().as_u16())
    }

    async fn ask(&self, request: HttpRequest, silence: Duration) -> Result<Response<Incoming>, Failure> {
        let mut built = Request::builder().method(Method::POST).uri(&request.url);
        for (name, value) in &request.headers {
            built = built.header(name, value.reveal());
        }
        let agent = concat!("trunkline/", env!("CARGO_PKG_VERSION"));
        if request.headers.iter().all(|(name, _)| name != "content-type") {
            built = built.header("content-type", "application/json").header("accept", "text/event-stream");
        }
        let built = built.header("user-agent", agent);
        let built = built.body(Full::new(Bytes::from(request.body)));
        // What cannot be a header may be a key: it is not quoted.
        let bad = |_| {
            Failure::new(
                FailureKind::InvalidRequest,
                "the address, the key or a header has characters that none can have",
            )
        };
        self.send(built.map_err(bad)?, silence).await
    }

    /// Sends any request, and waits until its answer begins.
    ///
    /// # Errors
    /// [`Failure`] when there is no answer within `silence`.
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
        silence: Duration,
    ) -> Result<Response<Incoming>, Failure> {
        let url = request.uri().to_string();
        let answer = tokio::time::timeout(silence, self.pool().await.request(request)).await;
        answer.map_err(|_| silent(silence))?.map_err(|error| self.unreachable(&url, &error))
    }

    async fn pool(&self) -> Pool {
        if let Some((pool, _)) = self.0.get() {
            return pool.clone();
        }
        // The machine's certificates are read from its disk.
        let made = tokio::task::spawn_blocking(pool).await.unwrap_or_else(|_| pool());
        self.0.get_or_init(|| made).0.clone()
    }

    fn unreachable(&self, url: &str, error: &Error) -> Failure {
        let mut why = error.to_string();
        let mut cause = error.source();
        while let Some(next) = cause {
            why = next.to_string();
            cause = next.source();
        }
        let place = url.split(['?', '#']).next().unwrap_or_default();
        let certificates =
            self.0.get().and_then(|(_, missing)| missing.as_ref()).filter(|_| url.starts_with("https:"));
        let hint =
            certificates.map(|missing| format!("; this machine's certificates cannot be read: {missing}"));
        Failure::connection(format!("{place} was not reached: {why}{}", hint.unwrap_or_default()))
    }
}

impl Body {
    /// The next bytes; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let frame = tokio::time::timeout(self.silence, self.body.frame())
                .await
                .map_err(|_| silent(self.silence))?;
            match frame {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => {
                    return Err(Failure::connection(format!("the connection broke: {error}")));
                }
            }
        }
    }

    /// All of it, up to so many bytes. What cannot be read is left out.
    async fn all(mut self, limit: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while let Ok(Some(bytes)) = self.next().await {
            all.extend_from_slice(&bytes[..bytes.len().min(limit - all.len())]);
            if all.len() == limit {
                break;
            }
        }
        all
    }
}

fn silent(silence: Duration) -> Failure {
    Failure::connection(format!("nothing was said for {} s", silence.as_secs()))
}

/// The pool, and why the machine's certificates are not known to it, if they are not. Without them what needs no TLS works
/// all the same.
fn pool() -> (Pool, Option<String>) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let (tls, missing) =
        match HttpsConnectorBuilder::new().with_provider_and_native_roots(Arc::clone(&provider)) {
            Ok(builder) => (builder, None),
            Err(error) => (bare(provider), Some(error)),
        };
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(CONNECT));
    tcp.set_nodelay(true);
    let connector = tls.https_or_http().enable_http1().wrap_connector(tcp);
    let pool = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .build(connector);
    (pool, missing.map(|error: io::Error| error.to_string()))
}

fn bare(
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> HttpsConnectorBuilder<hyper_rustls::builderstates::WantsSchemes> {
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider knows the versions that are built in")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    HttpsConnectorBuilder::new().with_tls_config(config)
}
