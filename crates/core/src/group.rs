//! Consumer groups: each message of a topic goes to one member, and to another when that one does not acknowledge it.
//!
//! A group is a log of its own beside the topic's. It knows numbers of messages alone: up to where they were taken, and which
//! of them are out, with whom and until when.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{Event, Fact};
use crate::id::Seq;
use crate::machine::{Context, Draft, Grown, Machine, Wanted};
use crate::refused::Refused;
use crate::text::check_size;
use crate::time::Time;

/// How many messages of a group may be out at a time.
pub const MAX_OUT: usize = 10_000;
/// How many messages are taken at once.
pub const MAX_TAKEN: usize = 100;
/// How many bytes the name of a member may have.
pub const MAX_MEMBER_BYTES: usize = 200;
/// The shortest and the longest time that a member may have for a message, in milliseconds.
pub const LEASE_MS: (u64, u64) = (100, 86_400_000);

/// A group exists from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "GroupOpened")]
pub struct Opened {
    /// Messages up to this one are not for it.
    pub after: Seq,
}

/// A member took messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "GroupTook")]
pub struct Took {
    /// Which.
    pub seqs: Vec<Seq>,
    /// Who.
    pub by: Arc<str>,
    /// Until when it has them.
    pub until: Time,
}

/// Messages are done with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "GroupAcked")]
pub struct Acked {
    /// Which.
    pub seqs: Vec<Seq>,
}

/// What follows is all that is out: the log was shortened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "GroupReset")]
pub struct Reset {
    /// Up to where messages were taken.
    pub taken: Seq,
    /// What is out, with whom, until when, and how often it was taken.
    pub out: Vec<(Seq, Out)>,
}

/// A message that is out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "GroupOut")]
pub struct Out {
    /// Who has it.
    pub by: Arc<str>,
    /// Until when; after that it is anybody's.
    pub until: Time,
    /// How often it was taken.
    pub tries: u32,
}

/// A wish about a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Make it, if it is not there.
    Open {
        /// Messages up to this one are not for it.
        after: Seq,
    },
    /// Take messages: those first that a member has let lie.
    Take {
        /// Who.
        member: Arc<str>,
        /// How many at most.
        max: usize,
        /// For how long, in milliseconds.
        lease_ms: u64,
        /// The newest message there is.
        newest: Seq,
    },
    /// These are done with, whoever had them; what is not out is passed over.
    Ack(Vec<Seq>),
    /// These are no longer retained.
    Lose(Vec<Seq>),
}

/// A group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// Up to where messages were taken; `None` before the group was made.
    pub taken: Option<Seq>,
    /// What is out.
    pub out: BTreeMap<Seq, Out>,
}

impl Group {
    /// When the next message that is out may be taken again.
    #[must_use]
    pub fn next_due(&self) -> Option<Time> {
        self.out.values().map(|out| out.until.plus_ms(1)).min()
    }

    fn take(
        &self,
        member: &Arc<str>,
        max: usize,
        lease_ms: u64,
        newest: Seq,
        now: Time,
    ) -> Result<Vec<Draft>, Refused> {
        check_size("member", member.len(), MAX_MEMBER_BYTES)?;
        let taken = self.taken.ok_or_else(|| Refused::not_found("group", "of this name"))?;
        let left = self.out.iter().filter(|(_, out)| out.until < now).map(|(seq, _)| *seq);
        let room = MAX_OUT.saturating_sub(self.out.len());
        let fresh = (taken.0 + 1..=newest.0).map(Seq).take(room);
        let seqs: Vec<_> = left.chain(fresh).take(max.clamp(1, MAX_TAKEN)).collect();
        if seqs.is_empty() {
            return Ok(Vec::new());
        }
        let until = now.plus_ms(lease_ms.clamp(LEASE_MS.0, LEASE_MS.1));
        Ok(vec![Took { seqs, by: member.clone(), until }.into()])
    }

    fn drop(&self, seqs: &[Seq]) -> Vec<Draft> {
        let seqs: Vec<_> = seqs.iter().filter(|seq| self.out.contains_key(seq)).copied().collect();
        if seqs.is_empty() { Vec::new() } else { vec![Acked { seqs }.into()] }
    }
}

impl Machine for Group {
    type Command = Command;
    type Effect = std::convert::Infallible;

    fn decide(&self, command: &Command, ctx: &Context<'_>) -> Result<Vec<Draft>, Refused> {
        ctx.caller.may_use_bus()?;
        match command {
            Command::Open { .. } if self.taken.is_some() => Ok(Vec::new()),
            Command::Open { after } => Ok(vec![Opened { after: *after }.into()]),
            Command::Take { member, max, lease_ms, newest } => {
                self.take(member, *max, *lease_ms, *newest, ctx.now)
            }
            Command::Ack(seqs) | Command::Lose(seqs) => Ok(self.drop(seqs)),
        }
    }

    fn apply(&mut self, event: &Event) {
        match &event.fact {
            Fact::GroupOpened(opened) => self.taken = Some(opened.after),
            Fact::GroupTook(took) => {
                for seq in &took.seqs {
                    let tries = self.out.get(seq).map_or(0, |out| out.tries).saturating_add(1);
                    self.out.insert(*seq, Out { by: took.by.clone(), until: took.until, tries });
                }
                self.taken = self.taken.max(took.seqs.iter().max().copied());
            }
            Fact::GroupAcked(acked) => acked.seqs.iter().for_each(|seq| drop(self.out.remove(seq))),
            Fact::GroupReset(reset) => {
                *self = Self { taken: Some(reset.taken), out: reset.out.iter().cloned().collect() };
            }
            _ => {}
        }
    }

