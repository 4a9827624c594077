//! In which session a client asks: the agent's own, the one it names, or one that is its own for as long as it lasts.

use axum::http::StatusCode;
use axum::http::request::Parts;
use rmcp::RoleServer;
use rmcp::service::RequestContext;
use sha2::{Digest, Sha256};
use trunkline_core::id::SessionId;
use trunkline_core::outside::{Born, MAX_NAME, MCP, Report};
use trunkline_core::refused::Refused;
use trunkline_core::session::Created;
use trunkline_run::CommandError;

use super::door::Who;
use crate::app::App;
use crate::sessionbus::{Fail, sessions};

/// By this header a bridge says that its requests belong together, whatever session of the protocol they are in.
const CLIENT: &str = "trunkline-client";
/// By this one, in which directory its agent works.
const WORKSPACE: &str = "trunkline-workspace";
/// How many of a client's sessions may have been closed or removed before it is given up.
const MAX_CLOSED: u8 = 16;

/// Finds the session, or makes it.
pub(crate) async fn find(
    app: &App,
    who: &Who,
    named: Option<&str>,
    parts: &Parts,
    context: &RequestContext<RoleServer>,
) -> Result<SessionId, Fail> {
    if let Some(id) = named.filter(|id| !id.is_empty()) {
        return sessions::session(id);
    }
    if let Some(own) = who.agent() {
        return Ok(own);
    }
    let name = context.client_info().map_or_else(|| "MCP client".to_owned(), |client| client.name);
    let name: String = name.chars().take(MAX_NAME).collect();
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let client = header(CLIENT).or_else(|| header("mcp-session-id")).unwrap_or(&name);
    for n in 0..MAX_CLOSED {
        let id = id_of(who.caller.principal.as_str(), client, n);
        match app.hub.look(id, |session| session.closed.is_some()).await {
            Ok((false, _)) => return Ok(id),
            Ok((true, _)) | Err(CommandError::Refused(Refused::Deleted { .. })) => {}
            Err(CommandError::Refused(Refused::NotFound { .. })) => {
                return make(app, who, id, name, workspace(parts)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    let why = "this client's sessions were closed again and again; name one in session_id";
    Err(Fail::Says(StatusCode::CONFLICT, why.to_owned()))
}

/// In which directory the agent of a bridge works.
pub(crate) fn workspace(parts: &Parts) -> Option<String> {
    let path = parts.headers.get(WORKSPACE)?.to_str().ok()?;
    crate::sessions::directory(path).ok()
}

async fn make(
    app: &App,
    who: &Who,
    id: SessionId,
    name: String,
    workspace: Option<String>,
) -> Result<SessionId, Fail> {
    let born = Born { dialect: MCP.to_owned(), name, tenant: None };
    let project = workspace.as_deref().map(trunkline_run::workspace::project_root);
    let created = Created { workspace, project, ..born.session(id, None) };
    match app.hub.create(&who.caller, created, None).await {
        // Another call of the same client was faster.
        Ok(_) | Err(CommandError::Refused(Refused::Exists { .. })) => {}
        Err(error) => return Err(error.into()),
    }
    app.hub.report(&who.caller, id, Report::default()).await?;
    Ok(id)
}

/// The id that a client's session has. Whoever does not know what the client is known by cannot tell it.
fn id_of(principal: &str, client: &str, n: u8) -> SessionId {
    let mut hash = Sha256::new();
    for part in [MCP.as_bytes(), principal.as_bytes(), client.as_bytes(), &[n]] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    SessionId::new(uuid::Builder::from_random_bytes(bytes).into_uuid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_of_one_principal_is_none_of_another() {
        assert_eq!(id_of("owner", "a", 0), id_of("owner", "a", 0));
        let ids =
            [id_of("owner", "a", 0), id_of("owner", "a", 1), id_of("ownera", "", 0), id_of("local", "a", 0)];
        for (n, id) in ids.iter().enumerate() {
            assert!(!ids[..n].contains(id), "{n}");
        }
    }
}
