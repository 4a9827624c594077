//! `completions`.

use clap::CommandFactory;

use crate::args::{Cli, Completions};
use crate::error::Result;
use crate::exit::Exit;
use crate::screen::Screen;

pub(crate) fn print(screen: Screen, args: &Completions) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "trunkline", &mut script);
    screen.part(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}
