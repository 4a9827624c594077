//! What the test of a profile says, on every wire, and what it sends.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trunkline_core::profile::{Profile, Provider};
use trunkline_model_server::{ModelServer, Script};
use trunkline_run::profiles::{OfFile, Profiles, TestError, Tested};
use trunkline_run::secrets::Secrets;
use trunkline_wire::model::Secret;

use crate::stage::{CANARY, WIRES, answers, profile};

/// Profiles with this one, which is called `p`.
fn profiles(profile: Profile, key: Option<&str>) -> Profiles {
    let of = OfFile { profile, api_key: key.map(Secret::new), headers: Vec::new() };
    Profiles::new(BTreeMap::from([("p".to_owned(), of)]), &[], Secrets::default())
}

async fn test(provider: Provider, server: &ModelServer) -> Tested {
    profiles(profile(provider, server), Some(CANARY)).test("p").await.unwrap()
}

fn failing(status: u16) -> Value {
    json!([{ "error": { "status": status, "message": "no", "retry_after": 1 } }])
}

#[tokio::test]
async fn a_model_is_asked_once_and_for_one_token() {
    for provider in WIRES {
        let server = ModelServer::start(answers(&[json!([{ "text": "H" }])])).await.unwrap();
        let tested = test(provider, &server).await;
        assert!(tested.success && tested.error.is_none(), "{tested:?}");
        let asked = server.requests();
        assert_eq!(asked.len(), 1);
        let body = &asked[0].body;
        let limits =
            [&body["max_tokens"], &body["max_output_tokens"], &body["generationConfig"]["maxOutputTokens"]];
        assert_eq!(limits.into_iter().filter(|limit| **limit == 1).count(), 1, "{body}");
        assert!(body["tools"].is_null(), "{body}");
    }
}

#[tokio::test]
async fn what_fails_has_a_name_and_is_not_tried_again() {
    let cases = [
        (401, TestError::AuthenticationFailed),
        (429, TestError::RateLimited),
        (503, TestError::Other),
        (404, TestError::Other),
    ];
    for provider in WIRES {
        for (status, error) in cases {
            let server = ModelServer::start(answers(&[failing(status)])).await.unwrap();
            let tested = test(provider, &server).await;
            assert_eq!((tested.success, tested.error), (false, Some(error)), "{provider:?} {status}");
            assert_eq!(server.requests().len(), 1, "{provider:?} {status}");
        }
    }
}

#[tokio::test]
async fn an_address_where_nobody_is_and_a_key_that_is_not_there_are_told_apart() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = Some(format!("http://{}/v1", nobody.local_addr().unwrap()));
    drop(nobody);
    let dead = Profile { base_url, ..Profile::new(Provider::Openai, "m") };
    let tested = profiles(dead.clone(), Some(CANARY)).test("p").await.unwrap();
    assert_eq!(tested.error, Some(TestError::ConnectionFailed), "{tested:?}");
    let tested = profiles(dead, None).test("p").await.unwrap();
    assert_eq!(tested.error, Some(TestError::MissingKey));
    assert!(tested.message.unwrap().contains("trunkline profiles key p"));
    assert!(profiles(Profile::new(Provider::Ollama, "m"), None).test("q").await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_model_that_says_nothing_is_not_waited_for() {
    let script = json!({ "rules": [{ "answer": [{ "wait_for": "never" }, { "text": "H" }] }] });
    let server = ModelServer::start(Script::from_json(&script.to_string()).unwrap()).await.unwrap();
    let tested = test(Provider::Openai, &server).await;
    assert_eq!(tested.error, Some(TestError::Timeout), "{tested:?}");
}
