//! The MCP servers that were made while the daemon ran, and those of projects that a person has let run: facts, and the rules
//! over them. No secret is among these facts.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Server, check_server_name};
use crate::audit::Deed;
use crate::event::{Event, Fact};
use crate::machine::{Context, Draft, Machine, Wanted};
use crate::refused::Refused;

/// How many servers may be made.
pub const MAX_SERVERS: usize = 200;
/// How many servers of projects may be let run.
pub const MAX_TRUSTED: usize = 1_000;

/// A server is like this from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "McpPut")]
pub struct Put {
    /// Its name.
    pub name: String,
    /// All of it but its secrets.
    pub server: Box<Server>,
}

/// A server is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "McpDeleted")]
pub struct Deleted {
    /// Its name.
    pub name: String,
}

/// A server that a project brings may run, as long as it is just the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "McpTrusted")]
pub struct Trusted {
    /// The workspace.
    pub workspace: String,
    /// The server's name there.
    pub server: String,
    /// A hash of all that is said of it there.
    pub fingerprint: String,
}

/// A server that a project brings may no longer run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "McpDistrusted")]
pub struct Distrusted {
    /// The workspace.
    pub workspace: String,
    /// The server's name there.
    pub server: String,
}

/// A wish about MCP servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Make one, or put it in the place of what there was of its name.
    Put(Put),
    /// Delete one.
    Delete(String),
    /// Let one of a project run.
    Trust(Trusted),
    /// Let it run no longer.
    Distrust(Distrusted),
}

/// All servers that were made, and which of projects may run.
#[derive(Debug, Clone, Default)]
pub struct Book {
    /// By name.
    pub servers: BTreeMap<String, Server>,
    /// Those of projects that may run: one of each name in a workspace.
    pub trusted: BTreeSet<Trusted>,
}

impl Book {
    /// Whether a person has let this run.
    #[must_use]
    pub fn trusts(&self, server: &Trusted) -> bool {
        self.trusted.contains(server)
    }

    fn drop_trust(&mut self, workspace: &str, server: &str) {
        self.trusted.retain(|trusted| trusted.workspace != workspace || trusted.server != server);
    }
}

impl Machine for Book {
    type Command = Command;
    type Effect = std::convert::Infallible;

    fn decide(&self, command: &Command, ctx: &Context<'_>) -> Result<Vec<Draft>, Refused> {
        match command {
            Command::Put(put) => {
                ctx.caller.may_administer()?;
                check_server_name(&put.name)?;
                put.server.check()?;
                let before = self.servers.get(&put.name);
                if before.is_none() && self.servers.len() >= MAX_SERVERS {
                    return Err(Refused::TooMany { what: "MCP servers", limit: MAX_SERVERS });
                }
                let same = before == Some(&*put.server);
                Ok((!same).then(|| put.clone().into()).into_iter().collect())
            }
            Command::Delete(name) => {
                ctx.caller.may_administer()?;
                if !self.servers.contains_key(name) {
                    return Err(Refused::not_found("MCP server", name));
                }
                Ok(vec![Deleted { name: name.clone() }.into()])
            }
            Command::Trust(trusted) => {
                // It is a permission, as any other that a person gives to an agent.
                ctx.caller.may_operate()?;
                if self.trusts(trusted) {
                    return Ok(Vec::new());
                }
                if self.trusted.len() >= MAX_TRUSTED {
                    return Err(Refused::TooMany { what: "trusted MCP servers", limit: MAX_TRUSTED });
                }
                Ok(vec![trusted.clone().into()])
            }
            Command::Distrust(distrusted) => {
                ctx.caller.may_operate()?;
                let Distrusted { workspace, server } = distrusted;
                let known =
                    self.trusted.iter().any(|one| one.workspace == *workspace && one.server == *server);
                Ok(known.then(|| distrusted.clone().into()).into_iter().collect())
            }
        }
    }

