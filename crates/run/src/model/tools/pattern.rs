//! Patterns of paths, as shells have them: `*`, `?`, `[a-z]`, `{a,b}`, and `**` for any directories.

use regex::Regex;

/// The longest pattern, in bytes.
const MAX_PATTERN: usize = 1_000;
/// How large a compiled pattern may be.
pub(super) const MAX_COMPILED: usize = 1 << 20;

/// Makes an expression of a pattern, which fits whole paths. A pattern without a `/` fits names in any directory.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > MAX_PATTERN {
        return Err(format!("the pattern is longer than {MAX_PATTERN} bytes"));
    }
    let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
    let whole = if pattern.contains('/') { pattern.to_owned() } else { format!("**/{pattern}") };
    let expression = format!("^{}$", translate(&whole)?);
    regex::RegexBuilder::new(&expression)
        .size_limit(MAX_COMPILED)
        .build()
        .map_err(|error| format!("the pattern cannot be read: {error}"))
}

fn translate(pattern: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = pattern.chars().peekable();
    let mut braces = 0;
    while let Some(c) = rest.next() {
        match c {
            '*' if rest.peek() == Some(&'*') => {
                rest.next();
                if rest.next_if_eq(&'/').is_some() {
                    out.push_str("(?:.*/)?");
                } else {
                    out.push_str(".*");
                }
            }
            '*' => out.push_str("[^/]*"),
            '?' => out.push_str("[^/]"),
            '[' => {
                out.push('[');
                if rest.next_if(|c| matches!(c, '!' | '^')).is_some() {
                    out.push('^');
                }
                let mut closed = false;
                for c in rest.by_ref() {
                    if c == ']' {
                        closed = true;
                        break;
                    }
                    if matches!(c, '[' | '\\' | '^' | '&' | '~') {
                        out.push('\\');
                    }
                    out.push(c);
                }
                if !closed {
                    return Err("the pattern has a `[` without its `]`".to_owned());
                }
                out.push(']');
            }
            '{' => {
                braces += 1;
                out.push_str("(?:");
            }
            '}' if braces > 0 => {
                braces -= 1;
                out.push(')');
            }
            ',' if braces > 0 => out.push('|'),
            c => out.push_str(&regex::escape(&c.to_string())),
        }
    }
    if braces > 0 { Err("the pattern has a `{` without its `}`".to_owned()) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use super::compile;

    #[test]
    fn patterns_fit_as_in_shells() {
        let fits = |pattern: &str, path: &str| compile(pattern).unwrap().is_match(path);
        for (pattern, path) in [
            ("*.rs", "a.rs"),
            ("*.rs", "src/deep/a.rs"),
            ("src/*.rs", "src/a.rs"),
            ("src/**/*.rs", "src/a.rs"),
            ("src/**/*.rs", "src/x/y/a.rs"),
            ("**/a?.{rs,toml}", "x/ab.toml"),
            ("./[a-c]/[!x].md", "b/y.md"),
            ("a+b(1).txt", "a+b(1).txt"),
            ("docs/**", "docs/a/b"),
        ] {
            assert!(fits(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("*.rs", "a.rsx"),
            ("src/*.rs", "src/x/a.rs"),
            ("src/*.rs", "other/src/a.rs"),
            ("?.rs", "ab.rs"),
            ("[!x].md", "x.md"),
            ("a.b", "axb"),
        ] {
            assert!(!fits(pattern, path), "{pattern} {path}");
        }
        assert!(compile("[a").is_err() && compile("{a").is_err() && compile(&"a".repeat(2_000)).is_err());
    }
}
