//! Where output goes: results to stdout, everything else to stderr.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use rustix::termios::tcgetwinsize;
use serde::Serialize;

use crate::clean;
use crate::env::Env;
use crate::error::Result;
use crate::style::{Paint, When};
use crate::table::Table;

/// The two outputs of a command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    /// Print JSON where something is printed.
    pub(crate) json: bool,
    /// Colours on stdout.
    pub(crate) out: Paint,
    /// Colours on stderr.
    pub(crate) err: Paint,
    /// Whether a person sits at both ends.
    pub(crate) interactive: bool,
    out_is_terminal: bool,
}

impl Screen {
    pub(crate) fn new(env: &Env, when: When, json: bool) -> Self {
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Self {
            json,
            out: when.decide(env.colours, out),
            err: when.decide(env.colours, err),
            interactive: out && io::stdin().is_terminal() && !env.colours.dumb,
            out_is_terminal: out,
        }
    }

    /// Prints a line of the result. The caller has made sure that it is harmless.
    pub(crate) fn print(self, line: impl AsRef<str>) -> Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(line.as_ref().as_bytes())?;
        out.write_all(b"\n")?;
        Ok(())
    }

    /// Prints a part of the result as it comes.
    pub(crate) fn part(self, text: &str) -> Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()?;
        Ok(())
    }

    /// Prints a table, or what to say when it has no rows.
    pub(crate) fn table(self, table: &Table) -> Result<()> {
        let width = self.out_is_terminal.then(|| tcgetwinsize(io::stdout()).map_or(80, |size| size.ws_col));
        let width = width.filter(|width| *width > 0);
        self.part(&table.render(self.out, width.map(usize::from)))
    }

    /// Prints JSON: indented for a person, on one line for a program.
    pub(crate) fn json<T: Serialize>(self, value: &T) -> Result<()> {
        let text = if self.out_is_terminal {
            serde_json::to_string_pretty(value)
        } else {
            serde_json::to_string(value)
        };
        self.print(clean::json(&text.map_err(io::Error::from)?))
    }

    /// Says something that is not the result. Nobody may be listening.
    pub(crate) fn note(self, line: impl AsRef<str>) {
        let mut err = io::stderr().lock();
        drop(err.write_all(format!("{}\n", line.as_ref()).as_bytes()));
    }
}

/// `1 record`, `2 records`.
pub(crate) fn count(n: impl Display, what: &str) -> String {
    let n = n.to_string();
    let many = if n == "1" { "" } else { "s" };
    format!("{n} {what}{many}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        let shown = [0, 1, 2, 11].map(|n| count(n, "record"));
        assert_eq!(shown, ["0 records", "1 record", "2 records", "11 records"]);
    }
}
