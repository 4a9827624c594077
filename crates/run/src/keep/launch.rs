//! Starting the command, and saying clearly why it did not start.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Resource, Rlimit, getrlimit};

use super::control::{Failure, FailureKind, Start};
use super::sys;

/// Where the C library looks when the environment has no `PATH`.
const DEFAULT_PATH: &str = "/bin:/usr/bin";
/// The most that is passed on of why a command could not be confined, in bytes.
const MAX_WHY: u64 = 8 << 10;

/// Starts the command in its own process group, with our stdin, stdout and stderr. It is a child of ours, to be
/// reaped by us.
pub(super) fn launch(start: &Start, keep: Pid) -> Result<Pid, Failure> {
    let Some((program, arguments)) = start.argv.split_first() else {
        return Err(Failure { kind: FailureKind::System, message: "there is no command to run".to_owned() });
    };
    let mut command = Command::new(&program.0);
    command.args(arguments.iter().map(|argument| &argument.0));
    command.env_clear().envs(start.env.iter().map(|(name, value)| (&name.0, &value.0)));
    command.current_dir(&start.cwd.0).process_group(0);
    let keep_failed = |error: io::Error| start.failure(FailureKind::Keep, &error.to_string());
    let (mut said, say) = io::pipe().map_err(keep_failed)?;
    sys::prepare_child(&mut command, keep, rlimits(start), start.confine.clone(), &start.cwd.0, say);
    #[expect(clippy::disallowed_methods, reason = "this is where custody starts every child")]
    let child = command.spawn();
    // The other end goes with it, so that reading comes to an end.
    drop(command);
    child.map(|child| Pid::from_child(&child)).map_err(|error| {
        let mut why = String::new();
        match said.by_ref().take(MAX_WHY).read_to_string(&mut why) {
            Ok(1..) => start.failure(FailureKind::Confinement, &why),
            Ok(0) | Err(_) => explain(start, &error),
        }
    })
}

/// The limits as the kernel takes them. Nobody may raise a hard limit, so more is cut down to it.
fn rlimits(Start { limits, open_files, .. }: &Start) -> Vec<(Resource, Rlimit)> {
    let wanted = [
        (Resource::Nofile, limits.open_files),
        (Resource::Nproc, limits.processes),
        (Resource::As, limits.address_space),
        (Resource::Data, limits.data),
        (Resource::Cpu, limits.cpu_seconds),
        (Resource::Fsize, limits.file_size),
        (Resource::Core, limits.core_size),
    ];
    let soft = open_files.filter(|_| limits.open_files.is_none()).map(|soft| {
        let maximum = getrlimit(Resource::Nofile).maximum;
        let current = Some(maximum.map_or(soft, |hard| soft.min(hard)));
        (Resource::Nofile, Rlimit { current, maximum })
    });
    let set = wanted.into_iter().filter_map(|(resource, limit)| Some((resource, limit?)));
    set.map(|(resource, limit)| {
        let limit = getrlimit(resource).maximum.map_or(limit, |hard| limit.min(hard));
        (resource, Rlimit { current: Some(limit), maximum: Some(limit) })
    })
    .chain(soft)
    .collect()
}

/// Why it failed. The error number alone does not tell a missing program from a missing directory or interpreter, so we
/// look.
fn explain(start: &Start, error: &io::Error) -> Failure {
    if error.raw_os_error() == Some(libc::E2BIG) {
        return start.too_long();
    }
    let (kind, why) = reason(start, error);
    start.failure(kind, &why)
}

fn reason(start: &Start, error: &io::Error) -> (FailureKind, String) {
    if let Some(why) = unusable(Path::new(&start.cwd.0)) {
        return (FailureKind::BadCwd, why);
    }
    let program = &start.argv[0].0;
    let name = program.to_string_lossy();
    match (error.raw_os_error(), found(start)) {
        (Some(libc::ENOENT), None) if program.as_bytes().contains(&b'/') => {
            (FailureKind::NotFound, "there is no such file".to_owned())
        }
        (Some(libc::ENOENT), None) => (
            FailureKind::NotFound,
            format!("there is no `{name}` on PATH ({})", path(start).to_string_lossy()),
        ),
        (Some(libc::ENOENT), Some(file)) => {
            let why = format!("{} is there, but not the interpreter or loader it names", file.display());
            (FailureKind::NotExecutable, why)
        }
        (Some(libc::EACCES), Some(file)) if file.is_dir() => {
            (FailureKind::NotExecutable, format!("{} is a directory", file.display()))
        }
        (Some(libc::EACCES), Some(file)) => {
            (FailureKind::NotExecutable, format!("{} is not executable (permission denied)", file.display()))
        }
        (Some(libc::ENOEXEC), _) => {
            (FailureKind::NotExecutable, "it is no program for this machine".to_owned())
        }
        _ => (FailureKind::System, error.to_string()),
    }
}

/// Why a directory cannot be worked in, if it cannot.
fn unusable(directory: &Path) -> Option<String> {
    match std::fs::metadata(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Some("that directory does not exist".to_owned())
        }
        Err(error) => Some(format!("that directory cannot be used: {error}")),
        Ok(found) if !found.is_dir() => Some("that is not a directory".to_owned()),
        Ok(_) => rustix::fs::access(directory, rustix::fs::Access::EXEC_OK)
            .err()
            .map(|error| format!("that directory cannot be used: {}", io::Error::from(error))),
    }
}

/// The file that the program's name means: the first executable one on `PATH`, else the first one.
fn found(start: &Start) -> Option<PathBuf> {
    let (program, cwd) = (&start.argv[0].0, Path::new(&start.cwd.0));
    if program.as_bytes().contains(&b'/') {
        return Some(cwd.join(program)).filter(|file| file.exists());
    }
    let path = path(start);
    let files =
        || std::env::split_paths(&path).map(|part| cwd.join(part).join(program)).filter(|file| file.exists());
    let executable =
        |file: &PathBuf| file.metadata().is_ok_and(|file| file.permissions().mode() & 0o111 != 0);
    files().find(executable).or_else(|| files().next())
}

/// The last `PATH` given is the one that counts.
fn path(start: &Start) -> OsString {
    let given = start.env.iter().rev().find(|(name, _)| name.0 == "PATH");
    given.map_or_else(|| OsStr::new(DEFAULT_PATH).to_owned(), |(_, value)| value.0.clone())
}
