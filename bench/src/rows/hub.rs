//! The dialect of the original human-input hub, as its clients use it: without a token, with long-polls that wait.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::Bench;
use crate::daemon::{Daemon, Home};
use crate::http::Http;
use crate::limits;
use crate::report::{Figure, Unit};
use crate::stats::Samples;

/// Agents that wait for an answer that never comes.
const WAITING: usize = 500;
/// Agents that ask, are answered and go on, side by side.
const CLIENTS: usize = 32;
/// Answers that one agent waits for, one after the other.
const ROUNDS: usize = 300;
/// A session that nobody uses has left the daemon's memory after this time.
const LINGER: Duration = Duration::from_secs(22);
const QUESTION: &str =
    r#"{"title":"Go on?","question":"Shall I?","context_json":null,"priority":"HIGH","tags":null}"#;
const YES: &str = r#"{"response_text":"yes","responder":"human"}"#;

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let home = Home::new(&bench.dir)?;
    let daemon = Arc::new(Daemon::start(&bench.binary, home.path()).await?);
    let (whole, back, flush) = one(bench, &daemon).await?;
    let before = daemon.memory()?.resident;
    let agents = agents(&daemon, WAITING).await?;
    tokio::time::sleep(LINGER).await;
    let registered = daemon.memory()?.resident;
    let _waiting = wait(&daemon, &agents).await?;
    let waiting = daemon.memory()?.resident;
    let each = |from: f64, to: f64| (to - from) / WAITING as f64;
    let (beside, woken, _) = one(bench, &daemon).await?;
    let cpu = daemon.cpu()?;
    let start = Instant::now();
    let cycles = many(&daemon, bench.span).await?;
    let rate = cycles.count() / start.elapsed().as_secs_f64();
    let cost = daemon.cpu()?.per(cpu, cycles.count());
    let resident = daemon.memory()?.resident;
    let daemon = Arc::into_inner(daemon).context("every client is done")?;
    daemon.stop().await?;
    let budget = 2.0 + 2.0 * flush;
    Ok(vec![
        Figure::new("p50, answer to long-poll", back.median(), Unit::Milliseconds)
            .at_most(budget)
            .beside("two flushes", 2.0 * flush)
            .note("two flushes: the answer, and that it was fetched"),
        Figure::new("p99, answer to long-poll", back.percentile(99), Unit::Milliseconds),
        Figure::new("p50, ask to long-poll", whole.median(), Unit::Milliseconds),
        Figure::new(
            format!("p50, answer to long-poll, {WAITING} others wait"),
            woken.median(),
            Unit::Milliseconds,
        )
        .at_most(budget),
        Figure::new(
            format!("p99, answer to long-poll, {WAITING} others wait"),
            woken.percentile(99),
            Unit::Milliseconds,
        ),
        Figure::new(
            format!("p50, ask to long-poll, {WAITING} others wait"),
            beside.median(),
            Unit::Milliseconds,
        ),
        Figure::new(
            format!("p50, ask, answer, poll, acknowledge; {CLIENTS} clients"),
            cycles.median(),
            Unit::Milliseconds,
        )
        .note(cost),
        Figure::new(
            format!("p99, ask, answer, poll, acknowledge; {CLIENTS} clients"),
            cycles.percentile(99),
            Unit::Milliseconds,
        ),
        Figure::new("of these cycles", rate, Unit::PerSecond),
        Figure::new("memory of a session and its poll that waits", each(before, waiting), Unit::Bytes),
        Figure::new(
            "of it the poll, its connection, its session loaded",
            each(registered, waiting),
            Unit::Bytes,
        )
        .note("the rest is what SQLite and the tails cache of what was written, which has a bound"),
        Figure::new("resident memory at the end", resident, Unit::Bytes),
    ])
}

async fn connect(daemon: &Daemon) -> Result<Http> {
    Http::without_token(daemon.address).await
}

async fn register(http: &mut Http) -> Result<String> {
    let made = http.post("/api/sessions/register", r#"{"display_name":"bench"}"#).await?;
    text(&made["session_id"])
}

/// One agent whose poll waits while it is answered. The connections are opened before.
async fn one(bench: &Bench, daemon: &Daemon) -> Result<(Samples, Samples, f64)> {
    let (mut agent, mut poll, mut person) =
        (connect(daemon).await?, connect(daemon).await?, connect(daemon).await?);
    let session = register(&mut agent).await?;
    let (mut whole, mut back) = (Samples::default(), Samples::default());
    let mut disk = limits::Disk::new(&bench.dir)?;
    for _ in 0..ROUNDS {
        disk.flush()?;
        poll.send("GET", &format!("/api/sessions/{session}/inbox?timeout=30"), None).await?;
        let asked = Instant::now();
        let made = agent.post(&format!("/api/sessions/{session}/requests"), QUESTION).await?;
        let request = text(&made["request_id"])?;
        let answered = Instant::now();
        person.post(&format!("/api/requests/{request}/respond"), YES).await?;
        let messages = poll.answer().await?.json()?;
        let end = Instant::now();
        back.push(end - answered);
        whole.push(end - asked);
        acknowledge(&mut agent, &session, &messages).await?;
    }
    Ok((whole, back, disk.took().median()))
}

/// Sessions of agents that do nothing yet.
async fn agents(daemon: &Daemon, count: usize) -> Result<Vec<String>> {
    let mut http = connect(daemon).await?;
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        all.push(register(&mut http).await?);
    }
    Ok(all)
}

/// Polls that find nothing.
async fn wait(daemon: &Daemon, sessions: &[String]) -> Result<Vec<Http>> {
    let mut all = Vec::with_capacity(sessions.len());
    for session in sessions {
        let mut http = connect(daemon).await?;
        http.send("GET", &format!("/api/sessions/{session}/inbox?timeout=120"), None).await?;
        all.push(http);
    }
    // Whatever asks after them is answered after them: by then all of them wait.
    connect(daemon).await?.get("/api/requests?limit=1").await?.json()?;
    Ok(all)
}

/// Agents that go around as fast as they can.
async fn many(daemon: &Arc<Daemon>, span: Duration) -> Result<Samples> {
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let daemon = Arc::clone(daemon);
        clients.spawn(async move {
            let mut http = connect(&daemon).await?;
            let session = register(&mut http).await?;
            let mut took = Vec::new();
            let end = Instant::now() + span;
            while Instant::now() < end {
                let start = Instant::now();
                let made = http.post(&format!("/api/sessions/{session}/requests"), QUESTION).await?;
                let request = text(&made["request_id"])?;
                http.post(&format!("/api/requests/{request}/respond"), YES).await?;
                let messages = http.get(&format!("/api/sessions/{session}/inbox?timeout=0")).await?.json()?;
                acknowledge(&mut http, &session, &messages).await?;
                took.push(start.elapsed());
            }
            anyhow::Ok(took)
        });
    }
    let mut cycles = Samples::default();
    while let Some(took) = clients.join_next().await {
        took??.into_iter().for_each(|took| cycles.push(took));
    }
    Ok(cycles)
}

async fn acknowledge(http: &mut Http, session: &str, messages: &Value) -> Result<()> {
    let all = messages["messages"].as_array().context("there are messages")?;
    ensure!(all.len() == 1, "the agent got something else: {messages}");
    let message = text(&all[0]["message_id"])?;
    http.done("POST", &format!("/api/sessions/{session}/inbox/{message}/ack"), Some("")).await
}

fn text(value: &Value) -> Result<String> {
    Ok(value.as_str().context("an id is a text")?.to_owned())
}
