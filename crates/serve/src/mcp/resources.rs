//! Resources: sessions and requests to read, and to be told of when they change.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt;
use rmcp::model::{Resource, ResourceContents, ResourceTemplate};
use serde_json::json;
use trunkline_core::id::SessionId;
use trunkline_core::row::RowKind;
use trunkline_log::LogError;
use trunkline_log::frame::Change;

use super::door::Who;
use crate::app::App;
use crate::sessionbus::{Fail, Reply, requests, sessions};
use crate::stream::Ending;

/// The resource of the original hub.
const RUNTIME: &str = "agentflow://runtime";
const SESSIONS: &str = "trunkline://sessions";
const REQUESTS: &str = "trunkline://requests";
const JSON: &str = "application/json";
/// How many requests that wait are listed one by one.
const MAX_LISTED: usize = 100;
/// How many resources a client may follow at a time.
pub(crate) const MAX_FOLLOWED: usize = 1_000;
/// Changes that come so close together are told once.
const TOGETHER: Duration = Duration::from_millis(50);

/// What a URI names.
#[derive(Debug, PartialEq, Eq)]
enum Named<'a> {
    Runtime,
    Sessions,
    Session(&'a str),
    Requests,
    Request(&'a str),
}

fn named(uri: &str) -> Option<Named<'_>> {
    match uri {
        RUNTIME => return Some(Named::Runtime),
        SESSIONS => return Some(Named::Sessions),
        REQUESTS => return Some(Named::Requests),
        _ => {}
    }
    let (kind, id) = uri.strip_prefix("trunkline://")?.split_once('/')?;
    match kind {
        "sessions" => Some(Named::Session(id)),
        "requests" => Some(Named::Request(id)),
        _ => None,
    }
}

/// What there is: the lists, and each request that waits.
pub(crate) async fn list(app: &App, who: &Who) -> Result<Vec<Resource>, Fail> {
    let mut all = vec![
        Resource::new(RUNTIME, "runtime_resource").with_mime_type("text/plain"),
        Resource::new(SESSIONS, "sessions").with_description("The sessions.").with_mime_type(JSON),
        Resource::new(REQUESTS, "requests")
            .with_description("The requests that wait for a person.")
            .with_mime_type(JSON),
    ];
    for request in requests::waiting(app, &who.caller, who.agent(), MAX_LISTED).await? {
        let uri = format!("{REQUESTS}/{}", request.id);
        all.push(Resource::new(uri, request.id.to_string()).with_title(request.title).with_mime_type(JSON));
    }
    Ok(all)
}

/// What can be read by its id.
pub(crate) fn templates() -> Vec<ResourceTemplate> {
    vec![
        ResourceTemplate::new(format!("{SESSIONS}/{{session_id}}"), "session")
            .with_description("A session.")
            .with_mime_type(JSON),
        ResourceTemplate::new(format!("{REQUESTS}/{{request_id}}"), "request")
            .with_description("A request and its answer.")
            .with_mime_type(JSON),
    ]
}

/// The content of a resource. `None`: there is no such one.
pub(crate) async fn read(app: &App, who: &Who, uri: &str) -> Result<Option<ResourceContents>, Fail> {
    let Some(named) = named(uri) else { return Ok(None) };
    let caller = &who.caller;
    let reply = match named {
        Named::Runtime => {
            let text = Reply::of(&json!({ "base_url": app.base_url })).json().pretty();
            return Ok(Some(ResourceContents::text(text, uri).with_mime_type("text/plain")));
        }
        Named::Sessions => match who.agent() {
            Some(own) => sessions::show(app, own).await.map(Reply::into_list),
            None => sessions::every(app, caller).await,
        },
        Named::Session(id) => {
            let id = sessions::session(id);
            match id.and_then(|id| Ok(caller.may_read(id).map(|()| id)?)) {
                Ok(id) => sessions::show(app, id).await,
                Err(fail) => Err(fail),
            }
        }
        Named::Requests => requests::of_status(app, caller, "PENDING", who.agent()).await,
        Named::Request(id) => requests::show(app, caller, id).await,
    };
    match reply {
        Ok(reply) => {
            let text = reply.json().pretty();
            Ok(Some(ResourceContents::text(text, uri).with_mime_type(JSON)))
        }
        Err(Fail::Missing(_)) => Ok(None),
        Err(fail) => Err(fail),
    }
}

/// What follows resources that change.
pub(crate) trait Follower: Send {
    /// Whether it follows this one.
    fn follows(&self, uri: &str) -> bool;

    /// Tells it. `false`: it has gone.
    fn tell(&self, uri: String) -> impl Future<Output = bool> + Send;
}

/// Tells a follower of changes until it has gone, the daemon stops, or its token opens nothing any more.
pub(crate) async fn follow(app: &App, who: &Who, follower: impl Follower) {
    let mut changes = app.hub.changes(app.hub.pos());
    let mut ending = Ending::new(&app.hub, who.pass.clone());
    let mut changed = BTreeSet::new();
    loop {
        let flush = async {
            if changed.is_empty() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(TOGETHER).await;
        };
        tokio::select! {
            biased;
            _why = ending.comes() => return,
            change = changes.next() => match change {
                Some(Ok(change)) => {
                    changed.extend(touched(&change, who.agent()).into_iter().filter(|uri| follower.follows(uri)));
                }
                // What has changed in a gap nobody knows: the lists may have.
                Some(Err(LogError::Gap { .. })) => {
                    let lists = [SESSIONS, REQUESTS].map(str::to_owned);
                    changed.extend(lists.into_iter().filter(|uri| follower.follows(uri)));
                }
                Some(Err(LogError::Gone | LogError::Full | LogError::Down(_))) | None => return,
            },
            () = flush => {
                for uri in std::mem::take(&mut changed) {
                    if !follower.tell(uri).await {
                        return;
                    }
                }
            }
        }
    }
}

/// The resources that a commit has changed, as far as the agent of a session may know.
fn touched(change: &Change, agent: Option<SessionId>) -> Vec<String> {
    if agent.is_some_and(|own| change.log.as_session() != Some(own)) {
        return Vec::new();
    }
    let mut uris = Vec::new();
    for row in &change.rows {
        let list = match row.kind {
            RowKind::Session => SESSIONS,
            RowKind::Request => REQUESTS,
            RowKind::Inbox | RowKind::Owed | RowKind::Key | RowKind::Blob | RowKind::Seen => continue,
            RowKind::Unrecorded | RowKind::Audit | RowKind::Copied => continue,
            RowKind::Handoff | RowKind::Lane | RowKind::Checkpoint => continue,
        };
        uris.push(list.to_owned());
        uris.push(format!("{list}/{}", row.key));
    }
    uris
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_name_what_there_is() {
        assert_eq!(named("agentflow://runtime"), Some(Named::Runtime));
        assert_eq!(named("trunkline://requests"), Some(Named::Requests));
        assert_eq!(named("trunkline://sessions/a"), Some(Named::Session("a")));
        for none in ["trunkline://", "trunkline://other/a", "file:///etc/passwd", ""] {
            assert_eq!(named(none), None, "{none}");
        }
    }
}
