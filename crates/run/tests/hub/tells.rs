//! Agents that write to each other: one wakes the other, and two that would go on for ever are stopped.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use trunkline_core::event::{Event, Fact};
use trunkline_core::id::{Node, SessionId};
use trunkline_core::principal::{Caller, Principal};
use trunkline_core::refused::Refused;
use trunkline_core::tell::{Guard, Guards, State};
use trunkline_core::time::Time;
use trunkline_core::turn::{Outcome, StopReason, WhenBusy};
use trunkline_log::Log;
use trunkline_run::clock::Clock;
use trunkline_run::driver::{Driver, Host, SessionPort};
use trunkline_run::hub::Options;
use trunkline_run::tell::Letter;
use trunkline_run::turn::Turn;
use trunkline_run::{CommandError, Hub};

use crate::world::{created, hub, log, memory, owner, prompt, session};

/// Guards that hold nothing back.
const OPEN: Guards = Guards {
    pair: usize::MAX,
    pair_window_ms: 3_600_000,
    cooldown_ms: 0,
    hops: u32::MAX,
    budget: usize::MAX,
};

/// Two agents, each of which answers whatever it is asked by a message to the other.
#[derive(Clone, Default)]
struct Talkers(Arc<OnceLock<(Hub, [SessionId; 2], Guards)>>);

struct Talker {
    all: Talkers,
    port: SessionPort,
}

impl Driver for Talkers {
    fn host(&self, port: SessionPort) -> Box<dyn Host> {
        Box::new(Talker { all: self.clone(), port })
    }
}

#[async_trait]
impl Host for Talker {
    async fn turn(&mut self, _: &Turn) -> Outcome {
        let (hub, both, guards) = self.all.0.get().unwrap();
        let to = if both[0] == self.port.id { both[1] } else { both[0] };
        match hub.tell(&Caller::agent(self.port.id), letter(to, "and you?"), guards, None).await {
            Ok(_) => Outcome::of(StopReason::EndTurn),
            Err(error) => Outcome::error(error.to_string()),
        }
    }

    async fn end(&mut self) {}
}

fn letter(to: SessionId, text: &str) -> Letter {
    Letter { to, from: None, text: text.into(), timeout_ms: None }
}

fn held(events: &[Event]) -> Vec<Guard> {
    let guard = |event: &Event| match &event.fact {
        Fact::MessageHeld(held) => Some(held.guard),
        _ => None,
    };
    events.iter().filter_map(guard).collect()
}

/// Lets them talk for hours. Gives how many turns each had, and what held them back.
async fn talk(guards: Guards) -> ([u64; 2], Vec<Guard>) {
    let (store, talkers) = (memory(), Talkers::default());
    let drivers = HashMap::from([("talker".to_owned(), Arc::new(talkers.clone()) as Arc<dyn Driver>)]);
    let (node, clock) = (Node { name: "here".into(), incarnation: 1 }, Clock::at(Time(1_000_000)));
    let disk = Arc::clone(&store);
    let options = Options {
        disk,
        live: memory(),
        clock,
        node,
        drivers,
        checkpoints: false,
        profiles: trunkline_run::profiles::Profiles::default(),
        mcp: trunkline_run::mcp::Mcp::default(),
    };
    let hub = Hub::start(options).await.unwrap();
    let make = async || hub.create(&owner(), created("talker"), None).await.unwrap().0;
    let both = [make().await, make().await];
    assert!(talkers.0.set((hub.clone(), both, guards)).is_ok());
    hub.command(&owner(), both[0], prompt("begin", WhenBusy::Reject), None).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5 * 3_600)).await;
    let (mut turns, mut bites) = ([0; 2], Vec::new());
    for (n, id) in both.into_iter().enumerate() {
        let (count, running) =
            hub.look(id, |session| (session.turns.count, session.turns.running.is_some())).await.unwrap().0;
        assert!(!running);
        turns[n] = count;
        bites.extend(held(&log(&*store, id).await));
    }
    (turns, bites)
}

#[tokio::test(start_paused = true)]
async fn two_agents_that_would_ping_pong_for_ever_are_stopped() {
    let ([first, second], bites) = talk(Guards::default()).await;
    assert!(first + second <= 10 && bites.len() == 1, "{first} {second} {bites:?}");
    for (guards, turns, bite) in [
        (Guards { hops: 8, ..OPEN }, [5, 4], Guard::Hops),
        (Guards { pair: 3, ..OPEN }, [4, 3], Guard::PairRate),
        (Guards { budget: 4, ..OPEN }, [5, 4], Guard::Budget),
        (Guards { cooldown_ms: 1_000, ..OPEN }, [2, 1], Guard::Cooldown),
    ] {
        assert_eq!(talk(guards).await, (turns, vec![bite]), "{bite}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_agent_is_woken_and_a_busy_one_is_asked_after_its_turn() {
    let store = memory();
    let hub = hub(Arc::clone(&store) as Arc<dyn Log>, "here", 1).await;
    let (from, to) = (session(&hub).await, session(&hub).await);
    let by = Caller::agent(from);
    let guards = Guards { cooldown_ms: 0, ..Guards::default() };
    let (first, _) = hub.tell(&by, letter(to, "one"), &guards, None).await.unwrap();
    assert_eq!(first.state, State::Delivered);
    tokio::time::sleep(Duration::from_secs(1)).await;
    hub.command(&owner(), to, prompt("nap", WhenBusy::Reject), None).await.unwrap();
    let (second, _) = hub.tell(&by, letter(to, "two"), &guards, None).await.unwrap();
    assert_eq!(second.state, State::Waiting);
    let state = async || hub.look(to, move |session| session.message_state(second.id)).await.unwrap().0;
    assert_eq!(state().await, Some(State::Waiting), "it is not delivered as long as another turn runs");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(state().await, Some(State::Delivered));
    let events = log(&*store, to).await;
    let asked: Vec<_> = events.iter().filter(|event| event.fact.tag() == "turn.queued").collect();
    let by: Vec<_> = asked.iter().map(|event| event.by.clone()).collect();
    assert_eq!(by, [Principal::agent(from), Principal::owner(), Principal::agent(from)]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_sends_once_and_what_is_held_back_says_so() {
    let hub = hub(memory(), "here", 1).await;
    let (from, to) = (session(&hub).await, session(&hub).await);
    let by = Caller::agent(from);
    let key = || Some(("k".to_owned(), "d".to_owned()));
    let guards = Guards { pair: 1, ..Guards::default() };
    let (first, _) = hub.tell(&by, letter(to, "one"), &guards, key()).await.unwrap();
    let (again, _) = hub.tell(&by, letter(to, "one"), &guards, key()).await.unwrap();
    assert_eq!(first, again);
    tokio::time::sleep(Duration::from_secs(2)).await;
    for _ in 0..2 {
        let refused = hub.tell(&by, letter(to, "two"), &guards, None).await.unwrap_err();
        let CommandError::Refused(Refused::Held { guard, until, .. }) = refused else {
            panic!("{refused:?}")
        };
        let within = until.is_some_and(|until| until > hub.now() && until <= hub.now().plus_ms(600_000));
        assert!(guard == Guard::PairRate && within, "{guard} {until:?}");
    }
    let unknown = hub.tell(&by, letter(from, "me"), &guards, None).await.unwrap_err();
    assert!(unknown.to_string().contains("is the agent that writes"), "{unknown}");
}
