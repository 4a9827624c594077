//! Agent Skills: folders with a `SKILL.md`, whose name and description the model is told, and whose text it reads when it needs it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::tools::{Done, MAX_OUTPUT, bounded};
use crate::acp::files::Files;

pub(super) const NAME: &str = "skill";
pub(super) const ABOUT: &str = "Gives the instructions of a skill, which you are told of by name, and the names of the files that \
     belong to it; with `file`, one of those.";
const FILE: &str = "SKILL.md";
/// Where skills are in a workspace.
const PROJECT: [&str; 3] = [".trunkline/skills", ".agents/skills", ".claude/skills"];
/// How many are told of, how much of a file is read, and how long a description may be.
const MAX_SKILLS: usize = 100;
const MAX_BYTES: u64 = 256 << 10;
const MAX_ABOUT: usize = 1_024;
/// How many names of files are told, and how many are looked through for them.
const MAX_FILES: usize = 200;

/// A skill that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Skill {
    pub(super) name: String,
    description: String,
    /// What no link leads out of, and the folder below it.
    root: PathBuf,
    folder: PathBuf,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// The skill.
    name: String,
    /// A file that belongs to it, by its path below the skill's folder.
    #[serde(default)]
    file: Option<String>,
}

/// Those of the user, then those of the workspace whose names are free; `only` those, if it says. Blocks.
pub(super) fn found(home: &Path, workspace: &Path, only: Option<&[String]>) -> Vec<Skill> {
    let mut all: BTreeMap<String, Skill> = BTreeMap::new();
    let places = PROJECT.iter().map(|place| (workspace.to_owned(), PathBuf::from(place)));
    let places = std::iter::once((home.join("skills"), PathBuf::new())).chain(places);
    for (root, place) in places {
        let opened = root.is_absolute().then(|| Files::open(&root));
        let Some(Ok(files)) = opened else { continue };
        let inside = if place.as_os_str().is_empty() { Path::new(".") } else { &place };
        for entry in files.list(inside).unwrap_or_default() {
            let Some(name) = entry.path.file_name() else { continue };
            let folder = place.join(name);
            let Ok(bytes) = files.bytes(&folder.join(FILE), MAX_BYTES) else { continue };
            let Some((name, description)) = head(&String::from_utf8_lossy(&bytes)) else { continue };
            let wanted = only.is_none_or(|only| only.contains(&name));
            if wanted && all.len() < MAX_SKILLS {
                let skill = Skill { name: name.clone(), description, root: root.clone(), folder };
                all.entry(name).or_insert(skill);
            }
        }
    }
    all.into_values().collect()
}

/// What the model is told of them.
pub(super) fn told(skills: &[Skill]) -> String {
    let line = |skill: &Skill| format!("\n- {}: {}", skill.name, skill.description);
    let lines: String = skills.iter().map(line).collect();
    format!(
        "\n\nThere are skills, which the tool `{NAME}` gives you; read one before you do what it is about:{lines}"
    )
}

impl Asked {
    /// Reads what is asked for. Blocks.
    pub(super) fn run(&self, skills: &[Skill]) -> Result<Done, String> {
        let skill = skills.iter().find(|skill| skill.name == self.name);
        let skill = skill.ok_or_else(|| format!("there is no skill {}", self.name))?;
        let root = skill.root.join(&skill.folder);
        // Its files are those below its own folder, whatever links it has.
        let files = Files::open(&root).map_err(|error| format!("it cannot be read: {error}"))?;
        let path = self.file.as_deref().unwrap_or(FILE);
        let bytes = files.bytes(Path::new(path), MAX_BYTES).map_err(|error| error.to_string())?;
        let text = bounded(String::from_utf8_lossy(&bytes).into_owned(), MAX_OUTPUT);
        if self.file.is_some() {
            return Ok(Done::text(text));
        }
        let others = listing(&files);
        let others =
            if others.is_empty() { String::new() } else { format!("\n\nIts files: {}", others.join(", ")) };
        Ok(Done::text(format!("{}{others}", body(&text))))
    }
}

/// The names of a skill's files beside its `SKILL.md`, two levels deep.
fn listing(files: &Files) -> Vec<String> {
    let mut names = Vec::new();
    let mut left = vec![(PathBuf::from("."), 0)];
    while let Some((directory, depth)) = left.pop() {
        for entry in files.list(&directory).unwrap_or_default() {
            let name = entry.path.strip_prefix(".").unwrap_or(&entry.path).to_path_buf();
            if names.len() == MAX_FILES {
                return names;
            }
            match entry.kind {
                crate::acp::files::EntryKind::Directory if depth < 2 => left.push((name, depth + 1)),
                crate::acp::files::EntryKind::File if name != Path::new(FILE) => {
                    names.push(name.to_string_lossy().into_owned());
                }
                _ => {}
            }
        }
    }
    names.sort();
    names
}

