//! The book of unanswered requests, in one direction: who asked whom, under which id.
//!
//! An id is known by its exact bytes at the peer that answers. A request whose id is already taken there is sent
//! under a new one, and the answer gets the asker's own bytes back, so that an answer can reach nobody but who
//! asked. An entry whose asker is gone or was told something else stays, as an *orphan*, until the answer comes:
//! its id stays taken. Where too many pile up the oldest are forgotten, and from then on every request to that
//! peer is renamed, so that a forgotten answer can match nothing.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

/// No entry, no peer, no session.
pub(super) const NONE: u32 = u32::MAX;

/// The bytes of an id. Those of up to 46 bytes, such as quoted UUIDs, need no allocation.
#[derive(Clone, Debug)]
pub(super) enum Id {
    Short(u8, [u8; 46]),
    Long(Box<[u8]>),
}

impl Id {
    fn new(bytes: &[u8]) -> Self {
        let mut short = [0; 46];
        match short.get_mut(..bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                Self::Short(bytes.len() as u8, short)
            }
            None => Self::Long(bytes.into()),
        }
    }

    /// The bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Short(len, bytes) => &bytes[..usize::from(*len)],
            Self::Long(bytes) => bytes,
        }
    }
}

/// One unanswered request.
#[derive(Debug)]
pub(super) struct Entry {
    /// Who waits for the answer; [`NONE`] for an orphan and for a question of the router's own.
    pub(super) asker: u32,
    /// Whether the router itself asked.
    pub(super) own: bool,
    /// The id as the asker wrote it.
    pub(super) id: Id,
    /// The id as the answerer got it, if it is another.
    renamed: Option<Box<[u8]>>,
    /// The hash under which it is found.
    hash: u64,
    /// The session that it belongs to, or [`NONE`].
    pub(super) session: u32,
    /// When it was sent.
    pub(super) sent: u64,
    answerer: u32,
    /// Neighbours in the lists of the asker and of the answerer.
    by_asker: Links,
    by_answerer: Links,
}

impl Entry {
    fn is_orphan(&self) -> bool {
        self.asker == NONE && !self.own
    }

    /// Whether the answerer got another id than the asker wrote.
    pub(super) fn is_renamed(&self) -> bool {
        self.renamed.is_some()
    }

    fn wire(&self) -> &[u8] {
        self.renamed.as_deref().unwrap_or_else(|| self.id.bytes())
    }
}

#[derive(Clone, Copy, Debug)]
struct Links {
    before: u32,
    after: u32,
}

const ALONE: Links = Links { before: NONE, after: NONE };

/// The ends of one peer's list, and how long it is.
#[derive(Clone, Copy, Debug)]
struct Ends {
    first: u32,
    last: u32,
    count: u32,
}

const EMPTY: Ends = Ends { first: NONE, last: NONE, count: 0 };

/// What is known of one answerer.
#[derive(Debug)]
struct Answerer {
    /// Entries that somebody waits for, oldest first.
    awaited: Ends,
    /// Orphans, those that became it first in front.
    orphans: Ends,
    /// Set when an orphan was forgotten: no id is trusted to be free any more.
    rename_all: bool,
}

/// The book.
#[derive(Debug, Default)]
pub(super) struct Book {
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    by_id: HashTable<u32>,
    hasher: DefaultHashBuilder,
    askers: Vec<Ends>,
    answerers: Vec<Answerer>,
    /// Counts the names that were given.
    names: u64,
}

/// A request to be entered.
pub(super) struct Ask<'a> {
    pub(super) asker: u32,
    pub(super) answerer: u32,
    pub(super) id: &'a [u8],
    pub(super) session: u32,
    pub(super) sent: u64,
    pub(super) own: bool,
}

