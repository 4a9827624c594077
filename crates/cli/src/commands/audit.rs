//! `audit`.

use serde_json::json;
use trunkline_client::Client;
use trunkline_client::types::{AuditEntry, AuditQuery};
use trunkline_core::audit::chain::{Broken, Head, Verifier};
use trunkline_core::audit::{Decision, Deed, Ended, Record, Source, Transport};
use trunkline_core::grant::{Added, Scope};
use trunkline_core::risk::Level;
use trunkline_core::setting::{Setting, Value};
use trunkline_core::time::Time;

use crate::app::App;
use crate::args::{self, AuditAction, Listed};
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::moment::ago;
use crate::pick::{self, short};
use crate::screen::count;
use crate::style::Tone;
use crate::table::{Cell, Table};

/// How many records a page has at most.
const PAGE: u64 = 200;

pub(crate) async fn audit(app: &App, args: args::Audit) -> Result<Exit> {
    match args.action {
        None => list(app, args.listed).await,
        Some(AuditAction::Verify { head }) => verify(app, head).await,
    }
}

async fn list(app: &App, listed: Listed) -> Result<Exit> {
    let client = app.connect().await?;
    let session = match &listed.session {
        Some(given) => Some(pick::session(app, &client, Some(given)).await?.id),
        None => None,
    };
    let ms = |since: std::time::Duration| i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    let since = listed.since.map(|since| Time(app.now().0.saturating_sub(ms(since))));
    let mut query = AuditQuery {
        session,
        principal: listed.principal,
        kind: listed.kind,
        since,
        ..AuditQuery::default()
    };
    let mut left = listed.limit;
    let mut entries: Vec<AuditEntry> = Vec::new();
    while left > 0 {
        query.limit = usize::try_from(left.min(PAGE)).ok();
        let page = client.audit(&query).await?;
        left = left.saturating_sub(page.items.len() as u64);
        entries.extend(page.items);
        let Some(next) = page.next else { break };
        query.cursor = Some(next);
    }
    if app.screen.json {
        app.screen.json(&json!({ "items": entries }))?;
    } else if entries.is_empty() {
        app.screen.note("nothing is recorded");
    } else {
        app.screen.table(&table(app, &entries))?;
    }
    Ok(Exit::Ok)
}

/// Takes the whole chain, and checks it here: the daemon that keeps it is not asked whether it is sound.
async fn verify(app: &App, noted: Option<Head>) -> Result<Exit> {
    let client = app.connect().await?;
    match walk(&client, noted).await? {
        Ok(head) if app.screen.json => app.screen.json(&json!({ "sound": true, "head": head }))?,
        Ok(head) => {
            app.screen.print(format!("{}, none changed or removed", count(head.n, "record")))?;
            app.screen.print(format!("head  {head}"))?;
            app.screen.note("keep the head elsewhere: `trunkline audit verify --head` compares with it");
        }
        Err(broken) if app.screen.json => {
            app.screen.json(&json!({ "sound": false, "record": broken.n(), "why": broken.to_string() }))?;
            return Ok(Exit::Failure);
        }
        Err(broken) => {
            let hint = "records before it are as they were; compare the database with a copy of it";
            return Err(CliError::failure(format!("the audit was tampered with: {broken}")).hint(hint));
        }
    }
    Ok(Exit::Ok)
}

async fn walk(client: &Client, noted: Option<Head>) -> Result<std::result::Result<Head, Broken>> {
    let mut verifier = Verifier::new(noted);
    loop {
        let page = client.audit_chain(verifier.head().n).await?;
        for entry in &page.items {
            if let Err(broken) = verifier.take(&entry.link()) {
                return Ok(Err(broken));
            }
        }
        let head = verifier.head().n;
        if page.next.is_none() || page.items.is_empty() {
            // What the daemon would go on from must be what is there.
            let short = head < page.head.n;
            let missing = Broken::CutOff { anchor: page.head.n, head };
            return Ok(if short { Err(missing) } else { verifier.finish() });
        }
    }
}

fn table(app: &App, entries: &[AuditEntry]) -> Table {
    let mut table = Table::new(&["N", "WHEN", "BY", "FROM", "DEED", "ABOUT", "RISK", "SESSION"]);
    for entry in entries {
        let Some(record) = entry.read() else {
            let bad = |text: &str| Cell::new(Tone::Bad, text);
            let n = bad(&entry.n.to_string());
            let mut cells = vec![n, bad("-"), bad("-"), bad("-"), bad("unreadable")];
            cells.extend([bad("see `trunkline audit verify`"), bad("-"), bad("-")]);
            table.row(cells);
            continue;
        };
        let session = record.session.map_or_else(|| "-".to_owned(), short);
        let risk = risk(&record.deed);
        table.row(vec![
            Cell::new(Tone::Dim, entry.n.to_string()),
            Cell::new(Tone::Dim, ago(app.now(), record.at)),
            Cell::from(record.by.as_str()),
            Cell::new(Tone::Dim, record.source.as_ref().map_or_else(|| "-".to_owned(), from)),
            Cell::new(Tone::Accent, record.deed.kind()),
            Cell::from(about(&record)),
            Cell::new(
                if risk == Some(Level::High) { Tone::Bad } else { Tone::Plain },
                risk.map_or("-", Level::word),
            ),
            Cell::new(Tone::Dim, session),
        ]);
    }
    table
}

