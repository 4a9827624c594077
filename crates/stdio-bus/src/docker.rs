//! A stand-in for the docker command line, as far as the SDKs of stdio_bus use it.
//!
//! The Rust and Node SDKs start the router in a container: they ask docker for its version and for the image, run it
//! with a published port and a mounted configuration, and stop it by its id. Named `docker`, or as `stdio_bus docker`,
//! this program answers all of that without containers: `run` starts the router itself on the published port, and the
//! id that it prints is found again in a folder of the user's.

mod state;

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use serde_json::Value;

use crate::clock::wall_clock_ms;

/// How long a router may take to say that it listens, in lines of its log.
const LINES: usize = 100;

/// Runs a docker command.
pub(crate) fn run(args: &[OsString]) -> ExitCode {
    let args: Vec<String> = args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["--version" | "-v" | "version", ..] => {
            Ok(format!("Docker version 0.0.0 (stdio_bus {} stands in)", env!("CARGO_PKG_VERSION")))
        }
        ["image", "inspect", image, ..] | ["inspect", image, ..] => {
            Ok(format!("[{}]", serde_json::json!({"Id": "stdio_bus", "RepoTags": [image]})))
        }
        ["pull", image, ..] | ["image", "pull", image, ..] => {
            Ok(format!("{image}: stdio_bus stands in for it"))
        }
        ["run", rest @ ..] | ["container", "run", rest @ ..] => start(rest),
        ["stop", rest @ ..] | ["container", "stop", rest @ ..] => each(rest, state::stop),
        ["kill", rest @ ..] | ["container", "kill", rest @ ..] => each(rest, |name, _| state::kill(name)),
        ["rm", rest @ ..] | ["container", "rm", rest @ ..] => each(rest, |name, _| state::kill(name)),
        ["info", ..] => Ok("stdio_bus stands in for docker".to_owned()),
        ["ps", ..] => Ok(state::list().join("\n")),
        _ => Err(format!("stdio_bus stands in for docker and does not know: {}", args.join(" "))),
    };
    match done {
        Ok(text) => crate::say(&text),
        Err(error) => crate::fail(&error),
    }
}

/// Does something to every container that is named; `-t` and `--time` say how many seconds it may take.
fn each(words: &[&str], act: impl Fn(&str, u64) -> Result<(), String>) -> Result<String, String> {
    let mut seconds = 10;
    let mut names = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "-t" | "--time" | "--timeout" | "-s" | "--signal" => {
                let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
                if let (true, Ok(number)) = (word.contains('t'), value.parse()) {
                    seconds = number;
                }
            }
            option if option.starts_with('-') => {}
            name => names.push(name),
        }
    }
    names.iter().try_for_each(|name| act(name, seconds))?;
    Ok(names.join("\n"))
}

/// What `run` was asked for.
#[derive(Debug, Default, PartialEq)]
struct Wish {
    name: Option<String>,
    /// Host address, host port and container port.
    ports: Vec<(String, u16, u16)>,
    /// Host path and container path.
    mounts: Vec<(String, String)>,
    env: Vec<(String, String)>,
    config: Option<String>,
    port: Option<u16>,
}