    fn apply(&mut self, event: &Event) {
        match &event.fact {
            Fact::McpPut(Put { name, server }) => {
                self.servers.insert(name.clone(), (**server).clone());
            }
            Fact::McpDeleted(Deleted { name }) => {
                self.servers.remove(name);
            }
            Fact::McpTrusted(trusted) => {
                // What it was before may run no longer.
                self.drop_trust(&trusted.workspace, &trusted.server);
                self.trusted.insert(trusted.clone());
            }
            Fact::McpDistrusted(Distrusted { workspace, server }) => self.drop_trust(workspace, server),
            _ => {}
        }
    }

    fn deed(&self, event: &Event, _: &[Event]) -> Option<Deed> {
        Deed::in_mcp(event)
    }

    fn wanted(&self) -> Wanted<Self::Effect> {
        Wanted::nothing()
    }

    /// Whoever connects looks at all of them, at any time.
    fn stays(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Node, Seq};
    use crate::principal::{Caller, Principal, Scope};
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
            assert!(book.deed(&again, &[]).is_some(), "the audit tells of it");
            book.apply(&again);
        }
        Ok(drafts.len())
    }

    fn put(name: &str, command: &str) -> Command {
        let server = Server { command: Some(command.to_owned()), ..Server::default() };
        Command::Put(Put { name: name.to_owned(), server: Box::new(server) })
    }

    fn trust(fingerprint: &str) -> Trusted {
        Trusted { workspace: "/w".into(), server: "s".into(), fingerprint: fingerprint.into() }
    }

    #[test]
    fn only_the_owner_makes_servers_and_there_is_a_limit() {
        let mut book = Book::default();
        for scope in [Scope::Viewer, Scope::Operator, Scope::Local] {
            assert!(matches!(tell(&mut book, scope, &put("a", "x")), Err(Refused::Forbidden { .. })));
        }
        assert_eq!(tell(&mut book, Scope::Admin, &put("a", "x")), Ok(1));
        assert_eq!(tell(&mut book, Scope::Admin, &put("a", "x")), Ok(0), "it is true already");
        assert_eq!(tell(&mut book, Scope::Admin, &put("a", "y")), Ok(1));
        for n in 1..MAX_SERVERS {
            tell(&mut book, Scope::Admin, &put(&format!("s{n}"), "x")).unwrap();
        }
        let more = tell(&mut book, Scope::Admin, &put("more", "x"));
        assert!(matches!(more, Err(Refused::TooMany { .. })));
        let delete = Command::Delete("a".to_owned());
        assert!(matches!(tell(&mut book, Scope::Operator, &delete), Err(Refused::Forbidden { .. })));
        assert_eq!(tell(&mut book, Scope::Admin, &delete), Ok(1));
        assert!(matches!(tell(&mut book, Scope::Admin, &delete), Err(Refused::NotFound { .. })));
    }

    #[test]
    fn what_a_project_brings_runs_only_as_it_was_when_a_person_let_it() {
        let mut book = Book::default();
        let viewer = tell(&mut book, Scope::Viewer, &Command::Trust(trust("1")));
        assert!(matches!(viewer, Err(Refused::Forbidden { .. })));
        assert!(!book.trusts(&trust("1")));
        assert_eq!(tell(&mut book, Scope::Operator, &Command::Trust(trust("1"))), Ok(1));
        assert_eq!(tell(&mut book, Scope::Operator, &Command::Trust(trust("1"))), Ok(0));
        assert!(book.trusts(&trust("1")) && !book.trusts(&trust("2")));
        assert!(!book.trusts(&Trusted { workspace: "/other".into(), ..trust("1") }));
        tell(&mut book, Scope::Operator, &Command::Trust(trust("2"))).unwrap();
        assert!(book.trusts(&trust("2")) && !book.trusts(&trust("1")), "the former may run no longer");
        let distrust = Command::Distrust(Distrusted { workspace: "/w".into(), server: "s".into() });
        assert_eq!(tell(&mut book, Scope::Operator, &distrust), Ok(1));
        assert_eq!(tell(&mut book, Scope::Operator, &distrust), Ok(0));
        assert!(book.trusted.is_empty());
    }
}
