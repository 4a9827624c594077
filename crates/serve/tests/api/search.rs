//! What was said, found by its words.

use serde_json::{Value, json};

use crate::world::World;

/// Asks until so many are found: the index is a moment behind.
async fn found(world: &World, query: &str, count: usize) -> Vec<Value> {
    loop {
        let (status, body) = world.get(&format!("/v1/search?q={query}")).await;
        assert_eq!(status, 200, "{body}");
        let items = body["items"].as_array().unwrap();
        if items.len() == count {
            return items.clone();
        }
    }
}

#[tokio::test]
async fn what_was_asked_and_answered_is_found_until_its_session_is_deleted() {
    let world = World::new().await;
    let session = world.session().await;
    world.question(&session).await;
    let ask =
        json!({"kind": "question", "title": "Which port?", "question": "The **parser** tests need one."});
    let (_, asked) = world.post(&format!("/v1/sessions/{session}/requests"), &ask).await;
    let answer = json!({"text": "take 7433, parsers know it"});
    let id = asked["id"].as_str().unwrap();
    assert_eq!(world.post(&format!("/v1/requests/{id}/answer"), &answer).await.0, 200);
    let items = found(&world, "pars", 2).await;
    assert_eq!(
        (&items[0]["session"], &items[0]["agent"], &items[0]["said"]),
        (&json!(session), &json!("bot"), &json!("request"))
    );
    assert_eq!(
        items[0]["excerpt"],
        json!([
            {"text": "take 7433, ", "found": false}, {"text": "parsers", "found": true}, {"text": " know it", "found": false},
        ])
    );
    let (_, page) = world.get("/v1/search?q=pars&limit=1").await;
    assert_eq!(page["items"][0], items[0]);
    let next = page["next"].as_str().unwrap();
    let (_, rest) = world.get(&format!("/v1/search?q=pars&limit=1&cursor={next}")).await;
    assert_eq!(rest["items"][0], items[1]);
    let (_, of_one) = world.get(&format!("/v1/search?q=%22go%20on%22&session={session}")).await;
    assert_eq!(of_one["items"].as_array().unwrap().len(), 1);
    for wrong in ["", "?q=", "?q=--", "?q=a&limit=0", "?q=a&cursor=x", "?q=a&session=x", "?q=a&r=1"] {
        let (status, problem) = world.get(&format!("/v1/search{wrong}")).await;
        assert!([400, 422].contains(&status.as_u16()), "{wrong}: {problem}");
    }
    assert_eq!(world.post(&format!("/v1/sessions/{session}/close"), &json!({})).await.0, 200);
    assert_eq!(world.delete(&format!("/v1/sessions/{session}")).await, 204);
    found(&world, "pars", 0).await;
}
