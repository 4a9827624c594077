//! Grants: standing permissions, so that the same question is not asked twice.
//!
//! A grant says what it covers by a [`Pattern`] or by a mode, for whose turns it counts, where and how long. Whoever gave
//! it can take it back, and every request it answers names it. High risk is covered by no grant but `trust_all`. While nothing
//! confines the agent, only grants count that were given for that.

mod judge;
mod project;
mod suggest;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{Event, Fact};
use crate::id::{GrantId, RequestId};
use crate::machine::Draft;
use crate::pattern::{COMMANDS, Pattern};
use crate::principal::Principal;
use crate::refused::Refused;
use crate::session::MAX_PATH;
use crate::text::check_name;
use crate::time::Time;

pub use judge::{Asking, Judged, Verdict, judge, preview};
pub use project::{Command as ProjectCommand, ProjectGrants};

/// How many grants one session, or all projects together, may have.
pub const MAX_GRANTS: usize = 1_000;

/// How far a grant reaches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "GrantScope")]
pub enum Scope {
    /// The next call it covers, and no other.
    Once,
    /// The session.
    #[default]
    Session,
    /// Every session of a project.
    Project,
    /// All edits below the workspace, in the session.
    Edits,
    /// All calls of one tool, in the session.
    Tool,
}

/// What a session asks about at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "GrantMode")]
pub enum Mode {
    /// Everything that no other grant covers.
    ConfirmAll,
    /// What is of high or unknown risk.
    Default,
    /// As `default`, but every command, and no edit below the workspace.
    AutoApproveEdits,
    /// Nothing.
    TrustAll,
}

impl Mode {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::ConfirmAll => "confirm_all",
            Self::Default => "default",
            Self::AutoApproveEdits => "auto_approve_edits",
            Self::TrustAll => "trust_all",
        }
    }
}

/// A standing permission was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "GrantAdded")]
pub struct Added {
    /// The grant.
    pub id: GrantId,
    /// The tool it covers, by its exact name; empty where a pattern or a mode says what it covers.
    #[serde(default)]
    pub tool: String,
    /// When it stops counting; absent: with the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
    /// How far it reaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// What it covers, such as `shell(npm run *)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// What is asked about at all, in place of a pattern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// For whose turns it counts; absent: for those of people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<Principal>,
    /// Whether it also counts while nothing confines the agent. Without it a person is asked then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unconfined: bool,
    /// The project, for a grant of the scope `project`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The request on which it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
}

impl Added {
    /// A grant of all calls of a tool.
    pub fn tool(id: GrantId, tool: impl Into<String>) -> Self {
        Self { tool: tool.into(), scope: None, ..Self::session(id) }
    }

    /// A grant of what a pattern says.
    pub fn pattern(id: GrantId, pattern: impl Into<String>) -> Self {
        Self { pattern: Some(pattern.into()), ..Self::session(id) }
    }

    /// A mode.
    #[must_use]
    pub fn mode(id: GrantId, mode: Mode) -> Self {
        Self { mode: Some(mode), ..Self::session(id) }
    }

    fn session(id: GrantId) -> Self {
        Self {
            id,
            tool: String::new(),
            expires: None,
            scope: Some(Scope::Session),
            pattern: None,
            mode: None,
            principal: None,
            unconfined: false,
            project: None,
            request: None,
        }
    }

    /// Checks a grant before it is given.
    fn check(&self, now: Time) -> Result<(), Refused> {
        let scope = self.scope.unwrap_or_default();
        if self.expires.is_some_and(|end| end <= now) {
            return Err(Refused::invalid("expires", "must be in the future"));
        }
        if let Some(pattern) = &self.pattern {
            let read: Result<Pattern, _> = pattern.parse();
            read.map_err(|error| Refused::invalid("pattern", error.to_string()))?;
        }
        if let Some(project) = &self.project {
            check_name("project", project, MAX_PATH)?;
        }
        if (scope == Scope::Project) != self.project.is_some() {
            return Err(Refused::invalid("project", "must be given for the scope project, and for no other"));
        }
        match (&self.mode, &self.pattern, scope) {
            (Some(_), None, Scope::Session) if self.tool.is_empty() => Ok(()),
            (Some(_), ..) => Err(Refused::invalid("mode", "stands alone, for a session")),
            (None, Some(_), _) if !self.tool.is_empty() => {
                Err(Refused::invalid("tool", "must not stand beside a pattern"))
            }
            (None, Some(_), Scope::Edits) => {
                Err(Refused::invalid("pattern", "is `edit` for the scope edits"))
            }
            (None, Some(_), _) | (None, None, Scope::Edits) => Ok(()),
            (None, None, _) if self.tool == COMMANDS => {
                let why =
                    "is the kind of all commands and no tool: give a pattern such as `shell(npm run *)`";
                Err(Refused::invalid("tool", why))
            }
            (None, None, _) => check_name("tool", &self.tool, 255),
        }
    }
}

