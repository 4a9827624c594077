//! Trunkline's page in a window of its own.
//!
//! `trunkline desktop` starts this program: it finds the daemon or starts one, and writes a one-time link to the standard
//! input here, because command lines can be read by every user of the machine. The answer is one line on the standard
//! output: `open` when the window is there, `raised` when there was one already, or `error` with what is wrong.

mod badge;
mod browser;
mod downloads;
mod guard;
mod instance;
mod size;
mod window;

use std::fs::DirBuilder;
use std::io::{BufRead, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use guard::Guard;
use instance::Claim;

/// The longest link that is read, in bytes.
const MAX_LINK: u64 = 4_096;

fn main() -> ExitCode {
    match run() {
        Ok(said) => {
            say(said);
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&format!("error {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Says one line to whoever has started this.
fn say(line: &str) {
    // Whoever started this may be gone.
    drop(writeln!(std::io::stdout(), "{line}"));
}

/// Opens the window, which then lasts as long as the process; or raises the one that is there.
fn run() -> Result<&'static str, String> {
    let dir = directory()?;
    let claim = Claim::of(&dir).map_err(|error| format!("{} cannot be used: {error}", dir.display()))?;
    let first = match claim {
        Claim::First(first) => first,
        Claim::Other => return Ok("raised"),
    };
    let link = read_link(std::io::stdin().lock())?;
    let guard = Guard::of(&link).ok_or("the link on the standard input is not one of a daemon")?;
    match window::open(&dir, first, &link, guard)? {}
}

/// The window's own directory, below the daemon's home, which is the only argument.
fn directory() -> Result<PathBuf, String> {
    let mut arguments = std::env::args_os().skip(1);
    let (home, none) = (arguments.next(), arguments.next());
    let home = home.filter(|home| none.is_none() && Path::new(home).is_absolute());
    let home =
        home.ok_or("start the window with `trunkline desktop`, which finds the daemon or starts one")?;
    let dir = Path::new(&home).join("desktop");
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
    made.map_err(|error| format!("{} cannot be made: {error}", dir.display()))?;
    Ok(dir)
}

fn read_link(input: impl BufRead) -> Result<String, String> {
    let mut link = String::new();
    input
        .take(MAX_LINK)
        .read_line(&mut link)
        .map_err(|error| format!("the link on the standard input cannot be read: {error}"))?;
    Ok(link.trim().to_owned())
}
