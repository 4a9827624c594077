//! Random commands against the pure session: whatever is asked, the invariants of its log hold.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use trunkline_core::agent::Memo;
use trunkline_core::event::{Event, Fact};
use trunkline_core::grant::Added;
use trunkline_core::id::{GrantId, MessageId, Node, RequestId, Seq, SessionId, TurnId};
use trunkline_core::machine::{Context, Draft, Machine};
use trunkline_core::message;
use trunkline_core::principal::{Caller, Principal, Scope};
use trunkline_core::raw::Raw;
use trunkline_core::refused::Refused;
use trunkline_core::request::{Answer, Choice, Kind, OnTimeout, Opened, OptionKind, Outcome, Priority};
use trunkline_core::row::{Row, RowKind};
use trunkline_core::session::{Beside, Command, Created, Effect, Run, Session, moves};
use trunkline_core::setting::{Setting, Settled};
use trunkline_core::time::Time;
use trunkline_core::turn::{self, StopReason, Usage, WhenBusy, Why};
use uuid::Uuid;

/// A session, its log and its rows, driven by hand.
struct World {
    session: Session,
    log: Vec<Event>,
    rows: BTreeMap<(RowKind, String), Row>,
    now: Time,
    node: Node,
}

impl World {
    fn new(driver: &str) -> Self {
        Self::made(driver, false)
    }

    /// A session; one that is being imported takes facts of an export first.
    fn made(driver: &str, imported: bool) -> Self {
        let mut world = Self {
            session: Session::default(),
            log: Vec::new(),
            rows: BTreeMap::new(),
            now: Time(1_000),
            node: Node { name: "here".into(), incarnation: 1 },
        };
        let created = Created {
            id: SessionId::new(Uuid::from_u128(7)),
            driver: driver.into(),
            agent: "demo".into(),
            argv: vec![],
            workspace: Some("/work".into()),
            project: None,
            title: None,
            metadata: None,
            born: None,
            setup: None,
            imported: imported.then(|| SessionId::new(Uuid::from_u128(8))),
        };
        world.owner(&Command::Create(created)).unwrap();
        world
    }

    fn owner(&mut self, command: &Command) -> Result<Vec<Fact>, Refused> {
        self.command(command, &Caller::new(Principal::owner(), Scope::Admin))
    }

    fn agent(&mut self, command: &Command) -> Result<Vec<Fact>, Refused> {
        self.command(command, &Caller::agent(SessionId::new(Uuid::from_u128(7))))
    }

    fn command(&mut self, command: &Command, caller: &Caller) -> Result<Vec<Fact>, Refused> {
        let next = Seq(self.log.len() as u64 + 1);
        let ctx = Context { now: self.now, caller, node: &self.node, next };
        let drafts = self.session.decide(command, &ctx)?;
        let events: Vec<_> = drafts
            .into_iter()
            .zip(next.0..)
            .map(|(draft, seq)| {
                let (by, at) = draft.origin.unwrap_or_else(|| (caller.principal.clone(), self.now));
                Event { seq: Seq(seq), at, by, turn: draft.turn, key: None, fact: draft.fact }
            })
            .collect();
        for row in self.session.advance(&events) {
            let key = (row.kind, row.key.clone());
            if row.body.is_some() {
                self.rows.insert(key, row)
            } else {
                self.rows.remove(&key)
            };
        }
        self.log.extend(events.iter().cloned());
        Ok(events.into_iter().map(|event| event.fact).collect())
    }

    fn running(&self) -> Option<(TurnId, u32)> {
        self.session.turns.running.as_ref().map(|running| (running.turn, running.attempt))
    }

    /// What must hold after any command.
    fn check(&self) {
        self.one_turn_at_a_time();
        self.one_outcome_per_request();
        let loud = self.log.iter().filter(|event| moves(&event.fact));
        let mut folded = Session::default();
        loud.for_each(|event| folded.apply(event));
        assert_eq!(
            format!("{folded:?}"),
            format!("{:?}", self.session),
            "state is the fold of the loud facts"
        );
        let pending: BTreeSet<_> =
            self.session.requests.pending().map(|open| open.asked.id.to_string()).collect();
        let inbox: BTreeSet<_> = self.keys(RowKind::Inbox);
        assert_eq!(inbox, pending, "the inbox is what waits for a person");
        let owes = self.keys(RowKind::Owed).len() == 1;
        let wants = !self.session.wanted().effects.is_empty() || self.session.agent.process.is_some();
        assert_eq!(owes, wants, "a session that owes something can be found");
        let row = self.rows.values().find(|row| row.kind == RowKind::Session);
        assert_eq!(row.is_none(), self.session.deleted, "a session is listed until it is deleted");
        let Some(row) = row else { return };
        assert_eq!(row.body, Some(Raw::of(&self.session.view().unwrap()).unwrap()), "the row is the view");
        assert_eq!(row.due, self.session.wanted().next);
    }

