//! What a transcript is made of.

use std::collections::BTreeMap;

use trunkline_core::request::{ClosedFact, Kind as Asks, Opened, OptionKind, Outcome};
use trunkline_core::turn::{Ended, StopReason, Why};
use trunkline_wire::acp::{
    ContentBlock, PlanEntry, PlanEntryStatus, ToolCall, ToolCallContent, ToolCallStatus,
};
use trunkline_wire::raw::Members;

use super::diff::{Change, diff};
use super::line::Line;
use crate::clean;
use crate::moment::show_duration;
use crate::screen::count;
use crate::style::Tone;

/// How many lines of a tool's content a transcript shows.
const TOOL_LINES: usize = 12;
/// How many lines of it a card shows, where somebody has to decide.
pub(super) const CARD_LINES: usize = 40;

/// A part of a transcript.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) body: Body,
    /// Its turn is over, so it changes no more.
    pub(super) turn_over: bool,
    /// It was printed before its end.
    pub(super) outlived: bool,
}

/// What it is.
#[derive(Debug, Clone)]
pub(super) enum Body {
    /// What the agent was asked.
    Prompt { text: String, by: String },
    /// What the agent says or thinks. The first `printed` bytes are printed.
    Prose { voice: Voice, message: Option<String>, text: String, printed: usize },
    /// What it does.
    Tool(Box<ToolCall>),
    /// What it intends to do, as far as it is new.
    Plan(Vec<PlanEntry>),
    /// What it asks, and how that ended.
    Request { opened: Box<Opened>, outcome: Option<Line> },
    /// Anything else.
    Note { tone: Tone, text: String },
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Voice {
    Agent,
    Thought,
}

/// Kinds of blocks, for the blank lines between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Prompt,
    Prose(Voice),
    Work,
}

impl Kind {
    /// Whether a blank line stands between the two.
    pub(super) fn parts_from(self, next: Self) -> bool {
        !(self == Self::Work && next == Self::Work)
    }
}

impl Block {
    pub(super) fn new(body: Body) -> Self {
        Self { body, turn_over: false, outlived: false }
    }

    pub(super) fn kind(&self) -> Kind {
        match &self.body {
            Body::Prompt { .. } => Kind::Prompt,
            Body::Prose { voice, .. } => Kind::Prose(*voice),
            Body::Tool(_) | Body::Plan(_) | Body::Request { .. } | Body::Note { .. } => Kind::Work,
        }
    }

    /// Whether it changes no more.
    pub(super) fn is_over(&self, followed: bool) -> bool {
        match &self.body {
            Body::Prompt { .. } | Body::Plan(_) | Body::Note { .. } => true,
            Body::Prose { .. } => followed || self.turn_over,
            Body::Tool(call) => self.turn_over || is_done(call),
            Body::Request { outcome, .. } => outcome.is_some(),
        }
    }

    /// Whether a part of it is printed already.
    pub(super) fn has_begun(&self) -> bool {
        matches!(&self.body, Body::Prose { printed: 1.., .. })
    }

    /// The lines of prose that are whole; nothing of anything else.
    pub(super) fn whole_lines(&mut self) -> Vec<Line> {
        let Body::Prose { voice, text, printed, .. } = &mut self.body else { return Vec::new() };
        let Some(end) = text[*printed..].rfind('\n') else { return Vec::new() };
        // Empty lines wait until something follows them: at the end of a message they are not shown.
        let whole = text[*printed..*printed + end].trim_end_matches('\n');
        if whole.trim_start_matches('\n').is_empty() {
            return Vec::new();
        }
        let lines = prose(*voice, whole, *printed == 0);
        *printed += whole.len() + 1;
        lines
    }

