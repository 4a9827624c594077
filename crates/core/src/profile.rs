//! Profiles: where a model is, and how it is asked. No secret is among this.

mod book;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::budget::Budget;
use crate::park::Park;
use crate::refused::Refused;
use crate::spending::DailyBudget;
use crate::text::check_name;

pub use book::{Book, Command as ProfileCommand, Deleted as ProfileDeleted, MAX_PROFILES, Put as ProfilePut};

/// How many characters the name of a profile may have.
pub const MAX_NAME: usize = 64;
/// How many characters an address may have.
pub const MAX_URL: usize = 2_048;
/// How many headers a profile may add.
pub const MAX_HEADERS: usize = 32;

/// Where a model is, and how it is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Who runs the model.
    pub provider: Provider,
    /// The model, by its provider's name.
    pub model: String,
    /// The provider's address, where it is not the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The variable of the daemon's environment that holds the key, where it is not in the daemon's own store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_env: Option<String>,
    /// The names of headers that are sent along. Their values are secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    /// Azure's `api-version`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The most tokens of one answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// How much chance there is in answers, from 0 to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    /// How much of the likely words is chosen from, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f32>,
    /// How much the model thinks before it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<Effort>,
    /// How many tokens the model can read. A conversation that comes near it is made shorter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<u64>,
    /// How often the model is asked in one turn at most; 100 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u32>,
    /// How many seconds the provider may say nothing; 180 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u64>,
    /// Whether the model may call tools; it may if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<bool>,
    /// What tokens cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<Prices>,
    /// What a session may use before a person is asked whether it may go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// What all sessions together may use of it on a day before a person is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily_budget: Option<DailyBudget>,
    /// That a turn which meets the provider's limit waits until it is over. Absent: it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub park: Option<Park>,
}

/// Who runs a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// Anthropic, by messages.
    Anthropic,
    /// OpenAI, by chat completions.
    Openai,
    /// OpenAI, by responses.
    OpenaiResponses,
    /// OpenAI's models at Azure.
    AzureOpenai,
    /// Google's Gemini.
    Gemini,
    /// OpenRouter.
    Openrouter,
    /// Ollama on this machine.
    Ollama,
    /// LM Studio on this machine.
    Lmstudio,
    /// Anything else that takes OpenAI's chat completions.
    Custom,
}

/// How much a model thinks before it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    /// A little.
    Low,
    /// As much as it takes.
    Medium,
    /// A lot.
    High,
}

/// What a million tokens cost, in US dollars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Prices {
    /// Read, and not from a cache.
    pub input: f64,
    /// Written.
    pub output: f64,
    /// Read from a cache.
    pub cache_read: f64,
    /// Written into a cache.
    pub cache_write: f64,
}

impl Provider {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Anthropic,
        Self::Openai,
        Self::OpenaiResponses,
        Self::AzureOpenai,
        Self::Gemini,
        Self::Openrouter,
        Self::Ollama,
        Self::Lmstudio,
        Self::Custom,
    ];

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::Openai => "openai",
            Self::OpenaiResponses => "openai_responses",
            Self::AzureOpenai => "azure_openai",
            Self::Gemini => "gemini",
            Self::Openrouter => "openrouter",
            Self::Ollama => "ollama",
            Self::Lmstudio => "lmstudio",
            Self::Custom => "custom",
        }
    }

    /// Its usual address, if it has one.
    #[must_use]
    pub const fn base_url(self) -> Option<&'static str> {
        match self {
            Self::Anthropic => Some("https://api.anthropic.com"),
            Self::Openai | Self::OpenaiResponses => Some("https://api.openai.com/v1"),
            Self::Gemini => Some("https://generativelanguage.googleapis.com"),
            Self::Openrouter => Some("https://openrouter.ai/api/v1"),
            Self::Ollama => Some("http://127.0.0.1:11434/v1"),
            Self::Lmstudio => Some("http://127.0.0.1:1234/v1"),
            Self::AzureOpenai | Self::Custom => None,
        }
    }

    /// Whether it is of no use without a key.
    #[must_use]
    pub const fn wants_key(self) -> bool {
        !matches!(self, Self::Ollama | Self::Lmstudio | Self::Custom)
    }

    /// How many tokens its models can usually read.
    #[must_use]
    pub const fn context(self) -> u64 {
        match self {
            Self::Anthropic => 200_000,
            Self::Gemini => 1_000_000,
            Self::Openai | Self::OpenaiResponses | Self::AzureOpenai | Self::Openrouter | Self::Custom => {
                128_000
            }
            Self::Ollama | Self::Lmstudio => 32_000,
        }
    }
}

impl Profile {
    /// One of which only the necessary is said.
    pub fn new(provider: Provider, model: impl Into<String>) -> Self {
        Self {
            provider,
            model: model.into(),
            base_url: None,
            api_key_env: None,
            headers: Vec::new(),
            api_version: None,
            description: String::new(),
            max_tokens: None,
            temperature: None,
            top_p: None,
            effort: None,
            context: None,
            max_steps: None,
            timeout_s: None,
            tools: None,
            prices: None,
            budget: None,
            daily_budget: None,
            park: None,
        }
    }

