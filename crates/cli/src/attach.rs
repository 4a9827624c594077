//! A session in the terminal: its transcript, then live, with a line to type in.
//!
//! - `input`: bytes as keys. `keys`: what keys do. `editor`: the line. `paint`: the screen. All four are pure.
//! - `lookback`: looking back at what has scrolled away. `past`: the transcript from the log. `window`: what is seen of it.
//! - `picker`: which of several sessions.
//! - `terminal`: the device. Here: what is asked of the daemon, and what comes from it.

mod editor;
mod input;
mod keys;
mod lookback;
mod paint;
mod past;
pub(crate) mod picker;
mod terminal;
mod window;

use std::io;

use futures_util::FutureExt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use trunkline_client::types::NewTurn;
use trunkline_client::{Client, Error as ClientError, EventItem, EventStream};
use trunkline_core::event::Fact;
use trunkline_core::id::{RequestId, Seq, SessionId};
use trunkline_core::principal::Principal;
use trunkline_core::request::{Answer, Opened};
use trunkline_core::time::Time;

use crate::app::App;
use crate::clean;
use crate::commands::requests::UNCONFINED;
use crate::error::Result;
use crate::exit::Exit;
use crate::pick::short;
use crate::style::{Paint, Tone};
use crate::transcript::line::Line;
use crate::transcript::{Transcript, card};
use keys::{Action, Focus, Input, Keys};
use lookback::LookBack;
use paint::{Bottom, Painter};
use past::Part;
pub(crate) use terminal::Terminal;

/// Calls whoever sits at the terminal.
const BELL: char = '\u{7}';
/// How many events are taken in before the screen is painted again.
const BATCH: usize = 2_000;

/// How a terminal looks at a session.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Look {
    /// It sends nothing.
    pub(crate) read_only: bool,
    /// What is older is not shown.
    pub(crate) since: Option<Time>,
}

/// Attaches the terminal to a session until the user leaves or the session is deleted.
pub(crate) async fn attach(
    app: &App,
    terminal: Terminal,
    client: &Client,
    session: SessionId,
    look: Look,
) -> Result<Exit> {
    let me = client.me().await?.principal;
    let confined = client.health().await?.confined;
    let others = client.presence(session).await?.items;
    // From here to the end of the block the terminal is ours.
    let left = {
        let mut desk = Desk::new(app, terminal, client.clone(), session, me, look);
        if !confined {
            desk.transcript.note(Tone::Dim, UNCONFINED);
        }
        if !others.is_empty() {
            let names: Vec<_> =
                others.iter().map(|other| format!("{} by {}", other.name, other.principal)).collect();
            desk.transcript.note(Tone::Dim, &format!("also attached: {}", names.join(", ")));
        }
        let left = desk.run().await;
        desk.come_back()?;
        let bye = desk.painter.leave();
        desk.terminal.write(&bye)?;
        left?
    };
    match left {
        Left::Detached => {
            app.screen.note(format!("detached; come back with: trunkline attach {}", short(session)));
        }
        Left::Deleted => app.screen.note("the session was deleted"),
        Left::Signalled => {}
    }
    Ok(left.exit())
}

/// Why it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    Detached,
    Deleted,
    Signalled,
}

impl Left {
    pub(crate) fn exit(self) -> Exit {
        match self {
            Self::Detached => Exit::Ok,
            Self::Deleted => Exit::NotFound,
            Self::Signalled => Exit::Interrupt,
        }
    }
}

/// An attached terminal.
struct Desk {
    terminal: Terminal,
    painter: Painter,
    colours: Paint,
    keys: Keys,
    transcript: Transcript,
    /// Who looks.
    me: Principal,
    /// The option that allows high risk and was chosen once.
    armed: Option<(RequestId, String)>,
    client: Client,
    session: SessionId,
    look: Look,
    /// Somebody is to be called to the terminal.
    rings: bool,
    /// What has scrolled away is looked at.
    back: Option<LookBack>,
    /// What of it is being read.
    reading: JoinSet<std::result::Result<Part, ClientError>>,
    /// The connection is lost, and how.
    lost: Option<String>,
    caught_up: bool,
    /// What was asked of the daemon and is not answered yet.
    asked: JoinSet<Option<String>>,
}

impl Desk {
    fn new(
        app: &App,
        terminal: Terminal,
        client: Client,
        session: SessionId,
        me: Principal,
        look: Look,
    ) -> Self {
        Self {
            terminal,
            colours: app.screen.out,
            painter: Painter::new(app.screen.out),
            keys: Keys::new(),
            transcript: Transcript::new(Some(me.clone())),
            me,
            armed: None,
            client,
            session,
            look,
            rings: false,
            back: None,
            reading: JoinSet::new(),
            lost: None,
            caught_up: false,
            asked: JoinSet::new(),
        }
    }

