//! The agents that are known without any configuration.

use super::{CLAUDE, Entry};
use crate::model::MODEL;

/// Keys of model providers, for agents that work with any of them.
const PROVIDERS: &[&str] = &[
    "ANTHROPIC_API_KEY",
    "DEEPSEEK_API_KEY",
    "GEMINI_API_KEY",
    "GROQ_API_KEY",
    "MISTRAL_API_KEY",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENROUTER_API_KEY",
    "XAI_API_KEY",
];

pub(super) fn all() -> impl Iterator<Item = Entry> {
    [
        Entry { driver: CLAUDE.to_owned(), ..claude("claude", "Claude Code", "claude") },
        Entry {
            restart_after_cancel: true,
            hint: npm("@zed-industries/claude-agent-acp"),
            ..claude("claude-acp", "Claude Code, through Zed's adapter", "claude-agent-acp")
        },
        agent("codex", "Codex", "codex-acp", &npm("@zed-industries/codex-acp"), &["OPENAI_*", "CODEX_*"]),
        Entry {
            offer_read: false,
            ..agent(
                "gemini",
                "Gemini CLI",
                "gemini --acp",
                &npm("@google/gemini-cli"),
                &["GEMINI_*", "GOOGLE_*"],
            )
        },
        any_model("opencode", "OpenCode", "opencode acp", &npm("opencode-ai"), "OPENCODE_*"),
        agent(
            "qwen",
            "Qwen Code",
            "qwen --acp",
            &npm("@qwen-code/qwen-code"),
            &["QWEN_*", "OPENAI_*", "DASHSCOPE_*"],
        ),
        agent(
            "copilot",
            "GitHub Copilot CLI",
            "copilot --acp",
            &npm("@github/copilot"),
            &["COPILOT_*", "GH_TOKEN", "GITHUB_TOKEN"],
        ),
        any_model("cline", "Cline", "cline --acp", &npm("cline"), "CLINE_*"),
        any_model("kilo", "Kilo Code", "kilo acp", &npm("@kilocode/cli"), "KILO_*"),
        agent("vibe", "Mistral Vibe", "vibe-acp", &python("mistral-vibe"), &["MISTRAL_*", "VIBE_*"]),
        agent("kimi", "Kimi CLI", "kimi acp", &python("kimi-cli"), &["KIMI_*", "MOONSHOT_*"]),
        any_model(
            "fast-agent",
            "fast-agent",
            "fast-agent --no-update-check acp -x",
            &python("fast-agent-acp"),
            "FAST_AGENT_*",
        ),
        agent("openhands", "OpenHands", "openhands acp", &python("openhands"), &["OPENHANDS_*", "LLM_*"]),
        any_model("goose", "goose", "goose acp", "see https://github.com/block/goose", "GOOSE_*"),
        Entry {
            driver: MODEL.to_owned(),
            title: "A model, with the daemon's own tools".to_owned(),
            ..Entry::plain(MODEL, Vec::new())
        },
        any_model("pi", "Pi", "pi-acp", &npm("pi-acp"), "PI_*"),
        agent("auggie", "Auggie", "auggie --acp", &npm("@augmentcode/auggie"), &["AUGMENT_*"]),
        agent(
            "droid",
            "Droid",
            "droid exec --output-format acp",
            "see https://docs.factory.ai",
            &["FACTORY_*"],
        ),
    ]
    .into_iter()
    .map(|entry| Entry { state: state(&entry.name), ..entry })
}

/// Where each keeps its log-in, its settings and its memory of sessions. What begins with `$` is a variable that moves it.
fn state(name: &str) -> Vec<String> {
    let places: &[&str] = match name {
        "claude" | "claude-acp" => &[
            "~/.claude",
            "~/.claude.json",
            "~/.local/share/claude",
            "~/.local/state/claude",
            "$CLAUDE_CONFIG_DIR",
        ],
        "codex" => &["~/.codex", "$CODEX_HOME"],
        "gemini" => &["~/.gemini"],
        "opencode" => &[
            "~/.config/opencode",
            "~/.local/share/opencode",
            "~/.local/state/opencode",
            "~/.cache/opencode",
            "~/.opencode",
        ],
        "qwen" => &["~/.qwen"],
        "copilot" => &["~/.copilot", "~/.config/github-copilot"],
        "cline" => &["~/.cline", "$CLINE_DIR"],
        "kilo" => &["~/.kilocode", "~/.config/kilo", "~/.local/share/kilo", "~/.local/state/kilo"],
        "vibe" => &["~/.vibe", "$VIBE_HOME"],
        "kimi" => &["~/.kimi", "~/.config/kimi", "~/.local/share/kimi"],
        "fast-agent" => &["~/.fast-agent"],
        "openhands" => &["~/.openhands"],
        "goose" => &["~/.config/goose", "~/.local/share/goose", "~/.local/state/goose"],
        "pi" => &["~/.pi"],
        "auggie" => &["~/.augment"],
        "droid" => &["~/.factory"],
        _ => &[],
    };
    places.iter().map(|&place| place.to_owned()).collect()
}

fn agent(name: &str, title: &str, command: &str, hint: &str, env_pass: &[&str]) -> Entry {
    let argv = command.split(' ').map(str::to_owned).collect();
    Entry {
        title: title.to_owned(),
        hint: hint.to_owned(),
        env_pass: env_pass.iter().map(|&name| name.to_owned()).collect(),
        ..Entry::plain(name, argv)
    }
}

fn any_model(name: &str, title: &str, command: &str, hint: &str, own: &str) -> Entry {
    agent(name, title, command, hint, &[PROVIDERS, &[own]].concat())
}

fn claude(name: &str, title: &str, command: &str) -> Entry {
    let pass =
        ["ANTHROPIC_*", "CLAUDE_*", "DISABLE_AUTOUPDATER", "DISABLE_ERROR_REPORTING", "DISABLE_TELEMETRY"];
    agent(name, title, command, &npm("@anthropic-ai/claude-code"), &pass)
}

fn npm(package: &str) -> String {
    format!("install it with `npm install -g {package}`")
}

fn python(package: &str) -> String {
    format!("install it with `uv tool install {package}`")
}
