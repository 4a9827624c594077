//! MCP servers over the API: made, changed and given back as they are shown, and no answer tells a value.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use reqwest::Method;
use serde_json::{Value, json};
use trunkline_core::time::Time;
use trunkline_log::{Log, Memory};
use trunkline_run::mcp::Mcp;
use trunkline_run::profiles::Profiles;
use trunkline_run::secrets::Secrets;

use crate::world::{World, read};

/// What all values of these tests begin with.
const CANARY: &str = "canary";

struct Asker {
    world: World,
    answers: Mutex<Vec<String>>,
}

impl Asker {
    async fn new(disk: &Arc<dyn Log>, home: &Path) -> Self {
        let secrets = Secrets::open(home).unwrap();
        let profiles = Profiles::new(Default::default(), &[], secrets.clone());
        let mcp = Mcp::new(Default::default(), Vec::new(), secrets);
        let world = World::having(Arc::clone(disk), Ipv4Addr::LOCALHOST.into(), profiles, mcp).await;
        Self { world, answers: Mutex::default() }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let mut request = self.world.ask(method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        let (status, answer) = read(request).await;
        self.answers.lock().unwrap().push(answer.to_string());
        (status.as_u16(), answer)
    }

    async fn put(&self, server: &Value) -> (u16, Value) {
        self.ask(Method::PUT, "/v1/mcp/servers/mine", Some(server)).await
    }

    async fn get(&self) -> Value {
        self.ask(Method::GET, "/v1/mcp/servers/mine", None).await.1
    }

    fn tells_no_secret(&self) {
        let answers = self.answers.lock().unwrap();
        let told: Vec<_> = answers.iter().filter(|answer| answer.contains(CANARY)).collect();
        assert!(told.is_empty() && answers.len() > 2, "{told:?}");
    }
}

fn stored(home: &Path) -> String {
    std::fs::read_to_string(home.join("secrets.json")).unwrap_or_default()
}

#[tokio::test]
async fn what_is_shown_can_be_given_back_and_keeps_its_values() {
    let (home, disk) = (tempfile::tempdir().unwrap(), Arc::new(Memory::new(Time(1_000))) as Arc<dyn Log>);
    let asker = Asker::new(&disk, home.path()).await;
    let server = json!({ "command": "x", "args": ["-y"], "env": { "KEY": "canary-1", "OTHER": "canary-2" } });
    let (status, made) = asker.put(&server).await;
    let masked = json!({ "KEY": "********", "OTHER": "********" });
    assert_eq!(
        (status, &made["env"], &made["source"], &made["enabled"]),
        (200, &masked, &json!("made"), &json!(true))
    );
    let mut shown = asker.get().await;
    shown["enabled"] = json!(false);
    shown["env"] = json!({ "KEY": "********" });
    let (status, changed) = asker.put(&shown).await;
    assert_eq!(
        (status, &changed["enabled"], &changed["env"]),
        (200, &json!(false), &json!({ "KEY": "********" }))
    );
    assert!(stored(home.path()).contains("canary-1"), "a masked value stays");
    assert!(!stored(home.path()).contains("canary-2"), "the value of a name that is gone goes with it");
    asker.world.close().await;

    let again = Asker::new(&disk, home.path()).await;
    assert_eq!(again.get().await, changed, "it is kept over a restart");
    let (_, audit) = again.ask(Method::GET, "/v1/audit?kind=mcp.put", None).await;
    assert_eq!(audit["items"][0]["record"]["deed"]["what"], "x -y", "{audit}");
    shown["env"] = json!({ "KEY": null });
    let (_, lacking) = again.put(&shown).await;
    assert!(lacking["why"].as_str().unwrap().contains("KEY has no value"), "{lacking}");
    assert!(!stored(home.path()).contains(CANARY));
    assert_eq!(again.ask(Method::DELETE, "/v1/mcp/servers/mine", None).await.0, 204);
    assert_eq!(again.ask(Method::GET, "/v1/mcp/servers/mine", None).await.0, 404);
    asker.tells_no_secret();
    again.tells_no_secret();
    again.world.close().await;
}

#[tokio::test]
async fn what_is_no_server_is_refused_by_its_field_and_nothing_of_a_value_is_quoted() {
    let (home, disk) = (tempfile::tempdir().unwrap(), Arc::new(Memory::new(Time(1_000))) as Arc<dyn Log>);
    let asker = Asker::new(&disk, home.path()).await;
    for (field, body) in [
        ("command", json!({})),
        ("env", json!({ "command": "x", "env": ["canary"] })),
        ("env", json!({ "command": "x", "env": { "K": ["canary"] } })),
        ("env", json!({ "command": "x", "env": { "K": "********" } })),
        ("headers", json!({ "command": "x", "headers": { "K": "canary" } })),
        ("headers", json!({ "url": "https://h/mcp", "headers": { "K": "canary\nx" } })),
        ("url", json!({ "url": "http://h.example/mcp", "headers": { "K": "canary" } })),
        ("body", json!({ "command": "x", "shell": true })),
    ] {
        let (status, problem) = asker.put(&body).await;
        assert_eq!((status, problem["field"].as_str()), (422, Some(field)), "{body}: {problem}");
    }
    let (status, problem) =
        asker.ask(Method::PUT, "/v1/mcp/servers/a__b", Some(&json!({ "command": "x" }))).await;
    assert_eq!((status, &problem["field"]), (422, &json!("name")));
    assert!(!stored(home.path()).contains(CANARY), "nothing is kept of what was refused");
    asker.tells_no_secret();
    asker.world.close().await;
}
