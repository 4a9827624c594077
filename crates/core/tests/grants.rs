//! Random grants, turns and requests: no sequence of commands lets an expired, revoked or foreign grant pass.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use trunkline_core::agent::{Confined, Exited, Started};
use trunkline_core::call::Call;
use trunkline_core::event::{Event, Fact};
use trunkline_core::grant::{Added, Grant, Mode, ProjectCommand, ProjectGrants, Scope};
use trunkline_core::id::{GrantId, Node, RequestId, Seq, SessionId};
use trunkline_core::machine::{Context, Machine};
use trunkline_core::principal::{Caller, Principal, Scope as Rights};
use trunkline_core::raw::Raw;
use trunkline_core::refused::Refused;
use trunkline_core::request::{Answer, Choice, Kind, Opened, OptionKind};
use trunkline_core::risk::{Level, Risk};
use trunkline_core::session::{Beside, Command, Created, Run, Session};
use trunkline_core::time::Time;
use trunkline_core::turn::{self, StopReason, WhenBusy};
use uuid::Uuid;

const WORKSPACE: &str = "/work";
const PROJECT: &str = "/work";

struct World {
    session: Session,
    projects: ProjectGrants,
    log: Vec<Event>,
    /// Every grant that was ever given, when, and when it was taken back.
    given: BTreeMap<GrantId, (Grant, Option<Time>)>,
    now: Time,
    asked: u128,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            session: Session::default(),
            projects: ProjectGrants::default(),
            log: vec![],
            given: BTreeMap::new(),
            now: Time(1_000),
            asked: 0,
        };
        let created = Created {
            id: SessionId::new(Uuid::from_u128(7)),
            driver: "acp".into(),
            agent: "demo".into(),
            argv: vec![],
            workspace: Some(WORKSPACE.into()),
            project: Some(PROJECT.into()),
            title: None,
            metadata: None,
            setup: None,
            imported: None,
            born: None,
        };
        world.run(&Command::Create(created), "owner").unwrap();
        world.start(Some(Confined::Namespace));
        world
    }

    /// Another process of the agent, confined like this.
    fn start(&mut self, confined: Option<Confined>) {
        let node = Node { name: "here".into(), incarnation: 1 };
        let incarnation = self.session.agent.incarnation + 1;
        let (argv, pid) = (vec!["agent".to_owned()], 7);
        let started = Started { node, incarnation, pid, start_time: None, boot_id: None, argv, confined };
        self.run(&Command::Run(Run::Agent(vec![started.into()])), "trunkline").unwrap();
    }

    fn exit(&mut self) {
        let incarnation = self.session.agent.incarnation;
        let exited = Exited { incarnation, code: Some(0), signal: None, stderr: String::new() };
        self.run(&Command::Run(Run::Agent(vec![exited.into()])), "trunkline").unwrap();
    }

    fn caller(name: &str) -> Caller {
        Caller::new(name.parse().unwrap(), Rights::Operator)
    }

    fn run(&mut self, command: &Command, name: &str) -> Result<Vec<Event>, Refused> {
        let caller = Self::caller(name);
        let node = Node { name: "here".into(), incarnation: 1 };
        let next = Seq(self.log.len() as u64 + 1);
        let drafts =
            self.session.decide(command, &Context { now: self.now, caller: &caller, node: &node, next })?;
        let events: Vec<_> = drafts
            .into_iter()
            .zip(next.0..)
            .map(|(draft, seq)| {
                let (by, at) = draft.origin.unwrap_or_else(|| (caller.principal.clone(), self.now));
                Event { seq: Seq(seq), at, by, turn: draft.turn, key: None, fact: draft.fact }
            })
            .collect();
        for event in &events {
            self.check(event);
            self.session.apply(event);
            self.note(event);
        }
        self.log.extend(events.iter().cloned());
        Ok(events)
    }

    fn project(&mut self, command: &ProjectCommand) {
        let caller = Self::caller("owner");
        let node = Node { name: "here".into(), incarnation: 1 };
        let ctx = Context { now: self.now, caller: &caller, node: &node, next: Seq(1) };
        for draft in self.projects.decide(command, &ctx).unwrap_or_default() {
            let by = Principal::owner();
            let event = Event { seq: Seq(1), at: self.now, by, turn: None, key: None, fact: draft.fact };
            self.projects.apply(&event);
            self.note(&event);
        }
    }

    fn note(&mut self, event: &Event) {
        match &event.fact {
            Fact::GrantAdded(added) => {
                let grant = Grant { added: added.clone(), by: event.by.clone(), at: event.at };
                self.given.insert(added.id, (grant, None));
            }
            Fact::GrantRevoked(revoked) => self.given.get_mut(&revoked.id).unwrap().1 = Some(event.at),
            Fact::RequestClosed(closed) => {
                for id in closed.grant.iter().chain(&closed.also) {
                    let (grant, over) = self.given.get_mut(id).unwrap();
                    if grant.added.scope == Some(Scope::Once) {
                        *over = Some(event.at);
                    }
                }
            }
            _ => {}
        }
    }

    /// What must hold of every use of a grant, told from the history alone.
    fn check(&self, event: &Event) {
        let Fact::RequestClosed(closed) = &event.fact else { return };
        let Some(first) = closed.grant else { return };
        let running = self.session.turns.running.as_ref().unwrap();
        let asked = self.session.requests.open.get(&closed.id).map(|open| open.asked.clone());
        let asked = asked.unwrap_or_else(|| self.just_asked(closed.id));
        let call = Call::of(&asked, Some(WORKSPACE));
        let uses: Vec<&Grant> = std::iter::once(first)
            .chain(closed.also.iter().copied())
            .map(|id| {
                let (grant, over) = self.given.get(&id).expect("a grant that was given");
                assert_eq!(*over, None, "a revoked or spent grant passes");
                grant
            })
            .collect();
        for grant in &uses {
            assert!(grant.added.expires.is_none_or(|end| event.at < end), "an expired grant passes");
            match &grant.added.principal {
                Some(principal) => assert_eq!(*principal, running.by, "a foreign grant passes"),
                None => {
                    assert!(running.by.is_person(), "what was granted to people passes for {}", running.by);
                }
            }
            let process = self.session.agent.process.as_ref();
            let confined = matches!(
                process.and_then(|process| process.confined),
                Some(Confined::Namespace | Confined::Landlock)
            );
            assert!(confined || grant.added.unconfined, "a grant passes for an agent that nothing confines");
            if let Some(project) = &grant.added.project {
                assert_eq!(project, PROJECT, "a grant of another project passes");
            }
        }
        let trusts = uses.iter().any(|grant| grant.added.mode == Some(Mode::TrustAll));
        assert!(trusts || Risk::of(&call).level != Level::High, "high risk passes: {call:?}");
        assert!(trusts || call.opaque.is_empty(), "what cannot be told passes");
        assert_eq!(event.by, uses[0].by, "it is said in its giver's place");
    }

    fn just_asked(&self, id: RequestId) -> Opened {
        let opened = self.log.iter().rev().find_map(|event| match &event.fact {
            Fact::RequestOpened(asked) if asked.id == id => Some(asked.clone()),
            _ => None,
        });
        opened.expect("it was asked")
    }

    fn ask(&mut self, line: &str) -> Option<Vec<Event>> {
        let running = self.session.turns.running.clone()?;
        self.asked += 1;
        let choice = |id: &str, kind| Choice { id: id.into(), name: id.into(), kind };
        let call = serde_json::json!({ "kind": "execute", "rawInput": { "command": line } });
        let asked = Opened {
            kind: Kind::Permission,
            options: vec![choice("yes", OptionKind::AllowOnce), choice("no", OptionKind::RejectOnce)],
            tool_call: Some(Raw::of(&call).unwrap()),
            tool: Some("Bash".into()),
            ..Opened::question(RequestId::new(Uuid::from_u128(self.asked)), line.into(), String::new())
        };
        let beside = Beside { said: Some("so".into()), standing: self.projects.of(PROJECT) };
        let (turn, attempt) = (running.turn, running.attempt);
        Some(self.run(&Command::Run(Run::Ask { turn, attempt, asked, beside }), "trunkline").unwrap())
    }

    fn prompt(&mut self, name: &str) {
        let block = Raw::parse(r#"{"type":"text","text":"do"}"#).unwrap();
        let queued = turn::Queued { prompt: vec![block], timeout_ms: None };
        let _busy = self.run(&Command::Prompt { queued, when_busy: WhenBusy::Reject }, name);
    }

    fn end(&mut self) {
        if let Some(running) = self.session.turns.running.clone() {
            let outcome = turn::Outcome::of(StopReason::EndTurn);
            let end = Run::End { turn: running.turn, attempt: running.attempt, outcome, checkpoint: false };
            self.run(&Command::Run(end), "trunkline").unwrap();
        }
    }
}

