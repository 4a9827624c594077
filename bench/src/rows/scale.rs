//! Ten thousand sessions, a thousand streams, somebody who writes, and every endpoint.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::deliver::message;
use super::idle::REST;
use super::{MANY, SHORT};
use crate::Bench;
use crate::daemon::Daemon;
use crate::http::Http;
use crate::report::{Figure, Unit};
use crate::stats::Samples;
use crate::store;

const MEMORY_BUDGET: f64 = 200e6;
const BUDGET_MS: f64 = 50.0;
const STREAMS: usize = 1_000;
/// How often each endpoint is called.
const CALLS: usize = 200;
/// How long a writer rests between two messages to sessions that are watched.
const PACE: Duration = Duration::from_millis(10);

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let (home, ids) = store::home(&bench.dir, MANY, SHORT).await?;
    let (watched, others) = ids.split_at(STREAMS);
    let daemon = Daemon::start(&bench.binary, home.path()).await?;
    let mut streams = tokio::task::JoinSet::new();
    for mut stream in daemon.attach(STREAMS, watched).await? {
        streams.spawn(async move {
            loop {
                // It ends with the daemon.
                if stream.more().await.is_err() {
                    return;
                }
            }
        });
    }
    sleep(REST).await;
    let attached = daemon.memory()?;
    let mut writer = tokio::task::JoinSet::new();
    let (http, sessions) = (daemon.connect().await?, watched.to_owned());
    writer.spawn(async move { keep_writing(http, &sessions).await });
    let mut calls = Calls::of(daemon.connect().await?, others);
    calls.all(&daemon).await?;
    let used = daemon.memory()?;
    if let Some(failed) = writer.try_join_next() {
        failed??;
    }
    writer.shutdown().await;
    daemon.stop().await?;
    streams.join_all().await;
    let mut figures = vec![
        Figure::new("resident, streams attached", attached.resident, Unit::Bytes).at_most(MEMORY_BUDGET),
        Figure::new("resident, after every endpoint was used", used.resident, Unit::Bytes)
            .at_most(MEMORY_BUDGET),
    ];
    let p99 = |(name, samples): &(String, Samples)| {
        let note = format!("p50 {:.2} ms", samples.median());
        Figure::new(format!("p99 {name}"), samples.percentile(99), Unit::Milliseconds)
            .at_most(BUDGET_MS)
            .note(note)
    };
    figures.extend(calls.took.iter().map(p99));
    Ok(figures)
}

async fn keep_writing(mut http: Http, sessions: &[String]) -> Result<()> {
    let body = message();
    for id in sessions.iter().cycle() {
        http.post(&format!("/v1/sessions/{id}/inbox"), &body).await?;
        sleep(PACE).await;
    }
    Ok(())
}

/// Calls of every endpoint, each on sessions that nobody has used before.
struct Calls<'a> {
    http: Http,
    fresh: std::slice::Iter<'a, String>,
    took: Vec<(String, Samples)>,
}

impl<'a> Calls<'a> {
    fn of(http: Http, sessions: &'a [String]) -> Self {
        Self { http, fresh: sessions.iter(), took: Vec::new() }
    }

    async fn all(&mut self, daemon: &Daemon) -> Result<()> {
        self.lists().await?;
        self.sessions().await?;
        self.messages().await?;
        self.requests().await?;
        self.streams(daemon).await
    }

    /// Everything that is not about one session.
    async fn lists(&mut self) -> Result<()> {
        for path in [
            "/health",
            "/v1/me",
            "/v1/openapi.json",
            "/v1/catalog",
            "/v1/agents",
            "/v1/tokens",
            "/v1/requests",
            "/v1/requests?status=open",
            "/v1/sessions",
            "/v1/sessions?limit=200",
            "/v1/sessions?agent=bench&state=idle",
            "/v1/sessions?project=/srv/project",
        ] {
            self.call("GET", path, None, |_| path.to_owned()).await?;
        }
        let mut next = String::new();
        for _ in 0..40 {
            let page = self.http.get(&format!("/v1/sessions?limit=200{next}")).await?.json()?;
            next = format!("&cursor={}", page["next"].as_str().context("there are more")?);
        }
        self.call("GET", "/v1/sessions?cursor=<8,000 back>", None, |_| {
            format!("/v1/sessions?limit=50{next}")
        })
        .await?;
        let link = json!({}).to_string();
        self.call("POST", "/v1/links", Some(&link), |_| "/v1/links".to_owned()).await
    }

