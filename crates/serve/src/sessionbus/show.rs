//! The objects of the dialect, with their keys in the original's order.

use serde::Serialize;
use trunkline_core::id::RequestId;
use trunkline_core::message::{ANSWER, Message};
use trunkline_core::outside::{Status, UNSEEN_AFTER_MS};
use trunkline_core::raw::Raw;
use trunkline_core::request::{Answer, ClosedFact, Outcome, Priority};
use trunkline_core::session::EXTERNAL;
use trunkline_core::time::Time;
use trunkline_core::view::{RequestStatus, RequestView, SessionState, SessionView};

use crate::moment::{naive, zoned};

/// What a person is called who did not say it.
pub(crate) const SOMEBODY: &str = "human";

/// A session.
#[derive(Debug, Serialize)]
pub(crate) struct SessionSummary {
    pub(crate) session_id: String,
    pub(crate) display_name: String,
    pub(crate) state: &'static str,
    pub(crate) last_seen_at: String,
    pub(crate) pending_request_count: usize,
    pub(crate) response_acknowledged: bool,
    pub(crate) tenant_id: Option<String>,
    pub(crate) metadata: Option<Raw>,
}

/// A request.
#[derive(Debug, Serialize)]
pub(crate) struct Request {
    pub(crate) request_id: RequestId,
    pub(crate) session_id: String,
    pub(crate) title: String,
    pub(crate) question: String,
    pub(crate) context_json: Option<Raw>,
    pub(crate) priority: &'static str,
    pub(crate) tags: Option<Vec<String>>,
    pub(crate) status: &'static str,
    pub(crate) response_text: Option<String>,
    pub(crate) responder: Option<String>,
    pub(crate) created_at: String,
    pub(crate) answered_at: Option<String>,
}

/// A message as a poll gives it.
#[derive(Debug, Serialize)]
pub(crate) struct InboxMessage {
    message_id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    payload: InputResponse,
    status: &'static str,
    created_at: String,
    delivered_at: String,
    acked_at: Option<String>,
}

#[derive(Debug, Serialize)]
struct InputResponse {
    request_id: RequestId,
    response_text: String,
    responder: String,
    answered_at: String,
}

/// What is known of when agents were there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    pub(crate) now: Time,
    /// When this life of the daemon began. While there was none, nobody could be seen.
    pub(crate) started: Time,
}

impl Clock {
    /// When a session was last there.
    pub(crate) fn last_seen(view: &SessionView, seen: Option<Time>) -> Time {
        view.seen_at.unwrap_or(view.updated_at).max(seen.unwrap_or(Time(0)))
    }

    /// A session, given when it was last seen in this life of the daemon.
    pub(crate) fn session(self, view: SessionView, seen: Option<Time>) -> SessionSummary {
        let last_seen = Self::last_seen(&view, seen);
        SessionSummary {
            session_id: view.id.to_string(),
            state: self.state(&view, last_seen),
            last_seen_at: naive(last_seen),
            pending_request_count: view.pending,
            response_acknowledged: view.answer_taken,
            tenant_id: view.born.as_ref().and_then(|born| born.tenant.clone()),
            display_name: match view.born {
                Some(born) => born.name,
                None => view.title.unwrap_or(view.agent),
            },
            metadata: view.metadata,
        }
    }

    fn state(self, view: &SessionView, last_seen: Time) -> &'static str {
        if view.driver == EXTERNAL && view.state != SessionState::Closed {
            let missed = view.unseen && view.seen_at == Some(last_seen);
            if missed || self.now.ms_since(last_seen.max(self.started)) > UNSEEN_AFTER_MS {
                return "OFFLINE";
            }
            if let Some(status) = view.reported {
                return word(status);
            }
        }
        match view.state {
            SessionState::Running | SessionState::Stopping => "WORKING",
            SessionState::Waiting => "WAITING_FOR_INPUT",
            SessionState::Idle | SessionState::Closed => "DONE",
            SessionState::Failed => "ERROR",
        }
    }
}

const fn word(status: Status) -> &'static str {
    match status {
        Status::Working => "WORKING",
        Status::Waiting => "WAITING_FOR_INPUT",
        Status::Done => "DONE",
        Status::Error => "ERROR",
    }
}

/// The states an agent may report.
pub(crate) const STATES: [&str; 4] = ["WORKING", "WAITING_FOR_INPUT", "DONE", "ERROR"];

/// What an agent reports.
pub(crate) fn status(word: &str) -> Option<Status> {
    Some(match word {
        "WORKING" => Status::Working,
        "WAITING_FOR_INPUT" => Status::Waiting,
        "DONE" => Status::Done,
        "ERROR" => Status::Error,
        _ => return None,
    })
}

/// The priorities.
pub(crate) const PRIORITIES: [&str; 4] = ["LOW", "NORMAL", "HIGH", "URGENT"];

/// A priority by its word.
pub(crate) fn priority(word: &str) -> Priority {
    match word {
        "LOW" => Priority::Low,
        "HIGH" => Priority::High,
        "URGENT" => Priority::Urgent,
        _ => Priority::Normal,
    }
}