    /// All that is not printed yet.
    pub(super) fn rest(&mut self, tails: &BTreeMap<String, String>) -> Vec<Line> {
        match &self.body {
            Body::Prompt { text, by } => prompt(text, by),
            Body::Prose { voice, text, printed, .. } => {
                let rest = text[*printed..].trim_end_matches('\n');
                if rest.trim_start_matches('\n').is_empty() {
                    Vec::new()
                } else {
                    prose(*voice, rest, *printed == 0)
                }
            }
            Body::Tool(call) if self.outlived => vec![tool_head(call)],
            Body::Tool(call) => {
                let mut lines = vec![tool_head(call)];
                lines.extend(details(call, tails, TOOL_LINES));
                lines
            }
            Body::Plan(entries) => entries.iter().map(plan_entry).collect(),
            Body::Request { outcome: Some(outcome), .. } => vec![outcome.clone()],
            Body::Request { opened, outcome: None } => {
                vec![Line::of(vec![(Tone::Warn, "? ".to_owned()), (Tone::Plain, clean::line(&opened.title))])]
            }
            Body::Note { tone, text } => text.lines().map(|line| Line::new(*tone, line).hang(2)).collect(),
        }
    }
}

fn prompt(text: &str, by: &str) -> Vec<Line> {
    let mut lines: Vec<_> = text
        .trim_end()
        .lines()
        .enumerate()
        .map(|(n, line)| {
            let mark = if n == 0 { "› " } else { "  " };
            Line::of(vec![(Tone::Accent, mark.to_owned()), (Tone::Bold, line.to_owned())]).hang(2)
        })
        .collect();
    if !by.is_empty() {
        lines.push(Line::new(Tone::Dim, format!("  asked{by}")));
    }
    lines
}

/// A list's continuation stands under its text, as it does where Markdown is rendered.
fn prose(voice: Voice, text: &str, first: bool) -> Vec<Line> {
    let tone = match voice {
        Voice::Agent => Tone::Plain,
        Voice::Thought => Tone::Dim,
    };
    // An agent that begins with empty lines begins where it says something.
    let text = if first { text.trim_start_matches('\n') } else { text };
    let text = clean::text(text);
    text.split('\n').map(|line| Line::new(tone, line).hang(hang(line))).collect()
}

fn hang(line: &str) -> usize {
    let indent = line.len() - line.trim_start_matches(' ').len();
    let rest = &line[indent..];
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let mark = ["- ", "* ", "> "].iter().any(|mark| rest.starts_with(mark));
    let number = digits > 0 && rest[digits..].starts_with(". ");
    indent
        + if mark {
            2
        } else if number {
            digits + 2
        } else {
            0
        }
}

fn is_done(call: &ToolCall) -> bool {
    matches!(call.status, Some(ToolCallStatus::Completed | ToolCallStatus::Failed))
}

pub(super) fn tool_head(call: &ToolCall) -> Line {
    let (tone, mark) = match call.status {
        Some(ToolCallStatus::Completed) => (Tone::Good, "●"),
        Some(ToolCallStatus::Failed) => (Tone::Bad, "✗"),
        Some(ToolCallStatus::InProgress) => (Tone::Warn, "◐"),
        Some(ToolCallStatus::Pending | ToolCallStatus::Unknown(_)) | None => (Tone::Dim, "○"),
    };
    let title =
        call.title.as_deref().or(call.name.as_deref()).map(clean::line).filter(|title| !title.is_empty());
    let title = title.unwrap_or_else(|| "a tool".to_owned());
    Line::of(vec![(tone, format!("{mark} ")), (Tone::Plain, title)]).hang(2)
}

