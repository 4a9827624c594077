//! Errors as a caller sees them: RFC 9457 problems with a stable code.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use trunkline_core::id::TurnId;
use trunkline_core::refused::Refused;
use trunkline_core::request::Closed;
use trunkline_core::time::Time;
use trunkline_log::{AppendError, LogError};
use trunkline_run::CommandError;

/// What a handler gives.
pub(crate) type Answer<T> = Result<T, Problem>;

/// Why a request failed. Boxed, so that a handler's result stays small.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub(crate) struct Problem(Box<Body>);

/// Why a request failed, as RFC 9457 writes it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(crate) struct Body {
    /// Always `about:blank`: the code tells the kind.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The HTTP status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// A stable code for programs.
    pub(crate) code: &'static str,
    /// What happened and what to do, for a person.
    pub(crate) detail: String,
    /// The field that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) field: Option<String>,
    /// The turn that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) turn: Option<TurnId>,
    /// Until when it is held back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<Time>,
    /// The outcome that was there first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) closed: Option<Closed>,
}

impl Problem {
    /// A problem with a stable code and words for a person.
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self(Box::new(Body {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            code,
            detail: detail.into(),
            field: None,
            turn: None,
            until: None,
            closed: None,
        }))
    }

    /// The same about a field.
    pub(crate) fn field(mut self, field: impl Into<String>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    /// No credential, or one that opens nothing.
    pub(crate) fn unauthenticated(detail: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
    }

    /// The caller may not do this.
    pub(crate) fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    /// A field with a value it must not have.
    pub(crate) fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail).field(field)
    }

    pub(crate) fn not_found(what: &'static str, id: &str) -> Self {
        Refused::not_found(what, id).into()
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl std::ops::Deref for Problem {
    type Target = Body;

    fn deref(&self) -> &Body {
        &self.0
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if status == StatusCode::INSUFFICIENT_STORAGE || status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// The status of a refusal.
pub(crate) const fn status(refused: &Refused) -> StatusCode {
    match refused {
        Refused::NotFound { .. } => StatusCode::NOT_FOUND,
        Refused::Deleted { .. } => StatusCode::GONE,
        Refused::SessionClosed
        | Refused::Exists { .. }
        | Refused::Busy { .. }
        | Refused::NotRunning
        | Refused::External
        | Refused::RequestClosed { .. }
        | Refused::KeyReused
        | Refused::Changed { .. }
        | Refused::Underway { .. }
        | Refused::Stale { .. } => StatusCode::CONFLICT,
        Refused::Invalid { .. } | Refused::Unconfirmed { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Refused::Forbidden { .. } => StatusCode::FORBIDDEN,
        Refused::TooMany { .. } | Refused::Held { .. } => StatusCode::TOO_MANY_REQUESTS,
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let mut problem = Self::new(status(&refused), refused.code(), refused.to_string());
        match refused {
            Refused::Busy { turn } => problem.0.turn = Some(turn),
            Refused::Held { until, .. } => problem.0.until = until,
            Refused::RequestClosed { closed } => problem.0.closed = Some(*closed),
            Refused::Invalid { field, .. } => problem.0.field = Some(field),
            Refused::Unconfirmed { .. } => problem.0.field = Some("confirm".to_owned()),
            Refused::NotFound { .. }
            | Refused::Deleted { .. }
            | Refused::SessionClosed
            | Refused::Exists { .. }
            | Refused::NotRunning
            | Refused::External
            | Refused::Forbidden { .. }
            | Refused::KeyReused
            | Refused::Changed { .. }
            | Refused::Underway { .. }
            | Refused::Stale { .. }
            | Refused::TooMany { .. } => {}
        }
        problem
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Refused(refused) => refused.into(),
            CommandError::Append(AppendError::Full) | CommandError::Read(LogError::Full) => full(),
            CommandError::Append(AppendError::TooLarge { .. }) => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", error.to_string())
            }
            CommandError::Stopping => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the daemon is stopping; try again")
            }
            CommandError::Append(_) | CommandError::Read(_) => {
                tracing::error!(%error, "the store failed");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_down", error.to_string())
            }
        }
    }
}

fn full() -> Problem {
    let detail = "the disk is full: nothing was written, and nothing is lost. Free some space and try again";
    Problem::new(StatusCode::INSUFFICIENT_STORAGE, "disk_full", detail)
}
