//! `action`.

use std::io::Write;

use trunkline_client::Client;
use trunkline_client::types::{Action, ActionRun};

use crate::app::App;
use crate::args;
use crate::clean;
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::moment::ago;
use crate::screen::count;
use crate::style::Tone;
use crate::table::{Cell, Table};

pub(crate) async fn action(app: &App, args: args::Action) -> Result<Exit> {
    let client = app.connect().await?;
    match args.name {
        Some(name) => run(app, &client, &name, args.yes).await,
        None if args.runs => runs(app, &client.action_runs().await?.items),
        None => list(app, &client.actions().await?.items),
    }
}

async fn run(app: &App, client: &Client, name: &str, yes: bool) -> Result<Exit> {
    let all = client.actions().await?.items;
    let Some(action) = all.iter().find(|action| action.name == name) else {
        return Err(CliError::new(Exit::NotFound, format!("there is no action {name}"))
            .hint("`trunkline action` lists them"));
    };
    if action.confirm && !yes {
        if !app.screen.interactive {
            return Err(CliError::usage(format!("{name} changes something, and there is nobody to ask"))
                .hint("add --yes if you mean it"));
        }
        let question = format!("{}? It runs `{}` [y/N] ", action.label, clean::line(&action.argv.join(" ")));
        let answer = super::ask(app, &question).await?.unwrap_or_default();
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            app.screen.note("not run");
            return Ok(Exit::Cancelled);
        }
    }
    let run = client.run_action(name).await?;
    let outcome = run.outcome.clone().unwrap_or_default();
    if app.screen.json {
        app.screen.json(&run)?;
    } else {
        let broken = |error: std::io::Error| CliError::failure(format!("stdout is broken: {error}"));
        if outcome.left_out > 0 {
            app.screen.note(format!("{} before this left out", count(outcome.left_out, "byte")));
        }
        std::io::stdout().write_all(outcome.stdout.as_bytes()).map_err(broken)?;
        if !outcome.stderr.is_empty() {
            app.screen.note(outcome.stderr.trim_end());
        }
        match (&outcome.error, outcome.exit_code) {
            (Some(error), _) => app.screen.note(format!("{name}: {error}")),
            (None, Some(0) | None) => {}
            (None, Some(code)) => app.screen.note(format!("{name} ended with exit code {code}")),
        }
    }
    Ok(if outcome.exit_code == Some(0) { Exit::Ok } else { Exit::Failure })
}

fn list(app: &App, actions: &[Action]) -> Result<Exit> {
    if app.screen.json {
        app.screen.json(&serde_json::json!({ "items": actions }))?;
    } else if actions.is_empty() {
        app.screen.note("no actions; a table [operator_actions.NAME] in config.toml makes one");
    } else {
        let mut table = Table::new(&["ACTION", "CHANGES", "WHAT", "COMMAND"]);
        for action in actions {
            let changes = if action.mutating { "yes" } else { "-" };
            let what = action.description.as_ref().unwrap_or(&action.label);
            table.row(vec![
                Cell::new(Tone::Accent, &action.name),
                Cell::new(if action.mutating { Tone::Bad } else { Tone::Dim }, changes),
                Cell::from(clean::line(what)),
                Cell::new(Tone::Dim, clean::line(&action.argv.join(" "))),
            ]);
        }
        app.screen.table(&table)?;
    }
    Ok(Exit::Ok)
}

fn runs(app: &App, runs: &[ActionRun]) -> Result<Exit> {
    if app.screen.json {
        app.screen.json(&serde_json::json!({ "items": runs }))?;
    } else if runs.is_empty() {
        app.screen.note("nothing ran yet");
    } else {
        let mut table = Table::new(&["RUN", "ACTION", "BY", "WHEN", "ENDED"]);
        for run in runs {
            let (tone, ended) = match run.outcome.as_ref().map(|outcome| (outcome.exit_code, &outcome.error))
            {
                None => (Tone::Accent, "running".to_owned()),
                Some((Some(0), _)) => (Tone::Good, "exit code 0".to_owned()),
                Some((Some(code), _)) => (Tone::Bad, format!("exit code {code}")),
                Some((None, error)) => (Tone::Bad, error.clone().unwrap_or_default()),
            };
            table.row(vec![
                Cell::from(run.run.to_string()),
                Cell::new(Tone::Accent, &run.action),
                Cell::from(run.by.to_string()),
                Cell::new(Tone::Dim, ago(app.now(), run.at)),
                Cell::new(tone, clean::line(&ended)),
            ]);
        }
        app.screen.table(&table)?;
    }
    Ok(Exit::Ok)
}
