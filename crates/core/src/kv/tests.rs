use proptest::prelude::*;

use super::*;
use crate::id::{Node, Seq};
use crate::principal::Caller;

/// A namespace with the log behind it.
#[derive(Default)]
struct Store {
    state: Namespace,
    log: Vec<Event>,
}

impl Store {
    fn decide(&self, command: &Command, now: i64) -> Result<Vec<Draft>, Refused> {
        let node = Node { name: "n".into(), incarnation: 1 };
        let caller = Caller::local();
        self.state.decide(command, &Context { now: Time(now), caller: &caller, node: &node, next: Seq(1) })
    }

    fn keep(&mut self, drafts: Vec<Draft>, now: i64) {
        for draft in drafts {
            let seq = Seq(self.log.len() as u64 + 1);
            let by = Caller::local().principal;
            let event = Event { seq, at: Time(now), by, turn: None, key: None, fact: draft.fact };
            self.state.apply(&event);
            self.log.push(event);
        }
    }

    fn command(&mut self, command: &Command, now: i64) -> Result<Vec<Fact>, Refused> {
        let drafts = self.decide(command, now)?;
        self.keep(drafts.clone(), now);
        Ok(drafts.into_iter().map(|draft| draft.fact).collect())
    }

    fn put(&mut self, key: &str, value: i32, now: i64) -> Revision {
        let facts = self.command(&put(key, value, None, Ttl::Forever), now).unwrap();
        match &facts[..] {
            [Fact::KeyPut(put)] => put.revision,
            other => panic!("{other:?}"),
        }
    }

    fn keys(&self, now: i64) -> Vec<String> {
        self.state.entries.living(Time(now)).map(|(key, _)| key.to_string()).collect()
    }
}

fn put(key: &str, value: i32, owner: Option<&str>, ttl: Ttl) -> Command {
    let value = Raw::of(&value).unwrap();
    Command::Put { key: key.into(), value, owner: owner.map(Into::into), ttl, expect: Expect::Any }
}

fn expecting(key: &str, expect: Expect) -> Command {
    let value = Raw::of(&0).unwrap();
    Command::Put { key: key.into(), value, owner: None, ttl: Ttl::Forever, expect }
}

#[test]
fn keys_stand_in_the_order_in_which_they_came() {
    let mut store = Store::default();
    for key in ["b", "a", "c"] {
        store.put(key, 1, 10);
    }
    store.put("b", 2, 11);
    assert_eq!(store.keys(11), ["b", "a", "c"], "written again, a key keeps its place");
    store.command(&Command::Delete("b".into(), Expect::Any), 12).unwrap();
    store.put("b", 3, 13);
    assert_eq!(store.keys(13), ["a", "c", "b"]);
}

#[test]
fn a_deadline_is_kept_to_the_millisecond_and_told() {
    let mut store = Store::default();
    store.command(&put("k", 1, None, Ttl::Ms(50)), 100).unwrap();
    assert!(store.state.entries.get("k", Time(150)).is_some(), "up to and including its deadline");
    assert!(
        store.state.entries.get("k", Time(151)).is_none(),
        "nobody has said so yet, and still it is gone"
    );
    assert_eq!(store.state.wanted().next, Some(Time(151)));
    assert_eq!(store.command(&Command::Tick, 150).unwrap(), []);
    assert!(
        matches!(&store.command(&Command::Tick, 151).unwrap()[..], [Fact::KeyExpired(gone)] if &*gone.key == "k")
    );
    assert!(store.state.entries.is_empty());
    assert_eq!(store.state.wanted().next, None);
}

#[test]
fn no_time_and_less_is_gone_at_once() {
    let mut store = Store::default();
    for ms in [0, -5] {
        store.command(&put("k", 1, None, Ttl::Ms(ms)), 100).unwrap();
        assert!(store.state.entries.get("k", Time(100)).is_none());
    }
}

#[test]
fn a_write_replaces_owner_and_deadline() {
    let mut store = Store::default();
    store.command(&put("k", 1, Some("ana"), Ttl::Ms(50)), 100).unwrap();
    store.put("k", 2, 101);
    let entry = store.state.entries.get("k", Time(10_000)).unwrap();
    assert_eq!((entry.owner.as_ref(), entry.expires), (None, None));
    assert_eq!(store.state.wanted().next, None);
}

#[test]
fn what_is_past_its_deadline_comes_anew() {
    let mut store = Store::default();
    store.command(&put("old", 1, None, Ttl::Ms(5)), 100).unwrap();
    store.put("other", 1, 101);
    store.command(&expecting("old", Expect::Absent), 200).unwrap();
    assert_eq!(store.keys(200), ["other", "old"]);
    assert_eq!(store.command(&Command::Delete("older".into(), Expect::Any), 200).unwrap(), []);
}

