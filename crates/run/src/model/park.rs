//! A turn that meets a provider's limit may wait until that is over, once, where its profile says so.

use serde_json::json;
use trunkline_core::raw::Raw;
use trunkline_core::time::Time;
use trunkline_wire::model::{Failure, FailureKind};

use crate::driver::SessionPort;
use crate::profiles::Ready;
use crate::turn::Turn;

/// Until when to wait, if that is what to do about a failure.
pub(super) fn until(port: &SessionPort, ready: &Ready, failure: &Failure) -> Option<Time> {
    let park = ready.profile.park.filter(|_| failure.kind == FailureKind::RateLimited)?;
    let after = u64::try_from(failure.retry_after?.as_millis()).unwrap_or(u64::MAX);
    park.until(port.cells.now(), after)
}

/// Waits. `false`: the turn is to stop.
pub(super) async fn wait(
    port: &SessionPort,
    ready: &Ready,
    turn: &Turn,
    failure: &Failure,
    until: Time,
) -> bool {
    let data = json!({ "until": until, "code": failure.kind.code(), "profile": ready.name });
    let message = format!(
        "{} The turn waits until {until}, and then goes on by itself, once.",
        super::stream::sentence(&failure.message)
    );
    turn.note("parked", message, Raw::of(&data).ok()).await;
    tokio::select! {
        biased;
        _ = turn.stopping() => return false,
        () = port.cells.clock().sleep_until(until) => {}
    }
    turn.note("resumed", "The provider's limit should be over: the model is asked again.", None).await;
    true
}
