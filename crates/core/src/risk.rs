//! Risk: how much harm a tool call can do, with the reason in words. The table in [`table`] is data.
//!
//! Risk warns and decides who is asked. It is no sandbox: what it does not know it calls unknown.

pub mod table;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use trunkline_shell::{Command, Dir};

use crate::call::{Call, Piece, Place};
use table::{COMMANDS, CREDENTIALS, DEVICES, Row};

/// How much harm a call can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// It looks, and changes nothing.
    Low,
    /// It changes what can be changed back.
    Medium,
    /// Nobody can tell by reading.
    Unknown,
    /// It can destroy, leak, or reach beyond the workspace.
    High,
}

impl Level {
    /// The word that is shown.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::Unknown => "unknown",
            Self::High => "high",
        }
    }
}

/// What kind of harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// It removes or overwrites what may not come back.
    Destructive,
    /// It talks to other machines.
    Network,
    /// It touches keys, tokens or passwords.
    Credential,
    /// It reaches beyond the workspace.
    OutsideWorkspace,
}

impl Mark {
    /// The words that are shown.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Destructive => "destructive",
            Self::Network => "network",
            Self::Credential => "credentials",
            Self::OutsideWorkspace => "outside the workspace",
        }
    }
}

/// The risk of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Risk {
    /// How much.
    pub level: Level,
    /// Why, for a person.
    pub reason: String,
    /// What kinds of harm.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<Mark>,
}

impl Risk {
    fn new(level: Level, reason: impl Into<String>, marks: &[Mark]) -> Self {
        Self { level, reason: reason.into(), marks: marks.to_vec() }
    }

    /// The worse of both, with the marks of both.
    fn and(self, other: Self) -> Self {
        let (worse, better) = if other.level > self.level { (other, self) } else { (self, other) };
        let mut marks = worse.marks;
        marks.extend(better.marks);
        marks.sort_unstable();
        marks.dedup();
        Self { marks, ..worse }
    }

    /// The risk of a call: that of its worst piece.
    #[must_use]
    pub fn of(call: &Call) -> Self {
        let unclear = call
            .opaque
            .first()
            .map(|why| Self::new(Level::Unknown, format!("what it does cannot be told: {why}"), &[]));
        let all = call.pieces.iter().map(|piece| of_piece(piece, call));
        let risk = unclear.into_iter().chain(all).reduce(Self::and);
        risk.unwrap_or_else(|| Self::new(Level::Unknown, "it does not say what it does", &[]))
    }
}

/// The risk of one piece of a call.
#[must_use]
pub fn of_piece(piece: &Piece, call: &Call) -> Risk {
    match piece {
        Piece::Run(command, place) => of_command(command, place, call.workspace.as_deref()),
        Piece::Read(place) => of_file(place, false, "reads"),
        Piece::Edit(place) => of_file(place, true, "writes"),
        Piece::Delete(place) => {
            let deletes = Risk::new(Level::High, format!("deletes {}", shown(place)), &[Mark::Destructive]);
            deletes.and(of_file(place, true, "deletes"))
        }
        Piece::Fetch(url) => Risk::new(Level::Medium, format!("fetches {url}"), &[Mark::Network]),
        Piece::Mcp(server, tool) => {
            Risk::new(Level::Medium, format!("calls `{tool}` of the MCP server `{server}`"), &[])
        }
        Piece::Tool(name) => {
            let low = matches!(
                name.to_ascii_lowercase().as_str(),
                "think" | "todowrite" | "glob" | "grep" | "search" | "ls"
            );
            let level = if low { Level::Low } else { Level::Unknown };
            let why = if low { "it looks and changes nothing" } else { "what it does is not known" };
            let name = call.tool.as_deref().unwrap_or(name);
            Risk::new(level, format!("`{name}`: {why}"), &[])
        }
    }
}

fn shown(place: &Place) -> String {
    match place {
        Place::Inside(path) if path.is_empty() => "the workspace".to_owned(),
        Place::Inside(path) | Place::Outside(path) | Place::Unknown(path) => path.clone(),
    }
}

