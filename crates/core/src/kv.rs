//! Key and value: what agents share, by namespace.
//!
//! A namespace is one log and one map, in the order in which its keys first came: writing a key again keeps its place, and
//! deleting it first puts it last. Each key has a value, an owner if one was named, a revision, and maybe a deadline. What
//! is past its deadline is not there, whoever asks; that the key is gone follows as a fact.

mod entry;

use std::collections::VecDeque;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{Event, Fact};
use crate::id::LogId;
use crate::machine::{Context, Draft, Grown, Latest, Machine, Wanted};
use crate::raw::Raw;
use crate::refused::Refused;
use crate::text::check_size;
use crate::time::Time;

pub use entry::{Entries, Entry, Revision};

/// How many bytes a key or the name of an owner may have.
pub const MAX_KEY_BYTES: usize = 1_024;
/// How many bytes a value may have.
pub const MAX_VALUE_BYTES: usize = 8 << 20;
/// How many keys a namespace may have.
pub const MAX_KEYS: usize = 50_000;
/// How many bytes the keys and values of a namespace may have together, so that one frame can hold all of them.
pub const MAX_BYTES: usize = 16 << 20;
/// How many transfers are remembered; the oldest is forgotten first.
pub const MAX_TRANSFERS: usize = 1_000;
/// How many bytes the receipts of the transfers may have; the oldest is forgotten first. No single one may have more.
pub const MAX_RECEIPT_BYTES: usize = 2 << 20;
/// How many bytes a log may have on top of what lives, so that small ones are not written anew all the time.
const SLACK_BYTES: usize = 512 << 10;
/// How many keys one tick drops, so that no frame is too large; the next tick goes on.
const EXPIRED_AT_ONCE: usize = 1_000;

/// A key has a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KeyPut")]
pub struct Put {
    /// The key.
    pub key: Arc<str>,
    /// Its value.
    pub value: Raw,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Arc<str>>,
    /// When it goes by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
    /// Its revision.
    pub revision: Revision,
    /// Whether this only repeats what was so before, because the log was shortened.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
}

/// A key was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KeyDeleted")]
pub struct Deleted {
    /// The key.
    pub key: Arc<str>,
}

/// A key went by itself, at its deadline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KeyExpired")]
pub struct Expired {
    /// The key.
    pub key: Arc<str>,
    /// The revision that it had.
    pub revision: Revision,
}

/// All keys of the namespace were deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KeysCleared")]
pub struct Cleared {
    /// How many there were.
    pub count: u64,
}

/// Keys went over to another owner: the receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KeysTransferred")]
pub struct Transferred {
    /// Whose they were.
    pub from: Arc<str>,
    /// Whose they are.
    pub to: Arc<str>,
    /// Which, in the order of the namespace. Those that were asked for and are not here belong to somebody else, or are
    /// not there.
    pub keys: Vec<Arc<str>>,
    /// The revision that they have since then.
    pub revision: Revision,
    /// When it was, where the log was shortened since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
}

/// What follows is all that there is: the log was shortened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KeysReset")]
pub struct Reset {
    /// The newest revision: none up to it comes again.
    pub revision: Revision,
}

/// What a key must be like for a write to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Anything.
    Any,
    /// Not there.
    Absent,
    /// There, with this revision.
    Revision(Revision),
}

/// When a key goes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ttl {
    /// Never.
    Forever,
    /// So many milliseconds after it was written. 0 and less: it is gone at once.
    Ms(i64),
}

/// A wish about a namespace.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Write a key: value, owner and deadline are replaced.
    Put {
        /// The key.
        key: Arc<str>,
        /// Its value.
        value: Raw,
        /// Whose it is.
        owner: Option<Arc<str>>,
        /// How long it lasts.
        ttl: Ttl,
        /// What it must be like before.
        expect: Expect,
    },
    /// Delete a key. True already when it is not there.
    Delete(Arc<str>, Expect),
    /// Delete all keys.
    Clear,
    /// Write these keys, without owner and deadline.
    Restore(Vec<(Arc<str>, Raw)>),
    /// Give the keys of one owner to another: these, or all of them.
    Transfer {
        /// Whose they are.
        from: Arc<str>,
        /// Whose they are to be.
        to: Arc<str>,
        /// Which; those that belong to a third are passed over, those that belong to nobody are not.
        keys: Option<Vec<Arc<str>>>,
    },
    /// Time has passed.
    Tick,
}

