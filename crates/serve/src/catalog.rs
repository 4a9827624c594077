//! The agents that can be run here.

use axum::Json as Body;
use schemars::JsonSchema;
use serde::Serialize;

use crate::app::Shared;
use crate::extract::Who;
use crate::problem::Answer;

/// The agents that can be run here.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Catalog")]
pub(crate) struct Entries {
    items: Vec<trunkline_run::catalog::Listed>,
}

pub(crate) async fn list(app: Shared, Who(caller): Who) -> Answer<Body<Entries>> {
    caller.may_list()?;
    Ok(Body(Entries { items: app.catalog.list() }))
}
