//! The dialect of the original agent bus: its clients connect over TCP and find keys, topics, the registry and handoffs.
//!
//! The wire is in `trunkline_wire::engram`. A connection is one task: it reads what has come, has runs of requests of a kind
//! decided together, and writes the replies in their order. Its subscriptions are readers of logs with a cursor each, so a
//! client that does not read holds nobody up: when it is further behind than what is retained, it is cut off, because this
//! wire has no word for a gap.

mod answer;
mod handoff;
mod show;
mod told;

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use trunkline_core::audit::{Source, Transport};
use trunkline_core::principal::Caller;
use trunkline_core::time::Time;
use trunkline_run::peer::Origin;
use trunkline_wire::engram::{Bad, MAX_LINE, Reply, Request};
use trunkline_wire::ndjson::Decoder;

use crate::app::App;
use crate::local::Wire;
use crate::subscriptions::{Cut, Subscriptions};

/// How many bytes are read at a time.
const READ_BYTES: usize = 64 << 10;
/// How many requests are taken together at most.
const MAX_BATCH: usize = 1_000;
/// Replies are written once there are so many bytes of them.
const FLUSH_BYTES: usize = 256 << 10;

/// Who may use the dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// Programs of the daemon's own user without a credential, and tokens.
    #[default]
    Local,
    /// Tokens, which a client shows with the operation `auth`.
    Token,
}

/// Serves one connection until it ends.
pub(crate) async fn serve(app: Arc<App>, stream: TcpStream, origin: Origin, closing: CancellationToken) {
    let caller = caller(&app, &stream, origin).await;
    let mut connection = Connection {
        app,
        caller,
        is_agent: matches!(origin, Origin::Agent(_)),
        subscriptions: Subscriptions::default(),
        seen: None,
        out: Vec::new(),
    };
    tokio::select! {
        biased;
        () = closing.cancelled() => {}
        ended = connection.run(stream) => match ended {
            Ok(()) => {}
            Err(End::Cut(cut)) => tracing::warn!("a subscriber of the agent bus was cut off: {cut}"),
            Err(End::Io(error)) => tracing::debug!(%error, "a connection of the agent bus ended early"),
        },
    }
}

/// Who is at the other end, if that is known without a token.
async fn caller(app: &App, stream: &TcpStream, origin: Origin) -> Option<Caller> {
    let peer = stream.peer_addr().ok().map(|address| address.to_string());
    let source = Source { transport: Transport::Tcp, peer, forwarded: false, token: None, client: None };
    let caller = match origin {
        Origin::Agent(session) => Caller::agent(session),
        Origin::Outside if app.engram == Access::Local && Wire::tcp(stream).is_own_user().await => {
            Caller::local()
        }
        Origin::Outside | Origin::Unknown => return None,
    };
    Some(caller.from(Some(source)))
}

struct Connection {
    app: Arc<App>,
    caller: Option<Caller>,
    /// Whether it comes from an agent's process: it stays that agent, whatever it shows.
    is_agent: bool,
    subscriptions: Subscriptions,
    /// The agent that was named last, and when the registry was told.
    seen: Option<(Arc<str>, Time)>,
    /// What is to be written.
    out: Vec<u8>,
}

/// Why a connection ended before its client ended it.
enum End {
    Io(std::io::Error),
    Cut(Cut),
}

impl From<std::io::Error> for End {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Cut> for End {
    fn from(cut: Cut) -> Self {
        Self::Cut(cut)
    }
}

impl Connection {
    async fn run(&mut self, mut stream: TcpStream) -> Result<(), End> {
        let (mut reader, mut writer) = stream.split();
        let mut decoder = Decoder::new(MAX_LINE);
        let (mut buffer, mut is_first) = (vec![0; READ_BYTES].into_boxed_slice(), true);
        loop {
            tokio::select! {
                read = reader.read(&mut buffer) => {
                    let count = read?;
                    decoder.push(&buffer[..count]);
                    if std::mem::take(&mut is_first) && is_http(&buffer[..count]) {
                        return Ok(());
                    }
                    self.take(&mut decoder, &mut writer).await?;
                    if count == 0 {
                        // A last line may have no end.
                        let last = decoder.finish().into_iter().collect();
                        self.answer(last).await?;
                        return Ok(writer.write_all(&self.out).await?);
                    }
                }
                came = self.subscriptions.next(&self.app.hub) => told::write(&mut self.out, &came?),
            }
            writer.write_all(&self.out).await?;
            self.out.clear();
            self.out.shrink_to(READ_BYTES);
        }
    }

    /// Answers all lines that have come whole.
    async fn take<W: tokio::io::AsyncWrite + Unpin>(
        &mut self,
        decoder: &mut Decoder,
        writer: &mut W,
    ) -> Result<(), End> {
        loop {
            let lines: Vec<_> = decoder.take(MAX_BATCH).collect();
            if lines.is_empty() {
                return Ok(());
            }
            self.answer(lines).await?;
            if self.out.len() > FLUSH_BYTES {
                writer.write_all(&self.out).await?;
                self.out.clear();
            }
        }
    }

    async fn answer(&mut self, lines: Vec<trunkline_wire::ndjson::Line>) -> Result<(), End> {
        let read = |line: trunkline_wire::ndjson::Line| match line.text {
            Ok(text) if text.trim_ascii().is_empty() => None,
            Ok(text) => Some(Request::read(&text)),
            Err(error) => Some(Err(Bad { error: error.to_string(), id: None })),
        };
        let mut run = Vec::new();
        for request in lines.into_iter().filter_map(read) {
            match request {
                Ok(request) => {
                    if run.last().is_some_and(|last: &Request| !answer::go_together(&last.op, &request.op)) {
                        self.answer_run(std::mem::take(&mut run)).await?;
                    }
                    run.push(request);
                }
                Err(Bad { error, id }) => {
                    self.answer_run(std::mem::take(&mut run)).await?;
                    Reply::error(id.as_deref(), &error).end(&mut self.out);
                }
            }
        }
        self.answer_run(run).await
    }
}

/// Whether it is a browser, or another client of HTTP or TLS, that has the wrong port: nothing of it is to be read as a
/// request.
fn is_http(bytes: &[u8]) -> bool {
    /// How every TLS connection begins.
    const HANDSHAKE: u8 = 0x16;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let is_method = bytes.iter().take_while(|byte| byte.is_ascii_uppercase()).count() > 2;
    bytes.first() == Some(&HANDSHAKE) || is_method || line.trim_ascii_end().ends_with(b"HTTP/1.1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_speaks_http_is_known_by_its_first_line() {
        for http in
            ["GET / HTTP/1.1\r\n", "POST /x", "OPTIONS * HTTP/1.1", "PRI * HTTP/2.0\r\n", "\x16\x03\x01"]
        {
            assert!(is_http(http.as_bytes()), "{http}");
        }
        for ours in ["{\"op\": \"ping\"}\n", "\r\n{\"op\"", "", "5\n"] {
            assert!(!is_http(ours.as_bytes()), "{ours}");
        }
    }
}
