//! Permissions of a turn: judged when they are asked, and again when a grant is given.

use super::{Beside, Session};
use crate::call::Call;
use crate::grant::{self, Added, Asking, Grant, Grants, Judged, Scope, Verdict, judge};
use crate::machine::{Context, Draft};
use crate::refused::Refused;
use crate::request::{Kind, Opened};
use crate::risk::Risk;
use crate::time::Time;
use crate::turn::Running;

/// How many characters of what the agent said last are kept with a request.
const MAX_SAID: usize = 2_000;

impl Session {
    /// What the rules say of a request, and the answer, where grants give one.
    pub(super) fn judged(
        &self,
        running: &Running,
        asked: &Opened,
        beside: &Beside,
        ctx: &Context<'_>,
    ) -> Vec<Draft> {
        if asked.kind != Kind::Permission {
            return Vec::new();
        }
        let call = Call::of(asked, self.workspace());
        let risk = Risk::of(&call);
        let verdict = self.verdict(&self.grants, &beside.standing, running, &call, &risk, ctx.now, &[]);
        let (rule, closed) = match verdict {
            Verdict::Ask(rule) => (Some(rule), None),
            Verdict::Allowed(uses) => match asked.granted(&uses, running.turn, ctx.now) {
                Some(closed) => (None, Some(closed)),
                None => {
                    (Some("a rule covers it, but no option of the agent allows it once".to_owned()), None)
                }
            },
        };
        let said = beside.said.as_deref().map(last_words).filter(|said| !said.is_empty());
        let judged = Draft::of(running.turn, Judged { id: asked.id, risk, rule, said });
        std::iter::once(judged).chain(closed).collect()
    }

    /// Gives a grant, and answers what it covers of what is asked now.
    pub(super) fn grant(&self, added: &Added, ctx: &Context<'_>) -> Result<Vec<Draft>, Refused> {
        if added.scope == Some(Scope::Project) {
            return Err(Refused::invalid("scope", "must not be project for a grant of a session"));
        }
        let mut facts = self.grants.add(added, ctx.now)?;
        let mut after = self.grants.clone();
        for fact in &facts {
            if let crate::event::Fact::GrantRevoked(grant::Revoked { id }) = &fact.fact {
                after.all.remove(id);
            }
        }
        let given = Grant { added: added.clone(), by: ctx.caller.principal.clone(), at: ctx.now };
        after.all.insert(added.id, given);
        facts.extend(self.release(&after, &[], ctx.now));
        Ok(facts)
    }

    /// Answers what grants cover of what the running turn asks.
    pub(super) fn release(&self, grants: &Grants, standing: &[Grant], now: Time) -> Vec<Draft> {
        let Some(running) = self.turns.running.as_ref().filter(|running| running.stopping.is_none()) else {
            return Vec::new();
        };
        let mut spent = Vec::new();
        let mut facts = Vec::new();
        let of_turn = |open: &&crate::request::Open| {
            open.turn == Some(running.turn) && open.asked.kind == Kind::Permission
        };
        for open in self.requests.open.values().filter(of_turn) {
            let call = Call::of(&open.asked, self.workspace());
            let risk = Risk::of(&call);
            let verdict = self.verdict(grants, standing, running, &call, &risk, now, &spent);
            let Verdict::Allowed(uses) = verdict else { continue };
            let Some(closed) = open.asked.granted(&uses, running.turn, now) else { continue };
            let once = uses.iter().filter(|grant| grant.added.scope == Some(Scope::Once));
            spent.extend(once.map(|grant| grant.added.id));
            facts.push(closed);
        }
        facts
    }

    #[expect(clippy::too_many_arguments, reason = "it only gathers what the judge wants to see")]
    fn verdict(
        &self,
        grants: &Grants,
        standing: &[Grant],
        running: &Running,
        call: &Call,
        risk: &Risk,
        now: Time,
        spent: &[crate::id::GrantId],
    ) -> Verdict {
        let project = self.created.as_ref().and_then(|(created, ..)| created.project.as_deref());
        let confined = self.agent.is_confined();
        judge(grants, standing, &Asking { call, risk, confined, by: &running.by, project, now, spent })
    }

    fn workspace(&self) -> Option<&str> {
        self.created.as_ref().and_then(|(created, ..)| created.workspace.as_deref())
    }
}

/// The end of what was said, whole characters.
fn last_words(said: &str) -> String {
    let said = said.trim();
    let from = said.char_indices().rev().nth(MAX_SAID - 1).map_or(0, |(at, _)| at);
    said[from..].to_owned()
}
