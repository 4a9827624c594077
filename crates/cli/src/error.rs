//! Errors as a person reads them: what happened, why, and what to do next.

use std::fmt::Write;
use std::io;

use trunkline_client::{Error as ClientError, Problem};

use crate::clean;
use crate::exit::Exit;
use crate::style::{Paint, Tone};

/// What commands give.
pub(crate) type Result<T> = std::result::Result<T, CliError>;

/// A failed command.
#[derive(Debug)]
pub(crate) struct CliError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    exit: Exit,
    message: String,
    causes: Vec<String>,
    hints: Vec<String>,
    quiet: bool,
}

impl CliError {
    /// An error that says what happened.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        let inner =
            Inner { exit, message: message.into(), causes: Vec::new(), hints: Vec::new(), quiet: false };
        Self(Box::new(inner))
    }

    /// A failure without a code of its own.
    pub(crate) fn failure(message: impl Into<String>) -> Self {
        Self::new(Exit::Failure, message)
    }

    /// A command line or a configuration that cannot be used.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The same with what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hints.push(hint.into());
        self
    }

    /// The same with what lies behind it.
    pub(crate) fn because(mut self, cause: impl Into<String>) -> Self {
        self.0.causes.push(cause.into());
        self
    }

    pub(crate) fn exit(&self) -> Exit {
        self.0.exit
    }

    /// The lines for stderr; empty when nobody reads them any more.
    pub(crate) fn render(&self, paint: Paint) -> String {
        let Inner { message, causes, hints, quiet, .. } = &*self.0;
        let mut text = String::new();
        if *quiet {
            return text;
        }
        let mut line = |tone, label: &str, message: &str| {
            let message = clean::text(message);
            writeln!(text, "{} {}", paint.of(tone, label), message.trim_end())
                .expect("a string takes everything");
        };
        line(Tone::Bad, "error:", message);
        causes.iter().for_each(|cause| line(Tone::Dim, "  caused by:", cause));
        hints.iter().for_each(|hint| line(Tone::Accent, "hint:", hint));
        text
    }
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        let mut cli = Self::failure(error.to_string());
        if error.kind() == io::ErrorKind::BrokenPipe {
            // Whoever read our output has had enough, as `head` does: nothing is wrong.
            cli.0.exit = Exit::Ok;
            cli.0.quiet = true;
        }
        cli
    }
}

impl From<anyhow::Error> for CliError {
    fn from(error: anyhow::Error) -> Self {
        let mut chain = error.chain().map(ToString::to_string);
        let first = Self::failure(chain.next().unwrap_or_default());
        chain.fold(first, Self::because)
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        let message = error.to_string();
        let causes = causes(&error);
        let cli = match &error {
            ClientError::Problem(problem) => return of_problem(problem),
            ClientError::NotRunning { .. } | ClientError::Unreachable { .. } => {
                Self::new(Exit::Unreachable, message).hint("start it with `trunkline serve --detach`")
            }
            ClientError::Broken { .. } | ClientError::TimedOut { .. } => {
                Self::new(Exit::Unreachable, message)
                    .hint("`trunkline status` shows whether the daemon lives, `trunkline logs` what it says")
            }
            ClientError::Unexpected { .. } => Self::failure(message)
                .hint("is this daemon another version? `trunkline stop`, then try again to start this one"),
            ClientError::File { .. } => {
                Self::failure(message).hint("`trunkline doctor` looks at the home directory")
            }
            _ => Self::failure(message),
        };
        causes.into_iter().fold(cli, Self::because)
    }
}

fn causes(error: &dyn std::error::Error) -> Vec<String> {
    std::iter::successors(error.source(), |error| error.source()).map(ToString::to_string).collect()
}

fn of_problem(problem: &Problem) -> CliError {
    let exit = match problem.status {
        401 | 403 => Exit::Denied,
        404 | 410 => Exit::NotFound,
        409 => Exit::Conflict,
        400 | 422 => Exit::Usage,
        _ => Exit::Failure,
    };
    let error = CliError::new(exit, problem.to_string());
    match problem.code.as_str() {
        "turn_running" => error.hint("add --queue to let the prompt wait, or `trunkline cancel` the turn"),
        "no_turn_running" => error.hint("`trunkline ls` shows what each session does"),
        "session_closed" => error.hint("start another with `trunkline run`"),
        "unauthenticated" => {
            error.hint("the token in the home directory is not this daemon's; see `trunkline doctor`")
        }
        "disk_full" | "stopping" | "store_down" => error.hint("`trunkline logs` says more"),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(json: &str) -> CliError {
        ClientError::Problem(Box::new(serde_json::from_str(json).unwrap())).into()
    }

    #[test]
    fn an_error_says_what_why_and_what_next() {
        let error = CliError::failure("it broke\u{1b}[2J").because("the fuse").hint("change it");
        insta::assert_snapshot!(error.render(Paint::PLAIN), @r"
        error: it broke␛[2J
          caused by: the fuse
        hint: change it
        ");
    }

    #[test]
    fn a_problem_has_its_exit_code_and_a_hint() {
        let busy = problem(r#"{"status":409,"code":"turn_running","detail":"turn 7 is running"}"#);
        assert_eq!(busy.exit(), Exit::Conflict);
        insta::assert_snapshot!(busy.render(Paint::PLAIN), @r"
        error: turn 7 is running
        hint: add --queue to let the prompt wait, or `trunkline cancel` the turn
        ");
        for (status, exit) in [
            (401, Exit::Denied),
            (403, Exit::Denied),
            (404, Exit::NotFound),
            (410, Exit::NotFound),
            (422, Exit::Usage),
            (507, Exit::Failure),
        ] {
            let json = format!(r#"{{"status":{status},"code":"x","detail":"d"}}"#);
            assert_eq!(problem(&json).exit(), exit, "{status}");
        }
    }

    #[test]
    fn a_reader_that_has_gone_is_no_error() {
        let error = CliError::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((error.exit(), error.render(Paint::PLAIN)), (Exit::Ok, String::new()));
    }
}
