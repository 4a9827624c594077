//! A way to the daemon's MCP server for messages that are passed on and not looked into.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response};
use trunkline_wire::sse::Decoder;

use crate::error::Error;
use crate::http::Origin;

/// Where the server is.
const PATH: &str = "/mcp";
/// The header with the session of the protocol.
pub const SESSION: &str = "mcp-session-id";
/// How many bytes an answer may have that is no stream.
const MAX_ANSWER: usize = 64 << 20;
/// How long the daemon may take until its answer begins. It begins before the tool has run.
const BEGIN: Duration = Duration::from_secs(60);

/// The way. Which daemon it leads to is looked up when it is taken, so it follows one that moves.
#[derive(Debug)]
pub struct Passage {
    to: To,
    as_owner: bool,
    /// The last daemon found.
    known: Mutex<Option<Origin>>,
}

#[derive(Debug)]
enum To {
    Home(PathBuf),
    Url(String),
}

/// What came back: messages, or a refusal.
#[derive(Debug)]
pub struct Passed {
    /// The status of HTTP.
    pub status: u16,
    /// The session of the protocol that the server has begun.
    pub session: Option<String>,
    base_url: String,
    body: Incoming,
    /// Of a stream.
    decoder: Option<Decoder>,
}

impl Passage {
    /// To the daemon of a home directory: with its owner's token, or as any program of the user.
    #[must_use]
    pub fn to_home(home: &Path, as_owner: bool) -> Self {
        Self { to: To::Home(home.to_owned()), as_owner, known: Mutex::default() }
    }

    /// To a daemon at an address, without a token.
    #[must_use]
    pub fn to_url(base_url: &str) -> Self {
        Self { to: To::Url(base_url.to_owned()), as_owner: false, known: Mutex::default() }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// `Unreachable` or `NotRunning` when it was not sent; `Broken` when nobody knows what became of it.
    pub async fn post(&self, headers: &[(&'static str, &str)], message: Bytes) -> Result<Passed, Error> {
        self.send(Method::POST, "application/json, text/event-stream", headers, message).await
    }

    /// Opens the stream of what the server says unasked.
    ///
    /// # Errors
    /// As of `post`.
    pub async fn listen(&self, headers: &[(&'static str, &str)]) -> Result<Passed, Error> {
        self.send(Method::GET, "text/event-stream", headers, Bytes::new()).await
    }

    /// Ends a session.
    ///
    /// # Errors
    /// As of `post`.
    pub async fn end(&self, headers: &[(&'static str, &str)]) -> Result<Passed, Error> {
        self.send(Method::DELETE, "application/json", headers, Bytes::new()).await
    }

    async fn send(
        &self,
        method: Method,
        accept: &'static str,
        headers: &[(&'static str, &str)],
        body: Bytes,
    ) -> Result<Passed, Error> {
        let origin = self.origin()?;
        let mut request = Request::new(Full::new(body));
        let url = format!("{}{PATH}", origin.base_url);
        *request.uri_mut() = url.parse().map_err(|_| Error::BadAddress(format!("{url:?} is no address")))?;
        *request.method_mut() = method;
        let all = request.headers_mut();
        all.insert(ACCEPT, HeaderValue::from_static(accept));
        all.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        all.insert(USER_AGENT, HeaderValue::from_static(concat!("trunkline/", env!("CARGO_PKG_VERSION"))));
        if self.as_owner {
            all.insert(AUTHORIZATION, origin.bearer.clone());
        }
        for (name, value) in headers {
            let value = HeaderValue::from_str(value)
                .map_err(|_| Error::BadAddress(format!("{value:?} cannot stand in the header {name}")))?;
            all.insert(HeaderName::from_static(name), value);
        }
        let base_url = origin.base_url.clone();
        let answer = tokio::time::timeout(BEGIN, origin.way.request(request)).await;
        let response = match answer {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                self.forget();
                let connects = error.is_connect();
                let source = error.into();
                return Err(if connects {
                    Error::Unreachable { base_url, source }
                } else {
                    Error::Broken { base_url, source }
                });
            }
            Err(_) => return Err(Error::TimedOut { base_url, after: BEGIN }),
        };
        Ok(Passed::of(base_url, response))
    }

    fn origin(&self) -> Result<Origin, Error> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(origin) = &*known {
            return Ok(origin.clone());
        }
        let found = match &self.to {
            To::Home(home) => Origin::discover(home, self.as_owner)?,
            To::Url(url) => Origin::new(url, "")?,
        };
        *known = Some(found.clone());
        Ok(found)
    }

    fn forget(&self) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Passed {
    fn of(base_url: String, response: Response<Incoming>) -> Self {
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let streams = header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
        Self {
            status: response.status().as_u16(),
            session: header(SESSION).map(str::to_owned),
            base_url,
            decoder: streams.then(Decoder::default),
            body: response.into_body(),
        }
    }

    /// The next message; `None` when there are no more.
    ///
    /// # Errors
    /// `Broken` when the connection ended in the middle, `Unexpected` when what came is no stream of messages.
    pub async fn next(&mut self) -> Result<Option<String>, Error> {
        let Some(decoder) = &mut self.decoder else {
            let whole = self.rest().await?;
            return Ok(Some(whole).filter(|text| !text.trim().is_empty()));
        };
        loop {
            if let Some(event) = decoder.next() {
                let event = event.map_err(|error| Error::Unexpected {
                    request: format!("POST {PATH}"),
                    why: error.to_string(),
                })?;
                // The first event of a stream may be there for its number alone.
                if !event.data.trim().is_empty() {
                    return Ok(Some(event.data));
                }
                continue;
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        decoder.push(data);
                    }
                }
                Some(Err(error)) => {
                    return Err(Error::Broken { base_url: self.base_url.clone(), source: error.into() });
                }
                None => return Ok(None),
            }
        }
    }

    /// What is left of the body, as text.
    async fn rest(&mut self) -> Result<String, Error> {
        let body = Limited::new(&mut self.body, MAX_ANSWER).collect().await;
        let broken = |source| Error::Broken { base_url: self.base_url.clone(), source };
        Ok(String::from_utf8_lossy(&body.map_err(broken)?.to_bytes()).into_owned())
    }
}
