//! Commands that run other commands, or that carry a program of their own.
//!
//! A command that runs another counts as both: a rule must cover each. Where the other cannot be found, the line is
//! opaque.

use crate::script::{Command, Dir};
use crate::walk::Walk;
use crate::word::Word;
use crate::{MAX_COMMANDS, MAX_DEPTH};

/// Builtins after which the rest of the line, or the shell itself, means something else.
const CHANGES_SHELL: [&str; 32] = [
    ".",
    "alias",
    "bind",
    "builtin",
    "coproc",
    "declare",
    "disown",
    "enable",
    "eval",
    "exec",
    "export",
    "fc",
    "getopts",
    "hash",
    "history",
    "let",
    "local",
    "mapfile",
    "popd",
    "pushd",
    "read",
    "readarray",
    "readonly",
    "set",
    "shopt",
    "source",
    "suspend",
    "trap",
    "typeset",
    "ulimit",
    "unalias",
    "unset",
];

/// Shells: with `-c` they run a line, with a file a script, and else what they read.
pub const SHELLS: [&str; 10] = ["ash", "bash", "csh", "dash", "fish", "ksh", "mksh", "sh", "tcsh", "zsh"];

/// Commands that run their arguments: the options that take a value of their own, the options that take none, and how
/// many words stand before the command.
struct Wrapper {
    name: &'static str,
    valued: &'static [&'static str],
    plain: &'static [&'static str],
    skip: usize,
}

const WRAPPERS: &[Wrapper] = &[
    Wrapper { name: "command", valued: &[], plain: &["-p"], skip: 0 },
    Wrapper { name: "doas", valued: &["-u"], plain: &["-n"], skip: 0 },
    Wrapper { name: "env", valued: &["-u", "--unset"], plain: &["-i", "--ignore-environment"], skip: 0 },
    Wrapper { name: "ionice", valued: &["-c", "-n"], plain: &["-t"], skip: 0 },
    Wrapper { name: "nice", valued: &["-n"], plain: &[], skip: 0 },
    Wrapper { name: "nohup", valued: &[], plain: &[], skip: 0 },
    Wrapper { name: "setsid", valued: &[], plain: &["-f", "-w", "-c", "--fork", "--wait"], skip: 0 },
    Wrapper { name: "stdbuf", valued: &["-i", "-o", "-e"], plain: &[], skip: 0 },
    Wrapper {
        name: "sudo",
        valued: &["-u", "-g", "--user", "--group"],
        plain: &["-n", "-E", "-H", "-S", "-k", "-b"],
        skip: 0,
    },
    Wrapper { name: "time", valued: &["-f", "-o"], plain: &["-p", "-v"], skip: 0 },
    Wrapper {
        name: "timeout",
        valued: &["-s", "-k", "--signal", "--kill-after"],
        plain: &["-v", "--foreground", "--preserve-status", "--verbose"],
        skip: 1,
    },
    Wrapper {
        name: "xargs",
        valued: &["-n", "-P", "-L", "-d", "-I", "-s", "-E", "-a"],
        plain: &["-0", "-r", "-t", "-x", "--null", "--no-run-if-empty"],
        skip: 0,
    },
];

/// Commands that run others in ways that are not followed.
const RUNS_UNSEEN: [&str; 27] = [
    "at",
    "batch",
    "busybox",
    "capsh",
    "chroot",
    "chrt",
    "crontab",
    "entr",
    "expect",
    "firejail",
    "flock",
    "gosu",
    "nsenter",
    "parallel",
    "pkexec",
    "proxychains",
    "run-parts",
    "runuser",
    "screen",
    "script",
    "setpriv",
    "start-stop-daemon",
    "strace",
    "su",
    "systemd-run",
    "unshare",
    "watch",
];

/// Options by which a command that looks harmless runs a program: whoever grants it must have spelled it out.
const RUNS_BY_OPTION: &[(&str, &[&str])] = &[
    ("cargo", &["--config"]),
    ("find", &["-delete", "-fprint", "-fls"]),
    (
        "git",
        &[
            "-c",
            "--config-env",
            "--exec-path",
            "--upload-pack",
            "--receive-pack",
            "-u",
            "--ext-diff",
            "-O",
            "--open-files-in-pager",
            "-x",
            "--exec",
            "--extcmd",
            "--tool",
            "--textconv",
            "--output",
            "-C",
            "--git-dir",
            "--work-tree",
        ],
    ),
    ("go", &["-exec", "-toolexec", "-vettool"]),
    ("less", &["-k", "--lesskey", "+"]),
    ("make", &["-f", "-C", "--eval", "--file", "--makefile", "--directory", "SHELL="]),
    ("man", &["-P", "--pager", "-H", "--html"]),
    ("npm", &["--script-shell", "--node-options", "--prefix", "-C"]),
    ("rg", &["--pre", "--hostname-bin"]),
    ("rsync", &["-e", "--rsh", "--rsync-path"]),
    ("scp", &["-S", "-o", "-F"]),
    ("sort", &["--compress-program", "-o", "--output"]),
    ("ssh", &["-o", "-F", "-E"]),
    (
        "tar",
        &[
            "--checkpoint-action",
            "--to-command",
            "-I",
            "--use-compress-program",
            "-F",
            "--info-script",
            "--new-volume-script",
            "--rsh-command",
            "--rmt-command",
        ],
    ),
    ("wget", &["--use-askpass", "-O", "--output-document", "-e", "--execute"]),
    ("zip", &["-T", "-TT", "--unzip-command"]),
];

