//! Side calls of clients, and the control paths for tests in other languages.

use serde_json::{Value, json};
use trunkline_model_server::{MAX_KEPT, ModelServer, Outcome, Script};

use crate::client::{ALL, Reply, Said, ask, send};

async fn server() -> ModelServer {
    let script = json!({ "rules": [{ "answer": [{ "wait_for": "go" }, { "text": "ok" }] }] });
    ModelServer::start(Script::from_json(&script.to_string()).unwrap()).await.unwrap()
}

fn body(reply: &Reply) -> Value {
    serde_json::from_str(&reply.body).unwrap()
}

#[tokio::test]
async fn side_calls_are_answered_and_recorded() {
    let server = server().await;
    let sized = "x".repeat(400);
    let models = body(&send(&server, "GET", "/v1/models?limit=1", "", "").await);
    assert_eq!(models["data"][0]["id"], "scripted");
    let models = body(&send(&server, "GET", "/v1beta/models", "", "").await);
    assert_eq!(models["models"][0]["name"], "models/scripted");
    let count = body(&send(&server, "POST", "/v1/messages/count_tokens", "", &sized).await);
    assert_eq!(count["input_tokens"], 100);
    let count = body(&send(&server, "POST", "/v1beta/models/m:countTokens", "", &sized).await);
    assert_eq!(count["totalTokens"], 100);
    let unknown = send(&server, "POST", "/v1beta/models/m:embed", "", "").await;
    assert_eq!((unknown.status, send(&server, "GET", "/telemetry", "", "").await.status), (404, 404));
    let proxied = send(&server, "CONNECT", "example.org:443", "", "").await;
    assert_eq!(proxied.status, 404);
    let seen: Vec<_> = server.requests().into_iter().map(|one| (one.path, one.outcome)).collect();
    let expected = [
        ("/v1/models", Outcome::Complete),
        ("/v1beta/models", Outcome::Complete),
        ("/v1/messages/count_tokens", Outcome::Complete),
        ("/v1beta/models/m:countTokens", Outcome::Complete),
        ("/v1beta/models/m:embed", Outcome::Refused),
        ("/telemetry", Outcome::Refused),
        ("example.org:443", Outcome::Refused),
    ];
    assert_eq!(seen, expected.map(|(path, outcome)| (path.to_owned(), outcome)));
}

#[tokio::test]
async fn a_gate_opens_from_outside_and_the_record_is_read() {
    let server = server().await;
    let question = [Said::User("hi")];
    let asking = ask(&server, ALL[0], true, &question);
    let opening = async {
        server.reached("go").await.unwrap();
        send(&server, "POST", "/control/release/go", "", "").await.status
    };
    let (answer, status) = tokio::join!(asking, opening);
    assert_eq!((answer.text.as_str(), status), ("ok", 204));
    assert_eq!(send(&server, "POST", "/control/release/no", "", "").await.status, 404);
    let record = body(&send(&server, "GET", "/control/requests", "", "").await);
    assert_eq!(record.as_array().unwrap().len(), 1, "control calls are not recorded");
    assert_eq!(record[0]["outcome"], "complete");
    assert_eq!(record[0]["ask"]["user_text"], "hi");
    assert_eq!(record[0]["rule"], 0);
}

#[tokio::test]
async fn the_record_keeps_the_newest() {
    let server = server().await;
    let large = "x".repeat(15 << 20);
    for _ in 0..5 {
        send(&server, "POST", "/v1/messages/count_tokens", "", &large).await;
    }
    let numbers: Vec<_> = server.requests().iter().map(|one| one.number).collect();
    assert_eq!(numbers, [2, 3, 4, 5], "five bodies of 15 MiB do not fit into 64 MiB");
    for _ in 0..MAX_KEPT {
        send(&server, "GET", "/v1/models", "", "").await;
    }
    let kept = server.requests();
    assert_eq!((kept.len(), kept[0].number), (MAX_KEPT, 6));
}
