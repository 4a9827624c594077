//! What keys do. Pure: a key and what is on the screen in, an action out.
//!
//! An answer cannot be taken back, so a key answers a permission only when all of this holds: the card has the focus, it
//! has been on the screen for a while, the line is empty, and the key came alone, not as part of a paste or a burst. A card
//! gets the focus by Tab, or by itself when the line is empty and no key was pressed for a second; whoever types text while
//! it is there, or presses Esc, has declined, and it waits for Tab. What is typed or pasted never answers a permission.

use std::time::Duration;

use trunkline_core::id::RequestId;
use trunkline_core::request::{Kind, Opened, OptionKind};

use super::editor::Editor;
use super::input::{Held, Key};

/// A card takes no key before it has been seen for this long.
const ARM: Duration = Duration::from_millis(400);
/// A card does not take the focus by itself from somebody who has pressed a key this recently.
const CALM: Duration = Duration::from_millis(1_000);
/// The second Ctrl-C counts for this long.
const TWICE: Duration = Duration::from_millis(3_000);

/// What came from the terminal, and when, counted from any fixed moment.
#[derive(Debug, Clone)]
pub(super) struct Input {
    pub(super) what: What,
    pub(super) at: Duration,
}

#[derive(Debug, Clone)]
pub(super) enum What {
    /// A key. `burst`: it came together with others, faster than anybody types.
    Key { key: Key, held: Held, burst: bool },
    /// A text that was pasted.
    Paste(String),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing but to paint.
    Paint,
    /// Paint from scratch.
    Repaint,
    /// Ask the agent.
    Prompt(String),
    /// Choose an option of a permission or question.
    Choose(RequestId, String),
    /// Answer a question in words.
    Say(RequestId, String),
    /// Cancel the turn.
    Cancel,
    /// Leave; the turn goes on.
    Detach,
    /// Look back at what has scrolled away.
    LookBack,
    /// Stop this process until it is continued.
    Suspend,
}

/// What the keys go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Focus {
    /// The line: a prompt.
    Line,
    /// The card of this request.
    Card(RequestId),
}

/// The state behind the keys.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) editor: Editor,
    pub(super) focus: Focus,
    /// What to tell the user.
    pub(super) hint: Option<&'static str>,
    /// The card on the screen, since when.
    card: Option<(RequestId, Duration)>,
    /// Text was typed while the card was on the screen: it does not get the focus by itself.
    declined: bool,
    /// Ctrl-B was pressed.
    prefix: bool,
    interrupted: Option<Duration>,
    last_key: Option<Duration>,
}

impl Keys {
    pub(super) fn new() -> Self {
        Self {
            editor: Editor::default(),
            focus: Focus::Line,
            hint: None,
            card: None,
            declined: false,
            prefix: false,
            interrupted: None,
            last_key: None,
        }
    }

    /// Tells which request's card is on the screen now.
    pub(super) fn show_card(&mut self, card: Option<&Opened>, now: Duration) {
        let id = card.map(|opened| opened.id);
        if id != self.card.map(|(id, _)| id) {
            self.card = id.map(|id| (id, now));
            self.declined = false;
            self.focus = Focus::Line;
        }
        if let Some(id) = id
            && self.gives_focus().is_some_and(|at| at <= now)
        {
            self.focus = Focus::Card(id);
        }
    }

    /// When the card gets the focus by itself, if no key is pressed until then.
    pub(super) fn gives_focus(&self) -> Option<Duration> {
        let waits =
            self.card.is_some() && self.focus == Focus::Line && !self.declined && self.editor.is_empty();
        waits.then(|| self.last_key.map_or(Duration::ZERO, |last| last + CALM))
    }

    /// Whether an input is for the keys though another has the screen: Ctrl-B, and the key behind it.
    pub(super) fn takes(&self, input: &Input) -> bool {
        self.prefix
            || matches!(input.what, What::Key { key: Key::Char('b'), held: Held { control: true, .. }, .. })
    }

    /// Takes an input. `card` is the request whose card is on the screen, `working` whether a turn runs.
    pub(super) fn input(&mut self, input: Input, card: Option<&Opened>, working: bool) -> Action {
        match input.what {
            What::Paste(text) => {
                self.last_key = Some(input.at);
                self.leave_permission(card);
                self.editor.insert(&text);
                Action::Paint
            }
            What::Key { key, held, burst } => {
                let action = self.key(key, held, burst, input.at, card, working);
                self.last_key = Some(input.at);
                action
            }
        }
    }

    fn key(
        &mut self,
        key: Key,
        held: Held,
        burst: bool,
        now: Duration,
        card: Option<&Opened>,
        working: bool,
    ) -> Action {
        self.hint = None;
        if std::mem::take(&mut self.prefix) {
            return match key {
                Key::Char('d' | 'D') => Action::Detach,
                Key::Char('[') | Key::PageUp => Action::LookBack,
                _ => Action::Paint,
            };
        }
        let interrupted = self.interrupted.take();
        match key {
            Key::Char('b') if held.control => {
                self.prefix = true;
                self.hint = Some("Ctrl-B: d detaches · [ looks back");
            }
            Key::Char('c') if held.control => return self.interrupt(interrupted, now, working),
            Key::Char('d') if held.control && self.editor.is_empty() => return Action::Detach,
            Key::Char('z') if held.control => return Action::Suspend,
            Key::Char('l') if held.control => return Action::Repaint,
            Key::PageUp => return Action::LookBack,
            Key::Tab => self.switch(card),
            Key::Escape => {
                self.focus = Focus::Line;
                self.declined = true;
            }
            Key::Enter if held.alt || held.shift => self.editor.insert("\n"),
            Key::Char('j') if held.control => self.editor.insert("\n"),
            Key::Enter => return self.enter(card),
            Key::Char(c) if !held.control && !held.alt => return self.letter(c, burst, now, card),
            _ => self.edit(key, held),
        }
        Action::Paint
    }

