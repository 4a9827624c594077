//! Consumer groups over topics: take, wait for something to take, acknowledge.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use trunkline_core::event::{Event, Fact};
use trunkline_core::group::{Command, Group};
use trunkline_core::id::{LogId, Seq};
use trunkline_core::principal::Caller;
use trunkline_core::refused::Refused;
use trunkline_log::frame::Want;

use crate::cell::CommandError;
use crate::cells::Cells;
use crate::hub::Hub;
use crate::topics::Signal;

/// How many bytes of messages are given at once; at least one message is, if there is one.
const MAX_BYTES: usize = 4 << 20;

/// What to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Take {
    /// Who takes.
    pub member: Arc<str>,
    /// How many messages at most.
    pub max: usize,
    /// For how long, in milliseconds: what is not acknowledged by then goes to another.
    pub lease_ms: u64,
    /// How long to wait while there is nothing to take.
    pub wait: Duration,
    /// Whether a new group begins with what is retained; else with what comes.
    pub from_start: bool,
}

/// A message that was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// The message.
    pub signal: Signal,
    /// How often it was taken, this time included.
    pub tries: u32,
}

/// What was taken, and how many messages of the group are no longer retained.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// The messages.
    pub items: Vec<Taken>,
    /// How many were passed over, because they are gone.
    pub lost: usize,
}

impl Hub {
    /// Takes messages of a topic for a member of a group, which is made if it is not there.
    ///
    /// # Errors
    /// When a name is not one, or when it is refused.
    pub async fn take(
        &self,
        caller: &Caller,
        topic: &str,
        group: &str,
        take: Take,
    ) -> Result<Batch, CommandError> {
        let log = log_of(topic, group)?;
        let groups = self.groups();
        let mut news = self.topics().follow(topic, Seq(u64::MAX)).await?;
        let after = if take.from_start { Seq::ZERO } else { news.head() };
        groups.command(&log, caller.clone(), Command::Open { after }, None).await?;
        let over = tokio::time::Instant::now() + take.wait;
        loop {
            let newest = news.head();
            let Take { member, max, lease_ms, .. } = take.clone();
            let wish = Command::Take { member, max, lease_ms, newest };
            let done = groups.command(&log, caller.clone(), wish, None).await?;
            let batch = self.taken(caller, topic, &log, &done.events).await?;
            if !batch.items.is_empty() || tokio::time::Instant::now() >= over {
                return Ok(batch);
            }
            if batch.lost > 0 {
                continue;
            }
            let due = groups.view(&log, |group: &Group, _| group.next_due()).await?;
            let due = async {
                match due {
                    Some(due) => self.clock().sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = tokio::time::sleep_until(over) => {}
                () = due => {}
                () = self.stopping().cancelled_owned() => return Err(CommandError::Stopping),
                next = news.next() => drop(next?),
            }
        }
    }

    /// Says that messages are done with.
    ///
    /// # Errors
    /// When a name is not one, or when it is refused.
    pub async fn ack_taken(
        &self,
        caller: &Caller,
        topic: &str,
        group: &str,
        seqs: Vec<Seq>,
    ) -> Result<usize, CommandError> {
        let done =
            self.groups().command(&log_of(topic, group)?, caller.clone(), Command::Ack(seqs), None).await?;
        let acked = done.events.iter().map(|event| match &event.fact {
            Fact::GroupAcked(acked) => acked.seqs.len(),
            _ => 0,
        });
        Ok(acked.sum())
    }

    /// The messages that were taken. What is no longer retained is given up.
    async fn taken(
        &self,
        caller: &Caller,
        topic: &str,
        log: &LogId,
        events: &[Event],
    ) -> Result<Batch, CommandError> {
        let taken = events.iter().find_map(|event| match &event.fact {
            Fact::GroupTook(took) => Some(took.seqs.clone()),
            _ => None,
        });
        let Some(seqs) = taken else { return Ok(Batch::default()) };
        let mut found = BTreeMap::new();
        for seq in &seqs {
            if !found.contains_key(seq) {
                self.read_messages(topic, *seq, &mut found).await?;
            }
        }
        let tries = self.groups().view(log, {
            let seqs = seqs.clone();
            move |group: &Group, _| {
                seqs.iter()
                    .filter_map(|seq| Some((*seq, group.out.get(seq)?.tries)))
                    .collect::<BTreeMap<_, _>>()
            }
        });
        let tries = tries.await?;
        let lost: Vec<_> = seqs.iter().filter(|seq| !found.contains_key(seq)).copied().collect();
        let count = lost.len();
        if count > 0 {
            self.groups().command(log, caller.clone(), Command::Lose(lost), None).await?;
        }
        let items = seqs.iter().filter_map(|seq| {
            let signal = found.remove(seq)?;
            Some(Taken { signal, tries: tries.get(seq).copied().unwrap_or(1) })
        });
        Ok(Batch { items: items.collect(), lost: count })
    }

    async fn read_messages(
        &self,
        topic: &str,
        seq: Seq,
        found: &mut BTreeMap<Seq, Signal>,
    ) -> Result<(), CommandError> {
        let log = LogId::topic(topic).map_err(|_| Refused::invalid("topic", "is too long"))?;
        let want = Want { bytes: MAX_BYTES, folded: false };
        let page = self.live().read(&log, Seq(seq.0 - 1), want).await?;
        for frame in &page.frames {
            let events = frame.events().map_err(|error| trunkline_log::LogError::Down(error.to_string()))?;
            for event in events {
                if let Fact::TopicPublished(published) = event.fact {
                    found.insert(event.seq, Signal { published, seq: event.seq, at: event.at });
                }
            }
        }
        Ok(())
    }

    fn groups(&self) -> &Cells<Group> {
        &self.bus().groups
    }
}

fn log_of(topic: &str, group: &str) -> Result<LogId, Refused> {
    LogId::group(topic, group)
        .map_err(|error| Refused::invalid("group", format!("is not {}", error.expected)))
}
