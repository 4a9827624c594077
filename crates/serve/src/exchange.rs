//! One-time links: how a browser gets its token.

use axum::Json as Body;
use axum::http::{Extensions, HeaderMap, StatusCode};
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use trunkline_core::access::Command;
use trunkline_core::principal::{Caller, Scope};
use trunkline_core::time::Time;
use uuid::Uuid;

use crate::app::{App, Shared, at};
use crate::auth::{bearer, sha256};
use crate::extract::{Json, NoBody, Who};
use crate::local::source;
use crate::problem::{Answer, Problem};
use crate::tokens::{make, no_randomness};

/// How long a browser stays signed in.
const BROWSER_TTL_MS: u64 = 90 * 24 * 3_600_000;

/// A one-time link.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Link {
    /// Where to go. The code is in the fragment, which no server and no log gets to see.
    url: String,
    /// The same by the address at which other machines find the daemon, if it knows one.
    #[serde(skip_serializing_if = "Option::is_none")]
    outside: Option<String>,
    /// The code.
    code: String,
    /// When it stops working.
    expires: Time,
}

/// The code of a link.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exchange {
    code: String,
}

/// The browser's token.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Exchanged {
    /// The secret, to be sent as `Authorization: Bearer`.
    token: String,
    /// What the token is called in the list of tokens.
    name: String,
}

pub(crate) async fn link(app: Shared, Who(caller): Who, _: NoBody) -> Answer<Response> {
    caller.may_operate()?;
    let (code, expires) = app.auth.link(app.hub.now(), caller.scope).map_err(no_randomness)?;
    let at_address = |address: &str| format!("{address}/#code={code}");
    let (url, outside) = (at_address(&app.base_url), app.outside.as_deref().map(at_address));
    Ok(at(StatusCode::CREATED, app.hub.pos(), &Link { url, outside, code, expires }))
}

pub(crate) async fn exchange(
    app: Shared,
    headers: HeaderMap,
    extensions: Extensions,
    json: Json<Exchange>,
) -> Answer<Body<Exchanged>> {
    let now = app.hub.now();
    let scope = app.auth.redeem(&json.body.code, now).ok_or_else(|| {
        Problem::unauthenticated(
            "this link was used before or is too old; make another with `trunkline open`",
        )
    })?;
    let name = format!("browser-{}", &Uuid::now_v7().simple().to_string()[20..]);
    let caller = Caller { scope: Scope::Admin, ..Caller::trunkline() }.from(source(&headers, &extensions));
    let expires = Some(now.plus_ms(BROWSER_TTL_MS));
    let (made, _) = make(&app, &caller, name.clone(), scope, expires).await?;
    if let Some(old) = bearer(&headers) {
        replace(&app, &caller, old).await;
    }
    Ok(Body(Exchanged { token: made.into_secret(), name }))
}

/// Revokes the token that the browser had from an earlier link. Tokens that people have made are theirs to revoke.
async fn replace(app: &App, caller: &Caller, old: &str) {
    let old = app.hub.token(sha256(old)).await;
    let Some(old) = old.ok().flatten().filter(|token| token.created_by == caller.principal) else { return };
    if let Err(error) = app.hub.access(caller, Command::Revoke(old.id)).await {
        tracing::warn!(%error, name = old.name, "a browser's old token counts until it expires");
    }
}
