//! MCP over streamable HTTP, by the one client for HTTP that the daemon has.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_client::{
    SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
};
use sse_stream::Sse;
use trunkline_wire::model::Failure;
use trunkline_wire::sse::Decoder;

use crate::http::Http;

/// How much of an answer is read that is one message.
const MAX_JSON: usize = 16 << 20;
/// How large an event of a stream may be.
const MAX_EVENT: usize = 16 << 20;
/// How much of an answer that is an error is read.
const MAX_ERROR: usize = 4 << 10;
const SESSION: &str = "mcp-session-id";
const EVENT_STREAM: &str = "text/event-stream";
const JSON: &str = "application/json";

type Failed = StreamableHttpError<Failure>;

/// The client for one server.
#[derive(Clone)]
pub(super) struct Remote {
    pub(super) http: Http,
    /// How long an answer may take to begin.
    pub(super) silence: Duration,
}

impl Remote {
    async fn ask(
        &self,
        (method, uri): (Method, &str),
        body: Vec<u8>,
        session: Option<&str>,
        bearer: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<Response<Incoming>, Failed> {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(session) = session {
            request = request.header(SESSION, session);
        }
        if let Some(bearer) = bearer {
            request = request.header(AUTHORIZATION, format!("Bearer {bearer}"));
        }
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, JSON);
        }
        request = request.header("user-agent", concat!("trunkline/", env!("CARGO_PKG_VERSION")));
        let request = request.body(Full::new(Bytes::from(body)));
        // What cannot be a header may be a secret: it is not quoted.
        let request = request.map_err(|_| {
            Failed::UnexpectedServerResponse(
                "its address or a header has characters that none can have".into(),
            )
        })?;
        self.http.send(request, self.silence).await.map_err(Failed::Client)
    }
}

impl StreamableHttpClient for Remote {
    type Error = Failure;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        bearer: Option<String>,
        mut headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Failed> {
        let body = serde_json::to_vec(&message)?;
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        let answer = self.ask((Method::POST, &uri), body, session.as_deref(), bearer, headers).await?;
        let asks = matches!(message, ClientJsonRpcMessage::Request(_));
        let status = answer.status();
        if status == StatusCode::NOT_FOUND && session.is_some() {
            return Err(Failed::SessionExpired);
        }
        if !status.is_success() {
            return Err(refused(answer).await);
        }
        if !asks {
            // Nothing in the answer matters; reading its end lets the connection be used again.
            drop(whole(answer, MAX_ERROR).await);
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        let id = header(&answer, SESSION);
        let kind = header(&answer, CONTENT_TYPE.as_str()).unwrap_or_default();
        if kind.starts_with(EVENT_STREAM) {
            return Ok(StreamableHttpPostResponse::Sse(events(answer.into_body()), id));
        }
        if !kind.starts_with(JSON) {
            return Err(Failed::UnexpectedContentType(Some(kind)));
        }
        let message: ServerJsonRpcMessage = serde_json::from_slice(&whole(answer, MAX_JSON).await?)?;
        Ok(StreamableHttpPostResponse::Json(message, id))
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session: Arc<str>,
        bearer: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), Failed> {
        let answer = self.ask((Method::DELETE, &uri), Vec::new(), Some(&session), bearer, headers).await?;
        match answer.status() {
            // The server need not know how.
            StatusCode::METHOD_NOT_ALLOWED => Ok(()),
            status if status.is_success() => Ok(()),
            _ => Err(refused(answer).await),
        }
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last: Option<String>,
        bearer: Option<String>,
        mut headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failed> {
        headers.insert(ACCEPT, HeaderValue::from_static(EVENT_STREAM));
        if let Some(last) = last.and_then(|last| HeaderValue::from_str(&last).ok()) {
            headers.insert(HeaderName::from_static("last-event-id"), last);
        }
        let answer = self.ask((Method::GET, &uri), Vec::new(), session.as_deref(), bearer, headers).await?;
        match answer.status() {
            StatusCode::METHOD_NOT_ALLOWED => Err(Failed::ServerDoesNotSupportSse),
            status if !status.is_success() => Err(refused(answer).await),
            _ if header(&answer, CONTENT_TYPE.as_str())
                .is_some_and(|kind| kind.starts_with(EVENT_STREAM)) =>
            {
                Ok(events(answer.into_body()))
            }
            _ => Err(Failed::ServerDoesNotSupportSse),
        }
    }
}

fn header(answer: &Response<Incoming>, name: &str) -> Option<String> {
    answer.headers().get(name)?.to_str().ok().map(str::to_owned)
}

async fn whole(answer: Response<Incoming>, max: usize) -> Result<Bytes, Failed> {
    let body = Limited::new(answer.into_body(), max).collect().await;
    body.map(http_body_util::Collected::to_bytes).map_err(|_| Failed::ResponseBodyTooLarge { max_size: max })
}

/// What a server says when it takes a request for wrong.
async fn refused(answer: Response<Incoming>) -> Failed {
    let status = answer.status();
    let told = whole(answer, MAX_ERROR).await.unwrap_or_default();
    let told: String = String::from_utf8_lossy(&told).chars().take(200).collect();
    Failed::UnexpectedServerResponse(Cow::Owned(format!("it answers {status}: {}", told.trim())))
}

/// The events of a stream, as they come. One that is too large is an error.
fn events(body: Incoming) -> BoxStream<'static, Result<Sse, SseError>> {
    let next = async |(mut body, mut decoder): (Incoming, Decoder)| loop {
        match decoder.next() {
            Some(Ok(event)) => {
                let id = (!event.id.is_empty()).then_some(event.id);
                let kind = (event.event != "message").then_some(event.event);
                let event = Sse { event: kind, data: Some(event.data), id, retry: None };
                return Some((Ok(event), (body, decoder)));
            }
            Some(Err(error)) => return Some((Err(SseError::Body(Box::new(error))), (body, decoder))),
            None => {}
        }
        match body.frame().await? {
            Ok(frame) => {
                if let Ok(data) = frame.into_data() {
                    decoder.push(&data);
                }
            }
            Err(error) => return Some((Err(SseError::Body(Box::new(error))), (body, decoder))),
        }
    };
    stream::unfold((body, Decoder::new(MAX_EVENT)), next).boxed()
}
