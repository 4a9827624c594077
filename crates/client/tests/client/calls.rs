use trunkline_client::types::{NewSession, NewToken, NewTurn, SessionQuery};
use trunkline_client::{Client, Error, Runtime, SOCKET_FILE};
use trunkline_core::principal::Scope;

use crate::server::{Say, Server, header, json, on_socket};

const SESSION: &str = r#"{"id":"0190163d-8694-739b-aea5-966c26f8ad91","state":"idle","agent":"x","driver":"acp",
    "created_at":1,"created_by":"owner","updated_at":1,"queued":0,"pending":0,"turns":0,"later":true}"#;

fn client(server: &Server) -> Client {
    Client::new(&server.base_url(), "s3cret").unwrap()
}

#[tokio::test]
async fn a_call_carries_the_token_and_a_list_what_was_written_before() {
    let page = format!(r#"{{"items":[{SESSION}],"at":42}}"#);
    let mut server = Server::play(vec![json("201 Created", SESSION), json("200 OK", &page)]).await;
    let client = client(&server);
    let session = client.create_session(&NewSession::agent("x").workspace("/w")).await.unwrap();
    let query = SessionQuery { workspace: Some("/a b".into()), limit: Some(5), ..SessionQuery::default() };
    let page = client.sessions(&query).await.unwrap();
    assert_eq!(page.items, [session]);

    let create = server.request().await;
    assert!(create.starts_with("POST /v1/sessions HTTP/1.1\r\n"), "{create}");
    assert_eq!(header(&create, "authorization"), Some("Bearer s3cret"));
    assert_eq!(header(&create, "content-type"), Some("application/json"));
    assert_eq!(header(&create, "host"), Some(server.address.to_string().as_str()));
    assert!(header(&create, "idempotency-key").is_some());
    assert!(create.ends_with(r#"{"agent":"x","workspace":"/w"}"#), "{create}");
    let list = server.request().await;
    assert!(list.starts_with("GET /v1/sessions?workspace=/a%20b&limit=5 HTTP/1.1\r\n"), "{list}");
    assert_eq!(header(&list, "trunkline-at"), Some("41"));
}

#[tokio::test]
async fn a_refusal_is_a_problem() {
    let body = r#"{"type":"about:blank","title":"Conflict","status":409,"code":"turn_running","detail":"turn 7 is running","turn":7}"#;
    let server = Server::play(vec![json("409 Conflict", body)]).await;
    let id = "0190163d-8694-739b-aea5-966c26f8ad91".parse().unwrap();
    let error = client(&server).prompt(id, &NewTurn::text("hi")).await.unwrap_err();
    assert_eq!(error.problem().unwrap().code, "turn_running");
    assert_eq!(error.to_string(), "turn 7 is running");
}

#[tokio::test]
async fn a_command_whose_answer_was_lost_is_sent_again_with_the_same_key() {
    let mut server = Server::play(vec![Say::Bytes(Vec::new()), json("201 Created", SESSION)]).await;
    client(&server).create_session(&NewSession::agent("x")).await.unwrap();
    let (first, second) = (server.request().await, server.request().await);
    assert_eq!(header(&first, "idempotency-key"), header(&second, "idempotency-key"));
}

#[tokio::test]
async fn what_would_happen_twice_is_not_sent_again() {
    let server = Server::play(vec![Say::Bytes(Vec::new()), json("201 Created", "{}")]).await;
    let new = NewToken { name: "phone".into(), scope: Scope::Viewer, ttl_s: None };
    let error = client(&server).create_token(&new).await.unwrap_err();
    assert!(matches!(error, Error::Broken { .. }), "{error:?}");
}

#[tokio::test]
async fn nobody_there_is_told_from_a_refusal() {
    let server = Server::play(vec![json("200 OK", "{}")]).await;
    let client = client(&server);
    let odd = client.me().await.unwrap_err();
    assert!(
        odd.to_string().starts_with("the answer to GET /v1/me is not understood: missing field"),
        "{odd}"
    );
    drop(server);
    assert!(client.me().await.unwrap_err().is_unreachable());
}

#[tokio::test]
async fn a_discovered_client_follows_its_daemon_to_another_port() {
    let home = tempfile::tempdir().unwrap();
    assert!(matches!(Client::discover(home.path()), Err(Error::NotRunning { .. })));
    let me = r#"{"principal":"owner","scope":"admin"}"#;
    let first = Server::play(vec![json("200 OK", me)]).await;
    write_runtime(&home, &first);
    std::fs::write(home.path().join("token"), "s3cret\n").unwrap();
    let client = Client::discover(home.path()).unwrap();
    client.me().await.unwrap();
    drop(first);
    assert!(client.me().await.unwrap_err().is_unreachable());
    let second = Server::play(vec![json("200 OK", me)]).await;
    write_runtime(&home, &second);
    assert_eq!(client.me().await.unwrap().principal.as_str(), "owner");
}

#[tokio::test]
async fn whoever_has_taken_the_port_does_not_get_the_token() {
    let home = tempfile::tempdir().unwrap();
    let stranger = Server::play(vec![json("200 OK", "{}")]).await;
    write_runtime(&home, &stranger);
    std::fs::write(home.path().join("token"), "s3cret").unwrap();
    std::fs::create_dir(home.path().join("run")).unwrap();
    let socket = tokio::net::UnixListener::bind(home.path().join(SOCKET_FILE)).unwrap();
    let client = Client::discover(home.path()).unwrap();
    let me = json("200 OK", r#"{"principal":"owner","scope":"admin"}"#);
    let (asked, answer) = tokio::join!(on_socket(socket, me), client.me());
    assert_eq!(header(&asked, "authorization"), Some("Bearer s3cret"));
    assert_eq!(header(&asked, "host"), Some(stranger.address.to_string().as_str()));
    assert_eq!(answer.unwrap().principal.as_str(), "owner");
    // The daemon is gone; its files are not.
    assert!(client.me().await.unwrap_err().is_unreachable());
    assert!(stranger.requests.is_empty());
}

fn write_runtime(home: &tempfile::TempDir, server: &Server) {
    let runtime = Runtime {
        port: server.address.port(),
        base_url: server.base_url(),
        pid: 1,
        version: "0".into(),
        attach: None,
        engine: None,
        tls: None,
    };
    std::fs::write(home.path().join(Runtime::FILE), serde_json::to_vec(&runtime).unwrap()).unwrap();
}
