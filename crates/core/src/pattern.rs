//! Patterns: what a rule covers, in words that a person writes.
//!
//! `read`, `read(docs/**)`, `edit(src/**)`, `shell(git status)`, `shell(npm run *)`, `fetch(docs.rs)`,
//! `mcp:server/tool`, `tool(Name)`. Paths are those below the workspace. A `*` alone at the end of a command stands for
//! any further words; inside a word, for any characters.

use std::fmt;
use std::str::FromStr;

use trunkline_shell::{Command, Dir, Kind};

use crate::call::{Call, Piece, Place};

/// How many bytes a pattern may have.
pub const MAX_BYTES: usize = 512;

/// What a rule covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Read(Paths),
    Edit(Paths),
    Shell(Option<Words>),
    Fetch(Option<String>),
    Mcp(String, String),
    Tool(String),
}

/// Segments of a path; none at all is any path below the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Paths(Vec<String>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Words {
    words: Vec<String>,
    more: bool,
}

/// A pattern that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {}: {why}", at + 1)]
pub struct BadPattern {
    /// How many characters stand before the error.
    pub at: usize,
    /// What is wrong there.
    pub why: String,
}

fn bad<T>(text: &str, byte: usize, why: impl Into<String>) -> Result<T, BadPattern> {
    let at = text.get(..byte).unwrap_or(text).chars().count();
    Err(BadPattern { at, why: why.into() })
}

impl FromStr for Pattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        if text.len() > MAX_BYTES {
            return bad(text, MAX_BYTES, format!("a pattern has at most {MAX_BYTES} bytes"));
        }
        if let Some((byte, _)) =
            text.char_indices().find(|(_, c)| c.is_control() || (c.is_whitespace() && *c != ' '))
        {
            return bad(text, byte, "this character is not allowed");
        }
        let what = match text.strip_prefix("mcp:") {
            Some(rest) => mcp(text, rest)?,
            None => what(text)?,
        };
        Ok(Self { text: text.to_owned(), what })
    }
}

fn mcp(text: &str, rest: &str) -> Result<What, BadPattern> {
    let Some((server, tool)) = rest.split_once('/') else {
        return bad(
            text,
            text.len(),
            "expected `/` and the tool's name, or `/*` for all tools of the server",
        );
    };
    for (name, byte) in [(server, 4), (tool, 5 + server.len())] {
        let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let wild = name == "*" && byte > 4;
        if name.is_empty() {
            return bad(text, byte, "expected a name");
        }
        if let (false, Some((inner, _))) = (wild, name.char_indices().find(|(_, c)| !fits(*c))) {
            return bad(text, byte + inner, "a name has letters, digits, `_`, `-` and `.`");
        }
    }
    Ok(What::Mcp(server.to_owned(), tool.to_owned()))
}

fn what(text: &str) -> Result<What, BadPattern> {
    let open = text.find('(');
    let name = &text[..open.unwrap_or(text.len())];
    let inner = match open {
        None => None,
        Some(open) if !text.ends_with(')') => {
            let byte = text[open..].find(')').map_or(text.len(), |close| open + close + 1);
            let why = if byte == text.len() { "expected `)`" } else { "nothing may follow `)`" };
            return bad(text, byte, why);
        }
        Some(open) if text[open + 1..text.len() - 1].trim().is_empty() => {
            return bad(
                text,
                open + 1,
                format!("expected what `{name}` covers; for everything write `{name}` alone"),
            );
        }
        Some(open) => Some((&text[open + 1..text.len() - 1], open + 1)),
    };
    match (name, inner) {
        ("read", inner) => paths(text, inner).map(What::Read),
        ("edit", inner) => paths(text, inner).map(What::Edit),
        ("shell", None) => Ok(What::Shell(None)),
        ("shell", Some((inner, byte))) => words(text, inner, byte).map(|words| What::Shell(Some(words))),
        ("fetch", None) => Ok(What::Fetch(None)),
        ("fetch", Some((host, byte))) => fetch(text, host, byte),
        ("tool", Some((COMMANDS, byte))) => bad(
            text,
            byte,
            "that is the kind of all commands and no tool: write `shell` or `shell(npm run *)`",
        ),
        ("tool", Some((tool, _))) => Ok(What::Tool(tool.to_owned())),
        ("tool", None) => bad(text, name.len(), "expected `(` and the tool's name"),
        _ => bad(text, 0, "expected `read`, `edit`, `shell`, `fetch`, `tool` or `mcp:`"),
    }
}

