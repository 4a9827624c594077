//! The stdio router as its users run it, beside a relay that only copies bytes between the same client and the same worker.
//!
//! - [`cost`]: system calls and instructions, which no other load of the machine changes.
//! - [`failures`]: how fast an error comes when a worker fails.
//! - [`load`]: clients that keep a number of messages under way.
//! - [`parts`]: the worker that echoes and the dumb relay, both played by this program.
//! - [`peer`]: a router or a relay that is started, and the connections to it.

mod cost;
mod failures;
mod load;
pub(crate) mod parts;
mod peer;

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::report::{Figure, Unit};
use load::Load;
use peer::{Kind, Peer, Way};

/// Messages per second with 100 bytes in them.
const SMALL: f64 = 500e3;
/// The same with 1 KiB.
const MIDDLE: f64 = 300e3;
/// Bytes per second with 64 KiB in each message.
const LARGE: f64 = 1e9;
/// What the router may add to the relay's time, in milliseconds.
const ADDED: f64 = 0.003;

/// A payload, how many of it are under way when messages are pipelined, and the budget.
const SIZES: [(&str, usize, usize, f64, Unit); 3] = [
    ("100 B", 100, 64, SMALL, Unit::PerSecond),
    ("1 KiB", 1 << 10, 48, MIDDLE, Unit::PerSecond),
    ("64 KiB", 64 << 10, 16, LARGE, Unit::BytesPerSecond),
];

/// Measures `router`, the binary.
pub(crate) fn measure(router: &Path, dir: &Path, span: Duration) -> Result<Vec<Figure>> {
    let mut figures = vec![size(router)?];
    for way in Way::ALL {
        for (name, bytes, window, budget, unit) in SIZES {
            let one = |kind, load| -> Result<_> { Peer::start(kind, way, 1, dir)?.run(load, 1, span) };
            let sequential = Load { bytes, window: 1, session: true };
            let (ours, relay) = (one(Kind::Router(router), sequential)?, one(Kind::Relay, sequential)?);
            let median = relay.took.median();
            let what = format!("{way}, {name}, one after the other");
            let figure = Figure::new(what, ours.took.median(), Unit::Milliseconds);
            figures.push(figure.at_most(median + ADDED).beside("relay", median).note(tail(&ours)));

            let pipelined = Load { window, ..sequential };
            let (ours, relay) = (one(Kind::Router(router), pipelined)?, one(Kind::Relay, pipelined)?);
            let scale = if unit == Unit::BytesPerSecond { bytes as f64 } else { 1.0 };
            let what = format!("{way}, {name}, {window} under way");
            let figure = Figure::new(what, ours.per_second * scale, unit).at_least(budget);
            figures.push(figure.beside("relay", relay.per_second * scale));
        }
    }
    for (workers, clients, window) in [(4, 1, 64), (1, 32, 1), (4, 32, 1), (4, 32, 4)] {
        let load = Load { bytes: 100, window, session: clients > 1 };
        let ran = Peer::start(Kind::Router(router), Way::Tcp, workers, dir)?.run(load, clients, span)?;
        let what = format!("tcp, 100 B, {workers} workers, {clients} clients, {window} under way");
        figures.push(Figure::new(what, ran.per_second, Unit::PerSecond).note(tail(&ran)));
    }
    figures.extend(failures::measure(router, dir)?);
    figures.extend(cost::measure(router, dir)?);
    Ok(figures)
}

fn size(router: &Path) -> Result<Figure> {
    let bytes = std::fs::metadata(router)?.len() as f64;
    Ok(Figure::new("stripped release binary", bytes, Unit::Bytes).at_most(2e6))
}

fn tail(ran: &load::Ran) -> String {
    let (p50, p99) = (ran.took.median() * 1e3, ran.took.percentile(99) * 1e3);
    format!("p50 {p50:.1} µs, p99 {p99:.1} µs; {:.0} messages/s", ran.per_second)
}
