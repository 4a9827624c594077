//! Access tokens: who may come in, as what, and until when.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::audit::Deed;
use crate::event::{Event, Fact};
use crate::id::TokenId;
use crate::machine::{Context, Draft, Machine, Wanted};
use crate::principal::{Caller, Principal, Scope};
use crate::refused::Refused;
use crate::text::check_name;
use crate::time::Time;

/// How many tokens may be in force.
pub const MAX_TOKENS: usize = 1_000;

/// A token was made. Only its hash is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TokenCreated")]
pub struct Created {
    /// The token's id, which is no secret.
    pub id: TokenId,
    /// What people call it; unique among those in force.
    pub name: String,
    /// What its holder may do.
    pub scope: Scope,
    /// SHA-256 of the token, in hexadecimal. A token has 256 random bits, so stretching would add nothing.
    pub sha256: String,
    /// When it stops opening anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
}

/// A token no longer opens anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TokenRevoked")]
pub struct Revoked {
    /// The token.
    pub id: TokenId,
}

/// A wish about tokens.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Make one.
    Create(Created),
    /// Revoke one.
    Revoke(TokenId),
}

/// A token in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// What people call it.
    pub name: String,
    /// What its holder may do.
    pub scope: Scope,
    /// When it was made.
    pub created_at: Time,
    /// Who made it.
    pub created_by: Principal,
    /// When it stops opening anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
    #[serde(skip)]
    sha256: String,
}

impl Token {
    /// Whether it opens anything.
    #[must_use]
    pub fn is_in_force(&self, now: Time) -> bool {
        self.expires.is_none_or(|end| end > now)
    }

    /// Who shows it.
    #[must_use]
    pub fn holder(&self) -> Caller {
        let principal = match self.scope {
            Scope::Agent(session) => Principal::agent(session),
            Scope::Viewer | Scope::Operator | Scope::Admin | Scope::Local => Principal::token(&self.name),
        };
        Caller::new(principal, self.scope)
    }
}

/// All tokens that were made and not revoked. Those that have expired open nothing, and go when the next is made.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// By id.
    pub tokens: BTreeMap<TokenId, Token>,
}

impl Access {
    /// A token in force, by its hash.
    ///
    /// The comparison is of hashes of random values, so its timing tells nothing about a token.
    #[must_use]
    pub fn token(&self, sha256: &str, now: Time) -> Option<&Token> {
        self.tokens.values().find(|token| token.sha256 == sha256).filter(|token| token.is_in_force(now))
    }

    fn create(&self, created: &Created, now: Time) -> Result<Vec<Draft>, Refused> {
        check_name("name", &created.name, 64)?;
        if created.scope == Scope::Local {
            return Err(Refused::invalid("scope", "must be viewer, operator or admin"));
        }
        if created.expires.is_some_and(|end| end <= now) {
            return Err(Refused::invalid("expires", "must be in the future"));
        }
        let (in_force, expired): (Vec<_>, Vec<_>) =
            self.tokens.values().partition(|token| token.is_in_force(now));
        if in_force.iter().any(|token| token.name == created.name) {
            return Err(Refused::Exists { what: "token", id: created.name.clone() });
        }
        if in_force.len() >= MAX_TOKENS {
            return Err(Refused::TooMany { what: "tokens", limit: MAX_TOKENS });
        }
        // Nothing else lets the expired ones go, and they must not count as long as the store lives.
        let mut facts: Vec<Draft> = expired.iter().map(|token| Revoked { id: token.id }.into()).collect();
        facts.push(created.clone().into());
        Ok(facts)
    }
}

impl Machine for Access {
    type Command = Command;
    type Effect = std::convert::Infallible;

    fn decide(&self, command: &Command, ctx: &Context<'_>) -> Result<Vec<Draft>, Refused> {
        ctx.caller.may_administer()?;
        match command {
            Command::Create(created) => self.create(created, ctx.now),
            Command::Revoke(id) if self.tokens.contains_key(id) => Ok(vec![Revoked { id: *id }.into()]),
            Command::Revoke(id) => Err(Refused::not_found("token", id)),
        }
    }

    fn apply(&mut self, event: &Event) {
        match &event.fact {
            Fact::TokenCreated(Created { id, name, scope, sha256, expires }) => {
                let token = Token {
                    id: *id,
                    name: name.clone(),
                    scope: *scope,
                    created_at: event.at,
                    created_by: event.by.clone(),
                    expires: *expires,
                    sha256: sha256.clone(),
                };
                self.tokens.insert(*id, token);
            }
            Fact::TokenRevoked(Revoked { id }) => {
                self.tokens.remove(id);
            }
            _ => {}
        }
    }

    fn deed(&self, event: &Event, _: &[Event]) -> Option<Deed> {
        Deed::in_access(self, event)
    }

    fn wanted(&self) -> Wanted<Self::Effect> {
        Wanted::nothing()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Node, Seq};

    fn id(n: usize) -> TokenId {
        TokenId::new(uuid::Uuid::from_u128(n as u128))
    }

    /// Decides and folds; gives how many facts came of it.
    fn make(access: &mut Access, n: usize, now: Time, expires: Option<Time>) -> Result<usize, Refused> {
        let (name, sha256) = (format!("token-{n}"), format!("hash-{n}"));
        let created = Created { id: id(n), name, scope: Scope::Viewer, sha256, expires };
        let (caller, node) = (Caller::trunkline(), Node { name: "here".into(), incarnation: 1 });
        let ctx = Context { now, caller: &caller, node: &node, next: Seq(1) };
        let drafts = access.decide(&Command::Create(created), &ctx)?;
        let count = drafts.len();
        for Draft { fact, turn, .. } in drafts {
            let by = Principal::owner();
            access.apply(&Event { seq: Seq(1), at: now, by, turn, key: None, fact });
        }
        Ok(count)
    }

    #[test]
    fn expired_tokens_are_let_go_and_count_for_nothing() {
        let mut access = Access::default();
        for n in 0..MAX_TOKENS {
            assert_eq!(make(&mut access, n, Time(0), Some(Time(10))).unwrap(), 1);
        }
        let full = make(&mut access, MAX_TOKENS, Time(9), None);
        assert_eq!(full, Err(Refused::TooMany { what: "tokens", limit: MAX_TOKENS }));
        assert!(matches!(make(&mut access, 1, Time(9), None), Err(Refused::Exists { .. })));
        assert_eq!(access.token("hash-1", Time(10)), None);
        assert_eq!(make(&mut access, 1, Time(10), None).unwrap(), MAX_TOKENS + 1, "its name is free again");
        assert_eq!(access.tokens.keys().copied().collect::<Vec<_>>(), [id(1)]);
    }
}