fn fetch(text: &str, host: &str, byte: usize) -> Result<What, BadPattern> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    match host.char_indices().find(|(_, c)| !fits(*c)) {
        Some((inner, _)) => bad(text, byte + inner, "expected the name of a host alone, such as `docs.rs`"),
        None => Ok(What::Fetch(Some(host.to_ascii_lowercase()))),
    }
}

fn paths(text: &str, inner: Option<(&str, usize)>) -> Result<Paths, BadPattern> {
    let Some((inner, byte)) = inner else { return Ok(Paths(Vec::new())) };
    if inner.starts_with(['/', '~']) {
        return bad(text, byte, "a path starts at the workspace, so it is relative");
    }
    let mut at = byte;
    let mut segments = Vec::new();
    for segment in inner.split('/') {
        if segment.is_empty() || segment == "." || segment == ".." {
            return bad(text, at, format!("`{segment}` is no part of a path here"));
        }
        if segment.contains("**") && segment != "**" {
            return bad(text, at, "`**` stands for whole directories: write it between slashes");
        }
        segments.push(segment.to_owned());
        at += segment.len() + 1;
    }
    Ok(Paths(segments))
}

fn words(text: &str, inner: &str, byte: usize) -> Result<Words, BadPattern> {
    const JOINS: [char; 14] = [';', '|', '&', '$', '`', '<', '>', '(', ')', '{', '}', '"', '\'', '\\'];
    if let Some((at, c)) = inner.char_indices().find(|(_, c)| JOINS.contains(c)) {
        return bad(text, byte + at, format!("a rule covers one command in plain words, without `{c}`"));
    }
    let mut words: Vec<String> =
        inner.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
    if words.first().is_some_and(|word| word.contains('*')) {
        return bad(text, byte, "expected the name of a program; for every command write `shell` alone");
    }
    let more = words.last().is_some_and(|word| word == "*");
    if more {
        words.pop();
    }
    Ok(Words { words, more })
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Pattern {
    /// The pattern of all calls of a tool, by its exact name.
    #[must_use]
    pub fn tool(name: &str) -> Self {
        Self { text: format!("tool({name})"), what: What::Tool(name.to_owned()) }
    }

    /// The pattern of all edits below the workspace.
    #[must_use]
    pub fn edits() -> Self {
        Self { text: "edit".to_owned(), what: What::Edit(Paths(Vec::new())) }
    }

    /// Whether it covers a piece of a call.
    #[must_use]
    pub fn covers(&self, piece: &Piece, call: &Call) -> bool {
        match &self.what {
            What::Tool(name) => call.tool.as_deref() == Some(name) && is_of(name, piece),
            What::Read(paths) => matches!(piece, Piece::Read(Place::Inside(path)) if paths.cover(path)),
            What::Edit(paths) => matches!(
                piece,
                Piece::Edit(Place::Inside(path)) | Piece::Delete(Place::Inside(path)) if paths.cover(path)
            ),
            What::Shell(None) => matches!(
                piece,
                Piece::Run(command, Place::Inside(_)) if command.is_known()
                    && command.exact_only.is_none()
                    && command.args().iter().all(|word| stays(&word.text, call))
            ),
            What::Shell(Some(words)) => {
                matches!(piece, Piece::Run(command, Place::Inside(_)) if words.cover(command, call))
            }
            What::Fetch(None) => matches!(piece, Piece::Fetch(_)),
            What::Fetch(Some(host)) => {
                matches!(piece, Piece::Fetch(url) if host_of(url).is_some_and(|found| found == *host))
            }
            What::Mcp(server, tool) => matches!(
                piece,
                Piece::Mcp(found, name) if server == found && (tool == "*" || tool == name)
            ),
        }
    }

    /// Whether it covers a call as a whole, alone.
    #[must_use]
    pub fn covers_call(&self, call: &Call) -> bool {
        call.is_clear() && call.pieces.iter().all(|piece| piece.is_free() || self.covers(piece, call))
    }
}

impl Call {
    /// Whether everything it does is known.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.opaque.is_empty() && !self.pieces.is_empty()
    }
}

impl Piece {
    /// Whether it needs no rule: `cd` to a place in the workspace does nothing by itself.
    #[must_use]
    pub fn is_free(&self) -> bool {
        match self {
            Self::Run(command, Place::Inside(_)) => {
                command.program() == "cd" && command.is_known() && command.words[0].text == "cd"
            }
            Self::Run(..)
            | Self::Read(_)
            | Self::Edit(_)
            | Self::Delete(_)
            | Self::Fetch(_)
            | Self::Mcp(..)
            | Self::Tool(_) => false,
        }
    }
}

