//! Commands of other projects that this program answers to, by the name it is called with.

use std::ffi::OsString;
use std::path::Path;

/// The command line that a call by another name means. A call by our own name means what it says.
pub(crate) fn translate(mut args: Vec<OsString>) -> Vec<OsString> {
    let called = args.first().and_then(|name| Path::new(name).file_name()).and_then(|name| name.to_str());
    let command: &[&str] = match called {
        // The hub in the foreground. It takes no arguments, whatever it is given.
        Some("sessionbus-hub" | "agentflow-hub") => {
            args.truncate(1);
            &["serve", "--any-port"]
        }
        // The hub and its window: here the daemon and its page.
        Some("agent-flow") => {
            args.truncate(1);
            &["open"]
        }
        // Its MCP server, which takes no arguments either.
        Some("sessionbus-mcp" | "agentflow-mcp") => {
            args.truncate(1);
            &["mcp"]
        }
        // The agent bus in the foreground, by its own arguments.
        Some("engram-bus") => return engram_bus(args),
        // The engine in the foreground, likewise.
        Some("kollabor-engine") => return kollabor_engine(args),
        Some(_) | None => &[],
    };
    let at = args.len().min(1);
    args.splice(at..at, command.iter().map(OsString::from));
    args
}

/// `engram-bus [--host HOST] [--port PORT]`.
fn engram_bus(args: Vec<OsString>) -> Vec<OsString> {
    let (name, address, _, rest) = at_address(args, "9470");
    let ours = ["serve", "--any-port", "--engram-bus"].map(OsString::from);
    let listen = OsString::from(format!("--engram-listen={address}"));
    name.into_iter().chain(ours).chain([listen]).chain(rest).collect()
}

/// `kollabor-engine serve [--host HOST] [--port PORT] [--log-level LEVEL]`.
fn kollabor_engine(mut args: Vec<OsString>) -> Vec<OsString> {
    if args.get(1).is_none_or(|command| command != "serve") {
        return args;
    }
    args.remove(1);
    let (name, address, level, rest) = at_address(args, "7433");
    let ours = ["serve".to_owned(), "--kollabor-engine".to_owned(), format!("--listen={address}")];
    let level = level.map(|level| format!("--log={}", if level == "warning" { "warn" } else { &level }));
    name.into_iter().chain(ours.into_iter().chain(level).map(OsString::from)).chain(rest).collect()
}

/// Takes host, port and level out of a command line. What it does not know it leaves to our own command to refuse.
fn at_address(args: Vec<OsString>, port: &str) -> (Option<OsString>, String, Option<String>, Vec<OsString>) {
    let (mut host, mut port, mut level, mut rest) =
        ("127.0.0.1".to_owned(), port.to_owned(), String::new(), Vec::new());
    let mut args = args.into_iter();
    let name = args.next();
    while let Some(arg) = args.next() {
        let text = arg.to_string_lossy().into_owned();
        let (flag, value) =
            text.split_once('=').map_or((&*text, None), |(flag, value)| (flag, Some(value.to_owned())));
        let place = match flag {
            "--host" => &mut host,
            "--port" => &mut port,
            "--log-level" => &mut level,
            _ => {
                rest.push(arg);
                continue;
            }
        };
        let next = || args.next().map(|value| value.to_string_lossy().into_owned());
        *place = value.or_else(next).unwrap_or_default();
    }
    let host = match host.as_str() {
        "localhost" => "127.0.0.1".to_owned(),
        six if six.contains(':') && !six.starts_with('[') => format!("[{six}]"),
        _ => host,
    };
    (name, format!("{host}:{port}"), Some(level).filter(|level| !level.is_empty()), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn means(words: &[&str]) -> Vec<String> {
        let args = translate(words.iter().map(OsString::from).collect());
        args.into_iter().map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn other_names_mean_our_commands() {
        for name in ["sessionbus-hub", "/usr/bin/agentflow-hub"] {
            assert_eq!(means(&[name, "--help", "--port", "1"]), [name, "serve", "--any-port"]);
        }
        assert_eq!(means(&["agent-flow"]), ["agent-flow", "open"]);
        assert_eq!(means(&["sessionbus-mcp", "x"]), ["sessionbus-mcp", "mcp"]);
        assert_eq!(means(&["trunkline", "ls"]), ["trunkline", "ls"]);
        assert_eq!(means(&["./agentflow-hub.old", "ls"]), ["./agentflow-hub.old", "ls"]);
        let bus = |words: &[&str]| means(words)[4..].to_vec();
        assert_eq!(bus(&["engram-bus"]), ["--engram-listen=127.0.0.1:9470"]);
        assert_eq!(bus(&["engram-bus", "--host", "::1", "--port=0"]), ["--engram-listen=[::1]:0"]);
        assert_eq!(bus(&["engram-bus", "-h"]), ["--engram-listen=127.0.0.1:9470", "-h"]);
        let engine = |words: &[&str]| means(&[&["kollabor-engine"], words].concat())[1..].join(" ");
        assert_eq!(engine(&["serve"]), "serve --kollabor-engine --listen=127.0.0.1:7433");
        let all = ["serve", "--port", "0", "--host=localhost", "--log-level", "warning"];
        assert_eq!(engine(&all), "serve --kollabor-engine --listen=127.0.0.1:0 --log=warn");
        assert_eq!(engine(&[]), "");
        assert!(means(&[]).is_empty());
    }
}
