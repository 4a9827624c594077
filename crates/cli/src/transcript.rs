//! A session's events as lines of text. Pure: events in, lines out.
//!
//! A terminal's scrollback cannot be changed, so a transcript has two parts. What is [settled](Transcript::settled) never
//! changes again and is printed once. What is [live](Transcript::live) may still change (a tool that runs, a paragraph that
//! is being said, a question that is open) and is painted anew each time. Things settle in their order.
//!
//! Agents send a tool call and its updates in any order: they are put together by id, an absent field meaning "as before".
//! No payload is an error: what is not understood is passed over. Everything is made harmless ([`clean`]).
//!
//! - `block`: what a transcript is made of, and how each part looks. `diff`: changes of a file. `line`: lines and wrapping.

mod block;
mod diff;
pub(crate) mod line;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use trunkline_core::event::{Event, Fact};
use trunkline_core::grant::Judged;
use trunkline_core::id::{RequestId, TurnId};
use trunkline_core::principal::Principal;
use trunkline_core::raw::Raw;
use trunkline_core::request::{ClosedFact, Opened};
use trunkline_core::risk::Level;
use trunkline_core::turn::Ended;
use trunkline_wire::acp::{ContentBlock, ContentChunk, PlanEntry, SessionUpdate, ToolCall};

use crate::clean;
use crate::commands::prompt::prompt_text;
use crate::screen::count;
use crate::style::{Paint, Tone};
use block::{Block, Body, Voice};
use line::Line;

/// How many blocks may be live. Beyond that the oldest is printed as it is, and its end is told later in a line.
const MAX_LIVE: usize = 40;
/// How many blocks may be late, and how many tool calls are remembered as told. Beyond that the oldest are forgotten.
const MAX_LATE: usize = 1_000;
/// How much of the end of a terminal's output is kept.
const MAX_TAIL: usize = 4 << 10;

/// The fold of a session's events into lines.
#[derive(Debug, Default)]
pub(crate) struct Transcript {
    /// Who reads: of everybody else it is said who did a thing.
    me: Option<Principal>,
    live: VecDeque<Block>,
    /// Blocks that were printed before their end, until that can be told.
    late: VecDeque<Block>,
    /// The tool calls of this turn that are told to their end.
    told: VecDeque<String>,
    /// What kind of block was printed last, for the blank line before the next.
    last: Option<block::Kind>,
    lines: Vec<Line>,
    terminals: BTreeMap<String, String>,
    plan: Vec<PlanEntry>,
    open: Vec<Opened>,
    /// Open requests of high risk.
    high: BTreeSet<RequestId>,
    turn: Option<TurnId>,
    stopping: bool,
    queued: usize,
    closed: bool,
}

impl Transcript {
    /// A transcript for this reader.
    pub(crate) fn new(me: Option<Principal>) -> Self {
        Self { me, ..Self::default() }
    }

    /// The requests that wait for an answer, oldest first.
    pub(crate) fn open(&self) -> &[Opened] {
        &self.open
    }

    /// Whether an option allows something of high risk.
    pub(crate) fn allows_high_risk(&self, id: RequestId, option: &str) -> bool {
        let allows = |opened: &Opened| {
            opened.options.iter().any(|choice| choice.id == option && !choice.kind.rejects())
        };
        self.high.contains(&id) && self.open.iter().any(|opened| opened.id == id && allows(opened))
    }

    /// The turn that runs.
    pub(crate) fn turn(&self) -> Option<TurnId> {
        self.turn
    }

    /// What goes on, in a few words.
    pub(crate) fn status(&self) -> Line {
        let mut words = Vec::new();
        match (self.turn, self.closed) {
            (_, true) => words.push((Tone::Dim, "closed".to_owned())),
            (Some(_), _) if self.stopping => words.push((Tone::Warn, "stopping".to_owned())),
            (Some(_), _) if !self.open.is_empty() => words.push((Tone::Warn, "waiting for you".to_owned())),
            (Some(_), _) => words.push((Tone::Good, "working".to_owned())),
            (None, _) => words.push((Tone::Dim, "ready".to_owned())),
        }
        if self.queued > 0 {
            words.push((Tone::Dim, format!(" · {} queued", self.queued)));
        }
        Line::of(words)
    }

