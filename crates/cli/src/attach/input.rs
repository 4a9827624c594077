//! Bytes of a terminal as keys. Pure.
//!
//! What is read is what xterm sends, and all that imitate it: UTF-8, control characters, `ESC [` and `ESC O` sequences,
//! `ESC` before a key for Alt, and pastes between `ESC [200~` and `ESC [201~`. What else there is means nothing here.

/// The longest sequence that is waited for. One that is longer is dropped.
const MAX_SEQUENCE: usize = 64;
/// The longest paste that is taken. One that is longer is dropped whole.
const MAX_PASTE: usize = 1 << 20;
const PASTE_BEGINS: &[u8] = b"\x1b[200~";
const PASTE_ENDS: &[u8] = b"\x1b[201~";

/// Something that was pressed or pasted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pressed {
    Key(Key, Held),
    /// A text that was pasted.
    Paste(String),
}

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    Enter,
    Tab,
    Escape,
    Backspace,
    Delete,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    PageUp,
    PageDown,
}

/// What was held down with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) shift: bool,
    pub(super) alt: bool,
    pub(super) control: bool,
}

impl Held {
    pub(super) const NOTHING: Self = Self { shift: false, alt: false, control: false };
    pub(super) const SHIFT: Self = Self { shift: true, ..Self::NOTHING };
    #[cfg(test)]
    pub(super) const ALT: Self = Self { alt: true, ..Self::NOTHING };
    pub(super) const CONTROL: Self = Self { control: true, ..Self::NOTHING };

    /// As sequences number it: one more than the sum of 1 for Shift, 2 for Alt, 4 for Control.
    fn of(number: u32) -> Self {
        let bits = number.saturating_sub(1);
        Self { shift: bits & 1 != 0, alt: bits & 2 != 0, control: bits & 4 != 0 }
    }
}

/// A push decoder: [`push`](Self::push) what was read, and take what was pressed.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// The start of a sequence, a character or a paste.
    held: Vec<u8>,
    pasting: bool,
    /// The paste is too long: what comes is dropped up to its end.
    dropping: bool,
}

impl Decoder {
    /// Takes bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Pressed> {
        self.held.extend_from_slice(bytes);
        let mut pressed = Vec::new();
        loop {
            let taken = if self.pasting { self.paste(&mut pressed) } else { self.key(&mut pressed) };
            match taken {
                0 => return pressed,
                taken => drop(self.held.drain(..taken)),
            }
        }
    }

    /// Whether an `ESC` waits for what follows it. If nothing does, within a moment, it was the key itself.
    pub(super) fn is_unsure(&self) -> bool {
        !self.pasting && self.held.first() == Some(&0x1b)
    }

    /// Nothing has followed.
    pub(super) fn settle(&mut self) -> Vec<Pressed> {
        if !self.is_unsure() {
            return Vec::new();
        }
        let rest = self.held.split_off(1);
        self.held.clear();
        let mut pressed = vec![Pressed::Key(Key::Escape, Held::NOTHING)];
        pressed.extend(self.push(&rest));
        pressed
    }

    /// Takes a piece of a paste; gives how many bytes that were.
    fn paste(&mut self, pressed: &mut Vec<Pressed>) -> usize {
        let Some(end) = self.held.windows(PASTE_ENDS.len()).position(|bytes| bytes == PASTE_ENDS) else {
            if self.dropping || self.held.len() > MAX_PASTE {
                self.dropping = true;
                // The end may have begun.
                return self.held.len().saturating_sub(PASTE_ENDS.len() - 1);
            }
            return 0;
        };
        self.pasting = false;
        if !std::mem::take(&mut self.dropping) && end <= MAX_PASTE {
            pressed.push(Pressed::Paste(String::from_utf8_lossy(&self.held[..end]).into_owned()));
        }
        end + PASTE_ENDS.len()
    }

    /// Takes one key; gives how many bytes that were, 0 if it is not complete.
    fn key(&mut self, pressed: &mut Vec<Pressed>) -> usize {
        let bytes = &self.held[..];
        if bytes.starts_with(PASTE_BEGINS) {
            self.pasting = true;
            return PASTE_BEGINS.len();
        }
        let (taken, key) = match bytes {
            [] | [0x1b] => (0, None),
            [0x1b, b'[', rest @ ..] => sequence(rest).map_or((0, None), |(length, key)| (2 + length, key)),
            [0x1b, b'O', rest @ ..] => {
                rest.first().map_or((0, None), |end| (3, cursor_key(*end, Held::NOTHING)))
            }
            // Two in a row: the first was the key.
            [0x1b, 0x1b, ..] => (1, Some((Key::Escape, Held::NOTHING))),
            [0x1b, rest @ ..] => {
                let (length, key) = character(rest);
                (
                    if length == 0 { 0 } else { 1 + length },
                    key.map(|(key, held)| (key, Held { alt: true, ..held })),
                )
            }
            _ => character(bytes),
        };
        if taken == 0 && bytes.len() > MAX_SEQUENCE {
            return bytes.len();
        }
        pressed.extend(key.map(|(key, held)| Pressed::Key(key, held)));
        taken
    }
}

