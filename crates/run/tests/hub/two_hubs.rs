//! Two hubs over one store, under random commands, crashes, restarts and appends whose result is not known.
//!
//! Nothing above the log may assume to be the only writer: if it did, an invariant here would break. A failing seed is
//! printed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use proptest::test_runner::{RngAlgorithm, TestRng};
use rand::RngExt;
use trunkline_core::event::{Event, Fact};
use trunkline_core::id::{Seq, SessionId};
use trunkline_core::machine::Machine;
use trunkline_core::request::Answer;
use trunkline_core::row::RowKind;
use trunkline_core::session::{Command, Session};
use trunkline_core::turn::{WhenBusy, Why};
use trunkline_log::Log;
use trunkline_log::frame::Query;
use trunkline_run::Hub;

use crate::world::{Mortal, Reader, hub, inbox, log, memory, owner, prompt, session};

const NAMES: [&str; 2] = ["left", "right"];
const STEPS: usize = 120;
const SEEDS: u64 = 12;

/// Both hubs, what was acknowledged, and what attached clients have seen.
struct Pair {
    disk: Arc<dyn Log>,
    stores: Vec<Arc<Mortal>>,
    hubs: Vec<Hub>,
    lives: Vec<u64>,
    sessions: Vec<SessionId>,
    acknowledged: Vec<(SessionId, Event)>,
    clients: Vec<Client>,
    rng: TestRng,
}

/// A client that attaches to whichever hub lives, and resumes at its cursor.
struct Client {
    session: SessionId,
    hub: usize,
    reader: Reader,
    seen: Vec<Event>,
}

impl Pair {
    async fn new(seed: u64) -> Self {
        let disk = memory();
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut pair = Self {
            disk,
            stores: vec![],
            hubs: vec![],
            lives: vec![1, 1],
            sessions: vec![],
            acknowledged: vec![],
            clients: vec![],
            rng,
        };
        for name in NAMES {
            let store = Mortal::over(Arc::clone(&pair.disk));
            pair.hubs.push(hub(store.clone(), name, 1).await);
            pair.stores.push(store);
        }
        for n in 0..3 {
            let id = session(&pair.hubs[n % 2]).await;
            pair.sessions.push(id);
            for which in 0..2 {
                let reader = Reader::attach(&pair.hubs[which], id, Seq::ZERO).await;
                pair.clients.push(Client { session: id, hub: which, reader, seen: vec![] });
            }
        }
        for store in &pair.stores {
            store.unknown_every.store(7, Ordering::SeqCst);
        }
        pair
    }

    async fn step(&mut self) {
        let which = self.rng.random_range(0..2);
        let id = self.sessions[self.rng.random_range(0..self.sessions.len())];
        match self.rng.random_range(0..100) {
            0..35 => {
                let words =
                    ["say a nap say b", "ask say c", "hang", "say x ask ask", "fail", "deaf", "say y"];
                let words = words[self.rng.random_range(0..words.len())];
                let when = if self.rng.random_bool(0.7) { WhenBusy::Queue } else { WhenBusy::Reject };
                self.command(which, id, prompt(words, when)).await;
            }
            35..55 => self.answer(which).await,
            55..63 => {
                let stop = Command::Stop { turn: None, why: Why::Cancelled, grace_ms: 1_000 };
                self.command(which, id, stop).await;
            }
            63..70 => self.crash(which).await,
            70..75 => self.race(id).await,
            _ => {
                let ms = self.rng.random_range(1..1_500);
                tokio::time::sleep(Duration::from_millis(ms)).await;
            }
        }
        self.drain().await;
    }

    async fn command(&mut self, which: usize, id: SessionId, command: Command) {
        let outcome = self.hubs[which].command(&owner(), id, command, None).await;
        if let Ok(done) = outcome {
            self.acknowledged.extend(done.events.into_iter().map(|event| (id, event)));
        }
    }

    async fn answer(&mut self, which: usize) {
        let waiting = inbox(&self.hubs[which]).await;
        if waiting.is_empty() {
            return;
        }
        let request = &waiting[self.rng.random_range(0..waiting.len())];
        let answer = |option: &str| Answer { option: Some(option.into()), ..Answer::default() };
        // Both hubs are asked at once: exactly one answer may win.
        let caller = owner();
        let (yes, no) = tokio::join!(
            self.hubs[0].answer(&caller, request, answer("yes"), None),
            self.hubs[1].answer(&caller, request, answer("no"), None),
        );
        assert!(!(yes.is_ok() && no.is_ok()), "two answers were both told that they won");
        for done in [yes, no].into_iter().flatten() {
            self.acknowledged.extend(done.events.into_iter().map(|event| (request.session, event)));
        }
    }

    /// The same prompt at both hubs at once, neither of which may wait: at most one runs.
    async fn race(&mut self, id: SessionId) {
        let caller = owner();
        let (a, b) = tokio::join!(
            self.hubs[0].command(&caller, id, prompt("nap", WhenBusy::Reject), None),
            self.hubs[1].command(&caller, id, prompt("nap", WhenBusy::Reject), None),
        );
        assert!(!(a.is_ok() && b.is_ok()), "two turns of one session were started at once");
        for done in [a, b].into_iter().flatten() {
            self.acknowledged.extend(done.events.into_iter().map(|event| (id, event)));
        }
    }

