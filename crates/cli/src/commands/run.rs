//! `run`, `attach`, and watching a turn without a terminal.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;
use trunkline_client::types::{NewSession, NewTurn, Prompt};
use trunkline_client::{Client, EventItem};
use trunkline_core::event::{Event, Fact};
use trunkline_core::id::{Seq, SessionId, TurnId};
use trunkline_core::request::Opened;
use trunkline_core::time::Time;
use trunkline_core::turn::WhenBusy;
use trunkline_core::view::{SessionState, SessionView};
use trunkline_wire::acp::UpdateView;

use crate::app::App;
use crate::args;
use crate::attach::{self, Look, Terminal, picker};
use crate::clean;
use crate::commands::prompt::text_of;
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::pick::{self, short};
use crate::start::{self, Found};
use crate::style::Tone;

/// How long whoever waits for a turn waits for a daemon that is away.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn run(app: &App, args: args::Run) -> Result<Exit> {
    let (new, prompt) = session_of(app, &args)?;
    let prompt = match prompt {
        Some(prompt) => Some(text_of(prompt).await?),
        None => None,
    };
    if prompt.is_none() && !attaches(app, args.detach) && !args.detach {
        return Err(CliError::usage("there is nothing to ask, and no terminal to ask it from")
            .hint("give a prompt, or --detach to make the session and leave it"));
    }
    let client = app.connect().await?;
    begin(app, &client, &new, prompt, args.timeout, args.detach).await
}

const fn attaches(app: &App, detach: bool) -> bool {
    app.screen.interactive && !app.screen.json && !detach
}

/// Makes a session, asks, and attaches or tells what comes.
pub(crate) async fn begin(
    app: &App,
    client: &Client,
    new: &NewSession,
    prompt: Option<String>,
    timeout: Option<Duration>,
    detach: bool,
) -> Result<Exit> {
    let session = client.create_session(new).await?;
    let mut turn = None;
    if let Some(text) = prompt {
        let timeout_ms = timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        let prompt = NewTurn { prompt: Prompt::Text(text), when_busy: WhenBusy::Queue, timeout_ms };
        turn = Some(client.prompt(session.id, &prompt).await?.turn);
    }
    match turn {
        _ if detach => {
            if app.screen.json {
                app.screen.json(&client.session(session.id).await?)?;
            } else {
                app.screen.print(session.id.to_string())?;
            }
            Ok(Exit::Ok)
        }
        Some(turn) if !attaches(app, detach) => watch(app, client, session.id, turn).await,
        _ => attach::attach(app, Terminal::take()?, client, session.id, Look::default()).await,
    }
}

pub(crate) async fn attach(app: &App, args: args::Attach) -> Result<Exit> {
    let given = args.session.as_deref().filter(|given| *given != "-");
    if !app.screen.interactive {
        list_choices(app, given).await?;
        return Err(CliError::usage("attach needs a terminal")
            .hint("`trunkline export` prints what there is, `trunkline prompt --wait` what comes"));
    }
    let client = app.connect().await?;
    let (here, choices) = match given {
        Some(_) => (None, Vec::new()),
        None => choices(app, &client).await?,
    };
    let mut terminal = None;
    let session = if choices.is_empty() {
        pick::session(app, &client, given).await?.id
    } else {
        let terminal = terminal.insert(Terminal::take()?);
        match picker::pick(app, terminal, &client, here, choices).await? {
            Ok(session) => session,
            Err(left) => return Ok(left.exit()),
        }
    };
    let terminal = terminal.map_or_else(Terminal::take, Ok)?;
    let age = args.since.map(|age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
    let since = age.map(|age| Time(app.now().0.saturating_sub(age)));
    attach::attach(app, terminal, &client, session, Look { read_only: args.read_only, since }).await
}

/// The sessions to choose from, and the directory they are of: those of this directory, else all. None where it is plain
/// which one is meant.
async fn choices(app: &App, client: &Client) -> Result<(Option<String>, Vec<SessionView>)> {
    let here = app.here()?;
    let sessions = picker::sessions(client, Some(here.clone())).await?;
    let open = sessions.iter().filter(|session| session.state != SessionState::Closed).count();
    Ok(match (sessions.len(), open) {
        (0, _) => (None, picker::sessions(client, None).await?),
        (_, 0 | 1) => (None, Vec::new()),
        _ => (Some(here), sessions),
    })
}

/// Where nobody can choose, what there is to choose from is told.
async fn list_choices(app: &App, given: Option<&str>) -> Result<()> {
    if given.is_none()
        && let Found::Daemon(client) = start::find(&app.config.home).await?
    {
        let (_, sessions) = choices(app, &client).await?;
        if app.screen.json && !sessions.is_empty() {
            app.screen.json(&sessions)?;
        } else if !sessions.is_empty() {
            app.screen.table(&picker::list(&sessions, app.now()))?;
        }
    }
    Ok(())
}

/// Prints what the agent says in a turn, and on stderr what it does, until the turn ends. With `--json`, every event of the
/// turn as a line.
pub(crate) async fn watch(app: &App, client: &Client, session: SessionId, turn: TurnId) -> Result<Exit> {
    // A turn's number is that of its first event, so that nothing of it is missed.
    let after = Seq(turn.0.0.saturating_sub(1));
    let mut events = client.events(session, after, Some("terminal"));
    let mut watch = Watch { app, session, turn, open_line: false, told: HashSet::new() };
    let mut lost = None;
    loop {
        tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => {
                watch.end_line()?;
                app.screen.note(format!("the turn goes on: trunkline attach {0}, trunkline cancel {0}", short(session)));
                return Ok(Exit::Interrupt);
            }
            item = events.next() => match item {
                Some(Ok(EventItem::Event(event))) => {
                    lost = None;
                    if let Some(exit) = watch.event(&event)? {
                        return Ok(exit);
                    }
                }
                Some(Ok(EventItem::Lost(error))) => {
                    let since = *lost.get_or_insert_with(Instant::now);
                    if since.elapsed() > PATIENCE {
                        return Err(CliError::from(error).hint("how the turn ended is not known: `trunkline attach` tells, once the daemon is back"));
                    }
                    app.screen.note(format!("connection lost, trying again ({})", clean::line(&error.to_string())));
                }
                Some(Ok(EventItem::Deleted)) | None => {
                    return Err(CliError::new(Exit::NotFound, "the session was deleted"));
                }
                Some(Ok(_)) => lost = None,
                Some(Err(error)) => return Err(error.into()),
            }
        }
    }
}