/// A character at the start of some bytes, and how many it takes; 0 if it is not complete.
fn character(bytes: &[u8]) -> (usize, Option<(Key, Held)>) {
    let plain = |key| (1, Some((key, Held::NOTHING)));
    match bytes[0] {
        b'\r' => plain(Key::Enter),
        b'\t' => plain(Key::Tab),
        0x7f => plain(Key::Backspace),
        control @ 1..=26 => (1, Some((Key::Char(char::from(control - 1 + b'a')), Held::CONTROL))),
        0..=0x1f => (1, None),
        first => {
            let length = match first {
                0..=0x7f => 1,
                0xc2..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xf4 => 4,
                0x80..=0xc1 | 0xf5..=0xff => return (1, None),
            };
            match bytes.get(..length).map(std::str::from_utf8) {
                Some(Ok(text)) => (length, text.chars().next().map(|c| (Key::Char(c), Held::NOTHING))),
                Some(Err(_)) => (1, None),
                // What follows already is no part of it.
                None if bytes[1..].iter().any(|byte| byte & 0xc0 != 0x80) => (1, None),
                None => (0, None),
            }
        }
    }
}

/// A sequence behind `ESC [`, and how long it is; `None` if it is not complete.
fn sequence(bytes: &[u8]) -> Option<(usize, Option<(Key, Held)>)> {
    let end = bytes.iter().position(|byte| !(0x20..=0x3f).contains(byte))?;
    let numbers: Vec<u32> = std::str::from_utf8(&bytes[..end])
        .unwrap_or("")
        .split(';')
        .map(|number| number.parse().unwrap_or(0))
        .collect();
    let held = numbers.get(1).map_or(Held::NOTHING, |number| Held::of(*number));
    let key = match (bytes[end], numbers.first()) {
        (b'~', Some(1 | 7)) => Some((Key::Home, held)),
        (b'~', Some(4 | 8)) => Some((Key::End, held)),
        (b'~', Some(3)) => Some((Key::Delete, held)),
        (b'~', Some(5)) => Some((Key::PageUp, held)),
        (b'~', Some(6)) => Some((Key::PageDown, held)),
        (b'Z', _) => Some((Key::Tab, Held::SHIFT)),
        (b'u', Some(13)) => Some((Key::Enter, held)),
        (end, _) => cursor_key(end, held),
    };
    Some((end + 1, key))
}