impl Book {
    /// Enters a request. Returns its place, and the id to send it under if that is not its own. `None` if the
    /// answerer owes `max` answers already.
    pub(super) fn ask(&mut self, ask: &Ask<'_>, max: usize) -> Option<(u32, Option<Box<[u8]>>)> {
        self.know(ask);
        let Answerer { awaited, orphans, .. } = &self.answerers[ask.answerer as usize];
        if (awaited.count + orphans.count) as usize >= max && !self.forget(ask.answerer) {
            return None;
        }
        let mut hash = self.hash(ask.answerer, ask.id);
        let mut renamed = None;
        if self.answerers[ask.answerer as usize].rename_all || self.at(hash, ask.answerer, ask.id).is_some() {
            let name = self.new_name(ask.answerer);
            hash = self.hash(ask.answerer, &name);
            renamed = Some(name);
        }
        let entry = Entry {
            asker: ask.asker,
            own: ask.own,
            id: Id::new(ask.id),
            renamed: renamed.clone(),
            hash,
            session: ask.session,
            sent: ask.sent,
            answerer: ask.answerer,
            by_asker: ALONE,
            by_answerer: ALONE,
        };
        let place = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            self.entries.len() as u32 - 1
        });
        self.entries[place as usize] = Some(entry);
        let entries = &self.entries;
        let rehash = |&place: &u32| entries[place as usize].as_ref().map_or(0, |entry| entry.hash);
        // In a table that is nearly full, entries that come and go would have it tidied up all the time.
        if self.by_id.capacity() < 2 * self.by_id.len() {
            self.by_id.reserve(self.by_id.len(), rehash);
        }
        self.by_id.insert_unique(hash, place, rehash);
        self.link(place);
        Some((place, renamed))
    }

    /// The id whose answer comes under this one, if it is awaited.
    pub(super) fn find(&self, answerer: u32, wire: &[u8]) -> Option<u32> {
        self.at(self.hash(answerer, wire), answerer, wire)
    }

    fn at(&self, hash: u64, answerer: u32, wire: &[u8]) -> Option<u32> {
        let same = |&place: &u32| {
            self.entries[place as usize].as_ref().is_some_and(|e| e.answerer == answerer && e.wire() == wire)
        };
        self.by_id.find(hash, same).copied()
    }

    /// The entry at a place that [`find`](Self::find) or [`ask`](Self::ask) gave.
    pub(super) fn get(&self, place: u32) -> Option<&Entry> {
        self.entries.get(place as usize)?.as_ref()
    }

    /// Takes an entry out.
    pub(super) fn take(&mut self, place: u32) -> Option<Entry> {
        let hash = self.get(place)?.hash;
        if let Ok(found) = self.by_id.find_entry(hash, |&other| other == place) {
            found.remove();
        }
        self.unlink(place);
        self.free.push(place);
        self.entries[place as usize].take()
    }

    /// Nobody waits for this entry any more; its id stays taken. Returns the session that it belonged to.
    pub(super) fn orphan(&mut self, place: u32) -> u32 {
        if self.get(place).is_none_or(Entry::is_orphan) {
            return NONE;
        }
        self.unlink(place);
        let mut session = NONE;
        self.change(place, |entry| {
            (entry.asker, entry.own) = (NONE, false);
            session = std::mem::replace(&mut entry.session, NONE);
        });
        self.link(place);
        session
    }

    /// The first entry that an asker waits for.
    pub(super) fn first_of_asker(&self, asker: u32) -> Option<u32> {
        self.askers.get(asker as usize).map(|ends| ends.first).filter(|&first| first != NONE)
    }

    /// The oldest entry that is awaited from a peer.
    pub(super) fn first_of_answerer(&self, answerer: u32) -> Option<u32> {
        self.answerers.get(answerer as usize).map(|a| a.awaited.first).filter(|&first| first != NONE)
    }

    /// The entry that is awaited next from the same peer.
    pub(super) fn after(&self, place: u32) -> Option<u32> {
        self.get(place).map(|entry| entry.by_answerer.after).filter(|&after| after != NONE)
    }

    /// Whether everything awaited from a peer is awaited by this asker.
    pub(super) fn all_of(&self, answerer: u32, asker: u32) -> bool {
        let mut place = self.first_of_answerer(answerer);
        while let Some(entry) = place.and_then(|place| self.get(place)) {
            if entry.asker != asker && !entry.own {
                return false;
            }
            place = Some(entry.by_answerer.after);
        }
        true
    }

    /// How many answers an asker waits for.
    pub(super) fn asked_by(&self, asker: u32) -> usize {
        self.askers.get(asker as usize).map_or(0, |ends| ends.count as usize)
    }

    /// How many answers a peer owes to somebody who waits.
    pub(super) fn owed_by(&self, answerer: u32) -> usize {
        self.answerers.get(answerer as usize).map_or(0, |a| a.awaited.count as usize)
    }

    /// All entries, orphans too.
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// The answerer is gone and starts anew: drops its orphans, and what was remembered of it. What is awaited
    /// from it must have been taken out.
    pub(super) fn renew(&mut self, answerer: u32) {
        while self.forget(answerer) {}
        if let Some(answerer) = self.answerers.get_mut(answerer as usize) {
            debug_assert_eq!(answerer.awaited.count, 0, "nobody waits for one that is gone");
            answerer.rename_all = false;
        }
    }

    /// Gives up the oldest orphan of an answerer, if it has one.
    fn forget(&mut self, answerer: u32) -> bool {
        let Some(known) = self.answerers.get_mut(answerer as usize) else { return false };
        if known.orphans.first == NONE {
            return false;
        }
        known.rename_all = true;
        let oldest = known.orphans.first;
        self.take(oldest);
        true
    }

    fn new_name(&mut self, answerer: u32) -> Box<[u8]> {
        loop {
            self.names += 1;
            let name = format!("\"stdio_bus:{}\"", self.names).into_bytes();
            if self.find(answerer, &name).is_none() {
                return name.into();
            }
        }
    }

    fn hash(&self, answerer: u32, wire: &[u8]) -> u64 {
        self.hasher.hash_one((answerer, wire))
    }

    fn know(&mut self, ask: &Ask<'_>) {
        if ask.asker != NONE && self.askers.len() <= ask.asker as usize {
            self.askers.resize(ask.asker as usize + 1, EMPTY);
        }
        while self.answerers.len() <= ask.answerer as usize {
            self.answerers.push(Answerer { awaited: EMPTY, orphans: EMPTY, rename_all: false });
        }
    }

    fn link(&mut self, place: u32) {
        let Some(entry) = self.get(place) else { return };
        let (asker, answerer, orphan) = (entry.asker, entry.answerer, entry.is_orphan());
        let before = append(self.answerers[answerer as usize].ends(orphan), place);
        self.change(before, |entry| entry.by_answerer.after = place);
        self.change(place, |entry| entry.by_answerer = Links { before, after: NONE });
        if asker != NONE {
            let before = append(&mut self.askers[asker as usize], place);
            self.change(before, |entry| entry.by_asker.after = place);
            self.change(place, |entry| entry.by_asker = Links { before, after: NONE });
        }
    }

    fn unlink(&mut self, place: u32) {
        let Some(entry) = self.get(place) else { return };
        let (asker, answerer, orphan) = (entry.asker, entry.answerer, entry.is_orphan());
        let (by_asker, by_answerer) = (entry.by_asker, entry.by_answerer);
        self.change(by_answerer.before, |entry| entry.by_answerer.after = by_answerer.after);
        self.change(by_answerer.after, |entry| entry.by_answerer.before = by_answerer.before);
        cut(self.answerers[answerer as usize].ends(orphan), by_answerer);
        if asker != NONE {
            self.change(by_asker.before, |entry| entry.by_asker.after = by_asker.after);
            self.change(by_asker.after, |entry| entry.by_asker.before = by_asker.before);
            cut(&mut self.askers[asker as usize], by_asker);
        }
    }

    fn change(&mut self, place: u32, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.entries.get_mut(place as usize).and_then(Option::as_mut) {
            change(entry);
        }
    }
}