/// A standing permission was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "GrantRevoked")]
pub struct Revoked {
    /// The grant.
    pub id: GrantId,
}

/// A grant that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Grant {
    /// What was given.
    #[serde(flatten)]
    pub added: Added,
    /// Who gave it.
    pub by: Principal,
    /// When.
    pub at: Time,
}

impl Grant {
    /// What it covers, in the words of a pattern; `None` for a mode, and for what no one can read any more.
    #[must_use]
    pub fn covers(&self) -> Option<Pattern> {
        match (&self.added.mode, &self.added.pattern, self.added.scope) {
            (Some(_), ..) => None,
            (None, Some(pattern), _) => pattern.parse().ok(),
            (None, None, Some(Scope::Edits)) => Some(Pattern::edits()),
            (None, None, _) => Some(Pattern::tool(&self.added.tool)),
        }
    }

    /// Whether it counts for a turn of this principal now.
    #[must_use]
    pub fn counts_for(&self, principal: &Principal, now: Time) -> bool {
        let named = match &self.added.principal {
            Some(named) => named == principal,
            None => principal.is_person(),
        };
        named && self.added.expires.is_none_or(|end| now < end)
    }
}

/// The grants of a session.
#[derive(Debug, Clone, Default)]
pub struct Grants {
    /// Those not revoked and not used up.
    pub all: BTreeMap<GrantId, Grant>,
}

impl Grants {
    /// Whether a turn of this principal asks about everything, also about what only looks.
    #[must_use]
    pub fn asks_about_all(&self, principal: &Principal, now: Time) -> bool {
        let counts = |grant: &&Grant| grant.added.mode.is_some() && grant.counts_for(principal, now);
        let modes = self.all.values().filter(counts);
        let mode = modes.max_by_key(|grant| grant.added.principal.is_some());
        mode.is_some_and(|grant| grant.added.mode == Some(Mode::ConfirmAll))
    }

    /// What turns of people ask about at all, where somebody has said so.
    #[must_use]
    pub fn mode(&self) -> Option<Mode> {
        let of_people = |grant: &&Grant| grant.added.mode.is_some() && grant.added.principal.is_none();
        self.all.values().find(of_people).and_then(|grant| grant.added.mode)
    }

    pub(crate) fn add(&self, added: &Added, now: Time) -> Result<Vec<Draft>, Refused> {
        added.check(now)?;
        if self.all.contains_key(&added.id) {
            return Err(Refused::Exists { what: "grant", id: added.id.to_string() });
        }
        let expired = |grant: &&Grant| grant.added.expires.is_some_and(|end| end <= now);
        // There is one mode for each principal: the new one takes the place of the old.
        let replaced = |grant: &&Grant| {
            added.mode.is_some() && grant.added.mode.is_some() && grant.added.principal == added.principal
        };
        let over: Vec<_> = self.all.values().filter(|grant| expired(grant) || replaced(grant)).collect();
        if self.all.len() - over.len() >= MAX_GRANTS {
            return Err(Refused::TooMany { what: "grants", limit: MAX_GRANTS });
        }
        let mut facts: Vec<Draft> = over.iter().map(|grant| Revoked { id: grant.added.id }.into()).collect();
        facts.push(added.clone().into());
        Ok(facts)
    }

    pub(crate) fn revoke(&self, id: GrantId) -> Result<Vec<Draft>, Refused> {
        if self.all.contains_key(&id) {
            Ok(vec![Revoked { id }.into()])
        } else {
            Err(Refused::not_found("grant", id))
        }
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        match &event.fact {
            Fact::GrantAdded(added) => {
                let grant = Grant { added: added.clone(), by: event.by.clone(), at: event.at };
                self.all.insert(added.id, grant);
            }
            Fact::GrantRevoked(Revoked { id }) => {
                self.all.remove(id);
            }
            Fact::RequestClosed(closed) => {
                for id in closed.grant.iter().chain(&closed.also) {
                    if self.all.get(id).is_some_and(|grant| grant.added.scope == Some(Scope::Once)) {
                        self.all.remove(id);
                    }
                }
            }
            _ => {}
        }
    }
}