fn cursor_key(end: u8, held: Held) -> Option<(Key, Held)> {
    let key = match end {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        _ => return None,
    };
    Some((key, held))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(bytes: &[u8]) -> Vec<Pressed> {
        Decoder::default().push(bytes)
    }

    fn key(key: Key) -> Pressed {
        Pressed::Key(key, Held::NOTHING)
    }

    #[test]
    fn keys_are_told_apart() {
        for (bytes, pressed, held) in [
            (&b"y"[..], Key::Char('y'), Held::NOTHING),
            ("ü".as_bytes(), Key::Char('ü'), Held::NOTHING),
            ("👍".as_bytes(), Key::Char('👍'), Held::NOTHING),
            (b"\r", Key::Enter, Held::NOTHING),
            (b"\n", Key::Char('j'), Held::CONTROL),
            (b"\t", Key::Tab, Held::NOTHING),
            (b"\x7f", Key::Backspace, Held::NOTHING),
            (b"\x02", Key::Char('b'), Held::CONTROL),
            (b"\x1bb", Key::Char('b'), Held::ALT),
            (b"\x1b\r", Key::Enter, Held::ALT),
            (b"\x1b[A", Key::Up, Held::NOTHING),
            (b"\x1bOB", Key::Down, Held::NOTHING),
            (b"\x1b[1;5D", Key::Left, Held::CONTROL),
            (b"\x1b[1;3C", Key::Right, Held::ALT),
            (b"\x1b[3~", Key::Delete, Held::NOTHING),
            (b"\x1b[H", Key::Home, Held::NOTHING),
            (b"\x1b[4~", Key::End, Held::NOTHING),
            (b"\x1b[5~", Key::PageUp, Held::NOTHING),
            (b"\x1b[6;5~", Key::PageDown, Held::CONTROL),
            (b"\x1b[Z", Key::Tab, Held::SHIFT),
            (b"\x1b[13;2u", Key::Enter, Held::SHIFT),
        ] {
            assert_eq!(decode(bytes), [Pressed::Key(pressed, held)], "{bytes:?}");
        }
        for nothing in [&b"\x1b[2~"[..], b"\x1b[?1;2c", b"\x1b[I", b"\x00", b"\xff", b"\x1bOP"] {
            assert_eq!(decode(nothing), [], "{nothing:?}");
        }
    }

    #[test]
    fn an_escape_is_a_key_when_nothing_follows() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.push(b"\x1b"), []);
        assert!(decoder.is_unsure());
        assert_eq!(decoder.settle(), [key(Key::Escape)]);
        assert_eq!(decoder.push(b"a"), [key(Key::Char('a'))]);
        assert_eq!(decoder.push(b"\x1b["), []);
        assert_eq!(decoder.settle(), [key(Key::Escape), key(Key::Char('['))]);
        assert_eq!(decode(b"\x1b\x1b[A"), [key(Key::Escape), key(Key::Up)]);
    }

    #[test]
    fn a_paste_is_one_whatever_is_in_it() {
        assert_eq!(
            decode(b"a\x1b[200~y\r1\x1b[A\x1b[201~b"),
            [key(Key::Char('a')), Pressed::Paste("y\r1\x1b[A".into()), key(Key::Char('b'))]
        );
    }

    #[test]
    fn what_has_no_end_is_not_kept() {
        let mut decoder = Decoder::default();
        decoder.push(PASTE_BEGINS);
        for _ in 0..40 {
            assert_eq!(decoder.push(&[b'x'; 64 << 10]), []);
            assert!(decoder.held.len() <= MAX_PASTE + (64 << 10));
        }
        assert_eq!(decoder.push(b"\x1b[201~y"), [key(Key::Char('y'))]);
        assert_eq!(decoder.push(&[b"\x1b[".as_slice(), &[b'1'; 100]].concat()), []);
        assert_eq!(decoder.push(b"y"), [key(Key::Char('y'))]);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_keys(
            parts in prop::collection::vec(
                prop_oneof![
                    prop::sample::select(vec![
                        &b"\x1b[A"[..], b"\x1b[1;5C", b"\x1b[200~", b"\x1b[201~", b"\x1b", b"\x1bOH", b"a", "日".as_bytes(),
                        b"\r", b"\x1b[", b"\xe6",
                    ]).prop_map(<[u8]>::to_vec),
                    prop::collection::vec(any::<u8>(), 0..4),
                ],
                0..20,
            ),
            cuts in prop::collection::vec(0..100_usize, 0..10),
        ) {
            let bytes = parts.concat();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).chain([0, bytes.len()]).collect();
            cuts.sort_unstable();
            let whole = decode(&bytes);
            let mut decoder = Decoder::default();
            let pieces: Vec<_> = cuts.windows(2).flat_map(|cut| decoder.push(&bytes[cut[0]..cut[1]])).collect();
            prop_assert_eq!(pieces, whole);
        }
    }
}
