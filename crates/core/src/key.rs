//! Idempotency keys: a retry gets the outcome of the first try.

use std::collections::{HashMap, VecDeque};

use crate::event::Event;
use crate::machine::Receipt;
use crate::principal::Principal;

/// How many keys a log remembers without asking its rows.
pub const KEPT: usize = 1_000;
/// How many bytes a key may have.
pub const MAX_BYTES: usize = 255;

/// The keys a log remembers, newest last.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    known: HashMap<(Principal, String), Receipt>,
    order: VecDeque<(Principal, String)>,
}

impl Keys {
    /// What an earlier command with this key caused.
    #[must_use]
    pub fn find(&self, by: &Principal, key: &str) -> Option<Receipt> {
        self.known.get(&(by.clone(), key.to_owned())).cloned()
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        let Some(key) = &event.key else { return };
        let receipt = Receipt {
            digest: key.digest.clone(),
            first: event.seq,
            last: event.seq.plus(key.count.saturating_sub(1)),
        };
        let name = (event.by.clone(), key.key.clone());
        if self.known.insert(name.clone(), receipt).is_none() {
            self.order.push_back(name);
        }
        while self.order.len() > KEPT {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Key;
    use crate::id::Seq;
    use crate::session::Updated;
    use crate::time::Time;

    #[test]
    fn the_newest_keys_are_remembered_with_what_they_caused() {
        let mut keys = Keys::default();
        for n in 1..=KEPT as u64 + 1 {
            keys.apply(&Event {
                seq: Seq(n * 2),
                at: Time(0),
                by: Principal::owner(),
                turn: None,
                key: Some(Key { key: n.to_string(), digest: "d".into(), count: 2 }),
                fact: Updated::default().into(),
            });
        }
        assert_eq!(keys.find(&Principal::owner(), "1"), None);
        let receipt = keys.find(&Principal::owner(), "2").unwrap();
        assert_eq!((receipt.first, receipt.last), (Seq(4), Seq(5)));
        assert_eq!(keys.find(&Principal::local(), "2"), None);
    }
}
