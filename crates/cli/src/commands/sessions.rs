//! `ls`, `close`, `rm`.

use std::path::Path;

use trunkline_client::Client;
use trunkline_client::types::{Page, SessionQuery};
use trunkline_core::time::Time;
use trunkline_core::turn::StopReason;
use trunkline_core::view::{SessionState, SessionView};

use crate::app::App;
use crate::args::{Ls, One, Rm};
use crate::commands::confirm;
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::moment::ago;
use crate::pick::{self, short};
use crate::style::Tone;
use crate::table::{Cell, Table};

/// How many sessions are asked for at a time.
const PAGE: usize = 200;

pub(crate) async fn ls(app: &App, args: Ls) -> Result<Exit> {
    let workspace =
        if args.here { Some(app.here()?) } else { args.workspace.as_deref().map(canonical).transpose()? };
    let query = SessionQuery {
        state: args.state.map(Into::into),
        agent: args.agent,
        workspace,
        project: args.project.as_deref().map(canonical).transpose()?,
        ..SessionQuery::default()
    };
    let client = app.connect().await?;
    let page = list(&client, query, args.limit as usize).await?;
    if app.screen.json {
        app.screen.json(&page)?;
    } else if page.items.is_empty() {
        app.screen.note("no sessions; `trunkline run` makes one");
    } else {
        app.screen.table(&table(&page.items, app.now()))?;
        if page.next.is_some() {
            app.screen.note(format!("there are more; --limit shows more than {}", args.limit));
        }
    }
    Ok(Exit::Ok)
}

pub(crate) async fn close(app: &App, args: One) -> Result<Exit> {
    let client = app.connect().await?;
    let session = pick::session(app, &client, args.session.as_deref()).await?;
    let closed = client.close_session(session.id).await?;
    if app.screen.json {
        app.screen.json(&closed)?;
    } else {
        app.screen.print(format!("closed {}", session.id))?;
    }
    Ok(Exit::Ok)
}

pub(crate) async fn rm(app: &App, args: Rm) -> Result<Exit> {
    let client = app.connect().await?;
    let mut sessions = Vec::new();
    for given in &args.sessions {
        sessions.push(pick::session(app, &client, Some(given)).await?);
    }
    if !args.force {
        let what = match &sessions[..] {
            [session] => format!("session {} ({})", short(session.id), name(session)),
            many => format!("{} sessions", many.len()),
        };
        if !confirm(app, &format!("Delete {what} with all of its log?")).await? {
            return Ok(Exit::Failure);
        }
    }
    for session in &sessions {
        client.delete_session(session.id).await?;
        if !app.screen.json {
            app.screen.print(format!("deleted {}", session.id))?;
        }
    }
    if app.screen.json {
        app.screen.json(&sessions.iter().map(|session| session.id).collect::<Vec<_>>())?;
    }
    Ok(Exit::Ok)
}

/// What people call a session: its title, else its agent.
pub(crate) fn name(session: &SessionView) -> &str {
    session.title.as_deref().unwrap_or(&session.agent)
}

/// As many sessions as wanted, over as many pages as needed.
async fn list(client: &Client, mut query: SessionQuery, limit: usize) -> Result<Page<SessionView>> {
    query.limit = Some(limit.min(PAGE));
    let mut all = client.sessions(&query).await?;
    while all.items.len() < limit && all.next.is_some() {
        query.cursor = all.next.take();
        query.limit = Some((limit - all.items.len()).min(PAGE));
        let page = client.sessions(&query).await?;
        all.items.extend(page.items);
        all.next = page.next;
    }
    Ok(all)
}

/// A directory as the daemon spells it: the filters compare spellings.
fn canonical(path: &Path) -> Result<String> {
    let found = std::fs::canonicalize(path);
    let found = found.map_err(|error| CliError::usage(format!("{}: {error}", path.display())))?;
    found
        .into_os_string()
        .into_string()
        .map_err(|_| CliError::usage(format!("{} is no text", path.display())))
}

fn table(sessions: &[SessionView], now: Time) -> Table {
    let mut table = Table::new(&["ID", "STATE", "AGENT", "TITLE", "DIRECTORY", "CHANGED"]);
    for session in sessions {
        let (tone, state) = state(session);
        table.row(vec![
            Cell::new(Tone::Accent, short(session.id)),
            Cell::new(tone, state),
            Cell::from(&session.agent),
            Cell::from(session.title.as_deref().unwrap_or("-")),
            Cell::new(Tone::Dim, session.workspace.as_deref().unwrap_or("-")),
            Cell::new(Tone::Dim, ago(now, session.updated_at)),
        ]);
    }
    table
}

/// What a session does, in a word or two.
pub(crate) fn state(session: &SessionView) -> (Tone, String) {
    let word = session.state.word();
    match session.state {
        SessionState::Waiting => (Tone::Warn, format!("{word} ({})", session.pending)),
        SessionState::Running | SessionState::Stopping if session.queued > 0 => {
            (Tone::Good, format!("{word} +{}", session.queued))
        }
        SessionState::Running | SessionState::Stopping => (Tone::Good, word.to_owned()),
        SessionState::Failed => (Tone::Bad, word.to_owned()),
        SessionState::Closed => (Tone::Dim, word.to_owned()),
        SessionState::Idle => match session.last_stop_reason {
            Some(StopReason::Cancelled | StopReason::Timeout | StopReason::Interrupted) => {
                (Tone::Dim, word.to_owned())
            }
            _ => (Tone::Plain, word.to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::Paint;

    #[test]
    fn sessions_are_listed() {
        let session = |json: &str| -> SessionView {
            let rest = r#""driver":"acp","created_at":0,"created_by":"owner","turns":1"#;
            serde_json::from_str(&format!("{{{json},{rest}}}")).unwrap()
        };
        let sessions = [
            session(
                r#""id":"0190163d-8694-739b-aea5-966c26f8ad91","state":"waiting","agent":"gemini","title":"fix the test",
                   "workspace":"/src/app","updated_at":3590000,"queued":0,"pending":2"#,
            ),
            session(
                r#""id":"0190163d-8694-739b-aea5-966c26f8ad92","state":"running","agent":"x\u001b[2J","updated_at":0,
                   "queued":1,"pending":0"#,
            ),
        ];
        insta::assert_snapshot!(table(&sessions, Time(3_600_000)).render(Paint::PLAIN, None), @r"
        ID        STATE        AGENT   TITLE         DIRECTORY  CHANGED
        26f8ad91  waiting (2)  gemini  fix the test  /src/app   10s ago
        26f8ad92  running +1   x␛[2J   -             -          1h ago
        ");
    }
}
