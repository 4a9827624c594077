//! A scripted agent: the prompt's words say what it does.
//!
//! `say X` streams a word, `ask` asks a permission and says what it was told, `soon` asks one that is denied after half a
//! second, `fail` ends with an error, `limited` with that of a provider that lets it do no more, `panic` panics,
//! `hang` waits until it is stopped, `deaf` ignores being stopped, `nap` waits a second, `tick` 15 ms, `show` has a tool show a number, `asking` asks a permission beside all the rest.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use trunkline_core::agent::{Exited, Started};
use trunkline_core::id::RequestId;
use trunkline_core::raw::Raw;
use trunkline_core::request::{Choice, Kind, OnTimeout, Opened, OptionKind};
use trunkline_core::turn::{Outcome, StopReason};
use trunkline_run::driver::{Driver, Host, SessionPort};
use trunkline_run::turn::Turn;
use uuid::Uuid;

/// The driver `script`.
pub(crate) struct Script;

impl Driver for Script {
    fn host(&self, port: SessionPort) -> Box<dyn Host> {
        Box::new(Actor { port, incarnation: None })
    }
}

struct Actor {
    port: SessionPort,
    incarnation: Option<u64>,
}

#[async_trait]
impl Host for Actor {
    async fn turn(&mut self, turn: &Turn) -> Outcome {
        if let Err(outcome) = self.start().await {
            return outcome;
        }
        let text = turn.prompt()[0].read::<serde_json::Value>().unwrap()["text"].as_str().unwrap().to_owned();
        let deaf = text.contains("deaf");
        let asking = async {
            if text.contains("asking") {
                let _nobody_answers = turn.ask(permission(&self.port, "ask").await).await;
            }
            std::future::pending::<()>().await;
        };
        let work = async {
            tokio::select! {
                outcome = act(&self.port, turn, &text) => outcome,
                () = asking => unreachable!("it never ends"),
            }
        };
        if deaf {
            return work.await;
        }
        tokio::select! {
            biased;
            outcome = work => outcome,
            _ = turn.stopping() => Outcome::of(StopReason::Cancelled),
        }
    }

    async fn end(&mut self) {
        let Some(incarnation) = self.incarnation.take() else { return };
        let exited = Exited { incarnation, code: Some(0), signal: None, stderr: String::new() };
        self.port.insist(vec![exited.into()]).await;
    }
}

impl Actor {
    async fn start(&mut self) -> Result<(), Outcome> {
        if self.incarnation.is_some() {
            return Ok(());
        }
        let failed = |error: trunkline_run::CommandError| Outcome::error(error.to_string());
        let incarnation = self.port.look(|session| session.agent.incarnation).await.map_err(failed)? + 1;
        let started = Started {
            node: self.port.node.clone(),
            incarnation,
            pid: 1,
            start_time: None,
            boot_id: None,
            argv: vec![],
            confined: None,
        };
        self.port.agent(vec![started.into()]).await.map_err(failed)?;
        self.incarnation = Some(incarnation);
        Ok(())
    }
}

async fn act(port: &SessionPort, turn: &Turn, text: &str) -> Outcome {
    let (mut words, mut shown) = (text.split_whitespace(), 0);
    while let Some(word) = words.next() {
        match word {
            "say" => turn.update(chunk(words.next().unwrap_or("?"))).await,
            "ask" | "soon" => match turn.ask(permission(port, word).await).await {
                Ok(closed) => {
                    let told =
                        closed.answer.and_then(|answer| answer.option).unwrap_or_else(|| "none".into());
                    turn.update(chunk(&told)).await;
                }
                Err(_) => return Outcome::of(StopReason::Cancelled),
            },
            "fail" => return Outcome::error("it failed, as it was told to"),
            "limited" => return Outcome::error("the provider says: 429 Too Many Requests"),
            "panic" => panic!("it panicked, as it was told to"),
            "hang" | "deaf" => std::future::pending().await,
            "nap" => tokio::time::sleep(Duration::from_secs(1)).await,
            "asking" => {}
            "show" => {
                shown += 1;
                let tool =
                    json!({"sessionUpdate": "tool_call_update", "toolCallId": "t", "content": [shown]});
                turn.update(Raw::of(&tool).unwrap()).await;
            }
            "tick" => tokio::time::sleep(Duration::from_millis(15)).await,
            other => turn.note("unknown_word", other, None).await,
        }
    }
    Outcome::of(StopReason::EndTurn)
}

fn chunk(text: &str) -> Raw {
    let content = json!({"type": "text", "text": text});
    Raw::of(&json!({"sessionUpdate": "agent_message_chunk", "content": content})).unwrap()
}

async fn permission(port: &SessionPort, word: &str) -> Opened {
    let now = port.look(|session| session.updated).await.ok().filter(|_| word == "soon");
    let choice = |id: &str, kind| Choice { id: id.into(), name: id.into(), kind };
    Opened {
        kind: Kind::Permission,
        options: vec![choice("yes", OptionKind::AllowOnce), choice("no", OptionKind::RejectOnce)],
        deadline: now.map(|now| now.plus_ms(500)),
        on_timeout: if now.is_some() { OnTimeout::Deny } else { OnTimeout::Wait },
        ..Opened::question(RequestId::new(Uuid::now_v7()), "May I?".into(), String::new())
    }
}