fn grant(n: u8) -> GrantId {
    GrantId::new(Uuid::from_u128(0x900 + u128::from(n)))
}

const PEOPLE: [&str; 5] =
    ["owner", "token/ana", "agent/0190163d-8694-739b-aea5-966c26f8ad91", "schedule/nightly", "webhook/x"];
const PATTERNS: [&str; 5] = ["shell(git status)", "shell(echo *)", "shell", "edit(src/**)", "tool(Bash)"];
const LINES: [&str; 8] = [
    "git status",
    "echo a",
    "git status && echo a",
    "echo a > src/x",
    "rm -rf /",
    "echo $(id)",
    "make",
    "sudo echo a",
];

const CONFINED: [Option<Confined>; 4] =
    [Some(Confined::Namespace), Some(Confined::Landlock), Some(Confined::No), None];

#[derive(Debug, Clone)]
enum Op {
    Prompt(usize),
    End,
    Ask(usize),
    Grant {
        n: u8,
        pattern: usize,
        once: bool,
        unconfined: bool,
        expires: Option<u64>,
        principal: Option<usize>,
    },
    Mode {
        n: u8,
        mode: usize,
        unconfined: bool,
        expires: Option<u64>,
        principal: Option<usize>,
    },
    Revoke(u8),
    Project {
        n: u8,
        pattern: usize,
        other: bool,
        expires: Option<u64>,
        principal: Option<usize>,
    },
    RevokeProject(u8),
    Release,
    Restart(usize),
    Exit,
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let ms = || proptest::option::of(1_u64..4_000);
    let who = || proptest::option::of(0..PEOPLE.len());
    prop_oneof![
        4 => (0..PEOPLE.len()).prop_map(Op::Prompt),
        2 => Just(Op::End),
        8 => (0..LINES.len()).prop_map(Op::Ask),
        4 => (0_u8..8, 0..PATTERNS.len(), any::<bool>(), any::<bool>(), ms(), who())
            .prop_map(|(n, pattern, once, unconfined, expires, principal)| {
                Op::Grant { n, pattern, once, unconfined, expires, principal }
            }),
        2 => (8_u8..12, 0_usize..4, any::<bool>(), ms(), who())
            .prop_map(|(n, mode, unconfined, expires, principal)| Op::Mode { n, mode, unconfined, expires, principal }),
        2 => (0_u8..12).prop_map(Op::Revoke),
        2 => (20_u8..26, 0..PATTERNS.len(), any::<bool>(), ms(), who())
            .prop_map(|(n, pattern, other, expires, principal)| Op::Project { n, pattern, other, expires, principal }),
        1 => (20_u8..26).prop_map(Op::RevokeProject),
        2 => Just(Op::Release),
        2 => (0..CONFINED.len()).prop_map(Op::Restart),
        1 => Just(Op::Exit),
        3 => (0_u64..3_000).prop_map(Op::Wait),
    ]
}

