//! What goes wrong with an agent, told to a person: what was run, where, how it ended, and its last words.

use std::io;
use std::path::Path;
use std::time::Duration;

use trunkline_wire::acp::{AuthMethod, PROTOCOL_VERSION};
use trunkline_wire::jsonrpc::{ErrorObject, code};

use super::link::Broken;
use crate::catalog::Unrunnable;
use crate::cell::CommandError;
use crate::custody::{Exit, FailureKind, SpawnError};
use crate::sandbox::Unconfinable;

/// How much of an agent's stderr an error shows, in lines and in bytes.
const LAST_LINES: usize = 20;
const LAST_BYTES: usize = 4 << 10;
/// How much of a line that is no message an error shows, in characters.
const SHOWN: usize = 200;

/// Why a turn came to nothing.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The catalog does not know how to run it.
    Unrunnable(Unrunnable),
    /// The session's workspace is missing or cannot be used.
    Workspace(String),
    /// What it is to be shut in by contradicts itself.
    Unconfinable(Unconfinable),
    /// There is no directory for its temporary files.
    Scratch(io::Error),
    /// It did not start.
    NotStarted { error: SpawnError, hint: String },
    /// What has happened cannot be written down.
    Store(CommandError),
    /// Its pipes broke, most often because it ended, while this was awaited.
    Broken { method: &'static str, why: Broken },
    /// It did not answer.
    Silent { method: &'static str, patience: Duration },
    /// It answered with an error.
    Refused { method: &'static str, error: ErrorObject, login: Vec<AuthMethod> },
    /// Its answer is not what it should be.
    Nonsense { method: &'static str, error: String },
    /// It speaks another version of the protocol.
    Version(u16),
    /// The prompt holds what it does not take.
    Content { kind: String, place: usize },
    /// Somebody asked the turn to stop before the prompt was sent.
    Stopped,
}

/// A process that is over, as far as its errors need it.
#[derive(Debug, Default)]
pub(crate) struct Remains {
    /// How it ended, if it did so without us.
    pub(super) exit: Option<Exit>,
    /// The end of its stderr.
    pub(super) stderr: String,
    /// The first line it wrote that is no message.
    pub(super) garbage: Option<String>,
}

/// Who is in trouble.
pub(crate) struct Culprit<'a> {
    pub(crate) name: &'a str,
    pub(crate) argv: &'a [String],
    pub(crate) workspace: &'a Path,
}

impl Trouble {
    /// Whether the agent can take another prompt as if nothing had happened.
    pub(super) fn is_harmless(&self) -> bool {
        match self {
            Self::Refused { method, .. } | Self::Nonsense { method, .. } => {
                *method == trunkline_wire::acp::method::SESSION_PROMPT
            }
            Self::Content { .. } => true,
            Self::Unrunnable(_)
            | Self::Workspace(_)
            | Self::Unconfinable(_)
            | Self::Scratch(_)
            | Self::NotStarted { .. }
            | Self::Store(_)
            | Self::Broken { .. }
            | Self::Silent { .. }
            | Self::Version(_)
            | Self::Stopped => false,
        }
    }

    /// What to tell a person, with what is left of the process if there was one.
    pub(crate) fn tell(&self, culprit: &Culprit<'_>, remains: Option<&Remains>) -> String {
        let mut told = self.headline(culprit, remains.and_then(|remains| remains.exit));
        if let Some(remains) = remains {
            told.push_str(&format!(
                "\nIt was run as `{}` in {}.",
                line(culprit.argv),
                culprit.workspace.display()
            ));
            if let Some(garbage) = &remains.garbage {
                told.push_str(&format!(
                    "\nThe first line on its stdout that is no message: {}",
                    shown(garbage)
                ));
            }
            match last(&remains.stderr) {
                "" => told.push_str("\nIt wrote nothing to stderr."),
                words => told.push_str(&format!("\nThe end of its stderr:\n{words}")),
            }
        }
        told
    }

    fn headline(&self, culprit: &Culprit<'_>, exit: Option<Exit>) -> String {
        let name = culprit.name;
        match self {
            Self::Unrunnable(error) => error.to_string(),
            Self::Workspace(why) => why.clone(),
            Self::Unconfinable(error) => error.to_string(),
            Self::Scratch(error) => format!("there is no room for the agent's temporary files: {error}"),
            Self::NotStarted { error, hint } => {
                let missing =
                    matches!(error, SpawnError::Failed(failure) if failure.kind == FailureKind::NotFound);
                if missing && !hint.is_empty() { format!("{error}; {hint}") } else { error.to_string() }
            }
            Self::Store(error) => error.to_string(),
            Self::Broken { method, why } => broken(name, method, why, exit),
            Self::Silent { method, patience } => {
                let seconds = patience.as_secs_f32();
                format!(
                    "{name} said nothing for {seconds} s when asked for `{method}`; it may not speak ACP."
                )
            }
            Self::Refused { error, login, .. } if error.code == code::AUTH_REQUIRED => {
                format!("{name} wants you to log in: {error}{}", ways(culprit.argv, login))
            }
            Self::Refused { method, error, .. } => {
                format!("{name} answered `{method}` with an error: {error}")
            }
            Self::Nonsense { method, error } => {
                format!("{name} answered `{method}` with what is no answer to it: {error}")
            }
            Self::Version(version) => format!(
                "{name} speaks version {version} of ACP, and this is version {PROTOCOL_VERSION}; try another version of it."
            ),
            Self::Content { kind, place } => {
                format!(
                    "{name} takes no content of type `{kind}` (prompt[{place}]); leave it out, or name a file instead."
                )
            }
            Self::Stopped => "the turn was stopped".to_owned(),
        }
    }
}

fn broken(name: &str, method: &str, why: &Broken, exit: Option<Exit>) -> String {
    let when = match method {
        trunkline_wire::acp::method::SESSION_PROMPT => "in the middle of the turn".to_owned(),
        method => format!("before it answered `{method}`"),
    };
    match exit {
        Some(Exit::Code(code)) => format!("{name} ended {when}, with exit code {code}."),
        Some(Exit::Signal(signal)) => format!("{name} was ended {when}, by signal {signal}."),
        Some(Exit::Lost) => format!("{name} ended {when}, together with its keeper."),
        None => format!("{name} broke off {when}: {why}. It was still running, and was ended."),
    }
}

fn ways(argv: &[String], login: &[AuthMethod]) -> String {
    let way = |method: &AuthMethod| {
        let about = method.description.as_deref().filter(|about| *about != method.name);
        let about = about.map_or_else(String::new, |about| format!(": {about}"));
        let command = [argv.get(..1).unwrap_or_default(), &method.args].concat();
        let run = method.kind.as_deref() == Some("terminal");
        let run = if run { format!(" (run `{}` in a terminal)", line(&command)) } else { String::new() };
        format!("\n- {}{about}{run}", method.name)
    };
    let ways: String = login.iter().map(way).collect();
    if ways.is_empty() { ways } else { format!("\nIts ways to log in:{ways}") }
}

/// A command line for a person: on one line, of bounded length.
fn line(argv: &[String]) -> String {
    shown(&argv.join(" "))
}

/// The beginning of a text, on one line.
pub(crate) fn shown(text: &str) -> String {
    let mut characters = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut shown: String = characters.by_ref().take(SHOWN).collect();
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

/// The last lines of a text.
pub(crate) fn last(text: &str) -> &str {
    let text = text.trim_end();
    let over = text.ceil_char_boundary(text.len().saturating_sub(LAST_BYTES));
    let lines = text.rmatch_indices('\n').nth(LAST_LINES - 1).map_or(0, |(at, _)| at + 1);
    &text[over.max(lines)..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(trouble: &Trouble, remains: Option<&Remains>) -> String {
        let argv = ["gemini".to_owned(), "--acp".to_owned()];
        trouble.tell(&Culprit { name: "gemini", argv: &argv, workspace: Path::new("/w") }, remains)
    }

    #[test]
    fn an_error_says_what_was_run_where_and_its_last_words() {
        let broken = Trouble::Broken { method: "initialize", why: Broken::Closed };
        let remains = Remains {
            exit: Some(Exit::Code(3)),
            stderr: "one\ntwo\n".to_owned(),
            garbage: Some("Welcome!".to_owned()),
        };
        let expected = "gemini ended before it answered `initialize`, with exit code 3.\n\
            It was run as `gemini --acp` in /w.\n\
            The first line on its stdout that is no message: Welcome!\n\
            The end of its stderr:\none\ntwo";
        assert_eq!(told(&broken, Some(&remains)), expected);
        let deaf = Trouble::Broken { method: "session/prompt", why: Broken::Deaf };
        let expected = "gemini broke off in the middle of the turn: it does not read its input any more. \
            It was still running, and was ended.\nIt was run as `gemini --acp` in /w.\nIt wrote nothing to stderr.";
        assert_eq!(told(&deaf, Some(&Remains::default())), expected);
    }

    #[test]
    fn a_login_is_told_with_the_ways_to_it() {
        let login = serde_json::json!([
            { "id": "a", "name": "Log in with Google", "description": "In the browser" },
            { "id": "b", "name": "Key", "description": "Key" },
            { "id": "c", "name": "Terminal", "type": "terminal", "args": ["/login"] },
        ]);
        let error = ErrorObject::new(code::AUTH_REQUIRED, "Authentication required");
        let login = serde_json::from_value(login).unwrap();
        let refused = Trouble::Refused { method: "session/new", error, login };
        let expected = "gemini wants you to log in: Authentication required (-32000)\nIts ways to log in:\
            \n- Log in with Google: In the browser\n- Key\n- Terminal (run `gemini /login` in a terminal)";
        assert_eq!(told(&refused, None), expected);
    }

    #[test]
    fn only_the_end_of_much_is_shown() {
        let lines: String = (1..=100).map(|n| format!("{n}\n")).collect();
        assert_eq!(
            last(&lines).lines().collect::<Vec<_>>(),
            (81..=100).map(|n| n.to_string()).collect::<Vec<_>>()
        );
        assert_eq!(last("a\nb"), "a\nb");
        assert_eq!(last(&"€".repeat(LAST_BYTES)).len(), LAST_BYTES / 3 * 3);
        assert_eq!(shown(&format!("a\n{}", "x".repeat(300))), format!("a {}…", "x".repeat(198)));
    }
}
