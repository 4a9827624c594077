//! Waiting for a person: until the request has its end, the client leaves, or the daemon does.

use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Parts;
use rmcp::RoleServer;
use rmcp::model::{ProgressNotificationParam, RequestMetaObject};
use rmcp::service::RequestContext;
use tokio::time::{Instant, MissedTickBehavior};
use trunkline_core::event::Fact;
use trunkline_core::id::{RequestId, Seq, SessionId};
use trunkline_core::outside::Report;
use trunkline_core::refused::Refused;
use trunkline_core::request::{Closed, Opened, Outcome};
use trunkline_core::session::Command;
use trunkline_run::CommandError;
use trunkline_run::tail::{Follow, Next};

use super::door::Who;
use super::{hub, place};
use crate::app::App;
use crate::sessionbus::{Fail, requests};
use crate::stream::{Bye, Ending};

/// How often a client that wants to know is told that its call still waits.
const PROGRESS: Duration = Duration::from_secs(10);
/// After how many of those the agent counts as being there anew. It waits, after all.
const SEEN: u32 = 3;

/// A call of a tool.
pub(crate) struct Call<'a> {
    pub(crate) app: &'a Arc<App>,
    pub(crate) who: &'a Who,
    pub(crate) parts: &'a Parts,
    pub(crate) context: &'a RequestContext<RoleServer>,
    /// By which a retry of the call finds what the first try has asked.
    pub(crate) key: Option<String>,
}

/// A question that was asked.
pub(crate) struct Asked<'a> {
    call: &'a Call<'a>,
    pub(crate) session: SessionId,
    pub(crate) id: RequestId,
    tail: Follow,
}

/// How the waiting ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The request has its outcome.
    Closed(Closed),
    /// It was set aside.
    Dismissed,
    /// The client wants the answer no more.
    Left,
    /// The caller's token opens nothing any more.
    Token,
}

impl<'a> Call<'a> {
    /// Asks, in the session named or in the caller's own. A retry gets what the first try has asked.
    pub(crate) async fn ask(&'a self, named: Option<&str>, asked: Opened) -> Result<Asked<'a>, Fail> {
        let Self { app, who, .. } = self;
        let session = place::find(app, who, named, self.parts, self.context).await?;
        // The tail comes first: what happens after the request was opened wakes it.
        let tail = app.hub.follow(session, Seq(u64::MAX)).await?;
        let mut id = asked.id;
        let key = self.key.as_deref().map(hub::key);
        let done = app.hub.command(&who.caller, session, Command::Ask(asked), key).await?;
        for event in &done.events {
            if let Fact::RequestOpened(opened) = &event.fact {
                id = opened.id;
            }
        }
        Ok(Asked { call: self, session, id, tail })
    }
}

impl Asked<'_> {
    /// Waits. What the request is left open for is gone with the client: then it is taken back. Only when the daemon stops
    /// it stays open, for the call to come again.
    pub(crate) async fn wait(&mut self) -> Result<End, Fail> {
        let Call { app, who, context, .. } = self.call;
        let mut ending = Ending::new(&app.hub, who.pass.clone());
        let mut ticks = tokio::time::interval_at(Instant::now() + PROGRESS, PROGRESS);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tick = 0;
        loop {
            if let Some(end) = self.end().await? {
                return Ok(end);
            }
            tokio::select! {
                biased;
                why = ending.comes() => return match why {
                    Bye::Shutdown => Err(Fail::stopping()),
                    Bye::Token => Ok(End::Token),
                },
                () = context.ct.cancelled() => {
                    // The daemon's stop ends every call too; that is no wish of the client.
                    if app.hub.stopping().is_cancelled() { return Err(Fail::stopping()) }
                    return Ok(End::Left);
                }
                next = self.tail.next() => match next {
                    Ok(Next::Removed) | Err(_) => return Err(Fail::Missing("Session not found")),
                    Ok(Next::Frames(_) | Next::CaughtUp(_) | Next::Gap(_)) => {}
                },
                _ = ticks.tick() => {
                    tick += 1;
                    self.tell(tick).await;
                }
            }
        }
    }

    /// The end, if it has come.
    async fn end(&self) -> Result<Option<End>, Fail> {
        let (app, id) = (self.call.app, self.id);
        let look = move |session: &trunkline_core::session::Session| match session.requests.open.get(&id) {
            Some(open) => Some(open.dismissed.is_some().then_some(End::Dismissed)),
            None => session.requests.closed.get(&id).map(|closed| Some(End::Closed(closed.clone()))),
        };
        if let (Some(known), _) = app.hub.look(self.session, look).await? {
            return Ok(known);
        }
        // The fold remembers the newest outcomes only; the row has all of them.
        let view = requests::find(app, &id.to_string(), app.hub.pos()).await?;
        Ok(view.closed.map(End::Closed))
    }

    /// Tells the client and the hub that the call still waits.
    async fn tell(&self, tick: u32) {
        let Call { app, who, context, .. } = self.call;
        if let Some(token) = RequestMetaObject::get_progress_token(&context.meta) {
            let seconds = f64::from(tick) * PROGRESS.as_secs_f64();
            let progress =
                ProgressNotificationParam::new(token, seconds).with_message("waiting for a person");
            let _a_client_that_has_gone_is_told_by_its_cancellation =
                context.peer.notify_progress(progress).await;
        }
        if tick.is_multiple_of(SEEN) {
            let _a_hosted_session_is_seen_anyway =
                app.hub.report(&who.caller, self.session, Report::default()).await;
        }
    }

    /// Takes the request back, because nobody waits for it any more. If somebody was faster, their outcome.
    pub(crate) async fn withdraw(&self, outcome: Outcome) -> Result<Option<Closed>, Fail> {
        let Call { app, who, .. } = self.call;
        let withdraw = Command::Withdraw(self.id, outcome);
        match app.hub.command(&who.caller, self.session, withdraw, None).await {
            Ok(_) => Ok(None),
            Err(CommandError::Refused(Refused::RequestClosed { closed })) => Ok(Some(*closed)),
            Err(error) => Err(error.into()),
        }
    }

    /// Who asks, as its host calls itself.
    pub(crate) fn client(&self) -> String {
        self.call.context.client_info().map_or_else(|| "the host".to_owned(), |client| client.name)
    }
}
