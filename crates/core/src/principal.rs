//! Who asks, and what they may do.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::audit::Source;
use crate::id::{BadId, SessionId};
use crate::refused::Refused;

/// The name of whoever caused an event: `owner`, `token/phone`, `link/phone`, `agent/<session>`, `local`, `trunkline`.
///
/// 1 to 200 bytes, no control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Principal(Arc<str>); // Shared: every event has one.

impl Principal {
    /// Holder of the token file in the home directory.
    #[must_use]
    pub fn owner() -> Self {
        Self("owner".into())
    }

    /// The daemon itself: timers, recovery, shutdown.
    #[must_use]
    pub fn trunkline() -> Self {
        Self("trunkline".into())
    }

    /// A process of the same user that showed no credential.
    #[must_use]
    pub fn local() -> Self {
        Self("local".into())
    }

    /// The agent of a session.
    #[must_use]
    pub fn agent(session: SessionId) -> Self {
        Self(format!("agent/{session}").into())
    }

    /// The holder of a named token. The name was checked when the token was made.
    #[must_use]
    pub fn token(name: &str) -> Self {
        Self(format!("token/{name}").into())
    }

    /// Whoever holds a link that answers; it was sent to the service or the device of this name.
    #[must_use]
    pub fn link(told: &str) -> Self {
        let named: String = told.chars().filter(|c| !c.is_control()).collect();
        Self(format!("link/{}", &named[..named.floor_char_boundary(190)]).into())
    }

    /// Somebody of whom an export tells. Nobody here has checked that, and the name can never be a caller's.
    #[must_use]
    pub fn imported(&self) -> Self {
        let name = self.0.strip_prefix("imported/").unwrap_or(&self.0);
        Self(format!("imported/{}", &name[..name.floor_char_boundary(190)]).into())
    }

    /// Whether it is somebody of whom only an export tells.
    #[must_use]
    pub fn is_imported(&self) -> bool {
        self.0.starts_with("imported/")
    }

    /// The name as a part of a key whose parts are joined by `/`. The kind before the first `/` stays as it is; what people
    /// have chosen behind it may hold one too, which is written as `%2F`.
    #[must_use]
    pub(crate) fn key_part(&self) -> String {
        let (kind, name) = self.0.split_once('/').unwrap_or((&self.0, ""));
        let name = name.replace('%', "%25").replace('/', "%2F");
        if name.is_empty() { kind.to_owned() } else { format!("{kind}/{name}") }
    }

    /// Whether it is a person: the owner, the holder of a token, or whom a known proxy has let in. An agent, a schedule, a webhook, a peer without a
    /// credential and what was imported are none, so they inherit nothing that was granted to people.
    #[must_use]
    pub fn is_person(&self) -> bool {
        &*self.0 == "owner" || self.0.starts_with("token/") || self.0.starts_with("proxy/")
    }

    /// The text of the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Principal {
    type Err = BadId;

    fn from_str(s: &str) -> Result<Self, BadId> {
        let fits = !s.is_empty() && s.len() <= 200 && !s.chars().any(char::is_control);
        if fits { Ok(Self(s.into())) } else { Err(BadId { expected: "a principal of 1 to 200 bytes" }) }
    }
}

impl<'de> Deserialize<'de> for Principal {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What a caller may do at most. Each scope includes the ones before it, except `Agent`, which stands apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Reads everything, changes nothing.
    Viewer,
    /// Also prompts, answers, cancels, opens and closes sessions.
    Operator,
    /// Also makes and revokes tokens, and stops the daemon.
    Admin,
    /// Has shown no credential, but is a program of the daemon's own user. Reads lists; does what its dialect offers on
    /// sessions that were born in it. No token has it.
    Local,
    /// Acts for one session: opens and withdraws its requests, reads its log and inbox. Never answers anything.
    Agent(SessionId),
}

/// A principal with the scope it came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub principal: Principal,
    /// What they may do.
    pub scope: Scope,
    /// From where, for the audit; `None` for the daemon itself.
    pub source: Option<Arc<Source>>,
}

impl Caller {
    /// Somebody, from nowhere in particular.
    #[must_use]
    pub const fn new(principal: Principal, scope: Scope) -> Self {
        Self { principal, scope, source: None }
    }

    /// The same, from there.
    #[must_use]
    pub fn from(self, source: Option<Source>) -> Self {
        Self { source: source.map(Arc::new), ..self }
    }

    /// The daemon itself.
    #[must_use]
    pub fn trunkline() -> Self {
        Self::new(Principal::trunkline(), Scope::Admin)
    }

    /// A program of the daemon's own user without a credential.
    #[must_use]
    pub fn local() -> Self {
        Self::new(Principal::local(), Scope::Local)
    }

    /// The agent of a session.
    #[must_use]
    pub fn agent(session: SessionId) -> Self {
        Self::new(Principal::agent(session), Scope::Agent(session))
    }

