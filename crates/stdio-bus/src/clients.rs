//! The clients' side of the loop.

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::epoll::{self, EventFlags};
use trunkline_wire::router::{ClientId, Peer};

use crate::bus::{Bus, Token};
use crate::stream::Stream;

/// How many connections are accepted at once, and how many reads a client gets before others have their turn.
const ACCEPTS: usize = 64;

/// How long nobody is accepted when there are no descriptors left.
const ACCEPT_PAUSE: u64 = 100;

/// A client's descriptors.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: ClientId,
    input: Stream,
    /// Stdout; `None` where the input is a socket that is written to as well.
    output: Option<Stream>,
    /// How they are registered; `None` for plain files.
    serial: Option<u32>,
    output_serial: Option<u32>,
    /// Whether more is read.
    reading: bool,
    /// Whether it is waited for room to write.
    waiting: bool,
}

impl Connection {
    pub(crate) fn has_serial(&self, serial: u32) -> bool {
        self.serial == Some(serial) || self.output_serial == Some(serial)
    }

    /// Stdout, for the client on stdio.
    pub(crate) const fn output(&self) -> Option<&Stream> {
        self.output.as_ref()
    }
}

impl Bus {
    /// Makes stdin and stdout the one client.
    pub(crate) fn open_stdio(&mut self) -> std::io::Result<()> {
        let (input, output) = (Stream::stdin()?, Stream::stdout()?);
        let Some(id) = self.router.connect(true, self.now) else { return Ok(()) };
        let slot = id.slot() as u32;
        let serial = self.register(&input, Token::Client(slot), EventFlags::IN)?;
        // Nothing is waited for on stdout yet, but it is told when its reader goes.
        let output_serial = self.register(&output, Token::Stdout(slot), EventFlags::empty())?;
        let connection = Connection {
            id,
            input,
            output: Some(output),
            serial,
            output_serial,
            reading: true,
            waiting: false,
        };
        self.keep(connection);
        self.log.keep_moving(self.now);
        Ok(())
    }

    pub(crate) fn accept(&mut self) {
        for _ in 0..ACCEPTS {
            let Some(listener) = &self.listener else { return };
            match listener.accept() {
                Ok(Some(fd)) => self.welcome(fd),
                Ok(None) => return,
                Err(error) => {
                    self.log.warn(None, &format!("No more clients can be accepted: {error}"));
                    self.watch(listener, Token::Listener, 0, EventFlags::empty());
                    self.accept_at = Some(self.now + ACCEPT_PAUSE);
                    return;
                }
            }
        }
    }

    pub(crate) fn accept_again(&mut self) {
        self.accept_at = None;
        if let Some(listener) = &self.listener {
            self.watch(listener, Token::Listener, 0, EventFlags::IN);
        }
    }

    fn welcome(&mut self, fd: OwnedFd) {
        let Some(id) = self.router.connect(false, self.now) else {
            return self.log.warn(None, "A client was turned away: max_clients are connected");
        };
        let input = Stream::Free(fd);
        match self.register(&input, Token::Client(id.slot() as u32), EventFlags::IN) {
            Ok(serial) => {
                self.log.debug(None, &format!("Client {} connected", id.slot()));
                let (output, output_serial) = (None, None);
                self.keep(Connection {
                    id,
                    input,
                    output,
                    serial,
                    output_serial,
                    reading: true,
                    waiting: false,
                });
            }
            Err(error) => {
                self.log.warn(None, &format!("A client was turned away: {error}"));
                self.router.disconnect(id);
            }
        }
    }

    fn keep(&mut self, connection: Connection) {
        let slot = connection.id.slot();
        if self.clients.len() <= slot {
            self.clients.resize_with(slot + 1, || None);
        }
        self.clients[slot] = Some(connection);
    }

    /// Reads what a client has sent. One that is `broken` is gone when there is nothing more to read.
    pub(crate) fn read_client(&mut self, client: ClientId, broken: bool) {
        self.with_scratch(|bus, scratch| {
            let Some(connection) = bus.clients[client.slot()].as_ref().filter(|c| c.id == client) else {
                return;
            };
            if !connection.reading {
                if broken {
                    bus.lose_client(client);
                }
                return;
            }
            match connection.input.read(scratch) {
                Some(0) => bus.input_ended(client),
                Some(count) => bus.router.client_bytes(client, &scratch[..count], bus.now),
                None => {}
            }
        });
    }