/// What a tool call would do, or has done, in at most about `max` lines.
pub(super) fn details(call: &ToolCall, tails: &BTreeMap<String, String>, max: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(command) = command(call) {
        lines.extend(clip(&command, max, Tone::Plain, "  $ "));
    }
    for content in call.content.iter().flatten() {
        match content {
            ToolCallContent::Content(block) => {
                if let ContentBlock::Text(text) = &block.content {
                    lines.extend(clip(&text.text, max, Tone::Dim, "  "));
                }
            }
            ToolCallContent::Diff(change) => {
                lines
                    .push(Line::new(Tone::Dim, format!("  {}", clean::line(&change.path.to_string_lossy()))));
                lines.extend(changes(change.old_text.as_deref().unwrap_or(""), &change.new_text, max));
            }
            ToolCallContent::Terminal(terminal) => {
                let tail = tails.get(&terminal.terminal_id).map_or("", String::as_str);
                let last: Vec<_> = tail.lines().rev().take(max / 2).collect();
                let last: Vec<_> = last.into_iter().rev().collect();
                lines.extend(clip(&last.join("\n"), max, Tone::Dim, "  │ "));
            }
            ToolCallContent::Unknown(_) => {}
        }
    }
    lines
}

/// The command line, where the tool's input has one: a permission must show what it runs, also if its title does not.
fn command(call: &ToolCall) -> Option<String> {
    let input = call.raw_input.as_deref().and_then(Members::of)?;
    let command = input.get("command")?;
    let words: Option<Vec<String>> = serde_json::from_str(command.get()).ok();
    let text = trunkline_wire::raw::as_str(command)
        .map(|text| text.into_owned())
        .or_else(|| Some(words?.join(" ")))?;
    // A title that is the command says it already.
    let said = call.title.as_deref().is_some_and(|title| clean::line(title).contains(&clean::line(&text)));
    if said { None } else { Some(text) }
}

fn clip(text: &str, max: usize, tone: Tone, lead: &str) -> Vec<Line> {
    let text = clean::text(text.trim_end());
    let all = text.lines().count();
    let shown = text.lines().take(max);
    let mut lines: Vec<_> =
        shown.map(|line| Line::new(tone, format!("{lead}{line}")).hang(lead.chars().count())).collect();
    if all > max {
        lines.push(Line::new(Tone::Dim, format!("  … {}", count(all - max, "more line"))));
    }
    lines
}

fn changes(old: &str, new: &str, max: usize) -> Vec<Line> {
    let all = diff(old, new);
    let line = |change: &Change<'_>| match change {
        Change::Same(text) => Line::new(Tone::Dim, format!("    {}", clean::line(text))),
        Change::Removed(text) => Line::new(Tone::Bad, format!("  - {}", clean::text(text))),
        Change::Added(text) => Line::new(Tone::Good, format!("  + {}", clean::text(text))),
        Change::Skipped(lines) => Line::new(Tone::Dim, format!("  ⋮ {}", count(lines, "line"))),
    };
    let mut lines: Vec<_> = all.iter().take(max).map(|change| line(change).hang(4)).collect();
    if all.len() > max {
        lines.push(Line::new(Tone::Dim, format!("  … {}", count(all.len() - max, "more line"))));
    }
    lines
}

fn plan_entry(entry: &PlanEntry) -> Line {
    let (tone, mark) = match entry.status {
        PlanEntryStatus::Completed => (Tone::Good, "☑"),
        PlanEntryStatus::InProgress => (Tone::Warn, "▸"),
        PlanEntryStatus::Pending | PlanEntryStatus::Unknown(_) => (Tone::Dim, "☐"),
    };
    Line::of(vec![(tone, format!("{mark} ")), (Tone::Plain, clean::line(&entry.content))]).hang(2)
}

