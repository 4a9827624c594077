//! What keys do. Pure: a key and what is on the screen in, an action out.
//!
//! An answer cannot be taken back, so a key answers a permission only when all of this holds: the card has the focus, it
//! has been on the screen for a while, the line is empty, and the key came alone, not as part of a paste or a burst. A card
//! gets the focus by Tab, or by itself when the line is empty and no key was pressed for a second; whoever types text while
//! it is there, or presses Esc, has declined, and it waits for Tab. What is typed or pasted never answers a permission.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use trunkline_core::id::RequestId;
use trunkline_core::request::{Kind, Opened, OptionKind};

use super::editor::Editor;

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
    Key { key: KeyEvent, burst: bool },
    /// A text that was pasted.
    Paste(String),
    /// The terminal has another size.
    Resize,
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

    /// Takes an input. `card` is the request whose card is on the screen, `working` whether a turn runs.
    pub(super) fn input(&mut self, input: Input, card: Option<&Opened>, working: bool) -> Action {
        match input.what {
            What::Resize => Action::Repaint,
            What::Paste(text) => {
                self.last_key = Some(input.at);
                self.leave_permission(card);
                self.editor.insert(&text);
                Action::Paint
            }
            What::Key { key, burst } => {
                let action = self.key(key, burst, input.at, card, working);
                self.last_key = Some(input.at);
                action
            }
        }
    }

    fn key(
        &mut self,
        key: KeyEvent,
        burst: bool,
        now: Duration,
        card: Option<&Opened>,
        working: bool,
    ) -> Action {
        self.hint = None;
        if std::mem::take(&mut self.prefix) {
            return match key.code {
                KeyCode::Char('d' | 'D') => Action::Detach,
                _ => Action::Paint,
            };
        }
        let interrupted = self.interrupted.take();
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            KeyCode::Char('b') if control => {
                self.prefix = true;
                self.hint = Some("Ctrl-B: d detaches");
            }
            KeyCode::Char('c') if control => return self.interrupt(interrupted, now, working),
            KeyCode::Char('d') if control && self.editor.is_empty() => return Action::Detach,
            KeyCode::Char('z') if control => return Action::Suspend,
            KeyCode::Char('l') if control => return Action::Repaint,
            KeyCode::Tab => self.switch(card),
            KeyCode::Esc => {
                self.focus = Focus::Line;
                self.declined = true;
            }
            KeyCode::Enter if alt || key.modifiers.contains(KeyModifiers::SHIFT) => self.editor.insert("\n"),
            KeyCode::Char('j') if control => self.editor.insert("\n"),
            KeyCode::Enter => return self.enter(card),
            KeyCode::Char(c) if !control && !alt => return self.letter(c, burst, now, card),
            _ => self.edit(key.code, control, alt),
        }
        Action::Paint
    }

    fn edit(&mut self, code: KeyCode, control: bool, alt: bool) {
        let editor = &mut self.editor;
        match code {
            KeyCode::Left if control || alt => editor.word_left(),
            KeyCode::Right if control || alt => editor.word_right(),
            KeyCode::Char('b') if alt => editor.word_left(),
            KeyCode::Char('f') if alt => editor.word_right(),
            KeyCode::Left => editor.left(),
            KeyCode::Right => editor.right(),
            KeyCode::Char('f') if control => editor.right(),
            KeyCode::Home => editor.home(),
            KeyCode::Char('a') if control => editor.home(),
            KeyCode::End => editor.end(),
            KeyCode::Char('e') if control => editor.end(),
            KeyCode::Up => editor.up(),
            KeyCode::Char('p') if control => editor.up(),
            KeyCode::Down => editor.down(),
            KeyCode::Char('n') if control => editor.down(),
            KeyCode::Backspace if alt || control => editor.delete_word(),
            KeyCode::Char('w') if control => editor.delete_word(),
            KeyCode::Backspace => editor.backspace(),
            KeyCode::Char('h') if control => editor.backspace(),
            KeyCode::Delete => editor.delete(),
            KeyCode::Char('d') if control => editor.delete(),
            KeyCode::Char('u') if control => editor.delete_to_start(),
            KeyCode::Char('k') if control => editor.delete_to_end(),
            _ => {}
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