#[test]
fn a_revision_is_compared_and_swapped() {
    let mut store = Store::default();
    let first = store.put("k", 1, 7);
    assert_eq!(first, Revision(7_000), "microseconds");
    let second = store.put("k", 2, 7);
    assert_eq!(second, Revision(7_001), "two of a millisecond differ");
    let refused = store.command(&expecting("k", Expect::Revision(first)), 8).unwrap_err();
    assert_eq!(refused.to_string(), "k is at revision 7001; read it again");
    assert!(store.command(&expecting("k", Expect::Absent), 8).is_err());
    assert!(store.command(&expecting("k", Expect::Revision(second)), 8).is_ok());
    let refused = store.command(&Command::Delete("no".into(), Expect::Revision(second)), 8).unwrap_err();
    assert_eq!(refused.to_string(), "no is not there; read it again");
}

#[test]
fn a_transfer_moves_what_is_theirs_and_leaves_a_receipt() {
    let mut store = Store::default();
    for (key, owner) in [("a", Some("ana")), ("b", Some("ben")), ("c", Some("ana")), ("d", None)] {
        store.command(&put(key, 1, owner, Ttl::Ms(900)), 100).unwrap();
    }
    let transfer = |keys: Option<&[&str]>| Command::Transfer {
        from: "ana".into(),
        to: "cleo".into(),
        keys: keys.map(|keys| keys.iter().map(|key| (*key).into()).collect()),
    };
    store.command(&transfer(Some(&["d", "b", "a", "a", "x"])), 101).unwrap();
    store.command(&transfer(None), 102).unwrap();
    let receipts: Vec<_> = store.state.transfers.iter().map(|(done, at)| (done.keys.clone(), at.0)).collect();
    assert_eq!(receipts, [(vec!["d".into(), "a".into()], 101), (vec!["c".into()], 102)]);
    let owners = store.state.entries.living(Time(102)).map(|(_, entry)| entry.owner.as_deref().unwrap());
    assert_eq!(owners.collect::<Vec<_>>(), ["cleo", "ben", "cleo", "cleo"]);
    assert_eq!(store.keys(1_001).len(), 0, "deadlines stay");
}

#[test]
fn bounds_are_kept_and_told() {
    let mut store = Store::default();
    let long = "k".repeat(MAX_KEY_BYTES + 1);
    assert!(store.command(&put(&long, 1, None, Ttl::Forever), 1).is_err());
    let value = Raw::of(&"x".repeat(MAX_VALUE_BYTES - 2)).unwrap();
    let large = |key: &str| (Arc::<str>::from(key), value.clone());
    let refused = store.command(&Command::Restore(vec![large("a"), large("b")]), 1).unwrap_err();
    assert_eq!(refused.to_string(), "there are already 16 MiB in this namespace, which is the limit");
    assert!(store.state.entries.is_empty(), "all or nothing");
    store.command(&Command::Restore(vec![large("a")]), 1).unwrap();
    store.command(&Command::Restore(vec![large("a")]), 2).unwrap();
    assert!(store.command(&Command::Restore(vec![large("b")]), 2).is_err());
    store.command(&Command::Clear, 3).unwrap();
    store.command(&Command::Restore(vec![large("b")]), 4).unwrap();
}

#[test]
fn a_log_is_shortened_when_it_is_much_longer_than_what_lives() {
    let mut store = Store::default();
    let grown = |bytes| Grown { events: 1, bytes };
    assert_eq!(store.state.compaction(grown(1)), Some(Vec::new()), "nothing lives");
    store.put("a", 1, 0);
    assert_eq!(store.state.compaction(grown(1_000)), None);
    assert_eq!(store.state.compaction(grown(SLACK_BYTES + 100)).unwrap().len(), 2, "the reset and the key");
    let large = Raw::of(&"x".repeat(1 << 20)).unwrap();
    let (ttl, expect) = (Ttl::Forever, Expect::Any);
    store.command(&Command::Put { key: "b".into(), value: large, owner: None, ttl, expect }, 0).unwrap();
    assert_eq!(store.state.compaction(grown(SLACK_BYTES + (3 << 20))), None);
    assert_eq!(store.state.compaction(grown(SLACK_BYTES + (4 << 20))).unwrap().len(), 3);
}

#[test]
fn a_viewer_writes_nothing() {
    let node = Node { name: "n".into(), incarnation: 1 };
    let caller = Caller::new(crate::principal::Principal::token("tv"), crate::principal::Scope::Viewer);
    let ctx = Context { now: Time(1), caller: &caller, node: &node, next: Seq(1) };
    let refused = Namespace::default().decide(&put("k", 1, None, Ttl::Forever), &ctx).unwrap_err();
    assert_eq!(refused.code(), "forbidden");
}

/// What the map is compared with: a list, searched from end to end.
#[derive(Default)]
struct Model(Vec<(String, i32, Option<String>, Option<i64>)>);

impl Model {
    fn drop_dead(&mut self, now: i64) {
        self.0.retain(|(.., until)| until.is_none_or(|until| now <= until));
    }

