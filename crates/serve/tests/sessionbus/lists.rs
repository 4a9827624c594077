//! Lists in pages, for those who ask for pages.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{OWNER, World, fails};

impl World {
    /// The ids of a list, and where the next page is.
    async fn part(&self, path: &str, id: &str) -> (Vec<String>, Option<String>) {
        let response = self.ask(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let next = response.headers().get("link").map(|link| {
            let link = link.to_str().unwrap();
            let path = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).unwrap();
            path.to_owned()
        });
        let all: Vec<Value> = response.json().await.unwrap();
        (all.iter().map(|one| one[id].as_str().unwrap().to_owned()).collect(), next)
    }

    /// All pages of a list.
    async fn pages(&self, path: &str, id: &str) -> Vec<Vec<String>> {
        let (mut pages, mut next) = (Vec::new(), Some(path.to_owned()));
        while let Some(path) = next {
            let (ids, more) = self.part(&path, id).await;
            pages.push(ids);
            next = more;
        }
        pages
    }
}

#[tokio::test]
async fn pages_make_up_the_whole_list() {
    let world = World::new().await;
    for n in 0..5 {
        let body = json!({"display_name": format!("bot {n}"), "tenant_id": "acme"});
        let made = world.post("/api/sessions/register", &body).await;
        world.question(made["session_id"].as_str().unwrap(), "t").await;
    }
    for (path, id) in [
        ("/api/requests?", "request_id"),
        ("/api/requests?status=PENDING&tenant_id=acme&", "request_id"),
        ("/api/sessions?tenant_id=acme&", "session_id"),
    ] {
        let (whole, next) = world.part(path, id).await;
        assert_eq!((whole.len(), next), (5, None), "{path}: who asks for no page gets all");
        let pages = world.pages(&format!("{path}limit=2"), id).await;
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1], "{path}");
        let (mut there, mut here) = (whole.clone(), pages.concat());
        assert_eq!(world.pages(&format!("{path}limit=5"), id).await, [whole]);
        there.sort();
        here.sort();
        assert_eq!(here, there, "{path}: each once");
    }
    assert_eq!(world.part("/api/requests?limit=0", "request_id").await.0, Vec::<String>::new());
}

#[tokio::test]
async fn what_ended_in_several_ways_is_one_list() {
    let world = World::new().await;
    let session = world.register("bot").await;
    let mut ids = Vec::new();
    for n in 0..6 {
        let id = world.question(&session, "t").await;
        match n % 3 {
            0 => drop(world.dismiss(&id).await),
            1 => {
                let path = format!("/v1/requests/{id}/withdraw");
                let withdraw = world.ask(Method::POST, &path).bearer_auth(OWNER).json(&json!({}));
                assert_eq!(withdraw.send().await.unwrap().status(), 200);
            }
            _ => drop(world.respond(&id, "yes").await),
        }
        if n % 3 != 2 {
            ids.insert(0, vec![id]);
        }
    }
    assert_eq!(world.pages("/api/requests?status=DISMISSED&limit=1", "request_id").await, ids);
    let whole = world.part("/api/requests?status=DISMISSED", "request_id").await.0;
    assert_eq!(whole, ids.concat());
    assert_eq!(world.part("/api/requests?status=ANSWERED", "request_id").await.0.len(), 2);
}

#[tokio::test]
async fn what_is_no_cursor_is_refused_in_the_dialects_shape() {
    let world = World::new().await;
    for path in ["/api/sessions?cursor=x", "/api/requests?cursor=", "/api/requests?status=PENDING&cursor=1.2"]
    {
        let (status, detail) = fails(world.ask(Method::GET, path)).await;
        assert_eq!((status, &detail[0]["loc"]), (422, &json!(["query", "cursor"])), "{path}");
    }
    for limit in ["10001", "x", "-1"] {
        let path = format!("/api/sessions?limit={limit}");
        assert_eq!(fails(world.ask(Method::GET, &path)).await.0, 422, "{limit}");
    }
}
