//! A stream of events over HTTP, read for a client of the socket.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::http::{Extensions, HeaderValue, Request, Response, StatusCode, Uri, header};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tower_service::Service;
use trunkline_core::raw::Raw;
use trunkline_wire::sse::{Decoder, Event};

use super::Part;
use super::message::{Told, Why};
use crate::problem::Problem;

/// The largest answer that says why a path is not streamed.
const MAX_PROBLEM: usize = 64 << 10;
/// The content type of a stream.
const EVENTS: &str = "text/event-stream";

/// What is asked of the routes in a client's name.
pub(super) fn request(
    path: &str,
    last_event_id: Option<&str>,
    extensions: &Extensions,
) -> Result<Request<Body>, Problem> {
    let uri: Uri = path
        .parse()
        .ok()
        .filter(|uri: &Uri| uri.host().is_none() && uri.path().starts_with("/v1/"))
        .ok_or_else(|| Problem::invalid("path", "the path of a stream begins with /v1/"))?;
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = uri;
    request.extensions_mut().clone_from(extensions);
    request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static(EVENTS));
    if let Some(last) = last_event_id {
        let last = HeaderValue::from_str(last)
            .map_err(|_| Problem::invalid("last_event_id", "it must be a value that the stream gave"))?;
        request.headers_mut().insert("last-event-id", last);
    }
    Ok(request)
}

/// What the stream tells, for the client, and then its end.
pub(super) fn relay(mut routes: Router, request: Request<Body>, id: Arc<str>) -> BoxStream<'static, Part> {
    let ended = (Arc::clone(&id), None);
    let answered =
        async move { routes.call(request).await.unwrap_or_else(|never: Infallible| match never {}) };
    let parts = stream::once(answered).flat_map(move |response| parts(response, Arc::clone(&id)));
    parts.chain(stream::iter([ended])).boxed()
}

fn parts(response: Response<Body>, id: Arc<str>) -> BoxStream<'static, Part> {
    let (head, body) = response.into_parts();
    let is_stream = head.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == EVENTS);
    if head.status == StatusCode::OK && is_stream {
        return events(body.into_data_stream(), id);
    }
    let refused = async move {
        let written = if head.status == StatusCode::OK { None } else { problem(body).await };
        let detail = "this path is no stream of events; see /v1/openapi.json";
        let none = Problem::new(StatusCode::NOT_FOUND, "not_found", detail);
        let problem = written.map_or(Why::Here(&none), Why::Written);
        let text = Told::Refused { id: Some(&id), problem }.text();
        (id, Some(text))
    };
    stream::once(refused).boxed()
}

async fn problem(body: Body) -> Option<Raw> {
    let bytes = axum::body::to_bytes(body, MAX_PROBLEM).await.ok()?;
    Raw::parse(std::str::from_utf8(&bytes).ok()?).ok()
}

fn events(body: BodyDataStream, id: Arc<str>) -> BoxStream<'static, Part> {
    let mut decoder = Decoder::default();
    let chunks = body.map(move |chunk| {
        decoder.push(&chunk.unwrap_or_default());
        // One that is too large for a reader of ours is not written by a stream of ours.
        let events = decoder.by_ref().flatten().map(|event| (Arc::clone(&id), Some(text(&id, &event))));
        stream::iter(events.collect::<Vec<_>>())
    });
    chunks.flatten().boxed()
}

fn text(id: &str, event: &Event) -> String {
    let data = Raw::parse(&event.data).or_else(|_| Raw::of(&event.data)).ok();
    Told::Event { id, event: &event.event, last_event_id: &event.id, data }.text()
}
