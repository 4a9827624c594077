//! Sessions: made, prompted, cancelled.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::json;
use trunkline_core::grant::{Added, Mode};
use trunkline_core::id::{GrantId, SessionId};
use trunkline_core::outside::Born;
use trunkline_core::principal::Caller;
use trunkline_core::raw::Raw;
use trunkline_core::refused::Refused;
use trunkline_core::session::{Command, Created, Session};
use trunkline_core::setting::Setting;
use trunkline_core::turn::{Queued, STOP_GRACE_MS, WhenBusy, Why};
use uuid::Uuid;

use super::{Fail, Outcome, Settings, answer};
use crate::app::App;

/// The name of this dialect in facts.
const DIALECT: &str = "attach";

/// What the agent is asked.
#[derive(Deserialize)]
pub(super) struct Prompt {
    prompt: String,
    #[serde(default)]
    model: Option<String>,
}

/// What the original says of a body that is not as it must be.
pub(super) enum Wrong {
    Missing,
    Empty,
    Other(String),
}

impl Prompt {
    pub(super) fn read(body: &[u8]) -> Result<Self, Wrong> {
        let body: serde_json::Value =
            serde_json::from_slice(body).map_err(|error| Wrong::Other(error.to_string()))?;
        match body.get("prompt") {
            None => Err(Wrong::Missing),
            Some(serde_json::Value::String(text)) if text.is_empty() => Err(Wrong::Empty),
            Some(_) => serde_json::from_value(body).map_err(|error| Wrong::Other(error.to_string())),
        }
    }
}

pub(super) async fn create(app: &App, caller: &Caller) -> Outcome {
    caller.may_operate()?;
    let settings = &app.attach;
    let id = SessionId::new(Uuid::now_v7());
    let entry = app.catalog.resolve(Some(&settings.agent), None);
    let entry = entry.map_err(|error| Fail::Unavailable(error.to_string()))?;
    let workspace = workspace(settings, id);
    let workspace =
        workspace.to_str().ok_or_else(|| Fail::Unavailable("sessions_dir is not UTF-8".to_owned()))?;
    let created = Created {
        id,
        driver: entry.driver,
        agent: entry.name,
        argv: entry.argv,
        workspace: Some(workspace.to_owned()),
        project: None,
        title: None,
        metadata: None,
        born: Some(Born { dialect: DIALECT.to_owned(), name: settings.agent.clone(), tenant: None }),
        setup: None,
        imported: None,
    };
    app.hub.create(caller, created, None).await?;
    if settings.trusts_all {
        let grant = Added::mode(GrantId::new(Uuid::now_v7()), Mode::TrustAll);
        app.hub.command(caller, id, Command::Grant(grant), None).await?;
    }
    Ok(answer(&json!({ "session_id": id })))
}

pub(super) async fn prompt(app: &App, caller: &Caller, id: SessionId, asked: Prompt) -> Outcome {
    caller.may_operate()?;
    let (busy, _) = app.hub.look(id, |session| session.turns.running.is_some()).await?;
    if busy {
        return Err(Fail::Busy);
    }
    make_workspace(app, id).await?;
    if let Some(model) = asked.model {
        app.hub.command(caller, id, Command::Set(Setting::Model(model)), None).await?;
    }
    let block = Raw::of(&json!({ "type": "text", "text": asked.prompt })).expect("a text has a JSON form");
    let queued =
        Queued { prompt: vec![block], timeout_ms: app.attach.turn_timeout_ms.or(app.turn_timeout_ms) };
    let command = Command::Prompt { queued, when_busy: WhenBusy::Reject };
    app.hub.command(caller, id, command, None).await?;
    Ok(answer(&json!({ "status": "started" })))
}

pub(super) async fn cancel(app: &App, caller: &Caller, id: SessionId) -> Outcome {
    caller.may_operate()?;
    let command = Command::Stop { turn: None, why: Why::Cancelled, grace_ms: STOP_GRACE_MS };
    let cancelled = match app.hub.command(caller, id, command, None).await {
        Ok(_) => true,
        Err(trunkline_run::CommandError::Refused(Refused::NotRunning)) => false,
        Err(error) => return Err(error.into()),
    };
    Ok(answer(&json!({ "cancelled": cancelled })))
}

/// Where a session that was made here works.
fn workspace(settings: &Settings, id: SessionId) -> PathBuf {
    settings.sessions_dir.join(id.to_string())
}

/// The directory of a session that was made here is made when it is first needed, for its owner alone.
async fn make_workspace(app: &App, id: SessionId) -> Result<(), Fail> {
    let own = workspace(&app.attach, id);
    let at = |session: &Session| session.created.as_ref().and_then(|(created, ..)| created.workspace.clone());
    let (at, _) = app.hub.look(id, at).await?;
    if at.as_deref().map(Path::new) != Some(&own) {
        return Ok(());
    }
    let made = tokio::task::spawn_blocking(move || {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&own).map_err(|error| (own, error))
    });
    match made.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err((own, error))) => {
            Err(Fail::Unavailable(format!("the directory {} cannot be made: {error}", own.display())))
        }
        Err(error) => Err(Fail::Unavailable(error.to_string())),
    }
}
