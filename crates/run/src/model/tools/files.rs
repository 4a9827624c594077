//! Reading, listing, moving and removing.

use std::fmt::Write as _;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::Deserialize;
use trunkline_wire::acp::ReadTextFileRequest;
use trunkline_wire::model::Content;

use super::{Done, MAX_OUTPUT};
use crate::acp::files::{EntryKind, FileError, Files};

pub(super) const ABOUT_READ: &str = "Reads a text file, or a picture (png, jpeg, gif, webp). Lines are numbered from 1. \
     A long file is cut off, and the answer says so: go on with `line`.";
pub(super) const ABOUT_LIST: &str =
    "Lists a directory: one entry per line, directories with a `/` behind them.";
pub(super) const ABOUT_MOVE: &str = "Moves or renames a file or a directory. There must be nothing at the new place. Missing directories are made.";
pub(super) const ABOUT_DELETE: &str = "Removes a file, a link, or an empty directory.";

/// How many lines are read if not said.
const LINES: u32 = 2_000;
/// The longest line that is shown whole, in bytes.
const MAX_LINE: usize = 2_000;
/// The largest picture, in bytes.
const MAX_IMAGE: u64 = 3_500_000;
/// How many entries are listed.
const MAX_LISTED: usize = 1_000;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Read {
    /// The file: below the workspace, or absolute.
    pub(super) path: String,
    /// The first line, counted from 1.
    #[serde(default)]
    pub(super) line: Option<u32>,
    /// How many lines at most; 2000 if absent.
    #[serde(default)]
    limit: Option<u32>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    /// The directory; the workspace if absent.
    #[serde(default)]
    pub(super) path: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Move {
    /// What is moved.
    pub(super) from: String,
    /// Where to.
    pub(super) to: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Delete {
    /// What is removed.
    pub(super) path: String,
}

impl Read {
    pub(super) fn run(self, files: &Files) -> Result<Done, String> {
        if let Some(mime_type) = image(&self.path) {
            return self.image(files, mime_type);
        }
        let line = self.line.unwrap_or(1).max(1);
        let limit = self.limit.unwrap_or(LINES).max(1);
        // One line more tells whether that was all.
        let asked = ReadTextFileRequest {
            path: self.path.clone().into(),
            line: Some(line),
            limit: Some(limit.saturating_add(1)),
            ..ReadTextFileRequest::default()
        };
        let (text, fact) = files.read(&asked).map_err(|error| self.explain(&error))?;
        let mut out = String::new();
        let mut next = line;
        let mut rest = text.lines();
        for text in rest.by_ref().take(limit as usize) {
            let (shown, cut) = match text.len() {
                0..=MAX_LINE => (text, ""),
                _ => (&text[..text.floor_char_boundary(MAX_LINE)], " [… this line is cut …]"),
            };
            if out.len() + shown.len() > MAX_OUTPUT {
                break;
            }
            writeln!(out, "{next:>6}\t{shown}{cut}").expect("a text takes all that is written");
            next += 1;
        }
        let read = next - line;
        if text.lines().count() > read as usize {
            write!(out, "[… the file goes on at line {next} …]").expect("a text takes all that is written");
        } else if out.is_empty() {
            let what = if line == 1 { "the file is empty" } else { "the file has no such line" };
            write!(out, "[{what}]").expect("a text takes all that is written");
        }
        Ok(Done { facts: vec![fact.into()], ..Done::text(out) })
    }

    fn image(self, files: &Files, mime_type: &str) -> Result<Done, String> {
        let bytes = files.bytes(Path::new(&self.path), MAX_IMAGE + 1).map_err(|error| error.to_string())?;
        if bytes.len() as u64 > MAX_IMAGE {
            return Err(format!(
                "{} is larger than {MAX_IMAGE} bytes, which is the limit for a picture",
                self.path
            ));
        }
        let data = STANDARD.encode(&bytes);
        let content = vec![Content::Image { mime_type: mime_type.to_owned(), data }];
        Ok(Done { content, ..Done::text("") })
    }

    fn explain(&self, error: &FileError) -> String {
        match error {
            FileError::NotAFile(path) => format!("{path} is no file; use `list` for a directory"),
            FileError::NotText(path) => format!("{path} is no text"),
            error => error.to_string(),
        }
    }
}

fn image(path: &str) -> Option<&'static str> {
    let extension = Path::new(path).extension()?.to_str()?.to_ascii_lowercase();
    match extension.as_str() {
        "png" => Some("image/png"),
        "jpg" | "jpeg" => Some("image/jpeg"),
        "gif" => Some("image/gif"),
        "webp" => Some("image/webp"),
        _ => None,
    }
}

impl List {
    pub(super) fn run(self, files: &Files) -> Result<Done, String> {
        let path = self.path.unwrap_or_else(|| ".".to_owned());
        let all = files.list(Path::new(&path)).map_err(|error| error.to_string())?;
        let mut out = String::new();
        for entry in all.iter().take(MAX_LISTED) {
            let name = entry.path.file_name().unwrap_or_default().to_string_lossy();
            let end = match entry.kind {
                EntryKind::Directory => "/",
                EntryKind::Link => " (a link)",
                EntryKind::File | EntryKind::Other => "",
            };
            writeln!(out, "{name}{end}").expect("a text takes all that is written");
        }
        if let Some(more @ 1..) = all.len().checked_sub(MAX_LISTED) {
            write!(out, "[… {more} more entries are left out …]").expect("a text takes all that is written");
        } else if all.is_empty() {
            out.push_str("[the directory is empty]");
        }
        Ok(Done::text(out))
    }
}

impl Move {
    pub(super) fn run(self, files: &Files) -> Result<Done, String> {
        files.rename(Path::new(&self.from), Path::new(&self.to)).map_err(|error| error.to_string())?;
        Ok(Done::text(format!("{} is {} now", self.from, self.to)))
    }
}

impl Delete {
    pub(super) fn run(self, files: &Files) -> Result<Done, String> {
        files.remove(Path::new(&self.path)).map_err(|error| error.to_string())?;
        Ok(Done::text(format!("{} is removed", self.path)))
    }
}
