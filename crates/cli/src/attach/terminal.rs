//! The terminal as a device: raw while attached, and given back as it was however this ends.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Signal, kill_current_process_group};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::input::{Decoder, Pressed};
use super::keys::{Input, What};
use crate::error::{CliError, Result};

/// How many inputs may wait. Whoever types faster than they are taken is held up by the terminal itself.
const WAITING: usize = 256;
/// How long an `ESC` waits for the rest of a sequence. Over a slow line the rest may take a while; a person who presses the
/// key does not notice.
const UNSURE: Duration = Duration::from_millis(50);
/// Pastes come in brackets. Without this the terminal sends what is pasted as if it were typed.
const TAKE: &str = "\u{1b}[?2004h";
/// The cursor may be hidden, in the middle of a frame.
const GIVE_BACK: &str = "\u{1b}[?2004l\u{1b}[?25h";

/// How the terminal was, while it is ours; for those, too, who end the process without asking.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// Whether the terminal shows its other screen.
static ASIDE: AtomicBool = AtomicBool::new(false);
/// To the other screen, which has no scrollback, and back to where one was.
const ASIDE_BEGINS: &str = "\u{1b}[?1049h";
const ASIDE_ENDS: &str = "\u{1b}[?1049l";

/// The terminal while it is ours. Dropping it gives it back.
pub(crate) struct Terminal {
    /// What comes from it.
    pub(super) inputs: mpsc::Receiver<Input>,
    /// From when on inputs are timed.
    pub(super) since: Instant,
}

impl Terminal {
    /// Takes the terminal.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn take() -> Result<Self> {
        give_back_before_panic();
        make_raw().map_err(|error| CliError::failure(format!("the terminal cannot be used: {error}")))?;
        let since = Instant::now();
        Ok(Self { inputs: inputs(since), since })
    }

    /// Turns to the terminal's other screen, or back.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(super) fn turn_aside(&self, aside: bool) -> io::Result<()> {
        ASIDE.store(aside, Ordering::Relaxed);
        print(if aside { ASIDE_BEGINS } else { ASIDE_ENDS })
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> (u16, u16) {
        // A terminal that does not know its size says 0.
        let size = tcgetwinsize(io::stdout()).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
        size.map_or((80, 24), |size| (size.ws_col.max(2), size.ws_row.max(2)))
    }

    /// Writes a frame.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(super) fn write(&self, frame: &str) -> io::Result<()> {
        print(frame)
    }

    /// Gives the terminal back, stops until the shell continues us, and takes it again.
    ///
    /// # Errors
    /// When it cannot be had again.
    pub(super) fn suspend(&self) -> io::Result<()> {
        give_back();
        kill_current_process_group(Signal::TSTP)?;
        make_raw()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

/// What comes from the terminal, read on a thread of its own, which ends with the process. The channel closes when the
/// terminal does.
fn inputs(since: Instant) -> mpsc::Receiver<Input> {
    let (sender, inputs) = mpsc::channel(WAITING);
    thread::spawn(move || {
        let mut decoder = Decoder::default();
        let stdin = io::stdin();
        let mut bytes = [0; 4096];
        loop {
            // Past the standard library's buffer, so that what came in one piece is seen as one.
            let all = match rustix::io::read(&stdin, &mut bytes) {
                Ok(0) => return,
                Ok(read) => decoder.push(&bytes[..read]),
                Err(Errno::INTR) => continue,
                Err(_) => return,
            };
            let all =
                if decoder.is_unsure() && !has_more(&stdin) { [all, decoder.settle()].concat() } else { all };
            // Keys that came in one piece were not pressed by a finger.
            let burst = all.len() > 1;
            for pressed in all {
                let what = match pressed {
                    Pressed::Key(key, held) => What::Key { key, held, burst },
                    Pressed::Paste(text) => What::Paste(text),
                };
                if sender.blocking_send(Input { what, at: since.elapsed() }).is_err() {
                    return;
                }
            }
        }
    });
    inputs
}

fn has_more(stdin: &impl AsFd) -> bool {
    let wait = Timespec::try_from(UNSURE).ok();
    let mut fds = [PollFd::new(stdin, PollFlags::IN)];
    poll(&mut fds, wait.as_ref()).is_ok_and(|ready| ready > 0)
}

fn make_raw() -> io::Result<()> {
    let before = tcgetattr(io::stdin())?;
    let mut raw = before.clone();
    raw.make_raw();
    tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
    *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
    print(TAKE)
}

fn give_back() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(before) = before {
        if ASIDE.swap(false, Ordering::Relaxed) {
            drop(print(ASIDE_ENDS));
        }
        drop(print(GIVE_BACK));
        // What was typed and not read yet is not for the shell: it could be half a prompt.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &before);
    }
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// The message of a panic must be readable.
fn give_back_before_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            before(panic);
        }));
    });
}
