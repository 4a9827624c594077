//! The map of a namespace: in the order of first insertion, with deadlines, and within its bounds.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{MAX_BYTES, MAX_KEYS, Put, Transferred};
use crate::raw::Raw;
use crate::refused::Refused;
use crate::time::Time;

/// How often a namespace was written, more or less: larger is later, and no number comes twice, also not after a restart.
///
/// It is the time in microseconds, unless the one before was as large.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
#[schemars(rename = "KeyRevision")]
pub struct Revision(pub u64);

impl Revision {
    /// The number `n` places further on.
    #[must_use]
    pub const fn plus(self, n: u64) -> Self {
        Self(self.0.saturating_add(n))
    }
}

/// What a key holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its value.
    pub value: Raw,
    /// Whose it is.
    pub owner: Option<Arc<str>>,
    /// When it goes by itself: it is there up to and including this.
    pub expires: Option<Time>,
    /// Its revision.
    pub revision: Revision,
}

impl Entry {
    fn lives(&self, now: Time) -> bool {
        self.expires.is_none_or(|expires| now <= expires)
    }

    pub(super) fn again(&self, key: &Arc<str>) -> Put {
        let Self { value, owner, expires, revision } = self.clone();
        Put { key: key.clone(), value, owner, expires, revision, again: true }
    }
}

/// The keys of a namespace with what they hold.
#[derive(Debug, Clone, Default)]
pub struct Entries {
    /// By the place of the key.
    places: BTreeMap<u64, (Arc<str>, Entry)>,
    by_key: HashMap<Arc<str>, u64>,
    due: BTreeSet<(Time, u64)>,
    next_place: u64,
    bytes: usize,
    newest: Revision,
}

/// Two are the same when they hold the same in the same order.
impl PartialEq for Entries {
    fn eq(&self, other: &Self) -> bool {
        self.all().eq(other.all())
    }
}

impl Eq for Entries {}

/// What still fits, while several keys are written together.
pub(super) struct Room<'a> {
    entries: &'a Entries,
    written: HashMap<Arc<str>, usize>,
    keys: usize,
    bytes: usize,
}

impl Room<'_> {
    pub(super) fn take(&mut self, put: &Put) -> Result<(), Refused> {
        let weight = weight(&put.key, &put.value);
        let before =
            self.written.insert(put.key.clone(), weight).or_else(|| self.entries.weight_of(&put.key));
        self.keys += usize::from(before.is_none());
        self.bytes = self.bytes + weight - before.unwrap_or(0);
        check(self.keys, self.bytes)
    }
}

fn check(keys: usize, bytes: usize) -> Result<(), Refused> {
    if keys > MAX_KEYS {
        return Err(Refused::TooMany { what: "keys in this namespace", limit: MAX_KEYS });
    }
    if bytes > MAX_BYTES {
        return Err(Refused::TooMany { what: "MiB in this namespace", limit: MAX_BYTES >> 20 });
    }
    Ok(())
}

impl Entries {
    /// What a key holds, if it is there.
    #[must_use]
    pub fn get(&self, key: &str, now: Time) -> Option<&Entry> {
        let (_, entry) = self.places.get(self.by_key.get(key)?)?;
        Some(entry).filter(|entry| entry.lives(now))
    }

    /// What is there, in order.
    pub fn living(&self, now: Time) -> impl Iterator<Item = (&Arc<str>, &Entry)> {
        self.all().filter(move |(_, entry)| entry.lives(now))
    }

    /// What is there behind a place, in order, each with its own. Places outlive what is written to their keys.
    pub fn behind(&self, place: u64, now: Time) -> impl Iterator<Item = (u64, &Arc<str>, &Entry)> {
        let behind = self.places.range(place.saturating_add(1)..);
        behind
            .filter(move |(_, (_, entry))| entry.lives(now))
            .map(|(place, (key, entry))| (*place, key, entry))
    }

    /// How many keys there are, those past their deadline included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// The revision of the newest write.
    #[must_use]
    pub const fn newest(&self) -> Revision {
        self.newest
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&Arc<str>, &Entry)> {
        self.places.values().map(|(key, entry)| (key, entry))
    }

