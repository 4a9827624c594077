//! The agents: those that are kept running, and those that take part on the bus.

use axum::Json as Body;
use schemars::JsonSchema;
use serde::Serialize;
use trunkline_core::id::{SessionId, TurnId};
use trunkline_core::registry::Registry;

use crate::app::Shared;
use crate::extract::Who;
use crate::problem::Answer;
use crate::registry::{AgentView, view};

/// The agents that are kept running, and those that take part on the bus.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Agents {
    items: Vec<Agent>,
    /// The agents that take part on the bus, in the order in which they were first seen.
    registered: Vec<AgentView>,
}

/// An agent that is kept running.
#[derive(Debug, Serialize, JsonSchema)]
struct Agent {
    /// Its session.
    session: SessionId,
    /// Its name.
    agent: String,
    /// Its process, once it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    /// How often the agent was started in this session.
    incarnation: u64,
    /// The turn it works on.
    #[serde(skip_serializing_if = "Option::is_none")]
    turn: Option<TurnId>,
}

pub(crate) async fn list(app: Shared, Who(caller): Who) -> Answer<Body<Agents>> {
    caller.may_list()?;
    let mut items = Vec::new();
    for (session, turn) in app.hub.hosted() {
        let seen = app.hub.look(session, |state| {
            let agent = state.created.as_ref().map(|(created, ..)| created.agent.clone());
            let pid = state.agent.process.as_ref().map(|process| process.pid);
            (agent.unwrap_or_default(), pid, state.agent.incarnation)
        });
        // A session deleted in this moment is no longer an agent's.
        let Ok(((agent, pid, incarnation), _)) = seen.await else { continue };
        items.push(Agent { session, agent, pid, incarnation, turn });
    }
    let look = |registry: &Registry, now| registry.all().map(|entry| view(entry, now)).collect();
    let registered = app.hub.look_registry(look).await?;
    Ok(Body(Agents { items, registered }))
}
