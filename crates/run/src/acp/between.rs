//! What an agent says while no turn runs: its gauges are kept, its requests answered, its end noticed.

use futures_util::{FutureExt, StreamExt};
use trunkline_core::event::Fact;
use trunkline_core::raw::Raw;
use trunkline_wire::acp::merge::Gauge;
use trunkline_wire::acp::{Empty, SessionNotification, UpdateView, method};
use trunkline_wire::jsonrpc::{ErrorObject, Message, Notification, code, parse_params};

use super::agent::{Agent, Between};
use super::conversation::MAX_GAUGE;
use crate::custody::Said;
use crate::driver::SessionPort;

impl Agent {
    /// Listens until the agent is gone. Cancelling loses nothing: what was heard is kept here until it is written.
    pub(super) async fn idle(&mut self) {
        loop {
            self.write_late().await;
            tokio::select! {
                said = self.link.next() => match said {
                    Ok(said) => self.overhear(&said),
                    Err(broken) => {
                        tracing::info!(session = %self.port.id, agent = self.entry.name, %broken, "an agent left");
                        return;
                    }
                },
                Some((id, work)) = self.jobs.next() => self.settle_late(&id, work),
            }
        }
    }

    /// Writes what was heard. What the store does not take now comes with the next that is heard.
    pub(super) async fn write_late(&mut self) {
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
            Ok(Message::Notification(Notification { method, .. })) => {
                tracing::debug!(session = %self.port.id, %method, "an agent told something while no turn ran");
            }
            Ok(Message::Response(_)) => {}
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
            self.between.updates += 1;
        } else if update.get().len() <= MAX_GAUGE {
            self.between.gauges.insert(kind, update);
        }
    }
}

impl Between {
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
        let id: SessionId = "0190163d-8694-739b-aea5-966c26f8ad91".parse().unwrap();
        let created: Created =
            serde_json::from_value(serde_json::json!({ "id": id, "driver": "acp", "agent": "a" })).unwrap();
        let (log, create) = (LogId::session(id), Command::Create(created.clone()));
        cells.command(&log, Caller::trunkline(), create, None).await.unwrap();
        SessionPort { cells, tasks, log, id, created: Arc::new(created), node }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_written_while_a_turn_begins_is_written_once() {
        let store: Arc<dyn Log> = Arc::new(Memory::new(Time(1)));
        let port = port(&store).await;
        let mut between = Between::default();
        between.facts.push(FileRead { path: "a".into(), sha256: "b".into() }.into());
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
