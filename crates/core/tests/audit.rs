//! Any edit, removal, addition or move in the chain of the audit is found, at the first record it touches.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

use proptest::prelude::*;
use trunkline_core::audit::chain::{Broken, Head, Verifier};
use trunkline_core::audit::{Chain, Command, Recorded};
use trunkline_core::event::{Event, Fact};
use trunkline_core::id::{Node, Seq};
use trunkline_core::machine::{Context, Machine};
use trunkline_core::principal::{Caller, Principal, Scope};
use trunkline_core::raw::Raw;
use trunkline_core::row::RowKind;
use trunkline_core::time::Time;

type Records = Vec<(Seq, Recorded)>;

/// Decides and folds one batch.
fn record(chain: &mut Chain, after: Seq, records: &[Raw]) -> Vec<Event> {
    let (caller, node) = (Caller::trunkline(), Node { name: "here".into(), incarnation: 1 });
    let next = chain.head.n.plus(1);
    let ctx = Context { now: Time(5), caller: &caller, node: &node, next };
    let drafts = chain.decide(&Command::Record { after, records: records.to_vec() }, &ctx).unwrap();
    let events: Vec<_> = drafts
        .into_iter()
        .zip(next.0..)
        .map(|(draft, n)| Event {
            seq: Seq(n),
            at: Time(5),
            by: Principal::trunkline(),
            turn: None,
            key: None,
            fact: draft.fact,
        })
        .collect();
    events.iter().for_each(|event| chain.apply(event));
    events
}

