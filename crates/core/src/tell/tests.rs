use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::id::{Node, Seq};
use crate::machine::Machine;
use crate::principal::Caller;
use crate::request::Answer;
use crate::session::{Command, Created, EXTERNAL, Run};
use crate::turn::{Outcome, StopReason};

/// A session with its log.
struct World {
    session: Session,
    log: Vec<Event>,
    now: Time,
    sent: u128,
}

fn session(n: u128) -> SessionId {
    SessionId::new(uuid::Uuid::from_u128(n))
}

fn agent(n: u128) -> Caller {
    Caller::agent(session(n))
}

fn owner() -> Caller {
    Caller::new(Principal::owner(), Scope::Admin)
}

const ME: u128 = 1;

impl World {
    fn new(driver: &str) -> Self {
        let mut world = Self { session: Session::default(), log: vec![], now: Time(1_000_000), sent: 0 };
        let created = Created {
            id: session(ME),
            driver: driver.to_owned(),
            agent: "me".into(),
            argv: vec![],
            workspace: None,
            project: None,
            title: None,
            metadata: None,
            born: None,
            setup: None,
            imported: None,
        };
        world.command(&Command::Create(created), &owner()).unwrap();
        world
    }

    fn command(&mut self, command: &Command, caller: &Caller) -> Result<Vec<String>, Refused> {
        let node = Node { name: "here".into(), incarnation: 1 };
        let next = Seq(self.log.len() as u64 + 1);
        let ctx = Context { now: self.now, caller, node: &node, next };
        let drafts = self.session.decide(command, &ctx)?;
        let mut tags = Vec::new();
        for (i, Draft { fact, turn, origin }) in drafts.into_iter().enumerate() {
            let by = origin.map_or_else(|| caller.principal.clone(), |(by, _)| by);
            let event = Event { seq: next.plus(i as u64), at: self.now, by, turn, key: None, fact };
            assert_eq!(Event::from_line(&event.to_line()).unwrap(), event);
            tags.push(event.fact.tag().to_owned());
            self.session.apply(&event);
            self.log.push(event);
        }
        Ok(tags)
    }

    fn told(&mut self, from: Option<u128>, hops: u32) -> Told {
        self.sent += 1;
        let id = uuid::Uuid::from_u128(0x1000 + self.sent);
        let sender = Sender { name: "x".into(), session: from.map(session), hops };
        Told { id: MessageId::new(id), ask: RequestId::new(id), sender, text: "hi".into(), timeout_ms: None }
    }

    fn tell(&mut self, caller: &Caller, hops: u32, guards: &Guards) -> Result<Vec<String>, Refused> {
        let from = match caller.scope {
            Scope::Agent(own) => Some(own.to_string().parse::<uuid::Uuid>().unwrap().as_u128()),
            _ => None,
        };
        let told = self.told(from, hops);
        self.command(&Command::Tell(told, *guards), caller)
    }

    fn end(&mut self) -> Vec<String> {
        let running = self.session.turns.running.clone().unwrap();
        let (turn, attempt) = (running.turn, running.attempt);
        let outcome = Outcome::of(StopReason::EndTurn);
        self.command(&Command::Run(Run::End { turn, attempt, outcome, checkpoint: false }), &agent(ME))
            .unwrap()
    }

    fn state(&self) -> Option<State> {
        self.session.message_state(MessageId::new(uuid::Uuid::from_u128(0x1000 + self.sent)))
    }
}

/// Guards that hold nothing back.
fn open() -> Guards {
    Guards { pair: usize::MAX, pair_window_ms: 1, cooldown_ms: 0, hops: u32::MAX, budget: usize::MAX }
}

const WOKEN: [&str; 7] = [
    "message.queued",
    "turn.queued",
    "message.woke",
    "turn.claimed",
    "turn.started",
    "message.delivered",
    "message.acked",
];

#[test]
fn an_idle_agent_is_woken_in_the_senders_name() {
    let mut world = World::new("acp");
    assert_eq!(world.tell(&agent(2), 3, &open()).unwrap(), WOKEN);
    let running = world.session.turns.running.clone().unwrap();
    assert_eq!((running.by, world.session.hops(world.now)), (Principal::agent(session(2)), 3));
    assert!(running.prompt[0].get().contains("not from the person you work for"));
    assert_eq!((world.state(), world.session.inbox.waiting.len()), (Some(State::Delivered), 0));
}