    fn put(&mut self, key: &str, value: i32, owner: Option<&str>, until: Option<i64>) {
        let entry = (key.to_owned(), value, owner.map(str::to_owned), until);
        match self.0.iter_mut().find(|(k, ..)| k == key) {
            Some(before) => *before = entry,
            None => self.0.push(entry),
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Put(usize, i32, Option<usize>, Option<i64>),
    Delete(usize),
    Clear,
    Transfer(usize, usize, Option<Vec<usize>>),
    Wait(i64),
    Tick,
    Compact,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..6_usize, any::<i32>(), proptest::option::of(0..3_usize), proptest::option::of(-5..60_i64))
            .prop_map(|(k, v, o, t)| Step::Put(k, v, o, t)),
        2 => (0..6_usize).prop_map(Step::Delete),
        1 => Just(Step::Clear),
        2 => (0..3_usize, 0..3_usize, proptest::option::of(proptest::collection::vec(0..7_usize, 0..4)))
            .prop_map(|(f, t, k)| Step::Transfer(f, t, k)),
        3 => (1..40_i64).prop_map(Step::Wait),
        2 => Just(Step::Tick),
        1 => Just(Step::Compact),
    ];
    proptest::collection::vec(step, 0..80)
}

proptest! {
    #[test]
    fn it_is_the_map_that_a_list_is(steps in steps()) {
        let (mut store, mut model, mut now) = (Store::default(), Model::default(), 1_000_i64);
        let name = |n: usize| format!("k{n}");
        let agent = |n: usize| format!("agent{n}");
        for step in steps {
            model.drop_dead(now);
            match step {
                Step::Put(k, v, o, t) => {
                    let owner = o.map(agent);
                    let ttl = t.map_or(Ttl::Forever, Ttl::Ms);
                    store.command(&put(&name(k), v, owner.as_deref(), ttl), now).unwrap();
                    let until = t.map(|t| if t <= 0 { now - 1 } else { now + t });
                    model.put(&name(k), v, owner.as_deref(), until);
                }
                Step::Delete(k) => {
                    let facts = store.command(&Command::Delete(name(k).into(), Expect::Any), now).unwrap();
                    let before = model.0.len();
                    model.0.retain(|(key, ..)| *key != name(k));
                    prop_assert_eq!(!facts.is_empty(), model.0.len() < before);
                }
                Step::Clear => {
                    store.command(&Command::Clear, now).unwrap();
                    model.0.clear();
                }
                Step::Transfer(from, to, keys) => {
                    let asked = keys.as_ref().map(|keys| keys.iter().map(|k| name(*k).into()).collect());
                    let wish = Command::Transfer { from: agent(from).into(), to: agent(to).into(), keys: asked };
                    store.command(&wish, now).unwrap();
                    for (key, _, owner, _) in &mut model.0 {
                        let is_theirs = owner.as_deref() == Some(&*agent(from));
                        let goes = match &keys {
                            None => is_theirs,
                            Some(keys) => keys.iter().any(|k| name(*k) == *key) && (owner.is_none() || is_theirs),
                        };
                        if goes {
                            *owner = Some(agent(to));
                        }
                    }
                }
                Step::Wait(ms) => now += ms,
                Step::Tick => drop(store.command(&Command::Tick, now).unwrap()),
                Step::Compact => {
                    let before = store.state.clone();
                    let snapshot = store.state.snapshot();
                    store.keep(snapshot, now);
                    prop_assert_eq!(&store.state, &before, "on top of itself");
                    let mut anew = Store::default();
                    anew.keep(before.snapshot(), now);
                    prop_assert_eq!(&anew.state, &before, "and alone");
                }
            }
            model.drop_dead(now);
            let got: Vec<_> = store.state.entries.living(Time(now)).map(|(key, entry)| {
                let owner = entry.owner.as_ref().map(ToString::to_string);
                (key.to_string(), entry.value.read::<i32>().unwrap(), owner, entry.expires.map(|t| t.0))
            }).collect();
            prop_assert_eq!(got, model.0.clone());
            let revisions: Vec<_> = store.log.iter().filter_map(|event| match &event.fact {
                Fact::KeyPut(put) if !put.again => Some(put.revision),
                _ => None,
            }).collect();
            prop_assert!(revisions.is_sorted_by(|a, b| a < b), "a revision never comes twice");
        }
    }

    #[test]
    fn what_a_log_may_hold_fits_into_a_frame(keys in proptest::collection::vec("\\PC{0,20}|[\\x00-\\x1f\"]{0,40}", 1..40)) {
        let mut store = Store::default();
        for key in &keys {
            store.put(key, 1, 5);
        }
        let (lines, weight): (Vec<_>, Vec<_>) = store.state.entries.all().map(|(key, entry)| {
            (Raw::of(&entry.again(key)).unwrap().get().len(), entry::written(key) + 1)
        }).unzip();
        for (line, weight) in lines.iter().zip(weight) {
            prop_assert!(*line <= weight + 100, "{} and {}", line, weight);
        }
    }
}
