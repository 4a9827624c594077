//! Looking around a workspace.

use std::fs;
use std::io::Read;
use std::path::Path;

/// How deep it looks, how many files it lists, and how much of each it reads.
const MAX_DEPTH: usize = 3;
const MAX_FILES: usize = 200;
const MAX_BYTES: u64 = 256 << 10;
/// Directories that hold what others made.
const PASSED_OVER: [&str; 3] = ["node_modules", "target", "__pycache__"];

/// A file, by its path in the workspace.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: String,
    /// How many lines it has; `None` if it is no text, or large.
    pub(super) lines: Option<usize>,
}

/// The files of a workspace in order, but for hidden ones and what is not theirs. Links are not followed: they may lead
/// out of it.
pub(super) fn look(workspace: &Path, but: &str) -> Vec<Found> {
    let mut found = Vec::new();
    visit(workspace, "", 0, &mut found);
    found.retain(|file| file.path != but);
    found
}

fn visit(dir: &Path, prefix: &str, depth: usize, found: &mut Vec<Found>) {
    let mut entries: Vec<_> = fs::read_dir(dir).into_iter().flatten().flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type();
        if found.len() >= MAX_FILES || name.starts_with('.') || PASSED_OVER.contains(&name.as_str()) {
            continue;
        }
        let path = format!("{prefix}{name}");
        match kind {
            Ok(kind) if kind.is_dir() && depth + 1 < MAX_DEPTH => {
                visit(&entry.path(), &format!("{path}/"), depth + 1, found);
            }
            Ok(kind) if kind.is_file() => found.push(Found { path, lines: lines(&entry.path()) }),
            Ok(_) | Err(_) => {}
        }
    }
}

fn lines(path: &Path) -> Option<usize> {
    let mut text = String::new();
    let file = fs::File::open(path).ok()?;
    let read = file.take(MAX_BYTES + 1).read_to_string(&mut text).ok()?;
    (read as u64 <= MAX_BYTES).then(|| text.lines().count())
}

/// The list as it is shown and written down.
pub(super) fn list(found: &[Found]) -> String {
    let line = |file: &Found| match file.lines {
        Some(1) => format!("- {} (1 line)", file.path),
        Some(lines) => format!("- {} ({lines} lines)", file.path),
        None => format!("- {}", file.path),
    };
    found.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What is written down.
pub(super) fn report(prompt: &str, found: &[Found]) -> String {
    let asked = prompt.lines().next().unwrap_or("").trim();
    let total: usize = found.iter().filter_map(|file| file.lines).sum();
    let files = count(found.len(), "file");
    format!("# What is here\n\nAsked: {asked}\n\n{}\n\n{files}, {}.\n", list(found), count(total, "line"))
}

/// `1 file`, `2 files`.
pub(super) fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_sees_what_is_there_and_not_what_is_not_its_business() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &[u8]| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("b.txt", b"one\ntwo\n");
        write("a/deep/c.rs", b"fn c() {}");
        write("a/deep/too/far.rs", b"");
        write("image.png", b"\x89PNG\xff");
        write(".git/config", b"");
        write("target/x", b"");
        write("notes.md", b"mine");
        std::os::unix::fs::symlink("/etc", dir.path().join("link")).unwrap();
        let found = look(dir.path(), "notes.md");
        insta::assert_snapshot!(report("Have a look.\nThank you", &found), @r"
        # What is here

        Asked: Have a look.

        - a/deep/c.rs (1 line)
        - b.txt (2 lines)
        - image.png

        3 files, 3 lines.
        ");
        assert_eq!(look(Path::new("/nowhere"), ""), []);
    }
}
