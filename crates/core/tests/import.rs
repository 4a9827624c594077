//! A copy of a session from its export.

use trunkline_core::event::{Event, Fact};
use trunkline_core::id::{Node, Seq, SessionId, TurnId};
use trunkline_core::import::{Importer, adopted};
use trunkline_core::machine::{Context, Machine};
use trunkline_core::principal::{Caller, Principal, Scope};
use trunkline_core::session::{Command, Effect, Session};
use trunkline_core::time::Time;
use trunkline_core::view::SessionState;
use uuid::Uuid;

const EXPORT: &str = r#"{"type":"session.created","seq":1,"at":10,"by":"owner","data":{"id":"0190163d-8694-739b-aea5-966c26f8ad91","driver":"acp","agent":"demo","workspace":"/w"}}
{"type":"agent.started","seq":2,"at":11,"by":"agent/x","data":{"node":{"name":"n","incarnation":1},"incarnation":1,"pid":7,"argv":[]}}
{"type":"turn.queued","seq":3,"at":12,"by":"token/phone","turn":3,"data":{"prompt":[{"type":"text","text":"go"}]}}
{"type":"turn.claimed","seq":4,"at":12,"by":"token/phone","turn":3,"data":{"node":{"name":"local","incarnation":5},"attempt":1}}
{"type":"turn.started","seq":5,"at":12,"by":"token/phone","turn":3,"data":{"prompt":[{"type":"text","text":"go"}]}}
{"type":"driver.memo","seq":6,"at":12,"by":"agent/x","turn":3,"data":null}
{"type":"turn.update","seq":7,"at":13,"by":"agent/x","turn":3,"data":{"v":"acp/1","update":{"a":1.0e1}}}
{"type":"request.opened","seq":8,"at":14,"by":"agent/x","turn":3,"data":{"id":"0190163d-8694-739b-aea5-966c26f8ad92","kind":"question","title":"Q"}}
{"type":"grant.added","seq":9,"at":14,"by":"owner","data":{"id":"0190163d-8694-739b-aea5-966c26f8ad93","tool":"Bash"}}
{"type":"moon.landed","seq":10,"at":9,"by":"owner","data":{}}"#;

