//! The rows of the table: each starts the daemon it needs, and gives its figures.

mod answer;
mod appends;
mod attach;
mod binary;
mod bus;
mod deliver;
mod fanout;
mod hub;
mod idle;
mod paced;
mod replay;
mod scale;
mod start;
mod streams;

use anyhow::Result;
use clap::ValueEnum;

use crate::Bench;
use crate::report::Figure;
use crate::router;
use crate::store::Past;

/// How many sessions lie on disk where there are many.
const MANY: usize = 10_000;
/// What each of them has behind it.
const SHORT: Past = Past { updates: 8, per_frame: 2 };

/// A row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Name {
    /// The size of the binary
    Binary,
    /// From the start of the process to the first answers, with ten thousand sessions on disk
    Start,
    /// The memory of a daemon that does nothing
    Idle,
    /// The memory of a thousand streams that wait
    Streams,
    /// From a command to the events at a hundred streams
    Deliver,
    /// Two hundred events a second to one, a hundred and a thousand streams
    Paced,
    /// As many events as can be to one, a hundred and a thousand streams
    Fanout,
    /// A long log from the first event to the last
    Replay,
    /// From a connection to everything a session has
    Attach,
    /// Durable commands per second
    Appends,
    /// From a question to the answer at the agent
    Answer,
    /// The original agent bus's keys: sixteen connections, and requests that do not wait for each other
    Bus,
    /// The original human-input hub's clients, and five hundred polls that wait
    Hub,
    /// Ten thousand sessions, a thousand streams, every endpoint
    Scale,
    /// The stdio router beside a relay that only copies bytes
    Router,
}

impl Name {
    pub(crate) fn text(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    pub(crate) async fn measure(self, bench: &Bench) -> Result<Vec<Figure>> {
        match self {
            Self::Binary => binary::measure(bench),
            Self::Start => start::measure(bench).await,
            Self::Idle => idle::measure(bench).await,
            Self::Streams => streams::measure(bench).await,
            Self::Deliver => deliver::measure(bench).await,
            Self::Paced => paced::measure(bench).await,
            Self::Fanout => fanout::measure(bench).await,
            Self::Replay => replay::measure(bench).await,
            Self::Attach => attach::measure(bench).await,
            Self::Appends => appends::measure(bench).await,
            Self::Answer => answer::measure(bench).await,
            Self::Bus => bus::measure(bench).await,
            Self::Hub => hub::measure(bench).await,
            Self::Scale => scale::measure(bench).await,
            Self::Router => router::measure(&bench.router, &bench.dir, bench.span),
        }
    }
}
