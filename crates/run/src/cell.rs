//! A cell: one task for each log in use. It holds the fold, decides commands, and owns the log's live end.
//!
//! Commands that arrive while an append is under way are decided together after it and share the next frame, so that
//! a busy log costs few appends. When the compare-and-swap is lost to another writer, the cell reads what the other wrote
//! and decides again. When an append fails, the fold is thrown away and read anew: it never runs ahead of the store.

mod compact;
mod held;
mod load;
mod remove;
mod reply;

use std::any::Any;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use trunkline_core::audit::Record;
use trunkline_core::event::{Event, Key};
use trunkline_core::id::{LogId, Pos, Seq};
use trunkline_core::machine::{Context, Receipt};
use trunkline_core::principal::Caller;
use trunkline_core::refused::Refused;
use trunkline_core::row::Row;
use trunkline_core::time::Time;
use trunkline_log::frame::{Frame, Query, Want};
use trunkline_log::{AppendError, LogError, append_settled};
use uuid::Uuid;

use crate::cells::Shared;
use crate::tail::Tail;

pub(crate) use held::{Effects, Held, Kept};
pub(crate) use reply::{Answered, Reply};

/// How many messages may wait for one cell; more callers wait outside.
pub(crate) const MAX_WAITING: usize = 1_024;
/// A frame takes no further command once its events have this many bytes.
const FRAME_BYTES: usize = 1 << 20;
/// A cell whose next deadline is this near stays, to meet it.
const SOON_MS: u64 = 60_000;
/// How long a deadline rests after the store did not take what it caused.
const TICK_REST_MS: u64 = 200;
/// How often a lost compare-and-swap is tried again before the store is called down.
const MAX_RACES: u32 = 1_000;

/// What a command caused.
#[derive(Debug, Clone)]
pub struct Done {
    /// The place of the commit in the store's tail: read at least from there to see it.
    pub pos: Pos,
    /// The facts; empty when the wish was true already.
    pub events: Vec<Event>,
}

/// Why a command had no effect.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommandError {
    /// The rules refused it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The store did not take it.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] LogError),
    /// The daemon is stopping.
    #[error("the daemon is stopping")]
    Stopping,
}

/// An idempotency key with the digest of the body it came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyGiven {
    /// The key.
    pub key: String,
    /// The digest.
    pub digest: String,
    /// The row that remembers it once the fold has forgotten it.
    pub row: Option<Query>,
}

/// A wish to a machine, of whatever kind that is.
pub(crate) type AnyCommand = Box<dyn Any + Send + Sync>;

/// A look at the state, and at the place in the store's tail that it has reached. There is none when the log is gone.
pub(crate) type View = Box<dyn FnOnce(Result<(&dyn Any, Pos), LogError>) + Send>;

pub(crate) enum Message {
    /// Decided in their order, each on its own.
    Commands(Vec<Wish>),
    View(View),
    /// Somebody else may have written up to here.
    Moved(Seq),
}

pub(crate) struct Wish {
    pub(crate) command: AnyCommand,
    pub(crate) caller: Caller,
    pub(crate) key: Option<KeyGiven>,
    pub(crate) reply: Reply,
}

/// The task of one log.
pub(crate) struct Cell {
    pub(crate) id: LogId,
    pub(crate) shared: Arc<Shared>,
    pub(crate) inbox: mpsc::Receiver<Message>,
    pub(crate) tail: Arc<Tail>,
    state: Box<dyn Held>,
    head: Seq,
    at: Time,
    pos: Pos,
    gone: bool,
    rest: Option<Time>,
    /// When to try again to remove the log, and the pause before that.
    removal: Option<(Instant, Duration)>,
    compacted: Seq,
    /// How many bytes of lines were appended or read since then.
    bytes: usize,
}

/// Commands decided together, waiting for their frame to be kept.
///
/// Every answer waits for the frame, refusals too: they were decided on top of facts that are not kept yet.
struct Batch {
    events: Vec<Event>,
    /// JSON, a line for each event.
    lines: Vec<u8>,
    quiet: bool,
    rows: Vec<Row>,
    /// Whether some of the rows are for the audit.
    deeds: bool,
    answers: Vec<(Wish, Answer)>,
}

