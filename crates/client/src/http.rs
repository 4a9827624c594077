//! Carrying requests to the daemon and answers back.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Request, Response, StatusCode, Uri};
use serde::de::DeserializeOwned;

use crate::call::Call;
use crate::connect::Way;
use crate::error::{Error, Problem};
use crate::home::{Runtime, SOCKET_FILE, read_token};

/// By this header the daemon says which commit an answer stands for, and is told which one a list must include.
const AT: HeaderName = HeaderName::from_static("trunkline-at");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// How many bytes an answer may have; events alone may have 64 MiB each.
const MAX_ANSWER: usize = 256 << 20;

/// Connections to one daemon.
pub(crate) struct Http {
    origin: Mutex<Origin>,
    /// Where to look again when the daemon has moved to another port.
    home: Option<PathBuf>,
    /// The newest commit this client has caused: lists it asks for include it.
    at: Mutex<u64>,
}

/// Where the daemon is and what opens it.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) base_url: String,
    pub(crate) bearer: HeaderValue,
    socket: Option<PathBuf>,
    pub(crate) way: Way,
}

impl Http {
    pub(crate) fn new(base_url: &str, token: &str) -> Result<Self, Error> {
        Ok(Self::with(Origin::new(base_url, token)?, None))
    }

    pub(crate) fn discover(home: PathBuf) -> Result<Self, Error> {
        let origin = Origin::discover(&home, true)?;
        Ok(Self::with(origin, Some(home)))
    }

    fn with(origin: Origin, home: Option<PathBuf>) -> Self {
        Self { origin: Mutex::new(origin), home, at: Mutex::new(0) }
    }

    /// Sends a call and reads its answer.
    pub(crate) async fn json<T: DeserializeOwned>(&self, call: &Call) -> Result<T, Error> {
        let bytes = self.bytes(call).await?;
        serde_json::from_slice(&bytes).map_err(|error| call.odd(error.to_string()))
    }

    /// Sends a call of whose answer nothing is needed.
    pub(crate) async fn done(&self, call: &Call) -> Result<(), Error> {
        self.bytes(call).await.map(drop)
    }

    async fn bytes(&self, call: &Call) -> Result<Bytes, Error> {
        match self.once(call).await {
            // The connection broke, most likely because the daemon was restarted: once more, if that is harmless.
            Err(Error::Broken { .. }) if call.may_repeat() => self.once(call).await,
            outcome => outcome,
        }
    }

    async fn once(&self, call: &Call) -> Result<Bytes, Error> {
        let answer = async {
            let response = self.open(call).await?;
            let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
            body.map(http_body_util::Collected::to_bytes).map_err(|source| self.broken(source))
        };
        let late = |_| Error::TimedOut { base_url: self.base_url(), after: call.timeout };
        tokio::time::timeout(call.timeout, answer).await.map_err(late)?
    }

    /// Sends a call and gives the answer as soon as it begins; one that is no success is read as a problem.
    pub(crate) async fn open(&self, call: &Call) -> Result<Response<Incoming>, Error> {
        let response = match self.send(call).await {
            Err(error @ Error::Unreachable { .. }) if self.look_again() => {
                self.send(call).await.map_err(|_| error)?
            }
            outcome => outcome?,
        };
        self.note_commit(response.headers());
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = Limited::new(response.into_body(), 1 << 20).collect().await;
        let body = body.map_err(|source| self.broken(source))?.to_bytes();
        Err(refusal(call, status, &body))
    }

    async fn send(&self, call: &Call) -> Result<Response<Incoming>, Error> {
        let origin = self.origin();
        let request = self.request(&origin, call)?;
        origin.way.request(request).await.map_err(|error| {
            let base_url = origin.base_url;
            if error.is_connect() {
                Error::Unreachable { base_url, source: error.into() }
            } else {
                Error::Broken { base_url, source: error.into() }
            }
        })
    }

