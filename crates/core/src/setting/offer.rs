//! What an agent offers, as its gauges tell it. What cannot be read is not offered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Setting, Value};
use crate::agent::Agent;
use crate::refused::Refused;

/// What an agent can be set to, and is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Settings {
    /// Its modes: how much it asks, which tools it uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Selection>,
    /// Its models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Selection>,
    /// All options. Those that are its modes or models are here too.
    #[serde(default)]
    pub options: Vec<OptionView>,
}

/// One of several.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Selection {
    /// The one that is in force, by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// The one that was chosen, as long as the agent has not answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<String>,
    /// All of them. Empty before the agent was first started.
    #[serde(default)]
    pub available: Vec<Available>,
    /// The option that stands behind this.
    #[serde(skip)]
    option: Option<String>,
}

/// One that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Available {
    /// Its id.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// What it means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// An option of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AgentOption")]
pub struct OptionView {
    /// Its id.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// The value in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Value>,
    /// The value that was chosen, as long as the agent has not answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<Value>,
    /// Its values; none where it is on or off.
    #[serde(default)]
    pub available: Vec<Available>,
    #[serde(skip)]
    category: Option<String>,
}

impl Settings {
    pub(super) fn of(agent: &Agent, chosen: &super::Settings) -> Self {
        let gauge = |name: &str| agent.status.get(name)?.read::<Json>().ok();
        let options: Vec<_> = gauge("config_option_update")
            .and_then(|update| Some(list(&update, "configOptions")?.iter().filter_map(option).collect()))
            .unwrap_or_default();
        let modes = gauge("modes").map(|modes| {
            let told = gauge("current_mode_update").and_then(|update| text(&update, "currentModeId"));
            let current = told.or_else(|| text(&modes, "currentModeId"));
            Selection {
                current,
                available: available(&modes, "availableModes", "id"),
                ..Selection::default()
            }
        });
        let models = gauge("models").map(|models| Selection {
            current: chosen.model.clone().or_else(|| text(&models, "currentModelId")),
            available: available(&models, "availableModels", "modelId"),
            ..Selection::default()
        });
        let mode = modes.or_else(|| behind(&options, "mode"));
        let model = models.or_else(|| behind(&options, "model"));
        let mut view = Self { mode, model, options };
        view.mark(chosen);
        view
    }

    /// Marks what was chosen and waits for the agent. Before its first start nothing else is known.
    fn mark(&mut self, chosen: &super::Settings) {
        for option in &mut self.options {
            if let Some(Setting::Option { value, .. }) = chosen.waiting(&format!("option/{}", option.id)) {
                option.chosen = Some(value.clone());
            }
        }
        if let Some(Setting::Mode(id)) = chosen.waiting("mode") {
            self.mode.get_or_insert_default().chosen = Some(id.clone());
        }
        if let Some(Setting::Model(id)) = chosen.waiting("model") {
            self.model.get_or_insert_default().chosen = Some(id.clone());
        }
        for selection in [&mut self.mode, &mut self.model].into_iter().flatten() {
            let behind = self.options.iter().find(|option| Some(&option.id) == selection.option.as_ref());
            if let Some(Value::Id(id)) = behind.and_then(|option| option.chosen.clone()) {
                selection.chosen = Some(id);
            }
        }
    }

    /// The choice by what is offered: a mode may be an option, and a value may be given by its name.
    ///
    /// # Errors
    /// `Invalid`, naming what is offered. Nothing is refused of an agent that has not `told` what it offers.
    pub(super) fn resolve(&self, setting: &Setting, told: bool) -> Result<Setting, Refused> {
        match setting {
            Setting::Mode(id) => select("mode", self.mode.as_ref(), id, told, Setting::Mode),
            Setting::Model(id) => select("model", self.model.as_ref(), id, told, Setting::Model),
            Setting::Option { id, value } => {
                let Some(option) = self.options.iter().find(|option| option.id == *id) else {
                    let ids: Vec<_> = self.options.iter().map(|option| option.id.as_str()).collect();
                    return if told { Err(none_of("option", &ids)) } else { Ok(setting.clone()) };
                };
                Ok(Setting::Option { id: id.clone(), value: option.value(value)? })
            }
        }
    }

