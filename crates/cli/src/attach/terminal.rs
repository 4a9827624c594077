//! The terminal as a device: raw while attached, and given back as it was however this ends.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste, Event, KeyEventKind, poll, read};
use crossterm::execute;
use crossterm::terminal::{disable_raw_mode, enable_raw_mode, size};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::keys::{Input, What};

/// How many inputs may wait. Whoever types faster than they are taken is held up by the terminal itself.
const WAITING: usize = 256;
/// Whether the terminal is ours, for those who end the process without asking.
static RAW: AtomicBool = AtomicBool::new(false);

/// The terminal while it is ours. Dropping it gives it back.
pub(super) struct Terminal(());

impl Terminal {
    /// Takes the terminal.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn take() -> io::Result<Self> {
        enable_raw_mode()?;
        let taken = Self(());
        RAW.store(true, Ordering::SeqCst);
        // Without it the terminal sends what is pasted as if it were typed.
        execute!(io::stdout(), EnableBracketedPaste)?;
        give_back_before_panic();
        Ok(taken)
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> (u16, u16) {
        let (columns, rows) = size().unwrap_or((80, 24));
        (columns.max(2), rows.max(2))
    }

    /// Writes a frame.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(super) fn write(&self, frame: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(frame.as_bytes())?;
        out.flush()
    }

    /// Gives the terminal back, stops until the shell continues us, and takes it again.
    ///
    /// # Errors
    /// When it cannot be had again.
    pub(super) fn suspend(&self) -> io::Result<()> {
        give_back();
        rustix::process::kill_current_process_group(rustix::process::Signal::TSTP)?;
        enable_raw_mode()?;
        RAW.store(true, Ordering::SeqCst);
        execute!(io::stdout(), EnableBracketedPaste)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

/// What comes from the terminal, read on a thread of its own, which ends with the process.
pub(super) fn inputs(since: Instant) -> mpsc::Receiver<io::Result<Input>> {
    let (sender, inputs) = mpsc::channel(WAITING);
    thread::spawn(move || {
        let mut more_before = false;
        loop {
            let event = read();
            // A key that came in one piece with others was not pressed by a finger.
            let more = poll(Duration::ZERO).unwrap_or(false);
            let burst = more || more_before;
            more_before = more;
            let failed = event.is_err();
            let input = match event {
                Ok(event) => understand(event, burst).map(|what| Ok(Input { what, at: since.elapsed() })),
                Err(error) => Some(Err(error)),
            };
            let gone = input.is_some_and(|input| sender.blocking_send(input).is_err());
            if gone || failed {
                return;
            }
        }
    });
    inputs
}

fn understand(event: Event, burst: bool) -> Option<What> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => Some(What::Key { key, burst }),
        Event::Paste(text) => Some(What::Paste(text)),
        Event::Resize(..) => Some(What::Resize),
        Event::Key(_) | Event::FocusGained | Event::FocusLost | Event::Mouse(_) => None,
    }
}

fn give_back() {
    if RAW.swap(false, Ordering::SeqCst) {
        // The cursor may be hidden, in the middle of a frame.
        drop(execute!(io::stdout(), DisableBracketedPaste, crossterm::cursor::Show));
        drop(disable_raw_mode());
    }
}

/// The message of a panic must be readable.
fn give_back_before_panic() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            before(panic);
        }));
    });
}
