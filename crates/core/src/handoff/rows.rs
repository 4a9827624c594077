//! What lists show of handoffs, lanes and checkpoints, and the rows they are served from.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::command::{Lane, LaneStatus, Said, Standing, forbidden};
use super::facts::{CheckpointCreated, Saved};
use super::{CheckpointId, Handoff, HandoffId, LaneId, Stamp};
use crate::event::{Event, Fact};
use crate::id::SessionId;
use crate::principal::{Caller, Principal, Scope};
use crate::raw::Raw;
use crate::refused::Refused;
use crate::row::{Row, RowKind, body, facet};

/// A handoff in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HandoffView {
    /// Its id.
    pub id: HandoffId,
    /// The agent whose work it is.
    pub agent_id: String,
    /// The repository.
    #[serde(default)]
    pub repo: Option<String>,
    /// How it stands.
    pub status: String,
    /// What is being done.
    #[serde(default)]
    pub task_summary: Option<String>,
    /// What was decided.
    pub decisions: Raw,
    /// Which files were touched.
    pub files_touched: Raw,
    /// What is left to do.
    pub todos: Raw,
    /// Whatever else.
    pub metadata: Raw,
    /// The session it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// The protocol of the client that saved it, where that was none of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub born: Option<String>,
    /// Whether the daemon keeps it by itself.
    #[serde(default)]
    pub automatic: bool,
    /// Who saved it.
    pub created_by: Principal,
    /// When it was saved, in microseconds since 1970.
    pub created: Stamp,
    /// When it was last changed, in microseconds since 1970.
    pub updated: Stamp,
    /// The agents to which its lanes lead.
    #[serde(default)]
    pub to: BTreeSet<String>,
    /// How many lanes it has.
    pub lanes: usize,
    /// How many checkpoints it has.
    pub checkpoints: usize,
}

/// A lane in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LaneView {
    /// Its id.
    pub id: LaneId,
    /// The handoff it belongs to.
    pub handoff: HandoffId,
    /// The agent that opened it.
    pub from_agent: String,
    /// The agent it leads to.
    pub to_agent: String,
    /// Whether it takes messages.
    pub status: LaneStatus,
    /// What the second agent should know.
    pub context: Raw,
    /// When it was opened, in microseconds since 1970.
    pub created: Stamp,
    /// When it was opened, last written in, or closed.
    pub updated: Stamp,
    /// How many messages it has.
    pub messages: usize,
}

/// A checkpoint in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointView {
    /// Its id.
    pub id: CheckpointId,
    /// The handoff it belongs to.
    pub handoff: HandoffId,
    /// The lane it belongs to.
    #[serde(default)]
    pub lane: Option<LaneId>,
    /// The agent that made it.
    pub agent_id: String,
    /// Whatever is needed to go on from there.
    pub snapshot: Raw,
    /// The session it is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// Whether the daemon made it at the end of a turn.
    #[serde(default)]
    pub automatic: bool,
    /// When it was made, in microseconds since 1970.
    pub created: Stamp,
}

/// A handoff with all that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "HandoffWhole")]
pub struct Whole {
    /// The handoff.
    pub handoff: HandoffView,
    /// Its lanes, newest first.
    pub lanes: Vec<LaneWhole>,
    /// Its newest checkpoints, newest first.
    pub checkpoints: Vec<CheckpointView>,
}

/// A lane with what was said in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LaneWhole {
    /// The lane.
    pub lane: LaneView,
    /// What was said, in order.
    pub said: Vec<Said>,
}

impl HandoffView {
    /// Whether there may be something left to do. An agent that is through says `completed`.
    #[must_use]
    pub fn is_left(&self) -> bool {
        self.status != "completed"
    }

    /// Grants reading. An agent reads its own handoffs, those of its project, and those that a lane leads from to it.
    ///
    /// # Errors
    /// `Forbidden` for the agent of another project.
    pub fn may_be_read_by(&self, caller: &Caller, standing: Option<&Standing>) -> Result<(), Refused> {
        match (caller.scope, standing) {
            (Scope::Viewer | Scope::Operator | Scope::Admin | Scope::Local, _) => Ok(()),
            (Scope::Agent(own), Some(standing))
                if standing.session == own
                    && (standing.shares(self.session, self.repo.as_deref())
                        || self.to.contains(&standing.agent)) =>
            {
                Ok(())
            }
            (Scope::Agent(_), _) => {
                Err(forbidden("an agent reads handoffs of its project, and those addressed to it"))
            }
        }
    }
}

impl Handoff {
    /// The handoff as lists show it; `None` before it is saved.
    #[must_use]
    pub fn view(&self) -> Option<HandoffView> {
        let (saved, by) = self.saved.as_ref()?;
        let Saved { id, agent_id, repo, status, task_summary, decisions, files_touched, .. } = saved.clone();
        let Saved { todos, metadata, session, born, automatic, created, updated, .. } = saved.clone();
        Some(HandoffView {
            id,
            agent_id,
            repo,
            status,
            task_summary,
            decisions,
            files_touched,
            todos,
            metadata,
            session,
            born,
            automatic,
            created_by: by.clone(),
            created,
            updated,
            to: self.lanes.values().map(|lane| lane.to_agent.clone()).collect(),
            lanes: self.lanes.len(),
            checkpoints: self.checkpoints.len(),
        })
    }
}

