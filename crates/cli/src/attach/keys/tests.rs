use proptest::prelude::*;
use serde_json::json;

use super::*;

fn opened(kind: &str) -> Opened {
    serde_json::from_value(json!({
        "id": "0190163d-8694-739b-aea5-966c26f8ad91", "kind": kind, "title": "t", "options": [
            { "id": "once", "name": "Allow", "kind": "allow_once" },
            { "id": "always", "name": "Always", "kind": "allow_always" },
            { "id": "no", "name": "Deny", "kind": "reject_once" },
        ],
    }))
    .unwrap()
}

/// A terminal with a clock.
struct Desk {
    keys: Keys,
    card: Option<Opened>,
    working: bool,
    now: u64,
}

impl Desk {
    fn new() -> Self {
        Self { keys: Keys::new(), card: None, working: true, now: 10_000 }
    }

    fn with_card(kind: &str) -> Self {
        let mut desk = Self::new();
        desk.open(kind);
        desk
    }

    fn open(&mut self, kind: &str) {
        self.card = Some(opened(kind));
        self.keys.show_card(self.card.as_ref(), Duration::from_millis(self.now));
    }

    /// Time passes, and the screen is painted when there is a reason to.
    fn wait(&mut self, ms: u64) -> &mut Self {
        self.now += ms;
        self.keys.show_card(self.card.as_ref(), Duration::from_millis(self.now));
        self
    }

    fn send(&mut self, what: What) -> Action {
        let input = Input { what, at: Duration::from_millis(self.now) };
        self.keys.input(input, self.card.as_ref(), self.working)
    }

    fn press(&mut self, key: Key, held: Held) -> Action {
        self.send(What::Key { key, held, burst: false })
    }

    fn letter(&mut self, c: char) -> Action {
        self.press(Key::Char(c), Held::NOTHING)
    }

    fn control(&mut self, c: char) -> Action {
        self.press(Key::Char(c), Held::CONTROL)
    }

    fn type_text(&mut self, text: &str) {
        for c in text.chars() {
            self.wait(80);
            assert_eq!(self.letter(c), Action::Paint);
        }
    }

    fn enter(&mut self) -> Action {
        self.press(Key::Enter, Held::NOTHING)
    }
}

fn chosen(action: &Action) -> Option<&str> {
    match action {
        Action::Choose(_, option) => Some(option),
        _ => None,
    }
}

#[test]
fn a_key_answers_a_card_that_was_seen() {
    for (key, option) in [('1', "once"), ('2', "always"), ('3', "no"), ('y', "once"), ('n', "no")] {
        let action = Desk::with_card("permission").wait(500).letter(key);
        assert_eq!(chosen(&action), Some(option), "{key}");
    }
    for other in ['4', '9', '0', 'x'] {
        assert_eq!(Desk::with_card("permission").wait(500).letter(other), Action::Paint, "{other}");
    }
}

#[test]
fn a_key_pressed_before_the_card_could_be_read_does_nothing() {
    let mut desk = Desk::with_card("permission");
    assert_eq!(desk.wait(100).letter('y'), Action::Paint);
    assert!(desk.keys.editor.is_empty() && desk.keys.hint.is_some());
    assert_eq!(chosen(&desk.wait(400).letter('y')), Some("once"));
}

#[test]
fn whoever_types_is_not_interrupted_by_a_card() {
    let mut desk = Desk::new();
    desk.type_text("one more thi");
    desk.open("permission");
    desk.type_text("ng, yes n1");
    assert_eq!(desk.enter(), Action::Prompt("one more thing, yes n1".into()));
    // Just sent: the hands are still on the keys.
    let mut desk = Desk::new();
    desk.type_text("go");
    desk.enter();
    desk.wait(300).open("permission");
    desk.wait(600).type_text("yes");
    assert_eq!(desk.keys.editor.text(), "yes");
}

#[test]
fn a_card_gets_the_focus_when_the_hands_rest() {
    let mut desk = Desk::new();
    desk.type_text("go");
    desk.enter();
    desk.open("permission");
    let at = Duration::from_millis(desk.now + 1_000);
    assert_eq!(desk.keys.gives_focus(), Some(at));
    desk.wait(999);
    assert_eq!(desk.keys.focus, Focus::Line);
    desk.wait(1);
    assert!(matches!(desk.keys.focus, Focus::Card(_)));
    assert_eq!(desk.keys.gives_focus(), None);
    assert_eq!(chosen(&desk.letter('y')), Some("once"));
}

