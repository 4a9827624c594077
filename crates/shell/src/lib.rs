//! What a line of shell would run, as far as that can be known by reading it.
//!
//! [`read`] gives every simple command of a line, wherever it stands: behind `;`, `&&`, `|`, in a subshell, a loop, a
//! substitution, or inside a command that runs another (`env`, `xargs`, `bash -c`). What cannot be known by reading is
//! said as *opaque*, with the reason: a permission must never cover it. So an error of this crate has to be a command
//! that is not understood, and never one that is overlooked.
//!
//! - [`script`]: the types.
//! - [`word`]: words and how much of them is known.
//! - [`walk`]: from the parser's tree to the commands.
//! - [`runs`]: commands that run other commands, or that carry a program of their own.
#![forbid(unsafe_code)]

pub mod runs;
pub mod script;
pub mod walk;
pub mod word;

pub use runs::SHELLS;
pub use script::{Command, Dir, Redirect, Script, Way};
pub use word::{Kind, Word};

/// How many bytes a line may have; longer ones are opaque.
pub const MAX_BYTES: usize = 16 << 10;
/// How often a line may open something that can nest; more is opaque. The parser recurses, and a deep line would take its
/// stack.
pub const MAX_OPENINGS: usize = 48;
/// How many parentheses a line may open; more is opaque. The parser tries each as a subshell and as arithmetic, so its time
/// doubles with each that stands inside another.
pub const MAX_PARENTHESES: usize = 14;
/// How deep substitutions and commands inside commands are followed; deeper ones are opaque.
pub const MAX_DEPTH: usize = 6;
/// How many commands a line may have; more are opaque.
pub const MAX_COMMANDS: usize = 200;

/// Reads a line, or a whole script.
#[must_use]
pub fn read(line: &str) -> Script {
    let mut walk = walk::Walk::default();
    walk.line(line, 0);
    walk.script
}

/// Reads a command that is given as its words, without a shell between.
#[must_use]
pub fn read_words(words: &[String]) -> Script {
    let mut walk = walk::Walk::default();
    match words.iter().find_map(|word| unreadable(word).filter(|_| !word.is_empty())) {
        Some(why) => walk.opaque(why),
        None if words.is_empty() => walk.opaque("it is empty"),
        None => runs::take(&mut walk, Command::of(words.iter().map(Word::literal).collect()), 0),
    }
    walk.script
}

/// Why a line is not even given to the parser.
#[must_use]
pub fn unreadable(line: &str) -> Option<String> {
    if line.len() > MAX_BYTES {
        return Some(format!("it is longer than {MAX_BYTES} bytes"));
    }
    let odd = |c: char| {
        let hidden = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
        hidden || (c.is_control() && c != '\n' && c != '\t') || (c.is_whitespace() && !c.is_ascii())
    };
    if let Some(c) = line.chars().find(|c| odd(*c)) {
        return Some(format!("it has the character U+{:04X}, which looks like something else", u32::from(c)));
    }
    if line.trim().is_empty() {
        return Some("it is empty".to_owned());
    }
    let nests = line.chars().filter(|c| matches!(c, '(' | '{' | '`')).count();
    let words = line.split(|c: char| !c.is_ascii_alphabetic() && c != '!' && c != '[');
    let keywords = words.filter(|word| {
        matches!(
            *word,
            "if" | "while"
                | "until"
                | "for"
                | "case"
                | "select"
                | "function"
                | "coproc"
                | "time"
                | "!"
                | "[["
        )
    });
    let parentheses = line.bytes().filter(|b| *b == b'(').count();
    let deep = parentheses > MAX_PARENTHESES || nests + keywords.count() > MAX_OPENINGS;
    deep.then(|| "it nests too much".to_owned())
}
