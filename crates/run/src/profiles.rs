//! The profiles there are: those of the user's file, those that keys in the environment suggest, and those that were made.
//!
//! A profile says where a model is; its secrets lie apart, in the user's file, in a variable, or in the store.

mod detect;
mod made;
mod overlay;
mod test;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use trunkline_core::profile::{Effort, Profile, Provider};
use trunkline_core::refused::Refused;
use trunkline_core::spending::DailyBudget;
use trunkline_wire::model::{self, Endpoint, Secret, Shows, Wire};

use crate::http::Http;
use crate::secrets::{Secrets, SecretsError};
use overlay::Overlay;

pub(crate) use made::Keep as KeepMade;
pub(crate) use made::check_secret;
pub use made::{MAX_SECRET, NotChanged, SecretChange};
pub use overlay::{FIELDS, variable};
pub use test::{TestError, Tested};

/// How long a provider may say nothing unless its profile says.
const TIMEOUT: Duration = Duration::from_secs(180);

/// All profiles. Cheap to clone. The default has none, and keeps no secret.
#[derive(Clone, Debug, Default)]
pub struct Profiles(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    file: BTreeMap<String, OfFile>,
    detected: Vec<(String, Profile)>,
    made: RwLock<BTreeMap<String, Profile>>,
    env: BTreeMap<String, Secret>,
    overlay: Overlay,
    secrets: Secrets,
    http: Http,
    daily_budget: OnceLock<DailyBudget>,
}

/// A profile of the user's file, with the secrets that stand there.
#[derive(Clone, Debug)]
pub struct OfFile {
    /// The profile.
    pub profile: Profile,
    /// Its key, if that stands there.
    pub api_key: Option<Secret>,
    /// Its headers.
    pub headers: Vec<(String, Secret)>,
}

/// Where a profile comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ProfileSource")]
pub enum Source {
    /// `config.toml`: it is changed there.
    File,
    /// A key in the daemon's environment.
    Environment,
    /// It was made through the API.
    Made,
}

/// A profile as lists show it. No secret is in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ProfileView")]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Where it comes from.
    pub source: Source,
    /// Whether it is the one that is taken if none is named.
    pub default: bool,
    /// Whether it has a key. The key itself is never told.
    pub has_api_key: bool,
    /// Why it cannot be used, and what to do about it; absent if it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The address that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The profile itself.
    #[serde(flatten)]
    pub profile: Profile,
}

/// A profile made ready to be used.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Its name.
    pub name: String,
    /// The profile.
    pub profile: Profile,
    /// Where the model is, with all secrets.
    pub endpoint: Endpoint,
}

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NoProfile {
    /// There is none at all.
    #[error(
        "there is no profile of a model: set a provider's key in the daemon's environment, such as ANTHROPIC_API_KEY, or \
         make one with `trunkline profiles add`; `trunkline profiles` says how"
    )]
    None,
    /// None has this name.
    #[error("there is no profile {0}; `trunkline profiles` shows those that are there")]
    Unknown(String),
    /// It has no key.
    #[error("the profile {name} has no key: {hint}")]
    NoKey {
        /// Its name.
        name: String,
        /// What to do.
        hint: String,
    },
    /// It contradicts itself.
    #[error("the profile {name} cannot be used: {why}")]
    Bad {
        /// Its name.
        name: String,
        /// Why.
        why: Refused,
    },
}

impl Profiles {
    /// Gathers those of the file and those that the daemon's environment suggests.
    #[must_use]
    pub fn new(file: BTreeMap<String, OfFile>, env: &[(OsString, OsString)], secrets: Secrets) -> Self {
        let text = |(name, value): &(OsString, OsString)| {
            let value = value.to_str().filter(|value| !value.trim().is_empty())?;
            Some((name.to_str()?.to_owned(), value.to_owned()))
        };
        let env: BTreeMap<String, String> = env.iter().filter_map(text).collect();
        let overlay = Overlay::of(&env);
        let detected = if overlay.detects_nothing { Vec::new() } else { detect::all(&env) };
        let env = env.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
        Self(Arc::new(Inner {
            file,
            detected,
            made: RwLock::default(),
            env,
            overlay,
            secrets,
            http: Http::default(),
            daily_budget: OnceLock::new(),
        }))
    }