/// A turn that is watched.
struct Watch<'a> {
    app: &'a App,
    session: SessionId,
    turn: TurnId,
    /// The last thing printed has not ended its line.
    open_line: bool,
    /// The tool calls that were named.
    told: HashSet<String>,
}

impl Watch<'_> {
    fn event(&mut self, event: &Event) -> Result<Option<Exit>> {
        if event.turn != Some(self.turn) {
            return Ok(None);
        }
        if self.app.screen.json {
            self.app.screen.print(clean::json(&event.to_line()))?;
        }
        match &event.fact {
            Fact::TurnEnded(ended) => {
                self.end_line()?;
                let exit = Exit::from(ended.stop_reason);
                if exit != Exit::Ok {
                    let (tone, text) = crate::transcript::end_words(ended);
                    self.app.screen.note(self.app.screen.err.of(tone, clean::text(&text)).to_string());
                }
                return Ok(Some(exit));
            }
            Fact::TurnUnqueued(_) => {
                return Err(CliError::new(Exit::Cancelled, "the prompt was taken back before it ran"));
            }
            _ if self.app.screen.json => {}
            Fact::TurnUpdate(update) => self.update(&UpdateView::of(update.update.as_raw()))?,
            Fact::RequestOpened(opened) => self.asked(opened)?,
            _ => {}
        }
        Ok(None)
    }

    fn update(&mut self, update: &UpdateView<'_>) -> Result<()> {
        match &*update.kind() {
            "agent_message_chunk" => {
                let text = clean::text(&update.text().unwrap_or_default());
                if !text.is_empty() {
                    self.open_line = !text.ends_with('\n');
                    self.app.screen.part(&text)?;
                }
            }
            // Agents name a call once or each time they tell how far it is; once is enough.
            "tool_call" | "tool_call_update" => {
                let id = update.tool_call_id().unwrap_or_default().into_owned();
                if let Some(title) = update.get_str("title")
                    && self.told.insert(id)
                {
                    self.note(Tone::Dim, &format!("• {}", clean::line(&title)))?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn asked(&mut self, opened: &Opened) -> Result<()> {
        self.note(Tone::Warn, &format!("? {}", clean::line(&opened.title)))?;
        let id = short(opened.id);
        let how = match opened.refusal() {
            Some(_) => format!("trunkline allow {id}, or trunkline deny {id}"),
            None => format!("trunkline answer {id}"),
        };
        self.note(
            Tone::Dim,
            &format!("  it waits for you: {how}; or trunkline attach {}", short(self.session)),
        )
    }

    fn note(&mut self, tone: Tone, text: &str) -> Result<()> {
        self.end_line()?;
        self.app.screen.note(self.app.screen.err.of(tone, text).to_string());
        Ok(())
    }

    fn end_line(&mut self) -> Result<()> {
        if std::mem::take(&mut self.open_line) {
            self.app.screen.part("\n")?;
        }
        Ok(())
    }
}

/// The session that the command line describes, and the prompt.
fn session_of<'a>(app: &App, args: &'a args::Run) -> Result<(NewSession, Option<&'a str>)> {
    let workspace = match &args.dir {
        None => app.here()?,
        Some(dir) => directory(app, dir)?,
    };
    let (new, prompt) = match (&args.agent, &args.prompt, &args.command[..]) {
        (agent, None, [_, ..]) => (NewSession::command(args.command.clone()), agent.as_deref()),
        (Some(agent), prompt, []) => (NewSession::agent(agent), prompt.as_deref()),
        (Some(agent), Some(_), [_, ..]) => {
            return Err(CliError::usage(format!("`{agent}` and a command: which one is to run?"))
                .hint("with a command after -- give at most the prompt before it"));
        }
        (None, _, _) => {
            return Err(
                CliError::usage("which agent?").hint("`trunkline catalog` lists those that can be run")
            );
        }
    };
    Ok((new.workspace(workspace).title(args.title.clone()), prompt))
}

fn directory(app: &App, dir: &Path) -> Result<String> {
    let path = app.env.cwd.as_deref().unwrap_or_else(|| Path::new("/")).join(dir);
    path.into_os_string().into_string().map_err(|_| CliError::usage(format!("{} is no text", dir.display())))
}