    fn wanted(&self) -> Wanted<Self::Effect> {
        Wanted::nothing()
    }

    fn compaction(&self, grown: Grown) -> Option<Vec<Draft>> {
        let taken = self.taken?;
        let out = || self.out.iter().map(|(seq, out)| (*seq, out.clone())).collect();
        (grown.events >= 1_000 + self.out.len() as u64).then(|| vec![Reset { taken, out: out() }.into()])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::Node;
    use crate::principal::Caller;

    fn step(group: &mut Group, command: &Command, now: i64) -> Result<Vec<Fact>, Refused> {
        let caller = Caller::local();
        let node = Node { name: "n".into(), incarnation: 1 };
        let ctx = Context { now: Time(now), caller: &caller, node: &node, next: Seq(1) };
        let facts: Vec<_> = group.decide(command, &ctx)?.into_iter().map(|draft| draft.fact).collect();
        for fact in facts.clone() {
            let by = caller.principal.clone();
            group.apply(&Event { seq: Seq(1), at: Time(now), by, turn: None, key: None, fact });
        }
        Ok(facts)
    }

    fn take(group: &mut Group, member: &str, max: usize, newest: u64, now: i64) -> Vec<u64> {
        let wish = Command::Take { member: member.into(), max, lease_ms: 1_000, newest: Seq(newest) };
        match &step(group, &wish, now).unwrap()[..] {
            [Fact::GroupTook(took)] => took.seqs.iter().map(|seq| seq.0).collect(),
            [] => Vec::new(),
            other => panic!("{other:?}"),
        }
    }

    fn opened(after: u64) -> Group {
        let mut group = Group::default();
        step(&mut group, &Command::Open { after: Seq(after) }, 0).unwrap();
        group
    }

    #[test]
    fn each_message_goes_to_one_member() {
        let mut group = opened(3);
        assert_eq!(take(&mut group, "a", 2, 6, 10), [4, 5]);
        assert_eq!(take(&mut group, "b", 2, 6, 10), [6]);
        assert_eq!(take(&mut group, "b", 2, 6, 10), [0; 0]);
    }

    #[test]
    fn what_is_not_acknowledged_in_time_goes_to_another() {
        let mut group = opened(0);
        assert_eq!(take(&mut group, "a", 9, 2, 0), [1, 2]);
        step(&mut group, &Command::Ack(vec![Seq(1), Seq(9)]), 5).unwrap();
        assert_eq!(group.next_due(), Some(Time(1_001)));
        assert_eq!(take(&mut group, "b", 9, 2, 1_000), [0; 0]);
        assert_eq!(take(&mut group, "b", 9, 3, 1_001), [2, 3], "what was left lying first");
        assert_eq!(group.out[&Seq(2)].tries, 2);
        assert_eq!(step(&mut group, &Command::Ack(vec![Seq(2)]), 1_002).unwrap().len(), 1);
        assert_eq!(step(&mut group, &Command::Ack(vec![Seq(2)]), 1_002).unwrap(), [], "once");
    }

    #[test]
    fn no_more_than_the_bound_are_out() {
        let mut group = opened(0);
        let mut out = 0;
        while !take(&mut group, "a", MAX_TAKEN, 1_000_000, 0).is_empty() {
            out += MAX_TAKEN;
        }
        assert_eq!(out, MAX_OUT);
        let wish = Command::Take { member: "a".into(), max: 1, lease_ms: 1, newest: Seq(1) };
        assert_eq!(step(&mut Group::default(), &wish, 0).unwrap_err().code(), "not_found");
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_out_twice(steps in proptest::collection::vec((0..3_u8, 0..2_usize, 1..5_usize), 0..60)) {
            let (mut group, mut now, mut newest) = (opened(0), 0_i64, 0_u64);
            let mut acked = std::collections::BTreeSet::new();
            let mut held: BTreeMap<u64, i64> = BTreeMap::new();
            for (what, member, n) in steps {
                match what {
                    0 => newest += n as u64,
                    1 => {
                        for seq in take(&mut group, ["a", "b"][member], n, newest, now) {
                            prop_assert!(!acked.contains(&seq), "{seq} was done with");
                            prop_assert!(held.get(&seq).is_none_or(|until| *until < now), "{seq} is out");
                            held.insert(seq, now + 1_000);
                        }
                        now += 400;
                    }
                    _ => {
                        if let Some(seq) = held.keys().next().copied() {
                            step(&mut group, &Command::Ack(vec![Seq(seq)]), now).unwrap();
                            held.remove(&seq);
                            acked.insert(seq);
                        }
                    }
                }
                let kept = group.compaction(Grown { events: u64::MAX, bytes: 0 }).unwrap();
                let mut anew = Group::default();
                for draft in kept {
                    let by = Caller::local().principal;
                    anew.apply(&Event { seq: Seq(1), at: Time(now), by, turn: None, key: None, fact: draft.fact });
                }
                prop_assert_eq!(&anew, &group);
            }
            now += 10_000;
            loop {
                let taken = take(&mut group, "c", MAX_TAKEN, newest, now);
                if taken.is_empty() {
                    break;
                }
                acked.extend(taken);
            }
            prop_assert_eq!(acked.len() as u64, newest, "in the end each was somebody's");
        }
    }
}