#[test]
fn a_card_that_was_declined_waits_for_tab() {
    for decline in [Key::Char('x'), Key::Escape, Key::Tab] {
        let mut desk = Desk::with_card("permission");
        desk.wait(2_000).press(decline, Held::NOTHING);
        desk.press(Key::Backspace, Held::NOTHING);
        assert_eq!(desk.wait(5_000).letter('y'), Action::Paint, "{decline:?}");
        desk.press(Key::Backspace, Held::NOTHING);
        desk.press(Key::Tab, Held::NOTHING);
        assert_eq!(chosen(&desk.letter('y')), Some("once"), "{decline:?}");
    }
}

#[test]
fn what_is_pasted_never_answers() {
    let mut desk = Desk::with_card("permission");
    assert_eq!(desk.wait(5_000).send(What::Paste("y\n1\n".into())), Action::Paint);
    assert_eq!(desk.keys.editor.text(), "y\n1\n");
    let mut desk = Desk::with_card("permission");
    desk.wait(5_000);
    for c in ['y', '1'] {
        let key = What::Key { key: Key::Char(c), held: Held::NOTHING, burst: true };
        assert_eq!(desk.send(key), Action::Paint);
    }
    assert_eq!(desk.keys.editor.text(), "y1", "a terminal without bracketed paste sends a burst of keys");
}

#[test]
fn the_next_card_must_be_seen_too() {
    let mut desk = Desk::with_card("permission");
    assert!(chosen(&desk.wait(1_500).letter('y')).is_some());
    desk.card.as_mut().unwrap().id = "0190163d-8694-739b-aea5-966c26f8ad92".parse().unwrap();
    desk.keys.show_card(desk.card.as_ref(), Duration::from_millis(desk.now + 50));
    assert_eq!(desk.wait(100).letter('y'), Action::Paint, "a key held down does not answer the next one");
}

#[test]
fn a_question_is_answered_in_words() {
    let mut desk = Desk::with_card("question");
    desk.wait(2_000).type_text("use tabs");
    let Action::Say(_, text) = desk.enter() else { panic!("not said") };
    assert_eq!(text, "use tabs");
    let mut desk = Desk::with_card("question");
    desk.press(Key::Tab, Held::NOTHING);
    desk.type_text("another prompt");
    assert_eq!(desk.enter(), Action::Prompt("another prompt".into()));
}

#[test]
fn control_c_empties_warns_and_then_acts() {
    let mut desk = Desk::new();
    desk.type_text("oops");
    assert_eq!(desk.control('c'), Action::Paint);
    assert!(desk.keys.editor.is_empty());
    assert_eq!(desk.control('c'), Action::Paint);
    assert_eq!(desk.keys.hint, Some("Ctrl-C again cancels the turn; Ctrl-B d detaches"));
    assert_eq!(desk.wait(4_000).control('c'), Action::Paint, "too late to count as the second");
    assert_eq!(desk.wait(500).control('c'), Action::Cancel);
    desk.working = false;
    assert_eq!(desk.control('c'), Action::Paint);
    assert_eq!(desk.letter('x'), Action::Paint);
    desk.press(Key::Backspace, Held::NOTHING);
    assert_eq!(desk.control('c'), Action::Paint, "another key in between starts over");
    assert_eq!(desk.control('c'), Action::Detach);
}

#[test]
fn control_b_d_detaches() {
    let mut desk = Desk::new();
    desk.type_text("half a pro");
    assert_eq!(desk.control('b'), Action::Paint);
    assert_eq!(desk.letter('d'), Action::Detach);
    desk.control('b');
    assert_eq!(desk.letter('x'), Action::Paint, "anything else is forgotten");
    assert_eq!(desk.letter('d'), Action::Paint);
    assert_eq!(desk.keys.editor.text(), "half a prod");
}

proptest! {
    /// Whatever is typed, fast or slow, with whatever else: as long as the card has no focus nothing is answered, and the
    /// focus comes by a calm appearance or Tab alone.
    #[test]
    fn text_never_approves(
        before in "[a-z0-9]{1,8}",
        inputs in prop::collection::vec((any::<char>(), 0..3_000_u64, any::<bool>()), 0..40),
    ) {
        let mut desk = Desk::new();
        desk.type_text(&before);
        desk.open("permission");
        for (c, pause, burst) in inputs {
            desk.wait(pause);
            let action = desk.send(What::Key { key: Key::Char(c), held: Held::NOTHING, burst });
            prop_assert!(chosen(&action).is_none());
        }
    }
}
