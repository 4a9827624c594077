//! Tokens: who may come in.

use axum::Json as Body;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use trunkline_core::access::{Command, Created, Token};
use trunkline_core::id::TokenId;
use trunkline_core::principal::{Principal, Scope};
use trunkline_core::time::Time;
use uuid::Uuid;

use crate::app::{App, Shared, at, nothing};
use crate::auth;
use crate::extract::{Id, Json, Who};
use crate::problem::{Answer, Problem};
use crate::routes::List;

/// A token to make.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CreateToken")]
pub(crate) struct Create {
    /// What to call it; unique.
    name: String,
    /// What its holder may do.
    scope: Scope,
    /// How many seconds it works; for ever, if not said.
    ttl_s: Option<u64>,
}

/// A new token.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TokenMade")]
pub(crate) struct Made {
    /// Its id, which is no secret.
    id: TokenId,
    /// What it is called.
    name: String,
    /// What its holder may do.
    scope: Scope,
    /// The secret. It is shown this once and kept nowhere.
    token: String,
    /// When it stops working.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Time>,
}

/// The caller.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Me {
    principal: Principal,
    scope: Scope,
}

pub(crate) async fn me(Who(caller): Who) -> Body<Me> {
    Body(Me { principal: caller.principal, scope: caller.scope })
}

pub(crate) async fn list(app: Shared, Who(caller): Who) -> Answer<Body<List<Token>>> {
    caller.may_administer()?;
    Ok(Body(List { items: app.hub.tokens().await? }))
}

pub(crate) async fn create(app: Shared, Who(caller): Who, json: Json<Create>) -> Answer<Response> {
    let Create { name, scope, ttl_s } = json.body;
    let expires = ttl_s.map(|seconds| app.hub.now().plus_ms(seconds.saturating_mul(1_000)));
    let (made, pos) = make(&app, &caller, name, scope, expires).await?;
    Ok(at(StatusCode::CREATED, pos, &made))
}

pub(crate) async fn revoke(app: Shared, Who(caller): Who, Id(id): Id<TokenId>) -> Answer<Response> {
    let done = app.hub.access(&caller, Command::Revoke(id)).await?;
    Ok(nothing(done.pos))
}

pub(crate) async fn make(
    app: &App,
    caller: &trunkline_core::principal::Caller,
    name: String,
    scope: Scope,
    expires: Option<Time>,
) -> Answer<(Made, trunkline_core::id::Pos)> {
    let token = auth::secret().map_err(no_randomness)?;
    let id = TokenId::new(Uuid::now_v7());
    let created = Created { id, name: name.clone(), scope, sha256: auth::sha256(&token), expires };
    let done = app.hub.access(caller, Command::Create(created)).await?;
    Ok((Made { id, name, scope, token, expires }, done.pos))
}

pub(crate) fn no_randomness(error: getrandom::Error) -> Problem {
    let detail = format!("the system gives no random numbers: {error}");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no_randomness", detail)
}

impl Made {
    /// The secret alone.
    pub(crate) fn into_secret(self) -> String {
        self.token
    }
}
