//! A secret, from stdin or from a prompt that shows nothing. It never stands on a command line, where others see it.

use std::io::{self, BufRead, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::{blocking, read_stdin};
use crate::app::App;
use crate::error::{CliError, Result};
use crate::exit::Exit;

/// How many bytes are taken from stdin.
const MAX: u64 = 64 << 10;

/// Asks a person, or takes what is piped in. `None` if that is nothing.
pub(crate) async fn read(app: &App, question: &str) -> Result<Option<String>> {
    if app.screen.interactive {
        return ask(question).await;
    }
    let bytes = read_stdin(MAX).await?;
    let text = String::from_utf8(bytes).map_err(|_| CliError::usage("what is on stdin is no text"))?;
    Ok(some(&text))
}

/// Asks on the terminal, and shows nothing of the answer.
pub(crate) async fn ask(question: &str) -> Result<Option<String>> {
    let quiet = Quiet::begin()?;
    write!(io::stderr(), "{question}")?;
    io::stderr().flush()?;
    let line = blocking(|| {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line)?;
        Ok(line)
    });
    let line = tokio::select! {
        line = line => line,
        // Else the terminal would stay as it is now.
        _ = tokio::signal::ctrl_c() => Err(CliError::new(Exit::Interrupt, "nothing was kept")),
    };
    drop(quiet);
    writeln!(io::stderr())?;
    Ok(some(&line?))
}

fn some(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The terminal while it shows nothing of what is typed.
struct Quiet(Termios);

impl Quiet {
    fn begin() -> Result<Self> {
        let before = tcgetattr(io::stdin()).map_err(io::Error::from)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &quiet).map_err(io::Error::from)?;
        Ok(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _terminal_is_gone = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}
