//! `kv_get` and `kv_put`: what agents share, as keys with values.

use axum::http::StatusCode;
use serde_json::json;
use trunkline_core::event::Fact;
use trunkline_core::id::SessionId;
use trunkline_core::kv::{Command, Expect, Revision, Ttl};
use trunkline_core::principal::Scope;
use trunkline_core::raw::Raw;

use super::arguments::Arguments;
use super::wait::Call;
use crate::sessionbus::{Fail, Reply};

pub(crate) async fn get(call: &Call<'_>, arguments: &Arguments) -> Result<Reply, Fail> {
    let (namespace, key) = (arguments.text("namespace"), arguments.text("key").to_owned());
    let look = move |state: &trunkline_core::kv::Namespace, now| {
        state.entries.get(&key, now).map(|entry| {
            json!({
                "value": entry.value,
                "owner": entry.owner,
                "expires_at": entry.expires,
                "revision": entry.revision,
            })
        })
    };
    let found = call.app.hub.look_kv(namespace, look).await?;
    Ok(Reply::of(&found.unwrap_or_else(|| json!({ "value": null, "revision": null }))))
}

pub(crate) async fn put(call: &Call<'_>, arguments: &Arguments) -> Result<Reply, Fail> {
    let value = Raw::of(&arguments.any("value")).map_err(|error| {
        Fail::Says(StatusCode::UNPROCESSABLE_ENTITY, format!("the value has no JSON form: {error}"))
    })?;
    let number = |name: &str| arguments.whole(name).and_then(serde_json::Value::as_u64);
    let expect = match number("if_revision") {
        None => Expect::Any,
        Some(0) => Expect::Absent,
        Some(revision) => Expect::Revision(Revision(revision)),
    };
    let seconds = number("ttl_seconds").map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX));
    let ttl = seconds.map_or(Ttl::Forever, |seconds| Ttl::Ms(seconds.saturating_mul(1_000)));
    let owner = match call.who.caller.scope {
        Scope::Agent(session) => Some(owner_of(call, session).await?.into()),
        Scope::Viewer | Scope::Operator | Scope::Admin | Scope::Local => None,
    };
    let command = Command::Put { key: arguments.text("key").into(), value, owner, ttl, expect };
    let hub = &call.app.hub;
    let mut answers = hub.kv(&call.who.caller, arguments.text("namespace"), vec![command]).await?;
    let done = answers.pop().unwrap_or(Err(trunkline_run::CommandError::Stopping))?;
    let revision = done.events.iter().find_map(|event| match &event.fact {
        Fact::KeyPut(put) => Some(put.revision),
        _ => None,
    });
    Ok(Reply::of(&json!({ "revision": revision })))
}

/// The name under which a hosted agent owns its keys.
async fn owner_of(call: &Call<'_>, session: SessionId) -> Result<String, Fail> {
    let agent =
        call.app.hub.look(session, |state| state.created.as_ref().map(|(created, ..)| created.agent.clone()));
    Ok(agent.await?.0.unwrap_or_else(|| session.to_string()))
}