/// Words of a command by which it runs a program that a setting or the next words name.
const RUNS_BY_WORD: &[(&str, &[&str])] =
    &[("git", &["bisect", "config", "difftool", "filter-branch", "foreach", "mergetool", "send-email"])];

/// Languages: an argument of theirs can be a whole program.
const LANGUAGES: &[(&str, &[&str])] = &[
    ("awk", &[]),
    ("bun", &["-e", "--eval", "-p"]),
    ("deno", &["eval"]),
    ("ed", &[]),
    ("emacs", &[]),
    ("ex", &[]),
    ("gawk", &[]),
    ("gdb", &[]),
    ("jshell", &[]),
    ("lua", &["-e"]),
    ("mawk", &[]),
    ("nawk", &[]),
    ("node", &["-e", "--eval", "-p", "--print", "-r", "--require", "--import"]),
    ("osascript", &[]),
    ("perl", &["-e", "-E", "-n", "-p", "-i", "-M", "-I"]),
    ("php", &["-r", "-R", "-B"]),
    ("psql", &[]),
    ("python", &["-c", "-"]),
    ("python2", &["-c", "-"]),
    ("python3", &["-c", "-"]),
    ("ruby", &["-e", "-r", "-n", "-p"]),
    ("sed", &[]),
    ("sqlite3", &[]),
    ("vi", &[]),
    ("view", &[]),
    ("vim", &[]),
];

/// Takes a command, and those that it runs.
pub(crate) fn take(walk: &mut Walk, command: Command, depth: usize) {
    let known = command.words.first().is_some_and(Word::is_literal);
    if !known {
        walk.opaque("what it runs is known only when it runs");
        return walk.script.commands.push(command);
    }
    if depth > MAX_DEPTH || walk.script.commands.len() >= MAX_COMMANDS {
        return walk.opaque("it nests too much");
    }
    let program = command.program().to_owned();
    if program.is_empty() {
        walk.opaque("a command has no name");
    }
    if CHANGES_SHELL.contains(&program.as_str()) {
        walk.opaque(format!("`{program}` changes what the shell does next"));
    }
    if RUNS_UNSEEN.contains(&program.as_str()) {
        walk.opaque(format!("`{program}` runs another command"));
    }
    if program == "printf" && command.args().first().is_some_and(|word| word.text.starts_with("-v")) {
        walk.opaque("`printf -v` sets a variable");
    }
    let is_cd = program == "cd";
    let (dir, inner) = (walk.dir.clone(), inner(walk, &command, &program));
    let exact_only = exact_only(&command, &program);
    let moves = is_cd.then(|| moved(&dir, &command));
    let mut run_by = command.run_by.clone();
    run_by.push(program);
    walk.script.commands.push(Command { exact_only, ..command.clone() });
    if let Some(dir) = moves {
        walk.dir = dir;
    }
    match inner {
        Inner::None => {}
        Inner::Line(line) => {
            let first = walk.script.commands.len();
            walk.line(&line, depth + 1);
            for inner in &mut walk.script.commands[first..] {
                inner.run_by.splice(..0, run_by.clone()).for_each(drop);
            }
            walk.dir = dir;
        }
        Inner::Words { words, env } => {
            let inner = Command { words, env, redirects: Vec::new(), run_by, exact_only: None, ..command };
            take(walk, inner, depth + 1);
            walk.dir = dir;
        }
    }
}

fn moved(dir: &Dir, command: &Command) -> Dir {
    match command.args() {
        [path] => dir.after(path),
        [] | [_, ..] => Dir::Unknown,
    }
}

/// What a command runs.
enum Inner {
    None,
    Line(String),
    Words { words: Vec<Word>, env: Vec<String> },
}

