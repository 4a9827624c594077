//! Sessions are made, prompted and cancelled.

use reqwest::Method;
use serde_json::{Value, json};
use trunkline_serve::AttachSettings;

use crate::world::{World, kinds, read};

#[tokio::test]
async fn a_turn_runs_from_its_prompt_to_its_end() {
    let world = World::new().await;
    let id = world.session().await;
    let frames = world.turn(&id, "say:Look tool:df say:Full").await;
    assert_eq!(kinds(&frames), ["user", "session", "text", "tool", "text", "result", "turn_end"]);
    assert_eq!(frames[0]["text"], "say:Look tool:df say:Full");
    assert_eq!((&frames[1]["session_id"], &frames[3]["name"]), (&json!(id), &json!("Bash")));
    world.close().await;
}

#[tokio::test]
async fn it_is_a_session_like_any_other() {
    let world = World::new().await;
    let id = world.session().await;
    world.turn(&id, "say:hi").await;
    let (status, session) = read(world.ask(Method::GET, &format!("/v1/sessions/{id}"))).await;
    assert_eq!((status, session["agent"].as_str(), session["turns"].as_u64()), (200, Some("actor"), Some(1)));
    let (_, listed) = read(world.ask(Method::GET, "/api/sessions")).await;
    assert_eq!(listed[0]["session_id"], id.as_str(), "in the other dialects too");
    world.close().await;
}

#[tokio::test]
async fn its_directory_is_made_at_the_first_turn() {
    let world = World::new().await;
    let id = world.session().await;
    let dir = world.dir.path().join("sessions").join(&id);
    assert!(!dir.exists());
    world.turn(&id, "say:hi").await;
    assert!(dir.is_dir());
    world.close().await;
}

#[tokio::test]
async fn of_ten_prompts_at_once_one_is_taken() {
    let world = World::new().await;
    let id = world.session().await;
    let all = futures_util::future::join_all((0..10).map(|_| world.prompt(&id, "wait"))).await;
    assert_eq!(all.iter().filter(|(status, _)| *status == 200).count(), 1);
    let busy = (409, json!({ "detail": "a turn is already running" }));
    assert_eq!(all.iter().filter(|answer| **answer == busy).count(), 9);
    assert_eq!(world.cancel(&id).await, json!({ "cancelled": true }));
    let frames = world.attach(&id, None).await.until("turn_end").await;
    assert_eq!(kinds(&frames)[frames.len() - 2..], ["cancelled", "turn_end"]);
    assert_eq!(world.cancel(&id).await, json!({ "cancelled": false }));
    assert_eq!(world.turn(&id, "say:on").await.len(), 5, "and it goes on");
    world.close().await;
}

#[tokio::test]
async fn what_is_wrong_is_said_as_the_original_says_it() {
    let world = World::new().await;
    let id = world.session().await;
    let gone = (404, json!({ "detail": "session not found" }));
    for other in ["nonsense", "0190163d-8694-739b-aea5-966c26f8ad91"] {
        assert_eq!(world.prompt(other, "x").await, gone);
        assert_eq!(read(world.ask(Method::POST, &format!("/api/session/{other}/cancel"))).await, gone);
        assert_eq!(read(world.ask(Method::GET, &format!("/api/session/{other}/stream"))).await, gone);
    }
    let path = format!("/api/session/{id}/prompt");
    let kind = |body: Value| body["detail"][0]["type"].as_str().unwrap_or_default().to_owned();
    for (body, expected) in [
        (json!({ "prompt": "" }), "string_too_short"),
        (json!({}), "missing"),
        (json!({ "prompt": 7 }), "value_error"),
    ] {
        let (status, answer) = world.post(&path, &body).await;
        assert_eq!((status, kind(answer).as_str()), (422, expected), "{body}");
    }
    let form = world
        .ask(Method::POST, &path)
        .body("prompt=x")
        .header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(read(form).await.0, 422, "only JSON is taken");
    assert_eq!(world.prompt(&id, " ").await.0, 200, "blanks are a prompt");
    assert_eq!(read(world.ask(Method::GET, "/api/session")).await, (404, json!({ "detail": "Not Found" })));
    world.close().await;
}

#[tokio::test]
async fn verbs_are_an_empty_list_where_there_are_none() {
    let world = World::new().await;
    let verbs = read(world.ask(Method::GET, "/api/pve/verbs")).await;
    assert_eq!(verbs, (200, json!({ "verbs": [], "mutating": [] })));
    let unknown = (400, json!({ "detail": "unknown verb 'reset'" }));
    assert_eq!(read(world.ask(Method::POST, "/api/pve/reset")).await, unknown);
    world.close().await;
}

#[tokio::test]
async fn nothing_is_trusted_unless_that_was_chosen() {
    for trusts_all in [false, true] {
        let world = World::with(AttachSettings { trusts_all, ..AttachSettings::default() }).await;
        let id = world.session().await;
        let (_, grants) = read(world.ask(Method::GET, &format!("/v1/sessions/{id}/grants"))).await;
        assert_eq!(grants.to_string().contains("trust_all"), trusts_all, "{grants}");
        world.close().await;
    }
}
