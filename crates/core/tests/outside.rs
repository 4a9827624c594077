//! Agents that run elsewhere: what they say, what asking and being answered says, and what a caller without a credential may.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

use trunkline_core::event::{Event, Fact};
use trunkline_core::id::{MessageId, Node, RequestId, Seq, SessionId};
use trunkline_core::machine::{Context, Machine};
use trunkline_core::outside::{Born, Report, Status};
use trunkline_core::principal::{Caller, Scope};
use trunkline_core::raw::Raw;
use trunkline_core::refused::Refused;
use trunkline_core::request::{Answer, Opened, Outcome};
use trunkline_core::row::RowKind;
use trunkline_core::session::{Command, Created, EXTERNAL, Session};
use trunkline_core::time::Time;
use trunkline_core::view::SessionState;
use uuid::Uuid;

struct World {
    session: Session,
    head: Seq,
    now: Time,
    tenants: Vec<String>,
}

impl World {
    fn new(born: bool) -> Self {
        let mut world =
            Self { session: Session::default(), head: Seq(0), now: Time(1_000), tenants: Vec::new() };
        let caller = if born { Caller::local() } else { Caller::trunkline() };
        world.wish(&caller, &Command::Create(created(born))).unwrap();
        world
    }

    fn wish(&mut self, caller: &Caller, command: &Command) -> Result<Vec<Fact>, Refused> {
        let node = Node { name: "n".into(), incarnation: 1 };
        let ctx = Context { now: self.now, caller, node: &node, next: self.head.plus(1) };
        let drafts = self.session.decide(command, &ctx)?;
        let mut events = Vec::new();
        for draft in drafts {
            self.head = self.head.plus(1);
            let by = caller.principal.clone();
            events.push(Event {
                seq: self.head,
                at: self.now,
                by,
                turn: draft.turn,
                key: None,
                fact: draft.fact,
            });
        }
        let rows = self.session.advance(&events);
        let facets = rows.iter().filter(|row| matches!(row.kind, RowKind::Session | RowKind::Request));
        self.tenants =
            facets.flat_map(|row| row.facets.clone()).filter(|f| f.starts_with("tenant=")).collect();
        Ok(events.into_iter().map(|event| event.fact).collect())
    }

    fn local(&mut self, command: &Command) -> Vec<Fact> {
        self.wish(&Caller::local(), command).unwrap()
    }

    fn says(&self) -> Option<Status> {
        self.session.view().unwrap().reported
    }
}

fn created(is_born: bool) -> Created {
    let born = Born { dialect: "sessionbus".into(), name: " bot\n".into(), tenant: Some("acme".into()) };
    Created {
        id: SessionId::new(Uuid::from_u128(7)),
        driver: EXTERNAL.into(),
        agent: "bot".into(),
        argv: vec![],
        workspace: None,
        project: None,
        title: None,
        metadata: None,
        born: is_born.then_some(born),
        setup: None,
        imported: None,
    }
}

fn ask(n: u128) -> Command {
    Command::Ask(Opened {
        tags: Some(vec![String::new()]),
        ..Opened::question(RequestId::new(Uuid::from_u128(n)), "two\nlines".into(), "?".into())
    })
}

fn answer(n: u128) -> Command {
    let text = Some("yes".into());
    Command::Answer(RequestId::new(Uuid::from_u128(n)), Answer { text, ..Answer::default() })
}

fn report(status: Status) -> Command {
    Command::Report(Report { status: Some(status), metadata: None })
}

#[test]
fn asking_and_being_answered_say_what_the_agent_does() {
    let mut world = World::new(true);
    assert_eq!((world.says(), world.session.state()), (Some(Status::Working), SessionState::Running));
    world.local(&ask(1));
    world.local(&ask(2));
    assert_eq!((world.says(), world.session.state()), (Some(Status::Waiting), SessionState::Waiting));
    assert_eq!(world.tenants, ["tenant=acme", "tenant=acme"]);
    world.local(&answer(1));
    assert_eq!(world.says(), Some(Status::Waiting), "another request waits");
    world.local(&Command::Dismiss(RequestId::new(Uuid::from_u128(2))));
    assert_eq!(world.says(), Some(Status::Working));
    world.local(&report(Status::Error));
    assert_eq!(world.session.state(), SessionState::Failed);
    world.local(&ask(3));
    assert_eq!(world.says(), Some(Status::Waiting));
    world.local(&report(Status::Done));
    assert_eq!((world.says(), world.session.state()), (Some(Status::Done), SessionState::Waiting));
}