fn inner(walk: &mut Walk, command: &Command, program: &str) -> Inner {
    if SHELLS.contains(&program) {
        return shell(walk, command, program);
    }
    if program == "find" {
        return find(walk, command.args());
    }
    let Some(wrapper) = WRAPPERS.iter().find(|wrapper| wrapper.name == program) else { return Inner::None };
    let Some(rest) = after_options(wrapper, command.args()) else {
        walk.opaque(format!("where the command of `{program}` starts cannot be told"));
        return Inner::None;
    };
    let assigns = |word: &&Word| {
        program == "env" && word.text.contains('=') || program == "sudo" && word.text.contains('=')
    };
    let env: Vec<_> = rest.iter().take_while(assigns).map(|word| word.text.clone()).collect();
    let mut words = rest[env.len()..].to_vec();
    if words.is_empty() {
        if program == "xargs" {
            words.push(Word::literal("echo"));
        } else {
            return Inner::None;
        }
    }
    if program == "xargs" {
        words.push(Word::unknown("…"));
    }
    Inner::Words { words, env }
}

fn after_options<'a>(wrapper: &Wrapper, mut args: &'a [Word]) -> Option<&'a [Word]> {
    while let [first, rest @ ..] = args {
        if !first.is_literal() {
            return None;
        }
        let text = first.text.as_str();
        let name = text.split_once('=').map_or(text, |(name, _)| name);
        if text == "--" {
            args = rest;
            break;
        } else if !text.starts_with('-') {
            break;
        } else if wrapper.plain.contains(&text) || (wrapper.valued.contains(&name) && name != text) {
            args = rest;
        } else if wrapper.valued.contains(&text) {
            args = rest.get(1..)?;
        } else {
            return None;
        }
    }
    args.get(wrapper.skip..)
}

/// `bash -c LINE` is its line; a shell without a file runs what it reads, which nobody knows.
fn shell(walk: &mut Walk, command: &Command, program: &str) -> Inner {
    let mut args = command.args().iter();
    match args.next() {
        Some(option)
            if option.is_literal()
                && matches!(option.text.as_str(), "-c" | "-lc" | "-ec" | "-euc" | "-xc") =>
        {
            match (args.next(), args.next()) {
                (Some(line), None) if line.is_literal() => return Inner::Line(line.text.clone()),
                (Some(_) | None, _) => walk.opaque(format!("what `{program} -c` runs is not known")),
            }
        }
        Some(file) if file.is_literal() && !file.text.starts_with(['-', '+']) => {}
        Some(option) if option.is_literal() && matches!(option.text.as_str(), "--version" | "-n") => {}
        Some(_) | None => walk.opaque(format!("what `{program}` runs is not known")),
    }
    Inner::None
}

fn find(walk: &mut Walk, args: &[Word]) -> Inner {
    let runs = |word: &Word| matches!(word.text.as_str(), "-exec" | "-execdir" | "-ok" | "-okdir");
    let Some(at) = args.iter().position(runs) else { return Inner::None };
    let rest = &args[at + 1..];
    let end = rest.iter().position(|word| matches!(word.text.as_str(), ";" | "+")).unwrap_or(rest.len());
    if rest.get(end + 1..).is_some_and(|more| more.iter().any(runs)) {
        walk.opaque("`find` runs more than one command");
    }
    let file = |word: &Word| if word.text.contains("{}") { Word::unknown("{}") } else { word.clone() };
    match rest[..end].iter().map(file).collect::<Vec<_>>() {
        words if words.is_empty() => Inner::None,
        words => Inner::Words { words, env: Vec::new() },
    }
}

fn exact_only(command: &Command, program: &str) -> Option<String> {
    let of = |table: &[(&str, &'static [&'static str])]| {
        table.iter().find(|(name, _)| *name == program).map(|(_, list)| *list)
    };
    let args = command.args();
    if let Some(options) = of(LANGUAGES) {
        let carries = args.iter().find(|word| options.iter().any(|option| is_option(&word.text, option)));
        if options.is_empty() || carries.is_some() {
            return Some(format!("`{program}` runs a program that is written in the command itself"));
        }
        if args.is_empty() {
            return Some(format!("`{program}` runs what it reads"));
        }
    }
    let option = of(RUNS_BY_OPTION).and_then(|options| {
        args.iter().find(|word| options.iter().any(|option| is_option(&word.text, option)))
    });
    let word =
        of(RUNS_BY_WORD).and_then(|words| args.iter().find(|word| words.contains(&word.text.as_str())));
    let found = option.or(word)?;
    Some(format!("`{program} {}` can run or write something else", found.text))
}

/// Whether a word is this option, alone, with its value behind it, or, for one letter, among others.
fn is_option(text: &str, option: &str) -> bool {
    if let (Some(letter), false) =
        (option.strip_prefix('-').filter(|name| name.len() == 1), text.starts_with("--"))
    {
        return text.starts_with('-') && text.contains(letter);
    }
    // A long option may be cut short as long as it is the only one that fits: `--checkpoint-act`.
    let name = text.split_once('=').map_or(text, |(name, _)| name);
    text.starts_with(option) || (name.starts_with("--") && name.len() > 4 && option.starts_with(name))
}
