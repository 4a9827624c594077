//! Random histories: whatever happens, a client that stays gets exactly one answer to each request, its own.

use std::collections::HashMap;

use proptest::prelude::*;

use crate::router::{Action, ClientId, Config, Ended, Peer, Router, WorkerId};

const WORKERS: usize = 3;
const CONFIG: &str = r#"{"pools":[{"id":"p","command":"c","instances":3,"max_pending":6,"max_worker_queue":300,
    "request_timeout_ms":50}],"limits":{"max_output_queue":400,"max_restarts":3,"max_sessions":4}}"#;

#[derive(Clone, Debug)]
enum Step {
    Connect,
    Request { client: usize, id: u8, session: Option<u8> },
    Read { worker: usize },
    Answer { worker: usize, which: usize },
    Notify { worker: usize, session: u8 },
    Noise { worker: usize },
    End { worker: usize },
    Leave { client: usize },
    Receive { client: usize, most: usize },
    Pass { time: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let worker = || 0..WORKERS;
    prop_oneof![
        2 => Just(Step::Connect),
        12 => (0_usize..4, 0_u8..3, prop::option::of(0_u8..6))
            .prop_map(|(client, id, session)| Step::Request { client, id, session }),
        8 => worker().prop_map(|worker| Step::Read { worker }),
        10 => (worker(), 0_usize..8).prop_map(|(worker, which)| Step::Answer { worker, which }),
        3 => (worker(), 0_u8..6).prop_map(|(worker, session)| Step::Notify { worker, session }),
        1 => worker().prop_map(|worker| Step::Noise { worker }),
        1 => worker().prop_map(|worker| Step::End { worker }),
        1 => (0_usize..4).prop_map(|client| Step::Leave { client }),
        8 => (0_usize..4, 1_usize..200).prop_map(|(client, most)| Step::Receive { client, most }),
        2 => (1_u64..80).prop_map(|time| Step::Pass { time }),
    ]
}

/// A client as it sees itself: each of its requests has a number of its own, which the worker sends back.
#[derive(Default)]
struct Seen {
    bytes: Vec<u8>,
    /// Requests that are unanswered, by id, with their numbers.
    waiting: HashMap<u8, Vec<u64>>,
}

struct World {
    router: Router,
    now: u64,
    clients: Vec<(ClientId, Seen)>,
    /// What each worker has read, and the id and number of what it has not answered.
    read: Vec<Vec<u8>>,
    open: Vec<Vec<(String, u64)>>,
    last_number: Vec<u64>,
    next: u64,
}

fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let at = line.find(&format!("\"{name}\":"))? + name.len() + 3;
    let rest = &line[at..];
    rest.find([',', '}']).map(|end| &rest[..end])
}

impl World {
    fn new() -> Self {
        let router = Router::new(Config::parse(CONFIG.as_bytes()).unwrap());
        let mut world = Self {
            router,
            now: 0,
            clients: Vec::new(),
            read: vec![Vec::new(); WORKERS],
            open: vec![Vec::new(); WORKERS],
            last_number: vec![0; WORKERS],
            next: 1,
        };
        world.obey();
        world
    }

    fn worker(&self, worker: usize) -> WorkerId {
        self.router.workers().nth(worker).unwrap()
    }

    fn obey(&mut self) {
        while let Some(action) = self.router.next_action() {
            match action {
                Action::Close(client) => self.leave(client),
                Action::Start(worker) | Action::Stop(worker) => {
                    self.read[worker.index()].clear();
                    self.open[worker.index()].clear();
                    self.last_number[worker.index()] = 0;
                }
                Action::Pause(_) | Action::Resume(_) | Action::Record(_) | Action::Say(_) => {}
            }
        }
    }