impl Words {
    fn cover(&self, command: &Command, call: &Call) -> bool {
        if !command.is_known() || (command.exact_only.is_some() && !self.is_exact()) {
            return false;
        }
        let given = &command.words;
        let enough =
            if self.more { given.len() >= self.words.len() } else { given.len() == self.words.len() };
        let named = self.words.iter().zip(given).all(|(pattern, word)| match word.kind {
            Kind::Literal if pattern.contains('*') => wild(pattern, &word.text) && stays(&word.text, call),
            Kind::Literal => *pattern == word.text,
            Kind::Glob => pattern == "*" && stays(&word.text, call),
            Kind::Unknown => false,
        });
        enough && named && given.iter().skip(self.words.len()).all(|word| stays(&word.text, call))
    }

    fn is_exact(&self) -> bool {
        !self.more && self.words.iter().all(|word| !word.contains('*'))
    }
}

impl Paths {
    fn cover(&self, path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        // `fits[j]` says whether the segments so far cover the first `j` parts.
        let mut fits = vec![false; parts.len() + 1];
        fits[0] = true;
        if self.0.is_empty() {
            return !parts.is_empty();
        }
        for segment in &self.0 {
            let mut next = vec![false; parts.len() + 1];
            for j in 0..=parts.len() {
                next[j] = if segment == "**" {
                    fits[j] || (j > 0 && next[j - 1])
                } else {
                    j > 0 && fits[j - 1] && wild(segment, parts[j - 1])
                };
            }
            fits = next;
        }
        !parts.is_empty() && fits[parts.len()]
    }
}

/// The words that ACP has for kinds of calls. Where an agent names no tool, its calls are known by these.
const KINDS: [&str; 10] =
    ["read", "edit", "delete", "move", "search", "execute", "think", "fetch", "switch_mode", "other"];

/// The kind of everything that runs a command.
pub(crate) const COMMANDS: &str = "execute";

/// Whether a piece is what the name of its tool says, where that is the word of a kind. An agent names its tools itself: one
/// that calls `edit` what runs a command would else have it covered by what was given for edits.
fn is_of(tool: &str, piece: &Piece) -> bool {
    if !KINDS.contains(&tool) {
        return true;
    }
    match piece {
        Piece::Run(..) | Piece::Mcp(..) => false,
        Piece::Read(_) => matches!(tool, "read" | "search"),
        Piece::Edit(_) => matches!(tool, "edit" | "move"),
        Piece::Delete(_) => tool == "delete",
        Piece::Fetch(_) => tool == "fetch",
        Piece::Tool(_) => true,
    }
}

/// Whether a word names nothing outside the workspace. A `*` never stands for one that does: that has to be spelled out.
fn stays(word: &str, call: &Call) -> bool {
    let path = word.split_once('=').map_or(word, |(_, value)| value);
    let leads = path.starts_with(['/', '~']) || path.split('/').any(|part| part == "..");
    let free = crate::risk::table::HARMLESS_PATHS.contains(&path);
    !leads || free || matches!(Place::of(path, &Dir::Start, call.workspace.as_deref()), Place::Inside(_))
}

