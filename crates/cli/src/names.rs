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
        Some(_) | None => &[],
    };
    let at = args.len().min(1);
    args.splice(at..at, command.iter().map(OsString::from));
    args
}

/// `engram-bus [--host HOST] [--port PORT]`. What it does not know it leaves to our own command to refuse.
fn engram_bus(args: Vec<OsString>) -> Vec<OsString> {
    let (mut host, mut port, mut rest) = ("127.0.0.1".to_owned(), "9470".to_owned(), Vec::new());
    let mut args = args.into_iter();
    let name = args.next();
    while let Some(arg) = args.next() {
        let text = arg.to_string_lossy().into_owned();
        let (flag, value) =
            text.split_once('=').map_or((&*text, None), |(flag, value)| (flag, Some(value.to_owned())));
        let place = match flag {
            "--host" => &mut host,
            "--port" => &mut port,
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
    let ours = [
        "serve".to_owned(),
        "--any-port".to_owned(),
        "--engram-bus".to_owned(),
        format!("--engram-listen={host}:{port}"),
    ];
    name.into_iter().chain(ours.map(OsString::from)).chain(rest).collect()
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
        assert!(means(&[]).is_empty());
    }
}
