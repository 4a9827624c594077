//! Who is let in, and by what.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use trunkline_serve::AttachSettings;

use crate::world::{World, read};

impl World {
    /// A request of a browser that came from the dialect's own origin.
    fn browse(&self, method: Method, path: &str) -> RequestBuilder {
        let origin = format!("http://{}", self.origin);
        let request = self.http.request(method, format!("{origin}{path}"));
        request.header("origin", origin).header("sec-fetch-site", "same-origin")
    }

    async fn code(&self) -> String {
        let (status, link) = read(self.ask(Method::POST, "/v1/links").json(&json!({}))).await;
        assert_eq!(status, 201);
        link["code"].as_str().unwrap().to_owned()
    }

    /// Opens a link, and gives the cookie that came of it.
    async fn open(&self, code: &str) -> Result<String, Value> {
        let response =
            self.browse(Method::POST, "/-/open").json(&json!({ "code": code })).send().await.unwrap();
        let cookie = response.headers().get("set-cookie").map(|cookie| cookie.to_str().unwrap().to_owned());
        cookie.ok_or(response.json::<Value>().await.unwrap())
    }
}

fn refused() -> (u16, Value) {
    (401, json!({ "detail": "unauthenticated" }))
}

#[tokio::test]
async fn nobody_is_let_in_without_a_reason_and_learns_nothing() {
    let world = World::new().await;
    for (method, path) in [
        (Method::POST, "/api/session"),
        (Method::GET, "/api/session/nonsense/stream"),
        (Method::POST, "/api/session/nonsense/prompt"),
        (Method::GET, "/api/pve/verbs"),
        (Method::POST, "/api/pve/reset"),
        (Method::GET, "/api/session/none/of/these"),
    ] {
        let bare = world.http.request(method.clone(), format!("http://{}{path}", world.address));
        assert_eq!(read(bare).await, refused(), "{method} {path}");
        let named = world.browse(method.clone(), path).header("x-authentik-username", "ana");
        assert_eq!(read(named).await, refused(), "a name is no reason");
        let wrong = world.http.request(method, format!("http://{}{path}", world.address)).bearer_auth("µ");
        assert_eq!(read(wrong).await, refused());
    }
    world.close().await;
}

#[tokio::test]
async fn a_token_does_what_its_scope_says() {
    let world = World::new().await;
    let id = world.session().await;
    let make = world.ask(Method::POST, "/v1/tokens").json(&json!({ "name": "wall", "scope": "viewer" }));
    let token = read(make).await.1["token"].as_str().unwrap().to_owned();
    let ask = |method, path: String| {
        world.http.request(method, format!("http://{}{path}", world.address)).bearer_auth(&token)
    };
    assert_eq!(read(ask(Method::POST, "/api/session".to_owned())).await.0, 403);
    let prompt = ask(Method::POST, format!("/api/session/{id}/prompt")).json(&json!({ "prompt": "x" }));
    assert_eq!(read(prompt).await.0, 403);
    assert_eq!(ask(Method::GET, format!("/api/session/{id}/stream")).send().await.unwrap().status(), 200);
    world.close().await;
}

#[tokio::test]
async fn a_browser_is_let_in_by_a_link_and_into_this_dialect_alone() {
    let world = World::new().await;
    let code = world.code().await;
    let set = world.open(&code).await.unwrap();
    for part in ["Path=/api", "HttpOnly", "SameSite=Strict"] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.contains("Secure"), "in the clear it would not be taken: {set}");
    // A page that came by TLS as far as a proxy keeps it from the clear.
    let behind = world.http.post(format!("http://{}/-/open", world.origin));
    let behind = behind.header("origin", format!("https://{}", world.origin));
    let answer = behind.json(&json!({ "code": world.code().await })).send().await.unwrap();
    assert!(answer.headers()["set-cookie"].to_str().unwrap().contains("; Secure"), "{answer:?}");
    assert!(world.open(&code).await.unwrap_err()["detail"].as_str().unwrap().contains("used before"));
    let cookie = set.split(';').next().unwrap();
    let browse = |method, path| world.browse(method, path).header("cookie", cookie);
    let (status, made) = read(browse(Method::POST, "/api/session")).await;
    assert_eq!(status, 200);
    let stream = format!("/api/session/{}/stream", made["session_id"].as_str().unwrap());
    assert_eq!(browse(Method::GET, &stream).send().await.unwrap().status(), 200);
    // Elsewhere it opens nothing: not as a cookie, not as a token, and nothing but this dialect is here.
    let elsewhere = world.http.get(format!("http://{}{stream}", world.address)).header("cookie", cookie);
    assert_eq!(read(elsewhere).await, refused());
    let secret = cookie.split_once('=').unwrap().1;
    for path in ["/v1/sessions", "/api/pve/verbs"] {
        let bearer = world.http.get(format!("http://{}{path}", world.address)).bearer_auth(secret);
        assert_eq!(read(bearer).await.0, 401, "{path}");
    }
    assert_eq!(read(browse(Method::GET, "/v1/sessions")).await.0, 401);
    world.close().await;
}

#[tokio::test]
async fn another_page_does_nothing_with_a_browsers_cookie() {
    let world = World::new().await;
    let set = world.open(&world.code().await).await.unwrap();
    let cookie = set.split(';').next().unwrap();
    let post = || world.http.post(format!("http://{}/api/session", world.origin)).header("cookie", cookie);
    assert_eq!(read(post().header("origin", "https://evil.example")).await.0, 403);
    assert_eq!(read(post().header("sec-fetch-site", "cross-site")).await.0, 403);
    assert_eq!(read(post().header("origin", format!("http://{}", world.address))).await.0, 403);
    assert_eq!(read(post().header("host", "evil.example")).await.0, 403);
    world.close().await;
}

#[tokio::test]
async fn a_proxy_that_is_known_says_who_comes() {
    let proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let world = World::with(AttachSettings { proxies, ..AttachSettings::default() }).await;
    let made = world.browse(Method::POST, "/api/session").header("x-authentik-username", "ana");
    let (status, made) = read(made).await;
    assert_eq!(status, 200);
    let path = format!("/v1/sessions/{}", made["session_id"].as_str().unwrap());
    assert_eq!(read(world.ask(Method::GET, &path)).await.1["created_by"], "proxy/ana");
    for nobody in ["", "  "] {
        let named = world.browse(Method::POST, "/api/session").header("x-authentik-username", nobody);
        assert_eq!(read(named).await, refused());
    }
    let elsewhere = world.http.get(format!("http://{}/v1/sessions", world.address));
    assert_eq!(read(elsewhere.header("x-authentik-username", "ana")).await.0, 401, "in this dialect alone");
    world.close().await;
}

#[tokio::test]
async fn a_clients_files_are_served_on_its_own_origin() {
    let world = World::new().await;
    let page = world.browse(Method::GET, "/").send().await.unwrap();
    assert_eq!(page.headers()["x-content-type-options"], "nosniff");
    assert!(page.headers().contains_key("content-security-policy"));
    assert_eq!(page.text().await.unwrap(), "<p>A client</p>");
    assert_eq!(read(world.browse(Method::GET, "/../secret")).await.0, 404);
    let health = read(world.browse(Method::GET, "/health")).await.1;
    assert_eq!(health["status"], "healthy");
    assert!(
        world.browse(Method::GET, "/-/open").send().await.unwrap().text().await.unwrap().contains("open.js")
    );
    world.close().await;
}
