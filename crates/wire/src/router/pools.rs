//! What a person does to one pool, by its name: restart, drain, resume.

use super::book::NONE;
use super::choose::{Refusal, Route};
use super::core::{Action, Router, State, WorkerId};
use super::restart::Circuit;
use super::scan::Keys;

impl Router {
    /// The names of all pools. Pools of one id are one.
    pub fn pool_names(&self) -> impl Iterator<Item = &str> {
        self.group_list().map(|(name, _)| name)
    }

    /// The workers of a pool; `None` if there is no such pool.
    pub fn workers_of(&self, pool: &str) -> Option<Vec<WorkerId>> {
        Some(self.group(pool)?.iter().copied().map(WorkerId).collect())
    }

    /// Whether a pool was told to take no more requests.
    pub fn is_drained(&self, pool: &str) -> bool {
        self.group(pool)
            .is_some_and(|workers| workers.iter().any(|&worker| self.workers[worker as usize].drained))
    }

    /// Replaces all workers of a pool at once, also those that are down. Whoever waits for one of them gets an error;
    /// what was known of their failures is forgotten. A drained pool stays drained. Says whether there is such a pool.
    pub fn restart_pool(&mut self, pool: &str, now: u64) -> bool {
        let Some(workers) = self.group(pool).map(<[u32]>::to_vec) else { return false };
        for worker in workers {
            if self.workers[worker as usize].state == State::Up {
                self.lose(worker, "The worker was restarted before it answered", now);
                self.actions.push_back(Action::Stop(WorkerId(worker)));
            }
            self.start_anew(worker, now);
        }
        true
    }

    /// Has a pool take no more requests, and start no worker again that ends. What was asked is still answered, and
    /// notifications reach the sessions that are there. Says whether there is such a pool.
    pub fn drain_pool(&mut self, pool: &str) -> bool {
        let Some(workers) = self.group(pool).map(<[u32]>::to_vec) else { return false };
        for worker in workers {
            let known = &mut self.workers[worker as usize];
            known.drained = true;
            if known.state != State::Up {
                known.state = State::Gone;
            }
        }
        true
    }

    /// Has a pool take requests again, and starts those of its workers that are down. Says whether there is such a
    /// pool.
    pub fn resume_pool(&mut self, pool: &str, now: u64) -> bool {
        let Some(workers) = self.group(pool).map(<[u32]>::to_vec) else { return false };
        for worker in workers {
            self.workers[worker as usize].drained = false;
            if self.workers[worker as usize].state != State::Up {
                self.start_anew(worker, now);
            }
        }
        true
    }

    /// A drained pool takes answers, and notifications of its sessions: a request under way can be cancelled.
    pub(super) fn refuse_drained(&self, route: &Route, keys: &Keys<'_>) -> Result<(), Refusal> {
        let takes = keys.id.is_none() && route.session != NONE;
        if takes || !self.workers[route.worker as usize].drained {
            return Ok(());
        }
        Err(Refusal::drained(&self.pool(WorkerId(route.worker)).id))
    }

    fn start_anew(&mut self, worker: u32, now: u64) {
        let known = &mut self.workers[worker as usize];
        known.state = State::Gone;
        known.circuit = Circuit::default();
        if !self.draining {
            self.restart(worker, now);
        }
    }
}
