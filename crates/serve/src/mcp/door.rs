//! Who asks: an agent that runs here, the holder of a token, or a program of the daemon's own user.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use trunkline_core::id::SessionId;
use trunkline_core::principal::{Caller, Scope};

use crate::app::App;
use crate::gate::{Came, Pass};
use crate::problem::{Answer, Problem};
use crate::sessionbus;

/// What is known of a caller.
#[derive(Debug, Clone)]
pub(crate) struct Who {
    pub(crate) caller: Caller,
    pub(crate) pass: Pass,
}

impl Who {
    /// Who has sent this request. Only what came through the door is served.
    pub(crate) fn of(parts: &Parts) -> Option<Self> {
        parts.extensions.get().cloned()
    }

    /// The session whose agent asks.
    pub(crate) const fn agent(&self) -> Option<SessionId> {
        match self.caller.scope {
            Scope::Agent(session) => Some(session),
            Scope::Viewer | Scope::Operator | Scope::Admin | Scope::Local => None,
        }
    }
}

/// The middleware.
pub(crate) async fn door(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    match who(&app, request.headers(), request.extensions()).await {
        Ok(who) => {
            request.extensions_mut().insert(who);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

async fn who(app: &App, headers: &HeaderMap, extensions: &axum::http::Extensions) -> Answer<Who> {
    let source = crate::local::source(headers, extensions);
    if let Some(session) = extensions.get::<Came>().and_then(|came| came.agent) {
        // Whatever it shows: it could have read its owner's token.
        return Ok(Who { caller: Caller::agent(session).from(source), pass: Pass(None) });
    }
    if headers.contains_key(header::AUTHORIZATION) {
        let (caller, pass) = crate::gate::caller(app, headers, source).await?;
        return Ok(Who { caller, pass });
    }
    if sessionbus::is_local_program(app, headers, extensions).await {
        return Ok(Who { caller: Caller::local().from(source), pass: Pass(None) });
    }
    Err(Problem::unauthenticated(
        "this needs a token: send `Authorization: Bearer …`. Without one it is open to programs of the daemon's own user on \
         this machine, if the setting `sessionbus` is `local`; never to browsers and proxies",
    ))
}
