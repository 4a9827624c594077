//! `prompt`, `queue`, `cancel`.

use serde_json::json;
use trunkline_client::types::{NewTurn, Prompt, Waiting};
use trunkline_core::id::TurnId;
use trunkline_core::raw::Raw;
use trunkline_core::turn::{MAX_PROMPT_BYTES, WhenBusy};
use trunkline_wire::acp::ContentBlock;

use crate::app::App;
use crate::args;
use crate::commands::{read_stdin, run};
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::moment::ago;
use crate::pick::{self, short};
use crate::style::Tone;
use crate::table::{Cell, Table};

pub(crate) async fn prompt(app: &App, args: args::Prompt) -> Result<Exit> {
    let (session, text) = match &args.words[..] {
        [text] => (None, text),
        [session, text, ..] => (Some(session.as_str()), text),
        [] => return Err(CliError::usage("there is nothing to ask")),
    };
    let text = text_of(text).await?;
    let client = app.connect().await?;
    let session = pick::session(app, &client, session).await?;
    let timeout_ms = args.timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
    let when_busy = if args.queue { WhenBusy::Queue } else { WhenBusy::Reject };
    let new = NewTurn { prompt: Prompt::Text(text), when_busy, timeout_ms };
    let taken = client.prompt(session.id, &new).await?;
    if args.wait {
        return run::watch(app, &client, session.id, taken.turn).await;
    }
    if app.screen.json {
        app.screen.json(&taken)?;
    } else {
        app.screen.print(taken.turn.to_string())?;
        app.screen.note(format!("watch it: trunkline attach {}", short(session.id)));
    }
    Ok(Exit::Ok)
}

/// What is to be asked; `-` stands for what comes on stdin.
pub(crate) async fn text_of(given: &str) -> Result<String> {
    let text = if given == "-" {
        let bytes = read_stdin(MAX_PROMPT_BYTES as u64).await?;
        String::from_utf8(bytes).map_err(|_| CliError::usage("stdin is not UTF-8"))?
    } else {
        given.to_owned()
    };
    if text.trim().is_empty() {
        return Err(CliError::usage("the prompt is empty"));
    }
    Ok(text)
}

pub(crate) async fn queue(app: &App, args: args::Queue) -> Result<Exit> {
    let client = app.connect().await?;
    match args.action.unwrap_or(args::QueueAction::List(args::One { session: None })) {
        args::QueueAction::List(one) => {
            let session = pick::session(app, &client, one.session.as_deref()).await?;
            let queue = client.queue(session.id).await?;
            if app.screen.json {
                app.screen.json(&queue)?;
            } else if queue.items.is_empty() {
                app.screen.note("no prompt waits");
            } else {
                app.screen.table(&table(app, &queue.items))?;
            }
        }
        args::QueueAction::Rm { turn, session } => {
            let turn = turn_of(&turn)?;
            let session = pick::session(app, &client, session.as_deref()).await?;
            client.unqueue(session.id, turn).await?;
            if app.screen.json {
                app.screen.json(&json!({ "session": session.id, "unqueued": turn }))?;
            } else {
                app.screen.note(format!("turn {turn} waits no more"));
            }
        }
    }
    Ok(Exit::Ok)
}

pub(crate) async fn cancel(app: &App, args: args::Cancel) -> Result<Exit> {
    let turn = args.turn.as_deref().map(turn_of).transpose()?;
    let client = app.connect().await?;
    let session = pick::session(app, &client, args.session.as_deref()).await?;
    let stopped = client.cancel(session.id, turn).await?;
    if app.screen.json {
        app.screen.json(&stopped)?;
    } else {
        app.screen.print(format!("turn {} was asked to stop", stopped.turn))?;
    }
    Ok(Exit::Ok)
}

fn turn_of(given: &str) -> Result<TurnId> {
    given.parse().map_err(|_| {
        CliError::usage(format!("`{given}` is not a turn; `trunkline queue list` shows those that wait"))
    })
}

fn table(app: &App, waiting: &[Waiting]) -> Table {
    let now = app.now();
    let mut table = Table::new(&["TURN", "PROMPT", "BY", "ASKED"]);
    for waiting in waiting {
        table.row(vec![
            Cell::new(Tone::Accent, waiting.turn.to_string()),
            Cell::from(prompt_text(&waiting.prompt)),
            Cell::from(waiting.by.as_str()),
            Cell::new(Tone::Dim, ago(now, waiting.at)),
        ]);
    }
    table
}

/// The words of a prompt; what is no text is named by its kind.
pub(crate) fn prompt_text(prompt: &[Raw]) -> String {
    let parts = prompt.iter().map(|block| match block.read::<ContentBlock>() {
        Ok(ContentBlock::Text(text)) => text.text,
        Ok(ContentBlock::Image(_)) => "[image]".to_owned(),
        Ok(ContentBlock::Audio(_)) => "[audio]".to_owned(),
        Ok(ContentBlock::ResourceLink(link)) => format!("[{}]", link.name),
        Ok(ContentBlock::Resource(_)) => "[file]".to_owned(),
        Ok(ContentBlock::Unknown(_)) | Err(_) => "[?]".to_owned(),
    });
    parts.collect::<Vec<_>>().join("\n")
}
