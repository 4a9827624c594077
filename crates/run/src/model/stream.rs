//! One answer of a model: its words as they come, and all of it at its end; tried again where that may help.

use std::time::Duration;

use serde_json::json;
use trunkline_core::raw::Raw;
use trunkline_wire::acp::{ContentBlock, ContentChunk, SessionUpdate};
use trunkline_wire::model::{Ask, Decoder, Delta, Failure, FailureKind, Reply};

use crate::http::Http;
use crate::profiles::Ready;
use crate::turn::Turn;

/// How often a request is tried again.
const RETRIES: u32 = 5;
/// The first pause; each is twice as long as the one before.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause that a turn waits. A provider that wants more ends it.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// How a request ended.
pub(super) enum Answered {
    /// There is an answer.
    Whole(Reply),
    /// The turn is to stop; this is what there was of the answer.
    Stopped(Reply),
    /// There is none.
    Failed(Failure),
}

/// Whether what is said is told as it comes.
#[derive(Clone, Copy)]
pub(super) enum Voice {
    /// It is; the number tells this request from the others of the turn.
    Aloud(u32),
    /// It is not: nobody asked for it.
    Quiet,
}

/// Asks, and tells what is said as it comes.
pub(super) async fn answer(http: &Http, ready: &Ready, ask: &Ask<'_>, turn: &Turn, voice: Voice) -> Answered {
    let mut pause = PAUSE;
    for attempt in 0..=RETRIES {
        let message = match voice {
            Voice::Aloud(step) => Some(format!("{}.{}.{step}.{attempt}", turn.id(), turn.attempt())),
            Voice::Quiet => None,
        };
        let mut once = Once { turn, message, told: false, decoder: None };
        let failure = tokio::select! {
            biased;
            _ = turn.stopping() => {
                let reply = once.decoder.map(Decoder::abandon);
                return Answered::Stopped(reply.unwrap_or_else(Reply::nothing));
            }
            done = once.run(http, ready, ask) => match done {
                Ok(reply) => return Answered::Whole(reply),
                Err(failure) => ready.endpoint.hide(failure),
            },
        };
        let wait = failure.retry_after.unwrap_or(pause).max(Duration::from_millis(100));
        if !failure.kind.is_passing() || attempt == RETRIES || wait > MAX_PAUSE {
            return Answered::Failed(failure);
        }
        tell(turn, &failure, attempt + 1, wait, once.told).await;
        tokio::select! {
            biased;
            _ = turn.stopping() => return Answered::Stopped(Reply::nothing()),
            () = tokio::time::sleep(wait) => {}
        }
        pause *= 2;
    }
    unreachable!("the last attempt returns")
}

async fn tell(turn: &Turn, failure: &Failure, attempt: u32, wait: Duration, told: bool) {
    let begun = if told { " What was said of this answer does not count." } else { "" };
    let message = format!(
        "{} The model is asked again in {:.1} s ({attempt} of {RETRIES}).{begun}",
        sentence(&failure.message),
        wait.as_secs_f32()
    );
    let data = json!({
        "code": failure.kind.code(),
        "attempt": attempt,
        "of": RETRIES,
        "in_ms": u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
        "begun": told,
    });
    turn.note("retrying", message, Raw::of(&data).ok()).await;
}

pub(super) fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.ends_with(['.', '!', '?', '…']) { text.to_owned() } else { format!("{text}.") }
}

/// One attempt.
struct Once<'t> {
    turn: &'t Turn,
    /// By which clients tell what belongs to one message; `None` of one that is not told.
    message: Option<String>,
    /// Whether something of it was told.
    told: bool,
    decoder: Option<Decoder>,
}

impl Once<'_> {
    async fn run(&mut self, http: &Http, ready: &Ready, ask: &Ask<'_>) -> Result<Reply, Failure> {
        let mut body = http.post(ready.endpoint.request(ask), ready.timeout()).await?;
        let prefix = format!("call-{}-", self.message.as_deref().unwrap_or_default().replace('.', "-"));
        let decoder = self.decoder.insert(Decoder::new(ready.endpoint.wire, prefix));
        let mut broken = None;
        while !decoder.is_over() {
            match body.next().await {
                Ok(Some(bytes)) => {
                    let deltas = decoder.push(&bytes)?;
                    self.told |= say(self.turn, self.message.as_deref(), deltas).await;
                }
                Ok(None) => break,
                Err(failure) => {
                    broken = Some(failure);
                    break;
                }
            }
        }
        let decoder = self.decoder.take().expect("it was made above");
        match decoder.finish() {
            Ok((deltas, reply)) => {
                say(self.turn, self.message.as_deref(), deltas).await;
                Ok(reply)
            }
            // Why the stream ended too early tells more than that it did.
            Err(failure) if failure.kind == FailureKind::ConnectionFailed => Err(broken.unwrap_or(failure)),
            Err(failure) => Err(failure),
        }
    }
}

/// Tells what a model says. Calls are told when the answer is whole.
async fn say(turn: &Turn, message: Option<&str>, deltas: Vec<Delta>) -> bool {
    let Some(message) = message else { return false };
    let mut told = false;
    for delta in deltas {
        let chunk = |text| ContentChunk {
            content: ContentBlock::text(text),
            message_id: Some(message.to_owned()),
            meta: None,
        };
        let update = match delta {
            Delta::Text(text) => SessionUpdate::AgentMessageChunk(chunk(text)),
            Delta::Thought(text) => SessionUpdate::AgentThoughtChunk(chunk(text)),
            Delta::Call(_) => continue,
        };
        turn.update(update.to_raw().into()).await;
        told = true;
    }
    told
}