fn from(source: &Source) -> String {
    let way = match source.transport {
        Transport::Tcp => "tcp",
        Transport::Unix => "unix",
    };
    let peer = source.peer.as_deref().unwrap_or("unknown");
    let by = if source.forwarded { " (a proxy)" } else { "" };
    format!("{way} {peer}{by}")
}

fn risk(deed: &Deed) -> Option<Level> {
    match deed {
        Deed::Answered(decision) | Deed::Granted(decision) | Deed::Expired(decision) => {
            decision.asked.risk.as_ref().map(|risk| risk.level)
        }
        Deed::GrantAdded { .. }
        | Deed::GrantRevoked { .. }
        | Deed::ModeChanged { .. }
        | Deed::SettingChosen { .. }
        | Deed::TokenCreated { .. }
        | Deed::TokenRevoked { .. }
        | Deed::ActionStarted { .. }
        | Deed::ActionRan { .. }
        | Deed::ProfilePut { .. }
        | Deed::ProfileDeleted { .. }
        | Deed::McpPut { .. }
        | Deed::McpDeleted { .. }
        | Deed::McpTrusted { .. }
        | Deed::McpDistrusted { .. }
        | Deed::SessionDeleted { .. } => None,
    }
}

/// What it was about, in a line.
fn about(record: &Record) -> String {
    match &record.deed {
        Deed::Answered(decision) | Deed::Expired(decision) => decided(decision),
        Deed::Granted(decision) => {
            let grants: Vec<_> = decision.grants.iter().map(|id| short(*id)).collect();
            format!("{}, by grant {}", decided(decision), grants.join(", "))
        }
        Deed::GrantAdded { grant } | Deed::ModeChanged { grant } => given(grant),
        Deed::GrantRevoked { grant, ended } => format!("{}{}", short(*grant), why(*ended)),
        Deed::SettingChosen { setting } => match setting {
            Setting::Mode(mode) => format!("mode {mode}"),
            Setting::Model(model) => format!("model {model}"),
            Setting::Option { id, value: Value::Bool(on) } => format!("{id} = {on}"),
            Setting::Option { id, value: Value::Id(value) } => format!("{id} = {value}"),
        },
        Deed::TokenCreated { token, name, .. } => format!("{name} {}", short(*token)),
        Deed::TokenRevoked { token, name, ended } => {
            format!("{} {}{}", name.as_deref().unwrap_or("-"), short(*token), why(*ended))
        }
        Deed::ActionStarted { action, argv } => format!("{action}: {}", argv.join(" ")),
        Deed::ActionRan { action, run, exit_code: Some(code) } => {
            format!("{action} (run {run}): exit code {code}")
        }
        Deed::ActionRan { action, run, exit_code: None } => format!("{action} (run {run}): cut off"),
        Deed::ProfilePut { name, provider, model, address } => {
            format!("{name}: {model} at {}", address.as_deref().unwrap_or_else(|| provider.name()))
        }
        Deed::ProfileDeleted { name } | Deed::McpDeleted { name } => name.clone(),
        Deed::McpPut { name, what } => format!("{name}: {what}"),
        Deed::McpTrusted { name, workspace, .. } | Deed::McpDistrusted { name, workspace } => {
            format!("{name} of {workspace}")
        }
        Deed::SessionDeleted { title } => title.clone().unwrap_or_else(|| "-".to_owned()),
    }
}

fn decided(decision: &Decision) -> String {
    let choice = decision.option.as_ref().map_or("answered", |option| option.name.as_str());
    format!("{choice}: {}", decision.asked.title)
}

fn given(grant: &Added) -> String {
    let what = match (&grant.mode, &grant.pattern) {
        (Some(mode), _) => mode.word().to_owned(),
        (None, Some(pattern)) => pattern.clone(),
        (None, None) if grant.scope == Some(Scope::Edits) => "edit".to_owned(),
        (None, None) => format!("tool({})", grant.tool),
    };
    match &grant.project {
        Some(project) => format!("{what} in {project}"),
        None => what,
    }
}

const fn why(ended: Ended) -> &'static str {
    match ended {
        Ended::Revoked => "",
        Ended::Expired => " (its time was over)",
        Ended::Replaced => " (another mode took its place)",
    }
}
