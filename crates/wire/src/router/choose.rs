//! Which worker a message goes to.

use std::collections::HashMap;

use super::book::NONE;
use super::config::Config;
use super::core::{Router, State, code};
use super::scan::Keys;

/// How many running workers are compared for one choice.
const COMPARED: usize = 16;

/// Pools by name. Pools of one id are one group.
#[derive(Debug, Default)]
pub(super) struct Groups {
    all: Vec<Group>,
    by_pool: HashMap<Vec<u8>, usize>,
    by_agent: HashMap<Vec<u8>, usize>,
    by_capability: HashMap<Vec<u8>, usize>,
    default: Option<usize>,
}

#[derive(Debug, Default)]
struct Group {
    name: String,
    workers: Vec<u32>,
    /// Where the next choice begins.
    cursor: usize,
}

/// Why a message goes nowhere.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: i32,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(super) fn drained(pool: &str) -> Self {
        Self::new(code::UNAVAILABLE, format!("Pool '{pool}' is drained and takes no requests"))
    }
}

/// Where a message goes.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) worker: u32,
    /// The session that it belongs to, if that is bound already.
    pub(super) session: u32,
}

impl Groups {
    pub(super) fn new(config: &Config) -> Self {
        let mut groups = Self::default();
        let mut worker = 0;
        for pool in &config.pools {
            let at = *groups.by_pool.entry(pool.id.clone().into_bytes()).or_insert(groups.all.len());
            if at == groups.all.len() {
                groups.all.push(Group { name: pool.id.clone(), ..Group::default() });
            }
            let next = worker + pool.instances as u32;
            groups.all[at].workers.extend(worker..next);
            worker = next;
            let agents = pool.agents.iter().map(|agent| (agent.clone().into_bytes(), at));
            groups.by_agent.extend(agents);
            let capabilities =
                pool.capabilities.iter().map(|capability| (capability.clone().into_bytes(), at));
            groups.by_capability.extend(capabilities);
        }
        let default =
            config.default_pool.as_ref().and_then(|name| groups.by_pool.get(name.as_bytes())).copied();
        groups.default = default.or_else(|| (groups.all.len() == 1).then_some(0));
        groups
    }

    /// The group that a message asks for: by `pool`, else by `agentId`, else by `capability`, else the default.
    fn of(&self, keys: &Keys<'_>) -> Result<usize, Refusal> {
        if let Some(pool) = &keys.pool {
            return self.by_pool.get(&**pool).copied().ok_or_else(|| {
                let pool = String::from_utf8_lossy(pool);
                Refusal::new(code::INVALID_ARGUMENT, format!("No workers available in pool '{pool}'"))
            });
        }
        if !self.by_agent.is_empty()
            && let Some(group) = keys.agent.as_ref().and_then(|agent| self.by_agent.get(&**agent))
        {
            return Ok(*group);
        }
        if !self.by_capability.is_empty()
            && let Some(group) = keys.capability.as_ref().and_then(|name| self.by_capability.get(&**name))
        {
            return Ok(*group);
        }
        self.default.ok_or_else(|| {
            let count = self.all.len();
            let message =
                format!("No 'pool' field in message but {count} pools configured - specify target pool");
            Refusal::new(code::INVALID_ARGUMENT, message)
        })
    }
}

impl Router {
    /// Where a message of a client goes; nothing is bound yet.
    pub(super) fn route(&mut self, keys: &Keys<'_>) -> Result<Route, Refusal> {
        let names = [&keys.session, &keys.inner_session];
        for name in names.into_iter().flatten() {
            if let Some(session) = self.sessions.find(name)
                && let Some(bound) = self.sessions.get(session)
            {
                return Ok(Route { worker: bound.worker, session });
            }
        }
        let group = self.groups.of(keys)?;
        let pinned = names.into_iter().any(Option::is_some);
        match self.pick(group, pinned) {
            Some(worker) => Ok(Route { worker, session: NONE }),
            None => Err(self.nobody_runs(group)),
        }
    }

    /// The least loaded of the next few running workers; what counts for a new session is also how many sessions
    /// a worker has.
    fn pick(&mut self, group: usize, pinned: bool) -> Option<u32> {
        let Group { workers, cursor, .. } = &self.groups.all[group];
        let (count, cursor) = (workers.len(), *cursor);
        let mut best: Option<(usize, usize)> = None;
        let mut compared = 0;
        for step in 0..count {
            let at = if cursor + step < count { cursor + step } else { cursor + step - count };
            let worker = workers[at];
            if self.workers[worker as usize].state != State::Up {
                continue;
            }
            let load =
                self.requests.owed_by(worker) + if pinned { self.sessions.on_worker(worker) } else { 0 };
            if best.is_none_or(|(least, _)| load < least) {
                best = Some((load, at));
            }
            compared += 1;
            if load == 0 || compared == COMPARED {
                break;
            }
        }
        let (_, at) = best?;
        let group = &mut self.groups.all[group];
        group.cursor = if at + 1 < count { at + 1 } else { 0 };
        Some(group.workers[at])
    }

    fn nobody_runs(&self, group: usize) -> Refusal {
        let Group { name, workers, .. } = &self.groups.all[group];
        let state = |&worker: &u32| self.workers[worker as usize].state;
        if workers.iter().any(|&worker| self.workers[worker as usize].drained) {
            return Refusal::drained(name);
        }
        let why = match workers.iter().map(state).min_by_key(|state| match state {
            State::Up => 0,
            State::Down { until, .. } => *until,
            State::Gone => u64::MAX,
        }) {
            Some(State::Down { open: true, .. }) => "; the circuit is open after too many restarts",
            Some(State::Down { open: false, .. }) => "; one is about to be restarted",
            Some(State::Up | State::Gone) | None => "",
        };
        Refusal::new(code::UNAVAILABLE, format!("No workers available in pool '{name}'{why}"))
    }

    /// The workers of a group.
    pub(super) fn group(&self, name: &str) -> Option<&[u32]> {
        let at = self.groups.by_pool.get(name.as_bytes())?;
        Some(&self.groups.all[*at].workers)
    }

    /// Names of groups and their workers.
    pub(super) fn group_list(&self) -> impl Iterator<Item = (&str, &[u32])> {
        self.groups.all.iter().map(|group| (group.name.as_str(), group.workers.as_slice()))
    }
}
