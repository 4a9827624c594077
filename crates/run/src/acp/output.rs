//! What a terminal printed: bytes in, text out, and the end of it kept.

/// Makes text of a stream of bytes, whatever pieces it comes in. What is no UTF-8 becomes U+FFFD.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// The beginning of a character whose end is still to come; at most three bytes.
    begun: Vec<u8>,
}

/// The end of a text.
#[derive(Debug)]
pub(super) struct Tail {
    text: String,
    limit: usize,
    cut: bool,
}

impl Decoder {
    /// The text that is complete with these bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) -> String {
        let mut all = std::mem::take(&mut self.begun);
        all.extend_from_slice(bytes);
        let mut text = String::with_capacity(all.len());
        let mut rest = &all[..];
        loop {
            match std::str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    return text;
                }
                Err(error) => {
                    let (valid, broken) = rest.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(valid));
                    let Some(len) = error.error_len() else {
                        self.begun = broken.to_vec();
                        return text;
                    };
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = &broken[len..];
                }
            }
        }
    }

    /// The stream is over: a character that was begun has no end.
    pub(super) fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.begun)).into_owned()
    }
}

impl Tail {
    /// Keeps up to `limit` bytes.
    pub(super) const fn new(limit: usize) -> Self {
        Self { text: String::new(), limit, cut: false }
    }

    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
        // Cutting moves all that is kept, so it is done once in a while; twice the limit is held at most.
        if self.text.len() > self.limit.saturating_mul(2) {
            self.text = self.kept().to_owned();
            self.cut = true;
        }
    }

    /// What is kept, from a whole character on.
    pub(super) fn kept(&self) -> &str {
        let over = self.text.len().saturating_sub(self.limit);
        &self.text[self.text.ceil_char_boundary(over)..]
    }

    /// Whether there was more.
    pub(super) fn is_cut(&self) -> bool {
        self.cut || self.text.len() > self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_character_cut_in_two_is_whole_again() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.push(b"a\xe2\x82"), "a");
        assert_eq!(decoder.push(b"\xac\xff"), "€\u{fffd}");
        assert_eq!(decoder.push(b"\xe2"), "");
        assert_eq!((decoder.finish(), decoder.finish()), ("\u{fffd}".to_owned(), String::new()));
    }

    #[test]
    fn the_end_is_kept_from_a_whole_character_on() {
        let mut tail = Tail::new(4);
        tail.push("a€");
        assert_eq!((tail.kept(), tail.is_cut()), ("a€", false));
        tail.push("b");
        assert_eq!((tail.kept(), tail.is_cut()), ("€b", true));
        let mut nothing = Tail::new(0);
        nothing.push("x");
        assert_eq!((nothing.kept(), nothing.is_cut()), ("", true));
    }

    proptest! {
        #[test]
        fn text_is_what_the_standard_library_makes_of_all_of_it(
            pieces in prop::collection::vec(prop::collection::vec(prop_oneof![any::<u8>(), 0x80..0xf5u8], 0..6), 0..6),
        ) {
            let mut decoder = Decoder::default();
            let mut text: String = pieces.iter().map(|piece| decoder.push(piece)).collect();
            text.push_str(&decoder.finish());
            let all = pieces.concat();
            prop_assert_eq!(text, String::from_utf8_lossy(&all));
        }

        #[test]
        fn what_is_kept_is_the_end(pieces in prop::collection::vec("[a€]{0,5}", 0..9), limit in 0..9usize) {
            let mut tail = Tail::new(limit);
            pieces.iter().for_each(|piece| tail.push(piece));
            let all = pieces.concat();
            prop_assert!(all.ends_with(tail.kept()) && tail.kept().len() <= limit);
            prop_assert!(tail.kept().len() + 2 >= limit.min(all.len()), "no more is cut than half a character");
            prop_assert_eq!(tail.is_cut(), all.len() > limit);
        }
    }
}
