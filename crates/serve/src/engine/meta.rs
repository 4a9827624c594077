//! What the daemon is, and whether it is ready.

use axum::http::{Extensions, HeaderMap, header};
use serde_json::{Value, json};
use trunkline_core::principal::Caller;

use super::route::Op;
use super::{Outcome, access, ok, session};
use crate::app::App;
use crate::tls;

/// Answers what needs no token. Whoever shows one is told more of the status.
pub(super) async fn open(app: &App, op: Op, headers: &HeaderMap, extensions: &Extensions) -> Outcome {
    match op {
        Op::Version => Ok(ok(&version())),
        Op::Config => Ok(ok(&json!({ "engine_url": base(app, headers, extensions) }))),
        Op::Ready => ready(app).await,
        _ if !headers.contains_key(header::AUTHORIZATION) => Ok(ok(&brief(app))),
        _ => {
            let (caller, _) = access::who(app, headers, extensions).await?;
            status(app, &caller).await
        }
    }
}

fn version() -> Value {
    let version = env!("CARGO_PKG_VERSION");
    json!({
        "version": version, "engine": version, "service": "trunkline",
        "kollabor_ai": "unknown", "kollabor_agent": "unknown", "kollabor_events": "unknown", "python": "unknown",
    })
}

/// Where a page finds the engine: on the listener that it came from.
fn base(app: &App, headers: &HeaderMap, extensions: &Extensions) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.map_or_else(|| app.base_url.clone(), |host| format!("{}://{host}", tls::scheme(headers, extensions)))
}

fn brief(app: &App) -> Value {
    json!({ "version": env!("CARGO_PKG_VERSION"), "uptime": app.started.elapsed().as_secs() })
}

async fn status(app: &App, caller: &Caller) -> Outcome {
    caller.may_list()?;
    let all = session::all(app, &[]).await?;
    let ids: Vec<_> = all.iter().map(session::name).collect();
    let listed = app.hub.profiles().list();
    let mut providers: Vec<_> = listed.iter().map(|listed| listed.profile.provider.name()).collect();
    providers.sort_unstable();
    providers.dedup();
    let mut body = brief(app);
    body["sessions"] = ids.len().into();
    body["session_ids"] = ids.into();
    body["providers"] = json!(providers);
    let servers = app.hub.mcp().list().into_iter().map(|listed| (listed.name, json!("disconnected")));
    let mut servers: serde_json::Map<String, Value> = servers.collect();
    for (id, _) in app.hub.hosted() {
        for name in super::mcp::used(app, caller, id).await.1 {
            servers.insert(name, json!("connected"));
        }
    }
    body["mcp_servers"] = servers.into();
    Ok(ok(&body))
}

async fn ready(app: &App) -> Outcome {
    let listed = app.hub.profiles().list();
    let usable = listed.iter().any(|listed| listed.why.is_none());
    let word = |yes: bool, good: &'static str, bad: &'static str| if yes { good } else { bad };
    let busy = !app.hub.hosted().is_empty();
    Ok(ok(&json!({
        "ready": usable,
        "checks": {
            "profiles": word(!listed.is_empty(), "ok", "none"),
            "sessions": word(busy, "ok", "idle"),
            "api_credentials": word(usable, "ok", "failed"),
        },
    })))
}
