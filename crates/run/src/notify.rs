//! A word to people that a request has come: on the desktop of whoever runs the daemon, and at the services that they name.
//!
//! What fails or hangs is nobody's trouble. A session that asks much is told of a few times a minute; the inbox has all of it.

pub mod desktop;
pub mod link;
pub mod push;
pub mod target;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use futures_util::StreamExt;
use tokio::sync::mpsc;
use trunkline_core::event::Fact;
use trunkline_core::id::{Seq, SessionId};
use trunkline_core::request::Priority;
use trunkline_core::row::RowKind;
use trunkline_core::time::Time;
use trunkline_core::view::{RequestStatus, RequestView};
use trunkline_log::LogError;
use trunkline_log::frame::Change;

use self::desktop::Desktop;
use self::link::Links;
use self::push::Push;
use self::target::{Target, Teller};
use crate::custody::Custody;
use crate::http::Http;
use crate::hub::Hub;

/// How many notifications a session may cause within [`SPAN_MS`].
const MOST: usize = 3;
/// See [`MOST`].
const SPAN_MS: u64 = 60_000;
/// How many sessions are remembered for that; the oldest goes.
const MAX_SESSIONS: usize = 1_000;

/// Tells of requests.
#[derive(Debug, Default)]
pub struct Notifier {
    desktop: Option<Desktop>,
    tellers: Vec<Teller>,
    devices: Option<mpsc::Sender<RequestView>>,
    shown: HashMap<SessionId, VecDeque<Time>>,
    order: VecDeque<SessionId>,
}

impl Notifier {
    /// One that shows on this desktop.
    #[must_use]
    pub fn new(desktop: Option<Desktop>) -> Self {
        Self { desktop, ..Self::default() }
    }

    /// Tells these services too, until the hub stops. Links in what they are told begin with `url`.
    pub fn tell(&mut self, hub: &Hub, http: &Http, targets: Vec<Target>, url: &str, links: &Arc<Links>) {
        let start = |target: Target| target.start(hub, http.clone(), url, Arc::clone(links));
        self.tellers.extend(targets.into_iter().map(start));
    }

    /// Tells devices too, until the hub stops.
    pub fn push(&mut self, hub: &Hub, push: Push) {
        self.devices = Some(push.start(hub));
    }

    /// Tells of every request that comes, until the hub stops.
    pub async fn run(mut self, hub: Hub, custody: Custody) {
        let stop = hub.stopping();
        let mut changes = hub.changes(hub.pos());
        loop {
            let change = tokio::select! {
                () = stop.cancelled() => return,
                change = changes.next() => change,
            };
            match change {
                Some(Ok(change)) => {
                    for request in asked(&hub, &change).await {
                        if self.may_show(request.session, hub.now()) {
                            self.show(request, &custody).await;
                        }
                    }
                }
                Some(Err(LogError::Gap { .. })) => {}
                Some(Err(_)) | None => return,
            }
        }
    }

    async fn show(&self, request: RequestView, custody: &Custody) {
        self.tellers.iter().for_each(|teller| teller.tell(&request));
        if self.devices.as_ref().is_some_and(|devices| devices.try_send(request.clone()).is_err()) {
            tracing::warn!("devices are not told of a request: too many wait already");
        }
        if let Some(desktop) = &self.desktop {
            desktop.show(&request, custody).await;
        }
    }

    fn may_show(&mut self, session: SessionId, now: Time) -> bool {
        let times = self.shown.entry(session).or_insert_with(|| {
            self.order.push_back(session);
            VecDeque::new()
        });
        times.retain(|time| now.ms_since(*time) < SPAN_MS);
        let may = times.len() < MOST;
        if may {
            times.push_back(now);
        }
        if self.order.len() > MAX_SESSIONS
            && let Some(oldest) = self.order.pop_front()
        {
            self.shown.remove(&oldest);
        }
        may
    }
}