/// A chain that was made in batches.
fn made(batches: &[Vec<u32>]) -> (Records, Head) {
    let mut chain = Chain::default();
    let mut all = Vec::new();
    for batch in batches {
        let records: Vec<_> =
            batch.iter().map(|n| Raw::parse(&format!(r#"{{"what": {n}}}"#)).unwrap()).collect();
        let after = chain.head.n;
        all.extend(record(&mut chain, after, &records).into_iter().map(|event| match event.fact {
            Fact::AuditRecorded(recorded) => (event.seq, recorded),
            other => panic!("the audit has no other facts: {other:?}"),
        }));
    }
    (all, chain.head)
}

fn verify(records: &[(Seq, Recorded)], anchor: Option<&Head>) -> Result<Head, Broken> {
    let mut verifier = Verifier::new(anchor.cloned());
    records.iter().try_for_each(|(n, recorded)| verifier.take(&recorded.link(*n)))?;
    verifier.finish()
}

/// What somebody may do to the store.
#[derive(Debug, Clone)]
enum Tampering {
    Edit(prop::sample::Index),
    EditAndRehash(prop::sample::Index),
    Remove(prop::sample::Index),
    RemoveAndRenumber(prop::sample::Index),
    Swap(prop::sample::Index),
    Double(prop::sample::Index),
    CutOff(prop::sample::Index),
}

fn tampering() -> impl Strategy<Value = Tampering> {
    let place = any::<prop::sample::Index>;
    prop_oneof![
        place().prop_map(Tampering::Edit),
        place().prop_map(Tampering::EditAndRehash),
        place().prop_map(Tampering::Remove),
        place().prop_map(Tampering::RemoveAndRenumber),
        place().prop_map(Tampering::Swap),
        place().prop_map(Tampering::Double),
        place().prop_map(Tampering::CutOff),
    ]
}

fn other(recorded: &Recorded) -> Recorded {
    Recorded { record: Raw::parse(r#"{"what": "never mind"}"#).unwrap(), ..recorded.clone() }
}

impl Tampering {
    /// The chain after it, the first record that is not what it was, and whether that can only be told by an anchor.
    fn apply(&self, mut records: Records) -> (Records, Seq, bool) {
        let len = records.len();
        let n = |at: usize| Seq(at as u64 + 1);
        match self {
            Self::Edit(at) => {
                let at = at.index(len);
                records[at].1 = other(&records[at].1);
                (records, n(at), false)
            }
            Self::EditAndRehash(at) => {
                // The record is consistent in itself; the next one tells, and the last one only an anchor.
                let at = at.index(len);
                let mut changed = other(&records[at].1);
                let before = Head { n: Seq(at as u64), hash: changed.prev.clone() };
                changed.hash = before.then(changed.record.get()).hash;
                records[at].1 = changed;
                let last = at + 1 == len;
                (records, if last { n(at) } else { n(at + 1) }, last)
            }
            Self::Remove(at) => {
                let at = at.index(len);
                records.remove(at);
                (records, n(at), at + 1 == len)
            }
            Self::RemoveAndRenumber(at) => {
                let at = at.index(len);
                records.remove(at);
                records.iter_mut().enumerate().for_each(|(at, record)| record.0 = n(at));
                (records, n(at), at + 1 == len)
            }
            Self::Swap(at) => {
                let at = at.index(len - 1);
                records.swap(at, at + 1);
                records.iter_mut().enumerate().for_each(|(at, record)| record.0 = n(at));
                (records, n(at), false)
            }
            Self::Double(at) => {
                let at = at.index(len);
                let twice = records[at].clone();
                records.insert(at, twice);
                (records, n(at + 1), false)
            }
            Self::CutOff(at) => {
                let at = at.index(len);
                records.truncate(at);
                (records, n(at), true)
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn what_was_not_touched_holds_and_every_tampering_is_found(
        batches in prop::collection::vec(prop::collection::vec(any::<u32>(), 1..4), 2..8),
        tampering in tampering(),
    ) {
        let (records, head) = made(&batches);
        prop_assert_eq!(&verify(&records, None).unwrap(), &head);
        prop_assert_eq!(&verify(&records, Some(&head)).unwrap(), &head);
        let (tampered, first, only_by_anchor) = tampering.apply(records);
        let found = verify(&tampered, Some(&head));
        prop_assert_eq!(found.unwrap_err().n(), first);
        if !only_by_anchor {
            prop_assert_eq!(verify(&tampered, None).unwrap_err().n(), first);
        }
    }

    #[test]
    fn a_chain_made_anew_is_told_by_any_anchor_behind_the_change(
        batches in prop::collection::vec(prop::collection::vec(any::<u32>(), 1..4), 2..6),
        at in any::<prop::sample::Index>(),
        noted in any::<prop::sample::Index>(),
    ) {
        let (records, _) = made(&batches);
        let changed = at.index(records.len());
        let noted = noted.index(records.len());
        let anchor = Head { n: records[noted].0, hash: records[noted].1.hash.clone() };
        let mut forged: Vec<u32> = batches.concat();
        forged[changed] = forged[changed].wrapping_add(1);
        let (forged, _) = made(&[forged]);
        prop_assert!(verify(&forged, None).is_ok());
        prop_assert_eq!(verify(&forged, Some(&anchor)).is_err(), noted >= changed);
    }
}

#[test]
fn what_waited_when_the_chain_ended_elsewhere_is_not_recorded() {
    let mut chain = Chain::default();
    let records = [Raw::parse("1").unwrap()];
    assert_eq!(record(&mut chain, Seq::ZERO, &records).len(), 1);
    assert_eq!(record(&mut chain, Seq::ZERO, &records).len(), 0, "somebody else has recorded it");
    assert_eq!(record(&mut chain, Seq(1), &records).len(), 1);
}

#[test]
fn a_record_of_a_later_version_leaves_the_row_in_which_it_waited() {
    let text = r#"{"at":1,"by":"owner","log":"moon","event":7,"deed":{"kind":"moon.landed","crew":3}}"#;
    let mut chain = Chain::default();
    let events = record(&mut chain, Seq::ZERO, &[Raw::parse(text).unwrap()]);
    let rows = Chain::default().advance(&events);
    let rows: Vec<_> = rows.iter().map(|row| (row.kind, row.key.as_str(), row.body.is_some())).collect();
    assert_eq!(rows, [(RowKind::Audit, "1", true), (RowKind::Unrecorded, "moon/7", false)]);
    let found = &Chain::default().advance(&events)[0];
    assert_eq!(found.facets, ["kind=moon.landed", "principal=owner"]);
}

#[test]
fn only_the_daemon_records() {
    let node = Node { name: "here".into(), incarnation: 1 };
    let command = Command::Record { after: Seq::ZERO, records: vec![Raw::parse("1").unwrap()] };
    for scope in [Scope::Viewer, Scope::Operator, Scope::Local] {
        let caller = Caller::new(Principal::owner(), scope);
        let ctx = Context { now: Time(5), caller: &caller, node: &node, next: Seq(1) };
        assert!(Chain::default().decide(&command, &ctx).is_err(), "{scope:?}");
    }
}

#[test]
fn a_head_has_one_spelling() {
    let (_, head) = made(&[vec![1, 2]]);
    assert_eq!(head.to_string().parse::<Head>().unwrap(), head);
    for bad in ["", "2", "2:", "x:y", &format!("2:{}", "A".repeat(64)), &format!("-1:{}", head.hash)] {
        assert!(bad.parse::<Head>().is_err(), "{bad}");
    }
}

#[test]
fn the_hash_is_the_one_that_is_documented() {
    let head = Head::default().then("{}");
    // printf 'trunkline audit 1\n1\n%064d\n{}' 0 | sha256sum
    assert_eq!(head.to_string(), "1:abfa1bcae78c0045f30a5ec1f818e28a2f3a0a7aaaca81e082dd575d2ad0092d");
}