    /// Takes an event in.
    pub(crate) fn apply(&mut self, event: &Event) {
        match &event.fact {
            Fact::SessionCreated(created) => {
                let place = created.workspace.as_deref().unwrap_or("elsewhere");
                self.note(Tone::Dim, &format!("{} in {place}", created.agent));
            }
            Fact::SessionClosed(_) => {
                self.closed = true;
                self.note(Tone::Dim, &format!("the session is closed{}", self.by(&event.by)));
            }
            Fact::TurnQueued(_) => self.queued += 1,
            Fact::TurnUnqueued(_) => self.queued = self.queued.saturating_sub(1),
            Fact::TurnStarted(started) => {
                self.queued = self.queued.saturating_sub(1);
                self.turn = event.turn;
                self.stopping = false;
                self.plan.clear();
                self.told.clear();
                self.terminals.clear();
                let by = self.by(&event.by);
                self.push(Body::Prompt { text: clean::text(&prompt_text(&started.prompt)), by });
            }
            Fact::TurnUpdate(update) => {
                self.update(SessionUpdate::from_raw(update.update.as_raw()));
                if let Some(blob) = &update.blob {
                    let size = blob.bytes.div_ceil(1 << 10);
                    self.note(
                        Tone::Dim,
                        &format!("cut short: all {size} KiB are on the page and in `trunkline export`"),
                    );
                }
            }
            Fact::TurnNote(note) => self.note(Tone::Dim, &note.message),
            Fact::TurnStopping(stopping) => {
                self.stopping = true;
                let why = block::why_word(stopping.why);
                self.note(Tone::Warn, &format!("stopping: {why}{}", self.by(&event.by)));
            }
            Fact::TurnEnded(ended) => self.end(ended),
            Fact::RequestOpened(opened) => self.ask(opened),
            Fact::RequestJudged(judged) => self.judged(judged),
            Fact::RequestEscalated(escalated) => {
                self.note(Tone::Bad, &format!("{} is urgent now", self.title(escalated.id)));
            }
            Fact::RequestDismissed(dismissed) => {
                self.note(
                    Tone::Dim,
                    &format!("{} was set aside{}", self.title(dismissed.id), self.by(&event.by)),
                );
            }
            Fact::RequestClosed(closed) => self.answered(closed, &event.by),
            Fact::AgentExited(exited) => {
                let what = block::exit_words(exited.code, exited.signal);
                if exited.code != Some(0) && self.turn.is_some() {
                    self.note(Tone::Bad, &format!("the agent ended: {what}"));
                }
            }
            Fact::TerminalOutput(output) => self.output(&output.terminal, &output.text),
            Fact::FileWritten(file) => {
                self.note(Tone::Dim, &format!("wrote {} ({})", file.path, count(file.bytes, "byte")));
            }
            Fact::GrantAdded(grant) => {
                let by = self.by(&event.by);
                let what = match (&grant.mode, &grant.pattern) {
                    (Some(mode), _) => format!("the mode is {} from now on{by}", mode.word()),
                    (None, Some(pattern)) => format!("{pattern} is allowed from now on{by}"),
                    (None, None) => format!("{} is allowed from now on{by}", grant.tool),
                };
                self.note(Tone::Dim, &what);
            }
            // Gauges, the daemon's own bookkeeping and what a newer daemon knows are not for the transcript.
            _ => {}
        }
    }

    /// Events before this place are gone.
    pub(crate) fn gap(&mut self) {
        self.note(Tone::Warn, "earlier events are no longer kept");
    }

    /// Says something that is no event.
    pub(crate) fn note(&mut self, tone: Tone, text: &str) {
        self.push(Body::Note { tone, text: clean::line(text) });
    }