impl Wish {
    fn read(words: &[&str]) -> Result<Self, String> {
        let mut wish = Self::default();
        let mut words = words.iter();
        let mut image = false;
        while let Some(word) = words.next() {
            let (option, glued) = match word.split_once('=') {
                Some((option, value)) if option.starts_with("--") => (option, Some(value)),
                Some(_) | None => (*word, None),
            };
            let mut value = || match glued {
                Some(value) => Ok(value),
                None => words.next().copied().ok_or_else(|| format!("{option} needs a value")),
            };
            match option {
                "--config" if image => wish.config = Some(value()?.to_owned()),
                "--tcp" if image => {
                    wish.port = value()?.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
                }
                _ if image => {}
                "--name" => wish.name = Some(value()?.to_owned()),
                "-p" | "--publish" => wish.ports.push(port(value()?)?),
                "-v" | "--volume" => wish.mounts.push(mount(value()?)?),
                "-e" | "--env" => {
                    wish.env.extend(value()?.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned())));
                }
                "-d" | "--detach" | "--rm" | "-i" | "-t" | "-it" | "--init" | "--privileged"
                | "--read-only" => {}
                option if option.starts_with('-') => drop(value()?),
                _ => image = true,
            }
        }
        Ok(wish)
    }

    /// The address that the router is to listen on: the host's side of the published port.
    fn address(&self) -> Result<String, String> {
        let fits = |(_, _, inner): &&(String, u16, u16)| self.port.is_none_or(|port| port == *inner);
        let (host, port, _) =
            self.ports.iter().find(fits).ok_or("run needs a published port: -p HOST:PORT:PORT")?;
        Ok(format!("{host}:{port}"))
    }

    /// The host's path of a path in the container.
    fn on_host(&self, path: &str) -> String {
        let below = |(_, inner): &&(String, String)| {
            path.strip_prefix(inner.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        match self.mounts.iter().filter(below).max_by_key(|(_, inner)| inner.len()) {
            Some((outer, inner)) => format!("{outer}{}", &path[inner.len()..]),
            None => path.to_owned(),
        }
    }
}

/// `[[ADDRESS:]PORT:]PORT[/tcp]`
fn port(text: &str) -> Result<(String, u16, u16), String> {
    let plain = text.strip_suffix("/tcp").unwrap_or(text);
    let mut parts = plain.rsplit(':');
    let number = |part: Option<&str>| part.and_then(|part| part.parse().ok());
    let inner = number(parts.next()).ok_or_else(|| format!("-p {text} is no port"))?;
    let outer = number(parts.next()).unwrap_or(inner);
    let host = parts.next().unwrap_or("0.0.0.0");
    Ok((host.to_owned(), outer, inner))
}

/// `PATH:PATH[:ro]`
fn mount(text: &str) -> Result<(String, String), String> {
    let mut parts = text.split(':');
    match (parts.next(), parts.next()) {
        (Some(outer), Some(inner)) if !inner.is_empty() => {
            let bare = |path: &str| {
                if path.len() > 1 { path.trim_end_matches('/').to_owned() } else { path.to_owned() }
            };
            Ok((bare(outer), bare(inner)))
        }
        _ => Err(format!("-v {text} is no mount")),
    }
}

/// Starts a router in the background and returns when it listens.
fn start(words: &[&str]) -> Result<String, String> {
    let wish = Wish::read(words)?;
    let address = wish.address()?;
    let config = wish.on_host(wish.config.as_deref().ok_or("run needs --config PATH behind the image")?);
    let text = std::fs::read(&config).map_err(|error| format!("config: cannot open '{config}': {error}"))?;
    // The SDKs keep the first twelve characters only: those must be nobody else's.
    let (pid, time) = (std::process::id() & 0xFF_FFFF, wall_clock_ms());
    let id = format!("{pid:06x}{:06x}{time:012x}", time & 0xFF_FFFF);
    let folder = state::Folder::make(&id, wish.name.as_deref())?;
    let config = match serde_json::from_slice(&text) {
        Ok(value) if !wish.mounts.is_empty() => {
            folder.write("config.json", host_paths(&wish, value).to_string())?
        }
        // What is no strict JSON is the router's to judge.
        Ok(_) | Err(_) => config,
    };
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command
        .args(["--config", &config, "--tcp", &address])
        .envs(wish.env.iter().cloned().collect::<HashMap<_, _>>());
    command
        .arg0("stdio_bus")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(folder.log()?)
        .process_group(0);
    #[expect(clippy::disallowed_methods, reason = "the router outlives the command that starts it")]
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    folder.write("pid", format!("{}\n", child.id()))?;
    match listens(&folder, &mut child) {
        true => Ok(id),
        false => {
            let log = folder.read_log();
            state::forget(&id);
            Err(log)
        }
    }
}

/// Waits until the log says that the router listens; false if it ended instead.
fn listens(folder: &state::Folder, child: &mut std::process::Child) -> bool {
    loop {
        let ready = folder.open_log().is_some_and(|log| {
            BufReader::new(log)
                .lines()
                .take(LINES)
                .map_while(Result::ok)
                .any(|line| line.contains("Listening on"))
        });
        if ready {
            return true;
        }
        match child.try_wait() {
            Ok(None) => std::thread::sleep(std::time::Duration::from_millis(2)),
            Ok(Some(_)) | Err(_) => return false,
        }
    }
}

/// Every string of a configuration that names a path in the container, as the host knows it.
fn host_paths(wish: &Wish, value: Value) -> Value {
    match value {
        Value::String(text) if text.starts_with('/') => Value::String(wish.on_host(&text)),
        Value::Array(values) => values.into_iter().map(|value| host_paths(wish, value)).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(key, value)| (key, host_paths(wish, value))).collect()
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_understood_as_the_sdks_write_it() {
        let line = "-d --rm --name bus-1 -v /tmp/cfg.json:/config.json:ro -v /srv/w:/workers -p 127.0.0.1:40123:8080 \
            -e A=b --network=host stdiobus/stdiobus:latest --config /config.json --tcp 0.0.0.0:8080";
        let wish = Wish::read(&line.split_whitespace().collect::<Vec<_>>()).unwrap();
        assert_eq!(wish.name.as_deref(), Some("bus-1"));
        assert_eq!(wish.address().unwrap(), "127.0.0.1:40123");
        assert_eq!(wish.on_host(wish.config.as_deref().unwrap()), "/tmp/cfg.json");
        assert_eq!(wish.on_host("/workers/echo.py"), "/srv/w/echo.py");
        assert_eq!(wish.on_host("/workers2/echo.py"), "/workers2/echo.py");
        assert_eq!(wish.env, [("A".to_owned(), "b".to_owned())]);
        let config = serde_json::json!({"pools": [{"command": "python3", "args": ["/workers/echo.py", 1]}]});
        let mapped = serde_json::json!({"pools": [{"command": "python3", "args": ["/srv/w/echo.py", 1]}]});
        assert_eq!(host_paths(&wish, config), mapped);
    }

    #[test]
    fn ports_and_mounts_are_checked() {
        assert_eq!(port("8080").unwrap(), ("0.0.0.0".to_owned(), 8080, 8080));
        assert_eq!(port("80:8080/tcp").unwrap(), ("0.0.0.0".to_owned(), 80, 8080));
        assert!(port("x").is_err() && mount("/a").is_err() && Wish::read(&["-p"]).is_err());
    }
}