/// The name and the description in the frontmatter, if it has both.
fn head(text: &str) -> Option<(String, String)> {
    let (head, _) = split(text)?;
    let name = field(head, "name")?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let description: String = field(head, "description")?.chars().take(MAX_ABOUT).collect();
    (!name.is_empty() && name.len() <= 64 && name.chars().all(fits)).then_some((name, description))
}

/// What stands behind the frontmatter.
fn body(text: &str) -> &str {
    split(text).map_or(text, |(_, body)| body)
}

fn split(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix('\u{feff}').unwrap_or(text).strip_prefix("---")?;
    let rest = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n'))?;
    let end = rest
        .match_indices("\n---")
        .map(|(at, _)| at)
        .find(|at| rest[at + 4..].lines().next().is_none_or(|line| line.trim().is_empty()))?;
    let body = rest[end + 4..].trim_start_matches(['\r', '\n']);
    Some((&rest[..end], body))
}

/// A field at the top of the frontmatter: plain, quoted, or over several lines that are set in.
fn field(head: &str, name: &str) -> Option<String> {
    let mut lines =
        head.lines().skip_while(|line| !line.strip_prefix(name).is_some_and(|rest| rest.starts_with(':')));
    let first = lines.next()?[name.len() + 1..].trim();
    let more =
        lines.take_while(|line| line.starts_with([' ', '\t']) && !line.trim().is_empty()).map(str::trim);
    let first = if matches!(first, "|" | ">" | "|-" | ">-" | "|+" | ">+") { "" } else { first };
    let whole =
        std::iter::once(first).chain(more).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    let quoted =
        |mark: char| whole.strip_prefix(mark).and_then(|rest| rest.strip_suffix(mark)).map(str::to_owned);
    let plain = quoted('"').or_else(|| quoted('\'')).unwrap_or(whole);
    (!plain.is_empty()).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn a_skill_is_told_of_and_read_with_its_files_and_nothing_else() {
        let (home, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (home, work) = (home.path(), work.path());
        let text = "---\nname: pdf\ndescription: >\n  Reads PDF files,\n  and fills them.\nlicense: MIT\n---\n\n# How\n";
        written(home, "skills/pdf/SKILL.md", text);
        written(home, "skills/pdf/scripts/fill.py", "print()");
        written(home, "skills/other.md", "secret");
        written(work, ".claude/skills/pdf/SKILL.md", "---\nname: pdf\ndescription: theirs\n---\n");
        written(work, ".trunkline/skills/x/SKILL.md", "---\nname: \"x\"\ndescription: 'A: b'\n---\nDo x.");
        written(work, ".trunkline/skills/none/SKILL.md", "no head");
        let all = found(home, work, None);
        let names: Vec<_> =
            all.iter().map(|skill| (skill.name.as_str(), skill.description.as_str())).collect();
        assert_eq!(names, [("pdf", "Reads PDF files, and fills them."), ("x", "A: b")]);
        assert!(told(&all).contains("\n- x: A: b"));
        assert_eq!(found(home, work, Some(&["x".to_owned()])).len(), 1);
        let read = |name: &str, file: Option<&str>| {
            let asked = Asked { name: name.to_owned(), file: file.map(str::to_owned) };
            asked.run(&all).map(|done| serde_json::to_string(&done.content).unwrap())
        };
        let pdf = read("pdf", None).unwrap();
        assert!(
            pdf.contains("# How") && pdf.contains("scripts/fill.py") && !pdf.contains("license"),
            "{pdf}"
        );
        assert!(read("pdf", Some("scripts/fill.py")).unwrap().contains("print()"));
        assert!(read("pdf", Some("../other.md")).is_err());
        assert!(read("y", None).is_err());
    }

    #[test]
    fn a_head_that_is_none_is_no_skill() {
        for bad in
            ["", "---", "---\nname: x\n", "---\nname: x\n---\n", "---\ndescription: d\n---", "--- \nname: x"]
        {
            assert_eq!(head(bad), None, "{bad}");
        }
        assert_eq!(head("---\r\nname: a b\r\ndescription: d\r\n---\r\n"), None, "a name has no spaces");
        assert_eq!(head("---\r\nname: a\r\ndescription: d\r\n---\r\nx").unwrap().0, "a");
    }
}
