//! Who may: whoever shows a token, and no agent that runs here, whatever it shows.

use axum::http::{Extensions, HeaderMap, StatusCode, header};
use trunkline_core::principal::{Caller, Principal, Scope};

use crate::app::App;
use crate::auth::{bearer, sha256};
use crate::gate::{Came, Pass};
use crate::problem::Problem;

/// How the secrets begin that a link gives to the original client's page. They open this dialect and nothing else: that page
/// runs a script that is not ours.
pub(super) const PAGE_PREFIX: &str = "engine.";

/// Whether a token is for the original client's page only.
pub(crate) fn is_page_token(token: &str) -> bool {
    token.starts_with(PAGE_PREFIX)
}

pub(super) async fn who(
    app: &App,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<(Caller, Pass), Problem> {
    no_agent(extensions)?;
    if !headers.contains_key(header::AUTHORIZATION) {
        return Err(Problem::unauthenticated("Missing bearer token"));
    }
    let token = bearer(headers).ok_or_else(invalid)?;
    by_token(app, token, headers, extensions).await
}

/// The holder of a token, also where it is shown in another way than in a header.
pub(super) async fn by_token(
    app: &App,
    token: &str,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<(Caller, Pass), Problem> {
    let source = crate::local::source(headers, extensions);
    // Hashes are compared, so timing tells nothing about the token.
    if app.engine.token_sha256.as_ref() == Some(&sha256(token)) {
        let client = Caller::new(Principal::token("kollab-engine"), Scope::Admin);
        return Ok((client.from(source), Pass(None)));
    }
    if crate::attach::is_cookie_token(token) {
        return Err(invalid());
    }
    app.auth.caller(&app.hub, token, source).await?.ok_or_else(invalid)
}

pub(super) fn no_agent(extensions: &Extensions) -> Result<(), Problem> {
    if extensions.get::<Came>().is_some_and(|came| came.agent.is_some()) {
        let why = "an agent that runs here does not steer sessions, least of all its own";
        return Err(Problem::forbidden("forbidden", why));
    }
    Ok(())
}

fn invalid() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", "Invalid token")
}
