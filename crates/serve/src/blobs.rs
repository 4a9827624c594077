//! What is too large for a session's log.

use axum::http::header;
use axum::response::IntoResponse;
use trunkline_core::id::SessionId;

use crate::app::Shared;
use crate::extract::{Ids, Who};
use crate::problem::Answer;

pub(crate) async fn show(
    app: Shared,
    Who(caller): Who,
    Ids(id, sha256): Ids<SessionId, String>,
) -> Answer<impl IntoResponse> {
    caller.may_read(id)?;
    let text = app.hub.blob(id, &sha256).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text))
}
