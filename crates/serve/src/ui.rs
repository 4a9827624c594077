//! The page, built into the binary.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use axum::response::IntoResponse;

use crate::built::Built;
use crate::problem::Problem;

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// What the page may do: load its own parts and talk to its own daemon, nothing else.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'";

/// The page, for every path that is not the API's.
pub(crate) async fn page(request: Request) -> Response<Body> {
    let path = request.uri().path();
    if path.starts_with("/v1/") || path.starts_with("/api/") {
        return Problem::not_found("path", path).into_response();
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let detail = "this path does not take that method; see /v1/openapi.json";
        return Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail).into_response();
    }
    let name = path.trim_start_matches('/');
    let find = |name| ASSETS.iter().find(|asset| asset.name == name);
    // The page routes by itself; a missing asset must not look like the page.
    let found = find(name).or_else(|| find("index.html").filter(|_| !name.starts_with("assets/")));
    found.map_or_else(
        || Problem::not_found("file", path).into_response(),
        |file| asset(file, request.headers()),
    )
}

fn asset(file: &Built, asked: &HeaderMap) -> Response<Body> {
    let mut response = file.answer(asked);
    let headers = response.headers_mut();
    let cache =
        if file.name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
