//! Profiles over the API: made, changed, tested and kept, and no answer tells a secret.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use reqwest::Method;
use serde_json::{Value, json};
use trunkline_core::profile::{Profile, Provider};
use trunkline_core::time::Time;
use trunkline_log::{Log, Memory};
use trunkline_model_server::{ModelServer, Script};
use trunkline_run::mcp::Mcp;
use trunkline_run::profiles::{OfFile, Profiles};
use trunkline_run::secrets::Secrets;
use trunkline_wire::model::Secret;

use crate::world::{World, read};

/// What all secrets of these tests begin with.
const CANARY: &str = "canary";

/// A daemon's profiles: one of the file, one of the environment, and the store of secrets in this home.
fn profiles(home: &Path) -> Profiles {
    let filed = OfFile {
        profile: Profile {
            base_url: Some("https://filed.example/v1".to_owned()),
            headers: vec!["x-team".to_owned()],
            ..Profile::new(Provider::Custom, "filed-model")
        },
        api_key: Some(Secret::new("canary-of-the-file")),
        headers: vec![("x-team".to_owned(), Secret::new("canary-of-a-header"))],
    };
    let env = [("OPENAI_API_KEY".into(), "canary-of-the-environment".into())];
    Profiles::new(BTreeMap::from([("filed".to_owned(), filed)]), &env, Secrets::open(home).unwrap())
}

/// Who asks, and keeps every answer.
struct Asker {
    world: World,
    answers: Mutex<Vec<String>>,
}

