//! Looking for files and for what is in them.

use std::fmt::Write as _;
use std::path::Path;

use regex::RegexBuilder;
use schemars::JsonSchema;
use serde::Deserialize;

use super::pattern::{MAX_COMPILED, compile};
use super::{Done, MAX_OUTPUT};
use crate::acp::files::{Entry, EntryKind, Files};

pub(super) const ABOUT_GLOB: &str = "Finds files by a pattern such as `src/**/*.rs` or `*.{md,txt}`. Directories that hold \
     no sources (.git, node_modules, target, …) are passed over unless `path` leads into them.";
pub(super) const ABOUT_GREP: &str = "Finds lines by a regular expression, with the file and the number of each. Binary and \
     very large files are passed over, and so are .git, node_modules, target, … unless `path` leads into them.";

/// Directories in which nobody looks for sources.
const SKIPPED: [&str; 8] =
    [".git", ".hg", ".svn", "node_modules", "target", ".venv", "__pycache__", ".cache"];
/// How many paths are given.
const MAX_PATHS: usize = 500;
/// How many lines are given.
const MAX_LINES: usize = 300;
/// The longest line that is shown whole, in bytes.
const MAX_LINE: usize = 400;
/// The largest file that is looked into, in bytes.
const MAX_FILE: u64 = 4 << 20;
/// How many entries are looked at.
const MAX_WALKED: usize = 200_000;
/// A file with a zero in so many first bytes is no text.
const SNIFFED: usize = 8 << 10;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Glob {
    /// The pattern, by paths below `path`. One without a `/` fits names in any directory.
    pub(super) pattern: String,
    /// Where to look; the workspace if absent.
    #[serde(default)]
    pub(super) path: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Grep {
    /// The regular expression.
    pub(super) pattern: String,
    /// Where to look: a directory or a file; the workspace if absent.
    #[serde(default)]
    pub(super) path: Option<String>,
    /// Only in files that fit this pattern, such as `*.rs`.
    #[serde(default)]
    include: Option<String>,
    /// Whether capitals do not matter.
    #[serde(default)]
    ignore_case: bool,
    /// How many lines around each are shown.
    #[serde(default)]
    context: u8,
}

impl Glob {
    pub(super) fn run(self, files: &Files) -> Result<Done, String> {
        let pattern = compile(&self.pattern)?;
        let start = self.path.unwrap_or_default();
        let below = files.below(Path::new(&start)).map_err(|error| error.to_string())?;
        let (mut out, mut found) = (String::new(), 0);
        let cut = walk(files, &start, |entry| {
            let path = entry.path.strip_prefix(&below).unwrap_or(&entry.path).to_string_lossy();
            if entry.kind != EntryKind::Directory && pattern.is_match(&path) {
                found += 1;
                if found <= MAX_PATHS {
                    writeln!(out, "{}", entry.path.display()).expect("a text takes all that is written");
                }
            }
            true
        })?;
        match found.checked_sub(MAX_PATHS) {
            Some(more @ 1..) => {
                write!(out, "[… {more} more files are left out: make the pattern narrower …]")
            }
            _ if found == 0 => write!(out, "[no file fits]"),
            _ => Ok(()),
        }
        .expect("a text takes all that is written");
        Ok(Done::text(out + cut))
    }
}

impl Grep {
    pub(super) fn run(self, files: &Files) -> Result<Done, String> {
        let pattern = RegexBuilder::new(&self.pattern)
            .case_insensitive(self.ignore_case)
            .size_limit(MAX_COMPILED)
            .build()
            .map_err(|error| format!("the expression cannot be read: {error}"))?;
        let include = self.include.as_deref().map(compile).transpose()?;
        let start = self.path.unwrap_or_default();
        let below = files.below(Path::new(&start)).map_err(|error| error.to_string())?;
        let mut hits =
            Hits { out: String::new(), lines: 0, files: 0, context: usize::from(self.context.min(10)) };
        let look = |hits: &mut Hits, path: &Path| {
            let Ok(bytes) = files.bytes(path, MAX_FILE + 1) else { return };
            if bytes.len() as u64 <= MAX_FILE && !bytes.iter().take(SNIFFED).any(|byte| *byte == 0) {
                hits.look(path, &String::from_utf8_lossy(&bytes), &pattern);
            }
        };
        if files.bytes(Path::new(&start), 1).is_ok() {
            look(&mut hits, &below);
            return Ok(Done::text(hits.told("")));
        }
        let cut = walk(files, &start, |entry| {
            let path = entry.path.strip_prefix(&below).unwrap_or(&entry.path).to_string_lossy();
            if entry.kind == EntryKind::File && include.as_ref().is_none_or(|include| include.is_match(&path))
            {
                look(&mut hits, &entry.path);
            }
            !hits.is_full()
        })?;
        Ok(Done::text(hits.told(cut)))
    }
}

struct Hits {
    out: String,
    lines: usize,
    files: usize,
    context: usize,
}

impl Hits {
    fn look(&mut self, path: &Path, text: &str, pattern: &regex::Regex) {
        let lines: Vec<&str> = text.lines().collect();
        let mut shown = 0;
        let before = self.lines;
        for (at, _) in lines.iter().enumerate().filter(|(_, line)| pattern.is_match(line)) {
            if self.is_full() {
                return;
            }
            self.lines += 1;
            let from = at.saturating_sub(self.context).max(shown);
            let to = (at + self.context + 1).min(lines.len()).max(from);
            for (number, line) in lines.iter().enumerate().take(to).skip(from) {
                let mark = if number == at { ':' } else { '-' };
                let cut = &line[..line.floor_char_boundary(MAX_LINE)];
                let more = if cut.len() < line.len() { " […]" } else { "" };
                writeln!(self.out, "{}{mark}{}{mark}{cut}{more}", path.display(), number + 1)
                    .expect("a text takes all that is written");
            }
            shown = to;
        }
        self.files += usize::from(self.lines > before);
    }

    fn is_full(&self) -> bool {
        self.lines >= MAX_LINES || self.out.len() >= MAX_OUTPUT
    }

    fn told(mut self, cut: &str) -> String {
        let end = if self.is_full() {
            format!(
                "[… {} lines in {} files, and there may be more: make the search narrower …]",
                self.lines, self.files
            )
        } else if self.lines == 0 {
            "[no line fits]".to_owned()
        } else {
            String::new()
        };
        self.out.push_str(&end);
        self.out + cut
    }
}

/// Walks, and gives a word of it if the walk was too long to come to its end.
fn walk(files: &Files, start: &str, mut each: impl FnMut(&Entry) -> bool) -> Result<&'static str, String> {
    let mut left = MAX_WALKED;
    let walked = files.walk(Path::new(start), &SKIPPED, |entry| {
        left -= 1;
        each(entry) && left > 0
    });
    walked.map_err(|error| error.to_string())?;
    Ok(if left == 0 { "\n[… there are more than 200000 files: look in a part of them …]" } else { "" })
}
