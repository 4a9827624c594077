//! The tools of the original hub, by the operations of its dialect.
//!
//! An agent that runs here has one session, its own: it is the one it registers, sees and asks in.

use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use trunkline_core::id::SessionId;

use super::arguments::Arguments;
use super::door::Who;
use crate::app::App;
use crate::sessionbus::{Fail, Reply, inbox, requests, sessions};

/// What a tool gives.
pub(crate) type Outcome = Result<Reply, Fail>;

/// Runs a tool that answers at once or waits for the inbox. `None`: it is none of these. `key` is of the message that brought the call.
pub(crate) async fn run(
    app: &Arc<App>,
    who: &Who,
    tool: &str,
    arguments: &Arguments,
    key: Option<&str>,
) -> Option<Outcome> {
    let caller = &who.caller;
    let session = arguments.text("session_id");
    let request = arguments.text("request_id");
    Some(match tool {
        "hub_status" => status(app, who).await,
        "register_session" => match who.agent() {
            Some(own) => Ok(Reply::of(&json!({ "session_id": own }))),
            None => sessions::register(app, caller, arguments.body()).await,
        },
        "heartbeat_session" => match own_is_hosted(app, who, session).await {
            Some(own) => sessions::show(app, own).await,
            None => sessions::heartbeat(app, caller, session, arguments.body()).await,
        },
        "set_session_state" => match own_is_hosted(app, who, session).await {
            Some(own) => sessions::show(app, own).await,
            None => sessions::state(app, caller, session, arguments.body()).await,
        },
        "list_sessions" => match who.agent() {
            Some(own) => sessions::show(app, own).await.map(Reply::into_list),
            None => sessions::every(app, caller).await,
        },
        "create_input_request" => {
            let key = arguments.maybe("idempotency_key").filter(|key| !key.is_empty()).or(key);
            requests::ask(app, caller, session, arguments.body(), key.map(self::key)).await
        }
        "list_requests" => requests::of_status(app, caller, arguments.text("status"), who.agent()).await,
        "get_request" => requests::show(app, caller, request).await,
        "respond_to_request" => requests::respond(app, caller, request, arguments.body()).await,
        "dismiss_request" => requests::dismiss(app, caller, request).await,
        "poll_inbox" => {
            let wait = arguments.whole("timeout").map(number);
            inbox::wait(app, caller, who.pass.clone(), session, wait.as_deref()).await
        }
        "ack_inbox_message" => inbox::ack(app, caller, session, arguments.text("message_id")).await,
        _ => return None,
    })
}

async fn status(app: &App, who: &Who) -> Outcome {
    let count = match who.agent() {
        Some(_) => 1,
        None => sessions::count(app, &who.caller).await?,
    };
    Ok(Reply::of(&json!({ "base_url": app.base_url, "session_count": count })))
}

/// The caller's own session, if that is meant and the daemon runs its agent: it knows itself what that agent does.
async fn own_is_hosted(app: &App, who: &Who, session: &str) -> Option<SessionId> {
    let own = who.agent().filter(|own| own.to_string() == session)?;
    let hosted = app.hub.look(own, |session| !session.is_external()).await;
    hosted.is_ok_and(|(hosted, _)| hosted).then_some(own)
}

/// An idempotency key, in a form of one length. What comes with it a second time does not count.
pub(crate) fn key(given: &str) -> (String, String) {
    (format!("mcp/{}", crate::extract::hex(&Sha256::digest(given.as_bytes()))), String::new())
}

/// A number as the dialect reads it.
pub(crate) fn number(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl Fail {
    /// The stop of the daemon under a call.
    pub(crate) fn stopping() -> Self {
        let why = "the daemon stops; what was asked stays open, and a retry of the same call goes on waiting for it";
        Self::Says(StatusCode::SERVICE_UNAVAILABLE, why.to_owned())
    }
}
