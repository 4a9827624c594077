//! Whether a profile works: its model is asked once, for as little as there is.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use trunkline_core::profile::Provider;
use trunkline_wire::model::{Ask, Content, Decoder, Failure, FailureKind, Message};

use super::{NoProfile, Profiles, Ready};

/// How long a test takes at most.
const BOUND: Duration = Duration::from_secs(10);

/// How the test of a profile went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ProfileTested")]
pub struct Tested {
    /// The profile.
    pub profile: String,
    /// Who runs the model.
    pub provider: Provider,
    /// The model.
    pub model: String,
    /// Whether the model answered.
    pub success: bool,
    /// How long that took, in milliseconds.
    pub latency_ms: u64,
    /// What failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<TestError>,
    /// The same for a person, and what to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What failed when a profile was tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ProfileTestError")]
pub enum TestError {
    /// The provider does not take the key.
    AuthenticationFailed,
    /// Too much was asked for in too little time, or there is no money left.
    RateLimited,
    /// The provider was not reached, or the connection broke.
    ConnectionFailed,
    /// There is no key, so nothing was sent.
    MissingKey,
    /// There was no answer within ten seconds.
    Timeout,
    /// Something else; the message says what.
    Other,
}

impl Profiles {
    /// Asks the model of a profile for one token: once, for ten seconds at most. `None` if there is no such profile.
    pub async fn test(&self, name: &str) -> Option<Tested> {
        let listed = self.get(name)?;
        let began = Instant::now();
        let outcome = match self.ready(Some(name)) {
            Ok(ready) => match tokio::time::timeout(BOUND, self.ping(&ready)).await {
                Ok(Ok(())) => None,
                Ok(Err(failure)) => Some(told(ready.endpoint.hide(failure))),
                Err(_) => {
                    let why = format!("there was no answer within {} s", BOUND.as_secs());
                    Some((TestError::Timeout, why))
                }
            },
            Err(error @ NoProfile::NoKey { .. }) => Some((TestError::MissingKey, error.to_string())),
            Err(error @ (NoProfile::None | NoProfile::Unknown(_) | NoProfile::Bad { .. })) => {
                Some((TestError::Other, error.to_string()))
            }
        };
        let (error, message) = outcome.unzip();
        Some(Tested {
            profile: listed.name,
            provider: listed.profile.provider,
            model: listed.profile.model,
            success: error.is_none(),
            latency_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            error,
            message,
        })
    }

    async fn ping(&self, ready: &Ready) -> Result<(), Failure> {
        let messages = [Message::User { content: vec![Content::Text { text: "Hi".to_owned() }] }];
        let ask =
            Ask { model: &ready.profile.model, messages: &messages, max_tokens: Some(1), ..Ask::default() };
        let answered = async {
            // How long all of it may take is for the caller to say.
            let mut body = self.http().post(ready.endpoint.request(&ask), 2 * BOUND).await?;
            let mut decoder = Decoder::new(ready.endpoint.wire, "test-".to_owned());
            while !decoder.is_over() {
                match body.next().await? {
                    Some(bytes) => drop(decoder.push(&bytes)?),
                    None => break,
                }
            }
            decoder.finish().map(drop)
        };
        match answered.await {
            // Who finds one token too few has looked at the key and the model before.
            Err(failure) if failure.kind == FailureKind::InvalidRequest && is_too_few(&failure.message) => {
                Ok(())
            }
            answered => answered,
        }
    }
}

fn is_too_few(message: &str) -> bool {
    ["max_output_tokens", "max_completion_tokens", "max_tokens"].iter().any(|name| message.contains(name))
        && ["minimum", "at least", ">= ", "limit was reached"].iter().any(|words| message.contains(words))
}

fn told(failure: Failure) -> (TestError, String) {
    let error = match failure.kind {
        FailureKind::AuthenticationFailed => TestError::AuthenticationFailed,
        FailureKind::RateLimited => TestError::RateLimited,
        FailureKind::ConnectionFailed => TestError::ConnectionFailed,
        FailureKind::Overloaded
        | FailureKind::ContextTooLong
        | FailureKind::InvalidRequest
        | FailureKind::Broken => TestError::Other,
    };
    (error, failure.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_wants_more_than_one_token_was_reached() {
        for too_few in [
            "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got 1 instead. (status 400)",
            "Could not finish the message because max_tokens or model output limit was reached. (status 400)",
        ] {
            assert!(is_too_few(too_few), "{too_few}");
        }
        assert!(!is_too_few("max_tokens: required (status 400)"));
        assert!(!is_too_few("The model does not exist (status 404)"));
    }
}
