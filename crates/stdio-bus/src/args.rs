//! The command line, as the original takes it, and what we add.

use std::ffi::OsString;
use std::path::PathBuf;

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Route.
    Run(Run),
    /// Ask a running router how it is.
    Status {
        /// Where it listens.
        listen: Listen,
        /// Whether its metrics are wanted instead.
        metrics: bool,
    },
    /// Stand in for the docker command line.
    Docker(Vec<OsString>),
    /// Say how it is used.
    Help,
    /// Say what it is.
    Version,
}

/// How to route.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// Where the configuration is.
    pub(crate) config: ConfigFrom,
    /// Where clients come from; `None` leaves it to the configuration.
    pub(crate) listen: Option<Listen>,
}

/// Where a configuration is read from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ConfigFrom {
    /// A file.
    Path(PathBuf),
    /// A descriptor that is open already.
    Fd(i32),
}

/// Where clients come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    /// One client, on stdin and stdout.
    Stdio,
    /// A TCP address: host and port.
    Tcp(String, u16),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// How it is used.
pub(crate) const USAGE: &str = "\
Usage: stdio_bus (--config PATH | --config-fd N) [--stdio | --tcp HOST:PORT | --unix PATH]
       stdio_bus status (--tcp HOST:PORT | --unix PATH) [--metrics]
       stdio_bus docker COMMAND...

Options:
  --config PATH     JSON configuration
  --config-fd N     read the configuration from this open descriptor
  --stdio           one client on stdin and stdout (the default)
  --tcp HOST:PORT   listen on TCP; port 0 takes a free one, which is logged
  --unix PATH       listen on a Unix socket
  --help, -h        this text
  --version, -V     the version
";

/// Reads the arguments behind the program's name.
///
/// # Errors
/// What is wrong, in the original's words.
pub(crate) fn parse(args: Vec<OsString>) -> Result<Command, String> {
    match args.first().and_then(|first| first.to_str()) {
        Some("docker") => return Ok(Command::Docker(args.into_iter().skip(1).collect())),
        Some("status") => return status(&args[1..]),
        Some(_) | None => {}
    }
    let (mut path, mut fd, mut listen) = (None, None, None);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.to_str().unwrap_or_default() {
            "--config" => path = Some(PathBuf::from(args.next().ok_or("--config requires a path argument")?)),
            "--config-fd" => {
                let number = args.next().ok_or("--config-fd requires a file descriptor number")?;
                let number = number.to_str().and_then(|text| text.parse().ok());
                let valid = number.filter(|fd| (0..=1024).contains(fd));
                fd = Some(valid.ok_or("--config-fd requires a valid file descriptor (0-1024)")?);
            }
            "--help" | "-h" => return Ok(Command::Help),
            "--version" | "-V" => return Ok(Command::Version),
            _ => match mode(arg, &mut args)? {
                Some(mode) => listen = Some(mode),
                None => return Err(format!("unknown option '{}'", arg.display())),
            },
        }
    }
    let config = match (path, fd) {
        (Some(_), Some(_)) => return Err("--config and --config-fd are mutually exclusive".to_owned()),
        (Some(path), None) => ConfigFrom::Path(path),
        (None, Some(fd)) => ConfigFrom::Fd(fd),
        (None, None) => return Err("--config or --config-fd is required".to_owned()),
    };
    Ok(Command::Run(Run { config, listen }))
}

fn status(args: &[OsString]) -> Result<Command, String> {
    let (mut listen, mut metrics) = (None, false);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--metrics" {
            metrics = true;
        } else {
            let mode = mode(arg, &mut args)?.filter(|mode| *mode != Listen::Stdio);
            listen = Some(mode.ok_or_else(|| format!("unknown option '{}'", arg.display()))?);
        }
    }
    let listen = listen.ok_or("status requires --unix PATH or --tcp HOST:PORT")?;
    Ok(Command::Status { listen, metrics })
}

/// One of the options that say where clients come from; the last one wins.
fn mode<'a>(arg: &OsString, rest: &mut impl Iterator<Item = &'a OsString>) -> Result<Option<Listen>, String> {
    match arg.to_str().unwrap_or_default() {
        "--stdio" => Ok(Some(Listen::Stdio)),
        "--tcp" => {
            let address = rest.next().ok_or("--tcp requires a host:port argument")?;
            tcp(&address.to_string_lossy()).map(Some)
        }
        "--unix" => {
            let path = rest.next().ok_or("--unix requires a path argument")?;
            Ok(Some(Listen::Unix(PathBuf::from(path))))
        }
        _ => Ok(None),
    }
}

/// Reads `host:port`; a host in brackets is an IPv6 address, an empty one stands for all of IPv4.
pub(crate) fn tcp(address: &str) -> Result<Listen, String> {
    let (host, port) = address.rsplit_once(':').ok_or("--tcp argument must be in host:port format")?;
    let port = port.parse().map_err(|_| "invalid port number".to_owned())?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let host = if host.is_empty() { "0.0.0.0" } else { host };
    Ok(Listen::Tcp(host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, String> {
        super::parse(line.split_whitespace().map(OsString::from).collect())
    }

    fn listens(line: &str) -> Option<Listen> {
        match parse(line) {
            Ok(Command::Run(run)) => run.listen,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn mistakes_are_told_in_the_original_words() {
        for (line, error) in [
            ("", "--config or --config-fd is required"),
            ("--config", "--config requires a path argument"),
            ("--config-fd", "--config-fd requires a file descriptor number"),
            ("--config-fd x", "--config-fd requires a valid file descriptor (0-1024)"),
            ("--config-fd 1025", "--config-fd requires a valid file descriptor (0-1024)"),
            ("--config a --config-fd 3", "--config and --config-fd are mutually exclusive"),
            ("--config a --unix", "--unix requires a path argument"),
            ("--config a --tcp", "--tcp requires a host:port argument"),
            ("--config a --tcp 80", "--tcp argument must be in host:port format"),
            ("--config a --tcp h:x", "invalid port number"),
            ("--config a --tcp h:70000", "invalid port number"),
            ("--config a b", "unknown option 'b'"),
            ("status", "status requires --unix PATH or --tcp HOST:PORT"),
        ] {
            assert_eq!(parse(line), Err(error.to_owned()), "{line}");
        }
    }

    #[test]
    fn the_last_mode_wins() {
        assert_eq!(listens("--config a"), None);
        assert_eq!(listens("--tcp :1 --config a --stdio"), Some(Listen::Stdio));
        assert_eq!(listens("--stdio --config-fd 3 --tcp :80"), Some(Listen::Tcp("0.0.0.0".to_owned(), 80)));
        assert_eq!(listens("--config a --tcp [::1]:0"), Some(Listen::Tcp("::1".to_owned(), 0)));
        assert_eq!(listens("--config a --unix /s"), Some(Listen::Unix(PathBuf::from("/s"))));
    }
}
