//! What handlers take from a request, with errors that name the field.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::{DeserializeOwned, value::Error as QueryError};
use sha2::{Digest, Sha256};
use trunkline_core::id::Pos;
use trunkline_core::principal::Caller;

use crate::gate::Pass;
use crate::problem::Problem;

/// Name of the header by which a caller reads its own writes.
pub(crate) const AT: &str = "trunkline-at";
/// How many bytes a body may have.
pub(crate) const MAX_BODY: usize = 16 << 20;
/// How many characters an idempotency key may have.
const MAX_KEY: usize = 120;

/// A JSON body, and the idempotency key that came with it.
pub(crate) struct Json<T> {
    pub(crate) body: T,
    /// The key, and a digest of the request it came with.
    pub(crate) key: Option<(String, String)>,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        require_json(request.headers())?;
        let (target, key, bytes) = whole(request, state).await?;
        let body = parse(&bytes)?;
        let key = key.map(|key| (key, digest(&target, &bytes)));
        Ok(Self { body, key })
    }
}

/// No body, and the idempotency key that came with it. An empty JSON object is as good as none: some clients send one
/// with whatever they post.
pub(crate) struct NoBody {
    /// The key, and a digest of the request it came with.
    pub(crate) key: Option<(String, String)>,
}

/// What has no fields.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Empty {}

impl<S: Send + Sync> FromRequest<S> for NoBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let headers = request.headers();
        let json = require_json(headers);
        let told = headers.contains_key(header::CONTENT_TYPE);
        let (target, key, bytes) = whole(request, state).await?;
        if told || !bytes.is_empty() {
            json?;
            let Empty {} = parse(&bytes)?;
        }
        Ok(Self { key: key.map(|key| (key, digest(&target, b"{}"))) })
    }
}

/// What is asked of what, the idempotency key, and the whole body.
async fn whole<S: Send + Sync>(
    request: Request,
    state: &S,
) -> Result<(String, Option<String>, Bytes), Problem> {
    let key = key(request.headers())?;
    let target = format!("{} {}", request.method(), request.uri().path());
    let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            let detail = format!("the body is larger than {MAX_BODY} bytes");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
        } else {
            Problem::new(StatusCode::BAD_REQUEST, "bad_body", rejection.body_text())
        }
    })?;
    Ok((target, key, bytes))
}

/// Reads JSON; the error says which field is wrong, and how.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let bytes = if bytes.is_empty() { b"{}" } else { bytes };
    // A list would be taken for the fields in their order, which no caller means.
    if bytes
        .iter()
        .find(|byte| !byte.is_ascii_whitespace())
        .is_some_and(|byte| b"[\"0123456789-tfn".contains(byte))
    {
        return Err(Problem::invalid("body", "the body must be a JSON object"));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let field = error.path().to_string();
        let inner = error.into_inner();
        match inner.classify() {
            serde_json::error::Category::Data if field == "." => Problem::invalid("body", inner.to_string()),
            serde_json::error::Category::Data => Problem::invalid(field, inner.to_string()),
            serde_json::error::Category::Io
            | serde_json::error::Category::Syntax
            | serde_json::error::Category::Eof => {
                Problem::new(StatusCode::BAD_REQUEST, "bad_json", format!("the body is not JSON: {inner}"))
            }
        }
    })?;
    reader.end().map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "bad_json", format!("the body is not JSON: {error}"))
    })?;
    Ok(value)
}

/// A browser page of somebody else can send forms and plain text without asking; it cannot send this type.
fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let kind = given.split(';').next().unwrap_or("").trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let detail = "send the header `content-type: application/json`";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", detail))
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| !key.is_empty() && key.len() <= MAX_KEY);
    let wrong = || {
        let detail = format!("the key must be 1 to {MAX_KEY} visible ASCII characters");
        Problem::new(StatusCode::BAD_REQUEST, "bad_key", detail).field("idempotency-key")
    };
    key.map(|key| Some(key.to_owned())).ok_or_else(wrong)
}

