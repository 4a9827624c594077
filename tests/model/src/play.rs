//! One answer being given: the script's steps, made concrete for one request and played in order.

use bytes::Bytes;
use serde_json::Value;
use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::time::Duration;

use crate::ask::{Ask, Input, Offer};
use crate::dialect::{Arguments, End, Part, Reason, ToolCall, Writer};
use crate::gates::Gates;
use crate::journal::{Entry, Outcome};
use crate::script::{Call, Failure, Rule, Step};

/// A step whose tool is picked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Beat {
    Say(Part),
    WaitMs(u64),
    WaitFor(String),
    Fail(Failure),
    Cut,
}

/// A rule made ready for one request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    beats: VecDeque<Beat>,
    end: End,
    chunk: Option<NonZeroUsize>,
}

/// An answer being given.
pub(crate) struct Play {
    plan: Plan,
    writer: Writer,
    gates: Gates,
    entry: Entry,
    begun: bool,
    /// Bytes still to be sent, in pieces if the rule says so.
    pending: Bytes,
    over: bool,
}

/// Why there is no whole answer.
pub(crate) enum Halt {
    Failed(Failure),
    Cut,
}

/// The script cut the connection. hyper closes a connection whose body fails, without the end of the body.
#[derive(Debug, thiserror::Error)]
#[error("cut by the script")]
pub(crate) struct Cut;

impl Plan {
    /// Picks tools among those the request offers.
    pub(crate) fn new(rule: &Rule, ask: &Ask, number: u64) -> Result<Self, String> {
        let mut calls = 0;
        let beats = rule
            .answer
            .iter()
            .map(|step| {
                Ok(match step {
                    Step::Text(text) => Beat::Say(Part::Text(text.clone())),
                    Step::Thought(text) => Beat::Say(Part::Thought(text.clone())),
                    Step::Call(alternatives) => {
                        calls += 1;
                        Beat::Say(Part::Call(pick(alternatives, ask, format!("call_{number}_{calls}"))?))
                    }
                    Step::WaitMs(ms) => Beat::WaitMs(*ms),
                    Step::WaitFor(gate) => Beat::WaitFor(gate.clone()),
                    Step::Error(failure) => Beat::Fail(failure.clone()),
                    Step::Cut {} => Beat::Cut,
                })
            })
            .collect::<Result<_, String>>()?;
        let end = End { reason: Reason::of(rule.stop, calls > 0), usage: rule.usage };
        Ok(Self { beats, end, chunk: rule.chunk_bytes })
    }
}

impl Play {
    pub(crate) fn new(plan: Plan, writer: Writer, gates: Gates, entry: Entry) -> Self {
        Self { plan, writer, gates, entry, begun: false, pending: Bytes::new(), over: false }
    }

    /// Plays the waits that come first, so that a failure right after them can still be an HTTP status.
    pub(crate) async fn start(&mut self) -> Result<(), Failure> {
        while let Some(Beat::WaitMs(_) | Beat::WaitFor(_)) = self.plan.beats.front() {
            let beat = self.plan.beats.pop_front().expect("the front was just seen");
            wait(&self.gates, &beat).await;
        }
        match self.plan.beats.front() {
            Some(Beat::Fail(failure)) => {
                self.entry.close(Outcome::Failed);
                Err(failure.clone())
            }
            Some(Beat::Say(_) | Beat::Cut | Beat::WaitMs(_) | Beat::WaitFor(_)) | None => Ok(()),
        }
    }

    /// The whole answer at once, for a client that wants no stream.
    pub(crate) async fn whole(mut self) -> Result<Value, Halt> {
        while let Some(beat) = self.plan.beats.pop_front() {
            wait(&self.gates, &beat).await;
            match beat {
                Beat::Say(part) => drop(self.writer.part(&part)),
                Beat::WaitMs(_) | Beat::WaitFor(_) => {}
                Beat::Fail(failure) => {
                    self.entry.close(Outcome::Failed);
                    return Err(Halt::Failed(failure));
                }
                Beat::Cut => {
                    self.entry.close(Outcome::Cut);
                    return Err(Halt::Cut);
                }
            }
        }
        self.entry.close(Outcome::Complete);
        Ok(self.writer.whole(self.plan.end))
    }

    /// The next bytes of the stream; `None` at its end.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, Cut>> {
        while self.pending.is_empty() {
            if self.over {
                return None;
            }
            match self.advance().await {
                Ok(text) => self.pending = Bytes::from(text),
                Err(cut) => {
                    // hyper sends what it was given before it looks at the body again: without this turn of the
                    // loop the last event would be lost with the connection.
                    tokio::task::yield_now().await;
                    self.entry.close(Outcome::Cut);
                    self.over = true;
                    return Some(Err(cut));
                }
            }
        }
        let size = self.plan.chunk.map_or(self.pending.len(), |size| size.get().min(self.pending.len()));
        Some(Ok(self.pending.split_to(size)))
    }

    /// Plays one beat and gives the bytes it makes, which may be none.
    async fn advance(&mut self) -> Result<String, Cut> {
        if !self.begun {
            self.begun = true;
            return Ok(self.writer.begin());
        }
        let Some(beat) = self.plan.beats.pop_front() else {
            self.over = true;
            self.entry.close(Outcome::Complete);
            return Ok(self.writer.end(self.plan.end));
        };
        wait(&self.gates, &beat).await;
        match beat {
            Beat::Say(part) => Ok(self.writer.part(&part)),
            Beat::WaitMs(_) | Beat::WaitFor(_) => Ok(String::new()),
            Beat::Fail(failure) => {
                self.over = true;
                self.entry.close(Outcome::Failed);
                Ok(self.writer.fail(&failure))
            }
            Beat::Cut => Err(Cut),
        }
    }
}

async fn wait(gates: &Gates, beat: &Beat) {
    match beat {
        Beat::WaitMs(ms) => tokio::time::sleep(Duration::from_millis(*ms)).await,
        Beat::WaitFor(gate) => {
            gates.pass(gate).await.expect("the gates are made from the script the step stands in");
        }
        Beat::Say(_) | Beat::Fail(_) | Beat::Cut => {}
    }
}

fn pick(alternatives: &[Call], ask: &Ask, id: String) -> Result<ToolCall, String> {
    let made_up = |call: &Call| {
        let input = if call.arguments.is_string() { Input::Text } else { Input::Object };
        call.unoffered.then(|| Offer { name: call.tool.clone(), input })
    };
    let offer = |call: &Call| ask.offer(&call.tool).cloned().or_else(|| made_up(call));
    let (call, offer) = alternatives.iter().find_map(|call| Some((call, offer(call)?))).ok_or_else(|| {
        let wanted: Vec<_> = alternatives.iter().map(|call| call.tool.as_str()).collect();
        let offered: Vec<_> = ask.tools.iter().map(|offer| offer.name.as_str()).collect();
        format!("none of the tools {wanted:?} is offered, only {offered:?}")
    })?;
    let arguments = match (offer.input, call.arguments.as_str()) {
        (Input::Text, Some(text)) => Arguments::Text(text.to_owned()),
        (Input::Object, None) => Arguments::Object(call.arguments.clone()),
        (Input::Text, None) => {
            return Err(format!("{} takes free text, the script gives an object", offer.name));
        }
        (Input::Object, Some(_)) => {
            return Err(format!("{} takes an object, the script gives free text", offer.name));
        }
    };
    Ok(ToolCall { id, name: offer.name, arguments })
}
