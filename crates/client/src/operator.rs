//! Operator actions, as the API shows them.

use serde::{Deserialize, Serialize};
use trunkline_core::id::Seq;
use trunkline_core::operator::Outcome;
use trunkline_core::principal::Principal;
use trunkline_core::time::Time;

/// What can be run without any model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// Its name.
    pub name: String,
    /// Its name for people.
    pub label: String,
    /// What it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The command line.
    #[serde(default)]
    pub argv: Vec<String>,
    /// Whether it changes something.
    #[serde(default)]
    pub mutating: bool,
    /// Whether it runs only if it is confirmed.
    #[serde(default)]
    pub confirm: bool,
    /// The action that runs before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

/// A run of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionRun {
    /// Its number.
    pub run: Seq,
    /// The action.
    pub action: String,
    /// Who ran it.
    pub by: Principal,
    /// When it was begun.
    pub at: Time,
    /// How it ended; absent while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}
