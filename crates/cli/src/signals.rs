//! Signals that end the daemon.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that end the daemon, noted from when this is made.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// The terminal of a daemon in the foreground was closed.
    hangup: Signal,
}

impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the first one, and gives its name.
    pub(crate) async fn stop(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.hangup.recv() => "SIGHUP",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// Whoever signals twice does not want to wait. A terminal that is closed may say so more than once.
    pub(crate) fn exit_at_the_next(mut self) {
        #[expect(clippy::disallowed_methods, reason = "it outlives everything and ends the process")]
        let watch = tokio::spawn(async move {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
            std::process::exit(130);
        });
        drop(watch);
    }
}