/// The word of a priority.
pub(crate) const fn priority_word(priority: Priority) -> &'static str {
    match priority {
        Priority::Low => "LOW",
        Priority::Normal => "NORMAL",
        Priority::High => "HIGH",
        Priority::Urgent => "URGENT",
    }
}

/// Where a request stands. One that ended without an answer is set aside for good.
pub(crate) fn standing(view: &RequestView) -> &'static str {
    let answered = view.closed.as_ref().is_some_and(|closed| closed.answer.is_some());
    match view.status {
        RequestStatus::Open => "PENDING",
        RequestStatus::Answered => "ANSWERED",
        RequestStatus::Expired if answered => "ANSWERED",
        RequestStatus::Dismissed
        | RequestStatus::Expired
        | RequestStatus::Cancelled
        | RequestStatus::Superseded => "DISMISSED",
    }
}

/// A request as the dialect has it.
pub(crate) fn request(view: RequestView) -> Request {
    let status = standing(&view);
    let closed = view.closed.as_ref().filter(|_| status == "ANSWERED");
    let answer = closed.and_then(|closed| closed.answer.as_ref());
    Request {
        request_id: view.id,
        session_id: view.session.to_string(),
        status,
        response_text: answer.map(said),
        responder: answer.map(responder),
        answered_at: closed.map(|closed| naive(closed.at)),
        title: view.title,
        question: view.question,
        context_json: view.context,
        priority: priority_word(view.priority),
        tags: view.tags,
        created_at: naive(view.created_at),
    }
}

/// What an answer says, in one text.
pub(crate) fn said(answer: &Answer) -> String {
    let text = answer.option.as_deref().or(answer.text.as_deref());
    text.or_else(|| answer.fields.as_ref().map(Raw::get)).unwrap_or("").to_owned()
}

pub(crate) fn responder(answer: &Answer) -> String {
    answer.responder.as_deref().unwrap_or(SOMEBODY).to_owned()
}

/// The answer that a message tells, if it is one that clients of the dialect know. Of anything else they would be told again
/// and again, for they never acknowledge it.
pub(crate) fn known(message: &Message) -> Option<ClosedFact> {
    if message.kind != ANSWER {
        return None;
    }
    let closed: ClosedFact = message.payload.read().ok()?;
    let told = matches!(closed.outcome, Outcome::Answered | Outcome::Expired) && closed.answer.is_some();
    told.then_some(closed)
}

/// A message as a poll gives it, fetched at `delivered` if it was not before.
pub(crate) fn message(message: &Message, delivered: Time) -> Option<InboxMessage> {
    let closed = known(message)?;
    let answer = closed.answer.unwrap_or_default();
    Some(InboxMessage {
        message_id: message.id.to_string(),
        kind: "INPUT_RESPONSE",
        payload: InputResponse {
            request_id: closed.id,
            response_text: said(&answer),
            responder: responder(&answer),
            answered_at: zoned(message.at),
        },
        status: "DELIVERED",
        created_at: naive(message.at),
        delivered_at: naive(message.delivered_at.unwrap_or(delivered)),
        acked_at: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(json: &str) -> SessionView {
        let base = r#"{"id":"0190163d-8694-739b-aea5-966c26f8ad91","state":"idle","agent":"bot","driver":"external",
            "created_at":0,"created_by":"local","updated_at":5000,"queued":0,"pending":0,"turns":0}"#;
        let mut whole: serde_json::Map<String, serde_json::Value> = serde_json::from_str(base).unwrap();
        whole.extend(serde_json::from_str::<serde_json::Map<_, _>>(json).unwrap());
        serde_json::from_value(whole.into()).unwrap()
    }

    #[test]
    fn the_state_of_every_kind_of_session() {
        let clock = Clock { now: Time(200_000), started: Time(0) };
        let state = |json: &str, seen: i64| clock.session(session(json), Some(Time(seen))).state;
        assert_eq!(state("{}", 80_000), "DONE", "120 s are not more than 120 s");
        assert_eq!(state("{}", 79_999), "OFFLINE");
        assert_eq!(state(r#"{"reported":"working","state":"waiting","pending":1}"#, 190_000), "WORKING");
        assert_eq!(state(r#"{"reported":"error"}"#, 190_000), "ERROR");
        assert_eq!(state(r#"{"reported":"working","unseen":true,"seen_at":190000}"#, 0), "OFFLINE");
        assert_eq!(state(r#"{"reported":"working","unseen":true,"seen_at":1}"#, 190_000), "WORKING");
        assert_eq!(state(r#"{"state":"closed","reported":"working"}"#, 0), "DONE");
        assert_eq!(state(r#"{"driver":"acp","state":"running"}"#, 0), "WORKING");
        assert_eq!(state(r#"{"driver":"acp","state":"waiting"}"#, 0), "WAITING_FOR_INPUT");
        assert_eq!(state(r#"{"driver":"acp","state":"failed"}"#, 0), "ERROR");
        let young = Clock { started: Time(190_000), ..clock };
        assert_eq!(
            young.session(session(r#"{"reported":"done"}"#), None).state,
            "DONE",
            "nobody could see it"
        );
    }
}
