//! `handoff`.

use std::path::Path;

use trunkline_client::Client;
use trunkline_client::types::{HandoffQuery, NewHandoff, NewSession, Page};
use trunkline_core::handoff::{HandoffId, HandoffView, Stamp, Whole};
use trunkline_core::raw::Raw;
use trunkline_core::time::Time;

use crate::app::App;
use crate::args::{HandoffAction, ListHandoffs, Resume, Save};
use crate::clean;
use crate::commands::{read_stdin, run};
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::moment::ago;
use crate::pick::{self, short};
use crate::style::Tone;
use crate::table::{Cell, Table};

/// How many handoffs are asked for at a time, and how many are looked through for one that is left, or a part of an id.
const PAGE: usize = 200;
const LOOKED_THROUGH: usize = 2_000;
/// How many bytes a handoff on stdin may have.
const MAX_STDIN: u64 = 8 << 20;

pub(crate) async fn handoff(app: &App, action: HandoffAction) -> Result<Exit> {
    let client = app.connect().await?;
    match action {
        HandoffAction::Save(args) => save(app, &client, args).await,
        HandoffAction::Resume(args) => resume(app, &client, args).await,
        HandoffAction::Show { id } => show(app, &client, &id).await,
        HandoffAction::List(args) => list(app, &client, args).await,
    }
}

async fn save(app: &App, client: &Client, args: Save) -> Result<Exit> {
    let mut new = if args.stdin { from_stdin().await? } else { NewHandoff::default() };
    if let Some(session) = &args.session {
        let session = pick::session(app, client, Some(session)).await?;
        new.session = Some(session.id);
        new.agent_id.get_or_insert(session.agent);
        new.repo = new.repo.or(session.project).or(session.workspace);
    }
    let list =
        |texts: Vec<String>| (!texts.is_empty()).then(|| Raw::of(&texts).expect("texts have a JSON form"));
    new.agent_id = args.agent.or(new.agent_id);
    new.task_summary = args.summary.or(new.task_summary);
    new.decisions = list(args.decisions).or(new.decisions);
    new.todos = list(args.todos).or(new.todos);
    new.files_touched = list(args.files).or(new.files_touched);
    new.status = args.status.or(new.status);
    let repo = args.repo.map(|path| repository(&path)).transpose()?;
    new.repo = repo.or(new.repo);
    let saved = match args.id {
        Some(id) => client.update_handoff(&find(client, &id).await?, &new).await?,
        None => {
            if new.agent_id.is_none() {
                return Err(CliError::usage("whose work is it?")
                    .hint("give --agent NAME, or --session with one that runs here"));
            }
            if new.repo.is_none() {
                new.repo = Some(repository(&app.here()?)?);
            }
            client.save_handoff(&new).await?
        }
    };
    if app.screen.json {
        app.screen.json(&saved)?;
    } else {
        app.screen.print(saved.id.as_str())?;
        app.screen.note(format!("go on with it: trunkline handoff resume {} --run AGENT", saved.id));
    }
    Ok(Exit::Ok)
}

async fn from_stdin() -> Result<NewHandoff> {
    let bytes = read_stdin(MAX_STDIN).await?;
    serde_json::from_slice(&bytes)
        .map_err(|error| CliError::usage(format!("stdin is not a handoff: {error}")))
}

async fn resume(app: &App, client: &Client, args: Resume) -> Result<Exit> {
    let id = match &args.id {
        Some(id) => find(client, id).await?,
        None => newest(app, client, &args).await?,
    };
    let prompt = client.handoff_prompt(&id).await?;
    let Some(agent) = &args.run else {
        if app.screen.json {
            app.screen.json(&serde_json::json!({ "handoff": id, "prompt": prompt }))?;
        } else {
            app.screen.part(&prompt)?;
        }
        return Ok(Exit::Ok);
    };
    let whole = client.handoff(&id).await?;
    let repo = whole.handoff.repo.filter(|repo| Path::new(repo).is_dir());
    let workspace = repo.map_or_else(|| app.here(), Ok)?;
    let title = whole.handoff.task_summary.as_deref().and_then(|summary| summary.lines().next());
    let title = title.map(|title| clean::line(title).chars().take(100).collect::<String>());
    let new = NewSession::agent(agent).workspace(workspace).title(title.filter(|title| !title.is_empty()));
    run::begin(app, client, &new, Some(prompt), None, args.detach).await
}