enum Answer {
    /// The next events of the batch, so many.
    Next(usize),
    /// Events that the batch has for an earlier command.
    Again(Vec<Event>),
    Ready(Answered),
}

impl Batch {
    const fn new() -> Self {
        Self {
            events: Vec::new(),
            lines: Vec::new(),
            quiet: true,
            rows: Vec::new(),
            deeds: false,
            answers: Vec::new(),
        }
    }

    fn push(&mut self, event: Event, moves: bool) {
        if !self.lines.is_empty() {
            self.lines.push(b'\n');
        }
        event.write_line(&mut self.lines);
        self.quiet &= !moves;
        self.events.push(event);
    }

    /// The events of the batch with these numbers.
    fn find(&self, receipt: &Receipt) -> Option<Answer> {
        let at = |seq| self.events.binary_search_by_key(&seq, |event| event.seq).ok();
        Some(Answer::Again(self.events[at(receipt.first)?..=at(receipt.last)?].to_vec()))
    }

    fn answer(self, pos: Pos) {
        let mut events = self.events.into_iter();
        for (wish, answer) in self.answers {
            wish.reply.send(match answer {
                Answer::Next(count) => Ok(Done { pos, events: events.by_ref().take(count).collect() }),
                Answer::Again(events) => Ok(Done { pos, events }),
                Answer::Ready(answered) => answered,
            });
        }
    }

    fn refuse(self, error: &AppendError) {
        self.answers.into_iter().for_each(|(wish, _)| wish.reply.send(Err(error.clone().into())));
    }
}

impl Cell {
    pub(crate) fn new(
        id: LogId,
        state: Box<dyn Held>,
        shared: Arc<Shared>,
        inbox: mpsc::Receiver<Message>,
        tail: Arc<Tail>,
    ) -> Self {
        let (head, at, pos) = (Seq::ZERO, Time(0), Pos(0));
        let (rest, removal, compacted) = (None, None, Seq::ZERO);
        Self {
            id,
            shared,
            inbox,
            tail,
            state,
            head,
            at,
            pos,
            gone: false,
            rest,
            removal,
            compacted,
            bytes: 0,
        }
    }

