//! The end of what a command wrote to stderr.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::unix::pipe;

/// How much is kept, in bytes.
const KEPT: usize = 64 * 1024;

/// The last [`KEPT`] bytes of a stream; clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Tail(Arc<Mutex<VecDeque<u8>>>);

impl Tail {
    /// Reads the pipe to its end, and never waits for anybody but the writer.
    pub(super) async fn drain(self, pipe: pipe::Receiver) {
        while pipe.readable().await.is_ok() {
            match self.read_some(&pipe) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }

    /// What is kept, as text: from the first whole line on if the beginning is lost, and with U+FFFD for what is no
    /// UTF-8.
    pub(super) fn text(&self) -> String {
        let kept: Vec<u8> = self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
        let cut = if kept.len() < KEPT { None } else { kept.iter().position(|&byte| byte == b'\n') };
        String::from_utf8_lossy(&kept[cut.map_or(0, |at| at + 1)..]).into_owned()
    }

    fn push(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = &bytes[bytes.len().saturating_sub(KEPT)..];
        let over = (kept.len() + bytes.len()).saturating_sub(KEPT);
        kept.drain(..over);
        kept.extend(bytes);
    }

    /// Not in `drain`, so that the buffer lies on the stack while it is used and not in the task while it waits.
    fn read_some(&self, pipe: &pipe::Receiver) -> io::Result<usize> {
        let mut bytes = [0; 16 * 1024];
        let n = pipe.try_read(&mut bytes)?;
        self.push(&bytes[..n]);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cut_beginning_is_dropped_up_to_the_first_whole_line() {
        let tail = Tail::default();
        tail.push(b"lost\n");
        tail.push(&b"0123456789\n".repeat(KEPT / 11 + 1));
        let text = tail.text();
        assert!(text.starts_with("0123456789\n") && text.ends_with("0123456789\n"));
        assert_eq!(text.len(), KEPT / 11 * 11);
    }

    #[test]
    fn what_is_no_text_is_shown_as_such() {
        let tail = Tail::default();
        tail.push(b"caf\xe9\n");
        assert_eq!(tail.text(), "caf\u{fffd}\n");
    }

    proptest! {
        #[test]
        fn it_is_the_end_of_what_was_written(pieces in prop::collection::vec(0..KEPT + 9, 0..6)) {
            let tail = Tail::default();
            let mut written = Vec::new();
            for (n, len) in pieces.into_iter().enumerate() {
                let piece = vec![b'a' + n as u8; len];
                tail.push(&piece);
                written.extend(piece);
            }
            let kept = &written[written.len().saturating_sub(KEPT)..];
            let text = tail.text();
            prop_assert_eq!(text.as_bytes(), kept);
        }
    }
}
