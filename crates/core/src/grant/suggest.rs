//! Which patterns would cover a call like this one again.

use crate::call::{Call, Piece, Place};
use crate::pattern::Pattern;

impl Pattern {
    /// The patterns that together cover calls like this: each program of its commands with any words, each file by its path,
    /// each tool by its name. `None` where no pattern can say it.
    #[must_use]
    pub fn like(call: &Call) -> Option<Vec<Self>> {
        if !call.is_clear() {
            return None;
        }
        let mut patterns: Vec<Self> = Vec::new();
        for piece in call.pieces.iter().filter(|piece| !piece.is_free()) {
            if patterns.iter().any(|pattern| pattern.covers(piece, call)) {
                continue;
            }
            let pattern = of(piece)?.parse::<Self>().ok().filter(|pattern| pattern.covers(piece, call))?;
            patterns.push(pattern);
        }
        (!patterns.is_empty()).then_some(patterns)
    }
}

fn of(piece: &Piece) -> Option<String> {
    // A `*` in a name would stand for more than the name.
    let path = |place: &Place| match place {
        Place::Inside(path) if !path.contains('*') && !path.is_empty() => Some(path.clone()),
        Place::Inside(_) | Place::Outside(_) | Place::Unknown(_) => None,
    };
    match piece {
        Piece::Run(command, _) => Some(format!("shell({} *)", command.program())),
        Piece::Read(place) => Some(format!("read({})", path(place)?)),
        Piece::Edit(place) | Piece::Delete(place) => Some(format!("edit({})", path(place)?)),
        Piece::Fetch(_) => Some("fetch".to_owned()),
        Piece::Mcp(server, tool) => Some(format!("mcp:{server}/{tool}")),
        Piece::Tool(tool) => Some(format!("tool({tool})")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::raw::Raw;

    #[expect(clippy::needless_pass_by_value, reason = "`json!` is written in its place")]
    fn like(tool: Option<&str>, call: Value) -> Option<Vec<String>> {
        let call = Call::read(tool, Some(&Raw::of(&call).unwrap()), Some("/work"));
        Some(Pattern::like(&call)?.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_call_is_covered_by_what_it_does_and_by_no_more() {
        let shell = |line: &str| like(None, json!({ "kind": "execute", "rawInput": { "command": line } }));
        assert_eq!(shell("echo a"), Some(vec!["shell(echo *)".to_owned()]));
        assert_eq!(shell("echo a; ls -l && echo b").unwrap(), ["shell(echo *)", "shell(ls *)"]);
        assert_eq!(shell("echo $(cat x)"), None, "what it does cannot be told");
        let edit = |path: &str| like(None, json!({ "kind": "edit", "rawInput": { "path": path } }));
        assert_eq!(edit("/work/src/a.rs"), Some(vec!["edit(src/a.rs)".to_owned()]));
        assert_eq!((edit("/etc/passwd"), edit("a*b")), (None, None));
        assert_eq!(like(Some("mcp__files__read"), json!({})), Some(vec!["mcp:files/read".to_owned()]));
        assert_eq!(like(Some("Weather"), json!({})), Some(vec!["tool(Weather)".to_owned()]));
    }
}
