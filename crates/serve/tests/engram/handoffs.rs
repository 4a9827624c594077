//! Handoffs, which the protocol calls sessions, with lanes and checkpoints.

use serde_json::{Value, json};

use crate::world::{Client, World};

async fn save(client: &mut Client, members: Value) -> String {
    let mut request = json!({"op": "save_session"});
    request.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    client.ok(request).await["session_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_session_is_saved_changed_and_found() {
    let world = World::new().await;
    let mut client = world.client().await;
    let first =
        save(&mut client, json!({"agent_id": "ana", "repo": "/src/a", "decisions": ["x"], "todos": null}))
            .await;
    assert!(first.len() == 12 && first.bytes().all(|b| b.is_ascii_hexdigit()), "{first}");
    let second = save(&mut client, json!({"agent_id": "ana", "task_summary": 5, "status": true})).await;
    let get = |members: Value| {
        let mut request = json!({"op": "get_session"});
        request.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        request
    };
    let found = client.ok(get(json!({"session_id": first}))).await["session"].clone();
    assert_eq!(
        (&found["decisions"], &found["todos"], &found["metadata"]),
        (&json!(["x"]), &json!([]), &json!({}))
    );
    assert_eq!((&found["status"], &found["task_summary"]), (&json!("active"), &json!(null)));
    let latest = client.ok(get(json!({"agent_id": "ana"}))).await["session"].clone();
    assert_eq!(
        (&latest["id"], &latest["task_summary"], &latest["status"]),
        (&json!(second), &json!("5"), &json!("1"))
    );
    assert_eq!(client.ok(get(json!({"repo": "/src/a"}))).await["session"]["id"], json!(first));
    for none in [json!({}), json!({"session_id": "no"}), json!({"agent_id": "ben"}), json!({"repo": ""})] {
        assert_eq!(client.ok(get(none)).await, json!({"session": null}));
    }
    client.ok(json!({"op": "update_session", "session_id": first, "status": "paused", "stranger": 1})).await;
    let listed = client.ok(json!({"op": "list_sessions"})).await["sessions"].clone();
    let ids: Vec<_> = listed.as_array().unwrap().iter().map(|session| &session["id"]).collect();
    assert_eq!(ids, [&json!(first), &json!(second)], "the one last changed first");
    let paused = client.ok(json!({"op": "list_sessions", "status": "paused", "agent_id": ""})).await;
    assert_eq!(paused["sessions"].as_array().unwrap().len(), 1);
    let unknown = client.ask(json!({"op": "update_session", "session_id": "no", "status": "x"})).await;
    assert_eq!(unknown, json!({"ok": false, "error": "there is no handoff no"}));
}

#[tokio::test]
async fn lanes_and_checkpoints_belong_to_a_session() {
    let world = World::new().await;
    let mut client = world.client().await;
    let session = save(&mut client, json!({"agent_id": "ana"})).await;
    let other = save(&mut client, json!({"agent_id": "ana"})).await;
    let open = json!({"op": "open_lane", "session_id": session, "from_agent": "ana", "to_agent": "ben"});
    let lane = client.ok(open).await["lane_id"].as_str().unwrap().to_owned();
    let found = client.ok(json!({"op": "get_lane", "lane_id": lane})).await["lane"].clone();
    assert_eq!(
        (&found["session_id"], &found["status"], &found["context"]),
        (&json!(session), &json!("open"), &json!({}))
    );
    client.ok(json!({"op": "close_lane", "lane_id": lane})).await;
    assert_eq!(client.ok(json!({"op": "list_lanes"})).await["lanes"][0]["status"], json!("closed"));
    assert_eq!(client.ok(json!({"op": "list_lanes", "session_id": other})).await, json!({"lanes": []}));

    let keep = |session: &str, lane: Option<&str>, snapshot: Value| json!({"op": "checkpoint", "session_id": session, "agent_id": "ana", "snapshot": snapshot, "lane_id": lane});
    let mut made = Vec::new();
    for (lane, snapshot) in [(None, json!(null)), (Some(&*lane), json!({"n": 1}))] {
        made.push(client.ok(keep(&session, lane, snapshot)).await["checkpoint_id"].clone());
    }
    made.reverse();
    let list =
        client.ok(json!({"op": "list_checkpoints", "session_id": session})).await["checkpoints"].clone();
    let ids: Vec<_> = list.as_array().unwrap().iter().map(|kept| kept["id"].clone()).collect();
    assert_eq!(ids, made, "the newest first");
    let of_lane = client.ok(json!({"op": "list_checkpoints", "lane_id": lane})).await["checkpoints"].clone();
    assert_eq!(of_lane.as_array().unwrap().len(), 1);
    for wrong in [
        keep("no", None, json!(1)),
        keep(&other, Some(&lane), json!(1)),
        json!({"op": "close_lane", "lane_id": "no"}),
    ] {
        let refused = client.ask(wrong).await;
        assert!(refused["error"].as_str().unwrap().starts_with("there is no "), "{refused}");
    }
    let agents = client.ok(json!({"op": "agents"})).await["agents"].clone();
    assert_eq!(agents.as_array().unwrap().len(), 2, "whoever is named takes part");
}
