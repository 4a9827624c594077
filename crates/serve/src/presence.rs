//! Who is attached.

use axum::http::StatusCode;
use axum::response::Response;
use trunkline_core::id::SessionId;
use trunkline_core::presence::Client;

use crate::app::{Shared, at};
use crate::extract::{Id, Who};
use crate::problem::Answer;
use crate::routes::List;

pub(crate) async fn list(app: Shared, Who(caller): Who, Id(id): Id<SessionId>) -> Answer<Response> {
    caller.may_read(id)?;
    let ((), pos) = app.hub.look(id, |_| ()).await?;
    let items = app.hub.present(id).await?;
    Ok(at(StatusCode::OK, pos, &List::<Client> { items }))
}
