//! Agents that are folders, and skills: what stands over their conversations, and what they are offered.

use std::path::Path;

use serde_json::json;
use trunkline_core::id::Seq;
use trunkline_core::profile::Provider;
use trunkline_core::session::Created;
use trunkline_core::turn::StopReason;
use trunkline_run::model::MODEL;

use crate::stage::{Stage, answers, call, calls, played};
use crate::world::{Reader, created, owner};

fn written(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Makes the stage's session one of this agent.
async fn becomes(stage: &mut Stage, agent: &str) {
    let workspace = Some(stage.workspace().to_str().unwrap().to_owned());
    let made = Created { workspace, agent: agent.to_owned(), ..created(MODEL) };
    stage.id = stage.hub.create(&owner(), made, None).await.unwrap().0;
    stage.reader = Reader::attach(&stage.hub, stage.id, Seq::ZERO).await;
}

#[tokio::test]
async fn a_folder_says_what_its_agent_is_told_asks_and_may_do() {
    let script = [json!([call("skill", json!({ "name": "tidy" }))]), json!([{ "text": "Done." }])];
    let mut stage = Stage::new(Provider::Anthropic, answers(&script)).await;
    let (home, work) = (stage.workspace().parent().unwrap().join("daemon"), stage.workspace());
    written(&home, "agents/mine/system_prompt.md", "You are the tidy one.");
    let about = json!({ "profile": "other", "tools": ["read", "list"], "skills": ["tidy"] });
    written(&home, "agents/mine/agent.json", &about.to_string());
    written(&home, "skills/tidy/SKILL.md", "---\nname: tidy\ndescription: Cleans up.\n---\nSweep first.");
    written(&work, ".agents/skills/loud/SKILL.md", "---\nname: loud\ndescription: Shouts.\n---\nShout.");
    becomes(&mut stage, "mine").await;
    let events = stage.turn("Work.").await;
    let asked = stage.asked();
    let offers: Vec<_> = asked[0].ask.as_ref().unwrap().tools.iter().map(|tool| tool.name.clone()).collect();
    assert_eq!(offers, ["read", "list", "skill"], "nothing but what the folder says");
    let body = asked[0].body.to_string();
    assert!(
        body.contains("You are the tidy one.") && !body.contains("for a person who may be away"),
        "{body}"
    );
    assert!(body.contains("tidy: Cleans up.") && !body.contains("loud"), "{body}");
    assert_eq!(asked[0].ask.as_ref().unwrap().model, "other-model", "that of its profile");
    let told = calls(&events);
    assert_eq!((told[0].1.as_str(), told[0].2.as_str()), ("completed", "Sweep first."));
    stage.finish().await;
}

#[tokio::test]
async fn a_workspace_may_bring_an_agent_and_one_that_is_gone_says_so() {
    let mut stage = Stage::new(Provider::Anthropic, answers(&[json!([{ "text": "Done." }])])).await;
    written(&stage.workspace(), ".trunkline/agents/theirs/system_prompt.md", "You came with the code.");
    becomes(&mut stage, "theirs").await;
    stage.turn("Work.").await;
    assert!(stage.asked()[0].body.to_string().contains("You came with the code."));
    std::fs::remove_dir_all(stage.workspace().join(".trunkline")).unwrap();
    becomes(&mut stage, "theirs").await;
    let events = stage.turn("Work.").await;
    let end = played::end(&events);
    assert!(end.stop_reason == StopReason::Error, "{end:?}");
    assert!(end.error.as_ref().unwrap().contains("the agent theirs is gone"), "{end:?}");
    stage.finish().await;
}