impl Answerer {
    fn ends(&mut self, orphans: bool) -> &mut Ends {
        if orphans { &mut self.orphans } else { &mut self.awaited }
    }
}

/// Puts a place at the end of a list; returns the one that was last.
fn append(ends: &mut Ends, place: u32) -> u32 {
    let before = std::mem::replace(&mut ends.last, place);
    if before == NONE {
        ends.first = place;
    }
    ends.count += 1;
    before
}

/// Takes a place with these neighbours out of a list's ends.
fn cut(ends: &mut Ends, links: Links) {
    if links.before == NONE {
        ends.first = links.after;
    }
    if links.after == NONE {
        ends.last = links.before;
    }
    ends.count -= 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(book: &mut Book, asker: u32, answerer: u32, id: &str) -> Option<(u32, Option<String>)> {
        let ask = Ask { asker, answerer, id: id.as_bytes(), session: NONE, sent: 0, own: false };
        let text = |id: Box<[u8]>| String::from_utf8(id.into()).unwrap();
        book.ask(&ask, 3).map(|(place, renamed)| (place, renamed.map(text)))
    }

    #[test]
    fn an_id_that_is_taken_is_renamed_and_given_back() {
        let mut book = Book::default();
        assert_eq!(ask(&mut book, 0, 0, "5").unwrap().1, None);
        assert_eq!(ask(&mut book, 1, 0, "\"5\"").unwrap().1, None, "other bytes, another id");
        assert_eq!(ask(&mut book, 0, 1, "5").unwrap().1, None, "another answerer");
        let (place, renamed) = ask(&mut book, 1, 0, "5").unwrap();
        let found = book.find(0, renamed.unwrap().as_bytes()).unwrap();
        assert_eq!(found, place);
        let entry = book.take(found).unwrap();
        assert_eq!((entry.asker, entry.id.bytes()), (1, &b"5"[..]));
        let first = book.find(0, b"5").unwrap();
        assert_eq!(book.take(first).unwrap().asker, 0);
        assert!(book.find(0, b"5").is_none());
        assert_eq!((book.len(), book.owed_by(0), book.asked_by(0)), (2, 1, 1));
    }

    #[test]
    fn forgotten_orphans_make_every_later_id_a_new_one() {
        let mut book = Book::default();
        for id in ["1", "2", "3"] {
            ask(&mut book, 0, 0, id).unwrap();
        }
        assert!(ask(&mut book, 0, 0, "4").is_none(), "the bound holds while everybody waits");
        let second = book.find(0, b"2").unwrap();
        book.orphan(second);
        assert_eq!((book.owed_by(0), book.asked_by(0)), (2, 2));
        assert!(
            ask(&mut book, 0, 0, "2").unwrap().1.is_some(),
            "the orphan was given up, its id is not trusted"
        );
        assert!(book.find(0, b"2").is_none());
        assert!(ask(&mut book, 0, 0, "5").is_none());
        while let Some(place) = book.first_of_answerer(0) {
            book.take(place);
        }
        book.renew(0);
        assert_eq!(ask(&mut book, 0, 0, "2").unwrap().1, None);
    }

    #[test]
    fn long_ids_are_compared_to_their_end() {
        let mut book = Book::default();
        let (one, other) = (format!("\"{}1\"", "x".repeat(300)), format!("\"{}2\"", "x".repeat(300)));
        ask(&mut book, 0, 0, &one).unwrap();
        assert_eq!(ask(&mut book, 1, 0, &other).unwrap().1, None);
        let place = book.find(0, other.as_bytes()).unwrap();
        assert_eq!(book.take(place).unwrap().asker, 1);
    }
}