#[test]
fn an_agent_that_never_speaks_of_itself_is_only_seen() {
    let mut world = World::new(false);
    assert_eq!((world.says(), world.session.state()), (None, SessionState::Idle));
    world.now = Time(5_000);
    assert!(
        world.wish(&Caller::trunkline(), &ask(1)).is_err(),
        "a title has no line ends, but for original clients"
    );
    world.wish(&Caller::trunkline(), &Command::Deliver).unwrap();
    assert_eq!(world.session.view().unwrap().seen_at, Some(Time(1_000)));
    assert!(world.wish(&Caller::trunkline(), &Command::Report(Report::default())).unwrap().is_empty());
}

#[test]
fn a_report_leaves_a_fact_only_when_it_changes_something() {
    let mut world = World::new(true);
    assert_eq!(world.local(&report(Status::Working)), []);
    let metadata = Some(Raw::parse("{}").unwrap());
    let with = Command::Report(Report { status: Some(Status::Done), metadata: metadata.clone() });
    assert_eq!(world.local(&with).len(), 2);
    assert_eq!(world.local(&with), []);
    assert_eq!(world.session.metadata, metadata);
    let list = Some(Raw::parse("[]").unwrap());
    let wrong = Command::Report(Report { status: None, metadata: list });
    assert!(world.wish(&Caller::local(), &wrong).is_err());
}

#[test]
fn who_is_gone_is_kept_once_and_comes_back() {
    let mut world = World::new(true);
    world.now = Time(200_000);
    let hub = Caller::trunkline();
    assert_eq!(world.wish(&hub, &Command::Missed(Time(500))).unwrap(), [], "it was there since");
    assert_eq!(world.wish(&hub, &Command::Missed(Time(2_000))).unwrap().len(), 1);
    assert_eq!(world.wish(&hub, &Command::Missed(Time(2_000))).unwrap(), []);
    let view = world.session.view().unwrap();
    assert_eq!((view.unseen, view.seen_at, view.updated_at), (true, Some(Time(2_000)), Time(1_000)));
    assert_eq!(world.local(&Command::Report(Report::default())).len(), 1);
    let view = world.session.view().unwrap();
    assert_eq!(
        (view.unseen, view.seen_at, view.reported),
        (false, Some(Time(200_000)), Some(Status::Working))
    );
    assert!(world.wish(&Caller::local(), &Command::Missed(Time(9))).is_err());
}

#[test]
fn an_answer_counts_as_taken_once_its_message_is_acknowledged() {
    let mut world = World::new(true);
    let message = MessageId::from(RequestId::new(Uuid::from_u128(1)));
    world.local(&ask(1));
    world.local(&answer(1));
    assert!(!world.session.answer_taken());
    assert_eq!(world.local(&Command::Fetch(vec![message, MessageId::new(Uuid::nil())])).len(), 1);
    assert_eq!(world.local(&Command::Fetch(vec![message])), []);
    world.local(&Command::Ack(message));
    assert!(world.session.answer_taken());
    world.local(&ask(2));
    assert!(!world.session.answer_taken(), "it waits for another");
}

#[test]
fn without_a_credential_only_what_the_dialect_offers_where_it_was_born() {
    let mut world = World::new(true);
    world.local(&ask(1));
    let denied = [Command::Close, Command::Delete, Command::Deliver, Command::Tick];
    for command in denied {
        assert!(
            matches!(world.wish(&Caller::local(), &command), Err(Refused::Forbidden { .. })),
            "{command:?}"
        );
    }
    let mut other = World::new(false);
    for command in [ask(1), answer(1), report(Status::Done), Command::Create(created(false))] {
        assert!(
            matches!(other.wish(&Caller::local(), &command), Err(Refused::Forbidden { .. })),
            "{command:?}"
        );
    }
    let viewer = Caller { scope: Scope::Viewer, ..Caller::local() };
    assert!(world.wish(&viewer, &answer(1)).is_err());
    // Who may ask may take back what was asked.
    world.local(&Command::Withdraw(RequestId::new(Uuid::from_u128(1)), Outcome::Cancelled));
}
