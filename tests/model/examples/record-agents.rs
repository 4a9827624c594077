//! Records the agents anew, after another version of one is pinned:
//! `cargo run -p trunkline-model-server --example record-agents`.
//!
//! Each file of `tests/agents/recordings` is one process from `initialize` to the end of its turn, with a JSON object
//! for each line: `dir` is `in` (to the agent) or `out`, `line` is the line as it was. Only the workspace's path is
//! changed, to `/workspace`, and the home's, to `/home/agent`. In `allow`, `deny` and `cancel` the user so decides
//! about a file write; `load` is the process after `allow`, which takes up its session.

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use trunkline_model_server::ModelServer;
use trunkline_model_server::kit::{AgentKit, Decision, Dialogue, Line, WRITE_PROMPT, write_file};

/// The largest recording, in bytes.
const MAX_RECORDING: usize = 100_000;

/// An agent with a model, a home and a workspace of its own.
struct Scene {
    _dir: TempDir,
    _server: ModelServer,
    kit: AgentKit,
    workspace: PathBuf,
    path: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    for agent in 0..AgentKit::all("", Path::new("")).len() {
        for (name, decision) in
            [("deny", Decision::Deny), ("cancel", Decision::Cancel), ("allow", Decision::Allow)]
        {
            let scene = Scene::new(agent).await?;
            let mut dialogue = scene.dialogue().await?;
            let session = dialogue.new_session(&scene.workspace).await?;
            dialogue.prompt(&session, WRITE_PROMPT, decision).await?;
            scene.save(name, &dialogue)?;
            dialogue.end(Duration::from_secs(1)).await?;
            if decision == Decision::Allow {
                scene.record_load(&session).await?;
            }
        }
    }
    Ok(())
}

impl Scene {
    async fn new(agent: usize) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let workspace = dir.path().join("workspace");
        std::fs::create_dir(&workspace)?;
        let server = ModelServer::start(write_file(&workspace.join("hello.txt"), "hello")).await?;
        let kit = AgentKit::all(&server.url(), &dir.path().join("homes"))[agent].clone();
        #[expect(clippy::disallowed_methods, reason = "the agents are Node programs, found on the true PATH")]
        let path = std::env::var("PATH")?;
        Ok(Self { _dir: dir, _server: server, kit, workspace, path })
    }

    async fn dialogue(&self) -> anyhow::Result<Dialogue> {
        let fs = json!({ "readTextFile": self.kit.traits.survives_missing_file, "writeTextFile": true });
        let capabilities: Value = json!({ "fs": fs, "terminal": true });
        Ok(Dialogue::start(&self.kit, &self.workspace, &self.path, capabilities).await?)
    }

    async fn record_load(&self, session: &str) -> anyhow::Result<()> {
        self.kit.let_an_hour_pass()?;
        let mut dialogue = self.dialogue().await?;
        dialogue.load_session(session, &self.workspace).await?;
        dialogue.prompt(session, "Do you remember?", Decision::Deny).await?;
        self.save("load", &dialogue)
    }

    fn save(&self, name: &str, dialogue: &Dialogue) -> anyhow::Result<()> {
        let recordings = Path::new(env!("CARGO_MANIFEST_DIR")).join("../agents/recordings");
        let file = recordings.join(format!("{}-{name}.ndjson", self.kit.name));
        let mut text = String::new();
        for line in dialogue.lines() {
            text += &serde_json::to_string(&Line { dir: line.dir, line: self.plain(&line.line) })?;
            text.push('\n');
        }
        ensure!(text.len() < MAX_RECORDING, "{} would be {} bytes", file.display(), text.len());
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
    }

    fn plain(&self, line: &str) -> String {
        let line = line.replace(&*self.workspace.to_string_lossy(), "/workspace");
        line.replace(&*self.kit.home.to_string_lossy(), "/home/agent")
    }
}
