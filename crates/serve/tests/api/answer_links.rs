//! Links that answer: one request, one use, no token.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use trunkline_core::view::RequestView;

use crate::world::{World, read};

impl World {
    /// The address by which whoever was told as `phone` answers a request, if there is one.
    async fn link(&self, request: &str) -> Option<String> {
        let (_, request) = self.get(&format!("/v1/requests/{request}")).await;
        let request: RequestView = serde_json::from_value(request).unwrap();
        self.links.address(&self.url(""), &request, "phone").unwrap()
    }

    async fn open(&self, link: &str) -> (StatusCode, String) {
        let response = self.http.get(link).send().await.unwrap();
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["referrer-policy"], "same-origin");
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        (response.status(), response.text().await.unwrap())
    }

    fn form(&self, link: &str, origin: &str, form: &'static str) -> RequestBuilder {
        let post = self.http.post(link).header("origin", origin);
        post.header("content-type", "application/x-www-form-urlencoded").body(form)
    }

    /// What the form of the page sends.
    async fn send(&self, link: &str, form: &'static str) -> (StatusCode, String) {
        let response = self.form(link, &self.url(""), form).send().await.unwrap();
        (response.status(), response.text().await.unwrap())
    }
}

#[tokio::test]
async fn a_look_shows_and_a_post_answers_once() {
    let world = World::new().await;
    let session = world.session().await;
    let request = world.question(&session).await;
    let link = world.link(&request).await.unwrap();

    for _ in 0..2 {
        let (status, page) = world.open(&link).await;
        assert_eq!(status, 200);
        assert!(page.contains("<h1>Go on?</h1>") && page.contains("value=\"yes\""), "{page}");
    }
    let (_, still) = world.get(&format!("/v1/requests/{request}")).await;
    assert_eq!(still["status"], "open", "a look answers nothing");

    let (status, page) = world.send(&link, "option=yes").await;
    assert_eq!(status, 200, "{page}");
    assert!(page.contains("<h1>Answered</h1><p>Yes</p>"), "{page}");
    let (_, closed) = world.get(&format!("/v1/requests/{request}")).await;
    assert_eq!(
        (&closed["closed"]["by"], &closed["closed"]["answer"]["option"]),
        (&json!("link/phone"), &json!("yes"))
    );

    let (status, page) = world.send(&link, "option=no").await;
    assert_eq!(status, 409);
    assert!(page.contains("link/phone has answered it already"), "{page}");
    assert_eq!(world.open(&link).await.0, 409);
}

#[tokio::test]
async fn the_button_of_a_notification_posts_json_and_is_answered_in_it() {
    let world = World::new().await;
    let session = world.session().await;
    let link = world.link(&world.question(&session).await).await.unwrap();
    let path = link.strip_prefix(&world.url("")).unwrap();
    let post = |body: Value| world.http.request(Method::POST, world.url(path)).json(&body);
    let (status, problem) = read(post(json!({ "option": "perhaps" }))).await;
    assert_eq!((status.as_u16(), &problem["code"]), (400, &json!("invalid")));
    let (status, done) = read(post(json!({ "option": "no" }))).await;
    assert_eq!((status.as_u16(), done), (200, json!({ "answered": "No" })));
    let (status, problem) = read(post(json!({ "option": "no" }))).await;
    assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("request_closed")));
}

#[tokio::test]
async fn a_question_without_options_takes_words_and_shows_what_came_as_text() {
    let world = World::new().await;
    let session = world.session().await;
    let ask = json!({ "kind": "question", "title": "<b>Which</b>?", "question": "\"a\" & b" });
    let (_, asked) = world.post(&format!("/v1/sessions/{session}/requests"), &ask).await;
    let link = world.link(asked["id"].as_str().unwrap()).await.unwrap();
    let (_, page) = world.open(&link).await;
    assert!(page.contains("&lt;b&gt;Which&lt;/b&gt;?") && page.contains("<textarea"), "{page}");
    assert_eq!(world.send(&link, "text=++").await.0, 400);
    assert_eq!(world.send(&link, "text=%C3%BC+%26+%2B%3D%25").await.0, 200);
    let (_, closed) = world.get(&format!("/v1/requests/{}", asked["id"].as_str().unwrap())).await;
    assert_eq!(closed["closed"]["answer"]["text"], "ü & +=%");
}

#[tokio::test]
async fn a_link_opens_nothing_else() {
    let world = World::new().await;
    let session = world.session().await;
    let request = world.question(&session).await;
    let link = world.link(&request).await.unwrap();
    assert_eq!(world.open(&format!("{link}A")).await.0, 404);
    assert_eq!(world.open(&world.url("/a/x")).await.0, 404);
    let foreign = world.form(&link, "https://evil.example", "option=yes");
    assert_eq!(foreign.send().await.unwrap().status(), 403);
    let token = link.rsplit('/').next().unwrap();
    let (status, _) = read(world.http.get(world.url("/v1/requests")).bearer_auth(token)).await;
    assert_eq!(status, 401);

    let ask = json!({ "kind": "permission", "title": "Run it?", "options": [
        { "id": "y", "name": "Allow", "kind": "allow_once" },
    ] });
    let (_, asked) = world.post(&format!("/v1/sessions/{session}/requests"), &ask).await;
    assert_eq!(world.link(asked["id"].as_str().unwrap()).await, None, "its risk is not known");
}
