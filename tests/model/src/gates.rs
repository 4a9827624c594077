//! Gates: the places where an answer waits for the test.

use std::collections::BTreeMap;
use tokio::sync::watch;

/// The gates of one script. Clones are handles to the same gates.
#[derive(Clone, Debug)]
pub(crate) struct Gates(watch::Sender<BTreeMap<String, Gate>>);

/// There is no gate of this name in the script.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the script waits at no gate named {0:?}")]
pub struct NoSuchGate(pub String);

#[derive(Clone, Copy, Debug, Default)]
struct Gate {
    reached: u64,
    open: bool,
}

impl Gates {
    pub(crate) fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        Self(watch::Sender::new(names.map(|name| (name.to_owned(), Gate::default())).collect()))
    }

    /// Opens a gate for good: who waits goes on, who comes later passes.
    pub(crate) fn open(&self, name: &str) -> Result<(), NoSuchGate> {
        let mut found = false;
        self.0.send_if_modified(|gates| {
            let gate = gates.get_mut(name);
            found = gate.is_some();
            gate.is_some_and(|gate| !std::mem::replace(&mut gate.open, true))
        });
        if found { Ok(()) } else { Err(NoSuchGate(name.to_owned())) }
    }

    /// Waits until some answer stands at the gate or has passed it.
    pub(crate) async fn reached(&self, name: &str) -> Result<(), NoSuchGate> {
        self.until(name, |gate| gate.reached > 0).await
    }

    /// Reports at the gate and waits until it is open.
    pub(crate) async fn pass(&self, name: &str) -> Result<(), NoSuchGate> {
        self.0.send_if_modified(|gates| gates.get_mut(name).map(|gate| gate.reached += 1).is_some());
        self.until(name, |gate| gate.open).await
    }

    async fn until(&self, name: &str, holds: impl Fn(&Gate) -> bool) -> Result<(), NoSuchGate> {
        let missing = || NoSuchGate(name.to_owned());
        let mut watching = self.0.subscribe();
        let gates =
            watching.wait_for(|gates| gates.get(name).is_none_or(&holds)).await.map_err(|_| missing())?;
        if gates.contains_key(name) { Ok(()) } else { Err(missing()) }
    }
}
