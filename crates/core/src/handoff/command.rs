//! What can be wished of a handoff, by whom, and what comes of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::facts::{CheckpointCreated, LaneClosed, LaneOpened, LaneSaid, Saved, Updated};
use super::{CheckpointId, Handoff, LaneId, MAX_CHECKPOINTS, MAX_LANES, MAX_SAID, Stamp};
use crate::event::{Event, Fact};
use crate::id::{Seq, SessionId};
use crate::machine::{Draft, Machine};
use crate::principal::{Caller, Principal, Scope};
use crate::raw::Raw;
use crate::refused::Refused;
use crate::time::Time;

/// A wish about a handoff.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// What is wished.
    pub wish: Wish,
    /// What is known of the agent that wishes it, if it is one.
    pub standing: Option<Standing>,
    /// A stamp of its own.
    pub at: Stamp,
}

/// What is wished of a handoff. Stamps in facts that a wish holds are set when it is granted, but those of `Restore`.
#[derive(Debug, Clone, PartialEq)]
pub enum Wish {
    /// Make it.
    Save(Box<Saved>),
    /// Change some of it.
    Update(Updated),
    /// Open a lane.
    Open(LaneOpened),
    /// Write in a lane.
    Say(LaneSaid),
    /// Close a lane. Closing it again says so again.
    Close(LaneId),
    /// Keep a checkpoint.
    Checkpoint(CheckpointCreated),
    /// Have these facts, which were facts elsewhere, as far as they are not here yet.
    Restore(Vec<Fact>),
}

/// What is known of an agent that has a session here: advice from that session's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its session.
    pub session: SessionId,
    /// Its name.
    pub agent: String,
    /// The root of its repository.
    pub project: Option<String>,
}

/// Whether a lane takes messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LaneStatus {
    /// It does.
    Open,
    /// It does not any more.
    Closed,
}

impl LaneStatus {
    /// The word in lists and filters.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

/// A message in a lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "LaneMessage")]
pub struct Said {
    /// Which of the two agents.
    pub from_agent: String,
    /// What.
    pub text: String,
    /// When.
    pub created: Stamp,
}

/// A lane: two agents write to each other about the work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// Its id.
    pub id: LaneId,
    /// The agent that opened it.
    pub from_agent: String,
    /// The agent it leads to.
    pub to_agent: String,
    /// Whether it takes messages.
    pub status: LaneStatus,
    /// What the second agent should know.
    pub context: Raw,
    /// When it was opened.
    pub created: Stamp,
    /// When it was opened, last written in, or closed.
    pub updated: Stamp,
    /// What was said, in order.
    pub messages: Vec<Said>,
}

impl Lane {
    pub(super) fn of(opened: &LaneOpened) -> Self {
        let LaneOpened { id, from_agent, to_agent, context, created } = opened.clone();
        let (status, messages) = (LaneStatus::Open, Vec::new());
        Self { id, from_agent, to_agent, status, context, created, updated: created, messages }
    }

    pub(super) fn hear(&mut self, said: &LaneSaid) {
        let LaneSaid { from_agent, text, created, lane: _ } = said.clone();
        self.updated = created;
        self.messages.push(Said { from_agent, text, created });
    }

    fn is_of(&self, agent: &str) -> bool {
        self.from_agent == agent || self.to_agent == agent
    }
}

impl Handoff {
    /// Who may wish what. An agent saves for itself alone, and writes where it is one of the two. A program without a
    /// credential does what its protocol offers, on what was saved by it.
    pub(super) fn allow(&self, command: &Command, caller: &Caller) -> Result<(), Refused> {
        match caller.scope {
            Scope::Operator | Scope::Admin | Scope::Viewer => caller.may_operate(),
            Scope::Local => {
                let born = match &command.wish {
                    Wish::Save(saved) => saved.born.is_some(),
                    Wish::Restore(_) => false,
                    Wish::Update(_) | Wish::Open(_) | Wish::Say(_) | Wish::Close(_) | Wish::Checkpoint(_) => {
                        self.saved()?.born.is_some()
                    }
                };
                if born { Ok(()) } else { caller.may_operate() }
            }
            Scope::Agent(own) => self.allow_agent(&command.wish, own, command.standing.as_ref()),
        }
    }