    fn keys(&self, kind: RowKind) -> BTreeSet<String> {
        self.rows.keys().filter(|(k, _)| *k == kind).map(|(_, key)| key.clone()).collect()
    }

    fn one_turn_at_a_time(&self) {
        let mut running = None;
        let mut ended = BTreeSet::new();
        for event in &self.log {
            match &event.fact {
                Fact::TurnStarted(_) => {
                    assert_eq!(running, None, "a turn starts while none runs");
                    assert!(!ended.contains(&event.turn.unwrap()), "an ended turn never runs again");
                    running = event.turn;
                }
                Fact::TurnEnded(_) => {
                    assert_eq!(running, event.turn, "what ends was running");
                    ended.insert(event.turn.unwrap());
                    running = None;
                }
                Fact::TurnUpdate(_) | Fact::TurnStopping(_) => assert_eq!(running, event.turn),
                _ => {}
            }
        }
        assert_eq!(running, self.running().map(|(turn, _)| turn));
    }

    fn one_outcome_per_request(&self) {
        let mut open = BTreeSet::new();
        let mut closed = BTreeSet::new();
        for event in &self.log {
            match &event.fact {
                Fact::RequestOpened(asked) => assert!(open.insert(asked.id)),
                Fact::RequestClosed(end) => {
                    assert!(open.remove(&end.id), "only an open request closes");
                    assert!(closed.insert(end.id), "and only once");
                }
                Fact::RequestDismissed(fact) => assert!(open.contains(&fact.id)),
                _ => {}
            }
        }
        assert_eq!(open, self.session.requests.open.keys().copied().collect());
    }
}

#[derive(Debug, Clone)]
enum Op {
    Prompt { queue: bool, timeout: Option<u64> },
    Stop(u8),
    AskInTurn { id: u8, deadline: Option<u64>, on_timeout: u8 },
    AskOutside(u8),
    Answer { id: u8, yes: bool },
    Dismiss(u8),
    Withdraw(u8),
    Update,
    End(u8),
    EndStale,
    Unqueue(u8),
    Wait(u64),
    Tick,
    Die,
    Deliver,
    Ack(u8),
    Process(bool),
    Import(u8),
    EndImport,
    Grant(u8),
    Revoke(u8),
    Send(u8),
    Set(bool),
    Settle,
    Close,
    Delete,
}

fn op() -> impl Strategy<Value = Op> {
    let some_ms = proptest::option::of(0_u64..5_000);
    prop_oneof![
        4 => (any::<bool>(), some_ms.clone()).prop_map(|(queue, timeout)| Op::Prompt { queue, timeout }),
        1 => (0_u8..3).prop_map(Op::Stop),
        3 => (0_u8..6, some_ms, 0_u8..4)
            .prop_map(|(id, deadline, on_timeout)| Op::AskInTurn { id, deadline, on_timeout }),
        1 => (0_u8..6).prop_map(Op::AskOutside),
        3 => (0_u8..6, any::<bool>()).prop_map(|(id, yes)| Op::Answer { id, yes }),
        1 => (0_u8..6).prop_map(Op::Dismiss),
        1 => (0_u8..6).prop_map(Op::Withdraw),
        2 => Just(Op::Update),
        3 => (0_u8..8).prop_map(Op::End),
        1 => Just(Op::EndStale),
        1 => (1_u8..40).prop_map(Op::Unqueue),
        2 => (0_u64..12_000).prop_map(Op::Wait),
        3 => Just(Op::Tick),
        1 => Just(Op::Die),
        1 => Just(Op::Deliver),
        1 => (0_u8..6).prop_map(Op::Ack),
        1 => any::<bool>().prop_map(Op::Process),
        4 => (0_u8..8).prop_map(Op::Import),
        1 => Just(Op::EndImport),
        2 => (0_u8..3).prop_map(Op::Grant),
        1 => (0_u8..3).prop_map(Op::Revoke),
        1 => (0_u8..9).prop_map(Op::Send),
        1 => any::<bool>().prop_map(Op::Set),
        1 => Just(Op::Settle),
        1 => Just(Op::Close),
        1 => proptest::bool::weighted(0.3).prop_map(|dies| if dies { Op::Delete } else { Op::Tick }),
    ]
}

