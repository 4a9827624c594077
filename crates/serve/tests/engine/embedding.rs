//! The API in a program of somebody else: two of them in one process, each with a home of its own.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};
use tower_service::Service as _;
use trunkline_core::id::Node;
use trunkline_core::profile::{Profile, Provider};
use trunkline_log::Sqlite;
use trunkline_model_server::ModelServer;
use trunkline_run::Hub;
use trunkline_run::catalog::Catalog;
use trunkline_run::clock::Clock;
use trunkline_run::custody::{Custody, CustodyOptions};
use trunkline_run::driver::Driver;
use trunkline_run::mcp::Mcp;
use trunkline_run::model::{MODEL, ModelDriver};
use trunkline_run::profiles::{OfFile, Profiles};
use trunkline_run::secrets::Secrets;
use trunkline_serve::auth::sha256;
use trunkline_serve::{EngineSettings, RouterConfig, router};
use trunkline_wire::model::Secret;

use crate::world::answers;

/// A program that has the API in it.
struct Program {
    hub: Hub,
    router: Router,
    owner: String,
    engine: String,
}

impl Program {
    async fn start(home: &Path, name: &str, model: &ModelServer) -> Self {
        std::fs::create_dir_all(home).unwrap();
        let base_url = Some(format!("{}/v1", model.url()));
        let profile = Profile { base_url, ..Profile::new(Provider::Openai, "a-model") };
        let of_file =
            OfFile { profile, api_key: Some(Secret::new(format!("key-of-{name}"))), headers: Vec::new() };
        let secrets = Secrets::open(home).unwrap();
        let profiles = Profiles::new(BTreeMap::from([(format!("of-{name}"), of_file)]), &[], secrets.clone());
        let mcp = Mcp::new(BTreeMap::new(), Vec::new(), secrets.clone());
        let keep = CustodyOptions { keep_program: "/nowhere".into(), grace: Duration::ZERO, subreaper: None };
        let custody = Custody::new(keep);
        let catalog = Catalog::new(Default::default(), "").unwrap().with_profiles(profiles.clone());
        let catalog = Arc::new(catalog.with_bundles(home.to_owned()));
        let driver = ModelDriver::new(
            custody.clone(),
            Arc::clone(&catalog),
            profiles.clone(),
            mcp.clone(),
            Vec::new(),
        );
        let clock = Clock::system();
        let hub = Hub::start(trunkline_run::hub::Options {
            disk: Arc::new(Sqlite::open(home.join("trunkline.db"), clock.now()).unwrap()),
            live: Arc::new(trunkline_log::Memory::new(clock.now())),
            clock,
            node: Node { name: name.to_owned(), incarnation: 1 },
            drivers: HashMap::from([(MODEL.to_owned(), Arc::new(driver) as Arc<dyn Driver>)]),
            checkpoints: false,
            profiles,
            mcp,
        })
        .await
        .unwrap();
        let (owner, engine) = (format!("owner-of-{name}"), format!("engine-of-{name}"));
        let mut config = RouterConfig::new(&owner, "http://127.0.0.1", catalog, custody, secrets);
        config.engine = EngineSettings {
            token_sha256: Some(sha256(&engine)),
            sessions_dir: home.join("sessions"),
            ..EngineSettings::default()
        };
        let router = router(hub.clone(), config).unwrap();
        Self { hub, router, owner, engine }
    }

    async fn ask(&self, token: &str, method: Method, path: &str, body: Value) -> (u16, String) {
        let request = Request::builder().method(method).uri(path).header("host", "127.0.0.1");
        let request = request
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json");
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let response = self.router.clone().call(request.body(body).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    async fn get(&self, token: &str, path: &str) -> (u16, String) {
        self.ask(token, Method::GET, path, Value::Null).await
    }
}

#[tokio::test]
async fn two_in_one_process_share_neither_tokens_nor_sessions_nor_keys() {
    let dir = tempfile::tempdir().unwrap();
    let said = |text: &str| answers(&[json!([{ "text": text }])]);
    let (one_model, two_model) = (
        ModelServer::start(said("I am one.")).await.unwrap(),
        ModelServer::start(said("I am two.")).await.unwrap(),
    );
    let one = Program::start(&dir.path().join("one"), "one", &one_model).await;
    let two = Program::start(&dir.path().join("two"), "two", &two_model).await;
    for (here, there, words) in [(&one, &two, "I am one."), (&two, &one, "I am two.")] {
        assert_eq!(here.get(&here.owner, "/v1/sessions").await.0, 200);
        for foreign in [&there.owner, &there.engine] {
            assert_eq!(here.get(foreign, "/v1/sessions").await.0, 401);
            assert_eq!(here.get(foreign, "/sessions").await.0, 401);
        }
        let (status, made) = here.ask(&here.engine, Method::POST, "/sessions", json!({})).await;
        assert_eq!(status, 200, "{made}");
        let id = serde_json::from_str::<Value>(&made).unwrap()["session_id"].as_str().unwrap().to_owned();
        let message = format!("/sessions/{id}/message");
        let (status, stream) =
            here.ask(&here.engine, Method::POST, &message, json!({ "content": "Who?" })).await;
        assert!(status == 200 && stream.contains(words), "{stream}");
        assert_eq!(there.get(&there.owner, &format!("/v1/sessions/{id}")).await.0, 404);
        let (_, profiles) = here.get(&here.owner, "/v1/profiles").await;
        let foreign = there.owner.replace("owner-", "");
        assert!(profiles.contains("of-") && !profiles.contains(&format!("\"{foreign}\"")), "{profiles}");
    }
    assert_eq!((one_model.requests().len(), two_model.requests().len()), (1, 1));
    one.hub.shutdown().await;
    assert_eq!(two.get(&two.owner, "/v1/sessions").await.0, 200, "one that ends takes no other along");
    two.hub.shutdown().await;
}
