//! Grants of projects: a log of their own. What it says is advice to the session that asks.

use super::{Added, Grant, Grants, Scope};
use crate::audit::Deed;
use crate::event::Event;
use crate::id::GrantId;
use crate::machine::{Context, Draft, Machine, Wanted};
use crate::refused::Refused;

/// A wish about the grants of projects.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Give one.
    Add(Added),
    /// Take one back.
    Revoke(GrantId),
}

/// The grants of all projects.
#[derive(Debug, Clone, Default)]
pub struct ProjectGrants(pub Grants);

impl ProjectGrants {
    /// Those of one project.
    #[must_use]
    pub fn of(&self, project: &str) -> Vec<Grant> {
        self.0.all.values().filter(|grant| grant.added.project.as_deref() == Some(project)).cloned().collect()
    }
}

impl Machine for ProjectGrants {
    type Command = Command;
    type Effect = std::convert::Infallible;

    fn decide(&self, command: &Command, ctx: &Context<'_>) -> Result<Vec<Draft>, Refused> {
        ctx.caller.may_operate()?;
        match command {
            Command::Add(added) if added.scope != Some(Scope::Project) => {
                Err(Refused::invalid("scope", "must be project here"))
            }
            Command::Add(added) => self.0.add(added, ctx.now),
            Command::Revoke(id) => self.0.revoke(*id),
        }
    }

    fn apply(&mut self, event: &Event) {
        self.0.apply(event);
    }

    fn deed(&self, event: &Event, _: &[Event]) -> Option<Deed> {
        Deed::in_projects(self, event)
    }

    fn wanted(&self) -> Wanted<Self::Effect> {
        Wanted::nothing()
    }
}
