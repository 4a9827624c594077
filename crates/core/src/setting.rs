//! Settings: the modes, models and options that an agent offers, and what somebody has chosen of them.
//!
//! What an agent offers, and what it is set to, are gauges that it tells. A choice is a fact that waits until the agent has
//! answered it: at once where it runs, else when it is next started, before its next prompt.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::agent::Agent;
use crate::event::{Event, Fact};
use crate::id::Seq;
use crate::machine::Draft;
use crate::refused::Refused;
use crate::text::check_name;

mod offer;

pub use offer::{Available, OptionView, Selection, Settings as View};

/// How many characters the id of an option or a value may have.
pub const MAX_ID: usize = 255;
/// How many choices may wait for the agent. A later one of the same thing takes the place of the earlier.
pub const MAX_PENDING: usize = 100;

/// What an agent is to be set to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// This mode.
    Mode(String),
    /// This model, with an agent that offers models apart from its options.
    Model(String),
    /// An option.
    Option {
        /// Which.
        id: String,
        /// Its value.
        value: Value,
    },
}

/// The value of an option.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "SettingValue")]
pub enum Value {
    /// On or off.
    Bool(bool),
    /// The id of one of its values.
    Id(String),
}

/// Somebody has chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SettingChosen")]
pub struct Chosen {
    /// What.
    pub setting: Setting,
}

/// The agent has answered a choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SettingSettled")]
pub struct Settled {
    /// The number of the event `setting.chosen`.
    pub chosen: Seq,
    /// Why the agent did not take it; absent if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A choice that the agent has not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The event.
    pub chosen: Seq,
    /// The choice.
    pub setting: Setting,
}

/// The choices that wait, by what they are of.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pending: BTreeMap<String, Pending>,
    /// The model that the agent has taken since it last told its models: it has no update for that.
    model: Option<String>,
}

impl Settings {
    /// Grants a choice among what the agent offers. One that has never been started may offer anything.
    pub(crate) fn choose(&self, agent: &Agent, setting: &Setting) -> Result<Vec<Draft>, Refused> {
        check(setting)?;
        let view = View::of(agent, self);
        let setting = view.resolve(setting, agent.memo.is_some())?;
        let waiting = self.pending.get(&key(&setting)).map(|pending| &pending.setting);
        let is_so = match waiting {
            Some(waiting) => *waiting == setting,
            None => view.is_current(&setting),
        };
        if is_so {
            return Ok(Vec::new());
        }
        if waiting.is_none() && self.pending.len() >= MAX_PENDING {
            return Err(Refused::TooMany { what: "choices that wait for the agent", limit: MAX_PENDING });
        }
        Ok(vec![Chosen { setting }.into()])
    }

    /// What the agent is to be set to, in the order it was chosen, and by what it offers now.
    #[must_use]
    pub fn owed(&self, agent: &Agent) -> Vec<Pending> {
        let view = View::of(agent, self);
        let mut owed: Vec<_> = self.pending.values().cloned().collect();
        owed.sort_by_key(|pending| pending.chosen);
        for pending in &mut owed {
            if let Ok(resolved) = view.resolve(&pending.setting, false) {
                pending.setting = resolved;
            }
        }
        owed
    }

    pub(crate) fn view(&self, agent: &Agent) -> View {
        View::of(agent, self)
    }

    /// The model that the agent is set to, or is about to be. This looks at no more than it must: lists ask it of every session.
    pub(crate) fn model_of(&self, agent: &Agent) -> Option<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Told {
            current_model_id: String,
        }
        let told = || agent.status.get("models")?.read::<Told>().ok().map(|told| told.current_model_id);
        match self.waiting("model") {
            Some(Setting::Model(id)) => Some(id.clone()),
            Some(Setting::Mode(_) | Setting::Option { .. }) | None => self.model.clone().or_else(told),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    fn waiting(&self, key: &str) -> Option<&Setting> {
        self.pending.get(key).map(|pending| &pending.setting)
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        match &event.fact {
            Fact::SettingChosen(Chosen { setting }) => {
                let pending = Pending { chosen: event.seq, setting: setting.clone() };
                self.pending.insert(key(setting), pending);
            }
            Fact::SettingSettled(settled) => self.settle(settled),
            Fact::AgentStatus(status) if status.kind == "models" => self.model = None,
            _ => {}
        }
    }

    fn settle(&mut self, settled: &Settled) {
        let answered = self.pending.values().find(|pending| pending.chosen == settled.chosen);
        if let (Some(Setting::Model(id)), None) = (answered.map(|pending| &pending.setting), &settled.error) {
            self.model = Some(id.clone());
        }
        self.pending.retain(|_, pending| pending.chosen != settled.chosen);
    }
}

fn key(setting: &Setting) -> String {
    match setting {
        Setting::Mode(_) => "mode".to_owned(),
        Setting::Model(_) => "model".to_owned(),
        Setting::Option { id, .. } => format!("option/{id}"),
    }
}

fn check(setting: &Setting) -> Result<(), Refused> {
    match setting {
        Setting::Mode(id) => check_name("mode", id, MAX_ID),
        Setting::Model(id) => check_name("model", id, MAX_ID),
        Setting::Option { id, value } => {
            check_name("option", id, MAX_ID)?;
            match value {
                Value::Id(value) => check_name("value", value, MAX_ID),
                Value::Bool(_) => Ok(()),
            }
        }
    }
}

#[cfg(test)]
mod tests;
