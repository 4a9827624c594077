//! `desktop`: the page in a window of its own, which another program draws.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::json;
use trunkline_run::catalog::which;

use crate::app::App;
use crate::env::Env;
use crate::error::{CliError, Result};
use crate::exit::Exit;

/// The program that draws the window.
const PROGRAM: &str = "trunkline-desktop";
/// How long it may take until it says whether there is a window.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn desktop(app: &App) -> Result<Exit> {
    let program = program(&app.env).ok_or_else(|| {
        CliError::failure(format!("the window needs the program {PROGRAM}, which is not here")).hint(
            "`make setup-desktop` in a checkout builds it; `trunkline open` opens the page in your browser",
        )
    })?;
    let client = app.connect().await?;
    let link = client.link().await?;
    match start(&program, &app.config.home, &link.url)?.as_str() {
        "open" => say(app, "the window is open", "open"),
        "raised" => say(app, "the window was open already", "raised"),
        said => Err(CliError::failure(match said.strip_prefix("error ") {
            Some(error) => error.to_owned(),
            None => format!("{} ended and said no more than {said:?}", program.display()),
        })),
    }
}

fn say(app: &App, words: &str, word: &str) -> Result<Exit> {
    if app.screen.json {
        app.screen.json(&json!({ "window": word }))?;
    } else {
        app.screen.note(words);
    }
    Ok(Exit::Ok)
}

/// Beside this program, else where programs are.
fn program(env: &Env) -> Option<PathBuf> {
    let beside =
        env.exe.as_ref().and_then(|exe| exe.canonicalize().ok()).map(|exe| exe.with_file_name(PROGRAM));
    beside.filter(|path| path.is_file()).or_else(|| which(PROGRAM, &env.path))
}

/// Starts it with the link, and gives the line that it says. The link goes over a pipe: every user of the machine can read
/// a command line.
fn start(program: &Path, home: &Path, link: &str) -> Result<String> {
    let cannot = |error: std::io::Error| {
        CliError::failure(format!("{} cannot be started: {error}", program.display()))
    };
    let mut command = Command::new(program);
    command.arg(home).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    // Ctrl-C in this terminal is not for the window.
    command.process_group(0);
    #[expect(clippy::disallowed_methods, reason = "the window is the user's: it stays when we go")]
    let mut child: Child = command.spawn().map_err(cannot)?;
    if let Some(mut input) = child.stdin.take() {
        // A program that does not want it has something to say.
        drop(writeln!(input, "{link}"));
    }
    let output = child.stdout.take();
    let (said, line) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        if let Some(output) = output {
            // What cannot be read is as good as nothing said.
            drop(BufReader::new(output).read_line(&mut line));
        }
        drop(said.send(line.trim_end().to_owned()));
    });
    line.recv_timeout(PATIENCE).map_err(|_| {
        CliError::failure(format!(
            "{} has not shown the page within {} s",
            program.display(),
            PATIENCE.as_secs()
        ))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_window_is_given_the_link_on_its_input_alone() {
        let dir = tempfile::tempdir().unwrap();
        let fake = dir.path().join(PROGRAM);
        fs::write(&fake, "#!/bin/sh\nread link\necho \"error $# $1 $link\"\n").unwrap();
        fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)).unwrap();
        let said =
            start(&fake, Path::new("/home/ana/.trunkline"), "http://127.0.0.1:1/#code=secret").unwrap();
        assert_eq!(said, "error 1 /home/ana/.trunkline http://127.0.0.1:1/#code=secret");
        let env = Env { exe: Some(dir.path().join("trunkline")), path: dir.path().into(), ..Env::default() };
        assert_eq!(program(&env), Some(fake), "the program itself may be a link elsewhere");
        assert_eq!(program(&Env::default()), None);
    }
}