    /// A client sends no more. It may still read.
    fn input_ended(&mut self, client: ClientId) {
        let Some(connection) = self.clients[client.slot()].as_mut() else { return };
        connection.reading = false;
        if connection.output.is_some() {
            // Stdin would be reported as ended for ever.
            let _unwatched = epoll::delete(&self.epoll, &connection.input);
            connection.serial = None;
        } else {
            self.watch_client(client);
        }
        self.router.client_finished(client);
        if self.stdio {
            self.log.info(None, "Stdin has ended, draining");
            self.begin_drain(false);
        }
    }

    /// Writes what waits for a client.
    pub(crate) fn write_client(&mut self, client: ClientId) {
        let Some(connection) = self.clients.get(client.slot()).and_then(Option::as_ref) else { return };
        if connection.id != client {
            return;
        }
        let peer = Peer::Client(client);
        let output = connection.output.as_ref().unwrap_or(&connection.input);
        loop {
            let waiting = self.router.output(peer);
            if waiting.is_empty() {
                break;
            }
            let length = waiting.len();
            match output.write(waiting) {
                Ok(0) => break,
                Ok(count) => {
                    self.router.written(peer, count, self.now);
                    if count < length && !matches!(output, Stream::Plain(_)) {
                        break;
                    }
                }
                Err(_) => return self.lose_client(client),
            }
        }
        let wants = !self.router.output(peer).is_empty();
        if self.clients[client.slot()].as_ref().is_some_and(|connection| connection.waiting != wants) {
            if let Some(connection) = self.clients[client.slot()].as_mut() {
                connection.waiting = wants;
            }
            self.watch_client(client);
        }
    }

    /// Waits for what the client's state asks for.
    fn watch_client(&self, client: ClientId) {
        let Some(connection) = self.clients[client.slot()].as_ref() else { return };
        let slot = client.slot() as u32;
        let room = if connection.waiting { EventFlags::OUT } else { EventFlags::empty() };
        match (&connection.output, connection.output_serial, connection.serial) {
            (Some(output), Some(serial), _) => self.watch(output, Token::Stdout(slot), serial, room),
            (None, _, Some(serial)) => {
                let more = if connection.reading { EventFlags::IN } else { EventFlags::empty() };
                self.watch(&connection.input, Token::Client(slot), serial, more | room);
            }
            (Some(_), None, _) | (None, _, None) => {}
        }
    }

    /// A client is gone, or reads no more.
    pub(crate) fn lose_client(&mut self, client: ClientId) {
        self.close_client(client);
        if self.stdio {
            self.log.info(None, "Nobody reads stdout any more, ending");
            self.begin_drain(false);
        }
    }

    /// Closes a client's descriptors.
    pub(crate) fn close_client(&mut self, client: ClientId) {
        self.router.disconnect(client);
        let Some(place) = self.clients.get_mut(client.slot()) else { return };
        if place.as_ref().is_some_and(|connection| connection.id == client)
            && let Some(connection) = place.take()
        {
            // Stdin and stdout are duplicates, which epoll knows for as long as the originals are open.
            for stream in [Some(connection.input), connection.output].into_iter().flatten() {
                let _unwatched = epoll::delete(&self.epoll, stream.as_fd());
            }
            self.log.debug(None, &format!("Client {} is gone", client.slot()));
        }
        if self.stdio {
            self.begin_drain(false);
        }
    }

    /// Whether a plain file is read, which is always ready.
    pub(crate) fn has_plain_input(&self) -> bool {
        let connection = self.clients.first().and_then(Option::as_ref);
        self.stdio && connection.is_some_and(|connection| connection.serial.is_none() && connection.reading)
    }

    /// Reads on in a plain file.
    pub(crate) fn read_plain(&mut self) {
        if self.has_plain_input()
            && let Some(client) = self.clients[0].as_ref().map(|connection| connection.id)
        {
            self.read_client(client, false);
        }
    }
}
