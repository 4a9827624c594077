//! Which of several sessions: a list to choose from.

use std::fmt::Write;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};
use trunkline_client::Client;
use trunkline_client::types::SessionQuery;
use trunkline_core::id::SessionId;
use trunkline_core::time::Time;
use trunkline_core::view::{SessionState, SessionView};

use super::input::{Held, Key};
use super::keys::What;
use super::terminal::Terminal;
use super::{Left, Signals};
use crate::app::App;
use crate::clean;
use crate::commands::sessions::state;
use crate::error::Result;
use crate::moment::ago;
use crate::style::{Paint, Tone};
use crate::table::{Cell, Table, cut};

/// How often the list is asked for anew.
const FRESH: Duration = Duration::from_secs(2);
/// How many sessions are listed: those that something moved last.
pub(crate) const PAGE: usize = 200;
/// How long a filter may be.
const MAX_FILTER: usize = 100;

/// The sessions of a directory, or all of them. Open ones first, and of those the one that something moved last.
pub(crate) async fn sessions(client: &Client, workspace: Option<String>) -> Result<Vec<SessionView>> {
    let query = SessionQuery { workspace, limit: Some(PAGE), ..SessionQuery::default() };
    let mut sessions = client.sessions(&query).await?.items;
    sessions.sort_by_key(|session| {
        (session.state == SessionState::Closed, std::cmp::Reverse(session.updated_at))
    });
    Ok(sessions)
}

/// Lists sessions where there is nobody to choose one.
pub(crate) fn list(sessions: &[SessionView], now: Time) -> Table {
    let mut table = Table::new(&["ID", "STATE", "TITLE", "AGENT", "CHANGED", "DIRECTORY"]);
    for session in sessions {
        table.row(vec![
            crate::pick::short(session.id).into(),
            state(session).1.into(),
            session.title.as_deref().unwrap_or("-").into(),
            Cell::from(&session.agent),
            ago(now, session.updated_at).into(),
            session.workspace.as_deref().unwrap_or("-").into(),
        ]);
    }
    table
}

/// Lets whoever sits at the terminal choose one of the sessions. `None`: none of them.
///
/// # Errors
/// When the terminal is gone.
pub(crate) async fn pick(
    app: &App,
    terminal: &mut Terminal,
    client: &Client,
    here: Option<String>,
    sessions: Vec<SessionView>,
) -> Result<std::result::Result<SessionId, Left>> {
    terminal.turn_aside(true)?;
    let picked = choose(app, terminal, client, Picker::new(here, sessions)).await;
    terminal.turn_aside(false)?;
    picked
}

async fn choose(
    app: &App,
    terminal: &mut Terminal,
    client: &Client,
    mut picker: Picker,
) -> Result<std::result::Result<SessionId, Left>> {
    let mut signals = Signals::new()?;
    let mut resized = signal(SignalKind::window_change())?;
    let mut fresh = interval(FRESH);
    fresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
    fresh.tick().await;
    loop {
        terminal.write(&picker.frame(app.screen.out, terminal.size(), app.now()))?;
        let wanted = tokio::select! {
            biased;
            () = signals.recv() => return Ok(Err(Left::Signalled)),
            _ = resized.recv() => Step::Paint,
            input = terminal.inputs.recv() => match input.map(|input| input.what) {
                Some(What::Key { key, held, .. }) => picker.key(key, held),
                Some(What::Paste(_)) => Step::Paint,
                // The terminal was closed.
                None => return Ok(Err(Left::Signalled)),
            },
            _ = fresh.tick() => Step::Read,
        };
        match wanted {
            Step::Paint => {}
            Step::Take(id) => return Ok(Ok(id)),
            Step::Leave => return Ok(Err(Left::Detached)),
            // A daemon that is away for a moment is no reason to take the list away.
            Step::Read => picker.show(sessions(client, picker.workspace()).await),
        }
    }
}

/// What a key has led to.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Paint,
    /// The list is wanted anew.
    Read,
    Take(SessionId),
    Leave,
}

/// A list to choose from. Pure.
struct Picker {
    here: Option<String>,
    /// Sessions of all directories are listed.
    all: bool,
    sessions: Vec<SessionView>,
    chosen: Option<SessionId>,
    filter: String,
    /// The filter is being typed.
    typing: bool,
    note: Option<String>,
}

impl Picker {
    fn new(here: Option<String>, sessions: Vec<SessionView>) -> Self {
        Self {
            all: here.is_none(),
            here,
            sessions,
            chosen: None,
            filter: String::new(),
            typing: false,
            note: None,
        }
    }

    /// The directory whose sessions are listed.
    fn workspace(&self) -> Option<String> {
        self.here.clone().filter(|_| !self.all)
    }

    fn show(&mut self, sessions: Result<Vec<SessionView>>) {
        match sessions {
            Ok(sessions) => (self.sessions, self.note) = (sessions, None),
            Err(error) => self.note = Some(clean::line(&error.render(Paint::PLAIN))),
        }
    }

    /// The sessions that the filter lets through.
    fn listed(&self) -> Vec<&SessionView> {
        let filter = self.filter.to_lowercase();
        let fits = |session: &&SessionView| {
            let id = session.id.to_string();
            let texts =
                [session.title.as_deref(), session.workspace.as_deref(), Some(&session.agent), Some(&id)];
            let state = session.state.word();
            filter.split_whitespace().all(|word| {
                state.contains(word) || texts.iter().flatten().any(|text| text.to_lowercase().contains(word))
            })
        };
        self.sessions.iter().filter(fits).collect()
    }