/// A namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespace {
    /// Its keys. What is past its deadline may still be among them: ask with the time.
    pub entries: Entries,
    /// The newest transfers, the last one last.
    pub transfers: VecDeque<(Transferred, Time)>,
    receipt_bytes: usize,
}

impl Namespace {
    fn put(&self, put: Put, ctx: &Context<'_>, expect: Expect) -> Result<Draft, Refused> {
        check_key("key", &put.key)?;
        put.owner.as_ref().map_or(Ok(()), |owner| check_key("owner", owner))?;
        check_size("value", put.value.get().len(), MAX_VALUE_BYTES)?;
        let before = self.entries.get(&put.key, ctx.now);
        check_revision(&put.key, before, expect)?;
        Ok(put.into())
    }

    fn restore(&self, values: &[(Arc<str>, Raw)], ctx: &Context<'_>) -> Result<Vec<Draft>, Refused> {
        let (mut room, mut drafts) = (self.entries.room(), Vec::with_capacity(values.len()));
        for (n, (key, value)) in values.iter().enumerate() {
            let revision = self.entries.next_revision(ctx.now).plus(n as u64);
            let put = Put {
                key: key.clone(),
                value: value.clone(),
                owner: None,
                expires: None,
                revision,
                again: false,
            };
            room.take(&put)?;
            drafts.push(self.put(put, ctx, Expect::Any)?);
        }
        Ok(drafts)
    }

    fn transfer(
        &self,
        from: &Arc<str>,
        to: &Arc<str>,
        keys: Option<&[Arc<str>]>,
        ctx: &Context<'_>,
    ) -> Result<Vec<Draft>, Refused> {
        check_key("from", from)?;
        check_key("to", to)?;
        let is_theirs = |entry: &Entry| entry.owner.as_ref() == Some(from);
        let keys: Vec<_> = match keys {
            None => {
                let theirs = self.entries.living(ctx.now).filter(|(_, entry)| is_theirs(entry));
                theirs.map(|(key, _)| key.clone()).collect()
            }
            Some(keys) => {
                let mut seen = std::collections::HashSet::new();
                let may_go = |key: &&Arc<str>| {
                    let entry = self.entries.get(key, ctx.now);
                    entry.is_some_and(|entry| entry.owner.is_none() || is_theirs(entry))
                        && seen.insert((*key).clone())
                };
                keys.iter().filter(may_go).cloned().collect()
            }
        };
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        check_size("keys", bytes_of(&keys), MAX_RECEIPT_BYTES)?;
        let revision = self.entries.next_revision(ctx.now);
        Ok(vec![Transferred { from: from.clone(), to: to.clone(), keys, revision, at: None }.into()])
    }
}

impl Machine for Namespace {
    type Command = Command;
    type Effect = std::convert::Infallible;

    fn decide(&self, command: &Command, ctx: &Context<'_>) -> Result<Vec<Draft>, Refused> {
        if matches!(command, Command::Tick) {
            let due = self.entries.overdue(ctx.now).take(EXPIRED_AT_ONCE);
            return Ok(due.map(|(key, revision)| Expired { key, revision }.into()).collect());
        }
        ctx.caller.may_use_bus()?;
        match command {
            Command::Put { key, value, owner, ttl, expect } => {
                let expires = match ttl {
                    Ttl::Forever => None,
                    Ttl::Ms(ms) => Some(Time(ctx.now.0.saturating_add((*ms).max(0)))),
                };
                // A deadline of now is not passed yet, and this one is to be.
                let expires =
                    if matches!(ttl, Ttl::Ms(ms) if *ms <= 0) { Some(Time(ctx.now.0 - 1)) } else { expires };
                let (key, value, owner) = (key.clone(), value.clone(), owner.clone());
                let revision = self.entries.next_revision(ctx.now);
                let put = Put { key, value, owner, expires, revision, again: false };
                self.entries.has_room(&put)?;
                Ok(vec![self.put(put, ctx, *expect)?])
            }
            Command::Delete(key, expect) => {
                let before = self.entries.get(key, ctx.now);
                check_revision(key, before, *expect)?;
                Ok(before.map(|_| Deleted { key: key.clone() }.into()).into_iter().collect())
            }
            Command::Clear => {
                let count = self.entries.living(ctx.now).count() as u64;
                Ok(if self.entries.is_empty() { Vec::new() } else { vec![Cleared { count }.into()] })
            }
            Command::Restore(values) => self.restore(values, ctx),
            Command::Transfer { from, to, keys } => self.transfer(from, to, keys.as_deref(), ctx),
            Command::Tick => Ok(Vec::new()),
        }
    }