    /// Grants reading of a session's log.
    ///
    /// # Errors
    /// `Forbidden` when the caller is another session's agent.
    pub fn may_read(&self, session: SessionId) -> Result<(), Refused> {
        match self.scope {
            Scope::Viewer | Scope::Operator | Scope::Admin | Scope::Local => Ok(()),
            Scope::Agent(own) if own == session => Ok(()),
            Scope::Agent(_) => Err(forbidden("an agent's token opens its own session only")),
        }
    }

    /// Grants reading of lists that span sessions.
    ///
    /// # Errors
    /// `Forbidden` for agents.
    pub fn may_list(&self) -> Result<(), Refused> {
        match self.scope {
            Scope::Viewer | Scope::Operator | Scope::Admin | Scope::Local => Ok(()),
            Scope::Agent(_) => Err(forbidden("an agent's token opens its own session only")),
        }
    }

    /// Grants writing to what agents share: keys, topics, the registry.
    ///
    /// # Errors
    /// `Forbidden` for viewers.
    pub fn may_use_bus(&self) -> Result<(), Refused> {
        match self.scope {
            Scope::Operator | Scope::Admin | Scope::Local | Scope::Agent(_) => Ok(()),
            Scope::Viewer => Err(forbidden("this token may only read; it needs the scope operator")),
        }
    }

    /// Grants what a person at the controls does: prompt, answer, cancel, close.
    ///
    /// # Errors
    /// `Forbidden` for viewers and agents.
    pub fn may_operate(&self) -> Result<(), Refused> {
        match self.scope {
            Scope::Operator | Scope::Admin => Ok(()),
            Scope::Viewer => Err(forbidden("this token may only read; it needs the scope operator")),
            Scope::Local => Err(forbidden("this needs a token of the scope operator")),
            Scope::Agent(_) => {
                Err(forbidden("an agent never answers or steers a session, least of all its own"))
            }
        }
    }

    /// Grants writing to an agent. What comes of it depends on who writes.
    ///
    /// # Errors
    /// `Forbidden` for viewers.
    pub fn may_tell(&self) -> Result<(), Refused> {
        match self.scope {
            Scope::Operator | Scope::Admin | Scope::Local | Scope::Agent(_) => Ok(()),
            Scope::Viewer => Err(forbidden("this token may only read; it needs the scope operator")),
        }
    }

    /// Grants what only the owner of the daemon does: tokens, stopping it.
    ///
    /// # Errors
    /// `Forbidden` for everybody else.
    pub fn may_administer(&self) -> Result<(), Refused> {
        match self.scope {
            Scope::Admin => Ok(()),
            Scope::Viewer | Scope::Operator | Scope::Local | Scope::Agent(_) => {
                Err(forbidden("this needs the scope admin"))
            }
        }
    }

    /// Grants what the session's own agent, or an operator in its place, does: ask, withdraw, fetch its inbox.
    ///
    /// # Errors
    /// `Forbidden` for viewers and other sessions' agents.
    pub fn may_act_for(&self, session: SessionId) -> Result<(), Refused> {
        match self.scope {
            Scope::Operator | Scope::Admin => Ok(()),
            Scope::Agent(own) if own == session => Ok(()),
            Scope::Agent(_) => Err(forbidden("an agent's token opens its own session only")),
            Scope::Viewer => Err(forbidden("this token may only read; it needs the scope operator")),
            Scope::Local => Err(forbidden("this needs a token of the scope operator")),
        }
    }
}

fn forbidden(why: &'static str) -> Refused {
    Refused::Forbidden { why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(scope: Scope) -> Caller {
        Caller::new(Principal::owner(), scope)
    }

    #[test]
    fn what_each_scope_may_do() {
        let own: SessionId = "0190163d-8694-739b-aea5-966c26f8ad91".parse().unwrap();
        let other: SessionId = "0190163d-8694-739b-aea5-966c26f8ad92".parse().unwrap();
        // columns: read own session, list, operate, administer, act for own, act for another
        for (scope, may) in [
            (Scope::Viewer, [true, true, false, false, false, false]),
            (Scope::Operator, [true, true, true, false, true, true]),
            (Scope::Admin, [true, true, true, true, true, true]),
            (Scope::Local, [true, true, false, false, false, false]),
            (Scope::Agent(own), [true, false, false, false, true, false]),
        ] {
            let c = caller(scope);
            let got = [
                c.may_read(own).is_ok(),
                c.may_list().is_ok(),
                c.may_operate().is_ok(),
                c.may_administer().is_ok(),
                c.may_act_for(own).is_ok(),
                c.may_act_for(other).is_ok(),
            ];
            assert_eq!(got, may, "{scope:?}");
        }
        assert!(caller(Scope::Agent(own)).may_read(other).is_err());
    }
}