    /// With what all of them together may use on a day before a person is asked. It is said once.
    #[must_use]
    pub fn with_daily_budget(self, budget: Option<DailyBudget>) -> Self {
        if let Some(budget) = budget {
            self.0.daily_budget.get_or_init(|| budget);
        }
        self
    }

    /// What all of them together may use on a day.
    #[must_use]
    pub fn daily_budget(&self) -> Option<DailyBudget> {
        self.0.daily_budget.get().copied()
    }

    /// All of them: the file's, then those that were made, then what was detected. A name counts once.
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        let mut all: Vec<(String, Source, Profile)> = Vec::new();
        let file = self.0.file.iter().map(|(name, of)| (name.clone(), Source::File, of.profile.clone()));
        all.extend(file);
        let made = self.made();
        let detected = self
            .0
            .detected
            .iter()
            .map(|(name, profile)| (name.clone(), Source::Environment, profile.clone()));
        let more = made.into_iter().map(|(name, profile)| (name, Source::Made, profile)).chain(detected);
        for one in more {
            if !all.iter().any(|(name, ..)| *name == one.0) {
                all.push(one);
            }
        }
        for (name, _, profile) in &mut all {
            self.0.overlay.change(name, profile);
        }
        let first = self.default_of(&all);
        let listed = |(place, (name, source, profile)): (usize, (String, Source, Profile))| Listed {
            has_api_key: self.key(&name, &profile).is_some(),
            default: Some(place) == first,
            address: profile.address().map(str::to_owned),
            why: self.check(&name, &profile).err().map(|error| error.to_string()),
            name,
            source,
            profile,
        };
        all.into_iter().enumerate().map(listed).collect()
    }

    /// The one of this name that was made, without what the environment changes of it.
    #[must_use]
    pub fn plain(&self, name: &str) -> Option<Profile> {
        self.made().get(name).cloned()
    }

    /// Whether a variable is set in the daemon's environment.
    #[must_use]
    pub fn is_set(&self, variable: &str) -> bool {
        self.0.env.contains_key(variable)
    }

    /// The one of this name, as lists show it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Listed> {
        self.list().into_iter().find(|listed| listed.name == name)
    }

    /// The one called `default`, if it can be used, else the first that can; else the first, which tells what it lacks.
    fn default_of(&self, all: &[(String, Source, Profile)]) -> Option<usize> {
        let usable = |(name, _, profile): &&(String, Source, Profile)| self.check(name, profile).is_ok();
        let named = all.iter().position(|one| one.0 == "default" && usable(&one));
        let first = || all.iter().position(|one| usable(&one));
        named.or_else(first).or_else(|| (!all.is_empty()).then_some(0))
    }

    /// Whether it can be used.
    fn check(&self, name: &str, profile: &Profile) -> Result<(), NoProfile> {
        let has_key = self.key(name, profile).is_some();
        if !has_key && profile.provider.wants_key() && profile.headers.is_empty() {
            let hint = match &profile.api_key_env {
                Some(variable) => format!(
                    "the daemon's environment has no {variable}; set a key with `trunkline profiles key {name}`, or start \
                     the daemon with that variable"
                ),
                None => format!(
                    "set one with `trunkline profiles key {name}`, or name a variable in `api_key_env`"
                ),
            };
            return Err(NoProfile::NoKey { name: name.to_owned(), hint });
        }
        profile.check(has_key).map_err(|why| NoProfile::Bad { name: name.to_owned(), why })
    }

    /// The profile of this name, or the default one, ready to be used.
    ///
    /// # Errors
    /// [`NoProfile`].
    pub fn ready(&self, name: Option<&str>) -> Result<Ready, NoProfile> {
        let all = self.list();
        let found = match name {
            Some(name) => all
                .into_iter()
                .find(|listed| listed.name == name)
                .ok_or_else(|| NoProfile::Unknown(name.to_owned()))?,
            None => all.into_iter().find(|listed| listed.default).ok_or(NoProfile::None)?,
        };
        let Listed { name, profile, .. } = found;
        self.check(&name, &profile)?;
        let endpoint = self.endpoint(&name, &profile, self.key(&name, &profile));
        Ok(Ready { name, profile, endpoint })
    }

    /// The client by which providers are asked.
    pub(crate) fn http(&self) -> &Http {
        &self.0.http
    }

    /// Takes those that were made: all of them, in place of what there was.
    fn take_made(&self, made: BTreeMap<String, Profile>) {
        *self.0.made.write().unwrap_or_else(PoisonError::into_inner) = made;
    }

    /// Whether the user's file has one of this name.
    fn is_of_file(&self, name: &str) -> bool {
        self.0.file.contains_key(name)
    }

    /// Keeps the key of a profile, or takes it away. Blocks.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn set_key(&self, name: &str, key: Option<Secret>) -> Result<(), SecretsError> {
        self.0.secrets.set([(key_name(name), key)])
    }

    /// Keeps the value of a header of a profile, or takes it away. Blocks.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn set_headers(
        &self,
        name: &str,
        headers: Vec<(String, Option<Secret>)>,
    ) -> Result<(), SecretsError> {
        self.0.secrets.set(headers.into_iter().map(|(header, value)| (header_name(name, &header), value)))
    }

    fn made(&self) -> BTreeMap<String, Profile> {
        self.0.made.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn key(&self, name: &str, profile: &Profile) -> Option<Secret> {
        let of_file = || self.0.file.get(name)?.api_key.clone();
        let of_env = || self.0.env.get(profile.api_key_env.as_ref()?).cloned();
        let named = || self.0.secrets.get(&key_name(name)).or_else(of_file).or_else(of_env);
        self.0.overlay.key(name).or_else(named)
    }

    fn endpoint(&self, name: &str, profile: &Profile, key: Option<Secret>) -> Endpoint {
        let (wire, mut shows) = match profile.provider {
            Provider::Anthropic => (Wire::Messages, Shows::Usual),
            Provider::OpenaiResponses => (Wire::Responses, Shows::Usual),
            Provider::Gemini => (Wire::Gemini, Shows::Usual),
            Provider::AzureOpenai => (Wire::Chat, Shows::Azure),
            Provider::Openai
            | Provider::Openrouter
            | Provider::Ollama
            | Provider::Lmstudio
            | Provider::Custom => (Wire::Chat, Shows::Usual),
        };
        if profile.api_key_env.as_deref() == Some(detect::ANTHROPIC_BEARER) {
            shows = Shows::Bearer;
        }
        let of_file = self.0.file.get(name).map(|of| of.headers.as_slice()).unwrap_or_default();
        let of_env = self.0.overlay.headers(name);
        let value = |header: &String| {
            let set = of_env.iter().find(|(other, _)| other.eq_ignore_ascii_case(header));
            if let Some((_, value)) = set {
                return Some((header.clone(), value.clone()));
            }
            let stored = self.0.secrets.get(&header_name(name, header));
            let of_file =
                || of_file.iter().find(|(other, _)| other == header).map(|(_, value)| value.clone());
            Some((header.clone(), stored.or_else(of_file)?))
        };
        let headers = profile.headers.iter().filter_map(value).collect();
        let api_version = match (profile.provider, &profile.api_version) {
            (Provider::AzureOpenai, None) => Some("2024-10-21".to_owned()),
            (_, version) => version.clone(),
        };
        Endpoint {
            shows,
            api_version,
            headers,
            ..Endpoint::new(wire, profile.address().unwrap_or_default(), key)
        }
    }
}

impl Ready {
    /// How much the model thinks.
    #[must_use]
    pub fn effort(&self) -> Option<model::Effort> {
        self.profile.effort.map(|effort| match effort {
            Effort::Low => model::Effort::Low,
            Effort::Medium => model::Effort::Medium,
            Effort::High => model::Effort::High,
        })
    }

    /// How many tokens the model can read.
    #[must_use]
    pub fn context(&self) -> u64 {
        self.profile.context.unwrap_or_else(|| self.profile.provider.context())
    }

    /// How long its provider may say nothing.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.profile.timeout_s.map_or(TIMEOUT, Duration::from_secs)
    }
}

fn key_name(profile: &str) -> String {
    format!("profiles/{profile}/api_key")
}

fn header_name(profile: &str, header: &str) -> String {
    format!("profiles/{profile}/headers/{}", header.to_ascii_lowercase())
}

#[cfg(test)]
mod tests;