#[test]
fn a_copy_has_the_transcript_and_nothing_that_acts() {
    let events: Vec<Event> = EXPORT.lines().map(|line| Event::from_line(line).unwrap()).collect();
    let id = SessionId::new(Uuid::from_u128(5));
    let (mut importer, created) = Importer::begin(&events[0], id).unwrap();
    let mut copy = Session::default();
    let mut log = Vec::new();
    let mut run = |session: &mut Session, command: Command| {
        let caller = Caller::new(Principal::owner(), Scope::Admin);
        let node = Node { name: "local".into(), incarnation: 5 };
        let ctx = Context { now: Time(99), caller: &caller, node: &node, next: Seq(log.len() as u64 + 1) };
        for draft in session.decide(&command, &ctx).unwrap() {
            let (by, at) = draft.origin.unwrap_or_else(|| (caller.principal.clone(), Time(99)));
            let seq = Seq(log.len() as u64 + 1);
            let event = Event { seq, at, by, turn: draft.turn, key: None, fact: draft.fact };
            session.advance(std::slice::from_ref(&event));
            log.push(event);
        }
    };
    run(&mut copy, Command::Create(created));
    let mut fresh = 100;
    let drafts: Vec<_> = events[1..]
        .iter()
        .filter_map(|event| {
            fresh += 1;
            importer.next(event.clone(), || Uuid::from_u128(fresh))
        })
        .collect();
    run(&mut copy, Command::Import(drafts));
    assert_eq!(copy.wanted().effects, [Effect::EndImport], "nothing of an import runs");
    run(&mut copy, Command::EndImport);
    let tags: Vec<_> = log.iter().map(|event| event.fact.tag()).collect();
    assert_eq!(
        tags,
        [
            "session.created",
            "turn.queued",
            "turn.claimed",
            "turn.started",
            "turn.update",
            "request.opened",
            "moon.landed",
            "turn.ended",
            "request.closed",
            "session.imported",
        ]
    );
    assert_eq!(log[4].turn, Some(TurnId(Seq(2))), "turns are numbered anew");
    assert_eq!((log[4].at, log[4].by.as_str()), (Time(13), "imported/agent/x"));
    let Fact::TurnUpdate(update) = &log[4].fact else { panic!() };
    assert_eq!(update.update.get(), r#"{"a":1.0e1}"#);
    assert_eq!(copy.state(), SessionState::Idle);
    assert!(copy.grants.all.is_empty() && copy.requests.open.is_empty() && copy.agent.process.is_none());
    assert!(copy.wanted().effects.is_empty());
}

const ELSEWHERE: &str = r#"{"type":"session.created","seq":1,"at":10,"by":"local","data":{"id":"0190163d-8694-439b-aea5-966c26f8ad91","driver":"external","agent":"bot","born":{"dialect":"sessionbus","name":"bot"},"imported":"0190163d-8694-439b-aea5-966c26f8ad99"}}
{"type":"request.opened","seq":2,"at":20,"by":"local","data":{"id":"0190163d-8694-439b-aea5-966c26f8ad92","kind":"question","title":"Q"}}
{"type":"request.closed","seq":3,"at":30,"by":"local","data":{"id":"0190163d-8694-439b-aea5-966c26f8ad92","outcome":"answered","answer":{"text":"yes"}}}
{"type":"message.queued","seq":4,"at":30,"by":"local","data":{"id":"0190163d-8694-439b-aea5-966c26f8ad93","kind":"request.closed","payload":{}}}
{"type":"grant.added","seq":5,"at":31,"by":"owner","data":{"id":"0190163d-8694-739b-aea5-966c26f8ad93","tool":"Bash"}}
{"type":"request.opened","seq":6,"at":40,"by":"local","data":{"id":"0190163d-8694-439b-aea5-966c26f8ad94","kind":"question","title":"Q"}}"#;

#[test]
fn a_session_that_ran_elsewhere_moves_with_its_ids_its_times_and_all_that_waits() {
    let events: Vec<Event> = ELSEWHERE.lines().map(|line| Event::from_line(line).unwrap()).collect();
    let (id, facts) = adopted(events).unwrap();
    assert_eq!(id.to_string(), "0190163d-8694-439b-aea5-966c26f8ad91");
    let node = Node { name: "local".into(), incarnation: 5 };
    let decide = |session: &Session, scope: Scope| {
        let caller = Caller::new(Principal::token("t"), scope);
        let ctx = Context { now: Time(99), caller: &caller, node: &node, next: Seq(1) };
        session.decide(&Command::Adopt(facts.clone()), &ctx)
    };
    let mut session = Session::default();
    for scope in [Scope::Viewer, Scope::Local, Scope::Agent(id)] {
        assert!(decide(&session, scope).is_err(), "{scope:?}");
    }
    for (draft, seq) in decide(&session, Scope::Operator).unwrap().into_iter().zip(1..) {
        let (by, at) = draft.origin.unwrap();
        assert!(by.is_imported());
        session.advance(&[Event { seq: Seq(seq), at, by, turn: None, key: None, fact: draft.fact }]);
    }
    assert!(!session.importing && session.grants.all.is_empty());
    assert_eq!(session.created.as_ref().unwrap().2, Time(10));
    let open: Vec<_> = session.requests.pending().map(|open| (open.asked.id.to_string(), open.at)).collect();
    assert_eq!(open, [("0190163d-8694-439b-aea5-966c26f8ad94".to_owned(), Time(40))]);
    assert_eq!(session.inbox.list()[0].id.to_string(), "0190163d-8694-439b-aea5-966c26f8ad93");
    assert_eq!(decide(&session, Scope::Operator).unwrap_err().code(), "exists");
}

#[test]
fn a_session_that_ran_in_a_daemon_does_not_move() {
    let events: Vec<Event> = EXPORT.lines().map(|line| Event::from_line(line).unwrap()).collect();
    assert_eq!(adopted(events).unwrap_err().code(), "invalid");
    assert_eq!(adopted(Vec::new()).unwrap_err().code(), "invalid");
}
