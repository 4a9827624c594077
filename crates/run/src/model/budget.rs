//! A limit that is reached is a question to a person, before the model is asked again: a session's, or that of a day.

use serde_json::json;
use trunkline_core::budget::{Reached, Spent};
use trunkline_core::id::{LogId, RequestId, Seq};
use trunkline_core::principal::Caller;
use trunkline_core::raw::Raw;
use trunkline_core::request::{Choice, Opened, OptionKind, Outcome};
use trunkline_core::session::Command;
use trunkline_core::spending::{self, Used};
use trunkline_core::time::Time;
use trunkline_core::turn::Usage;
use uuid::Uuid;

use super::history::History;
use crate::driver::SessionPort;
use crate::profiles::{Profiles, Ready};
use crate::turn::Turn;

const GO_ON: &str = "go_on";
const STOP: &str = "stop";

/// Whose limit is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// The session's.
    Session,
    /// That of a profile for a day.
    Profile,
    /// That of all profiles for a day.
    All,
}

/// A limit that is reached, and whose it is.
pub(super) struct Over {
    pub(super) whose: Whose,
    pub(super) reached: Reached,
}

/// What became of a question.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Outlook {
    /// As much again may be used.
    Raised,
    /// It needs no answer any more: somebody has said it in another session, or another day has begun.
    Freed,
    /// The turn ends.
    Stop,
}

/// Measures a turn for the day's account.
pub(super) struct Meter {
    begun: Time,
    mark: Time,
    counted: bool,
}

impl Meter {
    pub(super) const fn new(now: Time) -> Self {
        Self { begun: now, mark: now, counted: false }
    }

    /// What passed until now was no work: a wait for a person, or for a provider's limit.
    pub(super) const fn skip(&mut self, now: Time) {
        self.mark = now;
    }

    /// Adds what was used, and the time since the last time, to the day's account.
    pub(super) async fn count(&mut self, port: &SessionPort, profile: &str, usage: &Usage) {
        let now = port.cells.now();
        let used = Used {
            tokens: usage.input.unwrap_or(0).saturating_add(usage.output.unwrap_or(0)),
            cost: usage.cost.unwrap_or(0.0),
            turns: u32::from(!self.counted),
            ms: now.ms_since(self.mark),
        };
        (self.mark, self.counted) = (now, true);
        let command = spending::Command::Count { profile: profile.to_owned(), used };
        let kept = port.spending.command(&LogId::spending(), Caller::trunkline(), command, None).await;
        if let Err(error) = kept {
            tracing::error!(session = %port.id, %error, "what a model used today was not counted");
        }
    }
}

/// The first limit that is reached, if one is.
///
/// # Errors
/// When it cannot be read what was used: nothing goes on then, for nobody knows whether it may.
pub(super) async fn over(
    port: &SessionPort,
    profiles: &Profiles,
    ready: &Ready,
    history: &History,
    meter: &Meter,
) -> Result<Option<Over>, String> {
    if let Some(budget) = ready.profile.budget {
        let turn_s = port.cells.now().ms_since(meter.begun) / 1_000;
        let spent = Spent { turn_s, ..history.spent };
        if let Some(reached) = budget.reached(&spent, history.raised) {
            return Ok(Some(Over { whose: Whose::Session, reached }));
        }
    }
    let today = today(port, profiles, ready, meter.counted).await;
    today.map(|(over, _)| over).map_err(|error| format!("what was used today cannot be read: {error}"))
}

/// The limit of the day that is reached, and when the next day begins.
async fn today(
    port: &SessionPort,
    profiles: &Profiles,
    ready: &Ready,
    counted: bool,
) -> Result<(Option<Over>, Time), crate::CommandError> {
    let (all, own) = (profiles.daily_budget(), ready.profile.daily_budget);
    if all.is_none() && own.is_none() {
        return Ok((None, Time(i64::MAX)));
    }
    let (now, name) = (port.cells.now(), ready.name.clone());
    let look = move |spending: &spending::Spending, _| spending.on(now, all, [(name, own)]);
    let day = port.spending.view(&LogId::spending(), look).await?;
    let account = day.profiles.get(&ready.name).and_then(|account| account.reached(!counted));
    let over = account.map(|reached| Over { whose: Whose::Profile, reached });
    let all = || day.all.reached(!counted).map(|reached| Over { whose: Whose::All, reached });
    Ok((over.or_else(all), day.until))
}