fn digest(target: &str, body: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(target.as_bytes());
    hash.update(b"\n");
    hash.update(body);
    hex(&hash.finalize())
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

/// The query string.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        axum::extract::Query::<T>::try_from_uri(&parts.uri)
            .map(|query| Self(query.0))
            .map_err(|rejection| bad_query(&rejection))
    }
}

fn bad_query(rejection: &(dyn std::error::Error + 'static)) -> Problem {
    let mut causes = std::iter::successors(Some(rejection), |error| error.source());
    // The cause knows which parameter it was about.
    let cause = causes.find_map(|error| error.downcast_ref::<serde_path_to_error::Error<QueryError>>());
    let detail = cause.map_or_else(|| rejection.to_string(), ToString::to_string);
    let problem = Problem::new(StatusCode::BAD_REQUEST, "bad_query", detail);
    match cause.map(|cause| cause.path().to_string()) {
        Some(field) if field != "." => problem.field(field),
        Some(_) | None => problem,
    }
}

/// An identifier in the path. One that is not well formed names nothing: 404.
pub(crate) struct Id<T>(pub(crate) T);

impl<T: std::str::FromStr, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(no_path)?;
        text.parse().map(Self).map_err(|_| Problem::not_found("resource", &printable(&text)))
    }
}

/// Two identifiers in the path.
pub(crate) struct Ids<A, B>(pub(crate) A, pub(crate) B);

impl<A: std::str::FromStr, B: std::str::FromStr, S: Send + Sync> FromRequestParts<S> for Ids<A, B> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path((a, b)) =
            Path::<(String, String)>::from_request_parts(parts, state).await.map_err(no_path)?;
        match (a.parse(), b.parse()) {
            (Ok(first), Ok(second)) => Ok(Self(first, second)),
            (Err(_), _) => Err(Problem::not_found("resource", &printable(&a))),
            (_, Err(_)) => Err(Problem::not_found("resource", &printable(&b))),
        }
    }
}

fn no_path<E>(_: E) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_path", "the path is not valid UTF-8")
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

/// The place in the store's tail that a list must have reached.
pub(crate) struct At(pub(crate) Pos);

impl<S: Send + Sync> FromRequestParts<S> for At {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get(AT) else { return Ok(Self(Pos(0))) };
        let pos = value.to_str().ok().and_then(|text| text.parse().ok());
        let wrong = || {
            Problem::new(StatusCode::BAD_REQUEST, "bad_at", "this is not a value the daemon gave").field(AT)
        };
        pos.map(|pos| Self(Pos(pos))).ok_or_else(wrong)
    }
}

/// Who asks, as the gate has found.
pub(crate) struct Who(pub(crate) Caller);

impl<S: Send + Sync> FromRequestParts<S> for Who {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Caller>().cloned();
        caller.map(Self).ok_or_else(|| Problem::unauthenticated("this needs a token"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Pass {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let pass = parts.extensions.get::<Self>().cloned();
        pass.ok_or_else(|| Problem::unauthenticated("this needs a token"))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use trunkline_core::raw::Raw;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Body {
        #[serde(default)]
        list: Vec<Item>,
        raw: Option<Raw>,
    }

    #[derive(Debug, Deserialize)]
    struct Item {
        n: u8,
    }

    #[test]
    fn errors_name_the_field() {
        let problem = parse::<Body>(br#"{"list":[{"n":1},{"n":"x"}]}"#).unwrap_err();
        assert_eq!((problem.code, problem.field.as_deref()), ("invalid", Some("list[1].n")));
        assert_eq!(parse::<Body>(b"{\"list\":").unwrap_err().code, "bad_json");
        assert_eq!(parse::<Body>(b"{} x").unwrap_err().code, "bad_json");
        assert_eq!(parse::<Body>(b"3").unwrap_err().field.as_deref(), Some("body"));
        assert_eq!(parse::<Body>(b"\xff").unwrap_err().code, "bad_json");
    }

    #[test]
    fn raw_json_comes_through_byte_for_byte() {
        let body: Body = parse(br#"{"list":[{"n":3}],"raw":{"a": 1.0e3}}"#).unwrap();
        assert_eq!(body.raw.unwrap().get(), r#"{"a": 1.0e3}"#);
        assert_eq!(body.list[0].n, 3);
    }
}