    async fn run(&mut self) -> Result<Left> {
        let mut events = self.client.events(self.session, Seq::ZERO, Some("terminal"));
        let mut signals = Signals::new()?;
        let mut resized = signal(SignalKind::window_change())?;
        loop {
            let focus = self.keys.gives_focus().filter(|_| self.back.is_none());
            tokio::select! {
                biased;
                () = signals.recv() => return Ok(Left::Signalled),
                _ = resized.recv() => self.resize()?,
                input = self.terminal.inputs.recv() => match input {
                    Some(input) => if let Some(left) = self.input(input)? { return Ok(left) },
                    // The terminal was closed.
                    None => return Ok(Left::Signalled),
                },
                Some(answer) = self.asked.join_next() => {
                    if let Ok(Some(note)) = answer {
                        self.transcript.note(Tone::Bad, &note);
                    }
                    self.paint()?;
                }
                Some(part) = self.reading.join_next() => if let Ok(part) = part { self.take_past(part)? },
                // The card gets the focus when the hands have rested for a while.
                () = sleep_until(self.terminal.since + focus.unwrap_or_default()), if focus.is_some() => self.paint()?,
                item = events.next() => {
                    if let Some(left) = self.take(item, &mut events)? { return Ok(left) }
                    if self.caught_up { self.paint()?; }
                }
            }
        }
    }

    /// Takes an item and all that are there already, so that a long replay is painted once.
    fn take(
        &mut self,
        item: Option<std::result::Result<EventItem, ClientError>>,
        events: &mut EventStream,
    ) -> Result<Option<Left>> {
        let mut next = Some(item);
        for _ in 0..BATCH {
            match next {
                None => return Ok(None),
                Some(None) => return Ok(Some(Left::Deleted)),
                Some(Some(Err(error))) => return Err(error.into()),
                Some(Some(Ok(EventItem::Deleted))) => return Ok(Some(Left::Deleted)),
                Some(Some(Ok(item))) => self.item(item),
            }
            next = events.next().now_or_never();
        }
        self.caught_up = true;
        match next {
            Some(Some(Ok(item))) => self.item(item),
            Some(Some(Err(error))) => return Err(error.into()),
            Some(None) => return Ok(Some(Left::Deleted)),
            None => {}
        }
        Ok(None)
    }

    fn item(&mut self, item: EventItem) {
        match item {
            EventItem::Event(event) => {
                self.rings |= self.caught_up && matches!(event.fact, Fact::RequestOpened(_));
                self.transcript.apply(&event);
                // What is too old is told to nobody, and all the same what follows stands on it.
                if self.look.since.is_some_and(|since| event.at < since) {
                    drop(self.transcript.settled());
                }
            }
            EventItem::CaughtUp { .. } => self.caught_up = true,
            EventItem::Gap { .. } => self.transcript.gap(),
            EventItem::Open => self.lost = None,
            EventItem::Lost(error) => {
                self.lost = Some(clean::line(&error.to_string()));
                self.caught_up = true;
            }
            _ => {}
        }
    }

    fn input(&mut self, input: Input) -> Result<Option<Left>> {
        if self.back.is_some() && !self.keys.takes(&input) {
            self.back_input(&input)?;
            return Ok(None);
        }
        let card = self.transcript.open().first().cloned();
        let working = self.transcript.turn().is_some();
        match self.keys.input(input, card.as_ref(), working) {
            Action::Paint => self.paint()?,
            Action::Repaint => self.repaint()?,
            Action::LookBack if self.back.is_none() => self.look_back()?,
            Action::LookBack => self.paint()?,
            Action::Detach => return Ok(Some(Left::Detached)),
            Action::Suspend => {
                let bye = self.painter.leave();
                self.terminal.write(&bye)?;
                self.terminal.suspend()?;
                self.repaint()?;
            }
            Action::Prompt(_) | Action::Choose(..) | Action::Say(..) | Action::Cancel
                if self.look.read_only =>
            {
                self.transcript.note(Tone::Warn, "attached to look only: nothing is sent");
                self.paint()?;
            }
            Action::Prompt(text) => self.prompt(text),
            Action::Choose(id, option) if self.wants_second_step(id, &option) => {
                self.transcript.note(Tone::Bad, "this is of high risk: press the key once more to allow it");
                self.armed = Some((id, option));
                self.paint()?;
            }
            Action::Choose(id, option) => {
                let confirm = self.transcript.allows_high_risk(id, &option);
                self.answer(id, Answer { option: Some(option), confirm, ..Answer::default() });
            }
            Action::Say(id, text) => self.answer(id, Answer { text: Some(text), ..Answer::default() }),
            Action::Cancel => self.cancel(),
        }
        Ok(None)
    }

