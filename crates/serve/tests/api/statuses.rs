//! The document tells the truth: every operation is done once, as the document has it, and answers what is documented.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use trunkline_core::time::Time;
use trunkline_log::Memory;
use trunkline_run::mcp::Mcp;
use trunkline_run::profiles::Profiles;
use trunkline_run::secrets::Secrets;
use trunkline_wire::sse::Event;

use crate::world::{World, read};

/// Does what the document describes, and notes what was done.
struct Reader {
    world: World,
    document: Value,
    done: BTreeSet<String>,
    _home: tempfile::TempDir,
}

/// Values for the names in a path.
type Names<'a> = &'a [(&'a str, &'a str)];

impl Reader {
    async fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let secrets = Secrets::open(home.path()).unwrap();
        let profiles = Profiles::new(Default::default(), &[], secrets.clone());
        let mcp = Mcp::new(Default::default(), Vec::new(), secrets);
        let disk = Arc::new(Memory::new(Time(1_000)));
        let world = World::having(disk, Ipv4Addr::LOCALHOST.into(), profiles, mcp).await;
        let (_, document) = world.get("/v1/openapi.json").await;
        Self { world, document, done: BTreeSet::new(), _home: home }
    }

    /// Does an operation and asserts that it succeeds with the documented status; twice, where a key makes it safe.
    async fn does(&mut self, method: &str, path: &str, names: Names<'_>, body: Option<&str>) -> Value {
        let operation = self.document["paths"][path][method].clone();
        assert!(operation.is_object(), "{method} {path} is not documented");
        assert_eq!(operation["requestBody"].is_object(), body.is_some(), "{method} {path}: a body");
        let keyed = operation["parameters"].as_array().is_some_and(|parameters| {
            parameters.iter().any(|parameter| parameter["name"] == "Idempotency-Key")
        });
        let filled = names
            .iter()
            .fold(path.to_owned(), |path, (name, value)| path.replace(&format!("{{{name}}}"), value));
        let mut first = None;
        for _ in 0..=usize::from(keyed) {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let mut request = self.world.ask(method, &filled);
            if let (Some(body), Some(content)) = (body, operation["requestBody"]["content"].as_object()) {
                let content_type = content.keys().next().unwrap();
                request = request.header("content-type", content_type).body(body.to_owned());
            }
            if keyed {
                request = request.header("idempotency-key", path);
            }
            let (status, answer) = read(request).await;
            let documented = &operation["responses"][status.as_str()];
            assert!(status.is_success() && documented.is_object(), "{path} gave {status}: {answer}");
            assert_eq!(documented["content"]["application/json"].is_object(), status != 204, "{path}");
            let id = |answer: &Value| [answer["id"].clone(), answer["turn"].clone()];
            let before = first.get_or_insert_with(|| answer.clone());
            assert_eq!(id(before), id(&answer), "{path}: the second try has the outcome of the first");
        }
        self.done.insert(format!("{method} {path}"));
        first.unwrap()
    }

    async fn get(&mut self, path: &str, names: Names<'_>) -> Value {
        self.does("get", path, names, None).await
    }

    async fn post(&mut self, path: &str, names: Names<'_>, body: Value) -> Value {
        self.does("post", path, names, Some(&body.to_string())).await
    }

    async fn act(&mut self, path: &str, names: Names<'_>) -> Value {
        self.does("post", path, names, None).await
    }
}

fn id(answer: &Value) -> String {
    answer["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_operation_answers_as_documented() {
    let mut reader = Reader::new().await;
    for path in
        ["/health", "/v1/openapi.json", "/v1/me", "/v1/catalog", "/v1/agents", "/v1/sessions", "/v1/tokens"]
    {
        reader.get(path, &[]).await;
    }
    hosted(&mut reader).await;
    external(&mut reader).await;
    handoffs(&mut reader).await;
    shared(&mut reader).await;
    profiles(&mut reader).await;
    push(&mut reader).await;
    mcp_servers(&mut reader).await;
    reader.get("/v1/audit", &[]).await;
    reader.get("/v1/audit/chain", &[]).await;
    reader.get("/v1/operator-actions", &[]).await;
    reader.post("/v1/operator-actions/{action}/run", &[("action", "look")], json!({})).await;
    reader.get("/v1/operator-runs", &[]).await;
    reader.get("/v1/pools", &[]).await;
    reader.get("/v1/pools/{pool}", &[("pool", "p")]).await;
    for wish in ["restart", "drain", "resume"] {
        reader.act(&format!("/v1/pools/{{pool}}/{wish}"), &[("pool", "p")]).await;
    }
    let token = reader.post("/v1/tokens", &[], json!({"name": "t", "scope": "viewer"})).await;
    reader.does("delete", "/v1/tokens/{token}", &[("token", &id(&token))], None).await;
    let link = reader.act("/v1/links", &[]).await;
    reader.post("/v1/exchange", &[], json!({ "code": link["code"] })).await;
    reader.act("/v1/shutdown", &[]).await;
    let paths = reader.document["paths"].as_object().unwrap().iter();
    let all: BTreeSet<_> = paths
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
        })
        .collect();
    // These are no answers but streams, or must be asked something; they have tests of their own.
    let left: Vec<_> = all.difference(&reader.done).collect();
    let own =
        ["get /v1/feed", "get /v1/kv/{namespace}/events", "get /v1/search", "get /v1/topics/{topic}/events"];
    assert_eq!(left, own);
}