    pub(super) fn next_revision(&self, now: Time) -> Revision {
        let micros = u64::try_from(now.0).unwrap_or(0).saturating_mul(1_000);
        self.newest.plus(1).max(Revision(micros))
    }

    /// How many bytes keys and values have together.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether one key fits.
    pub(super) fn has_room(&self, put: &Put) -> Result<(), Refused> {
        let before = self.weight_of(&put.key);
        let keys = self.len() + usize::from(before.is_none());
        check(keys, self.bytes + weight(&put.key, &put.value) - before.unwrap_or(0))
    }

    /// The room for several keys, of which one may come twice.
    pub(super) fn room(&self) -> Room<'_> {
        Room { entries: self, written: HashMap::new(), keys: self.len(), bytes: self.bytes }
    }

    fn weight_of(&self, key: &str) -> Option<usize> {
        let (key, entry) = self.places.get(self.by_key.get(key)?)?;
        Some(weight(key, &entry.value))
    }

    pub(super) fn overdue(&self, now: Time) -> impl Iterator<Item = (Arc<str>, Revision)> {
        let overdue = self.due.iter().take_while(move |(due, _)| *due < now);
        overdue
            .filter_map(|(_, place)| self.places.get(place))
            .map(|(key, entry)| (key.clone(), entry.revision))
    }

    pub(super) fn next_due(&self) -> Option<Time> {
        self.due.first().map(|(due, _)| due.plus_ms(1))
    }

    pub(super) fn put(&mut self, put: &Put, at: Time) {
        let before = self.by_key.get(&put.key).copied();
        // What is past its deadline is gone, though nobody has said so yet: the key comes anew, behind the others.
        let was_there =
            before.and_then(|place| self.places.get(&place)).is_some_and(|(_, entry)| entry.lives(at));
        if before.is_some() && !was_there && !put.again {
            self.remove(&put.key);
        }
        let place = *self.by_key.entry(put.key.clone()).or_insert_with(|| {
            self.next_place += 1;
            self.next_place
        });
        let Put { value, owner, expires, revision, .. } = put.clone();
        self.bytes += weight(&put.key, &value);
        let entry = Entry { value, owner, expires, revision };
        if let Some((key, old)) = self.places.insert(place, (put.key.clone(), entry)) {
            self.bytes -= weight(&key, &old.value);
            self.forget_due(old.expires, place);
        }
        self.due.extend(expires.map(|expires| (expires, place)));
        self.newest = self.newest.max(revision);
    }

    pub(super) fn remove(&mut self, key: &str) {
        let Some(place) = self.by_key.remove(key) else { return };
        if let Some((key, old)) = self.places.remove(&place) {
            self.bytes -= weight(&key, &old.value);
            self.forget_due(old.expires, place);
        }
    }

    /// Drops all. No revision up to this one comes again.
    pub(super) fn reset(&mut self, newest: Revision) {
        *self = Self { newest, ..Self::default() };
    }

    pub(super) fn clear(&mut self) {
        *self = Self { newest: self.newest, next_place: self.next_place, ..Self::default() };
    }

    pub(super) fn transfer(&mut self, transferred: &Transferred, at: Time) {
        for key in &transferred.keys {
            let place = self.by_key.get(key).copied();
            let entry = place.and_then(|place| self.places.get_mut(&place)).map(|(_, entry)| entry);
            if let Some(entry) = entry.filter(|entry| entry.lives(at)) {
                entry.owner = Some(transferred.to.clone());
                entry.revision = transferred.revision;
            }
        }
        self.newest = self.newest.max(transferred.revision);
    }

    fn forget_due(&mut self, expires: Option<Time>, place: u64) {
        if let Some(expires) = expires {
            self.due.remove(&(expires, place));
        }
    }
}

/// How many bytes of a log a key takes with its value: control characters are written as six.
fn weight(key: &str, value: &Raw) -> usize {
    written(key) + value.get().len()
}

/// How many bytes a text takes as JSON.
pub(super) fn written(text: &str) -> usize {
    let of = |byte: u8| match byte {
        0..0x20 => 6,
        b'"' | b'\\' => 2,
        _ => 1,
    };
    text.bytes().map(of).sum()
}
