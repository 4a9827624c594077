//! Where a model is, and how it is asked there.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Ask, Failure, chat, gemini, messages, responses};

/// How a provider is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wire {
    /// Anthropic's messages.
    Messages,
    /// OpenAI's chat completions, which most others speak too.
    Chat,
    /// OpenAI's responses.
    Responses,
    /// Gemini's.
    Gemini,
}

/// Where a model is.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// How it is spoken to.
    pub wire: Wire,
    /// Its address, without what the wire adds.
    pub base_url: String,
    /// What one shows there; local servers want none.
    pub key: Option<Secret>,
    /// How that is shown.
    pub shows: Shows,
    /// More headers, by which gateways know whom they serve.
    pub headers: Vec<(String, Secret)>,
    /// Azure's `api-version`.
    pub api_version: Option<String>,
}

/// How a key is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shows {
    /// As the wire has it.
    #[default]
    Usual,
    /// As a bearer's token.
    Bearer,
    /// In Azure's header.
    Azure,
}

/// A text that is not shown by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// What is shorter stands in ordinary words, and is no secret that anybody was given.
const MIN_HIDDEN: usize = 6;

/// A request to be sent with `POST`.
#[derive(Debug)]
pub struct HttpRequest {
    /// Where.
    pub url: String,
    /// Its headers, beside those of every request.
    pub headers: Vec<(String, Secret)>,
    /// Its body, JSON.
    pub body: Vec<u8>,
}

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for whoever must send it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl Endpoint {
    /// An endpoint that wants nothing special.
    pub fn new(wire: Wire, base_url: impl Into<String>, key: Option<Secret>) -> Self {
        let base_url = base_url.into();
        Self { wire, base_url, key, shows: Shows::Usual, headers: Vec::new(), api_version: None }
    }

    /// The request that asks this.
    #[must_use]
    pub fn request(&self, ask: &Ask<'_>) -> HttpRequest {
        let body = match self.wire {
            Wire::Messages => messages::body(ask),
            Wire::Chat => chat::body(ask, self.is_openai()),
            Wire::Responses => responses::body(ask),
            Wire::Gemini => gemini::body(ask),
        };
        let body = serde_json::to_vec(&body).expect("a body has string keys only");
        HttpRequest { url: self.url(ask.model), headers: self.headers(), body }
    }

    /// A failure without this endpoint's secrets, should the provider have quoted one.
    #[must_use]
    pub fn hide(&self, failure: Failure) -> Failure {
        let values = self.headers.iter().map(|(_, value)| value);
        let words = self.key.iter().chain(values).flat_map(|secret| {
            // Of `Bearer …` the second word alone is quoted, too.
            std::iter::once(secret.reveal()).chain(secret.reveal().split_once(' ').map(|(_, rest)| rest))
        });
        let message = words
            .filter(|word| word.len() >= MIN_HIDDEN)
            .fold(failure.message, |message, word| message.replace(word, "[secret]"));
        Failure { message, ..failure }
    }

    fn url(&self, model: &str) -> String {
        let base = self.base_url.trim_end_matches('/');
        let with = |rest: &str| {
            // Whoever gives the whole address means it, and so does who gives the version that stands before the rest.
            let (version, method) = rest.split_once('/').expect("a path has a version and a method");
            if base.ends_with(method) {
                base.to_owned()
            } else if version.is_empty() || base.ends_with(version) {
                format!("{base}/{method}")
            } else {
                format!("{base}/{rest}")
            }
        };
        let url = match self.wire {
            Wire::Messages => with("v1/messages"),
            Wire::Chat => with("/chat/completions"),
            Wire::Responses => with("/responses"),
            Wire::Gemini => {
                let model = model.strip_prefix("models/").unwrap_or(model);
                let base = if has_version(base) { base.to_owned() } else { format!("{base}/v1beta") };
                format!("{base}/models/{model}:streamGenerateContent?alt=sse")
            }
        };
        match &self.api_version {
            Some(version) => {
                format!("{url}{}api-version={version}", if url.contains('?') { '&' } else { '?' })
            }
            None => url,
        }
    }

    fn headers(&self) -> Vec<(String, Secret)> {
        let header = |name: &str, value: Secret| (name.to_owned(), value);
        let bearer = |key: &Secret| header("authorization", Secret(format!("Bearer {}", key.reveal())));
        let key = self.key.as_ref().map(|key| match (self.shows, self.wire) {
            (Shows::Azure, _) => header("api-key", key.clone()),
            (Shows::Usual, Wire::Messages) => header("x-api-key", key.clone()),
            (Shows::Usual, Wire::Gemini) => header("x-goog-api-key", key.clone()),
            (Shows::Usual, Wire::Chat | Wire::Responses) | (Shows::Bearer, _) => bearer(key),
        });
        let version =
            (self.wire == Wire::Messages).then(|| header("anthropic-version", Secret::new("2023-06-01")));
        // A header that the user sets takes the place of ours.
        let ours = key.into_iter().chain(version);
        let ours =
            ours.filter(|(name, _)| !self.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name)));
        ours.chain(self.headers.iter().cloned()).collect()
    }

    /// Whether this is OpenAI itself or Azure, which refuse an older name of a field that others demand.
    fn is_openai(&self) -> bool {
        self.shows == Shows::Azure || self.base_url.contains("api.openai.com")
    }
}

