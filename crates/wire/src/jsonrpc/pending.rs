//! The books: who owes whom an answer.

use super::Id;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Requests of ours without an answer, each with what its answer is for.
///
/// Ids are the caller's strings, so that they can be derived from what is in the log and the map rebuilt from it.
#[derive(Debug)]
pub struct Outgoing<T> {
    max: usize,
    pending: BTreeMap<String, T>,
}

/// Requests of theirs that we owe an answer, each with what is needed to give it.
///
/// Whoever takes an entry out is the one to answer it, so each gets exactly one answer.
#[derive(Debug)]
pub struct Incoming<T> {
    max: usize,
    pending: BTreeMap<Id, T>,
}

/// Why a request was not entered. The caller's value was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// A request with this id is still unanswered. One of theirs must be left alone: an answer would be taken
    /// for that of the first.
    #[error("a request with this id is still unanswered")]
    Duplicate,
    /// The limit is reached. One of theirs is to be answered with an error at once.
    #[error("{max} requests are unanswered, which is the limit")]
    Full {
        /// The limit.
        max: usize,
    },
}

impl<T> Outgoing<T> {
    /// Holds up to `max` requests.
    pub fn new(max: usize) -> Self {
        Self { max, pending: BTreeMap::new() }
    }

    /// Enters a request; write it after this succeeded.
    ///
    /// # Errors
    /// If the id is taken or the limit reached.
    pub fn insert(&mut self, id: impl Into<String>, value: T) -> Result<(), NotAdmitted> {
        insert(&mut self.pending, self.max, id.into(), value)
    }

    /// Takes the request an answer belongs to; `None` if there is none: never asked, or answered before.
    pub fn take(&mut self, id: &Id) -> Option<T> {
        self.pending.remove(&*id.as_str()?)
    }

    /// Takes a request that we no longer wait for; its late answer will be unknown.
    pub fn forget(&mut self, id: &str) -> Option<T> {
        self.pending.remove(id)
    }

    /// The unanswered requests in order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.pending.iter().map(|(id, value)| (id.as_str(), value))
    }

    /// Takes all: the peer is gone, nobody will answer.
    pub fn drain(&mut self) -> impl Iterator<Item = (String, T)> + use<T> {
        std::mem::take(&mut self.pending).into_iter()
    }

    /// How many are unanswered.
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether all are answered.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}

impl<T> Incoming<T> {
    /// Holds up to `max` requests.
    pub fn new(max: usize) -> Self {
        Self { max, pending: BTreeMap::new() }
    }

    /// Enters a request of theirs.
    ///
    /// # Errors
    /// If the id is taken or the limit reached; [`NotAdmitted`] says what to do.
    pub fn insert(&mut self, id: Id, value: T) -> Result<(), NotAdmitted> {
        insert(&mut self.pending, self.max, id, value)
    }

    /// Takes a request to answer it now; `None` if it was answered before or never came: write nothing then.
    pub fn take(&mut self, id: &Id) -> Option<T> {
        self.pending.remove(id)
    }

    /// The requests that wait for an answer, in order of their ids' texts.
    pub fn iter(&self) -> impl Iterator<Item = (&Id, &T)> {
        self.pending.iter()
    }

    /// Takes all, each to be answered now: we are shutting down.
    pub fn drain(&mut self) -> impl Iterator<Item = (Id, T)> + use<T> {
        std::mem::take(&mut self.pending).into_iter()
    }

    /// How many wait for an answer.
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}

fn insert<K: Ord, T>(map: &mut BTreeMap<K, T>, max: usize, key: K, value: T) -> Result<(), NotAdmitted> {
    let full = map.len() >= max;
    match map.entry(key) {
        Entry::Occupied(_) => Err(NotAdmitted::Duplicate),
        Entry::Vacant(_) if full => Err(NotAdmitted::Full { max }),
        Entry::Vacant(entry) => {
            entry.insert(value);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(text: &str) -> Id {
        Id::try_from(text).unwrap()
    }

    #[test]
    fn an_answer_finds_its_request_once() {
        let mut outgoing = Outgoing::new(2);
        outgoing.insert("turn/1", "prompt").unwrap();
        let escaped: Id = serde_json::from_str(r#""turn\/1""#).unwrap();
        assert_eq!(outgoing.take(&escaped), Some("prompt"), "however the peer escapes the id");
        assert_eq!(outgoing.take(&escaped), None);
        assert_eq!(outgoing.take(&Id::from(1)), None);
        assert_eq!(outgoing.take(&Id::null()), None);
    }

    #[test]
    fn the_books_are_bounded_and_an_id_stands_once() {
        let mut incoming = Incoming::new(2);
        incoming.insert(Id::from(1), 'a').unwrap();
        incoming.insert(id("1"), 'b').unwrap();
        assert_eq!(incoming.insert(Id::from(1), 'c'), Err(NotAdmitted::Duplicate));
        assert_eq!(incoming.insert(Id::from(2), 'c'), Err(NotAdmitted::Full { max: 2 }));
        assert_eq!(incoming.take(&Id::from(1)), Some('a'));
        incoming.insert(Id::from(2), 'c').unwrap();
        assert_eq!(incoming.len(), 2);
    }

    #[test]
    fn shutdown_gives_every_request_to_answer() {
        let mut incoming = Incoming::new(9);
        (0..3).for_each(|n| incoming.insert(Id::from(n), n).unwrap());
        incoming.take(&Id::from(1));
        assert_eq!(incoming.drain().map(|(_, value)| value).collect::<Vec<_>>(), [0, 2]);
        assert!(incoming.is_empty() && incoming.take(&Id::from(0)).is_none());
        let mut outgoing = Outgoing::new(9);
        outgoing.insert("a", 1).unwrap();
        outgoing.insert("b", 2).unwrap();
        assert_eq!(outgoing.forget("a"), Some(1));
        assert_eq!(outgoing.iter().collect::<Vec<_>>(), [("b", &2)]);
        assert_eq!(outgoing.drain().collect::<Vec<_>>(), [("b".to_owned(), 2)]);
        assert_eq!(outgoing.len(), 0);
    }

    proptest! {
        /// Ask, answer and shut down in any order: the answers given are the requests admitted, each once.
        #[test]
        fn every_request_gets_exactly_one_answer(
            steps in prop::collection::vec((any::<bool>(), 0..6u64), 0..60), max in 0..6usize,
        ) {
            let mut incoming = Incoming::new(max);
            let (mut admitted, mut answered) = (Vec::new(), Vec::new());
            for (nth, (asks, id)) in steps.into_iter().enumerate() {
                if asks {
                    admitted.extend(incoming.insert(Id::from(id), nth).ok().map(|()| nth));
                } else {
                    answered.extend(incoming.take(&Id::from(id)));
                }
                prop_assert!(incoming.len() <= max);
                prop_assert_eq!(incoming.iter().count(), incoming.len());
            }
            answered.extend(incoming.drain().map(|(_, nth)| nth));
            answered.sort_unstable();
            prop_assert_eq!(answered, admitted);
        }
    }
}