/// How a request ended, and who ended it if it was not the reader.
pub(super) fn outcome_words(opened: &Opened, closed: &ClosedFact, by: &str) -> Line {
    let chosen = closed.answer.as_ref().and_then(|answer| answer.option.as_deref());
    let choice = opened.options.iter().find(|choice| Some(choice.id.as_str()) == chosen);
    let text =
        closed.answer.as_ref().and_then(|answer| answer.text.as_deref()).filter(|text| !text.is_empty());
    let said = match (closed.outcome, choice, text) {
        (_, Some(choice), Some(text)) => format!("{}: {text}", choice.name),
        (_, Some(choice), None) => choice.name.clone(),
        (_, None, Some(text)) => text.to_owned(),
        (Outcome::Answered, None, None) => "answered".to_owned(),
        (Outcome::Expired, None, None) => "expired".to_owned(),
        (Outcome::Cancelled, None, None) => "no longer asked".to_owned(),
        (Outcome::Superseded, None, None) => "asked anew".to_owned(),
    };
    let (tone, mark) = match choice.map(|choice| choice.kind) {
        Some(kind) if kind.allows() => (Tone::Good, "✔"),
        Some(kind) if kind.rejects() => (Tone::Bad, "✗"),
        _ if closed.outcome == Outcome::Answered => (Tone::Good, "✔"),
        _ => (Tone::Dim, "–"),
    };
    let said = clean::line(&said);
    let words = vec![
        (tone, format!("{mark} ")),
        (Tone::Plain, format!("{} → {said}", clean::line(&opened.title))),
        (Tone::Dim, by.to_owned()),
    ];
    Line::of(words).hang(2)
}

/// The card of an open request.
pub(super) fn card(opened: &Opened, focused: bool) -> Vec<Line> {
    let mut lines =
        vec![Line::of(vec![(Tone::Warn, "? ".to_owned()), (Tone::Bold, clean::line(&opened.title))]).hang(2)];
    lines.extend(clip(&opened.question, CARD_LINES, Tone::Plain, "  "));
    if let Some(call) = opened.tool_call.as_ref().and_then(|call| call.read::<ToolCall>().ok()) {
        lines.extend(details(&call, &BTreeMap::new(), CARD_LINES));
    }
    let key_tone = if focused { Tone::Accent } else { Tone::Dim };
    for (n, choice) in opened.options.iter().enumerate() {
        let letter = match choice.kind {
            OptionKind::AllowOnce => " (y)",
            OptionKind::RejectOnce => " (n)",
            OptionKind::AllowAlways | OptionKind::RejectAlways | OptionKind::Choice => "",
        };
        let key = if n < 9 { format!("  {} ", n + 1) } else { "    ".to_owned() };
        lines.push(
            Line::of(vec![
                (key_tone, key),
                (Tone::Plain, clean::line(&choice.name)),
                (Tone::Dim, letter.to_owned()),
            ])
            .hang(4),
        );
    }
    if opened.kind == Asks::Form {
        lines.push(Line::new(
            Tone::Dim,
            "  a form: answer it on the page, or with `trunkline answer --fields`",
        ));
    }
    lines
}

/// How a turn ended.
pub(super) fn end_words(ended: &Ended) -> (Tone, String) {
    let took = show_duration(ended.duration_ms);
    match (ended.stop_reason, &ended.error) {
        (StopReason::EndTurn, _) => (Tone::Dim, format!("done in {took}")),
        (StopReason::MaxTokens, _) => (Tone::Warn, format!("stopped at the token limit after {took}")),
        (StopReason::MaxTurnRequests, _) => {
            (Tone::Warn, format!("stopped at the limit of model requests after {took}"))
        }
        (StopReason::Refusal, _) => (Tone::Warn, format!("the agent refused to go on after {took}")),
        (StopReason::Cancelled, _) => (Tone::Warn, format!("cancelled after {took}")),
        (StopReason::Timeout, _) => (Tone::Warn, format!("timed out after {took}")),
        (StopReason::Interrupted, _) => (Tone::Warn, format!("interrupted with the daemon after {took}")),
        (StopReason::Error, Some(error)) => (Tone::Bad, format!("failed after {took}: {error}")),
        (StopReason::Error, None) => (Tone::Bad, format!("failed after {took}")),
    }
}

pub(super) fn why_word(why: Why) -> &'static str {
    match why {
        Why::Cancelled => "cancelled",
        Why::Timeout => "out of time",
        Why::Shutdown => "the daemon stops",
        Why::SessionClosed => "the session was closed",
    }
}

pub(super) fn exit_words(code: Option<i32>, signal: Option<i32>) -> String {
    match (code, signal) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "nobody knows how".to_owned(),
    }
}
