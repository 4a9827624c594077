//! Records of identities and audits, one JSON object on a line.

use std::fs::File;
use std::io::Write;

use trunkline_wire::router::Record;

use crate::clock::wall_clock_ms;

/// The file that records go to.
#[derive(Debug)]
pub(crate) struct Records(File);

impl Records {
    /// Opens the file, to append to it.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub(crate) fn open(path: &str) -> Result<Self, String> {
        let file = File::options().append(true).create(true).open(path);
        file.map(Self).map_err(|error| format!("config: cannot open record '{path}': {error}"))
    }

    /// Appends a record in one write.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn keep(&mut self, record: &Record) -> std::io::Result<()> {
        let line = format!("{}\n", record.to_json(wall_clock_ms()));
        self.0.write_all(line.as_bytes())
    }
}