/// Whether a text fits a pattern in which `*` stands for any characters, none included.
fn wild(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// The host of an address, without what could make it look like another.
fn host_of(url: &str) -> Option<String> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let authority = rest.split(['/', '?', '#']).next()?;
    if authority.contains(['@', '\\']) {
        return None;
    }
    let host = authority.split_once(':').map_or(authority, |(host, _)| host);
    Some(host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(line: &str) -> Call {
        let json = serde_json::json!({ "kind": "execute", "rawInput": { "command": line } });
        Call::read(None, Some(&crate::raw::Raw::of(&json).unwrap()), Some("/work"))
    }

    fn covers(pattern: &str, call: &Call) -> bool {
        pattern.parse::<Pattern>().unwrap().covers_call(call)
    }

    #[test]
    fn a_bad_pattern_is_refused_with_the_place_of_the_error() {
        for (text, expected) in [
            ("", "at character 1: expected `read`, `edit`, `shell`, `fetch`, `tool` or `mcp:`"),
            ("shel(ls)", "at character 1: expected `read`, `edit`, `shell`, `fetch`, `tool` or `mcp:`"),
            ("shell(ls", "at character 9: expected `)`"),
            ("shell(ls) x", "at character 10: nothing may follow `)`"),
            ("shell()", "at character 7: expected what `shell` covers; for everything write `shell` alone"),
            (
                "shell(*)",
                "at character 7: expected the name of a program; for every command write `shell` alone",
            ),
            ("shell(ls; id)", "at character 9: a rule covers one command in plain words, without `;`"),
            ("shell(é $x)", "at character 9: a rule covers one command in plain words, without `$`"),
            ("edit(/etc/x)", "at character 6: a path starts at the workspace, so it is relative"),
            ("edit(a/../b)", "at character 8: `..` is no part of a path here"),
            ("edit(a//b)", "at character 8: `` is no part of a path here"),
            ("read(a/**b)", "at character 8: `**` stands for whole directories: write it between slashes"),
            ("fetch(https://x)", "at character 12: expected the name of a host alone, such as `docs.rs`"),
            (
                "mcp:server",
                "at character 11: expected `/` and the tool's name, or `/*` for all tools of the server",
            ),
            ("mcp:/x", "at character 5: expected a name"),
            ("mcp:a/b c", "at character 8: a name has letters, digits, `_`, `-` and `.`"),
            ("tool", "at character 5: expected `(` and the tool's name"),
            ("read\n", "at character 5: this character is not allowed"),
        ] {
            let error = text.parse::<Pattern>().unwrap_err();
            assert_eq!(error.to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_each_form_covers() {
        let of = |kind: &str, path: &str| {
            let json = serde_json::json!({ "kind": kind, "rawInput": { "file_path": path } });
            Call::read(Some("T"), Some(&crate::raw::Raw::of(&json).unwrap()), Some("/work"))
        };
        for (pattern, yes, no) in [
            ("read", "a/b", "/etc/x"),
            ("read(a/*)", "a/b", "a/b/c"),
            ("read(a/**)", "a/b/c", "ab/c"),
            ("read(**/x)", "a/x", "a/y"),
            ("read(a/*.rs)", "/work/a/b.rs", "a/b.c"),
            ("read(**)", "a", "../a"),
            ("read(a/**/b)", "a/b", "a/c"),
        ] {
            assert!(covers(pattern, &of("read", yes)) && !covers(pattern, &of("read", no)), "{pattern}");
            assert!(!covers(pattern, &of("edit", yes)), "{pattern} is no leave to write");
        }
        assert!(covers("edit(a/**)", &of("edit", "a/b")) && covers("tool(T)", &of("edit", "a")));
        assert!(!covers("tool(U)", &of("edit", "a")) && !covers("edit", &of("edit", "/worker/a")));
        let fetch = |url: &str| {
            let json = serde_json::json!({ "kind": "fetch", "rawInput": { "url": url } });
            Call::read(None, Some(&crate::raw::Raw::of(&json).unwrap()), None)
        };
        assert!(covers("fetch(docs.rs)", &fetch("https://Docs.rs:443/x")));
        for url in [
            "https://docs.rs.evil/",
            "https://docs.rs@evil/",
            "https://evil/docs.rs",
            "ftp://docs.rs",
            "https://docs.rs\\@evil/",
        ] {
            assert!(!covers("fetch(docs.rs)", &fetch(url)), "{url}");
        }
        let mcp = Call::read(Some("mcp__git__log"), None, None);
        assert!(
            covers("mcp:git/log", &mcp)
                && covers("mcp:git/*", &mcp)
                && !covers("mcp:git/lo", &mcp)
                && !covers("shell", &mcp)
        );
    }

    proptest! {
        #[test]
        fn a_pattern_reads_back_and_never_panics(text in r"(shell|read|edit|mcp:|fetch|tool)?[(a-c*/ .:)~;é\n]{0,20}") {
            if let Ok(pattern) = text.parse::<Pattern>() {
                prop_assert_eq!(pattern.to_string().parse::<Pattern>(), Ok(pattern));
            }
        }

        /// Whatever is written behind a command that is allowed, another program is not.
        #[test]
        fn no_other_program_rides_along(tail in r#"[ a-c;&|$`(){}<>\n"'\\-]{0,12}"#, joint in prop::sample::select(vec![";", "&&", "||", "|", "&", "\n", "$(", "`", "<(", "(", "{ "])) {
            let line = format!("echo a {joint} evil {tail}");
            let call = run(&line);
            let said = call.pieces.iter().all(|piece| !matches!(piece, Piece::Run(command, _) if command.program() == "evil"));
            prop_assert!(!covers("shell(echo *)", &call) || said, "{line:?} {call:?}");
        }

        #[test]
        fn a_path_outside_is_never_covered(parts in prop::collection::vec(prop::sample::select(vec!["..", "a", ".", "", "b"]), 1..6), absolute in any::<bool>()) {
            let path = format!("{}{}", if absolute { "/" } else { "" }, parts.join("/"));
            let json = serde_json::json!({ "kind": "edit", "rawInput": { "file_path": path } });
            let call = Call::read(None, Some(&crate::raw::Raw::of(&json).unwrap()), Some("/work"));
            prop_assert!(!covers("edit(**)", &call) || !(absolute || path.contains("..")), "{path}");
        }
    }
}