    /// Takes what has settled since it was asked last.
    pub(crate) fn settled(&mut self) -> Vec<Line> {
        while let Some(mut first) = self.live.pop_front() {
            let over = first.is_over(!self.live.is_empty());
            let begun = first.has_begun();
            if !over && self.live.len() < MAX_LIVE {
                let lines = first.whole_lines();
                self.print(first.kind(), begun, lines);
                self.live.push_front(first);
                break;
            }
            let lines = first.rest(&self.terminals);
            self.print(first.kind(), begun, lines);
            if over {
                self.tell(first);
            } else {
                first.outlived = true;
                self.late.push_back(first);
            }
        }
        let (over, late): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.late).into_iter().partition(|block| block.is_over(true));
        self.late = late;
        self.late.drain(..self.late.len().saturating_sub(MAX_LATE));
        for mut block in over {
            let lines = block.rest(&self.terminals);
            self.print(block.kind(), false, lines);
            self.tell(block);
        }
        std::mem::take(&mut self.lines)
    }

    /// What may still change. Open requests are not in it: they have a [`card`].
    pub(crate) fn live(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut last = self.last;
        for block in &self.live {
            let rest = match &block.body {
                Body::Request { outcome: None, .. } => continue,
                Body::Tool(call) if self.is_asked(call) => vec![block::tool_head(call)],
                _ => block.clone().rest(&self.terminals),
            };
            if rest.is_empty() {
                continue;
            }
            if last.is_some_and(|last| last.parts_from(block.kind())) && !block.has_begun() {
                lines.push(Line::default());
            }
            last = Some(block.kind());
            lines.extend(rest);
        }
        lines
    }

    /// Whether an open request is about this call: its card shows what the call would do.
    fn is_asked(&self, call: &ToolCall) -> bool {
        let about =
            |opened: &Opened| opened.tool_call.as_ref().and_then(|asked| asked.read::<ToolCall>().ok());
        self.open.iter().filter_map(about).any(|asked| asked.tool_call_id == call.tool_call_id)
    }

    /// Remembers that a tool call is told to its end.
    fn tell(&mut self, block: Block) {
        if let Body::Tool(call) = block.body {
            self.told.push_back(call.tool_call_id);
            self.told.drain(..self.told.len().saturating_sub(MAX_LATE));
        }
    }

    /// Prints lines of a block; `begun`: others of it stand there already.
    fn print(&mut self, kind: block::Kind, begun: bool, lines: Vec<Line>) {
        if lines.is_empty() {
            return;
        }
        if !begun && self.last.is_some_and(|last| last.parts_from(kind)) {
            self.lines.push(Line::default());
        }
        self.last = Some(kind);
        self.lines.extend(lines);
    }

    fn push(&mut self, body: Body) {
        self.live.push_back(Block::new(body));
    }

    fn by(&self, principal: &Principal) -> String {
        if self.me.as_ref() == Some(principal) {
            String::new()
        } else {
            format!(" by {}", clean::line(principal.as_str()))
        }
    }

    fn update(&mut self, update: SessionUpdate) {
        match update {
            SessionUpdate::AgentMessageChunk(chunk) => self.say(Voice::Agent, &chunk),
            SessionUpdate::AgentThoughtChunk(chunk) => self.say(Voice::Thought, &chunk),
            SessionUpdate::ToolCall(call) | SessionUpdate::ToolCallUpdate(call) => self.tool(call),
            SessionUpdate::Plan(plan) => self.planned(plan.entries),
            SessionUpdate::UserMessageChunk(_)
            | SessionUpdate::AvailableCommandsUpdate(_)
            | SessionUpdate::CurrentModeUpdate(_)
            | SessionUpdate::UsageUpdate(_)
            | SessionUpdate::Unknown(_) => {}
        }
    }

    fn say(&mut self, voice: Voice, chunk: &ContentChunk) {
        let text = match &chunk.content {
            ContentBlock::Text(content) => content.text.as_str(),
            ContentBlock::Image(_) => "[image]",
            ContentBlock::Audio(_) => "[audio]",
            ContentBlock::ResourceLink(link) => link.uri.as_str(),
            ContentBlock::Resource(_) => "[file]",
            ContentBlock::Unknown(_) => return,
        };
        if let Some(Block { body: Body::Prose { voice: last, message, text: said, .. }, .. }) =
            self.live.back_mut()
            && *last == voice
            && (chunk.message_id.is_none() || *message == chunk.message_id)
        {
            said.push_str(text);
            return;
        }
        let message = chunk.message_id.clone();
        self.push(Body::Prose { voice, message, text: text.to_owned(), printed: 0 });
    }

    fn tool(&mut self, call: ToolCall) {
        if self.told.contains(&call.tool_call_id) {
            return;
        }
        let known = self.live.iter_mut().chain(&mut self.late).find_map(|block| match &mut block.body {
            Body::Tool(known) if known.tool_call_id == call.tool_call_id => Some(known),
            _ => None,
        });
        match known {
            Some(known) => known.apply(call),
            None => self.push(Body::Tool(Box::new(call))),
        }
    }

    /// A plan is told in full when it is new, later only by what has changed.
    fn planned(&mut self, entries: Vec<PlanEntry>) {
        let same = entries.len() == self.plan.len()
            && entries.iter().zip(&self.plan).all(|(new, old)| new.content == old.content);
        let changed = |(new, old): &(&PlanEntry, &PlanEntry)| new.status != old.status;
        let told = if same {
            entries.iter().zip(&self.plan).filter(changed).map(|(new, _)| new.clone()).collect()
        } else {
            entries.clone()
        };
        self.plan = entries;
        if !told.is_empty() {
            self.push(Body::Plan(told));
        }
    }

    fn output(&mut self, terminal: &str, text: &str) {
        let tail = self.terminals.entry(terminal.to_owned()).or_default();
        tail.push_str(text);
        if tail.len() > 2 * MAX_TAIL {
            let from = (tail.len() - MAX_TAIL..tail.len()).find(|at| tail.is_char_boundary(*at)).unwrap_or(0);
            tail.drain(..from);
        }
    }

    fn ask(&mut self, opened: &Opened) {
        if let Some(call) = opened.tool_call.as_ref().and_then(|call| call.read::<ToolCall>().ok()) {
            self.tool(call);
        }
        self.open.push(opened.clone());
        self.push(Body::Request { opened: Box::new(opened.clone()), outcome: None });
    }

    /// High and unknown risk are worth a line; the rest is in `trunkline answer` and on the page.
    fn judged(&mut self, judged: &Judged) {
        let tone = match judged.risk.level {
            Level::High => Tone::Bad,
            Level::Unknown => Tone::Warn,
            Level::Low | Level::Medium => return,
        };
        if judged.rule.is_none() {
            return;
        }
        if judged.risk.level == Level::High {
            self.high.insert(judged.id);
        }
        if judged.risk.level == Level::High || !judged.risk.marks.is_empty() {
            self.note(tone, &format!("{} risk: {}", judged.risk.level.word(), judged.risk.reason));
        }
    }

    fn answered(&mut self, closed: &ClosedFact, by: &Principal) {
        self.open.retain(|opened| opened.id != closed.id);
        self.high.remove(&closed.id);
        let by = self.by(by);
        for block in self.live.iter_mut().chain(&mut self.late) {
            if let Body::Request { opened, outcome } = &mut block.body
                && opened.id == closed.id
            {
                *outcome = Some(block::outcome_words(opened, closed, &by));
            }
        }
    }

    fn title(&self, id: RequestId) -> String {
        let opened = self.open.iter().find(|opened| opened.id == id);
        opened.map_or_else(|| "a request".to_owned(), |opened| format!("\"{}\"", opened.title))
    }

    fn end(&mut self, ended: &Ended) {
        self.turn = None;
        self.stopping = false;
        self.live.iter_mut().chain(&mut self.late).for_each(|block| block.turn_over = true);
        let (tone, text) = block::end_words(ended);
        self.push(Body::Note { tone, text: clean::text(&text) });
    }
}

/// What a permission's tool call would do, for a card: the command, the change, the files.
pub(crate) fn tool_details(call: Option<&Raw>, paint: Paint) -> Vec<String> {
    let call = call.and_then(|call| call.read::<ToolCall>().ok());
    let lines =
        call.map(|call| block::details(&call, &BTreeMap::new(), block::CARD_LINES)).unwrap_or_default();
    lines.iter().map(|line| line.render(paint)).collect()
}

/// How a turn ended, in words.
pub(crate) fn end_words(ended: &Ended) -> (Tone, String) {
    block::end_words(ended)
}

/// The card of an open request: what it asks, what it would do, and the keys that answer it.
pub(crate) fn card(opened: &Opened, focused: bool) -> Vec<Line> {
    block::card(opened, focused)
}

#[cfg(test)]
mod tests;