    pub(super) fn is_current(&self, setting: &Setting) -> bool {
        let is = |selection: &Option<Selection>, id: &String| {
            selection.as_ref().is_some_and(|selection| selection.current.as_ref() == Some(id))
        };
        match setting {
            Setting::Mode(id) => is(&self.mode, id),
            Setting::Model(id) => is(&self.model, id),
            Setting::Option { id, value } => {
                self.options.iter().any(|option| option.id == *id && option.current.as_ref() == Some(value))
            }
        }
    }
}

impl OptionView {
    fn value(&self, value: &Value) -> Result<Value, Refused> {
        match (value, &self.current) {
            (Value::Bool(_), Some(Value::Bool(_))) => Ok(value.clone()),
            (Value::Id(_), Some(Value::Bool(_))) => Err(Refused::invalid("value", "must be true or false")),
            (Value::Id(id), _) => pick("value", &self.available, id).map(Value::Id),
            (Value::Bool(_), _) => Err(none_of("value", &ids(&self.available))),
        }
    }
}

fn select(
    field: &'static str,
    selection: Option<&Selection>,
    id: &str,
    told: bool,
    make: fn(String) -> Setting,
) -> Result<Setting, Refused> {
    match selection {
        Some(selection) if !selection.available.is_empty() => {
            let id = pick(field, &selection.available, id)?;
            Ok(match &selection.option {
                Some(option) => Setting::Option { id: option.clone(), value: Value::Id(id) },
                None => make(id),
            })
        }
        Some(_) | None if told => Err(none_of(field, &[])),
        Some(_) | None => Ok(make(id.to_owned())),
    }
}

/// The one of this id, or else of this name in any case.
fn pick(field: &'static str, available: &[Available], given: &str) -> Result<String, Refused> {
    let by_id = available.iter().find(|one| one.id == given);
    let loosely =
        |one: &&Available| one.id.eq_ignore_ascii_case(given) || one.name.eq_ignore_ascii_case(given);
    let found = by_id.or_else(|| available.iter().find(loosely));
    found.map(|one| one.id.clone()).ok_or_else(|| none_of(field, &ids(available)))
}

fn ids(available: &[Available]) -> Vec<&str> {
    available.iter().map(|one| one.id.as_str()).collect()
}

fn none_of(field: &'static str, ids: &[&str]) -> Refused {
    if ids.is_empty() {
        return Refused::invalid(field, "cannot be chosen: this agent offers none");
    }
    Refused::invalid(field, format!("must be one of: {}", ids.join(", ")))
}

/// The option of a category, as a selection.
fn behind(options: &[OptionView], category: &str) -> Option<Selection> {
    let named = |option: &&OptionView| option.category.as_deref() == Some(category);
    let option =
        options.iter().find(named).or_else(|| options.iter().find(|option| option.id == category))?;
    let current = match &option.current {
        Some(Value::Id(id)) => Some(id.clone()),
        Some(Value::Bool(_)) => return None,
        None => None,
    };
    let (available, id) = (option.available.clone(), option.id.clone());
    Some(Selection { current, chosen: None, available, option: Some(id) })
}

fn option(json: &Json) -> Option<OptionView> {
    let id = text(json, "id")?;
    let current = match json.get("currentValue") {
        Some(Json::Bool(on)) => Some(Value::Bool(*on)),
        Some(Json::String(id)) => Some(Value::Id(id.clone())),
        Some(_) | None => None,
    };
    let values = list(json, "options").unwrap_or_default();
    // Values may stand in groups.
    let group = |value| list(value, "options").unwrap_or_else(|| std::slice::from_ref(value));
    let flat = values.iter().flat_map(group);
    let available = flat.filter_map(|value| one(value, "value")).collect();
    let name = text(json, "name").unwrap_or_else(|| id.clone());
    Some(OptionView { name, current, chosen: None, available, category: text(json, "category"), id })
}

fn available(json: &Json, name: &str, id: &str) -> Vec<Available> {
    list(json, name).unwrap_or_default().iter().filter_map(|value| one(value, id)).collect()
}

fn one(json: &Json, id: &str) -> Option<Available> {
    let id = text(json, id)?;
    let name = text(json, "name").unwrap_or_else(|| id.clone());
    Some(Available { id, name, description: text(json, "description") })
}

fn list<'a>(json: &'a Json, name: &str) -> Option<&'a [Json]> {
    json.get(name)?.as_array().map(Vec::as_slice)
}

fn text(json: &Json, name: &str) -> Option<String> {
    json.get(name)?.as_str().map(str::to_owned)
}