    /// Which of the listed ones is chosen.
    fn at(&self, listed: &[&SessionView]) -> usize {
        listed.iter().position(|session| Some(session.id) == self.chosen).unwrap_or(0)
    }

    fn key(&mut self, key: Key, held: Held) -> Step {
        match key {
            Key::Char('c') if held.control => return Step::Leave,
            Key::Up => return self.go(-1),
            Key::Down => return self.go(1),
            Key::Char('p') if held.control => return self.go(-1),
            Key::Char('n') if held.control => return self.go(1),
            Key::PageUp => return self.go(-10),
            Key::PageDown => return self.go(10),
            Key::Home => return self.go(isize::MIN),
            Key::End => return self.go(isize::MAX),
            Key::Enter => {
                let listed = self.listed();
                let chosen = listed.get(self.at(&listed)).map(|session| session.id);
                return chosen.map_or(Step::Paint, Step::Take);
            }
            _ => {}
        }
        match key {
            Key::Escape if self.typing || !self.filter.is_empty() => {
                self.typing = false;
                self.filter.clear();
            }
            Key::Escape => return Step::Leave,
            Key::Backspace if self.typing => {
                self.typing = self.filter.pop().is_some();
            }
            Key::Char('u') if self.typing && held.control => self.filter.clear(),
            Key::Char(_) if self.typing && (held.control || held.alt) => {}
            Key::Char(c) if self.typing => {
                self.filter.extend((self.filter.chars().count() < MAX_FILTER).then_some(c));
            }
            Key::Char('q') => return Step::Leave,
            Key::Char('k') => return self.go(-1),
            Key::Char('j') => return self.go(1),
            Key::Char('g') => return self.go(isize::MIN),
            Key::Char('G') => return self.go(isize::MAX),
            Key::Char('/') => self.typing = true,
            Key::Char('a') if self.here.is_some() => {
                self.all = !self.all;
                return Step::Read;
            }
            _ => {}
        }
        Step::Paint
    }

    fn go(&mut self, by: isize) -> Step {
        let listed = self.listed();
        let at = self.at(&listed).saturating_add_signed(by).min(listed.len().saturating_sub(1));
        self.chosen = listed.get(at).map(|session| session.id);
        Step::Paint
    }

    /// The whole screen: a head, as many sessions as there is room for, and what the keys do.
    fn frame(&self, paint: Paint, (columns, rows): (u16, u16), now: Time) -> String {
        let (columns, room) = (usize::from(columns), usize::from(rows).saturating_sub(2).max(1));
        let listed = self.listed();
        let at = self.at(&listed);
        let first = at.saturating_sub(room / 2).min(listed.len().saturating_sub(room));
        let text = self.table(&listed, now).render(Paint::PLAIN, Some(columns.saturating_sub(3)));
        let mut lines = text.lines();
        let mut out = String::from("\u{1b}[?2026h\u{1b}[?25l\u{1b}[H");
        let mut row = |tone: Tone, text: &str| {
            let text = cut(text, columns.saturating_sub(1));
            write!(out, "{}\u{1b}[K\r\n", paint.of(tone, text)).expect("a string takes everything");
        };
        if rows > 2 {
            row(Tone::Dim, &format!("  {}", lines.next().unwrap_or_default()));
        }
        let mut lines = lines.enumerate().skip(first);
        for _ in 0..room {
            match lines.next() {
                Some((n, line)) if n == at => row(Tone::Marked, &format!("› {line}")),
                Some((n, line)) => row(state(listed[n]).0, &format!("  {line}")),
                None => row(Tone::Plain, ""),
            }
        }
        let status = cut(&self.status(listed.len()), columns.saturating_sub(1));
        write!(out, "{}\u{1b}[K", paint.of(Tone::Accent, status)).expect("a string takes everything");
        if self.typing {
            out.push_str("\u{1b}[?25h");
        }
        out.push_str("\u{1b}[?2026l");
        out
    }

    fn table(&self, listed: &[&SessionView], now: Time) -> Table {
        let all = self.all.then_some("DIRECTORY");
        let head: Vec<_> = ["STATE", "TITLE", "AGENT", "CHANGED"].into_iter().chain(all).collect();
        let mut table = Table::new(&head);
        for session in listed {
            let title = session.title.clone().unwrap_or_else(|| crate::pick::short(session.id));
            let mut cells = vec![
                Cell::from(state(session).1),
                title.into(),
                Cell::from(&session.agent),
                ago(now, session.updated_at).into(),
            ];
            if self.all {
                cells.push(session.workspace.as_deref().unwrap_or("-").into());
            }
            table.row(cells);
        }
        table
    }

    fn status(&self, listed: usize) -> String {
        if self.typing {
            return format!("/{}", self.filter);
        }
        let mut words = vec![match &self.filter[..] {
            "" => format!("{listed} of {}", if self.all { "all directories" } else { "this directory" }),
            filter => format!("{listed} of {} fit /{filter}", self.sessions.len()),
        }];
        words.extend(self.note.clone());
        words.push("Enter attaches · / filters · q leaves".to_owned());
        if self.here.is_some() {
            words.push(format!("a shows {}", if self.all { "this directory" } else { "all directories" }));
        }
        words.join(" · ")
    }
}

#[cfg(test)]
mod tests;
