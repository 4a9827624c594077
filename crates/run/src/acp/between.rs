//! What an agent says while no turn runs: it is kept, its requests are answered, its end is noticed.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use tokio::time::Instant;
use trunkline_core::event::Fact;
use trunkline_core::raw::Raw;
use trunkline_core::turn::{Note, Update};
use trunkline_wire::acp::merge::{Gauge, Merger};
use trunkline_wire::acp::{Empty, SessionNotification, UpdateView, method};
use trunkline_wire::jsonrpc::{ErrorObject, Message, Notification, Response, code, parse_params};

use super::agent::Agent;
use super::conversation::MAX_GAUGE;
use super::link::until;
use super::settings::Answered;
use super::trouble::shown;
use crate::custody::Said;
use crate::driver::SessionPort;

/// Updates within this time are merged.
const WINDOW: Duration = Duration::from_millis(250);
/// How many updates and notifications are kept between two turns, and how many bytes of them: an agent that nobody has
/// prompted must not fill the disk. The next turn tells how many were left out.
const MAX_KEPT: usize = 2_000;
const MAX_KEPT_BYTES: usize = 256 << 10;

impl Agent {
    /// Listens until the agent is gone. Cancelling loses nothing: what was heard is kept here until it is written.
    pub(super) async fn idle(&mut self) {
        loop {
            self.write_late().await;
            tokio::select! {
                () = until(self.between.due) => self.between.settle(),
                said = self.link.next() => match said {
                    Ok(said) => self.overhear(&said),
                    Err(broken) => {
                        tracing::info!(session = %self.port.id, agent = self.entry.name, %broken, "an agent left");
                        return;
                    }
                },
                Some((id, work)) = self.jobs.next() => self.settle_late(&id, work),
                Ok(()) = self.port.settings.changed(), if self.session.is_some() => self.send_chosen(),
            }
        }
    }

    /// Writes what was heard to its end, because a turn comes. Says how much was left out.
    pub(super) async fn write_all_late(&mut self) -> u64 {
        self.between.settle();
        self.write_late().await;
        (self.between.kept, self.between.bytes) = (0, 0);
        std::mem::take(&mut self.between.left_out)
    }

    /// Writes what was heard. What the store does not take now comes with the next that is heard.
    async fn write_late(&mut self) {
        while let Some((kind, update)) = self.between.gauges.first_key_value() {
            if let Err(error) = self.port.status(kind, update.clone()).await {
                tracing::warn!(session = %self.port.id, %error, "a gauge was not kept");
                break;
            }
            self.between.gauges.pop_first();
        }
        self.between.write(&self.port).await;
    }

    fn overhear(&mut self, said: &Said) {
        let Ok(text) = &said.line.text else { return };
        match Message::parse(text) {
            Ok(Message::Notification(Notification { method, params }))
                if method == method::SESSION_UPDATE =>
            {
                if let Ok(SessionNotification { session_id, update }) = parse_params(params) {
                    self.overhear_update(&session_id, update.to_owned().into());
                }
            }
            Ok(Message::Request(request)) => self.serve_late(request),
            Ok(Message::Notification(Notification { method, params })) => {
                let data = params.map(|params| Raw::from(params.to_owned()));
                let bytes = data.as_ref().map_or(0, |data| data.get().len());
                if self.between.has_room(bytes) {
                    let (code, message) =
                        ("unknown_notification".to_owned(), format!("it told `{}`", shown(&method)));
                    self.between.fact(Note { code, message, data });
                }
            }
            Ok(Message::Response(Response { id, outcome })) => {
                if let Some(Answered { settled, gauge }) = self.set(&id, outcome) {
                    self.between.gauges.extend(gauge.map(|(kind, gauge)| (kind.to_owned(), gauge)));
                    self.between.fact(settled);
                }
            }
            Err(error) => {
                if let Some(id) = error.request() {
                    let error = ErrorObject::new(code::INVALID_REQUEST, error.to_string());
                    self.link.answer(id, Err::<&Empty, _>(&error));
                }
            }
        }
    }

    fn overhear_update(&mut self, session: &str, update: Raw) {
        if self.session.as_deref() != Some(session) {
            return;
        }
        let kind = UpdateView::of(update.as_raw()).kind().into_owned();
        if Gauge::of(&kind).is_none() {
            self.between.update(&update);
        } else if update.get().len() <= MAX_GAUGE {
            self.between.gauges.insert(kind, update);
        }
    }
}

