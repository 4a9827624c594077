//! From a question to the answer at the agent that asked: the way through everybody's hands but the person's.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::time::Instant;

use crate::Bench;
use crate::daemon::{Daemon, Home};
use crate::limits;
use crate::report::{Figure, Unit};
use crate::stats::Samples;

const ROUNDS: usize = 300;
const QUESTION: &str = r#"{"kind":"permission","title":"Run `cargo test`?","options":[
    {"id":"yes","name":"Allow","kind":"allow_once"},{"id":"no","name":"Reject","kind":"reject_once"}]}"#;

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let home = Home::new(&bench.dir)?;
    let daemon = Daemon::start(&bench.binary, home.path()).await?;
    let sessions = daemon.make_sessions(1).await?;
    let base = format!("/v1/sessions/{}", sessions[0]);
    let inbox = format!("{base}/inbox");
    let (mut agent, mut poll, mut person) =
        (daemon.connect().await?, daemon.connect().await?, daemon.connect().await?);
    let mut feed = daemon.connect().await?.stream("/v1/feed").await?;
    let (mut whole, mut shown, mut back) = (Samples::default(), Samples::default(), Samples::default());
    let mut disk = limits::Disk::new(&bench.dir)?;
    let before = daemon.cpu()?;
    for _ in 0..ROUNDS {
        disk.flush()?;
        poll.send("GET", &format!("{inbox}?wait_ms=20000"), None).await?;
        let asked = Instant::now();
        let question = agent.post(&format!("{base}/requests"), QUESTION).await?;
        let id = text(&question["id"])?;
        // The feed says it when the question is on disk; the answer's own event says it again, with another status.
        feed.find(&format!("{{\"id\":\"{}\"", &id[..])).await?;
        let answered = Instant::now();
        shown.push(answered - asked);
        person.post(&format!("/v1/requests/{id}/answer"), r#"{"option":"yes"}"#).await?;
        let messages = poll.answer().await?.json()?;
        let end = Instant::now();
        back.push(end - answered);
        whole.push(end - asked);
        ensure!(messages["items"][0]["kind"] == "request.closed", "the agent got something else: {messages}");
        let message = text(&messages["items"][0]["id"])?;
        agent.done("POST", &format!("{inbox}/{message}/ack"), Some("{}")).await?;
    }
    let cost = daemon.cpu()?.per(before, ROUNDS as f64);
    daemon.stop().await?;
    let flush = disk.took().median();
    Ok(vec![
        Figure::new("p50, ask to long-poll", whole.median(), Unit::Milliseconds)
            .at_most(2.0 + 2.0 * flush)
            .beside("two flushes", 2.0 * flush)
            .note(cost),
        Figure::new("p99, ask to long-poll", whole.percentile(99), Unit::Milliseconds),
        Figure::new("of that p50: ask to the person's feed", shown.median(), Unit::Milliseconds),
        Figure::new("of that p50: answer to long-poll", back.median(), Unit::Milliseconds)
            .note("two flushes: the answer, and that it was fetched"),
    ])
}

fn text(value: &Value) -> Result<String> {
    Ok(value.as_str().context("an id is a text")?.to_owned())
}