    fn edit(&mut self, key: Key, held: Held) {
        let editor = &mut self.editor;
        match key {
            Key::Left if held.control || held.alt => editor.word_left(),
            Key::Right if held.control || held.alt => editor.word_right(),
            Key::Char('b') if held.alt => editor.word_left(),
            Key::Char('f') if held.alt => editor.word_right(),
            Key::Left => editor.left(),
            Key::Right => editor.right(),
            Key::Char('f') if held.control => editor.right(),
            Key::Home => editor.home(),
            Key::Char('a') if held.control => editor.home(),
            Key::End => editor.end(),
            Key::Char('e') if held.control => editor.end(),
            Key::Up => editor.up(),
            Key::Char('p') if held.control => editor.up(),
            Key::Down => editor.down(),
            Key::Char('n') if held.control => editor.down(),
            Key::Backspace if held.alt => editor.delete_word(),
            Key::Char('w') if held.control => editor.delete_word(),
            Key::Backspace => editor.backspace(),
            Key::Char('h') if held.control => editor.backspace(),
            Key::Delete => editor.delete(),
            Key::Char('d') if held.control => editor.delete(),
            Key::Char('u') if held.control => editor.delete_to_start(),
            Key::Char('k') if held.control => editor.delete_to_end(),
            Key::Char(_) | Key::Enter | Key::Tab | Key::Escape | Key::PageUp | Key::PageDown => {}
        }
    }

    /// A letter answers a card that is ready for it; else it is text.
    fn letter(&mut self, c: char, burst: bool, now: Duration, card: Option<&Opened>) -> Action {
        let seen = self.card.is_some_and(|(_, since)| now.saturating_sub(since) >= ARM);
        if let (Focus::Card(id), Some(opened)) = (self.focus, card)
            && id == opened.id
            && self.editor.is_empty()
            && let Some(option) = option_of(c, opened)
        {
            if seen && !burst {
                return Action::Choose(id, option.to_owned());
            }
            // Too soon to have read it, or pasted: swallowed rather than taken for the start of a text.
            if !burst {
                self.hint = Some("that was quick: read it first, then press the key");
                return Action::Paint;
            }
        }
        self.leave_permission(card);
        self.editor.insert(&c.to_string());
        Action::Paint
    }

    fn enter(&mut self, card: Option<&Opened>) -> Action {
        if self.editor.text().trim().is_empty() {
            if matches!(self.focus, Focus::Card(_))
                && card.is_some_and(|opened| opened.kind == Kind::Permission)
            {
                self.hint = Some("press the number of an option");
            }
            return Action::Paint;
        }
        match (self.focus, card) {
            (Focus::Card(id), Some(opened)) if opened.id == id && opened.kind == Kind::Question => {
                Action::Say(id, self.editor.take())
            }
            _ => {
                self.declined = false;
                Action::Prompt(self.editor.take())
            }
        }
    }

    /// The first Ctrl-C empties the line, or warns; the second cancels the turn, or leaves.
    fn interrupt(&mut self, before: Option<Duration>, now: Duration, working: bool) -> Action {
        let again = before.is_some_and(|before| now.saturating_sub(before) <= TWICE);
        if !self.editor.is_empty() {
            self.editor.clear();
            return Action::Paint;
        }
        if again {
            return if working { Action::Cancel } else { Action::Detach };
        }
        self.interrupted = Some(now);
        self.hint = Some(if working {
            "Ctrl-C again cancels the turn; Ctrl-B d detaches"
        } else {
            "Ctrl-C again leaves"
        });
        Action::Paint
    }

    fn switch(&mut self, card: Option<&Opened>) {
        self.focus = match (self.focus, card) {
            (Focus::Line, Some(opened)) if opened.kind == Kind::Question || self.editor.is_empty() => {
                Focus::Card(opened.id)
            }
            _ => {
                self.declined = true;
                Focus::Line
            }
        };
    }

    /// Text goes to a question's card, which takes it as the answer, but never to a permission's.
    fn leave_permission(&mut self, card: Option<&Opened>) {
        self.declined = true;
        if card.is_none_or(|opened| opened.kind != Kind::Question) {
            self.focus = Focus::Line;
        }
    }
}

/// The option that a key stands for: its number, `y` for the one that allows once, `n` for the one that refuses once.
fn option_of(c: char, opened: &Opened) -> Option<&str> {
    let only = |kind: OptionKind| {
        let mut of_kind = opened.options.iter().filter(move |choice| choice.kind == kind);
        of_kind.next().filter(|_| of_kind.next().is_none())
    };
    let choice = match c {
        '1'..='9' => opened.options.get(c.to_digit(10)? as usize - 1),
        'y' | 'Y' => only(OptionKind::AllowOnce),
        'n' | 'N' => only(OptionKind::RejectOnce),
        _ => None,
    };
    choice.map(|choice| choice.id.as_str())
}

#[cfg(test)]
mod tests;
