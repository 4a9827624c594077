//! Clients that read topics by patterns: they count as subscribers of a topic before they have met it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use trunkline_core::topic::Pattern;

/// Everybody who reads by patterns.
#[derive(Debug, Default)]
pub(super) struct Watchers(Mutex<Vec<Weak<Watcher>>>);

/// What one client reads by patterns. It counts until it is dropped.
#[derive(Debug, Default)]
pub struct Watcher(Mutex<Watched>);

#[derive(Debug, Default)]
struct Watched {
    patterns: Vec<Pattern>,
    /// The topics that it reads already, so that it is not counted twice.
    read: HashSet<Arc<str>>,
}

impl Watcher {
    /// Says what the client reads from now on.
    pub fn set(&self, patterns: Vec<Pattern>, read: HashSet<Arc<str>>) {
        *lock(&self.0) = Watched { patterns, read };
    }

    fn is_about_to_read(&self, topic: &str) -> bool {
        let watched = lock(&self.0);
        !watched.read.contains(topic) && watched.patterns.iter().any(|pattern| pattern.matches(topic))
    }
}

impl Watchers {
    pub(super) fn add(&self) -> Arc<Watcher> {
        let watcher = Arc::new(Watcher::default());
        let mut watchers = lock(&self.0);
        watchers.retain(|other| other.strong_count() > 0);
        watchers.push(Arc::downgrade(&watcher));
        watcher
    }

    /// How many will read a topic as soon as they meet it.
    pub(super) fn count(&self, topic: &str) -> usize {
        let watchers = lock(&self.0);
        watchers.iter().filter_map(Weak::upgrade).filter(|watcher| watcher.is_about_to_read(topic)).count()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_by_patterns_counts_once_and_while_it_is_there() {
        let watchers = Watchers::default();
        let (one, two) = (watchers.add(), watchers.add());
        one.set(vec![Pattern::new("build.*").unwrap(), Pattern::new("*.a").unwrap()], HashSet::new());
        two.set(vec![Pattern::new("build.>").unwrap()], HashSet::from(["build.b".into()]));
        let counts =
            |watchers: &Watchers| ["build.a", "build.b", "test.b"].map(|topic| watchers.count(topic));
        assert_eq!(counts(&watchers), [2, 1, 0]);
        drop(one);
        assert_eq!(counts(&watchers), [1, 0, 0], "what it reads already is counted where it reads");
        drop(watchers.add());
        assert_eq!(lock(&watchers.0).len(), 2, "those that are gone are forgotten by the next that comes");
    }
}
