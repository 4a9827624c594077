//! The pinned agents of other vendors, run without Trunkline: that they are installed, find the scripted model, and
//! behave as their kits say. They need `npm ci --prefix tests/agents` first.
#![expect(clippy::unwrap_used, reason = "helpers of tests unwrap as the tests do")]

use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use trunkline_model_server::kit::{
    AgentKit, CLOSING_WORDS, Decision, Dialogue, Turn, WRITE_PROMPT, write_file,
};
use trunkline_model_server::{Dialect, ModelServer, Outcome};

/// What the agents may ask of the world outside. Claude Code wants a list of withdrawn plugins, and goes on without.
const KNOWN_ATTEMPTS: [&str; 1] = ["raw.githubusercontent.com:443"];

struct Bench {
    _dir: TempDir,
    workspace: PathBuf,
    file: PathBuf,
    server: ModelServer,
    kit: AgentKit,
}

impl Bench {
    async fn new(kit: impl Fn(&str, &std::path::Path) -> AgentKit) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let workspace = dir.path().join("workspace");
        std::fs::create_dir(&workspace).unwrap();
        let file = workspace.join("hello.txt");
        let server = ModelServer::start(write_file(&file, "hello")).await.unwrap();
        let kit = kit(&server.url(), &dir.path().join("home"));
        Self { _dir: dir, workspace, file, server, kit }
    }

    async fn dialogue(&self, fs: Value) -> Dialogue {
        #[expect(clippy::disallowed_methods, reason = "the agents are Node programs, found on the true PATH")]
        let path = std::env::var("PATH").unwrap();
        Dialogue::start(&self.kit, &self.workspace, &path, json!({ "fs": fs, "terminal": true }))
            .await
            .unwrap()
    }

    fn written(&self) -> Option<String> {
        std::fs::read_to_string(&self.file).ok()
    }

    /// Denies, allows and cancels a file write, and takes up the session in a second process.
    async fn check(&self, dialect: Dialect) {
        let traits = self.kit.traits;
        let fs = json!({ "readTextFile": traits.survives_missing_file, "writeTextFile": true });
        let mut first = self.dialogue(fs.clone()).await;
        let session = first.new_session(&self.workspace).await.unwrap();

        let denied = first.prompt(&session, WRITE_PROMPT, Decision::Deny).await.unwrap();
        assert_eq!((denied.permissions.len(), self.written()), (1, None));
        assert_eq!(denied.stop_reason, traits.stop_when_denied);
        assert_eq!(denied.tool_status() == Some("failed"), traits.reports_denied_tool);
        assert_eq!(denied.text().contains(CLOSING_WORDS), traits.stop_when_denied == "end_turn");

        let allowed = first.prompt(&session, WRITE_PROMPT, Decision::Allow).await.unwrap();
        assert_eq!((allowed.permissions.len(), self.written().as_deref()), (1, Some("hello")));
        assert_eq!((&*allowed.stop_reason, allowed.tool_status()), ("end_turn", Some("completed")));
        assert!(allowed.text().ends_with(&format!("I will write it.{CLOSING_WORDS}")), "{}", allowed.text());
        let asked_us = allowed.methods.iter().any(|method| method == "fs/write_text_file");
        assert_eq!(asked_us, traits.writes_through_client);
        assert!(!allowed.methods.iter().any(|method| method.starts_with("terminal/")));

        self.check_cancel(&mut first).await;
        self.check_end(first).await;
        self.kit.let_an_hour_pass().unwrap();

        let mut second = self.dialogue(fs).await;
        second.load_session(&session, &self.workspace).await.unwrap();
        let later = second.prompt(&session, "Do you remember?", Decision::Deny).await.unwrap();
        assert!(later.text().ends_with("Ready."), "{}", later.text());
        let request = self.server.requests().pop().unwrap();
        assert!(request.body.to_string().contains(CLOSING_WORDS), "the model is told what was said before");
        self.check_requests(dialect);
    }

    async fn check_cancel(&self, dialogue: &mut Dialogue) {
        std::fs::remove_file(&self.file).unwrap();
        let session = dialogue.new_session(&self.workspace).await.unwrap();
        let cancelled = dialogue.prompt(&session, WRITE_PROMPT, Decision::Cancel).await.unwrap();
        let Turn { stop_reason, permissions, .. } = cancelled;
        assert_eq!((&*stop_reason, permissions.len(), self.written()), ("cancelled", 1, None));
    }

    async fn check_end(&self, dialogue: Dialogue) {
        // Who ends by itself does it at once; for the others there is nothing to wait for.
        let patience =
            if self.kit.traits.ends_on_eof { Duration::from_secs(30) } else { Duration::from_secs(1) };
        let (by_itself, _) = dialogue.end(patience).await.unwrap();
        assert_eq!(by_itself, self.kit.traits.ends_on_eof);
    }

    /// The agent spoke its dialect and no other, the script had an answer to everything, and nobody called home.
    fn check_requests(&self, dialect: Dialect) {
        for request in self.server.requests() {
            if request.method == "CONNECT" {
                assert!(KNOWN_ATTEMPTS.contains(&&*request.path), "{}", request.path);
            } else {
                assert_ne!(request.outcome, Outcome::Refused, "{} {}", request.method, request.path);
                assert!(request.ask.is_none_or(|ask| ask.dialect == dialect));
            }
        }
    }
}

#[tokio::test]
async fn gemini_does_as_its_kit_says() {
    Bench::new(AgentKit::gemini).await.check(Dialect::Gemini).await;
}

#[tokio::test]
async fn claude_does_as_its_kit_says() {
    Bench::new(AgentKit::claude).await.check(Dialect::Messages).await;
}

#[tokio::test]
async fn codex_does_as_its_kit_says() {
    Bench::new(AgentKit::codex).await.check(Dialect::Responses).await;
}

/// Why Gemini is not offered `fs/read_text_file`: it does not understand that a file is missing.
#[tokio::test]
async fn gemini_cannot_make_a_file_if_it_reads_through_the_client() {
    let bench = Bench::new(AgentKit::gemini).await;
    let mut dialogue = bench.dialogue(json!({ "readTextFile": true, "writeTextFile": true })).await;
    let session = dialogue.new_session(&bench.workspace).await.unwrap();
    let turn = dialogue.prompt(&session, WRITE_PROMPT, Decision::Allow).await.unwrap();
    assert_eq!((turn.permissions.len(), turn.tool_status(), bench.written()), (0, Some("failed"), None));
}
