//! What variables of the original engine change of profiles: `KOLLAB_{NAME}_{FIELD}` of one, `KOLLAB_{FIELD}` of all.
//!
//! The one for a profile counts before the one for all, and that before what the profile says. One that is blank counts as not
//! set, and one that cannot be read changes nothing.

use std::collections::BTreeMap;

use trunkline_core::profile::{Profile, Provider};
use trunkline_wire::model::Secret;

/// What there is a variable for. That of `STREAMING` changes nothing: what a model says is always read as it comes.
pub const FIELDS: [&str; 12] = [
    "MODEL",
    "PROVIDER",
    "BASE_URL",
    "API_KEY",
    "MAX_TOKENS",
    "TEMPERATURE",
    "TIMEOUT",
    "TOP_P",
    "STREAMING",
    "SUPPORTS_TOOLS",
    "DESCRIPTION",
    "EXTRA_HEADERS",
];

/// The variables of the daemon's environment that begin so.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    all: BTreeMap<String, Secret>,
    /// Whether keys in the environment are to make no profiles.
    pub(super) detects_nothing: bool,
}

/// The variable for a field of a profile, or of all.
#[must_use]
pub fn variable(profile: Option<&str>, field: &str) -> String {
    match profile {
        None => format!("KOLLAB_{field}"),
        Some(name) => {
            let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
            format!("KOLLAB_{}_{field}", name.trim().chars().map(plain).collect::<String>())
        }
    }
}

impl Overlay {
    pub(super) fn of(env: &BTreeMap<String, String>) -> Self {
        let ours = env.iter().filter(|(name, value)| name.starts_with("KOLLAB_") && !value.trim().is_empty());
        let all: BTreeMap<_, _> =
            ours.map(|(name, value)| (name.clone(), Secret::new(value.trim()))).collect();
        let detects_nothing = all.contains_key("KOLLAB_NO_AUTO_DETECT") || all.contains_key("KOLLAB_MODEL");
        Self { all, detects_nothing }
    }

    fn find(&self, profile: &str, field: &str) -> Option<&Secret> {
        let own = self.all.get(&variable(Some(profile), field));
        own.or_else(|| self.all.get(&variable(None, field)))
    }

    pub(super) fn key(&self, profile: &str) -> Option<Secret> {
        self.find(profile, "API_KEY").cloned()
    }

    /// The headers to send along, with their values: an object of texts, in JSON. One that is anything else counts as not set.
    pub(super) fn headers(&self, profile: &str) -> BTreeMap<String, Secret> {
        let Some(text) = self.find(profile, "EXTRA_HEADERS") else { return BTreeMap::new() };
        let headers: BTreeMap<String, String> = serde_json::from_str(text.reveal()).unwrap_or_default();
        let headers = headers.into_iter().map(|(name, value)| (name, Secret::new(value)));
        headers.filter(|(_, value)| super::check_secret("headers", value).is_ok()).collect()
    }

    pub(super) fn change(&self, name: &str, profile: &mut Profile) {
        if self.all.is_empty() {
            return;
        }
        let text = |field: &str| self.find(name, field).map(|value| value.reveal().to_owned());
        if let Some(model) = text("MODEL") {
            profile.model = model;
        }
        let provider = text("PROVIDER");
        if let Some(provider) =
            provider.and_then(|name| Provider::ALL.into_iter().find(|one| one.name() == name))
        {
            profile.provider = provider;
        }
        profile.base_url = text("BASE_URL").or_else(|| profile.base_url.take());
        if let Some(about) = text("DESCRIPTION") {
            profile.description = about;
        }
        for name in self.headers(name).into_keys() {
            if profile.headers.iter().all(|other| !other.eq_ignore_ascii_case(&name)) {
                profile.headers.push(name);
            }
        }
        let number = |field: &str| text(field).and_then(|text| text.parse::<f32>().ok());
        profile.temperature = number("TEMPERATURE").or(profile.temperature);
        profile.top_p = number("TOP_P").or(profile.top_p);
        profile.max_tokens = text("MAX_TOKENS").and_then(|text| text.parse().ok()).or(profile.max_tokens);
        profile.timeout_s = text("TIMEOUT").and_then(|text| text.parse().ok()).or(profile.timeout_s);
        match text("SUPPORTS_TOOLS").map(|text| text.to_ascii_lowercase()).as_deref() {
            Some("false" | "0" | "no" | "off") => profile.tools = Some(false),
            Some("true" | "1" | "yes" | "on") => profile.tools = None,
            Some(_) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_variable_counts_and_a_blank_one_does_not() {
        let env = [
            ("KOLLAB_MY_FAST_1_MODEL", "own"),
            ("KOLLAB_MODEL", "of-all"),
            ("KOLLAB_TEMPERATURE", "0.5"),
            ("KOLLAB_BASE_URL", "  "),
            ("KOLLAB_MAX_TOKENS", "many"),
            ("KOLLAB_MY_FAST_1_API_KEY", "canary"),
            ("KOLLAB_EXTRA_HEADERS", r#"{"x-team":"canary-blue"}"#),
            ("KOLLAB_MY_FAST_1_EXTRA_HEADERS", r#"{"X-A":"canary-a","x-b":" "}"#),
            ("KOLLAB_OTHER_EXTRA_HEADERS", r#"{"x-team":["canary"]}"#),
        ];
        let env = env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let overlay = Overlay::of(&env);
        assert!(overlay.detects_nothing);
        let changed = |name: &str| {
            let mut profile = Profile::new(Provider::Openai, "plain");
            overlay.change(name, &mut profile);
            (profile.model, profile.temperature, profile.base_url, profile.max_tokens)
        };
        assert_eq!(changed("my-fast.1"), ("own".to_owned(), Some(0.5), None, None));
        assert_eq!(changed("other").0, "of-all");
        let headers = |name: &str| {
            let mut profile = Profile::new(Provider::Openai, "plain");
            profile.headers.push("x-a".to_owned());
            overlay.change(name, &mut profile);
            (
                profile.headers,
                overlay
                    .headers(name)
                    .into_values()
                    .map(|value| value.reveal().to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(
            headers("my-fast.1"),
            (vec!["x-a".to_owned()], vec!["canary-a".to_owned()]),
            "no value, no header"
        );
        assert_eq!(headers("third").0, ["x-a", "x-team"]);
        assert_eq!(headers("other"), (vec!["x-a".to_owned()], vec![]), "what cannot be read changes nothing");
        assert_eq!(overlay.key("my-fast.1").unwrap().reveal(), "canary");
        assert!(overlay.key("other").is_none() && !format!("{overlay:?}").contains("canary"));
    }
}