    async fn sessions(&mut self) -> Result<()> {
        let session = json!({ "driver": "external", "agent": "bench" }).to_string();
        self.call("POST", "/v1/sessions", Some(&session), |_| "/v1/sessions".to_owned()).await?;
        for rest in ["", "/events", "/queue", "/presence", "/inbox", "/grants", "/turns/2"] {
            let name = format!("/v1/sessions/{{id}}{rest}");
            self.call("GET", &name, None, |id| format!("/v1/sessions/{id}{rest}")).await?;
        }
        let title = json!({ "title": "another" }).to_string();
        self.call("PATCH", "/v1/sessions/{id}", Some(&title), |id| format!("/v1/sessions/{id}")).await?;
        let tool = json!({ "tool": "bash" }).to_string();
        self.call("POST", "/v1/sessions/{id}/grants", Some(&tool), |id| format!("/v1/sessions/{id}/grants"))
            .await?;
        self.call("POST", "/v1/sessions/{id}/close", Some("{}"), |id| format!("/v1/sessions/{id}/close"))
            .await?;
        self.call("DELETE", "/v1/sessions/{id}", None, |id| format!("/v1/sessions/{id}")).await
    }

    async fn messages(&mut self) -> Result<()> {
        let body = message();
        let (mut sent, mut acked) = (Samples::default(), Samples::default());
        for _ in 0..CALLS {
            let inbox = format!("/v1/sessions/{}/inbox", self.session()?);
            let start = Instant::now();
            let message = self.http.post(&inbox, &body).await?;
            sent.push(start.elapsed());
            let id = message["id"].as_str().context("a message has an id")?;
            let start = Instant::now();
            self.http.done("POST", &format!("{inbox}/{id}/ack"), Some("{}")).await?;
            acked.push(start.elapsed());
        }
        self.took.push(("POST /v1/sessions/{id}/inbox".to_owned(), sent));
        self.took.push(("POST /v1/sessions/{id}/inbox/{message}/ack".to_owned(), acked));
        Ok(())
    }

    async fn requests(&mut self) -> Result<()> {
        let question = json!({ "kind": "question", "title": "Which one?" }).to_string();
        let mut took = [Samples::default(), Samples::default(), Samples::default(), Samples::default()];
        for _ in 0..CALLS {
            let ask = format!("/v1/sessions/{}/requests", self.session()?);
            let start = Instant::now();
            let asked = self.http.post(&ask, &question).await?;
            took[0].push(start.elapsed());
            let request = format!("/v1/requests/{}", asked["id"].as_str().context("a request has an id")?);
            let answer = r#"{"text":"this one"}"#;
            for (at, (method, rest, body)) in
                [("GET", "", None), ("POST", "/dismiss", Some("{}")), ("POST", "/answer", Some(answer))]
                    .into_iter()
                    .enumerate()
            {
                let start = Instant::now();
                self.http.done(method, &format!("{request}{rest}"), body).await?;
                took[at + 1].push(start.elapsed());
            }
        }
        let names = [
            "POST /v1/sessions/{id}/requests",
            "GET /v1/requests/{id}",
            "POST /v1/requests/{id}/dismiss",
            "POST /v1/requests/{id}/answer",
        ];
        self.took.extend(names.map(str::to_owned).into_iter().zip(took));
        Ok(())
    }

    /// From the connection to the end of what was kept.
    async fn streams(&mut self, daemon: &Daemon) -> Result<()> {
        for (name, feed) in
            [("GET /v1/sessions/{id}/events, caught up", false), ("GET /v1/feed, caught up", true)]
        {
            let mut samples = Samples::default();
            for _ in 0..CALLS {
                let path = if feed {
                    "/v1/feed".to_owned()
                } else {
                    format!("/v1/sessions/{}/events", self.session()?)
                };
                let start = Instant::now();
                daemon.connect().await?.stream(&path).await?.catch_up().await?;
                samples.push(start.elapsed());
            }
            self.took.push((name.to_owned(), samples));
        }
        Ok(())
    }

    async fn call(
        &mut self,
        method: &str,
        name: &str,
        body: Option<&str>,
        path: impl Fn(&str) -> String,
    ) -> Result<()> {
        let mut samples = Samples::default();
        for _ in 0..CALLS {
            let path = path(if name.contains("{id}") { self.session()? } else { "" });
            let start = Instant::now();
            let answer = self.http.call(method, &path, body).await?;
            samples.push(start.elapsed());
            ensure!(
                answer.status < 300,
                "{method} {path}: {} {}",
                answer.status,
                String::from_utf8_lossy(&answer.body)
            );
        }
        self.took.push((format!("{method} {name}"), samples));
        Ok(())
    }

    fn session(&mut self) -> Result<&'a str> {
        self.fresh.next().map(String::as_str).context("there are sessions enough")
    }
}