/// The requests that a commit has opened and that still wait.
async fn asked(hub: &Hub, change: &Change) -> Vec<RequestView> {
    let Some(session) = change.log.as_session() else { return Vec::new() };
    let rows = change.rows.iter().filter(|row| row.kind == RowKind::Request);
    let views = rows.filter_map(|row| row.body.as_ref()?.read::<RequestView>().ok());
    // What was moved here from elsewhere was asked long ago.
    let waits = |view: &RequestView| view.status == RequestStatus::Open && !view.created_by.is_imported();
    let waiting: Vec<_> = views.filter(waits).collect();
    if waiting.is_empty() {
        return waiting;
    }
    // The rows tell what requests are now; whether one is new stands in the frame.
    let page = hub.read(session, Seq(change.head.0.saturating_sub(1)), 1).await;
    let frame = page.ok().and_then(|page| page.frames.into_iter().next());
    let events = frame.and_then(|frame| frame.events().ok()).unwrap_or_default();
    let is_new = |view: &RequestView| {
        events.iter().any(|event| matches!(&event.fact, Fact::RequestOpened(asked) if asked.id == view.id))
    };
    waiting.into_iter().filter(is_new).collect()
}

/// The title and the body. Clients of the original hub are shown as it shows them.
fn text(request: &RequestView) -> (String, String) {
    let name = if request.born.is_some() { "AgentFlow" } else { "Trunkline" };
    let priority = match request.priority {
        Priority::Low => "LOW",
        Priority::Normal => "NORMAL",
        Priority::High => "HIGH",
        Priority::Urgent => "URGENT",
    };
    let question = match short(&request.question, 220) {
        text if text.is_empty() => "A request is waiting for your response.".to_owned(),
        text => text,
    };
    let first = short(&format!("{priority} | {}", request.session), 120);
    let title = format!("{name}: {}", short(&request.title, 80));
    (title, format!("{first}\n{question}\nRequest: {}", request.id))
}

/// A text on one line of at most so many characters.
fn short(text: &str, most: usize) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    let line: String = words.join(" ").chars().filter(|c| !c.is_control()).collect();
    if line.chars().count() <= most {
        return line;
    }
    let cut: String = line.chars().take(most.saturating_sub(3)).collect();
    format!("{}...", cut.trim_end())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    pub(super) fn request(title: &str, question: &str, born: bool) -> RequestView {
        let born = if born { r#","born":{"dialect":"sessionbus","name":"bot"}"# } else { "" };
        let json = format!(
            r#"{{"id":"0190163d-8694-739b-aea5-966c26f8ad91","session":"0190163d-8694-739b-aea5-966c26f8ad92","agent":"bot",
            "status":"open","kind":"question","title":{title:?},"question":{question:?},"priority":"urgent","created_at":0,
            "options":[{{"id":"y","name":"Allow","kind":"allow_once"}}],
            "created_by":"local"{born}}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn what_is_shown() {
        let (title, body) = text(&request("two\n  words", "", true));
        assert_eq!(title, "AgentFlow: two words");
        assert_eq!(
            body,
            "URGENT | 0190163d-8694-739b-aea5-966c26f8ad92\nA request is waiting for your response.\n\
             Request: 0190163d-8694-739b-aea5-966c26f8ad91"
        );
        let (title, body) = text(&request(&"x".repeat(90), &"y ".repeat(200), false));
        assert_eq!(title, format!("Trunkline: {}...", "x".repeat(77)));
        assert!(body.lines().all(|line| line.chars().count() <= 220));
    }

    #[test]
    fn a_session_that_asks_much_is_shown_a_few_times() {
        let mut notifier = Notifier::default();
        let (one, other) = (SessionId::new(Uuid::from_u128(1)), SessionId::new(Uuid::from_u128(2)));
        let shown = (0..10).filter(|n| notifier.may_show(one, Time(n * 1_000))).count();
        assert_eq!(shown, MOST);
        assert!(notifier.may_show(other, Time(9_000)));
        assert!(notifier.may_show(one, Time(61_000)));
        for n in 0..2 * MAX_SESSIONS as u128 {
            notifier.may_show(SessionId::new(Uuid::from_u128(n)), Time(0));
        }
        assert!(notifier.shown.len() <= MAX_SESSIONS + 1);
    }
}
