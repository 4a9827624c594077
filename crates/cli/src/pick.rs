//! Which session or request is meant.

use std::fmt;

use trunkline_client::Client;
use trunkline_client::types::{RequestQuery, SessionQuery};
use trunkline_core::id::{RequestId, SessionId};
use trunkline_core::view::{RequestStatus, RequestView, SessionState, SessionView};

use crate::app::App;
use crate::clean;
use crate::error::{CliError, Result};
use crate::exit::Exit;

/// How many items are asked for at a time, and how many pages are looked through for the part of an id.
const PAGE: usize = 200;
const MAX_PAGES: usize = 100;
/// How much of an id is shown. The end of it is random, so this many characters tell a thousand sessions apart.
const SHORT: usize = 8;
/// How much of an id must be given.
const LEAST: usize = 3;

/// An id as lists show it: its end, which is accepted wherever an id is.
pub(crate) fn short<T: fmt::Display>(id: T) -> String {
    let id = id.to_string();
    id[id.len().saturating_sub(SHORT)..].to_owned()
}

/// The session given, or the most recent one of this directory.
pub(crate) async fn session(app: &App, client: &Client, given: Option<&str>) -> Result<SessionView> {
    let Some(given) = given.filter(|given| *given != "-") else { return most_recent(app, client).await };
    if let Ok(id) = given.parse::<SessionId>() {
        return Ok(client.session(id).await?);
    }
    let part = part_of_id("session", given)?;
    let mut found = Vec::new();
    let mut query = SessionQuery { limit: Some(PAGE), ..SessionQuery::default() };
    for _ in 0..MAX_PAGES {
        let page = client.sessions(&query).await?;
        found.extend(page.items.into_iter().filter(|session| matches(&session.id.to_string(), &part)));
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => break,
        }
    }
    one(found, "session", given, "trunkline ls", |session| {
        format!("{} {} {}", session.id, session.agent, session.title.as_deref().unwrap_or(""))
    })
}

async fn most_recent(app: &App, client: &Client) -> Result<SessionView> {
    let query = SessionQuery { workspace: Some(app.here()?), limit: Some(PAGE), ..SessionQuery::default() };
    let page = client.sessions(&query).await?;
    // One that is over is meant only if there is no other.
    let newest = page
        .items
        .into_iter()
        .max_by_key(|session| (session.state != SessionState::Closed, session.updated_at));
    newest.ok_or_else(|| {
        CliError::new(Exit::NotFound, "there is no session of this directory")
            .hint("name one: `trunkline ls` lists them all, `trunkline run` makes one")
    })
}

/// The request given, or the only open one of this directory.
pub(crate) async fn request(app: &App, client: &Client, given: Option<&str>) -> Result<RequestView> {
    let Some(given) = given.filter(|given| *given != "-") else { return only_one(app, client).await };
    if let Ok(id) = given.parse::<RequestId>() {
        return Ok(client.request(id).await?);
    }
    let part = part_of_id("request", given)?;
    let mut found = Vec::new();
    for status in [None, Some(RequestStatus::Open), Some(RequestStatus::Dismissed)] {
        // Those that can be answered are looked through whole; of the others, which can only be shown, the newest.
        let pages = if status.is_some() { MAX_PAGES } else { 1 };
        found.extend(
            requests(client, status, pages).await?.into_iter().filter(|r| matches(&r.id.to_string(), &part)),
        );
    }
    found.sort_by_key(|request| request.id);
    found.dedup_by_key(|request| request.id);
    one(found, "request", given, "trunkline inbox", |request| format!("{} {}", request.id, request.title))
}

async fn requests(client: &Client, status: Option<RequestStatus>, pages: usize) -> Result<Vec<RequestView>> {
    let mut query = RequestQuery { status, limit: Some(PAGE), ..RequestQuery::default() };
    let mut found = Vec::new();
    for _ in 0..pages {
        let page = client.requests(&query).await?;
        found.extend(page.items);
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => break,
        }
    }
    Ok(found)
}

/// Which of several is meant is never guessed: an answer cannot be taken back.
async fn only_one(app: &App, client: &Client) -> Result<RequestView> {
    let here = app.here()?;
    let mut open = requests(client, Some(RequestStatus::Open), MAX_PAGES).await?;
    open.retain(|request| request.workspace.as_deref() == Some(here.as_str()));
    match open.len() {
        1 => Ok(open.swap_remove(0)),
        0 => Err(CliError::new(Exit::NotFound, "nothing waits for you in this directory")
            .hint("`trunkline inbox` lists what waits anywhere")),
        n => Err(CliError::usage(format!("{n} requests wait in this directory; name one of them"))
            .hint(format!("{} is the most urgent: {}", short(open[0].id), clean::line(&open[0].title)))
            .hint("`trunkline inbox` lists them")),
    }
}

fn part_of_id(what: &str, given: &str) -> Result<String> {
    let part = given.to_ascii_lowercase();
    let fits = part.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    match (fits, part.len() >= LEAST) {
        (true, true) => Ok(part),
        (true, false) => Err(CliError::usage(format!("`{given}` is too short a part of a {what}'s id"))
            .hint(format!("give at least {LEAST} characters"))),
        (false, _) => {
            Err(CliError::usage(format!("`{given}` is not a {what}'s id, nor the beginning or end of one")))
        }
    }
}

fn matches(id: &str, part: &str) -> bool {
    id.starts_with(part) || id.ends_with(part)
}

fn one<T>(mut found: Vec<T>, what: &str, given: &str, list: &str, show: impl Fn(&T) -> String) -> Result<T> {
    match found.len() {
        1 => Ok(found.swap_remove(0)),
        0 => Err(CliError::new(Exit::NotFound, format!("there is no {what} {given}"))
            .hint(format!("`{list}` lists them"))),
        n => {
            let error = CliError::usage(format!("{n} {what}s have `{given}` in their id; give more of it"));
            Err(found.iter().take(5).fold(error, |error, item| error.hint(show(item).trim_end())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::Paint;

    #[test]
    fn a_part_of_an_id_is_its_beginning_or_end() {
        let id = "0190163d-8694-739b-aea5-966c26f8ad91";
        assert_eq!(short(id), "26f8ad91");
        assert!(matches(id, "0190") && matches(id, "ad91") && !matches(id, "8694"));
        assert!(part_of_id("session", "AD91").is_ok_and(|part| part == "ad91"));
        assert!(part_of_id("session", "91").is_err() && part_of_id("session", "gemini").is_err());
    }

    #[test]
    fn which_of_several_is_not_guessed() {
        let pick =
            |found: Vec<&'static str>| one(found, "session", "ab", "trunkline ls", |id| format!("{id} x"));
        assert_eq!(pick(vec!["1"]).unwrap(), "1");
        insta::assert_snapshot!(pick(vec![]).unwrap_err().render(Paint::PLAIN), @r"
        error: there is no session ab
        hint: `trunkline ls` lists them
        ");
        insta::assert_snapshot!(pick(vec!["1", "2"]).unwrap_err().render(Paint::PLAIN), @r"
        error: 2 sessions have `ab` in their id; give more of it
        hint: 1 x
        hint: 2 x
        ");
    }
}
