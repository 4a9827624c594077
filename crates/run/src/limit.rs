//! A limit on how many turns run at a time, over all sessions. Those beyond it wait in the order in which they came, and say
//! so.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Semaphore;
use trunkline_core::turn::{Outcome, StopReason};

use crate::driver::{Driver, Host, SessionPort};
use crate::runner::Drivers;
use crate::turn::Turn;

/// The same drivers, which together run so many turns at a time.
#[must_use]
pub fn limited(drivers: Drivers, turns: usize) -> Drivers {
    let places = Arc::new(Semaphore::new(turns.min(Semaphore::MAX_PERMITS)));
    let limit =
        |driver| -> Arc<dyn Driver> { Arc::new(Limited { driver, turns, places: Arc::clone(&places) }) };
    drivers.into_iter().map(|(name, driver)| (name, limit(driver))).collect()
}

struct Limited {
    driver: Arc<dyn Driver>,
    turns: usize,
    places: Arc<Semaphore>,
}

struct LimitedHost {
    host: Box<dyn Host>,
    turns: usize,
    places: Arc<Semaphore>,
}

impl Driver for Limited {
    fn host(&self, port: SessionPort) -> Box<dyn Host> {
        let host = self.driver.host(port);
        Box::new(LimitedHost { host, turns: self.turns, places: Arc::clone(&self.places) })
    }
}

#[async_trait]
impl Host for LimitedHost {
    async fn turn(&mut self, turn: &Turn) -> Outcome {
        let _place = match self.places.try_acquire() {
            Ok(place) => place,
            Err(_) => {
                let message =
                    format!("{} turns run already; this one begins when one of them ends", self.turns);
                turn.note("waits_for_its_place", message, None).await;
                tokio::select! {
                    biased;
                    _ = turn.stopping() => return Outcome::of(StopReason::Cancelled),
                    place = self.places.acquire() => place.expect("it is never closed"),
                }
            }
        };
        self.host.turn(turn).await
    }

    async fn idle(&mut self) {
        self.host.idle().await;
    }

    async fn end(&mut self) {
        self.host.end().await;
    }

    async fn kill(&mut self) {
        self.host.kill().await;
    }
}