/// The newest that is not completed.
async fn newest(app: &App, client: &Client, args: &Resume) -> Result<HandoffId> {
    let repo = match (&args.repo, &args.agent) {
        (Some(repo), _) => Some(repository(repo)?),
        (None, Some(_)) => None,
        (None, None) => Some(repository(&app.here()?)?),
    };
    let of = match (&repo, &args.agent) {
        (Some(repo), Some(agent)) => format!("of {agent} in {repo}"),
        (Some(repo), None) => format!("in {repo}"),
        (None, agent) => format!("of {}", agent.as_deref().unwrap_or_default()),
    };
    let query = HandoffQuery { repo, agent: args.agent.clone(), ..HandoffQuery::default() };
    let found = every(client, query, LOOKED_THROUGH).await?;
    let left = found.items.into_iter().find(HandoffView::is_left);
    left.map(|view| view.id).ok_or_else(|| {
        CliError::new(Exit::NotFound, format!("nobody has left any work {of}"))
            .hint("`trunkline handoff list` lists what there is anywhere")
    })
}

async fn show(app: &App, client: &Client, given: &str) -> Result<Exit> {
    let whole = client.handoff(&find(client, given).await?).await?;
    if app.screen.json {
        app.screen.json(&whole)?;
    } else {
        for line in lines(&whole, app.now()) {
            app.screen.print(line)?;
        }
    }
    Ok(Exit::Ok)
}

/// A handoff for a person: what the prompt says, and what it leaves out.
fn lines(whole: &Whole, now: Time) -> Vec<String> {
    let view = &whole.handoff;
    let mut lines = Vec::new();
    let mut tell = |name: &str, value: String| {
        if !value.trim().is_empty() {
            lines.push(format!("{name:<12}{}", clean::text(&value).replace('\n', "\n            ")));
        }
    };
    tell("handoff", view.id.to_string());
    tell("agent", view.agent_id.clone());
    tell("repository", view.repo.clone().unwrap_or_default());
    tell("status", view.status.clone());
    tell("session", view.session.map(|session| session.to_string()).unwrap_or_default());
    tell("changed", format!("{}, saved by {}", ago(now, time(view.updated)), view.created_by));
    tell("summary", view.task_summary.clone().unwrap_or_default());
    for (name, raw) in
        [("decisions", &view.decisions), ("to do", &view.todos), ("files", &view.files_touched)]
    {
        tell(name, items(raw));
    }
    for lane in &whole.lanes {
        let (from, to) = (&lane.lane.from_agent, &lane.lane.to_agent);
        tell("lane", format!("{} {from} to {to}, {}", lane.lane.id, lane.lane.status.word()));
        for said in &lane.said {
            tell("", format!("{}: {}", said.from_agent, said.text));
        }
    }
    if let Some(last) = whole.checkpoints.first() {
        let kept = ago(now, time(last.created));
        tell("checkpoint", format!("{kept}, by {}, the last of {}", last.agent_id, view.checkpoints));
        tell("", items(&last.snapshot));
    }
    lines
}

/// JSON as lines, where it is a list of texts; else as it is.
fn items(raw: &Raw) -> String {
    match raw.read::<Vec<String>>() {
        Ok(texts) => texts.join("\n"),
        Err(_) if matches!(raw.get(), "null" | "{}") => String::new(),
        Err(_) => match raw.read::<serde_json::Value>().map(|value| serde_json::to_string_pretty(&value)) {
            Ok(Ok(text)) => text,
            Ok(Err(_)) | Err(_) => raw.get().to_owned(),
        },
    }
}