async fn shared(reader: &mut Reader) {
    let ns = [("namespace", "ns"), ("key", "k")];
    let key = "/v1/kv/{namespace}/keys/{key}";
    reader.does("put", key, &ns, Some(r#"{"value": 1, "owner": "ana"}"#)).await;
    for path in ["/v1/kv", "/v1/kv/{namespace}", key] {
        reader.get(path, &ns).await;
    }
    reader.post("/v1/kv/{namespace}/transfers", &ns, json!({"from": "ana", "to": "ben"})).await;
    reader.get("/v1/kv/{namespace}/transfers", &ns).await;
    reader.does("delete", key, &ns, None).await;
    reader.post("/v1/kv/{namespace}/restore", &ns, json!({"values": {"a": 1}})).await;
    reader.does("delete", "/v1/kv/{namespace}", &ns, None).await;
    let topic = [("topic", "t"), ("group", "g")];
    reader.post("/v1/topics/{topic}/messages", &topic, json!({"data": 1})).await;
    reader.get("/v1/topics/{topic}/messages", &topic).await;
    reader.get("/v1/topics", &[]).await;
    let take = json!({"member": "ana", "from_start": true});
    reader.post("/v1/topics/{topic}/groups/{group}/take", &topic, take).await;
    reader.post("/v1/topics/{topic}/groups/{group}/ack", &topic, json!({"seqs": [1]})).await;
    let agent = [("agent", "ana")];
    reader.does("put", "/v1/agents/{agent}", &agent, Some("{}")).await;
    reader.get("/v1/agents/{agent}", &agent).await;
    reader.does("delete", "/v1/agents/{agent}", &agent, None).await;
}

async fn push(reader: &mut Reader) {
    let auth = "BTBZMqHH6r4Tts7J_aSIgg";
    let p256dh = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
    // Nothing listens there, so the test says that the service was not reached.
    let device = json!({ "endpoint": "http://127.0.0.1:1/x", "keys": { "p256dh": p256dh, "auth": auth } });
    let device = reader.post("/v1/push/devices", &[], device).await;
    let named = [("device", &*id(&device))];
    reader.get("/v1/push", &[]).await;
    let sent = reader.act("/v1/push/devices/{device}/test", &named).await;
    assert_eq!(sent["taken"], false);
    assert!(!sent.to_string().contains("127.0.0.1:1/x"), "{sent}");
    reader.does("delete", "/v1/push/devices/{device}", &named, None).await;
}

async fn profiles(reader: &mut Reader) {
    let named = [("profile", "mine")];
    let (one, secrets) = ("/v1/profiles/{profile}", "/v1/profiles/{profile}/secrets");
    reader.does("put", one, &named, Some(r#"{"provider": "openai", "model": "m"}"#)).await;
    reader.does("put", secrets, &named, Some(r#"{"api_key": "k"}"#)).await;
    reader.get("/v1/profiles", &[]).await;
    reader.get("/v1/spending", &[]).await;
    reader.get(one, &named).await;
    reader.does("delete", secrets, &named, None).await;
    // It has no key any more: nothing is sent.
    reader.act("/v1/profiles/{profile}/test", &named).await;
    reader.does("delete", one, &named, None).await;
}

async fn mcp_servers(reader: &mut Reader) {
    let workspace = tempfile::tempdir().unwrap();
    let brought = json!({ "mcpServers": { "theirs": { "command": "no-such-program" } } });
    std::fs::write(workspace.path().join(".mcp.json"), brought.to_string()).unwrap();
    let (named, one) = ([("server", "mine")], "/v1/mcp/servers/{server}");
    let put = r#"{"command": "no-such-program", "env": {"A": "x"}, "enabled": false}"#;
    reader.does("put", one, &named, Some(put)).await;
    reader.get("/v1/mcp/servers", &[]).await;
    reader.get(one, &named).await;
    let create = json!({"agent": "model", "workspace": workspace.path()});
    let session = id(&reader.world.post("/v1/sessions", &create).await.1);
    let of = [("session", session.as_str())];
    let all = reader.get("/v1/sessions/{session}/mcp", &of).await;
    let off = [of[0], ("server", "mine")];
    let connect = "/v1/sessions/{session}/mcp/{server}/connect";
    assert_eq!(reader.act(connect, &off).await["status"], "failed", "nothing can be started here");
    reader.act("/v1/sessions/{session}/mcp/{server}/disconnect", &off).await;
    let trust = json!({ "fingerprint": all["items"][1]["fingerprint"] }).to_string();
    let (path, theirs) = ("/v1/sessions/{session}/mcp/{server}/trust", [of[0], ("server", "theirs")]);
    reader.does("put", path, &theirs, Some(&trust)).await;
    reader.does("delete", path, &theirs, None).await;
    reader.does("delete", one, &named, None).await;
}

async fn hosted(reader: &mut Reader) {
    settings(reader).await;
    let workspace = tempfile::tempdir().unwrap();
    let create = json!({"agent": "quiet", "argv": ["quiet"], "workspace": workspace.path()});
    let session = id(&reader.post("/v1/sessions", &[], create).await);
    let of = [("session", session.as_str())];
    let turns = "/v1/sessions/{session}/turns";
    let first = reader.post(turns, &of, json!({"prompt": "something large"})).await["turn"].to_string();
    let mut stream = reader.world.stream(&format!("/v1/sessions/{session}/events")).await;
    let blob = event(&mut stream, "turn.update").await["data"]["blob"]["sha256"].clone();
    let named = [of[0], ("turn", &first)];
    reader.get("/v1/sessions/{session}/turns/{turn}", &named).await;
    let named = [of[0], ("sha256", blob.as_str().unwrap())];
    reader.get("/v1/sessions/{session}/blobs/{sha256}", &named).await;
    let (_, queued) = reader
        .world
        .post(&format!("/v1/sessions/{session}/turns"), &json!({"prompt": "x", "when_busy": "queue"}))
        .await;
    reader.get("/v1/sessions/{session}/queue", &of).await;
    let named = [of[0], ("turn", &queued["turn"].to_string())];
    reader.does("delete", "/v1/sessions/{session}/queue/{turn}", &named, None).await;
    reader.post("/v1/sessions/{session}/cancel", &of, json!({})).await;
    event(&mut stream, "turn.ended").await;
    let grant = id(&reader.post("/v1/sessions/{session}/grants", &of, json!({"tool": "Write"})).await);
    reader.get("/v1/sessions/{session}/grants", &of).await;
    let named = [of[0], ("grant", &grant)];
    reader.does("delete", "/v1/sessions/{session}/grants/{grant}", &named, None).await;
    let rule = json!({"pattern": "shell(ls)", "project": "/nowhere"});
    let grant = id(&reader.post("/v1/grants", &[], rule).await);
    reader.get("/v1/grants", &[]).await;
    reader.post("/v1/grants/preview", &[], json!({"pattern": "shell(ls)", "days": 1})).await;
    reader.does("delete", "/v1/grants/{grant}", &[("grant", &grant)], None).await;
}

/// What is chosen before the agent has said what it offers waits for it.
async fn settings(reader: &mut Reader) {
    let create = json!({"agent": "quiet", "argv": ["quiet"], "workspace": "/"});
    let session = id(&reader.world.post("/v1/sessions", &create).await.1);
    let of = [("session", session.as_str())];
    reader.get("/v1/sessions/{session}/settings", &of).await;
    reader.does("put", "/v1/sessions/{session}/mode", &of, Some(r#"{"mode":"plan"}"#)).await;
    reader.does("put", "/v1/sessions/{session}/model", &of, Some(r#"{"model":"large"}"#)).await;
    let named = [of[0], ("option", "effort")];
    reader.does("put", "/v1/sessions/{session}/options/{option}", &named, Some(r#"{"value":true}"#)).await;
}

async fn external(reader: &mut Reader) {
    let session = reader.world.session().await;
    let of = [("session", session.as_str())];
    reader.get("/v1/sessions/{session}", &of).await;
    reader.does("patch", "/v1/sessions/{session}", &of, Some(r#"{"title":"New"}"#)).await;
    reader.get("/v1/sessions/{session}/presence", &of).await;
    let sent = reader.post("/v1/sessions/{session}/inbox", &of, json!({"kind": "note", "payload": 1})).await;
    reader.get("/v1/sessions/{session}/inbox", &of).await;
    let named = [of[0], ("message", &id(&sent))];
    reader.act("/v1/sessions/{session}/inbox/{message}/ack", &named).await;
    let told = reader.post("/v1/messages", &[], json!({"to": session, "text": "hi"})).await;
    let named = [of[0], ("message", &id(&told))];
    reader.get("/v1/sessions/{session}/messages/{message}", &named).await;
    let ask = json!({"kind": "question", "title": "Go on?"});
    let asked = id(&reader.post("/v1/sessions/{session}/requests", &of, ask).await);
    let other = reader.world.question(&session).await;
    reader.get("/v1/requests", &[]).await;
    reader.get("/v1/requests/{request}", &[("request", &asked)]).await;
    reader.act("/v1/requests/{request}/dismiss", &[("request", &asked)]).await;
    reader.post("/v1/requests/{request}/answer", &[("request", &asked)], json!({"text": "yes"})).await;
    reader.act("/v1/requests/{request}/withdraw", &[("request", &other)]).await;
    reader.get("/v1/sessions/{session}/events", &of).await;
    let mut stream = reader.world.stream(&format!("/v1/sessions/{session}/events")).await;
    let events = stream.until("caught-up").await;
    let lines = events.iter().filter(|event| event.event == "message").map(|event| event.data.as_str());
    let export = [r#"{"trunkline":"export/1"}"#].into_iter().chain(lines).collect::<Vec<_>>().join("\n");
    reader.does("post", "/v1/sessions/import", &[], Some(&export)).await;
    reader.act("/v1/sessions/{session}/close", &of).await;
    reader.does("delete", "/v1/sessions/{session}", &of, None).await;
}

async fn handoffs(reader: &mut Reader) {
    let handoff = id(&reader.post("/v1/handoffs", &[], json!({"agent_id": "ana"})).await);
    let of = [("handoff", handoff.as_str())];
    reader.get("/v1/handoffs", &[]).await;
    reader.get("/v1/handoffs/{handoff}", &of).await;
    reader.get("/v1/handoffs/{handoff}/prompt", &of).await;
    reader.does("patch", "/v1/handoffs/{handoff}", &of, Some(r#"{"status":"paused"}"#)).await;
    let lane = id(&reader
        .post("/v1/handoffs/{handoff}/lanes", &of, json!({"from_agent": "ana", "to_agent": "bob"}))
        .await);
    let named = [of[0], ("lane", lane.as_str())];
    let said = json!({"from_agent": "bob", "text": "hi"});
    reader.post("/v1/handoffs/{handoff}/lanes/{lane}/messages", &named, said).await;
    let made = json!({"agent_id": "ana", "lane": lane, "snapshot": null});
    reader.post("/v1/handoffs/{handoff}/checkpoints", &of, made).await;
    reader.get("/v1/handoffs/{handoff}/checkpoints", &of).await;
    reader.act("/v1/handoffs/{handoff}/lanes/{lane}/close", &named).await;
    let old = json!({"handoff": {"id": "x", "agent_id": "ana", "created": 1, "updated": 2}});
    reader.post("/v1/handoffs/import", &[], old).await;
}

/// The next event of a type.
async fn event(stream: &mut crate::world::Stream, kind: &str) -> Value {
    loop {
        let Event { data, .. } = stream.next().await.expect("the stream goes on");
        let value: Value = serde_json::from_str(&data).unwrap();
        if value["type"] == kind {
            return value;
        }
    }
}

#[tokio::test]
async fn what_takes_no_body_takes_none_or_an_empty_object() {
    let world = World::new().await;
    let session = world.session().await;
    let path = format!("/v1/sessions/{session}/close");
    let close = || world.ask(Method::POST, &path).header("idempotency-key", "once");
    assert_eq!(read(close()).await.0, 200);
    assert_eq!(read(close().json(&json!({}))).await.0, 200, "the same request in other words");
    assert_eq!(read(close().header("content-type", "application/json")).await.0, 200);
    let (status, problem) = read(close().json(&json!({"why": "x"}))).await;
    assert_eq!((status.as_u16(), problem["field"].as_str()), (422, Some("why")));
    for body in ["", "{}"] {
        let form = close().header("content-type", "application/x-www-form-urlencoded").body(body);
        assert_eq!(read(form).await.1["code"], "not_json", "what a form of a page sends");
    }
    assert_eq!(read(close().body("{}")).await.1["code"], "not_json");
}