impl Handoff {
    /// The handoff with its lanes and its newest checkpoints; `None` before it is saved.
    #[must_use]
    pub fn whole(&self, newest: usize) -> Option<Whole> {
        let handoff = self.view()?;
        let lane = |lane: &Lane| LaneWhole { lane: lane.view(&handoff.id), said: lane.messages.clone() };
        let mut lanes: Vec<_> = self.lanes.values().map(lane).collect();
        lanes.sort_by_key(|whole| std::cmp::Reverse(whole.lane.created));
        let mut kept: Vec<_> = self.checkpoints.iter().collect();
        kept.sort_by_key(|checkpoint| std::cmp::Reverse(checkpoint.created));
        let checkpoints = kept.into_iter().take(newest).map(|kept| kept.view(&handoff.id)).collect();
        Some(Whole { handoff, lanes, checkpoints })
    }
}

impl Lane {
    /// The lane as lists show it.
    #[must_use]
    pub fn view(&self, handoff: &HandoffId) -> LaneView {
        let Self { id, from_agent, to_agent, status, context, created, updated, messages } = self;
        LaneView {
            id: id.clone(),
            handoff: handoff.clone(),
            from_agent: from_agent.clone(),
            to_agent: to_agent.clone(),
            status: *status,
            context: context.clone(),
            created: *created,
            updated: *updated,
            messages: messages.len(),
        }
    }
}

impl CheckpointCreated {
    /// The checkpoint as lists show it.
    #[must_use]
    pub fn view(&self, handoff: &HandoffId) -> CheckpointView {
        let Self { id, lane, agent_id, snapshot, session, automatic, created, replaces: _ } = self.clone();
        CheckpointView { id, handoff: handoff.clone(), lane, agent_id, snapshot, session, automatic, created }
    }
}

/// The rows that follow from events, which are folded already.
pub(super) fn of(handoff: &Handoff, events: &[Event]) -> Vec<Row> {
    let Some(view) = handoff.view() else { return Vec::new() };
    let mut lanes = BTreeSet::new();
    let mut rows = Vec::new();
    for event in events {
        match &event.fact {
            Fact::LaneOpened(opened) => lanes.extend(handoff.lanes.get(&opened.id).map(|lane| &lane.id)),
            Fact::LaneSaid(said) => lanes.extend(handoff.lanes.get(&said.lane).map(|lane| &lane.id)),
            Fact::LaneClosed(closed) => lanes.extend(handoff.lanes.get(&closed.id).map(|lane| &lane.id)),
            Fact::CheckpointCreated(made) => {
                let gone = |id: &CheckpointId| Row::removed(RowKind::Checkpoint, id.to_string());
                rows.extend(made.replaces.iter().map(gone));
                // One that came and went in the same frame is not shown.
                if handoff.checkpoints.iter().any(|kept| kept.id == made.id) {
                    rows.push(checkpoint_row(&made.view(&view.id)));
                }
            }
            _ => {}
        }
    }
    rows.extend(lanes.into_iter().map(|id| lane_row(&handoff.lanes[id].view(&view.id))));
    rows.push(handoff_row(&view));
    rows
}

fn handoff_row(view: &HandoffView) -> Row {
    let mut facets = vec![facet("agent", &view.agent_id), facet("status", &view.status)];
    facets.extend(view.repo.iter().map(|repo| facet("repo", repo)));
    facets.extend(view.session.iter().map(|session| facet("session", session)));
    facets.extend(view.to.iter().map(|agent| facet("to", agent)));
    row(RowKind::Handoff, view.id.to_string(), view.updated, facets, body(view))
}

fn lane_row(view: &LaneView) -> Row {
    let facets = vec![
        facet("handoff", &view.handoff),
        facet("status", view.status.word()),
        facet("from", &view.from_agent),
        facet("to", &view.to_agent),
    ];
    row(RowKind::Lane, view.id.to_string(), view.created, facets, body(view))
}

fn checkpoint_row(view: &CheckpointView) -> Row {
    let mut facets = vec![facet("handoff", &view.handoff), facet("agent", &view.agent_id)];
    facets.extend(view.lane.iter().map(|lane| facet("lane", lane)));
    facets.extend(view.session.iter().map(|session| facet("session", session)));
    row(RowKind::Checkpoint, view.id.to_string(), view.created, facets, body(view))
}

fn row(kind: RowKind, key: String, stamp: Stamp, facets: Vec<String>, body: Raw) -> Row {
    Row { rank: (-stamp.0, 0), facets, body: Some(body), ..Row::removed(kind, key) }
}