async fn list(app: &App, client: &Client, args: ListHandoffs) -> Result<Exit> {
    let session = match &args.session {
        Some(session) => Some(pick::session(app, client, Some(session)).await?.id),
        None => None,
    };
    let repo = args.repo.map(|path| repository(&path)).transpose()?;
    let (agent, status, to) = (args.agent, args.status, args.to);
    let query = HandoffQuery { agent, repo, status, session, to, ..HandoffQuery::default() };
    let page = every(client, query, args.limit as usize).await?;
    if app.screen.json {
        app.screen.json(&page)?;
    } else if page.items.is_empty() {
        app.screen.note("no handoffs; `trunkline handoff save` makes one");
    } else {
        let mut table = Table::new(&["HANDOFF", "STATUS", "AGENT", "CHANGED", "REPOSITORY", "WHAT"]);
        for view in &page.items {
            let tone = if view.is_left() { Tone::Good } else { Tone::Dim };
            table.row(vec![
                Cell::new(Tone::Accent, clean::line(view.id.as_str())),
                Cell::new(tone, clean::line(&view.status)),
                Cell::from(clean::line(&view.agent_id)),
                Cell::new(Tone::Dim, ago(app.now(), time(view.updated))),
                Cell::from(clean::line(view.repo.as_deref().unwrap_or("-"))),
                Cell::new(Tone::Dim, clean::line(view.task_summary.as_deref().unwrap_or_default())),
            ]);
        }
        app.screen.table(&table)?;
        if page.next.is_some() {
            app.screen.note(format!("there are more; --limit shows more than {}", args.limit));
        }
    }
    Ok(Exit::Ok)
}

/// So many of a list, page by page.
async fn every(client: &Client, query: HandoffQuery, most: usize) -> Result<Page<HandoffView>> {
    let mut query = HandoffQuery { limit: Some(most.min(PAGE)), ..query };
    let mut page = client.handoffs(&query).await?;
    while let Some(next) = page.next.take_if(|_| page.items.len() < most) {
        query.cursor = Some(next);
        query.limit = Some((most - page.items.len()).min(PAGE));
        let more = client.handoffs(&query).await?;
        page.items.extend(more.items);
        page.next = more.next;
    }
    Ok(page)
}

/// The handoff with this id, or the only one whose id begins or ends like this.
async fn find(client: &Client, given: &str) -> Result<HandoffId> {
    let not_found = || {
        CliError::new(Exit::NotFound, format!("there is no handoff {}", clean::line(given)))
            .hint("`trunkline handoff list` lists them")
    };
    let id: HandoffId = given.parse().map_err(|_| not_found())?;
    match client.handoff(&id).await {
        Ok(_) => return Ok(id),
        Err(trunkline_client::Error::Problem(problem)) if problem.code == "not_found" => {}
        Err(error) => return Err(error.into()),
    }
    let all = every(client, HandoffQuery::default(), LOOKED_THROUGH).await?;
    let fits = |view: &HandoffView| view.id.as_str().starts_with(given) || view.id.as_str().ends_with(given);
    let mut found: Vec<_> = all.items.into_iter().filter(fits).map(|view| view.id).collect();
    match found.len() {
        0 => Err(not_found()),
        1 => Ok(found.swap_remove(0)),
        n => Err(CliError::usage(format!("{n} handoffs have `{}` in their id; give more of it", short(id)))),
    }
}

/// The root of the repository that a directory belongs to; a name that is no directory stays as it is.
fn repository(given: &str) -> Result<String> {
    match std::fs::canonicalize(given) {
        Ok(path) if path.is_dir() => {
            let path = path.into_os_string().into_string();
            let path = path.map_err(|_| CliError::usage(format!("{given} is no text")))?;
            Ok(trunkline_run::workspace::project_root(&path))
        }
        Ok(_) | Err(_) => Ok(given.to_owned()),
    }
}

const fn time(stamp: Stamp) -> Time {
    Time(stamp.0.div_euclid(1_000))
}
