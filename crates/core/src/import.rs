//! How the facts of an export become those of a new session.
//!
//! A copy has a life of its own: its requests get new ids, its numbers start anew, and whoever is named in it becomes
//! `imported/…`, since nobody here can vouch for them. What was the daemon's or the agent's own business stays behind:
//! processes, memories, grants, the inbox. What the export left open is ended, because nothing of it runs here.
//!
//! A session whose agent runs elsewhere can be moved here instead: nothing of it ever ran in a daemon, so it can go on under
//! its own id.

use std::collections::HashMap;

use uuid::Uuid;

use crate::event::{Event, Fact};
use crate::id::{Node, RequestId, Seq, SessionId, TurnId};
use crate::machine::Draft;
use crate::refused::Refused;
use crate::session::{Created, EXTERNAL};
use crate::turn::{Claimed, Ended};

/// The facts of a session that is moved here with its id, the ids of its requests and messages, and all that waits. Turns,
/// processes and grants stay behind; of whoever is named nobody here can vouch, as in a copy.
///
/// # Errors
/// `Invalid` when the events do not begin with `session.created` of a session whose agent runs elsewhere.
pub fn adopted(events: Vec<Event>) -> Result<(SessionId, Vec<Draft>), Refused> {
    let id = match events.first().map(|event| &event.fact) {
        Some(Fact::SessionCreated(created)) if created.driver == EXTERNAL => created.id,
        Some(_) | None => {
            let why = format!("must be the event session.created of a session of the driver `{EXTERNAL}`");
            return Err(Refused::invalid("line 2", why));
        }
    };
    let mut facts = Vec::with_capacity(events.len());
    for (nth, event) in events.into_iter().enumerate() {
        let fact = match event.fact {
            Fact::SessionCreated(created) if nth == 0 => Created { imported: None, ..created }.into(),
            fact if event.turn.is_none() && moves_along(&fact) => fact,
            _ => continue,
        };
        facts.push(Draft { turn: None, fact, origin: Some((event.by.imported(), event.at)) });
    }
    Ok((id, facts))
}

/// What such a session takes with it: itself, what it asked and was told, and its inbox.
const fn moves_along(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::SessionUpdated(_)
            | Fact::SessionReported(_)
            | Fact::SessionUnseen(_)
            | Fact::SessionClosed(_)
            | Fact::RequestOpened(_)
            | Fact::RequestEscalated(_)
            | Fact::RequestDismissed(_)
            | Fact::RequestClosed(_)
            | Fact::MessageQueued(_)
            | Fact::MessageDelivered(_)
            | Fact::MessageAcked(_)
            | Fact::MessageDropped(_)
            | Fact::MessageHeld(_)
    )
}

/// Turns the events of an export, one after the other, into facts of the new session.
#[derive(Debug)]
pub struct Importer {
    next: Seq,
    turns: HashMap<TurnId, TurnId>,
    requests: HashMap<RequestId, RequestId>,
}

impl Importer {
    /// Begins with the first event of an export, which must be `session.created`. Gives the session to create.
    ///
    /// # Errors
    /// `Invalid` when it is another event.
    pub fn begin(first: &Event, id: SessionId) -> Result<(Self, Created), Refused> {
        let Fact::SessionCreated(created) = &first.fact else {
            return Err(Refused::invalid("line 2", "must be the event session.created"));
        };
        let created = Created { id, imported: Some(created.id), ..created.clone() };
        // The new session's own `session.created` has the number 1.
        Ok((Self { next: Seq(2), turns: HashMap::new(), requests: HashMap::new() }, created))
    }

    /// The fact that a further event becomes; `None` for what stays behind.
    pub fn next(&mut self, event: Event, fresh: impl FnOnce() -> Uuid) -> Option<Draft> {
        let turn = match event.turn {
            Some(old) if matches!(event.fact, Fact::TurnQueued(_)) => {
                self.turns.insert(old, TurnId(self.next));
                Some(TurnId(self.next))
            }
            // A turn whose beginning was trimmed away cannot be told here.
            Some(old) => Some(*self.turns.get(&old)?),
            None => None,
        };
        let fact = self.fact(event.fact, fresh)?;
        self.next = self.next.plus(1);
        Some(Draft { turn, fact, origin: Some((event.by.imported(), event.at)) })
    }

