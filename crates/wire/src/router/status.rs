//! What can be seen of a router from outside: a status object, and metrics as Prometheus reads them.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use super::core::{Router, State, WorkerId};
use super::flow::name_of;

/// What is counted from the start on.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters {
    pub(super) from_clients: u64,
    pub(super) from_workers: u64,
    pub(super) to_clients: u64,
    /// Ids that were in use and given another name.
    pub(super) renamed: u64,
    /// Lines of workers that are no JSON objects.
    pub(super) garbage: u64,
    /// Lines of workers over the limit.
    pub(super) oversize: u64,
    /// Answers and notifications for nobody.
    pub(super) stray: u64,
    /// Answers whose asker was gone or was told something else before.
    pub(super) late: u64,
    pub(super) cut_off: u64,
    pub(super) refused_clients: u64,
    errors: BTreeMap<&'static str, u64>,
}

impl Counters {
    /// An error was sent to a client.
    pub(super) fn error(&mut self, code: i32) {
        *self.errors.entry(name_of(code)).or_default() += 1;
    }

    fn named(&self) -> [(&'static str, u64); 10] {
        [
            ("lines_from_clients", self.from_clients),
            ("lines_from_workers", self.from_workers),
            ("lines_to_clients", self.to_clients),
            ("renamed_ids", self.renamed),
            ("garbage_lines", self.garbage),
            ("oversize_lines", self.oversize),
            ("stray_lines", self.stray),
            ("late_answers", self.late),
            ("clients_cut_off", self.cut_off),
            ("clients_refused", self.refused_clients),
        ]
    }
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down { open: false, .. } => "waiting",
            Self::Down { open: true, .. } => "open",
            Self::Gone => "gone",
        }
    }
}

/// What can be seen of one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerStatus {
    /// `up`; `waiting`: it is started again soon; `open`: it ended too often and is tried again later; `half-open`:
    /// that try; `gone`: it stays down.
    pub state: &'static str,
    /// In how many milliseconds it is started, where that is planned.
    pub retry_ms: Option<u64>,
    /// Answers that it owes.
    pub pending: usize,
    /// Sessions that are pinned to it.
    pub sessions: usize,
    /// Bytes that wait for it.
    pub queued_bytes: usize,
    /// How often it was started again.
    pub restarts: u64,
    /// Lines that were no JSON objects.
    pub garbage_lines: u64,
}

impl Router {
    /// What can be seen of one worker.
    pub fn worker_status(&self, worker: WorkerId, now: u64) -> WorkerStatus {
        let known = &self.workers[worker.index()];
        let retry_ms = match known.state {
            State::Down { until, .. } => Some(until.saturating_sub(now)),
            State::Up | State::Gone => None,
        };
        WorkerStatus {
            state: if known.circuit.on_trial() { "half-open" } else { known.state.name() },
            retry_ms,
            pending: self.requests.owed_by(worker.0).saturating_sub(usize::from(known.check.is_some())),
            sessions: self.sessions.on_worker(worker.0),
            queued_bytes: known.out.len(),
            restarts: known.restarts,
            garbage_lines: known.garbage,
        }
    }

    /// The state of everything, as `stdio_bus/status` answers it.
    pub fn status(&self, now: u64) -> Value {
        let worker = |&index: &u32| {
            let seen = self.worker_status(WorkerId(index), now);
            json!({
                "worker": index, "state": seen.state, "retryMs": seen.retry_ms, "pending": seen.pending,
                "sessions": seen.sessions, "queuedBytes": seen.queued_bytes, "restarts": seen.restarts,
                "garbageLines": seen.garbage_lines,
            })
        };
        let pool = |(name, workers): (&str, &[u32])| json!({"id": name, "workers": workers.iter().map(worker).collect::<Vec<_>>()});
        let counters: serde_json::Map<_, _> =
            self.counters.named().iter().map(|&(name, count)| (name.to_owned(), count.into())).collect();
        json!({
            "pools": self.group_list().map(pool).collect::<Vec<_>>(),
            "clients": self.clients.len() - self.free.len(),
            "sessions": self.sessions.len(),
            "pending": self.requests.len(),
            "questions": self.questions.len(),
            "draining": self.draining,
            "counters": counters,
            "errors": self.counters.errors,
        })
    }

    /// The metrics in Prometheus's text format.
    pub fn metrics(&self) -> String {
        let mut text = String::new();
        let mut put = |kind: &str, name: &str, labels: &str, value: u64| {
            if !text.contains(&format!("# TYPE stdio_bus_{name} ")) {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "# TYPE stdio_bus_{name} {kind}");
            }
            let _ = writeln!(text, "stdio_bus_{name}{labels} {value}");
        };
        put("gauge", "clients", "", (self.clients.len() - self.free.len()) as u64);
        put("gauge", "sessions", "", self.sessions.len() as u64);
        put("gauge", "pending_requests", "", self.requests.len() as u64);
        for (name, count) in self.counters.named() {
            put("counter", &format!("{name}_total"), "", count);
        }
        for (name, count) in &self.counters.errors {
            put("counter", "errors_total", &format!("{{code=\"{name}\"}}"), *count);
        }
        let label = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        type Gauge = (&'static str, &'static str, fn(&Router, u32) -> u64);
        let gauges: [Gauge; 5] = [
            ("gauge", "worker_up", |router, index| {
                u64::from(router.workers[index as usize].state == State::Up)
            }),
            ("gauge", "worker_pending_requests", |router, index| router.requests.owed_by(index) as u64),
            ("gauge", "worker_sessions", |router, index| router.sessions.on_worker(index) as u64),
            ("gauge", "worker_queued_bytes", |router, index| router.workers[index as usize].out.len() as u64),
            ("counter", "worker_restarts_total", |router, index| router.workers[index as usize].restarts),
        ];
        for (kind, name, value) in gauges {
            for (pool, workers) in self.group_list() {
                for &index in workers {
                    let labels = format!("{{pool=\"{}\",worker=\"{index}\"}}", label(pool));
                    put(kind, name, &labels, value(self, index));
                }
            }
        }
        text
    }
}