    /// What allows something of high risk is never one slip of a finger away.
    fn wants_second_step(&self, id: RequestId, option: &str) -> bool {
        let armed = self.armed.as_ref().is_some_and(|(request, chosen)| *request == id && chosen == option);
        !armed && self.transcript.allows_high_risk(id, option)
    }

    /// While a turn runs a prompt waits for its turn.
    fn prompt(&mut self, text: String) {
        let (client, session) = (self.client.clone(), self.session);
        self.ask(async move { client.prompt(session, &NewTurn::text(text).queued()).await.map(drop) });
    }

    fn answer(&mut self, id: RequestId, answer: Answer) {
        let client = self.client.clone();
        self.ask(async move { client.answer(id, &answer).await.map(drop) });
    }

    fn cancel(&mut self) {
        let (client, session) = (self.client.clone(), self.session);
        self.ask(async move { client.cancel(session, None).await.map(drop) });
    }

    fn ask(&mut self, call: impl Future<Output = std::result::Result<(), ClientError>> + Send + 'static) {
        self.asked.spawn(async move { call.await.err().map(|error| error.to_string()) });
        self.paint().ok();
    }

    fn paint(&mut self) -> Result<()> {
        if let Some(frame) = self.paint_back() {
            return Ok(self.terminal.write(&frame)?);
        }
        let settled = self.transcript.settled();
        let bottom = self.bottom();
        let mut frame = self.painter.frame(self.terminal.size(), &settled, &bottom);
        if std::mem::take(&mut self.rings) {
            frame.push(BELL);
        }
        Ok(self.terminal.write(&frame)?)
    }

    fn repaint(&mut self) -> Result<()> {
        let bottom = self.bottom();
        let frame = self.painter.again(self.terminal.size(), &bottom);
        Ok(self.terminal.write(&frame)?)
    }

    fn bottom(&mut self) -> Bottom {
        let open = self.transcript.open().first().cloned();
        self.keys.show_card(open.as_ref(), self.terminal.since.elapsed());
        let focused = open.as_ref().is_some_and(|opened| self.keys.focus == Focus::Card(opened.id));
        let mut above = self.transcript.live();
        if let Some(opened) = &open {
            above.push(Line::default());
            above.extend(card(opened, focused));
        }
        let (columns, _) = self.terminal.size();
        let (mut below, cursor) = self.input_rows(usize::from(columns), open.as_ref(), focused);
        below.insert(0, Line::default());
        below.insert(1, self.status(open.as_ref(), focused, usize::from(columns)));
        Bottom { above, below, cursor: (cursor.0 + 2, cursor.1) }
    }

    fn input_rows(
        &self,
        columns: usize,
        open: Option<&Opened>,
        focused: bool,
    ) -> (Vec<Line>, (usize, usize)) {
        let answers =
            focused && open.is_some_and(|opened| opened.kind == trunkline_core::request::Kind::Question);
        let (tone, mark) = if answers { (Tone::Warn, "answer › ") } else { (Tone::Accent, "› ") };
        let lead = mark.chars().count();
        let (rows, (row, column)) = self.keys.editor.rows(columns.saturating_sub(lead + 1));
        let line = |(n, text): (usize, String)| {
            let mark = if n == 0 { mark.to_owned() } else { " ".repeat(lead) };
            Line::of(vec![(tone, mark), (Tone::Plain, text)])
        };
        (rows.into_iter().enumerate().map(line).collect(), (row, column + lead))
    }

    fn status(&self, open: Option<&Opened>, focused: bool, columns: usize) -> Line {
        let line = match (&self.lost, self.keys.hint, open) {
            (Some(why), ..) => Line::new(Tone::Bad, format!("connection lost, trying again ({why})")),
            (None, Some(hint), _) => Line::new(Tone::Warn, hint),
            (None, None, Some(_)) if focused => {
                Line::new(Tone::Warn, "press a key to answer · Tab to type instead")
            }
            (None, None, Some(_)) => Line::new(Tone::Warn, "Tab to answer"),
            (None, None, None) => self.transcript.status(),
        };
        line.wrap(columns).swap_remove(0)
    }
}

/// The signals that ask to go.
struct Signals([Signal; 3]);

impl Signals {
    fn new() -> io::Result<Self> {
        let kinds = [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt()];
        let [terminate, hangup, interrupt] = kinds.map(signal);
        Ok(Self([terminate?, hangup?, interrupt?]))
    }

    async fn recv(&mut self) {
        let [terminate, hangup, interrupt] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}
