//! What the JSON of each agent's hooks means, and what it takes as a decision.

use serde_json::{Map, Value, json};

use crate::args::HookVendor;

/// An agent with hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vendor {
    Claude,
    Codex,
    Gemini,
}

/// What a hook was told.
#[derive(Debug, PartialEq)]
pub(crate) struct Seen {
    /// What the agent is called.
    pub(crate) name: &'static str,
    /// By which the daemon knows what belongs to one of its sessions.
    pub(crate) client: String,
    /// Where it works.
    pub(crate) cwd: Option<String>,
    /// Its id of the tool call.
    pub(crate) call: Option<String>,
    pub(crate) event: Event,
}

/// What happened.
#[derive(Debug, PartialEq)]
pub(crate) enum Event {
    /// It asks whether it may use a tool.
    Asks { tool: String, input: Map<String, Value> },
    /// It does something else now, or says something.
    Says { state: &'static str, text: Option<String> },
    /// Nothing that anybody needs to see.
    Other,
}

impl From<HookVendor> for Vendor {
    fn from(vendor: HookVendor) -> Self {
        match vendor {
            HookVendor::Claude => Self::Claude,
            HookVendor::Codex => Self::Codex,
            HookVendor::Gemini => Self::Gemini,
        }
    }
}

impl Seen {
    pub(crate) fn of(vendor: Vendor, input: &Value) -> Self {
        let text = |name: &str| input[name].as_str().map(str::to_owned);
        let session: String =
            text("session_id").unwrap_or_default().chars().filter(char::is_ascii_graphic).take(100).collect();
        Self {
            name: vendor.name(),
            client: format!("hook/{}/{session}", vendor.word()),
            cwd: text("cwd").filter(|cwd| cwd.starts_with('/')),
            call: text("tool_use_id"),
            event: Event::of(input),
        }
    }
}

impl Event {
    fn of(input: &Value) -> Self {
        let says = |state| Self::Says { state, text: None };
        match input["hook_event_name"].as_str().unwrap_or("") {
            "PermissionRequest" => match (input["tool_name"].as_str(), input["tool_input"].as_object()) {
                (Some(tool), Some(given)) => Self::Asks { tool: tool.to_owned(), input: given.clone() },
                _ => Self::Other,
            },
            "Notification" => {
                let text = input["message"].as_str().map(|text| text.chars().take(1_000).collect());
                Self::Says { state: "WAITING_FOR_INPUT", text }
            }
            "SessionStart" | "UserPromptSubmit" | "BeforeAgent" => says("WORKING"),
            "Stop" | "AfterAgent" | "SessionEnd" => says("DONE"),
            _ => Self::Other,
        }
    }
}

impl Vendor {
    /// What people call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Claude => "Claude Code",
            Self::Codex => "Codex",
            Self::Gemini => "Gemini CLI",
        }
    }

    /// The word for it on the command line.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
        }
    }

    /// A person's decision in the shape that the agent takes. Nothing, where nobody has decided: the agent asks itself then.
    pub(crate) fn decision(self, decision: &Value) -> Option<Value> {
        let decision = match (decision["behavior"].as_str(), decision["decided"].as_bool()) {
            (Some("allow"), None) => json!({ "behavior": "allow" }),
            (Some("deny"), None) => json!({ "behavior": "deny", "message": decision["message"] }),
            _ => return None,
        };
        match self {
            // Codex refuses a changed input, and what it is given back unchanged it takes for one.
            Self::Claude | Self::Codex => Some(json!({
                "hookSpecificOutput": { "hookEventName": "PermissionRequest", "decision": decision }
            })),
            // No hook of it grants a permission.
            Self::Gemini => None,
        }
    }

    /// What it is told when there is nothing to say.
    pub(crate) fn nothing(self) -> Option<Value> {
        match self {
            Self::Claude | Self::Codex => None,
            Self::Gemini => Some(json!({})),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the agents send, as their documentation has it.
    fn told(event: &str, more: &Value) -> Value {
        let mut input = json!({
            "session_id": "abc-123", "transcript_path": "/t.jsonl", "cwd": "/work/proj", "hook_event_name": event,
            "permission_mode": "default",
        });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    }

    #[test]
    fn a_permission_is_one() {
        let input =
            json!({"tool_name": "Bash", "tool_input": {"command": "ls"}, "permission_suggestions": []});
        let seen = Seen::of(Vendor::Claude, &told("PermissionRequest", &input));
        let given = json!({"command": "ls"}).as_object().unwrap().clone();
        assert_eq!(
            seen,
            Seen {
                name: "Claude Code",
                client: "hook/claude/abc-123".to_owned(),
                cwd: Some("/work/proj".to_owned()),
                call: None,
                event: Event::Asks { tool: "Bash".to_owned(), input: given },
            }
        );
        let odd = told("PermissionRequest", &json!({"tool_name": "Bash", "tool_input": "ls"}));
        assert_eq!(
            Seen::of(Vendor::Codex, &odd).event,
            Event::Other,
            "what is not understood is asked in the terminal"
        );
    }

    #[test]
    fn what_an_agent_does_is_told() {
        let claude =
            json!({"message": "Claude needs your permission", "notification_type": "permission_prompt"});
        let gemini = json!({"message": "Allow?", "notification_type": "ToolPermission", "details": {}});
        for (vendor, event, more, state, text) in [
            (
                Vendor::Claude,
                "Notification",
                claude,
                "WAITING_FOR_INPUT",
                Some("Claude needs your permission"),
            ),
            (Vendor::Gemini, "Notification", gemini, "WAITING_FOR_INPUT", Some("Allow?")),
            (Vendor::Claude, "SessionStart", json!({"source": "startup"}), "WORKING", None),
            (Vendor::Codex, "UserPromptSubmit", json!({"prompt": "x"}), "WORKING", None),
            (Vendor::Codex, "Stop", json!({"stop_hook_active": false}), "DONE", None),
            (Vendor::Gemini, "AfterAgent", json!({"prompt_response": "x"}), "DONE", None),
        ] {
            let seen = Seen::of(vendor, &told(event, &more));
            assert_eq!(seen.event, Event::Says { state, text: text.map(str::to_owned) }, "{event}");
        }
        assert_eq!(Seen::of(Vendor::Claude, &told("PostToolUse", &json!({}))).event, Event::Other);
        assert_eq!(Seen::of(Vendor::Claude, &json!([])).event, Event::Other);
    }

    #[test]
    fn decisions_have_each_agents_shape() {
        let allow = json!({"behavior": "allow", "updatedInput": {"command": "ls"}});
        let deny = json!({"behavior": "deny", "message": "not today"});
        let undecided = json!({"behavior": "deny", "message": "nobody decided", "decided": false});
        for vendor in [Vendor::Claude, Vendor::Codex] {
            let said = vendor.decision(&allow).unwrap();
            let output = json!({"hookEventName": "PermissionRequest", "decision": {"behavior": "allow"}});
            assert_eq!(said, json!({ "hookSpecificOutput": output }));
            let said = vendor.decision(&deny).unwrap();
            assert_eq!(said["hookSpecificOutput"]["decision"], deny);
            for none in [&undecided, &json!({}), &json!({"behavior": "perhaps"}), &Value::Null] {
                assert_eq!(vendor.decision(none), None, "{none}");
            }
        }
        assert_eq!((Vendor::Gemini.decision(&allow), Vendor::Gemini.nothing()), (None, Some(json!({}))));
    }
}