    fn leave(&mut self, client: ClientId) {
        self.router.disconnect(client);
        self.clients.retain(|(id, _)| *id != client);
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Connect if self.clients.len() < 4 => {
                let client = self.router.connect(false, self.now).unwrap();
                self.clients.push((client, Seen::default()));
            }
            Step::Connect => {}
            Step::Request { client, id, session } => self.request(client, id, session),
            Step::Read { worker } => self.read(worker),
            Step::Answer { worker, which } => self.answer(worker, which),
            Step::Notify { worker, session } => {
                self.say(worker, &format!("{{\"method\":\"n\",\"sessionId\":\"s{session}\"}}"));
            }
            Step::Noise { worker } => self.say(worker, "noise"),
            Step::End { worker } => {
                let id = self.worker(worker);
                self.read[worker].clear();
                self.open[worker].clear();
                self.last_number[worker] = 0;
                self.router.worker_ended(id, &Ended::Exit("exit 0".to_owned()), self.now);
            }
            Step::Leave { client } => {
                if let Some(&(client, _)) = self.clients.get(client) {
                    self.leave(client);
                }
            }
            Step::Receive { client, most } => self.receive(client, most),
            Step::Pass { time } => {
                self.now += time;
                self.router.tick(self.now);
            }
        }
        self.obey();
        self.check_bounds();
    }

    fn request(&mut self, client: usize, id: u8, session: Option<u8>) {
        let Some((client, seen)) = self.clients.get_mut(client) else { return };
        let number = self.next;
        self.next += 1;
        let session = session.map_or(String::new(), |session| format!(",\"sessionId\":\"s{session}\""));
        let line = format!("{{\"id\":{id},\"method\":\"m\",\"number\":{number}{session}}}\n");
        seen.waiting.entry(id).or_default().push(number);
        self.router.client_bytes(*client, line.as_bytes(), self.now);
    }

    fn read(&mut self, worker: usize) {
        let peer = Peer::Worker(self.worker(worker));
        let bytes = self.router.output(peer).to_vec();
        self.router.written(peer, bytes.len(), self.now);
        for line in std::str::from_utf8(&bytes).unwrap().lines() {
            let (Some(id), Some(number)) = (field(line, "id"), field(line, "number")) else { continue };
            let number: u64 = number.parse().unwrap();
            assert!(number > self.last_number[worker], "a worker hears requests in the order they were sent");
            self.last_number[worker] = number;
            assert!(!self.open[worker].iter().any(|(open, _)| open == id), "no id is used twice at a time");
            self.open[worker].push((id.to_owned(), number));
        }
    }

    fn answer(&mut self, worker: usize, which: usize) {
        if self.open[worker].is_empty() {
            return;
        }
        let which = which % self.open[worker].len();
        let (id, number) = self.open[worker].remove(which);
        self.say(worker, &format!("{{\"id\":{id},\"result\":0,\"number\":{number}}}"));
    }

    fn say(&mut self, worker: usize, line: &str) {
        self.router.worker_bytes(self.worker(worker), format!("{line}\n").as_bytes(), self.now);
    }

    fn receive(&mut self, client: usize, most: usize) {
        let Some((client, seen)) = self.clients.get_mut(client) else { return };
        let peer = Peer::Client(*client);
        let waiting = self.router.output(peer);
        let bytes = waiting[..waiting.len().min(most)].to_vec();
        self.router.written(peer, bytes.len(), self.now);
        seen.bytes.extend(bytes);
        while let Some(end) = seen.bytes.iter().position(|&byte| byte == b'\n') {
            let line = String::from_utf8(seen.bytes.drain(..=end).collect()).unwrap();
            let Some(id) = field(&line, "id") else { continue };
            let id: u8 = id.parse().expect("a client sees its own ids only");
            let waiting =
                seen.waiting.get_mut(&id).filter(|list| !list.is_empty()).expect("one answer to a request");
            match field(&line, "number") {
                Some(number) => {
                    let number: u64 = number.parse().unwrap();
                    let at = waiting.iter().position(|&n| n == number).expect("an answer is for who asked");
                    waiting.remove(at);
                }
                None => {
                    // An error tells the id only; which of several it was does not matter.
                    assert!(line.contains("\"error\""));
                    waiting.push(u64::MAX);
                    let errors = waiting.iter().filter(|&&n| n == u64::MAX).count();
                    assert!(errors * 2 <= waiting.len(), "no more errors than requests");
                }
            }
        }
    }

    fn check_bounds(&self) {
        for worker in self.router.workers() {
            assert!(
                self.router.output(Peer::Worker(worker)).len() <= 300 + 100,
                "a worker's queue is bounded"
            );
        }
        let (pending, sessions) = self.router.load();
        assert!(pending <= WORKERS * 6 && sessions <= 4, "tables are bounded");
    }

    /// In the end every worker is gone, and every client has read all.
    fn finish(&mut self) {
        for worker in 0..WORKERS {
            self.step(&Step::End { worker });
        }
        for client in 0..self.clients.len() {
            self.receive(client, usize::MAX);
        }
        for (_, seen) in &self.clients {
            for (id, waiting) in &seen.waiting {
                let errors = waiting.iter().filter(|&&n| n == u64::MAX).count();
                assert_eq!(errors * 2, waiting.len(), "every request {id} was answered once");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn everybody_gets_what_is_theirs(steps in prop::collection::vec(step(), 1..150)) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        world.finish();
    }
}
