//! Handoffs: what is given back, what is found, and what an agent may do.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{World, read};

/// A client with a token of its own.
struct Holder<'a> {
    world: &'a World,
    token: String,
}

impl<'a> Holder<'a> {
    async fn new(world: &'a World, name: &str, scope: Value) -> Self {
        let (status, made) = world.post("/v1/tokens", &json!({ "name": name, "scope": scope })).await;
        assert_eq!(status, 201, "{made}");
        Self { world, token: made["token"].as_str().unwrap().to_owned() }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let request = self.world.http.request(method, self.world.url(path)).bearer_auth(&self.token);
        read(body.into_iter().fold(request, |request, body| request.json(&body))).await
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.ask(Method::GET, path, None).await
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.ask(Method::POST, path, Some(body)).await
    }
}

async fn save(world: &World, body: Value) -> String {
    let (status, saved) = world.post("/v1/handoffs", &body).await;
    assert_eq!(status, 201, "{saved}");
    saved["id"].as_str().unwrap().to_owned()
}

fn ids(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_is_saved_is_found_changed_and_told_to_the_next_agent() {
    let world = World::new().await;
    let first =
        save(&world, json!({"agent_id": "ana", "repo": "/a", "task_summary": "port it", "todos": ["tests"]}))
            .await;
    let second = save(&world, json!({"agent_id": "bob", "repo": "/a", "metadata": {"n": 1.0e3}})).await;
    assert!(first.len() == 12 && first.bytes().all(|byte| byte.is_ascii_hexdigit()), "{first}");
    let (_, all) = world.get("/v1/handoffs?repo=/a").await;
    assert_eq!(ids(&all), [second.as_str(), first.as_str()]);
    let (_, page) = world.get("/v1/handoffs?repo=/a&limit=1").await;
    let next = page["next"].as_str().unwrap();
    let (_, page) = world.get(&format!("/v1/handoffs?repo=/a&limit=1&cursor={next}")).await;
    assert_eq!(ids(&page), [first.as_str()]);
    let change = json!({"status": "paused", "decisions": ["no macros"], "todos": null});
    let (status, changed) =
        read(world.ask(Method::PATCH, &format!("/v1/handoffs/{first}")).json(&change)).await;
    assert_eq!(
        (status.as_u16(), &changed["todos"], &changed["task_summary"]),
        (200, &json!(null), &json!("port it"))
    );
    let (_, paused) = world.get("/v1/handoffs?status=paused").await;
    assert_eq!(ids(&paused), [first.as_str()]);
    let lanes = format!("/v1/handoffs/{first}/lanes");
    let (_, lane) =
        world.post(&lanes, &json!({"from_agent": "ana", "to_agent": "bob", "context": {"why": "x"}})).await;
    let lane = lane["id"].as_str().unwrap();
    let (status, said) =
        world.post(&format!("{lanes}/{lane}/messages"), &json!({"from_agent": "ana", "text": "go"})).await;
    assert_eq!((status.as_u16(), &said["messages"]), (201, &json!(1)));
    let made = json!({"agent_id": "ana", "snapshot": {"at": "line 5"}});
    world.post(&format!("/v1/handoffs/{first}/checkpoints"), &made).await;
    let (_, whole) = world.get(&format!("/v1/handoffs/{first}")).await;
    assert_eq!(
        (&whole["lanes"][0]["said"][0]["text"], &whole["checkpoints"][0]["snapshot"]),
        (&json!("go"), &json!({"at": "line 5"}))
    );
    let (_, resume) = world.get(&format!("/v1/handoffs/{first}/prompt")).await;
    let prompt = resume["prompt"].as_str().unwrap();
    for line in ["| port it", "| - no macros", "| at: line 5", "| ana to bob: go"] {
        assert!(prompt.lines().any(|found| found == line), "{line}: {prompt}");
    }
    let (_, to) = world.get("/v1/handoffs?to=bob").await;
    assert_eq!(ids(&to), [first.as_str()]);
}

#[tokio::test]
async fn what_cannot_be_is_told() {
    let world = World::new().await;
    let id = save(&world, json!({"agent_id": "ana"})).await;
    for (path, body, status, code) in [
        ("/v1/handoffs".to_owned(), json!({}), 422, "invalid"),
        ("/v1/handoffs".to_owned(), json!({"agent_id": "a", "summary": "x"}), 422, "invalid"),
        ("/v1/handoffs".to_owned(), json!({"agent_id": "a", "todos": "x".repeat(300 << 10)}), 422, "invalid"),
        (format!("/v1/handoffs/{id}/lanes"), json!({"to_agent": "bob"}), 422, "invalid"),
        (
            format!("/v1/handoffs/{id}/lanes/none/messages"),
            json!({"from_agent": "a", "text": "x"}),
            404,
            "not_found",
        ),
        (
            format!("/v1/handoffs/{id}/checkpoints"),
            json!({"agent_id": "a", "lane": "none", "snapshot": 1}),
            404,
            "not_found",
        ),
        ("/v1/handoffs/none/lanes".to_owned(), json!({"from_agent": "a", "to_agent": "b"}), 404, "not_found"),
    ] {
        let (got, problem) = world.post(&path, &body).await;
        assert_eq!((got.as_u16(), problem["code"].as_str()), (status, Some(code)), "{path} {problem}");
    }
    assert_eq!(world.get("/v1/handoffs/none").await.0, 404);
    assert_eq!(world.get(&format!("/v1/handoffs/{id}?checkpoints=51")).await.0, 422);
}

#[tokio::test]
async fn an_agent_saves_for_itself_and_reads_what_is_of_its_project_or_addressed_to_it() {
    let world = World::new().await;
    let workspace = tempfile::tempdir().unwrap();
    let dir = workspace.path().canonicalize().unwrap();
    let of =
        |agent: &str, dir: &std::path::Path| json!({"driver": "external", "agent": agent, "workspace": dir});
    let (_, session) = world.post("/v1/sessions", &of("ana", &dir)).await;
    let session = session["id"].as_str().unwrap();
    let ana = Holder::new(&world, "ana", json!({ "agent": session })).await;
    let viewer = Holder::new(&world, "viewer", json!("viewer")).await;
    let (status, own) = ana.post("/v1/handoffs", json!({"task_summary": "mine"})).await;
    assert_eq!(
        (status.as_u16(), &own["agent_id"], &own["session"], &own["repo"]),
        (201, &json!("ana"), &json!(session), &json!(dir))
    );
    let own = own["id"].as_str().unwrap();
    let (status, _) = ana.post("/v1/handoffs", json!({"agent_id": "bob"})).await;
    assert_eq!(status, 403, "not in another's name");
    let same = save(&world, json!({"agent_id": "bob", "repo": dir})).await;
    let other = save(&world, json!({"agent_id": "bob", "repo": "/elsewhere"})).await;
    let (_, listed) = ana.get("/v1/handoffs").await;
    assert_eq!(ids(&listed), [same.as_str(), own]);
    assert_eq!(ana.get("/v1/handoffs?repo=/elsewhere").await.0, 403);
    assert_eq!(ana.get(&format!("/v1/handoffs/{same}")).await.0, 200);
    assert_eq!(ana.get(&format!("/v1/handoffs/{other}")).await.0, 403);
    assert_eq!(ana.get(&format!("/v1/handoffs/{other}/prompt")).await.0, 403);
    let change = Some(json!({"status": "completed"}));
    assert_eq!(ana.ask(Method::PATCH, &format!("/v1/handoffs/{same}"), change.clone()).await.0, 403);
    assert_eq!(ana.ask(Method::PATCH, &format!("/v1/handoffs/{own}"), change.clone()).await.0, 200);
    let lanes = format!("/v1/handoffs/{other}/lanes");
    let (_, lane) = world.post(&lanes, &json!({"from_agent": "bob", "to_agent": "ana"})).await;
    assert_eq!(ana.get(&format!("/v1/handoffs/{other}")).await.0, 200, "it is addressed to it now");
    assert_eq!(ids(&ana.get("/v1/handoffs?to=ana").await.1), [other.as_str()]);
    let messages = format!("{lanes}/{}/messages", lane["id"].as_str().unwrap());
    assert_eq!(ana.post(&messages, json!({"text": "taken"})).await.0, 201);
    assert_eq!(ana.post(&messages, json!({"from_agent": "bob", "text": "x"})).await.0, 403);
    assert_eq!(viewer.get(&format!("/v1/handoffs/{other}")).await.0, 200);
    assert_eq!(viewer.post("/v1/handoffs", json!({"agent_id": "v"})).await.0, 403);
    assert_eq!(viewer.ask(Method::PATCH, &format!("/v1/handoffs/{own}"), change).await.0, 403);
    let old = json!({"handoff": {"id": "x", "agent_id": "ana", "created": 1, "updated": 2}});
    assert_eq!(ana.post("/v1/handoffs/import", old).await.0, 403);
}

#[tokio::test]
async fn what_was_kept_elsewhere_is_taken_once_and_with_its_ids() {
    let world = World::new().await;
    let old = json!({
        "handoff": {"id": "any text/at all", "agent_id": "ana", "repo": null, "born": "engram", "created": 5, "updated": 9},
        "lanes": [{"lane": {"id": "l", "from_agent": "ana", "to_agent": "bob", "created": 6}, "closed": 7}],
        "checkpoints": [{"id": "c", "lane": "l", "agent_id": "ana", "snapshot": null, "created": 8}],
    });
    let (_, new) = world.post("/v1/handoffs/import", &old).await;
    assert_eq!(new, json!({"handoffs": 1, "lanes": 1, "checkpoints": 1}));
    let (_, again) = world.post("/v1/handoffs/import", &old).await;
    assert_eq!(again, json!({"handoffs": 0, "lanes": 0, "checkpoints": 0}));
    let (_, whole) = world.get("/v1/handoffs/any%20text%2Fat%20all").await;
    let lane = &whole["lanes"][0]["lane"];
    assert_eq!(
        (&whole["handoff"]["updated"], &lane["status"], &lane["updated"]),
        (&json!(9), &json!("closed"), &json!(7))
    );
    let mut clash = old;
    clash["handoff"]["id"] = json!("another");
    let (status, problem) = world.post("/v1/handoffs/import", &clash).await;
    assert_eq!(
        (status.as_u16(), &problem["code"]),
        (409, &json!("exists")),
        "the lane is of another handoff"
    );
}