    fn allow_agent(&self, wish: &Wish, own: SessionId, standing: Option<&Standing>) -> Result<(), Refused> {
        let Some(standing) = standing.filter(|standing| standing.session == own) else {
            return Err(forbidden("nothing is known of the agent that asks"));
        };
        let is_it = |agent: &str| agent == standing.agent;
        let in_lane = |id| self.lane(id).map(|lane| lane.is_of(&standing.agent));
        let may = match wish {
            Wish::Save(saved) => saved.session == Some(own) && is_it(&saved.agent_id),
            Wish::Update(_) => self.saved()?.session == Some(own),
            Wish::Open(opened) => is_it(&opened.from_agent) && self.is_open_to(standing)?,
            Wish::Say(said) => is_it(&said.from_agent) && in_lane(&said.lane)?,
            Wish::Close(lane) => in_lane(lane)?,
            Wish::Checkpoint(made) => {
                let lane = made.lane.as_ref().map_or(Ok(false), in_lane)?;
                is_it(&made.agent_id) && (lane || self.saved()?.session == Some(own))
            }
            Wish::Restore(_) => false,
        };
        if may { Ok(()) } else { Err(forbidden("an agent writes in its own handoffs and lanes only")) }
    }

    fn is_open_to(&self, standing: &Standing) -> Result<bool, Refused> {
        let saved = self.saved()?;
        let addressed = self.lanes.values().any(|lane| lane.to_agent == standing.agent);
        Ok(addressed || standing.shares(saved.session, saved.repo.as_deref()))
    }

    pub(super) fn grant(&self, command: &Command) -> Result<Vec<Draft>, Refused> {
        match &command.wish {
            Wish::Save(saved) => self.save(saved, command.at),
            Wish::Update(updated) => self.update(updated, command.at),
            Wish::Open(opened) => self.open(&LaneOpened { created: command.at, ..opened.clone() }),
            Wish::Say(said) => self.say(said, command.at),
            Wish::Close(lane) => {
                let updated = command.at.max(self.lane(lane)?.updated.next());
                Ok(vec![LaneClosed { id: lane.clone(), updated }.into()])
            }
            Wish::Checkpoint(made) => {
                self.checkpoint(&CheckpointCreated { created: command.at, ..made.clone() })
            }
            Wish::Restore(facts) => self.restore(facts),
        }
    }

    fn save(&self, saved: &Saved, at: Stamp) -> Result<Vec<Draft>, Refused> {
        if self.saved.is_some() {
            return Err(Refused::Exists { what: "handoff", id: saved.id.to_string() });
        }
        saved.check()?;
        Ok(vec![Saved { created: at, updated: at, ..saved.clone() }.into()])
    }

    fn update(&self, updated: &Updated, at: Stamp) -> Result<Vec<Draft>, Refused> {
        let saved = self.saved()?;
        updated.check()?;
        if updated.is_empty() {
            return Ok(Vec::new());
        }
        // The clock may have been set back since an earlier life of the daemon; the latest change is the latest still.
        Ok(vec![Updated { updated: at.max(saved.updated.next()), ..updated.clone() }.into()])
    }

    fn open(&self, opened: &LaneOpened) -> Result<Vec<Draft>, Refused> {
        self.saved()?;
        opened.check()?;
        if self.lanes.contains_key(&opened.id) {
            return Err(Refused::Exists { what: "lane", id: opened.id.to_string() });
        }
        if self.lanes.len() >= MAX_LANES {
            return Err(Refused::TooMany { what: "lanes in the handoff", limit: MAX_LANES });
        }
        self.has_room(opened.bytes(), 0)?;
        Ok(vec![opened.clone().into()])
    }

