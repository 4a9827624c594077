//! The commands, and how they ask.

pub(crate) mod actions;
pub(crate) mod ask;
pub(crate) mod audit;
pub(crate) mod bus;
pub(crate) mod catalog;
pub(crate) mod completions;
pub(crate) mod config_show;
pub(crate) mod daemon;
pub(crate) mod desktop;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod grants;
pub(crate) mod handoff;
pub(crate) mod import_bus;
pub(crate) mod import_hub;
pub(crate) mod import_kollab;
pub(crate) mod logs;
pub(crate) mod mcp_servers;
pub(crate) mod mode;
pub(crate) mod open;
pub(crate) mod pair;
pub(crate) mod pools;
pub(crate) mod profiles;
pub(crate) mod prompt;
pub(crate) mod requests;
pub(crate) mod run;
pub(crate) mod search;
pub(crate) mod secret;
pub(crate) mod send;
pub(crate) mod sessions;
pub(crate) mod token;

use std::io::{self, Read};

use crate::app::App;
use crate::error::{CliError, Result};

/// Asks a yes-or-no question; anything but a yes is a no.
pub(crate) async fn confirm(app: &App, question: &str) -> Result<bool> {
    if !app.screen.interactive {
        return Err(CliError::usage("this cannot be undone, and there is nobody to ask")
            .hint("add --force if you mean it"));
    }
    let answer = ask(app, &format!("{question} [y/N] ")).await?.unwrap_or_default();
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Asks for a line. `None` at the end of the input.
pub(crate) async fn ask(app: &App, question: &str) -> Result<Option<String>> {
    app.screen.part(question)?;
    blocking(|| {
        let mut line = String::new();
        let read = io::stdin().read_line(&mut line)?;
        Ok((read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
    })
    .await
}

/// Everything on stdin, if it is not more than `max` bytes.
pub(crate) async fn read_stdin(max: u64) -> Result<Vec<u8>> {
    let bytes = blocking(move || {
        let mut bytes = Vec::new();
        io::stdin().take(max + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    })
    .await?;
    if bytes.len() as u64 > max {
        return Err(CliError::usage(format!("stdin has more than {} MiB", max >> 20)));
    }
    Ok(bytes)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|error| CliError::failure(error.to_string()))??)
}