    fn request(&self, origin: &Origin, call: &Call) -> Result<Request<Full<Bytes>>, Error> {
        let mut request = Request::new(Full::new(call.body.clone().unwrap_or_default()));
        *request.method_mut() = call.method.clone();
        let url = format!("{}{}", origin.base_url, call.path);
        *request.uri_mut() = url
            .parse::<Uri>()
            .map_err(|error| Error::BadAddress(format!("{url:?} is no address: {error}")))?;
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, origin.bearer.clone());
        headers.insert(ACCEPT, HeaderValue::from_static(call.accept));
        headers
            .insert(USER_AGENT, HeaderValue::from_static(concat!("trunkline/", env!("CARGO_PKG_VERSION"))));
        if call.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(call.content_type));
        } else if let at @ 1.. = *self.at.lock().unwrap_or_else(PoisonError::into_inner) {
            headers.insert(AT, HeaderValue::from(at));
        }
        for (name, value) in [(IDEMPOTENCY_KEY, &call.key), (LAST_EVENT_ID, &call.last_event_id)] {
            if let Some(value) = value {
                let bad = |_| Error::BadAddress(format!("{value:?} cannot stand in the header {name}"));
                headers.insert(&name, HeaderValue::from_str(value).map_err(bad)?);
            }
        }
        Ok(request)
    }

    /// Reads the home directory anew; whether the daemon is elsewhere now.
    fn look_again(&self) -> bool {
        let Some(found) = self.home.as_deref().and_then(|home| Origin::discover(home, true).ok()) else {
            return false;
        };
        let mut origin = self.origin.lock().unwrap_or_else(PoisonError::into_inner);
        let moved = !origin.is(&found);
        if moved {
            *origin = found;
        }
        moved
    }

    fn note_commit(&self, headers: &HeaderMap) {
        let at: Option<u64> = headers.get(AT).and_then(|value| value.to_str().ok()?.parse().ok());
        if let Some(at) = at {
            let mut newest = self.at.lock().unwrap_or_else(PoisonError::into_inner);
            *newest = at.max(*newest);
        }
    }

    /// Where the daemon is.
    pub(crate) fn base_url(&self) -> String {
        self.origin().base_url
    }

    fn origin(&self) -> Origin {
        self.origin.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn broken(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::Broken { base_url: self.base_url(), source: source.into() }
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.base_url.fmt(f)
    }
}

impl Origin {
    pub(crate) fn new(base_url: &str, token: &str) -> Result<Self, Error> {
        let base_url = base_url.trim_end_matches('/');
        let uri: Uri = base_url
            .parse()
            .map_err(|error| Error::BadAddress(format!("{base_url:?} is no address: {error}")))?;
        if uri.scheme_str() == Some("https") {
            let why = format!(
                "{base_url:?} needs TLS, which this client does not speak: forward the port with \
                 `ssh -L 7433:127.0.0.1:7433 HOST`, and name http://127.0.0.1:7433"
            );
            return Err(Error::BadAddress(why));
        }
        if uri.scheme_str() != Some("http") || uri.host().is_none() || uri.query().is_some() {
            let why = format!("{base_url:?} is not of the form http://host:port");
            return Err(Error::BadAddress(why));
        }
        let mut bearer = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| Error::BadAddress("the token has characters that no token has".to_owned()))?;
        bearer.set_sensitive(true);
        Ok(Self { base_url: base_url.to_owned(), bearer, socket: None, way: Way::tcp() })
    }

    /// The daemon of a home directory, with its owner's token or without.
    pub(crate) fn discover(home: &Path, as_owner: bool) -> Result<Self, Error> {
        let runtime = Runtime::read(home)?.ok_or_else(|| Error::NotRunning { home: home.to_owned() })?;
        let token = if as_owner { read_token(home)? } else { String::new() };
        let origin = Self::new(&runtime.base_url, &token)?;
        let socket = home.join(SOCKET_FILE);
        if !socket.exists() {
            return Ok(origin);
        }
        Ok(Self { way: Way::unix(socket.clone()), socket: Some(socket), ..origin })
    }

    fn is(&self, other: &Self) -> bool {
        (&self.base_url, &self.bearer, &self.socket) == (&other.base_url, &other.bearer, &other.socket)
    }
}

impl Call {
    /// The answer is not what it should be.
    pub(crate) fn odd(&self, why: impl Into<String>) -> Error {
        Error::Unexpected { request: format!("{} {}", self.method, self.path), why: why.into() }
    }
}

fn refusal(call: &Call, status: StatusCode, body: &[u8]) -> Error {
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => Error::Problem(Box::new(Problem { status: status.as_u16(), ..problem })),
        Err(_) => {
            let start: String =
                String::from_utf8_lossy(body).chars().filter(|c| !c.is_control()).take(200).collect();
            call.odd(format!("{status} {start}").trim_end())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_before_anything_is_sent() {
        assert!(
            Origin::new("http://127.0.0.1:7433/", "t").is_ok_and(|o| o.base_url == "http://127.0.0.1:7433")
        );
        for bad in ["", "127.0.0.1:7433", "https://x", "http://", "http://x?y", "unix:/x", "http://a b"] {
            assert!(Origin::new(bad, "t").is_err(), "{bad}");
        }
        assert!(Origin::new("http://x", "a\nb").is_err());
        assert!(Origin::new("https://x", "t").unwrap_err().to_string().contains("ssh -L"));
    }

    #[test]
    fn a_refusal_without_a_problem_is_still_told() {
        let error = refusal(&Call::get("/v1/me"), StatusCode::BAD_GATEWAY, b"<h1>\x1bBad</h1>");
        assert_eq!(
            error.to_string(),
            "the answer to GET /v1/me is not understood: 502 Bad Gateway <h1>Bad</h1>"
        );
    }
}
