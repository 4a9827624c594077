//! The page, built into the binary.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, Response, StatusCode, header};
use axum::response::IntoResponse;

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
    match ASSETS.iter().find(|(asset, _)| *asset == name) {
        Some((name, bytes)) => asset(name, bytes),
        // The page routes by itself; a missing asset must not look like the page.
        None if name.starts_with("assets/") => Problem::not_found("file", path).into_response(),
        None => ASSETS.iter().find(|(asset, _)| *asset == "index.html").map_or_else(
            || Problem::not_found("file", path).into_response(),
            |(name, bytes)| asset(name, bytes),
        ),
    }
}

fn asset(name: &'static str, bytes: &'static [u8]) -> Response<Body> {
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind(name)));
    let cache = if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

pub(crate) fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or("") {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "webmanifest" => "application/manifest+json",
        "json" => "application/json",
        _ => "application/octet-stream",
    }
}