fn of_file(place: &Place, writes: bool, does: &str) -> Risk {
    let path = shown(place);
    let is_credential = is_credential(&path);
    let risk = match place {
        Place::Inside(_) if writes => Risk::new(Level::Medium, format!("{does} {path}"), &[]),
        Place::Inside(_) => Risk::new(Level::Low, format!("{does} {path}"), &[]),
        Place::Outside(_) if writes => {
            Risk::new(Level::High, format!("{does} {path}, outside the workspace"), &[Mark::OutsideWorkspace])
        }
        Place::Outside(_) => Risk::new(
            Level::Medium,
            format!("{does} {path}, outside the workspace"),
            &[Mark::OutsideWorkspace],
        ),
        Place::Unknown(_) => {
            let level = if writes { Level::High } else { Level::Unknown };
            Risk::new(
                level,
                format!("{does} {path}, and where that is cannot be told"),
                &[Mark::OutsideWorkspace],
            )
        }
    };
    let hook = writes && (path.starts_with(".git/") || path.contains("/.git/"));
    let risk = if hook {
        risk.and(Risk::new(Level::High, format!("{does} {path}, by which git can run commands"), &[]))
    } else {
        risk
    };
    if is_credential {
        risk.and(Risk::new(
            Level::High,
            format!("{does} {path}, where secrets are kept"),
            &[Mark::Credential],
        ))
    } else {
        risk
    }
}

/// Whether a path is one where secrets are kept.
#[must_use]
pub fn is_credential(path: &str) -> bool {
    path.split(['/', '=', ':', '@']).any(|part| CREDENTIALS.contains(&part))
        || path.split('/').any(|part| {
            part.starts_with(".env.")
                || (part.starts_with("id_") && !part.ends_with(".pub") && part.len() < 12)
        })
        || path.ends_with("/etc/shadow")
}

fn of_command(command: &Command, place: &Place, workspace: Option<&str>) -> Risk {
    let program = command.program();
    let mut risk = from_table(command, program);
    if let Some(by) =
        command.run_by.iter().find(|by| matches!(by.as_str(), "sudo" | "doas" | "su" | "pkexec"))
    {
        risk = risk.and(Risk::new(
            Level::High,
            format!("runs `{program}` as another user, by {by}"),
            &[Mark::OutsideWorkspace],
        ));
    }
    if let Some(from) = command.piped_from.as_deref().filter(|_| table::RUNS_INPUT.contains(&program)) {
        let marks: &[Mark] = if table::FETCHES.contains(&from) { &[Mark::Network] } else { &[] };
        risk = risk.and(Risk::new(Level::High, format!("`{program}` runs what `{from}` gives it"), marks));
    }
    if !command.env.is_empty() {
        risk = risk.and(Risk::new(
            Level::Unknown,
            format!("sets {} for `{program}`", command.env.join(", ")),
            &[],
        ));
    }
    if let Some(why) = &command.exact_only {
        risk = risk.and(Risk::new(Level::Unknown, why.clone(), &[]));
    }
    if !command.is_known() {
        risk = risk.and(Risk::new(
            Level::Unknown,
            format!("an argument of `{program}` is known only when it runs"),
            &[],
        ));
    }
    match place {
        Place::Inside(_) => {}
        Place::Outside(dir) => {
            risk = risk.and(Risk::new(
                Level::Medium,
                format!("runs in {dir}, outside the workspace"),
                &[Mark::OutsideWorkspace],
            ));
        }
        Place::Unknown(_) => {
            risk = risk.and(Risk::new(
                Level::Unknown,
                "where it runs cannot be told",
                &[Mark::OutsideWorkspace],
            ));
        }
    }
    command.args().iter().fold(risk, |risk, word| match of_argument(program, &word.text, workspace) {
        Some(more) => risk.and(more),
        None => risk,
    })
}

/// What an argument that is a path adds.
fn of_argument(program: &str, text: &str, workspace: Option<&str>) -> Option<Risk> {
    let path = text.split_once('=').map_or(text, |(_, value)| value).trim_start_matches('@');
    if is_credential(path) {
        return Some(Risk::new(
            Level::High,
            format!("`{program}` is given {path}, where secrets are kept"),
            &[Mark::Credential],
        ));
    }
    if DEVICES.iter().any(|device| path.starts_with(device)) {
        return Some(Risk::new(
            Level::High,
            format!("`{program}` is given the device {path}"),
            &[Mark::Destructive],
        ));
    }
    let leaves = path.starts_with('/') || path.starts_with("~") || path.split('/').any(|part| part == "..");
    if !leaves || table::HARMLESS_PATHS.contains(&path) || path.contains("://") {
        return None;
    }
    if matches!(Place::of(path, &Dir::Start, workspace), Place::Inside(_)) {
        return None;
    }
    let level = if table::WRITES.contains(&program) { Level::High } else { Level::Medium };
    Some(Risk::new(
        level,
        format!("`{program}` is given {path}, outside the workspace"),
        &[Mark::OutsideWorkspace],
    ))
}