    fn apply(&mut self, event: &Event) {
        match &event.fact {
            Fact::KeyPut(put) => self.entries.put(put, event.at),
            Fact::KeyDeleted(Deleted { key }) | Fact::KeyExpired(Expired { key, .. }) => {
                self.entries.remove(key);
            }
            Fact::KeysCleared(_) => self.entries.clear(),
            Fact::KeysTransferred(transferred) => {
                if transferred.at.is_none() {
                    self.entries.transfer(transferred, event.at);
                }
                let at = transferred.at.unwrap_or(event.at);
                self.transfers.push_back((Transferred { at: Some(at), ..transferred.clone() }, at));
                self.receipt_bytes += bytes_of(&transferred.keys);
                while self.transfers.len() > MAX_TRANSFERS || self.receipt_bytes > MAX_RECEIPT_BYTES {
                    let Some((oldest, _)) = self.transfers.pop_front() else { break };
                    self.receipt_bytes -= bytes_of(&oldest.keys);
                }
            }
            Fact::KeysReset(reset) => {
                *self = Self::default();
                self.entries.reset(reset.revision);
            }
            _ => {}
        }
    }

    fn wanted(&self) -> Wanted<Self::Effect> {
        Wanted { effects: Vec::new(), next: self.entries.next_due() }
    }

    fn tick() -> Option<Command> {
        Some(Command::Tick)
    }

    fn stays(&self) -> bool {
        self.entries.next_due().is_some()
    }

    fn compaction(&self, grown: Grown) -> Option<Vec<Draft>> {
        if self.entries.is_empty() && self.transfers.is_empty() {
            return Some(Vec::new());
        }
        // What is written again costs less than what came before it, and the log stays within four times what lives.
        let lives = self.entries.bytes() + self.receipt_bytes;
        (grown.bytes >= SLACK_BYTES + 3 * lives).then(|| self.snapshot())
    }
}

impl Latest for Namespace {
    fn owns(log: &LogId) -> bool {
        log.as_kv().is_some()
    }

    fn snapshot(&self) -> Vec<Draft> {
        let receipts = self.transfers.iter().map(|(transferred, _)| Draft::from(transferred.clone()));
        let keys = self.entries.all().map(|(key, entry)| Draft::from(entry.again(key)));
        [Reset { revision: self.entries.newest() }.into()].into_iter().chain(receipts).chain(keys).collect()
    }
}

fn check_key(field: &'static str, text: &str) -> Result<(), Refused> {
    check_size(field, text.len(), MAX_KEY_BYTES)
}

fn bytes_of(keys: &[Arc<str>]) -> usize {
    keys.iter().map(|key| entry::written(key) + 3).sum()
}

fn check_revision(key: &str, before: Option<&Entry>, expect: Expect) -> Result<(), Refused> {
    let found = before.map(|entry| entry.revision);
    let is_so = match expect {
        Expect::Any => true,
        Expect::Absent => found.is_none(),
        Expect::Revision(revision) => found == Some(revision),
    };
    if is_so {
        Ok(())
    } else {
        Err(Refused::Changed { key: key.to_owned(), revision: found.map(|found| found.0) })
    }
}

#[cfg(test)]
mod tests;