    /// Loads the log, then serves until nobody needs the cell. Boxed, because a task would hold it twice: as it came and as
    /// it is used.
    pub(crate) async fn run(mut self: Box<Self>) {
        if let Err(error) = Box::pin(self.reload()).await {
            tracing::error!(log = %self.id, %error, "a log cannot be read");
            return Box::pin(self.fail(&error)).await;
        }
        self.reconcile();
        loop {
            let due = self.state.due().map(|due| self.rest.map_or(due, |rest| due.max(rest)));
            let removal = self.removal.map(|(then, _)| then);
            let timer = async {
                match due {
                    Some(due) => self.shared.clock.sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                message = self.inbox.recv() => match message {
                    // A cell waits most of the time: what it needs to work is there only while it works.
                    Some(message) => Box::pin(self.serve(message)).await,
                    None => return,
                },
                () = timer => Box::pin(self.tick()).await,
                () = tokio::time::sleep_until(removal.unwrap_or_else(Instant::now)), if removal.is_some() => {
                    Box::pin(self.remove()).await;
                }
                () = tokio::time::sleep(Duration::from_millis(self.state.linger_ms())) => {
                    if self.idle() && self.shared.retire(&self.id) {
                        return;
                    }
                }
            }
        }
    }

    fn idle(&self) -> bool {
        if self.gone {
            return self.tail.readers() == 0;
        }
        let soon = self.shared.clock.now().plus_ms(SOON_MS);
        self.state.is_over(soon) && !self.state.stays() && self.tail.readers() == 0
    }

    async fn fail(mut self: Box<Self>, error: &LogError) {
        self.shared.forget(&self.id);
        self.inbox.close();
        while let Some(message) = self.inbox.recv().await {
            match message {
                Message::Commands(wishes) => {
                    let answer = || Err(CommandError::Read(error.clone()));
                    wishes.into_iter().for_each(|wish| wish.reply.send(answer()));
                }
                Message::View(view) => view(Err(error.clone())),
                Message::Moved(_) => {}
            }
        }
    }

    /// Takes what has arrived, the first message included, and decides it together.
    async fn serve(&mut self, first: Message) {
        let mut wishes = Vec::new();
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Commands(more) if wishes.is_empty() => wishes = more,
                Message::Commands(more) => wishes.extend(more),
                Message::Moved(head) if head > self.head || head == Seq::ZERO => self.refresh().await,
                Message::Moved(_) => {}
                Message::View(view) => {
                    // A view comes after the commands before it.
                    self.decide(std::mem::take(&mut wishes)).await;
                    view(if self.gone { Err(LogError::Gone) } else { Ok((self.state.state(), self.pos)) });
                }
            }
            next = self.inbox.try_recv().ok();
        }
        self.decide(wishes).await;
    }

    async fn tick(&mut self) {
        let Some(command) = self.state.tick() else { return };
        let (reply, mut outcome) = oneshot::channel();
        let wish = Wish { command, caller: Caller::trunkline(), key: None, reply: Reply::Alone(reply) };
        self.decide(vec![wish]).await;
        if !matches!(outcome.try_recv(), Ok(Ok(_))) {
            tracing::warn!(log = %self.id, "a deadline could not be met; it is tried again");
            // Without a rest a full disk would make the timer spin.
            self.rest = Some(self.shared.clock.now().plus_ms(TICK_REST_MS));
        }
    }

    async fn decide(&mut self, wishes: Vec<Wish>) {
        let mut waiting = VecDeque::from(wishes);
        let mut races = 0;
        while !waiting.is_empty() {
            let mut batch = Batch::new();
            while let Some(wish) = waiting.pop_front() {
                self.grant(&mut batch, wish).await;
                if batch.lines.len() > FRAME_BYTES {
                    break;
                }
            }
            match self.append(&mut batch).await {
                Ok(()) => {
                    races = 0;
                    self.committed(batch).await;
                }
                Err(AppendError::Moved { .. }) if races < MAX_RACES => {
                    races += 1;
                    for (wish, _) in batch.answers.into_iter().rev() {
                        waiting.push_front(wish);
                    }
                    self.recover().await;
                }
                Err(error) => {
                    self.recover().await;
                    batch.refuse(&error);
                }
            }
        }
    }

    /// Decides one command on top of the batch.
    async fn grant(&mut self, batch: &mut Batch, wish: Wish) {
        let answer = match self.replay(batch, &wish).await {
            Ok(Some(answer)) => answer,
            Ok(None) => self.fresh(batch, &wish).unwrap_or_else(|error| Answer::Ready(Err(error))),
            Err(error) => Answer::Ready(Err(error)),
        };
        batch.answers.push((wish, answer));
    }

    fn fresh(&mut self, batch: &mut Batch, wish: &Wish) -> Result<Answer, CommandError> {
        let events = self.facts(wish)?;
        let count = events.len();
        for (at, event) in events.iter().enumerate() {
            if let Some(deed) = self.state.deed(event, &events[..at]) {
                batch.rows.push(Record::of(&self.id, event, deed, &wish.caller).waiting());
                batch.deeds = true;
            }
        }
        batch.rows.extend(self.state.advance(&events));
        for event in events {
            self.head = event.seq;
            self.at = event.at;
            let moves = self.state.moves(&event);
            batch.push(event, moves);
        }
        Ok(Answer::Next(count))
    }

    fn facts(&self, wish: &Wish) -> Result<Vec<Event>, CommandError> {
        if self.gone {
            return Err(LogError::Gone.into());
        }
        let now = self.shared.clock.now().max(self.at);
        let next = self.head.plus(1);
        let ctx = Context { now, caller: &wish.caller, node: &self.shared.node, next };
        let drafts = self.state.decide(&*wish.command, &ctx)?;
        let count = drafts.len() as u64;
        let key = |given: &KeyGiven| Key { key: given.key.clone(), digest: given.digest.clone(), count };
        let mut last = self.at;
        let events = drafts.into_iter().enumerate().map(|(i, draft)| {
            let (by, at) = draft.origin.unwrap_or_else(|| (wish.caller.principal.clone(), now));
            // Time never goes back in a log, whatever an export says.
            last = at.clamp(last, now);
            let (seq, turn, fact) = (next.plus(i as u64), draft.turn, draft.fact);
            Event { seq, at: last, by, turn, key: wish.key.as_ref().filter(|_| i == 0).map(key), fact }
        });
        Ok(events.collect())
    }

    /// The outcome of an earlier command with the same key.
    async fn replay(&self, batch: &Batch, wish: &Wish) -> Result<Option<Answer>, CommandError> {
        let Some(given) = &wish.key else { return Ok(None) };
        let receipt = match self.state.receipt(&wish.caller, &given.key) {
            Some(receipt) => receipt,
            None => match self.remembered(given).await? {
                Some(receipt) => receipt,
                None => return Ok(None),
            },
        };
        if receipt.digest != given.digest {
            return Err(Refused::KeyReused.into());
        }
        if let Some(answer) = batch.find(&receipt) {
            return Ok(Some(answer));
        }
        let want = Want { bytes: 1, folded: false };
        let page = self.shared.log.read(&self.id, Seq(receipt.first.0.saturating_sub(1)), want).await?;
        let mut events = Vec::new();
        for frame in &page.frames {
            let decoded = frame.events().map_err(|error| LogError::Down(error.to_string()))?;
            let caused = |event: &Event| receipt.first <= event.seq && event.seq <= receipt.last;
            events.extend(decoded.into_iter().filter(caused));
        }
        Ok(Some(Answer::Ready(Ok(Done { pos: self.pos, events }))))
    }

    async fn remembered(&self, given: &KeyGiven) -> Result<Option<Receipt>, LogError> {
        let Some(query) = &given.row else { return Ok(None) };
        let found = self.shared.log.find(query, self.pos).await?;
        let body = found.rows.first().and_then(|(_, row)| row.body.as_ref());
        Ok(body.and_then(|body| body.read::<trunkline_core::row::KeyBody>().ok()).map(Receipt::from))
    }

    async fn append(&mut self, batch: &mut Batch) -> Result<(), AppendError> {
        let (Some(first), Some(last)) = (batch.events.first(), batch.events.last()) else { return Ok(()) };
        let after = Seq(first.seq.0 - 1);
        let lines = String::from_utf8(std::mem::take(&mut batch.lines)).expect("JSON is UTF-8");
        let frame = Frame::joined(Uuid::now_v7(), last.seq, batch.events.len() as u64, batch.quiet, lines);
        let rows = newest(std::mem::take(&mut batch.rows));
        let commit = append_settled(&*self.shared.log, &self.id, after, frame.clone(), rows).await?;
        self.pos = commit.pos;
        self.bytes += frame.lines.len();
        self.tail.push(&[frame]);
        Ok(())
    }

    async fn committed(&mut self, batch: Batch) {
        if let (true, Some(keeper)) = (batch.deeds, self.shared.keeper.get()) {
            keeper.wake();
        }
        if !batch.events.is_empty() {
            self.reconcile();
            if self.state.is_removed() && !self.gone {
                self.remove().await;
            }
        }
        batch.answer(self.pos);
        self.compact().await;
    }

    fn reconcile(&self) {
        if !self.gone {
            self.state.reconcile(&self.id);
        }
    }
}

/// Of several rows with one key the last counts.
fn newest(rows: Vec<Row>) -> Vec<Row> {
    let mut kept: Vec<Row> = Vec::with_capacity(rows.len());
    let mut places = HashMap::new();
    for row in rows {
        match places.entry((row.kind, row.key.clone())) {
            Entry::Occupied(place) => kept[*place.get()] = row,
            Entry::Vacant(place) => {
                place.insert(kept.len());
                kept.push(row);
            }
        }
    }
    kept
}
