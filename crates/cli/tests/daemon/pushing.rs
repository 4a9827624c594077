//! Web Push against a service and a browser that are played here, by the RFCs and not by the daemon's code.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::rand::SystemRandom;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::harness::{Daemon, Home};

const AUTH: [u8; 16] = [7; 16];

/// A browser with one subscription. Its key opens one message, so each message needs another.
struct Browser {
    own: EphemeralPrivateKey,
    public: Vec<u8>,
}

impl Browser {
    fn new() -> Self {
        let own = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).unwrap();
        let public = own.compute_public_key().unwrap().as_ref().to_vec();
        Self { own, public }
    }

    /// What it gives the daemon.
    fn subscription(&self, service: &TcpListener, name: &str) -> Value {
        let endpoint = format!("http://{}/send/{name}", service.local_addr().unwrap());
        let (p256dh, auth) = (URL_SAFE_NO_PAD.encode(&self.public), URL_SAFE_NO_PAD.encode(AUTH));
        json!({ "endpoint": endpoint, "keys": { "p256dh": p256dh, "auth": auth } })
    }

    fn open(self, body: &[u8]) -> Value {
        let (salt, rest) = body.split_at(16);
        let (theirs, sealed) = rest[5..].split_at(65);
        let peer = UnparsedPublicKey::new(&ECDH_P256, theirs);
        let message = agree_ephemeral(self.own, &peer, |secret| {
            let ikm = expand::<32>(&AUTH, secret, &[b"WebPush: info\0", &self.public, theirs]);
            let key = expand::<16>(salt, &ikm, &[b"Content-Encoding: aes128gcm\0"]);
            let nonce = expand::<12>(salt, &ikm, &[b"Content-Encoding: nonce\0"]);
            let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).unwrap());
            let mut sealed = sealed.to_vec();
            let nonce = Nonce::assume_unique_for_key(nonce);
            key.open_in_place(nonce, Aad::empty(), &mut sealed).unwrap().to_vec()
        });
        let message = message.unwrap();
        assert_eq!(message.last(), Some(&2), "it is the last record");
        serde_json::from_slice(&message[..message.len() - 1]).unwrap()
    }
}

struct Bytes(usize);

impl KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand<const N: usize>(salt: &[u8], secret: &[u8], info: &[&[u8]]) -> [u8; N] {
    let mut out = [0; N];
    let key = Salt::new(HKDF_SHA256, salt).extract(secret);
    key.expand(info, Bytes(N)).unwrap().fill(&mut out).unwrap();
    out
}

/// Takes one message at the service and answers with this status: the head in lower case, and the body.
async fn take(service: &TcpListener, status: &str) -> (String, Vec<u8>) {
    let (mut stream, _) = service.accept().await.unwrap();
    let (mut read, mut buffer) = (Vec::new(), [0; 8_192]);
    loop {
        let count = stream.read(&mut buffer).await.unwrap();
        assert!(count > 0, "the daemon ended the connection");
        read.extend_from_slice(&buffer[..count]);
        let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&read[..end]).to_lowercase();
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if read.len() - end - 4 == length.unwrap() {
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
            return (head, read.split_off(end + 4));
        }
    }
}

#[tokio::test]
async fn a_device_is_told_answers_and_is_forgotten_when_its_browser_is() {
    let home = Home::new();
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let daemon = Daemon::start(&home);
    let (_, push) = daemon.get("/v1/push").await;
    let key = push["key"].as_str().unwrap().to_owned();
    assert_eq!(URL_SAFE_NO_PAD.decode(&key).unwrap().len(), 65);

    let browser = Browser::new();
    let (status, device) = daemon.post("/v1/push/devices", browser.subscription(&service, "canary")).await;
    assert_eq!(status, 201, "{device}");
    let test = format!("/v1/push/devices/{}/test", device["id"].as_str().unwrap());
    let ((head, body), (_, sent)) =
        tokio::join!(take(&service, "201 Created"), daemon.post(&test, json!({})));
    assert_eq!(sent, json!({ "taken": true, "detail": "the service answered 201" }));
    assert!(head.starts_with("post /send/canary http/1.1"), "{head}");
    assert!(head.contains("content-encoding: aes128gcm") && head.contains("ttl: 86400"), "{head}");
    assert!(head.contains("authorization: vapid t="), "{head}");
    assert_eq!(browser.open(&body)["title"], "Trunkline");

    // The same subscription with another key, in the next life of the daemon.
    daemon.kill_9();
    let daemon = Daemon::start(&home);
    let browser = Browser::new();
    daemon.post("/v1/push/devices", browser.subscription(&service, "canary")).await;
    let (_, push) = daemon.get("/v1/push").await;
    assert_eq!((&push["key"], push["devices"].as_array().unwrap().len()), (&json!(key), 1));
    assert!(!push.to_string().contains("canary"), "where a device is told stands in no answer: {push}");
    let session = daemon.external().await;
    let ask = json!({ "kind": "question", "title": "Which port?", "priority": "urgent", "options": [
        { "id": "a", "name": "80", "kind": "choice" }, { "id": "b", "name": "8080", "kind": "choice" },
    ] });
    let requests = format!("/v1/sessions/{session}/requests");
    let (_, asked) = daemon.post(&requests, ask.clone()).await;
    let (head, body) = take(&service, "201 Created").await;
    assert!(head.contains("urgency: high"), "{head}");
    let told = browser.open(&body);
    assert_eq!((&told["title"], &told["body"]), (&json!("bot asks"), &json!("Which port?")));
    assert_eq!(
        told["answer"]["options"],
        json!([{ "id": "a", "name": "80" }, { "id": "b", "name": "8080" }])
    );
    let answer = format!("{}{}", daemon.base_url, told["answer"]["path"].as_str().unwrap());
    let sent = daemon.http.post(answer).json(&json!({ "option": "b" })).send().await.unwrap();
    assert_eq!(sent.status(), 200);
    let (_, request) = daemon.get(&format!("/v1/requests/{}", asked["id"].as_str().unwrap())).await;
    assert_eq!(request["closed"]["by"], "link/owner");

    daemon.post(&requests, ask).await;
    take(&service, "410 Gone").await;
    while daemon.get("/v1/push").await.1["devices"] != json!([]) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_device_is_told_as_much_as_its_token_may_and_as_long_as_it_counts() {
    let home = Home::new();
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let daemon = Daemon::start(&home);
    let (_, token) = daemon.post("/v1/tokens", json!({ "name": "wall", "scope": "viewer" })).await;
    let browser = Browser::new();
    let subscribe = daemon.http.request(Method::POST, format!("{}/v1/push/devices", daemon.base_url));
    let subscribe =
        subscribe.bearer_auth(token["token"].as_str().unwrap()).json(&browser.subscription(&service, "w"));
    assert_eq!(subscribe.send().await.unwrap().status(), 201);
    let requests = format!("/v1/sessions/{}/requests", daemon.external().await);
    let ask = json!({ "kind": "question", "title": "Which port?" });
    daemon.post(&requests, ask.clone()).await;
    let told = browser.open(&take(&service, "201 Created").await.1);
    assert_eq!(
        (&told["body"], told.get("answer")),
        (&json!("Which port?"), None),
        "a viewer answers nothing"
    );
    let id = token["id"].as_str().unwrap();
    daemon.ask(Method::DELETE, &format!("/v1/tokens/{id}"), None).await.unwrap();
    daemon.post(&requests, ask).await;
    while daemon.get("/v1/push").await.1["devices"] != json!([]) {
        tokio::task::yield_now().await;
    }
}
