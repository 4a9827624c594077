//! The task beside each keep: tells it what is wanted and learns what happens.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use trunkline_wire::ndjson::Decoder;

use super::child::Life;
use super::spawn::{broken, millis};
use super::tail::Tail;
use super::{Inner, orphans};
use crate::keep::control::{Exit, Failure, Order, Report, Start, line};

/// How long stderr may stay open after the tree has ended: a process outside may have been passed the descriptor.
const DRAIN: Duration = Duration::from_millis(200);

/// A report is short but for a failure's message, which holds a path or two.
const MAX_REPORT: usize = 64 * 1024;

/// Everything about one keep, for as long as there is something of it.
pub(super) struct Watch {
    pub(super) inner: Arc<Inner>,
    pub(super) resource: String,
    pub(super) keep: tokio::process::Child,
    pub(super) control: UnixStream,
    pub(super) stop: watch::Receiver<Option<Duration>>,
    pub(super) life: watch::Sender<Life>,
    pub(super) stderr: Tail,
    /// The task that reads stderr, where it is not the command's stdout.
    pub(super) drain: Option<JoinHandle<()>>,
}

/// How a keep took its leave.
enum Leave {
    /// Nothing is left.
    Ended,
    /// Nothing was started.
    Failed(Failure),
    /// Without a word: it was killed.
    Silent,
}

impl Watch {
    /// Starts the command, follows it to its end and takes it off the register.
    pub(super) async fn run(mut self, start: Start) {
        // A keep that is gone takes no orders; that it is gone is seen below.
        drop(self.control.write_all(&line(&Order::Start(Box::new(start)))).await);
        let leave = self.follow().await;
        // The keep has closed its end, unless it talks nonsense: then this ends it.
        drop(self.control);
        let status = self.keep.wait().await;
        if matches!(leave, Leave::Silent) {
            orphans::end(&self.inner).await;
        }
        if let Some(drain) = self.drain {
            let mut drain = pin!(drain);
            if tokio::time::timeout(DRAIN, &mut drain).await.is_err() {
                drain.abort();
            }
        }
        // Whoever learns that this one has ended may start the next.
        self.inner.forget(&self.resource);
        let before = self.life.borrow().clone();
        let after = match (leave, before) {
            (Leave::Failed(failure), _) => Life::Failed(failure),
            (_, Life::Exited(process, exit) | Life::Ended(process, exit)) => Life::Ended(process, exit),
            (_, Life::Running(process)) => Life::Ended(process, Exit::Lost),
            (_, Life::Starting | Life::Failed(_)) => Life::Failed(broken(died(status, &self.stderr.text()))),
        };
        self.life.send_replace(after);
    }

    /// Passes orders on and takes reports until the keep closes its end.
    async fn follow(&mut self) -> Leave {
        let (reader, mut writer) = self.control.split();
        let mut reports = Reports { reader, decoder: Decoder::new(MAX_REPORT) };
        loop {
            tokio::select! {
                report = reports.next() => match report {
                    Some(Report::Started(process)) => drop(self.life.send_replace(Life::Running(process))),
                    Some(Report::Exited(exit)) => self.life.send_modify(|life| {
                        if let Life::Running(process) = *life {
                            *life = Life::Exited(process, exit);
                        }
                    }),
                    Some(Report::Ended) => return Leave::Ended,
                    Some(Report::Failed(failure)) => return Leave::Failed(failure),
                    None => return Leave::Silent,
                },
                // The register holds a sender as long as this runs.
                Ok(()) = self.stop.changed() => {
                    let grace = *self.stop.borrow_and_update();
                    if let Some(grace) = grace {
                        drop(writer.write_all(&line(&Order::Stop { grace_ms: millis(grace) })).await);
                    }
                }
            }
        }
    }
}

struct Reports<R> {
    reader: R,
    decoder: Decoder,
}

impl<R: AsyncReadExt + Unpin> Reports<R> {
    /// The next report; `None` when the keep has closed its end or says what is no report. Cancel-safe.
    async fn next(&mut self) -> Option<Report> {
        loop {
            if let Some(line) = self.decoder.next() {
                return serde_json::from_slice(&line.text.ok()?).ok();
            }
            let mut bytes = [0; 512];
            match self.reader.read(&mut bytes).await {
                Ok(n) if n > 0 => self.decoder.push(&bytes[..n]),
                Ok(_) | Err(_) => return None,
            }
        }
    }
}

/// Why there is no child, from a keep that ended without a word on the socket.
fn died(status: io::Result<std::process::ExitStatus>, said: &str) -> String {
    let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
    format!("trunkline keep ended before it started the command ({status}): {}", said.trim())
}
