//! Keys in the daemon's environment, as profiles.

use std::collections::BTreeMap;

use trunkline_core::profile::{Profile, Provider};

/// Anthropic's token, which is shown as a bearer's.
pub(super) const ANTHROPIC_BEARER: &str = "ANTHROPIC_AUTH_TOKEN";

/// What a key suggests.
struct Known {
    name: &'static str,
    key: &'static str,
    provider: Provider,
    /// Variables that name the model, the first that is set; else this model.
    models: &'static [&'static str],
    model: &'static str,
    /// The variable that holds the address, and the address where the provider has no usual one.
    base: Option<&'static str>,
    base_url: Option<&'static str>,
}

const fn known(name: &'static str, key: &'static str, provider: Provider) -> Known {
    Known { name, key, provider, models: &[], model: "", base: None, base_url: None }
}

/// In this order: the first is the one that is taken if none is named.
const KNOWN: [Known; 9] = [
    Known {
        models: &["ANTHROPIC_MODEL", "ANTHROPIC_DEFAULT_OPUS_MODEL"],
        model: "claude-sonnet-4-5",
        base: Some("ANTHROPIC_BASE_URL"),
        ..known("anthropic-auto", ANTHROPIC_BEARER, Provider::Anthropic)
    },
    Known {
        models: &["ANTHROPIC_MODEL", "ANTHROPIC_DEFAULT_OPUS_MODEL"],
        model: "claude-sonnet-4-5",
        base: Some("ANTHROPIC_BASE_URL"),
        ..known("anthropic-auto", "ANTHROPIC_API_KEY", Provider::Anthropic)
    },
    Known {
        models: &["OPENAI_MODEL"],
        model: "gpt-4.1",
        base: Some("OPENAI_BASE_URL"),
        ..known("openai-auto", "OPENAI_API_KEY", Provider::Openai)
    },
    Known {
        models: &["AZURE_OPENAI_MODEL"],
        model: "gpt-4.1",
        base: Some("AZURE_OPENAI_ENDPOINT"),
        ..known("azure-auto", "AZURE_OPENAI_API_KEY", Provider::AzureOpenai)
    },
    Known {
        models: &["GEMINI_MODEL"],
        model: "gemini-2.5-pro",
        base: Some("GOOGLE_GEMINI_BASE_URL"),
        ..known("gemini-auto", "GEMINI_API_KEY", Provider::Gemini)
    },
    Known {
        models: &["OPENROUTER_MODEL"],
        model: "anthropic/claude-sonnet-4.5",
        ..known("openrouter-auto", "OPENROUTER_API_KEY", Provider::Openrouter)
    },
    Known {
        models: &["XAI_MODEL"],
        model: "grok-4",
        base_url: Some("https://api.x.ai/v1"),
        ..known("xai-auto", "XAI_API_KEY", Provider::Custom)
    },
    Known {
        models: &["ZAI_MODEL"],
        model: "glm-4.6",
        base_url: Some("https://api.z.ai/api/paas/v4"),
        ..known("zai-auto", "ZAI_API_KEY", Provider::Custom)
    },
    Known {
        models: &["MOONSHOT_MODEL"],
        model: "kimi-k2-0905-preview",
        base_url: Some("https://api.moonshot.ai/v1"),
        ..known("kimi-auto", "MOONSHOT_API_KEY", Provider::Custom)
    },
];

/// The profiles that these variables suggest.
pub(super) fn all(env: &BTreeMap<String, String>) -> Vec<(String, Profile)> {
    let mut found: Vec<(String, Profile)> = Vec::new();
    for known in KNOWN.iter().filter(|known| env.contains_key(known.key)) {
        if found.iter().any(|(name, _)| name == known.name) {
            continue;
        }
        let model = known.models.iter().find_map(|name| env.get(*name)).map_or(known.model, String::as_str);
        let given = known.base.and_then(|name| env.get(name)).cloned();
        let base_url = given.or_else(|| known.base_url.map(str::to_owned));
        let base_url = match known.provider {
            // What Azure gives is the resource; the deployment is what stands for a model there.
            Provider::AzureOpenai => match base_url {
                Some(resource) => {
                    Some(format!("{}/openai/deployments/{model}", resource.trim_end_matches('/')))
                }
                None => continue,
            },
            _ => base_url,
        };
        let description = format!("from {} in the daemon's environment", known.key);
        let api_key_env = Some(known.key.to_owned());
        let profile = Profile { base_url, api_key_env, description, ..Profile::new(known.provider, model) };
        // Nothing of the address is told: what is wrong with it may be that it holds a password.
        if let Err(why) = profile.check(true) {
            tracing::warn!(variable = known.base, %why, "{} is not offered", known.name);
            continue;
        }
        found.push((known.name.to_owned(), profile));
    }
    found
}