#[test]
fn a_person_prompts_in_their_own_words() {
    let mut world = World::new("acp");
    assert_eq!(world.tell(&owner(), 0, &open()).unwrap(), WOKEN);
    let running = world.session.turns.running.clone().unwrap();
    let block: serde_json::Value = serde_json::from_str(running.prompt[0].get()).unwrap();
    assert_eq!((running.by.is_person(), block), (true, json!({"type": "text", "text": "hi"})));
}

#[test]
fn a_busy_agent_gets_it_after_its_turn_and_only_then_is_it_delivered() {
    let mut world = World::new("acp");
    world.tell(&owner(), 0, &open()).unwrap();
    assert_eq!(world.tell(&agent(2), 1, &open()).unwrap(), WOKEN[..3]);
    assert_eq!((world.state(), world.session.hops(world.now)), (Some(State::Waiting), 0));
    let tags = world.end();
    assert_eq!(tags, ["turn.ended", "turn.claimed", "turn.started", "message.delivered", "message.acked"]);
    assert_eq!((world.state(), world.session.hops(world.now)), (Some(State::Delivered), 1));
    world.end();
    assert_eq!(world.session.hops(world.now), 0, "what it does next nobody has caused");
}

#[test]
fn a_prompt_that_is_taken_back_drops_its_message() {
    let mut world = World::new("acp");
    world.tell(&owner(), 0, &open()).unwrap();
    world.tell(&agent(2), 1, &open()).unwrap();
    let turn = world.session.turns.queue[0].turn;
    assert_eq!(
        world.command(&Command::Unqueue(turn), &owner()).unwrap(),
        ["turn.unqueued", "message.dropped"]
    );
    assert_eq!((world.state(), world.session.inbox.waiting.len()), (Some(State::Dropped), 0));
}

#[test]
fn an_agent_that_runs_elsewhere_has_it_once_it_says_so() {
    let mut world = World::new(EXTERNAL);
    assert_eq!(world.tell(&agent(2), 4, &open()).unwrap(), ["message.queued"]);
    world.command(&Command::Deliver, &agent(ME)).unwrap();
    assert_eq!(world.state(), Some(State::Waiting), "fetched is not delivered");
    let id = MessageId::new(uuid::Uuid::from_u128(0x1001));
    world.command(&Command::Ack(id), &agent(ME)).unwrap();
    assert_eq!((world.state(), world.session.hops(world.now)), (Some(State::Delivered), 4));
    world.now = world.now.plus_ms(3_600_000);
    assert_eq!(world.session.hops(world.now), 0);
}

#[test]
fn whoever_shows_no_credential_wakes_nobody_before_a_person_has_let_it() {
    for (option, rest, state) in [
        (
            "deliver",
            &[
                "turn.queued",
                "message.woke",
                "turn.claimed",
                "turn.started",
                "message.delivered",
                "message.acked",
            ][..],
            State::Delivered,
        ),
        ("refuse", &["message.dropped"][..], State::Dropped),
    ] {
        let mut world = World::new("acp");
        assert_eq!(world.tell(&Caller::local(), 0, &open()).unwrap(), ["message.queued", "request.opened"]);
        assert_eq!((world.state(), world.session.turns.running.is_none()), (Some(State::Asking), true));
        let request = *world.session.requests.open.keys().next().unwrap();
        let answer = Answer { option: Some(option.into()), ..Answer::default() };
        let answered = Command::Answer(request, answer);
        assert!(world.command(&answered, &agent(ME)).is_err(), "the agent does not let it in itself");
        assert!(world.command(&answered, &Caller::local()).is_err());
        let tags = world.command(&answered, &owner()).unwrap();
        assert_eq!(
            (tags[0].as_str(), &tags[1..]),
            ("request.closed", &rest.iter().map(ToString::to_string).collect::<Vec<_>>()[..])
        );
        assert_eq!(world.state(), Some(state));
        if let Some(running) = &world.session.turns.running {
            assert_eq!(
                running.by,
                Principal::local(),
                "the turn is the sender's, not that of whoever let it in"
            );
        }
    }
}