impl Asker {
    async fn new(disk: &Arc<dyn Log>, home: &Path) -> Self {
        let world =
            World::having(Arc::clone(disk), Ipv4Addr::LOCALHOST.into(), profiles(home), Mcp::default()).await;
        Self { world, answers: Mutex::default() }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = self.world.ask(method, path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let (status, answer) = read(request).await;
        self.answers.lock().unwrap().push(answer.to_string());
        (status.as_u16(), answer)
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.ask(Method::GET, path, None).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    fn tells_no_secret(&self) {
        let answers = self.answers.lock().unwrap();
        let told: Vec<_> = answers.iter().filter(|answer| answer.contains(CANARY)).collect();
        assert!(told.is_empty() && answers.len() > 3, "{told:?}");
    }
}

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_profile_is_made_and_kept_and_no_answer_tells_its_secrets() {
    let (home, disk) = (tempfile::tempdir().unwrap(), Arc::new(Memory::new(Time(1_000))) as Arc<dyn Log>);
    let asker = Asker::new(&disk, home.path()).await;
    assert_eq!(names(&asker.get("/v1/profiles").await), ["filed", "openai-auto"]);
    let mine = json!({ "provider": "anthropic", "model": "m", "headers": ["x-own"] });
    let (status, made) = asker.ask(Method::PUT, "/v1/profiles/mine", Some(mine.clone())).await;
    assert_eq!((status, &made["source"], &made["has_api_key"]), (200, &json!("made"), &json!(false)));
    let secrets = json!({ "api_key": "canary-of-the-key", "headers": { "x-own": "canary-of-my-header" } });
    let (status, keyed) = asker.ask(Method::PUT, "/v1/profiles/mine/secrets", Some(secrets)).await;
    assert_eq!((status, &keyed["has_api_key"]), (200, &json!(true)), "{keyed}");
    let other = json!({ "provider": "anthropic", "model": "other", "headers": ["x-own"] });
    let (_, changed) = asker.ask(Method::PUT, "/v1/profiles/mine", Some(other)).await;
    assert_eq!((&changed["model"], &changed["has_api_key"]), (&json!("other"), &json!(true)), "{changed}");
    refused(&asker).await;
    asker.tells_no_secret();
    asker.world.close().await;

    let again = Asker::new(&disk, home.path()).await;
    assert_eq!(names(&again.get("/v1/profiles").await), ["filed", "mine", "openai-auto"]);
    let kept = again.get("/v1/profiles/mine").await;
    assert_eq!((&kept["model"], &kept["has_api_key"]), (&json!("other"), &json!(true)));
    let store = home.path().join("secrets.json");
    assert_eq!(std::fs::metadata(&store).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(std::fs::read_to_string(&store).unwrap().contains("canary-of-the-key"));
    let (status, _) = again.ask(Method::DELETE, "/v1/profiles/mine/secrets", None).await;
    assert_eq!((status, &again.get("/v1/profiles/mine").await["has_api_key"]), (204, &json!(false)));
    assert_eq!(again.ask(Method::DELETE, "/v1/profiles/mine", None).await.0, 204);
    assert_eq!(names(&again.get("/v1/profiles").await), ["filed", "openai-auto"]);
    assert!(!std::fs::read_to_string(&store).unwrap().contains(CANARY), "its secrets went with it");
    again.tells_no_secret();
}

/// What is refused, and in which words; none of them are those of a secret.
async fn refused(asker: &Asker) {
    let put = |path: &'static str, body: Value| async move {
        let (status, problem) = asker.ask(Method::PUT, path, Some(body)).await;
        (
            status,
            format!("{}: {}", problem["code"].as_str().unwrap(), problem["field"].as_str().unwrap_or("-")),
        )
    };
    let local = json!({ "provider": "ollama", "model": "m" });
    assert_eq!(put("/v1/profiles/filed", local.clone()).await, (422, "invalid: name".to_owned()));
    assert_eq!(put("/v1/profiles/a%2Fb", local).await, (422, "invalid: name".to_owned()));
    let with_key = json!({ "provider": "openai", "model": "m", "api_key": "canary-astray" });
    assert_eq!(put("/v1/profiles/x", with_key).await.0, 422);
    let in_address = json!({ "provider": "custom", "model": "m", "base_url": "https://u:canary@h" });
    assert_eq!(put("/v1/profiles/x", in_address).await, (422, "invalid: base_url".to_owned()));
    for (body, field) in [
        (json!({ "api_key": ["canary"] }), "api_key"),
        (json!({ "headers": "canary" }), "headers"),
        (json!({ "headers": { "x-own": 1, "y": "canary" } }), "headers"),
        (json!({ "headers": { "x-other": "canary" } }), "headers"),
        (json!({ "api_key": "canary\n" }), "api_key"),
        (json!({ "api_key": "" }), "api_key"),
        (json!({ "key": "canary" }), "key"),
    ] {
        assert_eq!(put("/v1/profiles/mine/secrets", body).await, (422, format!("invalid: {field}")));
    }
    assert_eq!(put("/v1/profiles/none/secrets", json!({ "api_key": "canary-no" })).await.0, 404);
    assert_eq!(asker.ask(Method::DELETE, "/v1/profiles/openai-auto", None).await.0, 422);
    assert_eq!(asker.ask(Method::DELETE, "/v1/profiles/none", None).await.0, 404);
    assert_eq!(asker.ask(Method::GET, "/v1/profiles/none", None).await.0, 404);
    assert_eq!(asker.ask(Method::POST, "/v1/profiles/none/test", Some(json!({}))).await.0, 404);
}

#[tokio::test]
async fn a_test_says_what_fails_though_the_provider_quotes_the_key() {
    let script = json!({ "rules": [
        { "times": 1, "answer": [{ "text": "H" }] },
        { "times": 1, "answer": [{ "error": { "status": 401, "message": "Incorrect API key: canary-of-the-key" } }] },
    ] });
    let server = ModelServer::start(Script::from_json(&script.to_string()).unwrap()).await.unwrap();
    let (home, disk) = (tempfile::tempdir().unwrap(), Arc::new(Memory::new(Time(1_000))) as Arc<dyn Log>);
    let asker = Asker::new(&disk, home.path()).await;
    let test = async || asker.ask(Method::POST, "/v1/profiles/mine/test", Some(json!({}))).await.1;
    let mine = json!({ "provider": "openai", "model": "m", "base_url": format!("{}/v1", server.url()) });
    asker.ask(Method::PUT, "/v1/profiles/mine", Some(mine)).await;
    assert_eq!(test().await["error"], "missing_key");
    let key = json!({ "api_key": "canary-of-the-key" });
    asker.ask(Method::PUT, "/v1/profiles/mine/secrets", Some(key)).await;
    let fine = test().await;
    assert_eq!((&fine["success"], &fine["error"]), (&json!(true), &Value::Null), "{fine}");
    assert!(fine["latency_ms"].is_u64());
    let failed = test().await;
    assert_eq!((&failed["success"], &failed["error"]), (&json!(false), &json!("authentication_failed")));
    assert_eq!(failed["message"], "Incorrect API key: [secret] (status 401)");
    assert_eq!(server.requests().len(), 2, "nothing is tried again");
    asker.get("/v1/catalog").await;
    asker.tells_no_secret();
}

#[tokio::test]
async fn only_the_owner_changes_profiles_and_a_viewer_tests_none() {
    let (home, disk) = (tempfile::tempdir().unwrap(), Arc::new(Memory::new(Time(1_000))) as Arc<dyn Log>);
    let Asker { world, .. } = Asker::new(&disk, home.path()).await;
    for (scope, tests) in [("viewer", 403), ("operator", 404)] {
        let (_, made) = world.post("/v1/tokens", &json!({ "name": scope, "scope": scope })).await;
        let token = made["token"].as_str().unwrap().to_owned();
        let ask = async |method: Method, path: &str, body: Value| {
            read(world.http.request(method, world.url(path)).bearer_auth(&token).json(&body)).await.0
        };
        assert_eq!(read(world.http.get(world.url("/v1/profiles")).bearer_auth(&token)).await.0, 200);
        let local = json!({ "provider": "ollama", "model": "m" });
        assert_eq!(ask(Method::PUT, "/v1/profiles/x", local).await, 403);
        assert_eq!(ask(Method::PUT, "/v1/profiles/filed/secrets", json!({ "api_key": "k" })).await, 403);
        assert_eq!(ask(Method::DELETE, "/v1/profiles/filed/secrets", json!({})).await, 403);
        assert_eq!(ask(Method::DELETE, "/v1/profiles/x", json!({})).await, 403);
        assert_eq!(ask(Method::POST, "/v1/profiles/none/test", json!({})).await, tests);
    }
}
