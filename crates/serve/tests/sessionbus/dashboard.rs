//! The pages, on a listener of their own.

use reqwest::{Method, RequestBuilder, Response};
use serde_json::json;

use crate::world::{World, fails};

impl World {
    /// What a browser sends from the dashboard's own pages.
    fn browse(&self, method: Method, path: &str) -> RequestBuilder {
        let reads = method == Method::GET;
        let request = self.http.request(method, format!("http://{}{path}", self.dashboard));
        let request = request.header("sec-fetch-site", "same-origin").header("sec-fetch-mode", "cors");
        if reads { request } else { request.header("origin", format!("http://{}", self.dashboard)) }
    }

    async fn page(&self, path: &str) -> String {
        let response = self.browse(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
        let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        response.text().await.unwrap()
    }
}

fn location(response: &Response) -> (u16, String) {
    (response.status().as_u16(), response.headers()["location"].to_str().unwrap().to_owned())
}

#[tokio::test]
async fn pages_show_what_there_is_and_nothing_as_markup() {
    let world = World::new().await;
    assert!(world.page("/partials/sessions").await.contains("No sessions registered yet."));
    assert!(world.page("/partials/requests").await.contains("No pending requests."));
    let session = world.register("<b>bot</b>").await;
    let body =
        json!({"title": "<script>x</script>", "question": "<i>", "context_json": {"k": "</pre><script>"}});
    let made = world.post(&format!("/api/sessions/{session}/requests"), &body).await;
    let request = made["request_id"].as_str().unwrap();
    for path in
        ["/", "/ui/sessionbus/", "/ui/sessionbus", "/partials/requests", &format!("/requests/{request}")]
    {
        let html = world.page(path).await;
        assert!(
            !html.contains("<script>x") && !html.contains("<i>") && !html.contains("</pre><script>"),
            "{html}"
        );
        for hook in ["class=\"question\"", "request-context", "Context", &session] {
            assert!(html.contains(hook), "{path}: {hook}");
        }
    }
    let table = world.page("/partials/sessions").await;
    assert!(table.contains("&lt;b&gt;bot&lt;/b&gt;") && table.contains("state-waiting_for_input"), "{table}");
    assert!(world.page("/partials/requests").await.contains("inline-dismiss-button"));
    let missing = world.browse(Method::GET, "/requests/x");
    assert_eq!(fails(missing).await, (404, json!("Request not found")));
}

#[tokio::test]
async fn forms_answer_and_dismiss() {
    let world = World::new().await;
    let session = world.register("bot").await;
    let request = world.question(&session, "t").await;
    let path = format!("/requests/{request}/respond");
    let form = |body: &'static str| {
        let request = world.browse(Method::POST, &path).body(body);
        request.header("content-type", "application/x-www-form-urlencoded")
    };
    for body in ["", "response_text=", "responder=ana"] {
        let (status, detail) = fails(form(body)).await;
        assert_eq!(
            (status, &detail[0]["type"], &detail[0]["input"]),
            (422, &json!("missing"), &json!(null)),
            "{body}"
        );
    }
    let long = world.browse(Method::POST, &path).header("content-type", "application/x-www-form-urlencoded");
    let long = long.body(format!("response_text=x&responder={}", "y".repeat(256)));
    assert_eq!(fails(long).await.0, 422);
    let there = (303, format!("/requests/{request}"));
    assert_eq!(location(&form("response_text=two+lines%0Ahere&responder=").send().await.unwrap()), there);
    assert_eq!(location(&form("response_text=late").send().await.unwrap()), there);
    let shown = world.get(&format!("/api/requests/{request}")).await;
    assert_eq!(
        (shown["response_text"].as_str(), shown["responder"].as_str()),
        (Some("two lines\nhere"), Some("human"))
    );
    let html = world.page(&format!("/requests/{request}")).await;
    assert!(html.contains("two lines\nhere") && !html.contains("<form"));
    let other = world.question(&session, "t").await;
    let dismiss = world.browse(Method::POST, &format!("/requests/{other}/dismiss")).send().await.unwrap();
    assert_eq!(location(&dismiss), (303, format!("/requests/{other}")));
    assert!(world.page(&format!("/requests/{other}")).await.contains("was dismissed"));
    let multipart =
        "--X\r\nContent-Disposition: form-data; name=\"response_text\"\r\n\r\nin parts\r\n--X--\r\n";
    let answer = world.browse(Method::POST, &format!("/requests/{other}/respond")).body(multipart);
    let answer = answer.header("content-type", "multipart/form-data; boundary=X").send().await.unwrap();
    assert_eq!(answer.status(), 303);
    assert_eq!(world.get(&format!("/api/requests/{other}")).await["response_text"], "in parts");
    assert_eq!(
        world.browse(Method::GET, &format!("/requests/{other}/dismiss")).send().await.unwrap().status(),
        405
    );
}

