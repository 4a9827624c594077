//! `hook`: agents that a person runs in a terminal of their own become visible, and their permissions answerable.
//!
//! An agent's hook starts `trunkline hook run` and gives it JSON on stdin. A permission becomes a request, and its answer is
//! printed in the shape that the agent takes; what else happens shows in the agent's session. Whatever goes wrong, and when
//! nobody decides, nothing is printed and the exit code is 0: then the agent asks in its own terminal. It is never told that
//! something is allowed unless a person has allowed it.
//!
//! - `vendor`: what each agent's JSON means. `snippet`: what to write into its settings.

mod snippet;
mod vendor;

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use trunkline_client::Passage;

use crate::app::App;
use crate::args::{Hook, HookAction};
use crate::commands::read_stdin;
use crate::error::{CliError, Result};
use crate::exit::Exit;
use vendor::{Event, Seen, Vendor};

/// How large what a hook is told may be.
const MAX_INPUT: u64 = 4 << 20;
/// How long telling the daemon something may take; the agent waits for it.
const TELL: Duration = Duration::from_secs(5);
/// The revision of the protocol in which a request stands alone.
const REVISION: &str = "2026-07-28";

pub(crate) async fn hook(app: &App, args: Hook) -> Result<Exit> {
    match args.action {
        HookAction::Claude => app.screen.print(snippet::of(app, Vendor::Claude).trim_end())?,
        HookAction::Codex => app.screen.print(snippet::of(app, Vendor::Codex).trim_end())?,
        HookAction::Gemini => app.screen.print(snippet::of(app, Vendor::Gemini).trim_end())?,
        HookAction::Run { vendor } => match run(app, vendor.into()).await {
            Ok(Some(said)) => app.screen.print(said.to_string())?,
            Ok(None) => {}
            Err(error) => app.screen.note(error.render(app.screen.err).trim_end()),
        },
    }
    Ok(Exit::Ok)
}

async fn run(app: &App, vendor: Vendor) -> Result<Option<Value>> {
    let input = read_stdin(MAX_INPUT).await?;
    let input: Value = serde_json::from_slice(&input)
        .map_err(|error| CliError::failure(format!("the hook was not given JSON: {error}")))?;
    let seen = Seen::of(vendor, &input);
    let to = Passage::to_home(&app.config.home, false);
    let said = match &seen.event {
        Event::Asks { tool, input } => {
            let arguments = json!({ "tool_name": tool, "input": input, "tool_use_id": seen.call });
            let decision = call(&to, &seen, "approve_tool_use", arguments).await?;
            vendor.decision(&decision)
        }
        Event::Says { state, text } => {
            let metadata = text.as_ref().map(|text| json!({ "agent": vendor.name(), "notification": text }));
            let arguments = json!({ "session_id": "", "state": state, "metadata": metadata });
            let told = tokio::time::timeout(TELL, call(&to, &seen, "heartbeat_session", arguments)).await;
            told.map_err(|_| CliError::failure("the daemon did not answer in time"))??;
            None
        }
        Event::Other => None,
    };
    Ok(said.or_else(|| vendor.nothing()))
}

/// Calls a tool in the session of this agent.
async fn call(to: &Passage, seen: &Seen, tool: &str, arguments: Value) -> Result<Value> {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": REVISION,
        "io.modelcontextprotocol/clientInfo": { "name": seen.name, "version": env!("CARGO_PKG_VERSION") },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = json!({ "name": tool, "arguments": arguments, "_meta": meta });
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let mut headers = vec![
        ("mcp-protocol-version", REVISION),
        ("mcp-method", "tools/call"),
        ("mcp-name", tool),
        ("trunkline-client", seen.client.as_str()),
    ];
    // A header has no place for other scripts; the session is then of no directory.
    let plain = |path: &&str| path.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    headers.extend(seen.cwd.as_deref().filter(plain).map(|cwd| ("trunkline-workspace", cwd)));
    let mut passed = to.post(&headers, Bytes::from(message.to_string())).await?;
    while let Some(line) = passed.next().await? {
        let answer: Value = serde_json::from_str(&line).unwrap_or_default();
        if answer["id"] == 1 && answer["result"]["isError"] == false {
            let text = answer["result"]["content"][0]["text"].as_str().unwrap_or_default();
            return serde_json::from_str(text)
                .map_err(|error| CliError::failure(format!("the daemon's answer is no JSON: {error}")));
        }
        if answer["id"] == 1 || passed.status >= 400 {
            let why = line.chars().filter(|c| !c.is_control()).take(300).collect::<String>();
            return Err(CliError::failure(format!("the daemon refuses this: {why}")));
        }
    }
    Err(CliError::failure("the daemon left before it answered"))
}
