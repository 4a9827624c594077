//! A terminal that looks back: the transcript is on the terminal's other screen, and what happens meanwhile is held until
//! it comes back.

use trunkline_client::Error as ClientError;

use super::keys::{Input, What};
use super::past::{Part, Past, Place};
use super::window::{Step, Window};
use super::{BELL, Desk};
use crate::clean;
use crate::error::Result;
use crate::style::Tone;
use crate::transcript::line::Line;

/// How many lines are held; older ones are not printed then, but stand in the transcript all the same.
const MAX_HELD: usize = 2_000;

/// What a terminal knows while it looks back.
pub(super) struct LookBack {
    window: Window,
    /// What has settled since.
    held: Vec<Line>,
    left_out: bool,
    /// The terminal had another size before.
    resized: bool,
}

impl Desk {
    /// Begins to look back.
    pub(super) fn look_back(&mut self) -> Result<()> {
        let (window, place) = Window::new(self.terminal.size());
        self.back = Some(LookBack { window, held: Vec::new(), left_out: false, resized: false });
        self.terminal.turn_aside(true)?;
        self.read_past(place);
        self.paint()
    }

    /// Comes back to what is live, and prints what has settled meanwhile.
    pub(super) fn come_back(&mut self) -> Result<()> {
        let Some(back) = self.back.take() else { return Ok(()) };
        self.reading.abort_all();
        self.terminal.turn_aside(false)?;
        let mut held = back.held;
        if back.left_out {
            held.insert(0, Line::new(Tone::Dim, "some lines are left out here: Ctrl-B [ looks back at them"));
        }
        let bottom = self.bottom();
        let frame = self.painter.frame(self.terminal.size(), &held, &bottom);
        self.terminal.write(&frame)?;
        if back.resized { self.repaint() } else { self.paint() }
    }

    /// Takes a key while looking back. What is pasted means nothing there.
    pub(super) fn back_input(&mut self, input: &Input) -> Result<()> {
        let Some(back) = &mut self.back else { return Ok(()) };
        let What::Key { key, held, .. } = input.what else { return Ok(()) };
        match back.window.key(key, held) {
            Step::Paint => {}
            Step::Read(place) => self.read_past(place),
            Step::Leave => return self.come_back(),
        }
        self.paint()
    }

    /// A part of the transcript is here, or cannot be had.
    pub(super) fn take_past(&mut self, part: std::result::Result<Part, ClientError>) -> Result<()> {
        if let Some(back) = &mut self.back {
            match part {
                Ok(part) => back.window.show(part),
                Err(error) => back.window.fail(clean::line(&error.to_string())),
            }
        }
        self.paint()
    }

    /// The terminal has another size now.
    pub(super) fn resize(&mut self) -> Result<()> {
        let size = self.terminal.size();
        match &mut self.back {
            Some(back) => {
                back.window.resize(size);
                back.resized = true;
                self.paint()
            }
            None => self.repaint(),
        }
    }

    /// Paints the window, if there is one, and holds what has settled.
    pub(super) fn paint_back(&mut self) -> Option<String> {
        let back = self.back.as_mut()?;
        back.held.extend(self.transcript.settled());
        let over = back.held.len().saturating_sub(MAX_HELD);
        back.left_out |= over > 0;
        back.held.drain(..over);
        let mut frame = back.window.frame(self.colours, self.transcript.open().len());
        if std::mem::take(&mut self.rings) {
            frame.push(BELL);
        }
        Some(frame)
    }

    fn read_past(&mut self, place: Place) {
        let past = Past {
            client: self.client.clone(),
            session: self.session,
            me: self.me.clone(),
            since: self.look.since,
        };
        self.reading.spawn(past.part(place));
    }
}