/// What was heard while no turn ran and is not kept yet.
#[derive(Default)]
pub(super) struct Between {
    /// The newest of each gauge.
    gauges: BTreeMap<String, Raw>,
    /// What the agent says, as long as more may be merged into it.
    merger: Merger,
    /// When that is over.
    due: Option<Instant>,
    /// What it has said, and what was done for a turn and came after its end.
    facts: Vec<Fact>,
    /// Those that the store is just taking; gives back what it does not take.
    writing: Option<BoxFuture<'static, Vec<Fact>>>,
    /// How much was kept since the last turn, and how many things were left out.
    kept: usize,
    bytes: usize,
    left_out: u64,
}

impl Between {
    /// Something happened, after all that was said before.
    pub(super) fn fact(&mut self, fact: impl Into<Fact>) {
        self.settle();
        self.facts.push(fact.into());
    }

    fn update(&mut self, update: &Raw) {
        if self.has_room(update.get().len()) {
            let _all_come_out_when_it_is_due = self.merger.push(update.as_raw());
            self.due.get_or_insert_with(|| Instant::now() + WINDOW);
        }
    }

    /// Whether so much more may be kept. What may not is counted.
    fn has_room(&mut self, bytes: usize) -> bool {
        let room = self.kept < MAX_KEPT && self.bytes + bytes <= MAX_KEPT_BYTES;
        if room {
            self.kept += 1;
            self.bytes += bytes;
        } else {
            self.left_out += 1;
        }
        room
    }

    fn settle(&mut self) {
        self.due = None;
        self.facts.extend(self.merger.flush().into_iter().map(|raw| Update::of(raw.into()).into()));
    }

    /// Appends the facts that wait. Cancelled while the store takes them, it goes on there the next time, so that none is
    /// written twice.
    async fn write(&mut self, port: &SessionPort) {
        if self.writing.is_none() && !self.facts.is_empty() {
            let (port, facts) = (port.clone(), std::mem::take(&mut self.facts));
            self.writing = Some(
                async move {
                    let kept = port.agent(facts.clone()).await.is_ok();
                    if kept { Vec::new() } else { facts }
                }
                .boxed(),
            );
        }
        if let Some(writing) = &mut self.writing {
            let mut left = writing.await;
            self.writing = None;
            left.append(&mut self.facts);
            self.facts = left;
        }
    }

    /// What is not written yet.
    pub(super) async fn take(&mut self, port: &SessionPort) -> Vec<Fact> {
        if self.writing.is_some() {
            self.write(port).await;
        }
        self.settle();
        std::mem::take(&mut self.facts)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio_util::task::TaskTracker;
    use trunkline_core::agent::FileRead;
    use trunkline_core::id::{LogId, Node, Seq, SessionId};
    use trunkline_core::principal::Caller;
    use trunkline_core::session::{Command, Created};
    use trunkline_core::time::Time;
    use trunkline_log::frame::Want;
    use trunkline_log::{Log, Memory};

    use super::*;
    use crate::cells::Cells;
    use crate::clock::Clock;

    async fn port(store: &Arc<dyn Log>) -> SessionPort {
        let (node, tasks) = (Node { name: "here".into(), incarnation: 1 }, TaskTracker::new());
        let cells = Cells::new(Arc::clone(store), Clock::at(Time(0)), node.clone(), tasks.clone());
        let projects = Cells::new(Arc::clone(store), Clock::at(Time(0)), node.clone(), tasks.clone());
        let spending = Cells::new(Arc::clone(store), Clock::at(Time(0)), node.clone(), tasks.clone());
        let id: SessionId = "0190163d-8694-739b-aea5-966c26f8ad91".parse().unwrap();
        let created: Created =
            serde_json::from_value(serde_json::json!({ "id": id, "driver": "acp", "agent": "a" })).unwrap();
        let (log, create) = (LogId::session(id), Command::Create(created.clone()));
        cells.command(&log, Caller::trunkline(), create, None).await.unwrap();
        let settings = tokio::sync::watch::Sender::default().subscribe();
        SessionPort { cells, tasks, projects, spending, log, id, created: Arc::new(created), node, settings }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_written_while_a_turn_begins_is_written_once() {
        let store: Arc<dyn Log> = Arc::new(Memory::new(Time(1)));
        let port = port(&store).await;
        let mut between = Between::default();
        between.fact(FileRead { path: "a".into(), sha256: "b".into() });
        // The fact is on its way, and whoever waited for that is gone.
        tokio::select! {
            biased;
            () = between.write(&port) => panic!("the store is not asked yet"),
            () = std::future::ready(()) => {}
        }
        between.write(&port).await;
        between.write(&port).await;
        let page = store.read(&port.log, Seq::ZERO, Want { bytes: usize::MAX, folded: false }).await.unwrap();
        assert_eq!(page.head, Seq(2), "{:?}", page.frames);
    }
}
