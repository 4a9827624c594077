//! `grants`.

use serde_json::json;
use trunkline_client::Client;
use trunkline_client::types::{Grant, NewGrant, Preview};
use trunkline_core::grant::{Mode, Scope};
use trunkline_core::id::{GrantId, SessionId};

use crate::app::App;
use crate::args::{self, GrantAction};
use crate::clean;
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::moment::{ago, until};
use crate::pick::{self, short};
use crate::style::Tone;
use crate::table::{Cell, Table};

pub(crate) async fn grants(app: &App, args: args::Grants) -> Result<Exit> {
    match args.action.unwrap_or(GrantAction::List { session: None }) {
        GrantAction::List { session } => list(app, session).await,
        GrantAction::Rm { grant, session } => remove(app, &grant, session).await,
        GrantAction::Preview { rule, session, days } => preview(app, &rule, session, days).await,
        GrantAction::Add { rule, session, project, once, principal, unconfined, ttl } => {
            let expires =
                ttl.map(|ttl| app.now().plus_ms(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)));
            let scope = match (&project, once) {
                (Some(_), _) => Scope::Project,
                (None, true) => Scope::Once,
                (None, false) => Scope::Session,
            };
            let mode = mode(&rule);
            let pattern = mode.is_none().then_some(rule);
            let new = NewGrant {
                project,
                pattern,
                mode,
                scope: Some(scope),
                principal,
                unconfined,
                expires,
                ..NewGrant::default()
            };
            add(app, new, session).await
        }
    }
}

fn mode(rule: &str) -> Option<Mode> {
    let all = [Mode::ConfirmAll, Mode::Default, Mode::AutoApproveEdits, Mode::TrustAll];
    all.into_iter().find(|mode| mode.word() == rule)
}

/// The session that is named.
async fn given(app: &App, client: &Client, session: Option<String>) -> Result<Option<SessionId>> {
    match session {
        Some(given) => Ok(Some(pick::session(app, client, Some(&given)).await?.id)),
        None => Ok(None),
    }
}

/// The session that is named, else the one of this directory, if there is one.
async fn here(app: &App, client: &Client, session: Option<String>) -> Result<Option<SessionId>> {
    match session {
        Some(_) => given(app, client, session).await,
        None => Ok(pick::session(app, client, None).await.ok().map(|session| session.id)),
    }
}

async fn list(app: &App, session: Option<String>) -> Result<Exit> {
    let client = app.connect().await?;
    let session = here(app, &client, session).await?;
    let all = client.all_grants(session).await?;
    if app.screen.json {
        app.screen.json(&all)?;
    } else if all.items.is_empty() {
        app.screen.note("no grants: agents ask about everything they ask about");
    } else {
        app.screen.table(&table(app, &all.items))?;
    }
    Ok(Exit::Ok)
}

async fn add(app: &App, mut new: NewGrant, session: Option<String>) -> Result<Exit> {
    let client = app.connect().await?;
    if new.project.is_none() {
        new.session = Some(pick::session(app, &client, session.as_deref()).await?.id);
    }
    let given = client.grant(&new).await?;
    if app.screen.json {
        app.screen.json(&given)?;
    } else {
        app.screen.print(format!("{}  {}", given.id, clean::line(&covers(&given))))?;
        app.screen.note("take it back: trunkline grants rm ID");
    }
    Ok(Exit::Ok)
}

async fn remove(app: &App, grant: &str, session: Option<String>) -> Result<Exit> {
    let client = app.connect().await?;
    let id: GrantId = grant.parse().map_err(|_| {
        CliError::usage(format!("`{grant}` is no id of a grant")).hint("`trunkline grants` lists them")
    })?;
    let here = here(app, &client, session).await?;
    // What is listed here is of the session, or of its project; only the former is revoked by the session.
    let listed = client.all_grants(here).await?.items;
    let of_project = listed.iter().any(|grant| grant.id == id && grant.scope == Some(Scope::Project));
    let session = here.filter(|_| !of_project);
    client.ungrant(id, session).await?;
    if app.screen.json {
        app.screen.json(&json!({ "revoked": id }))?;
    } else {
        app.screen.note("it allows nothing any more");
    }
    Ok(Exit::Ok)
}

async fn preview(app: &App, rule: &str, session: Option<String>, days: u64) -> Result<Exit> {
    let client = app.connect().await?;
    let session = given(app, &client, session).await?;
    let found = client.preview_grant(rule, session, days).await?;
    if app.screen.json {
        app.screen.json(&found)?;
        return Ok(Exit::Ok);
    }
    app.screen.print(summary(&found, days))?;
    let mut table = Table::new(&["REQUEST", "RISK", "TITLE", "WHY", "ASKED"]);
    for item in &found.items {
        table.row(vec![
            Cell::new(Tone::Accent, short(item.request)),
            Cell::from(item.risk.level.word()),
            Cell::from(&item.title),
            Cell::from(&item.risk.reason),
            Cell::new(Tone::Dim, ago(app.now(), item.at)),
        ]);
    }
    if !found.items.is_empty() {
        app.screen.table(&table)?;
    }
    Ok(Exit::Ok)
}

fn summary(found: &Preview, days: u64) -> String {
    let Preview { looked_at, allowed, high_risk, refused, truncated, .. } = found;
    let mut text =
        format!("of {looked_at} permissions in the last {days} days it would have allowed {allowed}");
    if *refused > 0 {
        text.push_str(&format!(", {refused} of which were refused"));
    }
    if *high_risk > 0 {
        text.push_str(&format!("; {high_risk} more are of high risk and would still be asked about"));
    }
    if *truncated {
        text.push_str("; older ones were not looked at");
    }
    text
}

fn covers(grant: &Grant) -> String {
    match (&grant.mode, &grant.pattern) {
        (Some(mode), _) => mode.word().to_owned(),
        (None, Some(pattern)) => pattern.clone(),
        (None, None) if grant.scope == Some(Scope::Edits) => "edit".to_owned(),
        (None, None) => format!("tool({})", grant.tool),
    }
}

fn table(app: &App, grants: &[Grant]) -> Table {
    let mut table = Table::new(&["RULE", "WHERE", "FOR", "BY", "GIVEN", "EXPIRES", "ID"]);
    for grant in grants {
        let place = match (&grant.project, grant.scope) {
            (Some(project), _) => project.clone(),
            (None, Some(Scope::Once)) => "the next call".to_owned(),
            (None, Some(Scope::Session | Scope::Project | Scope::Edits | Scope::Tool) | None) => {
                "session".to_owned()
            }
        };
        let expires = grant.expires.map_or_else(|| "never".to_owned(), |at| until(app.now(), at));
        let place = if grant.unconfined { format!("{place}, unconfined too") } else { place };
        table.row(vec![
            Cell::new(Tone::Accent, covers(grant)),
            Cell::from(place),
            Cell::from(grant.principal.as_ref().map_or_else(|| "people".to_owned(), ToString::to_string)),
            Cell::from(grant.by.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string)),
            Cell::new(Tone::Dim, grant.at.map_or_else(|| "-".to_owned(), |at| ago(app.now(), at))),
            Cell::new(Tone::Dim, expires),
            Cell::new(Tone::Dim, grant.id.to_string()),
        ]);
    }
    table
}