    fn fact(&mut self, fact: Fact, fresh: impl FnOnce() -> Uuid) -> Option<Fact> {
        match fact {
            Fact::SessionUpdated(_)
            | Fact::SessionReported(_)
            | Fact::SessionUnseen(_)
            | Fact::SessionClosed(_)
            | Fact::TurnQueued(_)
            | Fact::TurnUnqueued(_)
            | Fact::TurnStarted(_)
            | Fact::TurnUpdate(_)
            | Fact::TurnNote(_)
            | Fact::TurnStopping(_)
            | Fact::AgentStatus(_)
            | Fact::TerminalStarted(_)
            | Fact::TerminalOutput(_)
            | Fact::TerminalExited(_)
            | Fact::FileRead(_)
            | Fact::FileWritten(_) => Some(fact),
            // What is kept of a turn for other agents is not part of an export, and nothing more is kept of it here.
            Fact::TurnEnded(ended) => Some(Ended { checkpoint: false, ..ended }.into()),
            Fact::TurnClaimed(claimed) => {
                let node = Node { name: "imported".to_owned(), incarnation: 0 };
                Some(Claimed { node, ..claimed }.into())
            }
            Fact::RequestOpened(mut asked) => {
                let id = RequestId::new(fresh());
                self.requests.insert(asked.id, id);
                asked.id = id;
                Some(asked.into())
            }
            Fact::RequestEscalated(mut fact) => {
                fact.id = *self.requests.get(&fact.id)?;
                Some(fact.into())
            }
            Fact::RequestDismissed(mut fact) => {
                fact.id = *self.requests.get(&fact.id)?;
                Some(fact.into())
            }
            Fact::RequestJudged(mut fact) => {
                fact.id = *self.requests.get(&fact.id)?;
                Some(fact.into())
            }
            Fact::RequestClosed(mut fact) => {
                fact.id = self.requests.remove(&fact.id)?;
                Some(fact.into())
            }
            Fact::Unknown { ref tag, .. } if !tag.starts_with(crate::event::HIDDEN_PREFIX) => Some(fact),
            Fact::SessionCreated(_)
            | Fact::SessionImported(_)
            | Fact::SessionDeleted(_)
            | Fact::MessageQueued(_)
            | Fact::MessageDelivered(_)
            | Fact::MessageAcked(_)
            | Fact::MessageWoke(_)
            | Fact::MessageDropped(_)
            | Fact::MessageHeld(_)
            | Fact::GrantAdded(_)
            | Fact::GrantRevoked(_)
            | Fact::SettingChosen(_)
            | Fact::SettingSettled(_)
            | Fact::AgentStarted(_)
            | Fact::AgentExited(_)
            | Fact::DriverMemo(_)
            | Fact::TokenCreated(_)
            | Fact::TokenRevoked(_)
            | Fact::OperatorStarted(_)
            | Fact::OperatorRan(_)
            | Fact::ProfilePut(_)
            | Fact::ProfileDeleted(_)
            | Fact::McpPut(_)
            | Fact::McpDeleted(_)
            | Fact::McpTrusted(_)
            | Fact::McpDistrusted(_)
            | Fact::SpendingCounted(_)
            | Fact::AuditRecorded(_)
            | Fact::TurnCheckpointed(_)
            | Fact::HandoffSaved(_)
            | Fact::HandoffUpdated(_)
            | Fact::LaneOpened(_)
            | Fact::LaneSaid(_)
            | Fact::LaneClosed(_)
            | Fact::CheckpointCreated(_)
            | Fact::NameClaimed(_)
            | Fact::BlobChunk(_)
            | Fact::PresenceJoined(_)
            | Fact::PresenceLeft(_)
            | Fact::PresenceSeen(_)
            | Fact::KeyPut(_)
            | Fact::KeyDeleted(_)
            | Fact::KeyExpired(_)
            | Fact::KeysCleared(_)
            | Fact::KeysTransferred(_)
            | Fact::KeysReset(_)
            | Fact::TopicOpened(_)
            | Fact::TopicPublished(_)
            | Fact::GroupOpened(_)
            | Fact::GroupTook(_)
            | Fact::GroupAcked(_)
            | Fact::GroupReset(_)
            | Fact::AgentRegistered(_)
            | Fact::AgentSeen(_)
            | Fact::AgentLapsed(_)
            | Fact::AgentForgotten(_)
            | Fact::AgentsReset(_)
            | Fact::Unknown { .. } => None,
        }
    }
}
