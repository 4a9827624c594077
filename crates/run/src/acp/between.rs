//! What an agent says while no turn runs: its gauges are kept, its requests answered, its end noticed.

use futures_util::StreamExt;
use trunkline_core::raw::Raw;
use trunkline_wire::acp::merge::Gauge;
use trunkline_wire::acp::{Empty, SessionNotification, UpdateView, method};
use trunkline_wire::jsonrpc::{ErrorObject, Message, Notification, code, parse_params};

use super::agent::Agent;
use super::conversation::MAX_GAUGE;
use crate::custody::Said;

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
        if !self.between.facts.is_empty() && self.port.agent(self.between.facts.clone()).await.is_ok() {
            self.between.facts.clear();
        }
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
