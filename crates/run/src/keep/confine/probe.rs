//! Which way of confining works here: each is tried on a program that does nothing, so that what is found is what holds.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use rustix::process::{WaitOptions, getpid, waitpid};

use crate::keep::control::{Limits, Os, Start};
use crate::keep::launch;
use crate::sandbox::{Confinement, Found, Means};

/// The argument of `keep` that has it look, and print what it found as JSON.
pub(in crate::keep) const PROBE: &str = "probe";
/// The one by which the program is known that does nothing.
pub(in crate::keep) const CONFINED: &str = "confined";

/// From the strongest to the weakest.
const ALL: [Means; 3] =
    [Means::Namespaces { processes: true }, Means::Namespaces { processes: false }, Means::Landlock];

/// Runs as `keep probe`.
pub(in crate::keep) fn look() -> ExitCode {
    let mut why = Vec::new();
    let means = ALL.into_iter().find(|&means| match attempt(means) {
        Ok(()) => true,
        Err(refused) => {
            why.push(refused);
            false
        }
    });
    let found = serde_json::to_string(&Found { means, why }).expect("what was found has a JSON form");
    match io::stdout().write_all(found.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn attempt(means: Means) -> Result<(), String> {
    let confine = Confinement {
        temporary: vec![Os::from("/tmp")],
        network: means == Means::Landlock,
        ..Confinement::by(means)
    };
    let start = Start {
        argv: ["/proc/self/exe", "keep", CONFINED].map(Os::from).to_vec(),
        env: Vec::new(),
        cwd: Os::from("/"),
        limits: Limits::default(),
        open_files: None,
        confine: Some(confine),
        grace_ms: 0,
    };
    let child =
        launch::launch(&start, getpid()).map_err(|failure| format!("{means}: {}", failure.message))?;
    match waitpid(Some(child), WaitOptions::empty()) {
        Ok(Some((_, status))) if status.exit_status() == Some(0) => Ok(()),
        ended => Err(format!("{means}: what ran in it ended with {ended:?}")),
    }
}

/// Asks a `keep` which way works. One that cannot say has found none.
#[must_use]
pub fn probe(program: &Path) -> Found {
    let none = |why: String| Found { means: None, why: vec![why] };
    let asked = std::process::Command::new(program).args(["keep", PROBE]).env_clear().output();
    match asked {
        Ok(said) => serde_json::from_slice(&said.stdout)
            .unwrap_or_else(|_| none(format!("the keeper could not find out ({})", said.status))),
        Err(error) => none(format!("{} cannot be run: {error}", program.display())),
    }
}