#[test]
fn closing_a_session_drops_what_waits() {
    let mut world = World::new("acp");
    world.tell(&owner(), 0, &open()).unwrap();
    world.tell(&agent(2), 0, &open()).unwrap();
    world.tell(&Caller::local(), 0, &open()).unwrap();
    world.command(&Command::Close, &owner()).unwrap();
    assert_eq!((world.state(), world.session.inbox.waiting.len()), (Some(State::Dropped), 0));
}

#[test]
fn who_may_write() {
    let mut world = World::new("acp");
    let viewer = Caller::new(Principal::owner(), Scope::Viewer);
    assert_eq!(world.tell(&viewer, 0, &open()).unwrap_err().code(), "forbidden");
    let told = world.told(Some(3), 0);
    let forged = world.command(&Command::Tell(told, open()), &agent(2));
    assert_eq!(forged.unwrap_err().code(), "forbidden", "in another's name");
    assert_eq!(world.tell(&agent(ME), 0, &open()).unwrap_err().to_string(), "to is the agent that writes");
}

#[test]
fn each_guard_bites_says_so_once_in_the_log_and_each_time_to_the_sender() {
    let plain = open();
    let guards = [
        (Guard::Hops, Guards { hops: 2, ..plain }, None),
        (Guard::Cooldown, Guards { cooldown_ms: 5_000, ..plain }, Some(5_000)),
        (Guard::PairRate, Guards { pair: 2, pair_window_ms: 60_000, ..plain }, Some(60_000)),
        (Guard::Budget, Guards { budget: 2, ..plain }, Some(3_600_000)),
    ];
    for (guard, guards, frees_after) in guards {
        let mut world = World::new("acp");
        let began = world.now;
        let from = |n: u128| if guard == Guard::Budget { agent(2 + n % 2) } else { agent(2) };
        let hops = if guard == Guard::Hops { 3 } else { 0 };
        let free = match guard {
            Guard::Hops => 0,
            Guard::Cooldown => 1,
            Guard::PairRate | Guard::Budget => 2,
        };
        for n in 0..free {
            world.tell(&from(n), hops, &guards).unwrap();
        }
        assert_eq!(world.tell(&from(free), hops, &guards).unwrap(), ["message.held"], "{guard}");
        let Fact::MessageHeld(held) = &world.log.last().unwrap().fact else { panic!() };
        assert_eq!((held.guard, held.until), (guard, frees_after.map(|ms| began.plus_ms(ms))));
        let refused = world.tell(&from(free), hops, &guards).unwrap_err();
        assert_eq!(refused.code(), "held_back");
        assert!(refused.to_string().contains(&format!("the guard `{guard}`")), "{refused}");
        assert!(world.tell(&owner(), hops, &guards).is_ok(), "people are not counted");
        if let Some(ms) = frees_after {
            world.now = began.plus_ms(ms);
            assert_eq!(world.tell(&from(free), hops, &guards).unwrap()[0], "message.queued", "{guard}");
        }
    }
}

proptest! {
    /// However agents write, what comes in keeps to the guards, and a person always comes through.
    #[test]
    fn what_comes_in_keeps_to_the_guards(
        steps in prop::collection::vec((0u64..400_000, 2u128..5, 0u32..6), 0..120),
        pair in 1usize..5, budget in 1usize..8, cooldown_ms in 0u64..200_000, hops in 0u32..5,
    ) {
        let guards = Guards { pair, pair_window_ms: 900_000, cooldown_ms, hops, budget };
        let mut world = World::new("acp");
        let mut taken: Vec<(Time, u128)> = Vec::new();
        for (wait, from, led) in steps {
            world.now = world.now.plus_ms(wait);
            if world.session.turns.queue.len() > 50 {
                while world.session.turns.running.is_some() {
                    world.end();
                }
            }
            let heard = world.tell(&agent(from), led, &guards).is_ok_and(|tags| tags[0] == "message.queued");
            prop_assert!(!(heard && led > hops));
            if heard {
                let now = world.now;
                let within = |ms: u64, of: Option<u128>| {
                    taken.iter().filter(|(at, by)| at.plus_ms(ms) > now && of.is_none_or(|of| of == *by)).count()
                };
                prop_assert!(within(cooldown_ms, Some(from)) == 0);
                prop_assert!(within(900_000, Some(from)) < pair);
                prop_assert!(within(3_600_000, None) < budget);
                taken.push((now, from));
            }
        }
        prop_assert!(world.tell(&owner(), 0, &guards).is_ok());
    }
}
