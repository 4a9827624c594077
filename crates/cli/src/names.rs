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
        Some(_) | None => &[],
    };
    let at = args.len().min(1);
    args.splice(at..at, command.iter().map(OsString::from));
    args
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
        assert!(means(&[]).is_empty());
    }
}