fn request(id: u8) -> RequestId {
    RequestId::new(Uuid::from_u128(0x1000 + u128::from(id)))
}

fn asked(id: u8, deadline: Option<Time>, on_timeout: OnTimeout) -> Opened {
    let choice = |id: &str, kind| Choice { id: id.into(), name: id.into(), kind };
    Opened {
        kind: Kind::Permission,
        options: vec![choice("yes", OptionKind::AllowOnce), choice("no", OptionKind::RejectOnce)],
        tool: id.is_multiple_of(2).then(|| "edit".to_owned()),
        deadline,
        on_timeout,
        ..Opened::question(request(id), format!("may I {id}"), String::new())
    }
}

fn prompt(text: &str, timeout_ms: Option<u64>, when_busy: WhenBusy) -> Command {
    let block = Raw::parse(&format!(r#"{{"type":"text","text":"{text}"}}"#)).unwrap();
    Command::Prompt { queued: turn::Queued { prompt: vec![block], timeout_ms }, when_busy }
}

fn option(yes: bool) -> Answer {
    Answer { option: Some(if yes { "yes" } else { "no" }.into()), ..Answer::default() }
}

fn stop_reason(n: u8) -> StopReason {
    use StopReason::{Cancelled, EndTurn, Error, Interrupted, MaxTokens, MaxTurnRequests, Refusal, Timeout};
    [EndTurn, MaxTokens, MaxTurnRequests, Refusal, Cancelled, Timeout, Interrupted, Error][usize::from(n)]
}

fn end((turn, attempt): (TurnId, u32), stop_reason: StopReason) -> Command {
    Command::Run(Run::End { turn, attempt, outcome: turn::Outcome::of(stop_reason), checkpoint: false })
}

fn play(world: &mut World, op: &Op) {
    let stale = (TurnId(Seq(9_999)), 1);
    let current = world.running().unwrap_or(stale);
    let (turn, attempt) = current;
    let deadline = |ms: Option<u64>, world: &World| ms.map(|ms| world.now.plus_ms(ms));
    let _outcome = match op.clone() {
        Op::Prompt { queue, timeout } => {
            let when_busy = if queue { WhenBusy::Queue } else { WhenBusy::Reject };
            let busy = world.running().is_some();
            let session = &world.session;
            let over = session.closed.is_some() || session.importing || session.deleted;
            let open = !over && !session.is_external();
            let got = world.owner(&prompt("do it", timeout, when_busy));
            assert_eq!(got.is_ok(), open && (queue || !busy), "{got:?}");
            got
        }
        Op::Stop(n) => {
            let why = [Why::Cancelled, Why::Shutdown, Why::Timeout][usize::from(n)];
            world.owner(&Command::Stop { turn: None, why, grace_ms: 100 })
        }
        Op::AskInTurn { id, deadline: ms, on_timeout } => {
            let deadline = deadline(ms, world);
            let policy =
                [OnTimeout::Wait, OnTimeout::Deny, OnTimeout::Default(option(true)), OnTimeout::Escalate];
            let on_timeout =
                if deadline.is_some() { policy[usize::from(on_timeout)].clone() } else { OnTimeout::Wait };
            world.agent(&Command::Run(Run::Ask {
                turn,
                attempt,
                asked: asked(id, deadline, on_timeout),
                beside: Beside::default(),
            }))
        }
        Op::AskOutside(id) => world.agent(&Command::Ask(asked(id, None, OnTimeout::Wait))),
        Op::Answer { id, yes } => {
            let before = world.session.requests.closed.get(&request(id)).cloned();
            let got = world.owner(&Command::Answer(request(id), option(yes)));
            if let (Some(closed), false) = (before, world.session.deleted) {
                assert_eq!(
                    got,
                    Err(Refused::RequestClosed { closed: Box::new(closed) }),
                    "whoever comes second is told who won"
                );
            }
            got
        }
        Op::Dismiss(id) => world.owner(&Command::Dismiss(request(id))),
        Op::Withdraw(id) => world.agent(&Command::Withdraw(request(id), Outcome::Superseded)),
        Op::Update => {
            let update = Raw::parse(r#"{"sessionUpdate":"agent_message_chunk"}"#).unwrap();
            let fact = Fact::from(turn::Update::of(update));
            world.agent(&Command::Run(Run::Report { turn, attempt, facts: vec![fact] }))
        }
        Op::End(n) => world.agent(&end(current, stop_reason(n))),
        Op::EndStale => {
            let got = world.agent(&end((turn, attempt + 1), StopReason::EndTurn));
            let id = SessionId::new(Uuid::from_u128(7));
            let gone = world.session.deleted;
            assert_eq!(got, Err(if gone { Refused::Deleted { id } } else { Refused::Stale { turn } }));
            got
        }
        Op::Unqueue(n) => world.owner(&Command::Unqueue(TurnId(Seq(n.into())))),
        Op::Wait(ms) => {
            world.now = world.now.plus_ms(ms);
            Ok(vec![])
        }
        Op::Tick => world.command(&Command::Tick, &Caller::trunkline()),
        Op::Die => {
            world.node.incarnation += 1;
            world.command(&Command::Run(Run::Recover { checkpoint: false }), &Caller::trunkline())
        }
        Op::Deliver => world.agent(&Command::Deliver),
        Op::Ack(id) => world.agent(&Command::Ack(MessageId::from(request(id)))),
        Op::Process(start) => process(world, start),
        Op::Import(n) => {
            let facts = export(world, n);
            let importing = world.session.importing && !world.session.deleted;
            let got = world.owner(&Command::Import(facts));
            assert_eq!(got.is_ok(), importing, "{got:?}");
            got
        }
        Op::EndImport => world.owner(&Command::EndImport),
        Op::Grant(n) => world.owner(&Command::Grant(Added::tool(grant(n), "edit"))),
        Op::Revoke(n) => world.owner(&Command::Revoke(grant(n))),
        Op::Send(n) => {
            let id = MessageId::from(RequestId::new(Uuid::from_u128(0x2000 + u128::from(n))));
            let payload = Raw::parse("1").unwrap();
            world.owner(&Command::Send(message::Queued { id, kind: "note".into(), payload, sender: None }))
        }
        Op::Set(on) => world.owner(&Command::Set(Setting::Mode(if on { "plan" } else { "act" }.into()))),
        Op::Settle => {
            let pending = world.session.settings.owed(&world.session.agent);
            let settled = pending.first().map(|pending| Settled { chosen: pending.chosen, error: None });
            world.agent(&Command::Run(Run::Agent(settled.into_iter().map(Fact::from).collect())))
        }
        Op::Close => world.owner(&Command::Close),
        Op::Delete => {
            let got = world.owner(&Command::Delete);
            assert_eq!(world.running(), None, "a deleted session runs nothing");
            got
        }
    };
}

fn grant(n: u8) -> GrantId {
    GrantId::new(Uuid::from_u128(0x3000 + u128::from(n)))
}

/// What comes next in an export, as far as the log of the copy goes: it was a session like any other.
fn export(world: &World, n: u8) -> Vec<Draft> {
    let next = TurnId(Seq(world.log.len() as u64 + 1));
    let block = || vec![Raw::parse(r#"{"type":"text","text":"as before"}"#).unwrap()];
    let (turns, requests) = (&world.session.turns, &world.session.requests);
    let running = turns.running.as_ref().map(|running| running.turn);
    let waiting = turns.queue.front().map(|waiting| waiting.turn);
    let known = requests.open.contains_key(&request(n)) || requests.closed.contains_key(&request(n));
    let facts = match (n % 4, running, waiting) {
        (0, ..) => vec![Draft::of(next, turn::Queued { prompt: block(), timeout_ms: None })],
        (1, None, Some(turn)) => {
            let node = Node { name: "imported".into(), incarnation: 0 };
            let started = turn::Started { prompt: block(), deadline: None };
            vec![Draft::of(turn, turn::Claimed { node, attempt: 1 }), Draft::of(turn, started)]
        }
        (2, Some(turn), _) if !known => vec![Draft::of(turn, asked(n, None, OnTimeout::Wait))],
        _ => Vec::new(),
    };
    let origin = Some((Principal::owner().imported(), Time(3)));
    facts.into_iter().map(|draft| Draft { origin: origin.clone(), ..draft }).collect()
}

fn process(world: &mut World, start: bool) -> Result<Vec<Fact>, Refused> {
    use trunkline_core::agent::{Exited, Started};
    let incarnation = world.session.agent.incarnation + u64::from(start);
    let fact: Fact = if start {
        Started {
            node: world.node.clone(),
            incarnation,
            pid: 1,
            start_time: None,
            boot_id: None,
            argv: vec![],
            confined: None,
        }
        .into()
    } else {
        Exited { incarnation, code: Some(0), signal: None, stderr: String::new() }.into()
    };
    world.agent(&Command::Run(Run::Agent(vec![fact])))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold_whatever_is_asked(
        ops in proptest::collection::vec(op(), 0..60), external in any::<bool>(), imported in any::<bool>(),
    ) {
        let mut world = World::made(if external { "external" } else { "acp" }, imported);
        for op in &ops {
            play(&mut world, op);
            world.check();
        }
        // In the end every turn comes to its end: the queue empties, and nothing is owed.
        for command in [Command::EndImport, Command::Close, Command::Tick] {
            let got = world.command(&command, &Caller::trunkline());
            prop_assert_eq!(got.is_ok(), !world.session.deleted);
            world.now = world.now.plus_ms(60_000);
        }
        world.check();
        prop_assert_eq!(world.running(), None);
        prop_assert!(world.session.turns.queue.is_empty());
        prop_assert!(world.session.requests.open.is_empty());
        let owed = world.session.wanted();
        let over = |effect: &Effect| matches!(effect, Effect::EndAgent(_) | Effect::Remove);
        prop_assert!(owed.effects.iter().all(over), "{:?}", owed);
        prop_assert_eq!(owed.next, None);
    }
}

#[test]
fn a_queued_prompt_starts_in_the_frame_that_ends_the_turn_before_it() {
    let mut world = World::new("acp");
    world.owner(&prompt("one", None, WhenBusy::Reject)).unwrap();
    world.owner(&prompt("two", None, WhenBusy::Queue)).unwrap();
    let busy = world.owner(&prompt("three", None, WhenBusy::Reject)).unwrap_err();
    assert_eq!(busy, Refused::Busy { turn: TurnId(Seq(2)) });
    let facts = world.agent(&end(world.running().unwrap(), StopReason::EndTurn)).unwrap();
    let tags: Vec<_> = facts.iter().map(Fact::tag).collect();
    assert_eq!(tags, ["turn.ended", "turn.claimed", "turn.started"]);
    assert_eq!(world.running(), Some((TurnId(Seq(5)), 1)));
}

#[test]
fn a_grant_answers_in_its_givers_place_until_it_is_revoked_or_expires() {
    let mut world = World::new("acp");
    world.owner(&prompt("one", None, WhenBusy::Reject)).unwrap();
    let (turn, attempt) = world.running().unwrap();
    let started = serde_json::json!({
        "node": { "name": "here", "incarnation": 1 }, "incarnation": 1, "pid": 7, "argv": ["agent"], "confined": "namespace",
    });
    let started: trunkline_core::agent::Started = serde_json::from_value(started).unwrap();
    world.agent(&Command::Run(Run::Agent(vec![started.into()]))).unwrap();
    let grant = GrantId::new(Uuid::from_u128(9));
    let expires = Some(world.now.plus_ms(100));
    world.owner(&Command::Grant(Added { expires, ..Added::tool(grant, "edit") })).unwrap();
    let ask = |world: &mut World, id: u8, tool: &str| {
        let asked = Opened { tool: Some(tool.into()), ..asked(id, None, OnTimeout::Wait) };
        world.agent(&Command::Run(Run::Ask { turn, attempt, asked, beside: Beside::default() })).unwrap();
        world.session.requests.closed.get(&request(id)).cloned()
    };
    let closed = ask(&mut world, 1, "edit").unwrap();
    assert_eq!((closed.by.as_str(), closed.answer), ("owner", Some(option(true))));
    let Fact::RequestClosed(fact) = &world.log.last().unwrap().fact else { panic!() };
    assert_eq!(fact.grant, Some(grant));
    assert_eq!(ask(&mut world, 2, "execute"), None, "another tool asks");
    world.now = world.now.plus_ms(100);
    assert_eq!(ask(&mut world, 3, "edit"), None, "an expired grant answers nothing");
    world.owner(&Command::Grant(Added::tool(GrantId::new(Uuid::from_u128(10)), "edit"))).unwrap();
    world.owner(&Command::Revoke(GrantId::new(Uuid::from_u128(10)))).unwrap();
    assert_eq!(ask(&mut world, 4, "edit"), None, "nor does a revoked one");
    world.check();
}

#[test]
fn cancelling_takes_the_questions_of_the_turn_back() {
    let mut world = World::new("acp");
    world.owner(&prompt("one", None, WhenBusy::Reject)).unwrap();
    let (turn, attempt) = world.running().unwrap();
    world
        .agent(&Command::Run(Run::Ask {
            turn,
            attempt,
            asked: asked(1, None, OnTimeout::Wait),
            beside: Beside::default(),
        }))
        .unwrap();
    let facts = world.owner(&Command::Stop { turn: None, why: Why::Cancelled, grace_ms: 10 }).unwrap();
    let tags: Vec<_> = facts.iter().map(Fact::tag).collect();
    assert_eq!(tags, ["turn.stopping", "request.closed"]);
    let facts = world.agent(&end((turn, attempt), StopReason::Cancelled)).unwrap();
    assert!(matches!(&facts[..], [Fact::TurnEnded(ended)] if ended.stop_reason == StopReason::Cancelled));
}

#[test]
fn an_agent_never_answers_and_never_steers() {
    let mut world = World::new("external");
    world.agent(&Command::Ask(asked(1, None, OnTimeout::Wait))).unwrap();
    for command in [
        Command::Answer(request(1), option(true)),
        Command::Dismiss(request(1)),
        Command::Close,
        prompt("more", None, WhenBusy::Queue),
    ] {
        assert!(matches!(world.agent(&command), Err(Refused::Forbidden { .. })));
    }
}

#[test]
fn an_agent_outside_finds_the_answer_in_its_inbox_in_the_same_frame() {
    let mut world = World::new("external");
    world.agent(&Command::Ask(asked(1, None, OnTimeout::Wait))).unwrap();
    let facts = world.owner(&Command::Answer(request(1), option(true))).unwrap();
    let tags: Vec<_> = facts.iter().map(Fact::tag).collect();
    assert_eq!(tags, ["request.closed", "message.queued"]);
    assert_eq!(world.session.inbox.list()[0].kind, "request.closed");
    assert!(matches!(world.owner(&prompt("x", None, WhenBusy::Queue)), Err(Refused::External)));
}

#[test]
fn a_deadline_denies_only_if_it_was_asked_to() {
    let mut world = World::new("external");
    let soon = Some(world.now.plus_ms(10));
    world.agent(&Command::Ask(asked(1, soon, OnTimeout::Wait))).unwrap();
    world.agent(&Command::Ask(asked(2, soon, OnTimeout::Deny))).unwrap();
    world.agent(&Command::Ask(asked(3, soon, OnTimeout::Escalate))).unwrap();
    world.now = world.now.plus_ms(10);
    world.command(&Command::Tick, &Caller::trunkline()).unwrap();
    let closed = &world.session.requests.closed[&request(2)];
    assert_eq!(closed.outcome, Outcome::Expired);
    assert_eq!(closed.answer, Some(option(false)));
    assert_eq!(world.session.requests.open[&request(3)].asked.priority, Priority::Urgent);
    assert_eq!(world.session.requests.open[&request(1)].asked.priority, Priority::Normal);
    assert_eq!(world.session.wanted().next, None);
}

#[test]
fn what_was_said_is_forgotten_between_turns_and_totals_stay() {
    let mut world = World::new("model");
    world.owner(&prompt("a", None, WhenBusy::Reject)).unwrap();
    let (turn, attempt) = world.running().unwrap();
    let said = Memo { raw: Raw::parse(r#"{"said":{}}"#).unwrap() };
    world.owner(&Command::Run(Run::Report { turn, attempt, facts: vec![said.into()] })).unwrap();
    assert_eq!(world.owner(&Command::Forget), Err(Refused::Busy { turn }));
    let usage = Usage { input: Some(30), output: Some(7), ..Usage::default() };
    let outcome = turn::Outcome { usage: Some(usage), ..turn::Outcome::of(StopReason::EndTurn) };
    world.owner(&Command::Run(Run::End { turn, attempt, outcome, checkpoint: false })).unwrap();
    let view = world.session.view().unwrap();
    assert_eq!((view.input_tokens, view.output_tokens, view.remembered), (30, 7, 1));
    assert!(
        matches!(world.agent(&Command::Forget), Err(Refused::Forbidden { .. })),
        "not for an agent to wish"
    );
    assert_eq!(world.owner(&Command::Forget).unwrap().len(), 1);
    assert_eq!(world.owner(&Command::Forget), Ok(Vec::new()), "there is nothing more to forget");
    let view = world.session.view().unwrap();
    assert_eq!((view.input_tokens, view.remembered), (30, 0));
    world.check();
}