    fn say(&self, said: &LaneSaid, at: Stamp) -> Result<Vec<Draft>, Refused> {
        said.check()?;
        let lane = self.lane(&said.lane)?;
        if !lane.is_of(&said.from_agent) {
            return Err(Refused::invalid("from_agent", "must be one of the two agents of the lane"));
        }
        match lane.status {
            LaneStatus::Closed => return Err(Refused::invalid("lane", "is closed; open another")),
            LaneStatus::Open if lane.messages.len() >= MAX_SAID => {
                return Err(Refused::TooMany { what: "messages in the lane", limit: MAX_SAID });
            }
            LaneStatus::Open => {}
        }
        self.has_room(said.text.len(), 0)?;
        Ok(vec![LaneSaid { created: at.max(lane.updated.next()), ..said.clone() }.into()])
    }

    fn checkpoint(&self, made: &CheckpointCreated) -> Result<Vec<Draft>, Refused> {
        self.saved()?;
        made.check()?;
        if let Some(lane) = &made.lane {
            self.lane(lane)?;
        }
        if self.checkpoints.iter().any(|old| old.id == made.id) {
            return Err(Refused::Exists { what: "checkpoint", id: made.id.to_string() });
        }
        let of_session = |old: &&CheckpointCreated| {
            made.automatic && old.automatic && old.session == made.session && old.lane == made.lane
        };
        let mut goes: Vec<_> = self.checkpoints.iter().filter(of_session).collect();
        if goes.is_empty() && self.checkpoints.len() >= MAX_CHECKPOINTS {
            goes.extend(self.checkpoints.iter().filter(|old| old.automatic).min_by_key(|old| old.created));
            if goes.is_empty() {
                return Err(Refused::TooMany { what: "checkpoints in the handoff", limit: MAX_CHECKPOINTS });
            }
        }
        self.has_room(made.bytes(), goes.iter().map(|old| old.bytes()).sum())?;
        let replaces: Vec<CheckpointId> = goes.into_iter().map(|old| old.id.clone()).collect();
        Ok(vec![CheckpointCreated { replaces, ..made.clone() }.into()])
    }

    /// Grants what is not here yet, each on top of the one before.
    fn restore(&self, facts: &[Fact]) -> Result<Vec<Draft>, Refused> {
        let mut state = self.clone();
        let mut granted = Vec::new();
        for fact in facts {
            if state.has(fact)? {
                continue;
            }
            for draft in state.restored(fact)? {
                state.take(&draft.fact);
                granted.push(draft);
            }
        }
        Ok(granted)
    }

    /// Whether a fact of elsewhere is here already.
    fn has(&self, fact: &Fact) -> Result<bool, Refused> {
        Ok(match fact {
            Fact::HandoffSaved(_) => self.saved.is_some(),
            Fact::LaneOpened(opened) => self.lanes.contains_key(&opened.id),
            Fact::LaneClosed(closed) => self.lane(&closed.id)?.status == LaneStatus::Closed,
            Fact::CheckpointCreated(made) => self.checkpoints.iter().any(|old| old.id == made.id),
            _ => return Err(Refused::invalid("facts", "must be those of a handoff")),
        })
    }

    fn restored(&self, fact: &Fact) -> Result<Vec<Draft>, Refused> {
        match fact {
            Fact::HandoffSaved(saved) => saved.check().map(|()| vec![saved.clone().into()]),
            Fact::LaneOpened(opened) => self.open(opened),
            Fact::CheckpointCreated(made) => self.checkpoint(made),
            closed => Ok(vec![Draft::from(closed.clone())]),
        }
    }

    /// Folds what is granted but not kept yet.
    fn take(&mut self, fact: &Fact) {
        let (seq, at, by) = (Seq::ZERO, Time::default(), Principal::trunkline());
        self.apply(&Event { seq, at, by, turn: None, key: None, fact: fact.clone() });
    }
}

impl Standing {
    /// Whether a handoff is of this agent's session or project.
    #[must_use]
    pub(super) fn shares(&self, session: Option<SessionId>, repo: Option<&str>) -> bool {
        session == Some(self.session) || (repo.is_some() && repo == self.project.as_deref())
    }
}

pub(super) fn forbidden(why: &str) -> Refused {
    Refused::Forbidden { why: why.to_owned() }
}
