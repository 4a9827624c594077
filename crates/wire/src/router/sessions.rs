//! Which session lives on which worker, and which client made it.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

/// A bound session.
#[derive(Debug)]
pub(super) struct Session {
    name: Box<[u8]>,
    /// The worker that it is pinned to.
    pub(super) worker: u32,
    /// The client that made it, and to which its notifications go.
    pub(super) owner: u32,
    /// How many of its owner's requests are unanswered, and the exclusive or of their places in the book: with
    /// one left, that is the one.
    pub(super) unanswered: u32,
    pub(super) places: u32,
    /// Where it stands in its worker's and its owner's list.
    in_worker: u32,
    in_owner: u32,
}

/// The table.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    entries: Vec<Option<Session>>,
    free: Vec<u32>,
    by_name: HashTable<u32>,
    hasher: DefaultHashBuilder,
    of_worker: Vec<Vec<u32>>,
    of_owner: Vec<Vec<u32>>,
}

impl Sessions {
    /// The session of a name.
    pub(super) fn find(&self, name: &[u8]) -> Option<u32> {
        let same = |&place: &u32| self.get(place).is_some_and(|session| *session.name == *name);
        self.by_name.find(self.hasher.hash_one(name), same).copied()
    }

    /// The session at a place.
    pub(super) fn get(&self, place: u32) -> Option<&Session> {
        self.entries.get(place as usize)?.as_ref()
    }

    /// The session at a place.
    pub(super) fn get_mut(&mut self, place: u32) -> Option<&mut Session> {
        self.entries.get_mut(place as usize)?.as_mut()
    }

    /// How many are bound.
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// How many are bound to a worker.
    pub(super) fn on_worker(&self, worker: u32) -> usize {
        self.of_worker.get(worker as usize).map_or(0, Vec::len)
    }

    /// Binds a session that is not bound.
    pub(super) fn bind(&mut self, name: &[u8], worker: u32, owner: u32) -> u32 {
        let place = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            self.entries.len() as u32 - 1
        });
        let in_worker = append(&mut self.of_worker, worker, place);
        let in_owner = append(&mut self.of_owner, owner, place);
        let name = name.into();
        let session = Session { name, worker, owner, unanswered: 0, places: 0, in_worker, in_owner };
        let hash = self.hasher.hash_one(&*session.name);
        self.entries[place as usize] = Some(session);
        let (entries, hasher) = (&self.entries, &self.hasher);
        let rehash = |&place: &u32| {
            entries.get(place as usize).and_then(Option::as_ref).map_or(0, |s| hasher.hash_one(&*s.name))
        };
        self.by_name.insert_unique(hash, place, rehash);
        place
    }

    /// Gives a session to another client.
    pub(super) fn give(&mut self, place: u32, to: u32) {
        let Some(session) = self.get(place) else { return };
        let (owner, stood) = (session.owner, session.in_owner);
        self.leave_owner(owner, stood);
        let in_owner = append(&mut self.of_owner, to, place);
        if let Some(session) = self.get_mut(place) {
            (session.owner, session.in_owner) = (to, in_owner);
        }
    }

    /// Releases all sessions of a worker.
    pub(super) fn release_worker(&mut self, worker: u32) {
        while let Some(&place) = self.of_worker.get(worker as usize).and_then(|list| list.last()) {
            self.release(place);
        }
    }

    /// Releases all sessions of a client.
    pub(super) fn release_owner(&mut self, owner: u32) {
        while let Some(&place) = self.of_owner.get(owner as usize).and_then(|list| list.last()) {
            self.release(place);
        }
    }

    /// Whether all sessions of a worker are of this client.
    pub(super) fn all_of(&self, worker: u32, owner: u32) -> bool {
        let list = self.of_worker.get(worker as usize).map_or(&[][..], Vec::as_slice);
        list.iter().all(|&place| self.get(place).is_some_and(|session| session.owner == owner))
    }

    fn release(&mut self, place: u32) {
        let Some(session) = self.entries[place as usize].take() else { return };
        let hash = self.hasher.hash_one(&*session.name);
        if let Ok(found) = self.by_name.find_entry(hash, |&other| other == place) {
            found.remove();
        }
        let worker = &mut self.of_worker[session.worker as usize];
        worker.swap_remove(session.in_worker as usize);
        if let Some(&moved) = worker.get(session.in_worker as usize)
            && let Some(moved) = self.entries[moved as usize].as_mut()
        {
            moved.in_worker = session.in_worker;
        }
        self.leave_owner(session.owner, session.in_owner);
        self.free.push(place);
    }

    fn leave_owner(&mut self, owner: u32, stood: u32) {
        let list = &mut self.of_owner[owner as usize];
        list.swap_remove(stood as usize);
        if let Some(&moved) = list.get(stood as usize)
            && let Some(moved) = self.entries[moved as usize].as_mut()
        {
            moved.in_owner = stood;
        }
    }
}

/// Puts a place into a peer's list; returns where it stands there.
fn append(lists: &mut Vec<Vec<u32>>, peer: u32, place: u32) -> u32 {
    if lists.len() <= peer as usize {
        lists.resize_with(peer as usize + 1, Vec::new);
    }
    lists[peer as usize].push(place);
    lists[peer as usize].len() as u32 - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_go_with_their_worker_and_their_owner() {
        let mut sessions = Sessions::default();
        for n in 0..1000_u32 {
            sessions.bind(format!("s{n}").as_bytes(), n % 3, n % 7);
        }
        assert_eq!((sessions.len(), sessions.on_worker(0)), (1000, 334));
        sessions.release_worker(0);
        assert!(sessions.find(b"s0").is_none() && sessions.find(b"s1").is_some());
        sessions.release_owner(1);
        assert!(sessions.find(b"s1").is_none() && sessions.find(b"s2").is_some());
        assert!(!sessions.all_of(1, 2));
        let given = sessions.find(b"s2").unwrap();
        sessions.give(given, 5);
        assert_eq!(sessions.get(given).unwrap().owner, 5);
        for owner in 0..7 {
            sessions.release_owner(owner);
        }
        assert_eq!((sessions.len(), sessions.by_name.len()), (0, 0));
    }
}
