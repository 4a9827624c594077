//! Sets an agent to what somebody has chosen: its mode, its model, its options.
//!
//! A running agent is told at once, in the middle of a turn too. Before a prompt goes out its answers are waited for, so that
//! no turn begins in another mode than the one that was chosen for it.

use std::time::Duration;

use serde_json::value::RawValue;
use trunkline_core::raw::Raw;
use trunkline_core::setting::{Pending, Setting, Settled, Value};
use trunkline_wire::acp::{
    ConfigValue, CurrentModeUpdate, SessionUpdate, SetSessionConfigOptionRequest,
    SetSessionConfigOptionResponse, SetSessionModeRequest, SetSessionModelRequest, method,
};
use trunkline_wire::jsonrpc::{ErrorObject, Id, code};

use super::agent::Agent;
use super::conversation::{MAX_GAUGE, NoAnswer, Scope, Wait};
use super::open::Options;
use super::trouble::Trouble;
use crate::turn::Turn;

/// What the agent's answer to a choice means.
pub(super) struct Answered {
    pub(super) settled: Settled,
    /// What it is set to now, as a gauge: agents need not tell what they were told.
    pub(super) gauge: Option<(&'static str, Raw)>,
}

impl Agent {
    /// Has the agent set to what was chosen, and waits until it has answered. `false`: the turn is to stop.
    pub(super) async fn settle_settings(
        &mut self,
        scope: &mut Scope<'_>,
        patience: Duration,
    ) -> Result<bool, Trouble> {
        let owed = self.port.look(|session| session.settings.owed(&session.agent));
        let owed = owed.await.map_err(Trouble::Store)?;
        self.send_settings(owed);
        while let Some((id, pending)) = self.settings.first().cloned() {
            let outcome = match self.listen(scope, Some(&id), Wait::Start(patience)).await {
                Ok(answer) => Ok(answer),
                Err(NoAnswer::Refused(error)) => Err(error),
                Err(NoAnswer::Late) => {
                    let silent = format!("it said nothing for {} s", patience.as_secs_f32());
                    Err(ErrorObject::new(code::INTERNAL_ERROR, silent))
                }
                Err(NoAnswer::Stopped) => return Ok(false),
                Err(broken @ NoAnswer::Broken(_)) => {
                    return Err(self.trouble(name(&pending.setting), broken, patience));
                }
            };
            let outcome = match &outcome {
                Ok(answer) => Ok(&**answer),
                Err(error) => Err(error.clone()),
            };
            if let Some(answered) = self.set(&id, outcome) {
                answered.tell(scope.turn).await;
            }
        }
        Ok(true)
    }

    /// Tells the agent what was chosen since it was told last.
    pub(super) fn send_chosen(&mut self) {
        let owed = self.port.settings.borrow_and_update().clone();
        self.send_settings(owed);
    }

    fn send_settings(&mut self, owed: Vec<Pending>) {
        let Some(session_id) = self.session.clone() else { return };
        for pending in owed {
            if self.settings.iter().any(|(_, sent)| sent.chosen == pending.chosen) {
                continue;
            }
            let id = format!("set.{}.{}", self.incarnation, pending.chosen);
            let id = Id::try_from(id.as_str()).expect("short texts are ids");
            let (method, session_id) = (name(&pending.setting), session_id.clone());
            match &pending.setting {
                Setting::Mode(mode) => {
                    let params = SetSessionModeRequest { session_id, mode_id: mode.clone() };
                    self.link.request(&id, method, &params);
                }
                Setting::Model(model) => {
                    let params = SetSessionModelRequest { session_id, model_id: model.clone() };
                    self.link.request(&id, method, &params);
                }
                Setting::Option { id: config_id, value } => {
                    let value = match value {
                        Value::Bool(value) => ConfigValue::Boolean { value: *value },
                        Value::Id(value) => ConfigValue::Id { value: value.clone() },
                    };
                    let config_id = config_id.clone();
                    self.link.request(
                        &id,
                        method,
                        &SetSessionConfigOptionRequest { session_id, config_id, value },
                    );
                }
            }
            self.settings.push((id, pending));
        }
    }

    /// Takes the answer to a choice; `None` if it is to something else.
    pub(super) fn set(&mut self, id: &Id, outcome: Result<&RawValue, ErrorObject>) -> Option<Answered> {
        let place = self.settings.iter().position(|(sent, _)| sent == id)?;
        let (_, Pending { chosen, setting }) = self.settings.remove(place);
        let (gauge, error) = match outcome {
            Ok(answer) => (gauge(&setting, answer), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let gauge = gauge.filter(|(_, gauge)| gauge.get().len() <= MAX_GAUGE);
        Some(Answered { settled: Settled { chosen, error }, gauge })
    }
}

impl Answered {
    /// Tells the log, in a turn.
    pub(super) async fn tell(self, turn: &Turn) {
        if let Some((_, gauge)) = self.gauge {
            turn.update(gauge).await;
        }
        turn.fact(self.settled).await;
    }
}

const fn name(setting: &Setting) -> &'static str {
    match setting {
        Setting::Mode(_) => method::SESSION_SET_MODE,
        Setting::Model(_) => method::SESSION_SET_MODEL,
        Setting::Option { .. } => method::SESSION_SET_CONFIG_OPTION,
    }
}

/// What an agent is set to once it has taken a choice. Of a model it has to tell by itself.
fn gauge(setting: &Setting, answer: &RawValue) -> Option<(&'static str, Raw)> {
    match setting {
        Setting::Mode(mode) => {
            let update = CurrentModeUpdate { current_mode_id: mode.clone() };
            Some(("current_mode_update", SessionUpdate::CurrentModeUpdate(update).to_raw().into()))
        }
        Setting::Option { .. } => {
            let answer: SetSessionConfigOptionResponse = serde_json::from_str(answer.get()).ok()?;
            Some(Options::gauge(answer.config_options))
        }
        Setting::Model(_) => None,
    }
}
