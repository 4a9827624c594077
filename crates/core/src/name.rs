//! Claims: a name, a dialect's id or a creation key belongs to one session, first come first served.
//!
//! Each claim is a log of its own, so that the compare-and-swap of its first append decides every race.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{Event, Fact};
use crate::id::{LogId, SessionId};
use crate::machine::{Context, Draft, Machine, Wanted};
use crate::principal::Principal;
use crate::refused::Refused;

/// A name or creation key belongs to a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "NameClaimed")]
pub struct Claimed {
    /// The session.
    pub session: SessionId,
    /// Digest of the body that came with a creation key; empty for a name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
}

/// The log in which a creation key is claimed. The key counts for one principal.
///
/// # Errors
/// `Invalid` when the key is too long or has control characters.
pub fn creation_key(by: &Principal, key: &str) -> Result<LogId, Refused> {
    crate::text::check_name("idempotency-key", key, 120)?;
    format!("name/create/{}/{key}", by.key_part())
        .parse()
        .map_err(|_| Refused::invalid("idempotency-key", "must be at most 120 characters"))
}

/// The log in which a session's name in a dialect is claimed.
///
/// # Errors
/// `Invalid` when the name is none that fits a path: 1 to 100 letters, digits, `-`, `_`, `.` and `:`.
pub fn alias(dialect: &str, name: &str) -> Result<LogId, Refused> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    if name.is_empty() || name.len() > 100 || !name.chars().all(fits) || name.starts_with('.') {
        let why = "must be 1 to 100 letters, digits, `-`, `_`, `.` or `:`, and not begin with `.`";
        return Err(Refused::invalid("session_id", why));
    }
    format!("name/{dialect}/{name}").parse().map_err(|_| Refused::invalid("session_id", "is too long"))
}

/// The state of a claim.
#[derive(Debug, Clone, Default)]
pub struct Name {
    /// Whose it is.
    pub claimed: Option<Claimed>,
}

impl Machine for Name {
    type Command = Claimed;
    type Effect = std::convert::Infallible;

    /// An empty grant means that it was claimed before: the state tells by whom.
    fn decide(&self, command: &Claimed, ctx: &Context<'_>) -> Result<Vec<Draft>, Refused> {
        ctx.caller.may_operate()?;
        Ok(if self.claimed.is_some() { Vec::new() } else { vec![command.clone().into()] })
    }

    fn apply(&mut self, event: &Event) {
        if let Fact::NameClaimed(claimed) = &event.fact {
            self.claimed = Some(claimed.clone());
        }
    }

    fn wanted(&self) -> Wanted<Self::Effect> {
        Wanted::nothing()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_is_a_name_that_fits_a_path() {
        assert_eq!(alias("engine", "sess_1").unwrap().as_str(), "name/engine/sess_1", "as it is on disks");
        for bad in ["", "a/b", "..", ".a", "a b", "ä", &"x".repeat(101)] {
            assert!(alias("engine", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_of_one_principal_is_none_of_another() {
        let key = |by: &str, key| creation_key(&Principal::token(by), key).unwrap();
        assert_ne!(key("a", "b/c"), key("a/b", "c"));
        assert_ne!(key("a/b", "c"), key("a%2Fb", "c"));
        assert_eq!(key("phone", "k/1").as_str(), "name/create/token/phone/k/1", "as it is on disks");
        let row =
            |by: &str, key| crate::row::key_of(SessionId::new(uuid::Uuid::nil()), &Principal::token(by), key);
        assert_ne!(row("a", "b/c"), row("a/b", "c"));
    }
}
