//! The state of a cell, of whatever kind: so there is one kind of cell, and not one built for each kind of log.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use trunkline_core::audit::Deed;
use trunkline_core::event::Event;
use trunkline_core::id::LogId;
use trunkline_core::machine::{Context, Draft, Grown, Machine, Receipt};
use trunkline_core::principal::Caller;
use trunkline_core::refused::Refused;
use trunkline_core::row::Row;
use trunkline_core::time::Time;

use super::AnyCommand;

/// Makes the outside be as a state wants it.
pub(crate) trait Effects<M: Machine>: Send + Sync {
    /// Called after every commit and after loading, with what is owed now. Must not block.
    fn reconcile(&self, log: &LogId, state: &M, wanted: &[M::Effect]);

    /// Called when the log is found to be gone: nothing of it may run. Must not block.
    fn removed(&self, log: &LogId);
}

/// A [`Machine`] whose kind is not said. Its methods are those of the machine where they have the same name.
pub(crate) trait Held: Send + Sync {
    /// The machine itself.
    fn state(&self) -> &dyn Any;
    /// Begins anew, as if nothing had happened.
    fn reset(&mut self);
    /// A command of another kind of machine is refused by a panic: only the handle of this kind makes them.
    fn decide(&self, command: &dyn Any, ctx: &Context<'_>) -> Result<Vec<Draft>, Refused>;
    fn apply(&mut self, event: &Event);
    fn advance(&mut self, events: &[Event]) -> Vec<Row>;
    fn moves(&self, event: &Event) -> bool;
    fn deed(&self, event: &Event, before: &[Event]) -> Option<Deed>;
    fn newest_is_all(&self) -> bool;
    fn is_removed(&self) -> bool;
    fn receipt(&self, caller: &Caller, key: &str) -> Option<Receipt>;
    fn compaction(&self, grown: Grown) -> Option<Vec<Draft>>;
    fn stays(&self) -> bool;
    fn linger_ms(&self) -> u64;
    fn tick(&self) -> Option<AnyCommand>;
    /// When time acts on the state next.
    fn due(&self) -> Option<Time>;
    /// Whether nothing is owed, and nothing will be before `soon`.
    fn is_over(&self, soon: Time) -> bool;
    /// Has the outside made as the state wants it.
    fn reconcile(&self, log: &LogId);
    /// Tells the outside that the log is gone.
    fn bury(&self, log: &LogId);
}

/// A machine, and who makes its effects real.
pub(crate) struct Kept<M: Machine> {
    state: M,
    effects: Arc<OnceLock<Arc<dyn Effects<M>>>>,
}

impl<M: Machine> Kept<M> {
    pub(crate) fn new(effects: &Arc<OnceLock<Arc<dyn Effects<M>>>>) -> Self {
        Self { state: M::default(), effects: Arc::clone(effects) }
    }
}

impl<M: Machine> Held for Kept<M> {
    fn state(&self) -> &dyn Any {
        &self.state
    }

    fn reset(&mut self) {
        self.state = M::default();
    }

    fn decide(&self, command: &dyn Any, ctx: &Context<'_>) -> Result<Vec<Draft>, Refused> {
        let command = command.downcast_ref().expect("a cell gets the commands of its machine");
        self.state.decide(command, ctx)
    }

    fn apply(&mut self, event: &Event) {
        self.state.apply(event);
    }

    fn advance(&mut self, events: &[Event]) -> Vec<Row> {
        self.state.advance(events)
    }

    fn moves(&self, event: &Event) -> bool {
        M::moves(event)
    }

    fn deed(&self, event: &Event, before: &[Event]) -> Option<Deed> {
        self.state.deed(event, before)
    }

    fn newest_is_all(&self) -> bool {
        M::newest_is_all()
    }

    fn is_removed(&self) -> bool {
        self.state.is_removed()
    }

    fn receipt(&self, caller: &Caller, key: &str) -> Option<Receipt> {
        self.state.receipt(caller, key)
    }

    fn compaction(&self, grown: Grown) -> Option<Vec<Draft>> {
        self.state.compaction(grown)
    }

    fn stays(&self) -> bool {
        self.state.stays()
    }

    fn linger_ms(&self) -> u64 {
        M::linger_ms()
    }

    fn tick(&self) -> Option<AnyCommand> {
        M::tick().map(|command| Box::new(command) as AnyCommand)
    }

    fn due(&self) -> Option<Time> {
        self.state.wanted().next.filter(|_| M::tick().is_some())
    }

    fn is_over(&self, soon: Time) -> bool {
        let wanted = self.state.wanted();
        wanted.effects.is_empty() && wanted.next.is_none_or(|due| due > soon)
    }

    fn reconcile(&self, log: &LogId) {
        if let Some(effects) = self.effects.get() {
            effects.reconcile(log, &self.state, &self.state.wanted().effects);
        }
    }

    fn bury(&self, log: &LogId) {
        if let Some(effects) = self.effects.get() {
            effects.removed(log);
        }
    }
}