#[tokio::test]
async fn the_script_of_the_page_works_from_its_own_origin_only() {
    let world = World::new().await;
    let session = world.register("bot").await;
    let request = world.question(&session, "t").await;
    let path = format!("/api/requests/{request}/respond");
    let body = json!({"response_text": "yes", "responder": "human"});
    let post = |origin: &str, site: &str| {
        let request = world.http.post(format!("http://{}{path}", world.dashboard)).json(&body);
        request.header("origin", origin).header("sec-fetch-site", site)
    };
    for (origin, site) in [
        ("https://evil.example", "cross-site"),
        ("http://127.0.0.1:1", "same-site"),
        ("null", "cross-site"),
        (&*format!("http://{}", world.address), "same-site"),
    ] {
        assert_eq!(post(origin, site).send().await.unwrap().status(), 403, "{origin}");
    }
    let cross = world
        .http
        .get(format!("http://{}/api/sessions", world.dashboard))
        .header("sec-fetch-site", "same-site");
    assert_eq!(cross.send().await.unwrap().status(), 403);
    let rebound = world.http.get(format!("http://{}/", world.dashboard)).header("host", "evil.example");
    assert_eq!(rebound.send().await.unwrap().status(), 403);
    let tunnel = world.browse(Method::GET, "/").header("x-forwarded-for", "1.2.3.4").send().await.unwrap();
    assert_eq!(tunnel.status(), 401);
    let own = post(&format!("http://{}", world.dashboard), "same-origin").send().await.unwrap();
    assert_eq!(own.status(), 200);
    let (_, permission) = world.hosted().await;
    let hosted = world.browse(Method::POST, &format!("/api/requests/{permission}/respond"));
    assert_eq!(hosted.json(&json!({"response_text": "go"})).send().await.unwrap().status(), 403);
    for path in ["/v1/sessions", "/v1/me", "/health"] {
        assert_ne!(world.browse(Method::GET, path).send().await.unwrap().status(), 200, "{path} is not here");
    }
}

#[tokio::test]
async fn files_have_tags_and_ranges() {
    let world = World::new().await;
    for (name, kind) in [("app.css", "text/css; charset=utf-8"), ("app.js", "text/javascript; charset=utf-8")]
    {
        let path = format!("/static/{name}");
        let whole = world.browse(Method::GET, &path).send().await.unwrap();
        assert_eq!(whole.headers()["content-type"], kind);
        let tag = whole.headers()["etag"].clone();
        assert!(whole.headers().contains_key("last-modified"));
        let text = whole.text().await.unwrap();
        let same = world.browse(Method::GET, &path).header("if-none-match", tag).send().await.unwrap();
        assert_eq!(same.status(), 304);
        let part = world.browse(Method::GET, &path).header("range", "bytes=2-5").send().await.unwrap();
        assert_eq!(part.status(), 206);
        assert_eq!(part.headers()["content-range"].to_str().unwrap(), format!("bytes 2-5/{}", text.len()));
        assert_eq!(part.text().await.unwrap(), text[2..6]);
        assert_eq!(world.browse(Method::HEAD, &path).send().await.unwrap().status(), 200);
    }
    assert_eq!(fails(world.browse(Method::GET, "/static/none")).await, (404, json!("Not Found")));
}

#[tokio::test]
async fn programs_find_the_same_paths_beside_the_api() {
    let world = World::new().await;
    for path in ["/ui/sessionbus/", "/partials/sessions", "/partials/requests", "/static/app.js"] {
        assert_eq!(world.ask(Method::GET, path).send().await.unwrap().status(), 200, "{path}");
    }
}