fn from_table(command: &Command, program: &str) -> Risk {
    let rows = COMMANDS.iter().filter(|row| row.program == program);
    let found = rows.filter(|row| row.fits(command)).max_by_key(|row| row.level);
    let looks = program == "git"
        && command.args().first().is_some_and(|word| table::GIT_LOOKS.contains(&word.text.as_str()));
    if looks {
        return Risk::new(Level::Low, "`git` looks and changes nothing", &[]);
    }
    match found {
        Some(Row { level, reason, marks, .. }) => Risk::new(*level, format!("`{program}` {reason}"), marks),
        None => Risk::new(Level::Unknown, format!("what `{program}` does is not known"), &[]),
    }
}

impl Row {
    /// Whether a command has all that this row speaks of.
    #[must_use]
    pub fn fits(&self, command: &Command) -> bool {
        let has =
            |needed: &&str| match needed.strip_prefix('-').filter(|name| name.len() == 1 && *name != "-") {
                Some(letter) => command.args().iter().any(|word| {
                    word.text.starts_with('-') && !word.text.starts_with("--") && word.text.contains(letter)
                }),
                None => command
                    .args()
                    .iter()
                    .any(|word| word.text == **needed || word.text.starts_with(&format!("{needed}="))),
            };
        self.needs
            .split(' ')
            .filter(|needed| !needed.is_empty())
            .all(|needed| needed.split('|').any(|one| has(&one)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_counts() {
        for row in COMMANDS {
            let needs = row
                .needs
                .split(' ')
                .filter_map(|needed| needed.split('|').next())
                .filter(|word| !word.is_empty());
            let mut words = vec![trunkline_shell::Word::literal(row.program)];
            words.extend(needs.map(trunkline_shell::Word::literal));
            let command = Command::of(words);
            assert!(row.fits(&command), "{row:?}");
            let risk = from_table(&command, row.program);
            assert!(risk.level >= row.level, "{row:?}: {risk:?}");
            let said = risk.level > row.level
                || row.marks.iter().all(|mark| risk.marks.contains(mark))
                || row.needs.is_empty();
            assert!(said, "{row:?}: {risk:?}");
            assert!(
                !row.reason.is_empty() && row.needs.split(' ').all(|needed| !needed.contains("||")),
                "{row:?}"
            );
        }
        assert_eq!(
            from_table(&Command::of(vec![trunkline_shell::Word::literal("zzz")]), "zzz").level,
            Level::Unknown
        );
    }

    #[test]
    fn files_are_judged_by_where_they_are() {
        let risk = |kind: &str, path: &str| {
            let json = serde_json::json!({ "kind": kind, "locations": [{ "path": path }] });
            let risk = Risk::of(&Call::read(None, Some(&crate::raw::Raw::of(&json).unwrap()), Some("/work")));
            (risk.level, risk.marks)
        };
        use Mark::{Credential, Destructive, OutsideWorkspace};
        for (kind, path, level, marks) in [
            ("read", "src/a.rs", Level::Low, vec![]),
            ("edit", "src/a.rs", Level::Medium, vec![]),
            ("edit", "/work/a", Level::Medium, vec![]),
            ("delete", "src/a.rs", Level::High, vec![Destructive]),
            ("read", "/etc/hosts", Level::Medium, vec![OutsideWorkspace]),
            ("edit", "/etc/hosts", Level::High, vec![OutsideWorkspace]),
            ("edit", "../x", Level::High, vec![OutsideWorkspace]),
            ("read", ".env", Level::High, vec![Credential]),
            ("read", "~/.ssh/id_rsa", Level::High, vec![Credential, OutsideWorkspace]),
            ("edit", ".git/hooks/pre-commit", Level::High, vec![]),
            ("edit", ".env.local", Level::High, vec![Credential]),
            ("read", "id_ed25519", Level::High, vec![Credential]),
        ] {
            assert_eq!(risk(kind, path), (level, marks), "{kind} {path}");
        }
    }
}