fn has_version(base: &str) -> bool {
    let last = base.rsplit('/').next().unwrap_or_default();
    last.strip_prefix('v').is_some_and(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(wire: Wire, base: &str) -> String {
        Endpoint::new(wire, base, None).url("m")
    }

    #[test]
    fn an_address_may_be_given_with_and_without_its_end() {
        assert_eq!(url(Wire::Messages, "https://api.anthropic.com"), "https://api.anthropic.com/v1/messages");
        assert_eq!(url(Wire::Messages, "https://a/v1/"), "https://a/v1/messages");
        assert_eq!(url(Wire::Messages, "https://a/v1/messages"), "https://a/v1/messages");
        assert_eq!(url(Wire::Chat, "http://localhost:1234/v1"), "http://localhost:1234/v1/chat/completions");
        assert_eq!(url(Wire::Chat, "http://x/v1/chat/completions"), "http://x/v1/chat/completions");
        assert_eq!(url(Wire::Responses, "https://api.openai.com/v1"), "https://api.openai.com/v1/responses");
        let gemini = "https://g/v1beta/models/m:streamGenerateContent?alt=sse";
        assert_eq!(url(Wire::Gemini, "https://g"), gemini);
        assert_eq!(url(Wire::Gemini, "https://g/v1beta"), gemini);
    }

    #[test]
    fn azure_has_its_version_and_its_header() {
        let azure = Endpoint {
            shows: Shows::Azure,
            api_version: Some("2024-10-21".to_owned()),
            ..Endpoint::new(
                Wire::Chat,
                "https://x.openai.azure.com/openai/deployments/d",
                Some(Secret::new("k")),
            )
        };
        let url = "https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21";
        assert_eq!(azure.url("m"), url);
        assert_eq!(azure.headers(), [("api-key".to_owned(), Secret::new("k"))]);
    }

    #[test]
    fn a_header_of_the_users_takes_the_place_of_ours() {
        let mut endpoint = Endpoint::new(Wire::Messages, "https://a", Some(Secret::new("k")));
        let names = |endpoint: &Endpoint| {
            endpoint
                .headers()
                .into_iter()
                .map(|(name, value)| format!("{name}={}", value.reveal()))
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&endpoint), ["x-api-key=k", "anthropic-version=2023-06-01"]);
        endpoint.headers = vec![("X-Api-Key".to_owned(), Secret::new("mine"))];
        assert_eq!(names(&endpoint), ["anthropic-version=2023-06-01", "X-Api-Key=mine"]);
        endpoint.headers.clear();
        endpoint.shows = Shows::Bearer;
        assert_eq!(names(&endpoint)[0], "authorization=Bearer k");
    }

    #[test]
    fn what_a_provider_quotes_of_a_secret_is_hidden() {
        let headers = vec![("authorization".to_owned(), Secret::new("Bearer canary-two"))];
        let endpoint =
            Endpoint { headers, ..Endpoint::new(Wire::Chat, "http://x", Some(Secret::new("canary-one"))) };
        let told = Failure::connection("no such key: canary-one, canary-two");
        assert_eq!(endpoint.hide(told).message, "no such key: [secret], [secret]");
    }

    #[test]
    fn a_secret_is_not_printed() {
        let endpoint = Endpoint::new(Wire::Chat, "http://x", Some(Secret::new("canary")));
        assert!(!format!("{endpoint:?}").contains("canary"));
        assert!(!format!("{:?}", endpoint.request(&Ask::default())).contains("canary"));
    }
}
