//! What has to be written is tried until the store takes it.

use std::time::Duration;

use trunkline_log::{AppendError, LogError};

use crate::cell::CommandError;

/// The pause before the first retry. Each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The longest pause.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// Writes, however long the store refuses.
///
/// # Errors
/// When trying again is of no use: nobody wants it any more, because the rules refuse it or the log is gone, or it can never
/// be kept.
pub(crate) async fn persist<T, F: Future<Output = Result<T, CommandError>>>(
    what: &str,
    write: impl Fn() -> F,
) -> Result<T, CommandError> {
    let mut pause = FIRST_PAUSE;
    loop {
        match write().await {
            Ok(written) => return Ok(written),
            Err(error) if is_final(&error) => return Err(error),
            Err(error) => {
                tracing::error!(%error, "{what} cannot be written; trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(MAX_PAUSE);
            }
        }
    }
}

/// Whether the same command would fail again.
pub(crate) const fn is_final(error: &CommandError) -> bool {
    match error {
        CommandError::Refused(_) | CommandError::Stopping => true,
        CommandError::Append(error) => matches!(error, AppendError::TooLarge { .. } | AppendError::Gone),
        CommandError::Read(error) => matches!(error, LogError::Gone),
    }
}
