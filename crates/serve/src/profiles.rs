//! Profiles of models: look, make, delete, test, and set a key that no answer ever tells.

use std::collections::BTreeMap;

use axum::Json as Body;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde_json::{Map, Value};
use trunkline_core::profile::Profile;
use trunkline_core::spending::Day;
use trunkline_run::profiles::{Listed, NotChanged, SecretChange, Tested};
use trunkline_wire::model::Secret;

use crate::app::Shared;
use crate::extract::{Id, Json, NoBody, Who};
use crate::problem::{Answer, Problem};
use crate::routes::List;

/// The secrets of a profile. They go in here and come out nowhere.
#[derive(Default, JsonSchema)]
#[schemars(rename = "ProfileSecrets", deny_unknown_fields, default)]
pub(crate) struct Secrets {
    /// The key, if it is to be another one.
    #[schemars(extend("writeOnly" = true))]
    api_key: Option<String>,
    /// The values of headers that the profile names, each if it is to be another one.
    #[schemars(extend("writeOnly" = true))]
    headers: BTreeMap<String, String>,
}

impl Secrets {
    /// Reads them by hand: a reader of types quotes what it finds where it expects something else.
    fn of(body: Map<String, Value>) -> Answer<Self> {
        let text = |field: &str, value: Value| match value {
            Value::String(text) => Ok(text),
            _ => Err(Problem::invalid(field, format!("{field} must be a text"))),
        };
        let mut secrets = Self::default();
        for (field, value) in body {
            match (field.as_str(), value) {
                ("api_key", Value::Null) => {}
                ("api_key", value) => secrets.api_key = Some(text("api_key", value)?),
                ("headers", Value::Object(headers)) => {
                    for (name, value) in headers {
                        let value = text("headers", value)?;
                        secrets.headers.insert(name, value);
                    }
                }
                ("headers", _) => {
                    return Err(Problem::invalid("headers", "headers must be an object of texts"));
                }
                _ => {
                    return Err(Problem::invalid(
                        field,
                        "there is `api_key` and `headers`, and nothing else",
                    ));
                }
            }
        }
        Ok(secrets)
    }
}

pub(crate) async fn list(app: Shared, Who(caller): Who) -> Answer<Body<List<Listed>>> {
    caller.may_list()?;
    Ok(Body(List { items: app.hub.profiles().list() }))
}

pub(crate) async fn show(app: Shared, Who(caller): Who, Id(name): Id<String>) -> Answer<Body<Listed>> {
    caller.may_list()?;
    let listed = app.hub.profiles().get(&name);
    listed.map(Body).ok_or_else(|| Problem::not_found("profile", &name))
}

pub(crate) async fn spending(app: Shared, Who(caller): Who) -> Answer<Body<Day>> {
    caller.may_list()?;
    Ok(Body(app.hub.spending().await?))
}

pub(crate) async fn put(
    app: Shared,
    Who(caller): Who,
    Id(name): Id<String>,
    json: Json<Profile>,
) -> Answer<Body<Listed>> {
    Ok(Body(app.hub.put_profile(&caller, &name, json.body).await?))
}

pub(crate) async fn delete(app: Shared, Who(caller): Who, Id(name): Id<String>) -> Answer<StatusCode> {
    app.hub.delete_profile(&caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn set_secrets(
    app: Shared,
    Who(caller): Who,
    Id(name): Id<String>,
    json: Json<Map<String, Value>>,
) -> Answer<Body<Listed>> {
    let Secrets { api_key, headers } = Secrets::of(json.body)?;
    let headers = headers.into_iter().map(|(name, value)| (name, Some(Secret::new(value)))).collect();
    let change = SecretChange { key: api_key.map(|key| Some(Secret::new(key))), headers };
    Ok(Body(app.hub.change_secrets(&caller, &name, change).await?))
}

pub(crate) async fn drop_secrets(app: Shared, Who(caller): Who, Id(name): Id<String>) -> Answer<StatusCode> {
    let named = app.hub.profiles().get(&name).map(|listed| listed.profile.headers).unwrap_or_default();
    let headers = named.into_iter().map(|header| (header, None)).collect();
    app.hub.change_secrets(&caller, &name, SecretChange { key: Some(None), headers }).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn test(
    app: Shared,
    Who(caller): Who,
    Id(name): Id<String>,
    _: NoBody,
) -> Answer<Body<Tested>> {
    // It costs money, if only a little.
    caller.may_operate()?;
    let tested = app.hub.profiles().test(&name).await;
    tested.map(Body).ok_or_else(|| Problem::not_found("profile", &name))
}

impl From<NotChanged> for Problem {
    fn from(error: NotChanged) -> Self {
        match error {
            NotChanged::Command(error) => error.into(),
            NotChanged::Secrets(error) => {
                tracing::error!(%error, "a key was not kept");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "secrets_unwritable", error.to_string())
            }
        }
    }
}
