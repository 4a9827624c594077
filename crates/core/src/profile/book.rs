//! The profiles that were made while the daemon ran: facts, and the rules over them. No secret is among these facts.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Profile, check_profile_name};
use crate::audit::Deed;
use crate::event::{Event, Fact};
use crate::machine::{Context, Draft, Machine, Wanted};
use crate::refused::Refused;

/// How many profiles may be made.
pub const MAX_PROFILES: usize = 200;

/// A profile is like this from now on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ProfilePut")]
pub struct Put {
    /// Its name.
    pub name: String,
    /// All of it but its secrets.
    pub profile: Box<Profile>,
}

/// A profile is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ProfileDeleted")]
pub struct Deleted {
    /// Its name.
    pub name: String,
}

/// A wish about profiles.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Make one, or put it in the place of what there was of its name.
    Put {
        /// What it is to be.
        put: Put,
        /// Whether there is a key for it: that travels no network in the clear.
        has_key: bool,
    },
    /// Delete one.
    Delete(String),
}

/// All profiles that were made.
#[derive(Debug, Clone, Default)]
pub struct Book {
    /// By name.
    pub profiles: BTreeMap<String, Profile>,
}

impl Machine for Book {
    type Command = Command;
    type Effect = std::convert::Infallible;

    fn decide(&self, command: &Command, ctx: &Context<'_>) -> Result<Vec<Draft>, Refused> {
        ctx.caller.may_administer()?;
        match command {
            Command::Put { put, has_key } => {
                check_profile_name(&put.name)?;
                put.profile.check(*has_key)?;
                let before = self.profiles.get(&put.name);
                if before.is_none() && self.profiles.len() >= MAX_PROFILES {
                    return Err(Refused::TooMany { what: "profiles", limit: MAX_PROFILES });
                }
                let same = before == Some(&*put.profile);
                Ok((!same).then(|| put.clone().into()).into_iter().collect())
            }
            Command::Delete(name) if self.profiles.contains_key(name) => {
                Ok(vec![Deleted { name: name.clone() }.into()])
            }
            Command::Delete(name) => Err(Refused::not_found("profile", name)),
        }
    }

    fn apply(&mut self, event: &Event) {
        match &event.fact {
            Fact::ProfilePut(Put { name, profile }) => {
                self.profiles.insert(name.clone(), (**profile).clone());
            }
            Fact::ProfileDeleted(Deleted { name }) => {
                self.profiles.remove(name);
            }
            _ => {}
        }
    }

    fn deed(&self, event: &Event, _: &[Event]) -> Option<Deed> {
        Deed::in_profiles(event)
    }

    fn wanted(&self) -> Wanted<Self::Effect> {
        Wanted::nothing()
    }

    /// Whoever asks models looks at all of them, at any time.
    fn stays(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Node, Seq};
    use crate::principal::{Caller, Principal, Scope};
    use crate::profile::Provider;
    use crate::time::Time;

    fn tell(book: &mut Book, scope: Scope, command: &Command) -> Result<usize, Refused> {
        let caller = Caller::new(Principal::owner(), scope);
        let node = Node { name: "here".into(), incarnation: 1 };
        let ctx = Context { now: Time(7), caller: &caller, node: &node, next: Seq(1) };
        let drafts = book.decide(command, &ctx)?;
        for Draft { fact, turn, .. } in drafts.clone() {
            let by = Principal::owner();
            let event = Event { seq: Seq(1), at: Time(7), by, turn, key: None, fact };
            let again = Event::from_line(&event.to_line()).unwrap();
            assert_eq!(again, event, "what is written is read back");
            book.apply(&again);
        }
        Ok(drafts.len())
    }

    fn put(name: &str, base_url: Option<&str>, has_key: bool) -> Command {
        let profile =
            Profile { base_url: base_url.map(str::to_owned), ..Profile::new(Provider::Openai, "m") };
        Command::Put { put: Put { name: name.to_owned(), profile: Box::new(profile) }, has_key }
    }

    #[test]
    fn only_the_owner_changes_profiles() {
        let mut book = Book::default();
        for scope in [Scope::Viewer, Scope::Operator, Scope::Local] {
            assert!(matches!(tell(&mut book, scope, &put("a", None, true)), Err(Refused::Forbidden { .. })));
        }
        assert_eq!(tell(&mut book, Scope::Admin, &put("a", None, true)), Ok(1));
        let delete = Command::Delete("a".to_owned());
        assert!(matches!(tell(&mut book, Scope::Operator, &delete), Err(Refused::Forbidden { .. })));
        assert_eq!(tell(&mut book, Scope::Admin, &delete), Ok(1));
        assert!(matches!(tell(&mut book, Scope::Admin, &delete), Err(Refused::NotFound { .. })));
    }

    #[test]
    fn what_is_true_already_is_no_fact_and_what_cannot_be_is_refused() {
        let mut book = Book::default();
        assert_eq!(tell(&mut book, Scope::Admin, &put("a", Some("http://10.0.0.1/v1"), false)), Ok(1));
        assert_eq!(tell(&mut book, Scope::Admin, &put("a", Some("http://10.0.0.1/v1"), false)), Ok(0));
        let clear = tell(&mut book, Scope::Admin, &put("a", Some("http://10.0.0.1/v1"), true));
        assert!(matches!(clear, Err(Refused::Invalid { .. })), "a key travels no network in the clear");
        assert!(matches!(
            tell(&mut book, Scope::Admin, &put("a/b", None, true)),
            Err(Refused::Invalid { .. })
        ));
    }

    #[test]
    fn there_is_a_limit() {
        let mut book = Book::default();
        for n in 0..MAX_PROFILES {
            tell(&mut book, Scope::Admin, &put(&format!("p{n}"), None, true)).unwrap();
        }
        assert!(matches!(
            tell(&mut book, Scope::Admin, &put("one-more", None, true)),
            Err(Refused::TooMany { .. })
        ));
        assert_eq!(tell(&mut book, Scope::Admin, &put("p0", Some("https://h/v1"), true)), Ok(1));
    }
}