    /// One hub dies in the middle of whatever it does; the same node lives anew.
    async fn crash(&mut self, which: usize) {
        self.stores[which].dead.store(true, Ordering::SeqCst);
        self.lives[which] += 1;
        let store = Mortal::over(Arc::clone(&self.disk));
        store.unknown_every.store(7, Ordering::SeqCst);
        self.hubs[which] = hub(store.clone(), NAMES[which], self.lives[which]).await;
        self.stores[which] = store;
        for client in self.clients.iter_mut().filter(|client| client.hub == which) {
            let after = client.seen.last().map_or(Seq::ZERO, |event| event.seq);
            client.reader = Reader::attach(&self.hubs[which], client.session, after).await;
        }
    }

    /// Clients read what has come.
    async fn drain(&mut self) {
        for client in &mut self.clients {
            while let Ok(Some(event)) =
                tokio::time::timeout(Duration::from_millis(1), client.reader.next()).await
            {
                client.seen.push(event);
            }
        }
    }

    /// Everything comes to its end, then everything is compared.
    async fn finish(mut self) {
        for id in self.sessions.clone() {
            self.command(0, id, Command::Close).await;
        }
        tokio::time::sleep(Duration::from_secs(30)).await;
        self.drain().await;
        for (n, id) in self.sessions.iter().copied().enumerate() {
            let events = log(&*self.disk, id).await;
            dense(&events);
            one_turn_at_a_time(&events);
            one_outcome_per_request(&events);
            self.row_is_the_fold(id, &events).await;
            for (_, event) in self.acknowledged.iter().filter(|(session, _)| *session == id) {
                assert_eq!(
                    &events[usize::try_from(event.seq.0).unwrap() - 1],
                    event,
                    "acknowledged, then lost"
                );
            }
            for client in &self.clients[n * 2..n * 2 + 2] {
                assert_eq!(client.seen.len(), events.len(), "a client saw every event once");
                assert!(client.seen == events, "a client saw another order");
            }
        }
        assert!(inbox(&self.hubs[0]).await.is_empty());
        self.something_happened().await;
    }

    /// A run in which nothing was interrupted, answered or cancelled would prove little.
    async fn something_happened(&self) {
        let mut tags: BTreeMap<String, usize> = BTreeMap::new();
        for id in &self.sessions {
            for event in log(&*self.disk, *id).await {
                let reason = match &event.fact {
                    Fact::TurnEnded(ended) => format!("{:?}", ended.stop_reason),
                    Fact::RequestClosed(closed) => format!("{:?}", closed.outcome),
                    fact => fact.tag().to_owned(),
                };
                *tags.entry(reason).or_default() += 1;
            }
        }
        for expected in ["Interrupted", "EndTurn", "Cancelled", "Answered", "turn.update"] {
            assert!(tags.contains_key(expected), "no {expected} in {tags:?}");
        }
        assert!(self.lives.iter().sum::<u64>() > 3, "hubs died: {:?}", self.lives);
    }

    async fn row_is_the_fold(&self, id: SessionId, events: &[Event]) {
        let mut fold = Session::default();
        events.iter().for_each(|event| fold.apply(event));
        let query = Query::one(RowKind::Session, id.to_string());
        let found = self.disk.find(&query, self.disk.pos()).await.unwrap();
        let row: trunkline_core::view::SessionView = found.rows[0].1.body.as_ref().unwrap().read().unwrap();
        assert_eq!(row, fold.view().unwrap());
    }
}

fn dense(events: &[Event]) {
    for (event, expected) in events.iter().zip(1..) {
        assert_eq!(event.seq, Seq(expected));
    }
    assert!(events.is_sorted_by_key(|event| event.at), "time never goes back in a log");
}

fn one_turn_at_a_time(events: &[Event]) {
    let mut running = None;
    for event in events {
        match &event.fact {
            Fact::TurnStarted(_) => {
                assert_eq!(running.replace(event.turn), None, "two turns at once: {event:?}");
            }
            Fact::TurnEnded(_) => assert_eq!(running.take(), Some(event.turn), "{event:?}"),
            _ => {}
        }
    }
    assert_eq!(running, None, "every started turn ends");
}

fn one_outcome_per_request(events: &[Event]) {
    let mut outcomes: BTreeMap<_, usize> = BTreeMap::new();
    let mut opened = BTreeSet::new();
    for event in events {
        match &event.fact {
            Fact::RequestOpened(asked) => assert!(opened.insert(asked.id)),
            Fact::RequestClosed(closed) => *outcomes.entry(closed.id).or_default() += 1,
            _ => {}
        }
    }
    assert!(outcomes.values().all(|n| *n == 1), "{outcomes:?}");
    assert_eq!(opened, outcomes.into_keys().collect(), "every request has an outcome in the end");
}

#[tokio::test(start_paused = true)]
async fn two_hubs_over_one_store_hold_every_invariant() {
    for seed in 1..=SEEDS {
        eprintln!("seed {seed}");
        let mut pair = Pair::new(seed).await;
        for _ in 0..STEPS {
            pair.step().await;
        }
        pair.finish().await;
    }
}
