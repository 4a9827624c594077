//! `stdio_bus`: routes lines of JSON between clients and pools of worker processes.
//!
//! All rules are in [`trunkline_wire::router`]; here are the descriptors, the processes and the clock, on one thread
//! around one epoll.
//!
//! * [`args`]: the command line.
//! * [`bus`]: the loop. [`clients`] and [`workers`] are what it does for either side, [`ending`] how it ends.
//! * [`listen`], [`stream`], [`worker`]: sockets, descriptors and processes.
//! * [`docker`]: a stand-in for the docker command line, for clients that would start the router in a container.
//! * [`status`]: asks a running router how it is.
//! * [`clock`], [`log`], [`record`]: the time, lines on stderr, and records in a file.
//! * [`pulse`]: empty lines that keep the original Python SDK's threads moving.

mod args;
mod bus;
mod clients;
mod clock;
mod docker;
mod ending;
mod listen;
mod log;
mod pulse;
mod record;
mod status;
mod stream;
mod sys;
mod worker;
mod workers;

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use trunkline_wire::router::{Config, MAX_CONFIG, Mode};

use args::{Command, ConfigFrom, Listen, Run};

fn main() -> ExitCode {
    sys::close_on_exec();
    let mut args: Vec<_> = std::env::args_os().collect();
    let name = args.first().map(|name| Path::new(name).file_name().unwrap_or_default().to_owned());
    args.drain(..args.len().min(1));
    if name.is_some_and(|name| name == "docker") {
        return docker::run(&args);
    }
    match args::parse(args) {
        Ok(Command::Run(run)) => match start(&run) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        },
        Ok(Command::Status { listen, metrics }) => match status::ask(&listen, metrics) {
            Ok(answer) => say(&answer),
            Err(error) => fail(&error),
        },
        Ok(Command::Docker(args)) => docker::run(&args),
        Ok(Command::Help) => fail(args::USAGE.trim_end()),
        Ok(Command::Version) => say(concat!("stdio_bus ", env!("CARGO_PKG_VERSION"))),
        Err(error) => fail(&format!("Error: {error}\n{}", args::USAGE.trim_end())),
    }
}

/// Prints what was asked for.
#[expect(clippy::print_stdout, reason = "this is what the command is for")]
fn say(text: &str) -> ExitCode {
    println!("{text}");
    ExitCode::SUCCESS
}

/// Says why it cannot be done.
#[expect(clippy::print_stderr, reason = "the log does not run yet")]
fn fail(text: &str) -> ExitCode {
    eprintln!("{text}");
    ExitCode::FAILURE
}

fn start(run: &Run) -> Result<(), String> {
    let (text, sdk) = read_config(&run.config)?;
    let mut config = Config::parse(&text).map_err(|error| error.to_string())?;
    if sdk && config.keepalive_ms.is_none() {
        config.keepalive_ms = Some(pulse::EVERY);
    }
    let listen = match (&run.listen, config.mode) {
        (Some(listen), _) => listen.clone(),
        (None, None | Some(Mode::Stdio)) => Listen::Stdio,
        (None, Some(Mode::Tcp)) => {
            return Err("config: transport mode 'tcp' needs --tcp host:port".to_owned());
        }
        (None, Some(Mode::Unix)) => return Err("config: transport mode 'unix' needs --unix path".to_owned()),
    };
    bus::Bus::run(config, &listen)
}

/// Reads a configuration; also says whether it came in the original Python SDK's way.
fn read_config(from: &ConfigFrom) -> Result<(Vec<u8>, bool), String> {
    let mut text = Vec::new();
    let mut sdk = false;
    // One byte more than may be there tells that there is too much.
    let most = MAX_CONFIG as u64 + 1;
    match from {
        ConfigFrom::Path(path) => {
            let shown = path.display();
            let file = std::fs::File::open(path)
                .map_err(|error| format!("config: cannot open '{shown}': {error}"))?;
            let read = file.take(most).read_to_end(&mut text);
            read.map_err(|error| format!("config: cannot read '{shown}': {error}"))?;
            if text.len() > MAX_CONFIG {
                let size = std::fs::metadata(path).map_or(most, |found| found.len());
                return Err(format!("config: file '{shown}' too large ({size} bytes, max {MAX_CONFIG})"));
            }
        }
        ConfigFrom::Fd(number) => {
            let failed = |error| format!("config: cannot read from fd {number}: {error}");
            let given = sys::inherit(*number).map_err(failed)?;
            sdk = pulse::wanted(&given);
            let file = std::fs::File::from(given);
            file.take(most).read_to_end(&mut text).map_err(failed)?;
            if text.len() > MAX_CONFIG {
                return Err(format!("config: fd data exceeds maximum config size ({MAX_CONFIG} bytes)"));
            }
        }
    }
    Ok((text, sdk))
}
