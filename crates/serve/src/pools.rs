//! The pools of workers: look, restart, drain, resume.

use axum::Json as Body;
use axum::http::StatusCode;
use trunkline_run::pools::{Closed, PoolView};

use crate::app::Shared;
use crate::extract::{Id, NoBody, Who};
use crate::problem::{Answer, Problem};
use crate::routes::List;

pub(crate) async fn list(app: Shared, Who(caller): Who) -> Answer<Body<List<PoolView>>> {
    caller.may_list()?;
    Ok(Body(List { items: app.pools.list().await.map_err(closed)? }))
}

pub(crate) async fn show(app: Shared, Who(caller): Who, Id(pool): Id<String>) -> Answer<Body<PoolView>> {
    caller.may_list()?;
    found(&pool, app.pools.show(&pool).await)
}

pub(crate) async fn restart(
    app: Shared,
    Who(caller): Who,
    Id(pool): Id<String>,
    _: NoBody,
) -> Answer<Body<PoolView>> {
    caller.may_administer()?;
    found(&pool, app.pools.restart(&pool).await)
}

pub(crate) async fn drain(
    app: Shared,
    Who(caller): Who,
    Id(pool): Id<String>,
    _: NoBody,
) -> Answer<Body<PoolView>> {
    caller.may_administer()?;
    found(&pool, app.pools.drain(&pool).await)
}

pub(crate) async fn resume(
    app: Shared,
    Who(caller): Who,
    Id(pool): Id<String>,
    _: NoBody,
) -> Answer<Body<PoolView>> {
    caller.may_administer()?;
    found(&pool, app.pools.resume(&pool).await)
}

fn found(pool: &str, answer: Result<Option<PoolView>, Closed>) -> Answer<Body<PoolView>> {
    let view = answer.map_err(closed)?;
    view.map(Body).ok_or_else(|| Problem::not_found("pool", pool))
}

fn closed(closed: Closed) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", closed.to_string())
}
