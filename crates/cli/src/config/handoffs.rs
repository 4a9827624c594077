//! `[handoffs]`: what the daemon keeps by itself for the next agent.

use serde::Deserialize;

/// The table of the file, and what is decided.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Handoffs {
    /// Whether a checkpoint is kept of each turn that ends.
    pub(crate) checkpoints: bool,
}

impl Default for Handoffs {
    fn default() -> Self {
        Self { checkpoints: true }
    }
}