fn play(world: &mut World, op: &Op) {
    let at = |ms: Option<u64>, world: &World| ms.map(|ms| world.now.plus_ms(ms));
    let who = |who: Option<usize>| who.map(|who| PEOPLE[who].parse().unwrap());
    match *op {
        Op::Prompt(by) => world.prompt(PEOPLE[by]),
        Op::End => world.end(),
        Op::Ask(line) => drop(world.ask(LINES[line])),
        Op::Grant { n, pattern, once, unconfined, expires, principal } => {
            let scope = Some(if once { Scope::Once } else { Scope::Session });
            let (expires, principal) = (at(expires, world), who(principal));
            let pattern = Added::pattern(grant(n), PATTERNS[pattern]);
            let added = Added { scope, unconfined, expires, principal, ..pattern };
            let _there = world.run(&Command::Grant(added), "owner");
        }
        Op::Mode { n, mode, unconfined, expires, principal } => {
            let mode = [Mode::ConfirmAll, Mode::Default, Mode::AutoApproveEdits, Mode::TrustAll][mode];
            let (expires, principal) = (at(expires, world), who(principal));
            let added = Added { unconfined, expires, principal, ..Added::mode(grant(n), mode) };
            let _there = world.run(&Command::Grant(added), "owner");
        }
        Op::Revoke(n) => drop(world.run(&Command::Revoke(grant(n)), "owner")),
        Op::Project { n, pattern, other, expires, principal } => {
            let project = Some(if other { "/elsewhere" } else { PROJECT }.to_owned());
            let (expires, principal) = (at(expires, world), who(principal));
            let scope = Some(Scope::Project);
            let added =
                Added { scope, project, expires, principal, ..Added::pattern(grant(n), PATTERNS[pattern]) };
            world.project(&ProjectCommand::Add(added));
        }
        Op::RevokeProject(n) => world.project(&ProjectCommand::Revoke(grant(n))),
        Op::Release => {
            // All of them are handed over: what is of another project must not count even then.
            let standing = world.projects.0.all.values().cloned().collect();
            drop(world.run(&Command::Run(Run::Release(standing)), "trunkline"));
        }
        Op::Restart(how) => world.start(CONFINED[how]),
        Op::Exit => world.exit(),
        Op::Wait(ms) => world.now = world.now.plus_ms(ms),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_expired_revoked_or_foreign_grant_passes(ops in proptest::collection::vec(op(), 0..60)) {
        let mut world = World::new();
        for op in &ops {
            play(&mut world, op);
        }
        let mut folded = Session::default();
        world.log.iter().for_each(|event| folded.apply(event));
        prop_assert_eq!(format!("{folded:?}"), format!("{:?}", world.session));
    }
}

fn closed_by(events: &[Event]) -> Option<usize> {
    events.iter().find_map(|event| match &event.fact {
        Fact::RequestClosed(closed) => Some(closed.grant.iter().count() + closed.also.len()),
        _ => None,
    })
}

fn rule(events: &[Event]) -> String {
    let rule = events.iter().find_map(|event| match &event.fact {
        Fact::RequestJudged(judged) => judged.rule.clone(),
        _ => None,
    });
    rule.unwrap()
}

#[test]
fn every_segment_is_covered_and_every_grant_that_was_needed_is_named() {
    let mut world = World::new();
    world.prompt("owner");
    world.run(&Command::Grant(Added::pattern(grant(1), "shell(git status)")), "owner").unwrap();
    let asked = world.ask("git status && echo a").unwrap();
    assert_eq!(closed_by(&asked), None);
    assert_eq!(rule(&asked), "no rule covers the command `echo a`");
    let released = world.run(&Command::Grant(Added::pattern(grant(2), "shell(echo *)")), "owner").unwrap();
    assert_eq!(closed_by(&released), Some(2), "the grant answers what waits, in its own frame");
}

#[test]
fn a_mode_releases_what_it_allows_and_trust_all_is_all_that_covers_high_risk() {
    let mut world = World::new();
    world.prompt("owner");
    for line in ["make", "rm -rf /", "echo $(id)"] {
        assert_eq!(closed_by(&world.ask(line).unwrap()), None, "{line}");
    }
    let count = |events: &[Event]| events.iter().filter(|event| event.fact.tag() == "request.closed").count();
    let mode = |world: &mut World, n, mode| {
        let events = world.run(&Command::Grant(Added::mode(grant(n), mode)), "owner").unwrap();
        count(&events)
    };
    assert_eq!(mode(&mut world, 1, Mode::ConfirmAll), 0);
    assert_eq!(mode(&mut world, 2, Mode::AutoApproveEdits), 0, "it asks about every command");
    assert_eq!(mode(&mut world, 3, Mode::Default), 1, "make is of medium risk");
    assert_eq!(mode(&mut world, 4, Mode::TrustAll), 2);
    assert_eq!(world.session.grants.all.len(), 1, "one mode at a time");
    world.end();
    world.prompt("schedule/nightly");
    let asked = world.ask("make").unwrap();
    assert_eq!(rule(&asked), "no rule covers the command `make` for a turn of schedule/nightly");
}

#[test]
fn while_nothing_confines_the_agent_only_grants_given_for_that_count() {
    let mut world = World::new();
    world.start(Some(Confined::No));
    world.prompt("owner");
    world.run(&Command::Grant(Added::pattern(grant(1), "shell(git status)")), "owner").unwrap();
    world.run(&Command::Grant(Added::mode(grant(2), Mode::TrustAll)), "owner").unwrap();
    let asked = world.ask("git status").unwrap();
    assert_eq!(closed_by(&asked), None);
    assert_eq!(
        rule(&asked),
        "no rule covers the command `git status`; nothing confines the agent, so only grants given for that count"
    );
    let given = Added { unconfined: true, ..Added::pattern(grant(3), "shell(git status)") };
    assert_eq!(closed_by(&world.run(&Command::Grant(given), "owner").unwrap()), Some(1));
    let trusted = Added { unconfined: true, ..Added::mode(grant(4), Mode::TrustAll) };
    world.run(&Command::Grant(trusted), "owner").unwrap();
    assert_eq!(closed_by(&world.ask("rm -rf /").unwrap()), Some(1));
}

#[test]
fn high_risk_goes_on_only_by_a_second_step() {
    let mut world = World::new();
    world.prompt("owner");
    let say = |world: &mut World, option: &str, confirm| {
        let id = RequestId::new(Uuid::from_u128(world.asked));
        let answer = Answer { option: Some(option.into()), confirm, ..Answer::default() };
        world.run(&Command::Answer(id, answer), "owner").map(|events| closed_by(&events))
    };
    world.ask("rm -rf /").unwrap();
    let refused = say(&mut world, "yes", false).unwrap_err();
    assert_eq!(refused.code(), "confirmation_required");
    assert!(refused.to_string().contains("confirm: true"), "{refused}");
    assert_eq!(
        say(&mut world, "YES", false).unwrap_err().code(),
        "confirmation_required",
        "by whatever name"
    );
    assert_eq!(say(&mut world, "yes", true).unwrap(), Some(0));
    world.ask("rm -rf /").unwrap();
    assert_eq!(say(&mut world, "no", false).unwrap(), Some(0), "a refusal needs none");
    world.ask("make").unwrap();
    assert_eq!(say(&mut world, "yes", false).unwrap(), Some(0), "nor does what is of medium risk");
}

#[test]
fn once_is_once_even_when_two_requests_wait() {
    let mut world = World::new();
    world.prompt("owner");
    world.ask("echo a").unwrap();
    world.ask("echo a").unwrap();
    let once = Added { scope: Some(Scope::Once), ..Added::pattern(grant(1), "shell(echo *)") };
    let events = world.run(&Command::Grant(once), "owner").unwrap();
    assert_eq!(events.iter().filter(|event| event.fact.tag() == "request.closed").count(), 1);
    assert!(world.session.grants.all.is_empty());
    assert_eq!(closed_by(&world.ask("echo b").unwrap()), None);
}

#[test]
fn a_grant_is_checked_before_it_is_given() {
    let mut world = World::new();
    let mut refused = |added: Added| world.run(&Command::Grant(added), "owner").unwrap_err().to_string();
    let bad = Added::pattern(grant(1), "shell(ls; id)");
    assert_eq!(refused(bad), "pattern at character 9: a rule covers one command in plain words, without `;`");
    let past = Added { expires: Some(Time(1)), ..Added::tool(grant(1), "x") };
    assert_eq!(refused(past), "expires must be in the future");
    assert!(
        refused(Added {
            scope: Some(Scope::Project),
            project: Some("/p".into()),
            ..Added::pattern(grant(1), "read")
        })
        .starts_with("scope")
    );
    assert!(
        refused(Added { pattern: Some("read".into()), ..Added::mode(grant(1), Mode::Default) })
            .starts_with("mode")
    );
    assert!(refused(Added::tool(grant(1), "")).starts_with("tool"));
    assert!(refused(Added::tool(grant(1), "execute")).starts_with("tool is the kind of all commands"));
    assert!(refused(Added::pattern(grant(1), "tool(execute)")).contains("the kind of all commands"));
}

#[test]
fn grants_of_earlier_versions_read_as_grants_of_a_tool() {
    let line = r#"{"type":"grant.added","seq":1,"at":2,"by":"owner","data":{"id":"0190163d-8694-739b-aea5-966c26f8ad93","tool":"Write"}}"#;
    let Fact::GrantAdded(added) = Event::from_line(line).unwrap().fact else { panic!() };
    let grant = Grant { added, by: Principal::owner(), at: Time(2) };
    assert_eq!(grant.covers().unwrap().to_string(), "tool(Write)");
    assert!(grant.counts_for(&Principal::owner(), Time(3)));
}