/// Asks whether as much again may be used. Nobody answers in a person's place.
pub(super) async fn settle(
    port: &SessionPort,
    profiles: &Profiles,
    ready: &Ready,
    meter: &Meter,
    turn: &Turn,
    over: &Over,
) -> Outlook {
    let id = RequestId::new(Uuid::now_v7());
    let settled = tokio::select! {
        biased;
        more = may_go_on(turn, id, &ready.name, over) => if more { Outlook::Raised } else { Outlook::Stop },
        () = freed(port, profiles, ready, meter.counted), if over.whose != Whose::Session => Outlook::Freed,
    };
    let profile = match (settled, &over.whose) {
        (Outlook::Freed, _) => {
            turn.finish().await;
            let withdraw = Command::Withdraw(id, Outcome::Superseded);
            let done = port.cells.command(&port.log, Caller::agent(port.id), withdraw, None).await;
            if let Err(error) = done {
                tracing::debug!(session = %port.id, %error, "a question was answered while it was taken back");
            }
            return settled;
        }
        (Outlook::Raised, Whose::Profile) => Some(ready.name.clone()),
        (Outlook::Raised, Whose::All) => None,
        (Outlook::Raised, Whose::Session) | (Outlook::Stop, _) => return settled,
    };
    let raise = spending::Command::Raise { profile };
    let kept = port.spending.command(&LogId::spending(), Caller::trunkline(), raise, None).await;
    if let Err(error) = kept {
        tracing::error!(session = %port.id, %error, "it was not kept that as much again may be used today");
        return Outlook::Stop;
    }
    settled
}

async fn may_go_on(turn: &Turn, id: RequestId, profile: &str, over: &Over) -> bool {
    let option = |id: &str, name: &str, kind| Choice { id: id.to_owned(), name: name.to_owned(), kind };
    let Over { whose, reached } = over;
    let (what, until, of) = match whose {
        Whose::Session => ("The budget is used up".to_owned(), "in this turn", "session"),
        Whose::Profile => {
            (format!("The day's budget of the profile {profile} is used up"), "by it today", "profile")
        }
        Whose::All => ("The day's budget is used up".to_owned(), "today", "day"),
    };
    let question =
        format!("The model is asked no more {until} unless you say that as much again may be used.");
    let context = Raw::of(&json!({ "budget": reached.what, "of": of, "profile": profile })).ok();
    let asked = Opened {
        options: vec![
            option(GO_ON, "Go on, with as much again", OptionKind::AllowOnce),
            option(STOP, "Stop here", OptionKind::RejectOnce),
        ],
        context,
        ..Opened::question(id, format!("{what}: {}", reached.told), question)
    };
    let Ok(closed) = turn.ask(asked).await else { return false };
    let chosen = closed.answer.and_then(|answer| answer.option);
    closed.outcome == Outcome::Answered && chosen.as_deref() == Some(GO_ON)
}

/// Resolves when no limit of the day is reached any more.
async fn freed(port: &SessionPort, profiles: &Profiles, ready: &Ready, counted: bool) {
    let Ok(mut tail) = port.spending.follow(&LogId::spending(), Seq(u64::MAX)).await else {
        return std::future::pending().await;
    };
    // Where it cannot be read, a person still answers.
    while let Ok((Some(_), until)) = today(port, profiles, ready, counted).await {
        let changed = tokio::select! {
            biased;
            next = tail.next() => next.is_ok(),
            () = port.cells.clock().sleep_until(until) => true,
        };
        if !changed {
            return std::future::pending().await;
        }
    }
}
