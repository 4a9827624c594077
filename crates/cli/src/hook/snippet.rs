//! What to write into an agent's settings.

use serde_json::{Map, Value, json};

use super::vendor::Vendor;
use crate::app::App;

/// How long an agent waits for a person, in seconds.
const ASK_S: u64 = 24 * 60 * 60;
/// How long it waits for what is only told.
const TELL_S: u64 = 10;

pub(crate) fn of(app: &App, vendor: Vendor) -> String {
    let command = format!("{} hook run {}", crate::mcp::command(app), vendor.word());
    let mut hooks = Map::new();
    for event in events(vendor) {
        let seconds = if *event == "PermissionRequest" { ASK_S } else { TELL_S };
        // Gemini counts in milliseconds.
        let timeout = if vendor == Vendor::Gemini { seconds * 1_000 } else { seconds };
        let hook = json!({ "type": "command", "command": command, "timeout": timeout });
        hooks.insert((*event).to_owned(), json!([{ "hooks": [hook] }]));
    }
    let settings = json!({ "hooks": Value::Object(hooks) });
    serde_json::to_string_pretty(&settings).expect("JSON has a JSON form")
}

const fn events(vendor: Vendor) -> &'static [&'static str] {
    match vendor {
        Vendor::Claude => {
            &["PermissionRequest", "Notification", "SessionStart", "UserPromptSubmit", "Stop", "SessionEnd"]
        }
        Vendor::Codex => &["PermissionRequest", "SessionStart", "UserPromptSubmit", "Stop"],
        Vendor::Gemini => &["Notification", "SessionStart", "BeforeAgent", "AfterAgent", "SessionEnd"],
    }
}
