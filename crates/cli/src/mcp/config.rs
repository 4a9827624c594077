//! What to write into the configuration of a host.

use std::env;

use serde_json::{Value, json};

use crate::app::App;
use crate::args::Host;

/// How long a host is to wait for a tool: a person may take a week.
const WAIT_S: u64 = 7 * 24 * 60 * 60;

/// The snippet for a host, or for all of them.
pub(crate) fn of(app: &App, host: Host, operator: bool) -> String {
    let command = command(app);
    let mut args = vec!["mcp"];
    args.extend(operator.then_some("--operator"));
    match host {
        Host::All => {
            let all = [Host::ClaudeDesktop, Host::ClaudeCode, Host::Cursor, Host::Gemini, Host::Codex];
            all.map(|host| format!("# {}\n{}", place(host), snippet(host, &command, &args))).join("\n")
        }
        host => snippet(host, &command, &args),
    }
}

/// Our own name where the shell finds us by it, else the path.
pub(crate) fn command(app: &App) -> String {
    let Some(exe) = &app.env.exe else { return "trunkline".to_owned() };
    let found = env::split_paths(&app.env.path).map(|dir| dir.join("trunkline")).find(|path| path.exists());
    let same = found.and_then(|path| path.canonicalize().ok()) == exe.canonicalize().ok();
    if same { "trunkline".to_owned() } else { exe.display().to_string() }
}

/// Where it belongs.
const fn place(host: Host) -> &'static str {
    match host {
        Host::ClaudeDesktop => "Claude Desktop: claude_desktop_config.json",
        Host::ClaudeCode => "Claude Code: .mcp.json in the project, or ~/.claude.json",
        Host::Cursor => "Cursor: ~/.cursor/mcp.json",
        Host::Gemini => "Gemini CLI: ~/.gemini/settings.json",
        Host::Codex => "Codex: ~/.codex/config.toml",
        Host::All => "",
    }
}

fn snippet(host: Host, command: &str, args: &[&str]) -> String {
    let mut server = json!({ "command": command, "args": args });
    match host {
        Host::Codex => {
            let mut server = toml::Table::new();
            server.insert("command".into(), command.into());
            server.insert("args".into(), args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>().into());
            server.insert("tool_timeout_sec".into(), i64::try_from(WAIT_S).unwrap_or(i64::MAX).into());
            let mut servers = toml::Table::new();
            servers.insert("trunkline".into(), server.into());
            let mut config = toml::Table::new();
            config.insert("mcp_servers".into(), servers.into());
            toml::to_string(&config).expect("a table has a form in TOML")
        }
        Host::Gemini => {
            server["timeout"] = json!(WAIT_S * 1_000);
            wrapped(&server)
        }
        Host::ClaudeCode => {
            server["type"] = json!("stdio");
            server["timeout"] = json!(WAIT_S * 1_000);
            wrapped(&server)
        }
        Host::ClaudeDesktop | Host::Cursor | Host::All => wrapped(&server),
    }
}

fn wrapped(server: &Value) -> String {
    let config = json!({ "mcpServers": { "trunkline": server } });
    serde_json::to_string_pretty(&config).expect("JSON has a JSON form") + "\n"
}
