//! Writing a file, whole or in part.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use trunkline_wire::acp::{Diff, ReadTextFileRequest, ToolCallContent, WriteTextFileRequest};

use super::Done;
use crate::acp::files::{FileError, Files};

pub(super) const ABOUT_WRITE: &str = "Writes a whole text file; what was there is replaced. Missing directories are made. For a small change use `edit`.";
pub(super) const ABOUT_EDIT: &str = "Replaces a piece of a text file. `old_text` must stand there exactly, with its \
     indentation and without line numbers, and only once, unless `replace_all` is set.";

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Write {
    /// The file: below the workspace, or absolute.
    path: String,
    /// Its whole text.
    content: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Edit {
    /// The file: below the workspace, or absolute.
    path: String,
    /// What stands there.
    old_text: String,
    /// What is to stand there.
    new_text: String,
    /// Whether every place is changed.
    #[serde(default)]
    replace_all: bool,
}

/// A change of a file, as it was when a person was shown it.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) path: String,
    /// The first line that changes, counted from 1.
    pub(super) line: Option<u32>,
    old: Option<String>,
    new: String,
    places: usize,
}

impl Change {
    pub(super) fn whole(files: &Files, asked: Write) -> Result<Self, String> {
        let Write { path, content } = asked;
        let old = text(files, &path)?;
        Ok(Self { path, line: None, old, new: content, places: 1 })
    }

    pub(super) fn part(files: &Files, asked: &Edit) -> Result<Self, String> {
        let path = &asked.path;
        let Some(old) = text(files, path)? else {
            return Err(format!("{path}: there is no such file; use `write` to make it"));
        };
        if asked.old_text.is_empty() {
            return Err("old_text is empty; use `write` to make a file".to_owned());
        }
        if asked.old_text == asked.new_text {
            return Err("old_text and new_text are the same".to_owned());
        }
        let places = old.matches(&asked.old_text).count();
        match places {
            0 => {
                return Err(format!(
                    "old_text does not stand in {path} as given; read the file again, and mind spaces and line ends"
                ));
            }
            2.. if !asked.replace_all => {
                return Err(format!(
                    "old_text stands {places} times in {path}; give more of the lines around it, or set replace_all"
                ));
            }
            _ => {}
        }
        let at = old.find(&asked.old_text).unwrap_or_default();
        let line = u32::try_from(old[..at].matches('\n').count() + 1).ok();
        let new = old.replace(&asked.old_text, &asked.new_text);
        Ok(Self { path: path.clone(), line, old: Some(old), new, places })
    }

    /// The change, as it is shown.
    pub(super) fn diff(&self, workspace: &Path) -> ToolCallContent {
        let path: PathBuf = workspace.join(&self.path);
        ToolCallContent::Diff(Diff { path, old_text: self.old.clone(), new_text: self.new.clone() })
    }

    /// Writes it, if the file is still as it was when the change was shown.
    pub(super) fn run(self, files: &Files) -> Result<Done, String> {
        if text(files, &self.path)? != self.old {
            return Err(format!(
                "{} has changed since this was asked for; read it again, and write again if it is still wanted",
                self.path
            ));
        }
        let asked = WriteTextFileRequest {
            path: self.path.clone().into(),
            content: self.new,
            ..WriteTextFileRequest::default()
        };
        let fact = files.write(&asked).map_err(|error| error.to_string())?;
        let told = match (fact.created, self.places) {
            (true, _) => format!("{} is made, {} bytes", self.path, fact.bytes),
            (false, 1) => format!("{} is written, {} bytes", self.path, fact.bytes),
            (false, places) => {
                format!("{} is written, {} bytes, changed in {places} places", self.path, fact.bytes)
            }
        };
        Ok(Done { facts: vec![fact.into()], ..Done::text(told) })
    }
}

/// The text of a file, if it is there.
fn text(files: &Files, path: &str) -> Result<Option<String>, String> {
    let asked = ReadTextFileRequest { path: path.into(), ..ReadTextFileRequest::default() };
    match files.read(&asked) {
        Ok((text, _)) => Ok(Some(text)),
        Err(FileError::Missing(_)) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}
