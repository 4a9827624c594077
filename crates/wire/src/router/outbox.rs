//! Bytes on their way out to one peer.

/// What may stay allocated while nothing waits.
const KEEP: usize = 1 << 20;

/// Whole lines that wait to be written, in order.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    /// How much of `bytes` is written already.
    written: usize,
    /// Whether whoever writes has been told.
    pub(super) told: bool,
}

impl Outbox {
    /// Appends a line made of pieces, and its line end.
    pub(super) fn push(&mut self, pieces: &[&[u8]]) {
        if self.written > 0 && self.written >= self.bytes.len() / 2 {
            self.bytes.drain(..self.written);
            self.written = 0;
        }
        pieces.iter().for_each(|piece| self.bytes.extend_from_slice(piece));
        self.bytes.push(b'\n');
    }

    /// Drops what waits.
    pub(super) fn clear(&mut self) {
        self.bytes = Vec::new();
        self.written = 0;
    }

    /// What waits.
    pub(super) fn waiting(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    /// How many bytes wait.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// That many bytes were written.
    pub(super) fn consume(&mut self, count: usize) {
        self.written += count;
        debug_assert!(self.written <= self.bytes.len(), "no more is written than was there");
        if self.written == self.bytes.len() {
            self.bytes.clear();
            self.written = 0;
            if self.bytes.capacity() > KEEP {
                self.bytes = Vec::new();
            }
        }
    }
}
