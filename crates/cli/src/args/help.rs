//! The guide's page of all commands is what they say themselves.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use clap::CommandFactory;

use super::Cli;

const HEAD: &str = "\
# Every command

This page is what `--help` says, command by command. `make readme` writes it.
";

/// The help of a command and of all below it, as people read it.
fn help(command: &mut clap::Command, path: &str, out: &mut String) {
    let path = format!("{path} {}", command.get_name()).trim().to_owned();
    let text = command.render_long_help().to_string();
    let lines: Vec<_> = text.trim_end().lines().map(str::trim_end).collect();
    writeln!(out, "\n## {path}\n\n```text\n{}\n```", lines.join("\n")).unwrap();
    for sub in command.get_subcommands_mut().filter(|sub| !sub.is_hide_set()) {
        help(sub, &path, out);
    }
}

#[test]
fn the_help_in_the_guide_is_what_the_commands_say() {
    let mut command = Cli::command().term_width(100);
    command.build();
    command.clone().debug_assert();
    let mut built = HEAD.to_owned();
    help(&mut command, "", &mut built);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/cli.md");
    let kept = fs::read_to_string(&path).unwrap_or_default();
    if option_env!("TRUNKLINE_ACCEPT").is_some() {
        fs::write(&path, &built).unwrap();
    }
    assert!(
        kept == built,
        "the help has changed: `make readme` writes docs/guide/cli.md anew; read the difference and commit it"
    );
}
