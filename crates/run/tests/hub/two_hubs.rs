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
use trunkline_core::audit::Record;
use trunkline_core::audit::chain::Verifier;
use trunkline_core::event::{Event, Fact};
use trunkline_core::id::{LogId, Seq, SessionId};
use trunkline_core::machine::Machine;
use trunkline_core::request::{Answer, Outcome};
use trunkline_core::row::RowKind;
use trunkline_core::session::{Command, Session};
use trunkline_core::turn::{WhenBusy, Why};
use trunkline_log::frame::{Query, Want};
use trunkline_log::{Log, LogError};
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
    deleted: Vec<SessionId>,
    acknowledged: Vec<(SessionId, Event)>,
    keys: Vec<Keyed>,
    clients: Vec<Client>,
    rng: TestRng,
}

/// A command that came with a key, and what it caused.
struct Keyed {
    session: SessionId,
    key: String,
    events: Vec<Event>,
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
            deleted: vec![],
            acknowledged: vec![],
            keys: vec![],
            clients: vec![],
            rng,
        };
        for name in NAMES {
            let store = Mortal::over(Arc::clone(&pair.disk));
            pair.hubs.push(hub(store.clone(), name, 1).await);
            pair.stores.push(store);
        }
        for n in 0..3 {
            pair.open(n % 2).await;
        }
        for store in &pair.stores {
            store.unknown_every.store(7, Ordering::SeqCst);
        }
        pair
    }

    /// A new session, with a client at each hub.
    async fn open(&mut self, which: usize) {
        let id = session(&self.hubs[which]).await;
        self.sessions.push(id);
        for hub in 0..2 {
            let reader = Reader::attach(&self.hubs[hub], id, Seq::ZERO).await;
            self.clients.push(Client { session: id, hub, reader, seen: vec![] });
        }
    }

    async fn step(&mut self) {
        let which = self.rng.random_range(0..2);
        let id = self.sessions[self.rng.random_range(0..self.sessions.len())];
        match self.rng.random_range(0..100) {
            0..35 => {
                let command = self.prompt();
                self.command(which, id, command).await;
            }
            35..55 => self.answer(which).await,
            55..63 => {
                let stop = Command::Stop { turn: None, why: Why::Cancelled, grace_ms: 1_000 };
                self.command(which, id, stop).await;
            }
            63..70 => self.crash(which).await,
            70..75 => self.race(id).await,
            75..80 => self.keyed(id).await,
            80..85 => self.again(which).await,
            85..87 => self.delete(which, id).await,
            _ => {
                let ms = self.rng.random_range(1..1_500);
                tokio::time::sleep(Duration::from_millis(ms)).await;
            }
        }
        self.drain().await;
    }

    fn prompt(&mut self) -> Command {
        let words =
            ["say a nap say b", "ask say c", "hang", "say x ask ask", "fail", "deaf", "say y", "soon say d"];
        let words = words[self.rng.random_range(0..words.len())];
        let when_busy = if self.rng.random_bool(0.7) { WhenBusy::Queue } else { WhenBusy::Reject };
        let Command::Prompt { mut queued, .. } = prompt(words, when_busy) else { unreachable!() };
        queued.timeout_ms = self.rng.random_bool(0.3).then_some(700);
        Command::Prompt { queued, when_busy }
    }

    /// The same command with the same key at both hubs at once: it happens once, and both are told the same.
    async fn keyed(&mut self, session: SessionId) {
        let (command, caller) = (self.prompt(), owner());
        let key = format!("k{}", self.keys.len());
        let given = || Some((key.clone(), "digest".to_owned()));
        let (a, b) = tokio::join!(
            self.hubs[0].command(&caller, session, command.clone(), given()),
            self.hubs[1].command(&caller, session, command.clone(), given()),
        );
        if let (Ok(a), Ok(b)) = (&a, &b) {
            assert_eq!(a.events, b.events, "one key, one outcome");
        }
        if let Ok(done) = a.or(b) {
            self.acknowledged.extend(done.events.iter().map(|event| (session, event.clone())));
            self.keys.push(Keyed { session, key, events: done.events });
        }
    }

    /// A retry, long after, perhaps at another hub in another life.
    async fn again(&mut self, which: usize) {
        if self.keys.is_empty() {
            return;
        }
        let Keyed { session, key, events } = &self.keys[self.rng.random_range(0..self.keys.len())];
        if !self.deleted.contains(session) {
            let given = Some((key.clone(), "digest".to_owned()));
            let retry = prompt("say other", WhenBusy::Queue);
            let done = self.hubs[which].command(&owner(), *session, retry, given).await.unwrap();
            assert_eq!(done.events, *events, "a retry is told what the first try caused");
        }
    }

    async fn delete(&mut self, which: usize, id: SessionId) {
        self.hubs[which].command(&owner(), id, Command::Delete, None).await.unwrap();
        self.sessions.retain(|session| *session != id);
        self.deleted.push(id);
        self.open(which).await;
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
        let deleted = &self.deleted;
        let here = |client: &&mut Client| client.hub == which && !deleted.contains(&client.session);
        for client in self.clients.iter_mut().filter(here) {
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
    async fn finish(mut self, happened: &mut BTreeMap<String, usize>) {
        for id in self.sessions.clone() {
            self.command(0, id, Command::Close).await;
        }
        tokio::time::sleep(Duration::from_secs(30)).await;
        self.drain().await;
        for id in self.sessions.iter().copied() {
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
            for client in self.clients.iter().filter(|client| client.session == id) {
                assert_eq!(client.seen.len(), events.len(), "a client saw every event once");
                assert!(client.seen == events, "a client saw another order");
            }
        }
        assert!(inbox(&self.hubs[0]).await.is_empty());
        self.nothing_is_left().await;
        self.everything_is_recorded(happened).await;
        self.tell(happened).await;
    }

    /// Of what was deleted there is no row, no log and no agent.
    async fn nothing_is_left(&self) {
        for id in &self.deleted {
            let want = Want { bytes: 1, folded: false };
            let left = self.disk.read(&LogId::session(*id), Seq::ZERO, want).await;
            assert!(matches!(left, Err(LogError::Gone)), "{left:?}");
            for client in self.clients.iter().filter(|client| client.session == *id) {
                dense(&client.seen);
            }
        }
        for kind in RowKind::ALL {
            let found = self.disk.find(&Query::all(kind), self.disk.pos()).await.unwrap();
            let of_deleted = found
                .rows
                .iter()
                .find(|(log, _)| log.as_session().is_some_and(|id| self.deleted.contains(&id)));
            assert!(of_deleted.is_none(), "{of_deleted:?}");
        }
        for hub in &self.hubs {
            assert!(hub.hosted().is_empty(), "every session is closed or deleted: {:?}", hub.hosted());
        }
    }

    /// The chain holds, and each answer, given before whatever crash or deletion, stands in it once.
    async fn everything_is_recorded(&self, happened: &mut BTreeMap<String, usize>) {
        let want = Want { bytes: usize::MAX, folded: false };
        let chain = self.disk.read(&LogId::audit(), Seq::ZERO, want).await.unwrap();
        let mut verifier = Verifier::default();
        let mut recorded = BTreeSet::new();
        for event in chain.frames.iter().flat_map(|frame| frame.events().unwrap()) {
            let Fact::AuditRecorded(link) = &event.fact else { panic!("the audit has no other facts") };
            verifier.take(&link.link(event.seq)).unwrap();
            let record: Record = link.record.read().unwrap();
            assert!(recorded.insert((record.log, record.event)), "recorded twice: {event:?}");
            *happened.entry(record.deed.kind().to_owned()).or_default() += 1;
        }
        assert_eq!(verifier.finish().unwrap(), self.hubs[0].audit_head().await.unwrap());
        let decides = |event: &&Event| match &event.fact {
            Fact::RequestClosed(closed) => matches!(closed.outcome, Outcome::Answered | Outcome::Expired),
            fact => matches!(fact, Fact::SessionDeleted(_)),
        };
        let mut owed: Vec<_> = self.acknowledged.iter().map(|(id, event)| (*id, event.clone())).collect();
        for id in &self.sessions {
            owed.extend(log(&*self.disk, *id).await.into_iter().map(|event| (*id, event)));
        }
        for (id, event) in owed.iter().filter(|(_, event)| decides(&event)) {
            let key = (LogId::session(*id).as_str().to_owned(), event.seq);
            assert!(recorded.contains(&key), "not recorded: {event:?}");
        }
        let waiting = self.disk.find(&Query::all(RowKind::Unrecorded), self.disk.pos()).await.unwrap();
        assert!(waiting.rows.is_empty(), "{waiting:?}");
    }

    /// Counts what happened.
    async fn tell(&self, happened: &mut BTreeMap<String, usize>) {
        let mut tell = |what: String, times: usize| *happened.entry(what).or_default() += times;
        for id in &self.sessions {
            for event in log(&*self.disk, *id).await {
                let reason = match &event.fact {
                    Fact::TurnEnded(ended) => format!("{:?}", ended.stop_reason),
                    Fact::RequestClosed(closed) => format!("{:?}", closed.outcome),
                    fact => fact.tag().to_owned(),
                };
                tell(reason, 1);
            }
        }
        tell("deleted".to_owned(), self.deleted.len());
        tell("keys".to_owned(), self.keys.len());
        tell("deaths".to_owned(), self.lives.iter().map(|life| usize::try_from(life - 1).unwrap()).sum());
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
    let mut happened = BTreeMap::new();
    for seed in 1..=SEEDS {
        eprintln!("seed {seed}");
        let mut pair = Pair::new(seed).await;
        for _ in 0..STEPS {
            pair.step().await;
        }
        pair.finish(&mut happened).await;
    }
    // Runs in which nothing was interrupted, answered or cancelled would prove little.
    let expected = [
        "Interrupted",
        "EndTurn",
        "Cancelled",
        "Answered",
        "turn.update",
        "Timeout",
        "Expired",
        "deleted",
        "keys",
        "deaths",
        "request.answered",
        "session.deleted",
    ];
    for what in expected {
        let times = happened.get(what).copied().unwrap_or_default();
        assert!(times >= 5, "{what}: {times} times in {happened:?}");
    }
}