    /// The address that counts, if there is one.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        self.base_url.as_deref().or_else(|| self.provider.base_url())
    }

    /// Checks it, with whether it has a key.
    ///
    /// # Errors
    /// `Invalid`, with the field.
    pub fn check(&self, has_key: bool) -> Result<(), Refused> {
        check_name("model", &self.model, 255)?;
        let Some(address) = self.address() else {
            return Err(Refused::invalid(
                "base_url",
                "must be given for this provider, which has no usual address",
            ));
        };
        check_name("base_url", address, MAX_URL)?;
        check_address("base_url", address, has_key || !self.headers.is_empty())?;
        let variable =
            |name: &String| !name.is_empty() && name.len() <= 255 && !name.contains(['=', '\0', ' ']);
        if !self.api_key_env.iter().all(variable) {
            return Err(Refused::invalid("api_key_env", "must be the name of a variable"));
        }
        if self.headers.len() > MAX_HEADERS {
            return Err(Refused::TooMany { what: "headers", limit: MAX_HEADERS });
        }
        let token = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.headers.iter().any(|name| name.is_empty() || name.len() > 100 || !name.chars().all(token)) {
            return Err(Refused::invalid("headers", "have names of letters, digits, `-`, `_` and `.`"));
        }
        let within = |value: Option<f32>, to: f32| value.is_none_or(|value| (0.0..=to).contains(&value));
        if !within(self.temperature, 2.0) {
            return Err(Refused::invalid("temperature", "must be from 0 to 2"));
        }
        if !within(self.top_p, 1.0) {
            return Err(Refused::invalid("top_p", "must be from 0 to 1"));
        }
        if self.max_tokens == Some(0) || self.max_steps == Some(0) || self.timeout_s == Some(0) {
            return Err(Refused::invalid("max_tokens, max_steps and timeout_s", "must be 1 or more"));
        }
        if self.context.is_some_and(|context| context < 4_000) {
            return Err(Refused::invalid("context", "must be 4000 tokens or more"));
        }
        if let Some(budget) = &self.budget {
            budget.check()?;
        }
        if let Some(budget) = &self.daily_budget {
            budget.check()?;
        }
        if let Some(park) = &self.park {
            park.check()?;
        }
        if self.description.chars().count() > 1_000 {
            return Err(Refused::invalid("description", "must have 1000 characters at most"));
        }
        Ok(())
    }
}

/// Checks the name of a profile.
///
/// # Errors
/// `Invalid`.
pub fn check_profile_name(name: &str) -> Result<(), Refused> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(fits) {
        let why = "must be 1 to 64 letters, digits, `-`, `_` or `.`";
        return Err(Refused::invalid("name", why));
    }
    Ok(())
}

/// A secret travels no network in the clear.
pub(crate) fn check_address(field: &'static str, address: &str, secret: bool) -> Result<(), Refused> {
    let host = |rest: &str| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = match authority.strip_prefix('[') {
            Some(v6) => v6.split(']').next().unwrap_or_default(),
            None => authority.split(':').next().unwrap_or_default(),
        };
        (!authority.contains('@') && !host.is_empty()).then(|| host.to_owned())
    };
    let (secure, rest) = match address.split_once("://") {
        Some(("https", rest)) => (true, rest),
        Some(("http", rest)) => (false, rest),
        _ => return Err(Refused::invalid(field, "must begin with https:// or http://")),
    };
    let Some(host) = host(rest) else {
        return Err(Refused::invalid(field, "must name a host, and no user or password"));
    };
    // An address is shown; a key in it would be too.
    if address.contains(['?', '#']) {
        return Err(Refused::invalid(field, "must have no `?` and no `#`: a key has its own place"));
    }
    let local = host == "localhost"
        || host == "::1"
        || host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback());
    if secret && !secure && !local {
        return Err(Refused::invalid(field, "must be https:// where a key is sent, except on this machine"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(address: &str, key: bool) -> bool {
        let profile = Profile { base_url: Some(address.to_owned()), ..Profile::new(Provider::Custom, "m") };
        profile.check(key).is_ok()
    }

    #[test]
    fn a_key_travels_no_network_in_the_clear() {
        for fine in ["https://a.example/v1", "http://localhost:1/v1", "http://127.0.0.2", "http://[::1]:80/"]
        {
            assert!(address(fine, true), "{fine}");
        }
        for bad in [
            "http://a.example",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example/",
            "ftp://x",
            "x",
            "https://",
            "https://u:p@h",
            "https://h/v1?key=k",
        ] {
            assert!(!address(bad, true), "{bad}");
        }
        assert!(address("http://10.0.0.7:11434/v1", false), "no secret is sent");
    }

    #[test]
    fn numbers_that_no_provider_takes_are_refused() {
        let bad = |change: fn(&mut Profile)| {
            let mut profile = Profile::new(Provider::Anthropic, "m");
            assert!(profile.check(true).is_ok());
            change(&mut profile);
            profile.check(true).unwrap_err().to_string()
        };
        assert!(bad(|profile| profile.temperature = Some(2.1)).contains("temperature"));
        assert!(bad(|profile| profile.top_p = Some(f32::NAN)).contains("top_p"));
        assert!(bad(|profile| profile.max_tokens = Some(0)).contains("max_tokens"));
        assert!(bad(|profile| profile.model = String::new()).contains("model"));
        assert!(bad(|profile| profile.headers = vec!["a b".to_owned()]).contains("headers"));
        assert!(check_profile_name("a/b").is_err() && check_profile_name("").is_err());
        assert!(check_profile_name("claude-4.5_x").is_ok());
    }

    #[test]
    fn every_provider_is_read_by_its_name() {
        for provider in Provider::ALL {
            let json = format!("\"{}\"", provider.name());
            assert_eq!(serde_json::from_str::<Provider>(&json).unwrap(), provider);
        }
    }
}
