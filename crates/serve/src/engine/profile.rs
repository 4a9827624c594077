//! Profiles of models, in the engine's fields. No answer has a key, or the value of a header.

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use trunkline_core::principal::Caller;
use trunkline_core::profile::{Profile, Provider, check_profile_name};
use trunkline_run::profiles::{Listed, SecretChange, Source, TestError};
use trunkline_wire::model::Secret;

use super::session::{DEFAULT, INLINE};
use super::{Outcome, answer, ok, read};
use crate::app::App;
use crate::problem::Problem;

/// What stands for a secret in an answer. Whoever sends it back leaves the secret as it is.
const MASK: &str = "********";

pub(super) fn list(app: &App, caller: &Caller) -> Outcome {
    caller.may_list()?;
    let listed: Vec<_> =
        app.hub.profiles().list().into_iter().filter(|listed| !listed.name.starts_with(INLINE)).collect();
    let active = listed.iter().find(|listed| listed.default).map(|listed| listed.name.clone());
    let shown: Vec<_> = listed.iter().map(shown).collect();
    Ok(ok(&json!({ "count": shown.len(), "profiles": shown, "active": active })))
}

/// The one of this name; `default` is the one that is taken if none is named.
pub(super) fn find(app: &App, name: &str) -> Result<Listed, Problem> {
    let all = app.hub.profiles().list();
    let named = all.iter().find(|listed| listed.name == name);
    let found = named.or_else(|| all.iter().find(|listed| name == DEFAULT && listed.default));
    found.cloned().ok_or_else(|| missing(name))
}

fn missing(name: &str) -> Problem {
    let name: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
    Problem::new(StatusCode::NOT_FOUND, "not_found", format!("Profile '{name}' not found"))
}

pub(super) fn show(app: &App, caller: &Caller, name: &str) -> Outcome {
    caller.may_list()?;
    let listed = find(app, name)?;
    let mut body = shown(&listed);
    body["is_active"] = listed.default.into();
    body["env_var_hints"] = hints(app, &listed.name);
    Ok(ok(&body))
}

/// The variables by which a profile can be changed from the daemon's environment, and which of them are set.
fn hints(app: &App, name: &str) -> Value {
    let hint = |variable: String| {
        let is_set = app.hub.profiles().is_set(&variable);
        json!({ "name": variable, "is_set": is_set })
    };
    let mut all = Map::new();
    for field in trunkline_run::profiles::FIELDS {
        let word = field.to_ascii_lowercase();
        let own = trunkline_run::profiles::variable(Some(name), field);
        all.insert(format!("global_{word}"), hint(trunkline_run::profiles::variable(None, field)));
        all.insert(word, hint(own));
    }
    Value::Object(all)
}

fn shown(listed: &Listed) -> Value {
    let profile = &listed.profile;
    let headers: Map<String, Value> =
        profile.headers.iter().map(|name| (name.clone(), MASK.into())).collect();
    let mut body = json!({
        "name": listed.name, "provider": profile.provider.name(), "model": profile.model,
        "temperature": profile.temperature, "max_tokens": profile.max_tokens, "timeout": profile.timeout_s.unwrap_or(0),
        "description": profile.description, "streaming": true, "supports_tools": profile.tools != Some(false),
        "has_api_key": listed.has_api_key, "source": listed.source, "why": listed.why,
    });
    if let Some(url) = &profile.base_url {
        body["base_url"] = url.clone().into();
    }
    if let Some(top_p) = profile.top_p {
        body["top_p"] = top_p.into();
    }
    if !headers.is_empty() {
        body["extra_headers"] = headers.into();
    }
    body
}

/// The provider of a name; `auto` goes by the key and the address.
pub(super) fn provider(name: &str, key: &str, url: &str) -> Result<Provider, Problem> {
    if name == "auto" {
        let by_url = [("anthropic", Provider::Anthropic), ("openai", Provider::Openai)];
        let by_url = by_url.into_iter().find(|(word, _)| url.contains(word)).map(|(_, provider)| provider);
        return Ok(match (by_url, url.is_empty()) {
            (Some(provider), _) => provider,
            (None, false) => Provider::Custom,
            (None, true) if key.starts_with("sk-ant-") => Provider::Anthropic,
            (None, true) => Provider::Openai,
        });
    }
    Provider::ALL.into_iter().find(|provider| provider.name() == name).ok_or_else(|| {
        let known = Provider::ALL.map(Provider::name).join(", ");
        Problem::invalid("provider", format!("provider must be auto or one of {known}"))
    })
}

/// What is to be changed of a profile, with its secrets apart. Fields are read by hand: a reader of types quotes what it finds
/// where it expects something else.
fn take(fields: &Map<String, Value>, profile: &mut Profile) -> Result<SecretChange, Problem> {
    let wrong = |field: &str, what: &str| Problem::invalid(field, format!("{field} must be {what}"));
    let text = |field: &str| match fields.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(wrong(field, "a text")),
    };
    let key = text("api_key")?.filter(|key| !key.is_empty() && *key != MASK);
    let url = text("base_url")?;
    if let Some(name) = text("provider")? {
        profile.provider = provider(name, key.unwrap_or_default(), url.unwrap_or_default())?;
    }
    if let Some(model) = text("model")? {
        profile.model = model.to_owned();
    }
    if let Some(url) = url {
        profile.base_url = Some(url.to_owned()).filter(|url| !url.is_empty());
    }
    if let Some(about) = text("description")? {
        profile.description = about.to_owned();
    }
    // What is there and is null counts as nothing; what is absent stays.
    let float = |field: &str| match fields.get(field) {
        Some(Value::Null) => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or_else(|| wrong(field, "a number")),
        None => Ok(None),
    };
    let whole = |field: &str| match fields.get(field) {
        Some(Value::Null) | None => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or_else(|| wrong(field, "a whole number, 0 or more")),
    };
    #[expect(clippy::cast_possible_truncation, reason = "such a number has two digits that matter")]
    let small = |number: f64| number as f32;
    if fields.contains_key("temperature") {
        profile.temperature = float("temperature")?.map(small);
    }
    if fields.contains_key("top_p") {
        profile.top_p = float("top_p")?.map(small);
    }
    if fields.contains_key("max_tokens") {
        let tokens = whole("max_tokens")?.map(u32::try_from).transpose();
        profile.max_tokens = tokens.map_err(|_| wrong("max_tokens", "smaller"))?;
    }
    if fields.contains_key("timeout") {
        profile.timeout_s = whole("timeout")?.filter(|seconds| *seconds > 0);
    }
    match fields.get("supports_tools") {
        None | Some(Value::Null) => {}
        Some(Value::Bool(may)) => profile.tools = (!may).then_some(false),
        Some(_) => return Err(wrong("supports_tools", "true or false")),
    }
    let headers = headers(fields.get("extra_headers"), profile)?;
    Ok(SecretChange { key: key.map(|key| Some(Secret::new(key))), headers })
}

/// The headers are those that are given; one whose value is the mask keeps the value that it has.
fn headers(given: Option<&Value>, profile: &mut Profile) -> Result<Vec<(String, Option<Secret>)>, Problem> {
    let wrong = || Problem::invalid("extra_headers", "extra_headers must be an object of texts");
    let given = match given {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(given)) => given,
        Some(_) => return Err(wrong()),
    };
    let mut changed = Vec::new();
    for (name, value) in given {
        let value = value.as_str().ok_or_else(wrong)?;
        if value != MASK {
            changed.push((name.clone(), Some(Secret::new(value))));
        }
    }
    profile.headers = given.keys().cloned().collect();
    Ok(changed)
}

pub(super) async fn make(app: &App, caller: &Caller, body: Body) -> Outcome {
    caller.may_administer()?;
    let fields: Map<String, Value> = read(body).await?;
    let needed = |field: &str| {
        let text = fields.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
        text.ok_or_else(|| Problem::invalid(field, format!("{field} must be a text that is not empty")))
    };
    let (name, _, _) = (needed("name")?.to_owned(), needed("provider")?, needed("model")?);
    check(&name)?;
    if app.hub.profiles().get(&name).is_some() {
        let detail = format!("Profile '{name}' already exists");
        return Err(Problem::new(StatusCode::CONFLICT, "exists", detail).field("name"));
    }
    let mut profile = Profile::new(Provider::Openai, "");
    let secrets = take(&fields, &mut profile)?;
    let listed = keep(app, caller, &name, profile, secrets).await?;
    let mut body = shown(&listed);
    body["created"] = true.into();
    Ok(answer(StatusCode::CREATED, &body))
}

fn check(name: &str) -> Result<(), Problem> {
    check_profile_name(name)?;
    if name.starts_with(INLINE) {
        let why = format!(
            "name must not begin with `{INLINE}`: those are of sessions with credentials of their own"
        );
        return Err(Problem::invalid("name", why));
    }
    Ok(())
}

/// Puts a profile with its secrets. One that is new and whose secrets are refused is not left behind without them.
pub(super) async fn keep(
    app: &App,
    caller: &Caller,
    name: &str,
    profile: Profile,
    secrets: SecretChange,
) -> Result<Listed, Problem> {
    let is_new = app.hub.profiles().get(name).is_none();
    let nothing = secrets.key.is_none() && secrets.headers.is_empty();
    profile.check(matches!(secrets.key, Some(Some(_))))?;
    let listed = app.hub.put_profile(caller, name, profile).await?;
    if nothing {
        return Ok(listed);
    }
    match app.hub.change_secrets(caller, name, secrets).await {
        Ok(listed) => Ok(listed),
        Err(error) => {
            if is_new {
                app.hub.delete_profile(caller, name).await?;
            }
            Err(error.into())
        }
    }
}

pub(super) async fn change(app: &App, caller: &Caller, name: &str, body: Body) -> Outcome {
    caller.may_administer()?;
    let listed = app.hub.profiles().get(name).ok_or_else(|| missing(name))?;
    let fields: Map<String, Value> = read(body).await?;
    let to = fields.get("new_name").and_then(Value::as_str).filter(|to| !to.is_empty() && *to != name);
    if let Some(to) = to {
        check(to)?;
        if app.hub.profiles().get(to).is_some() {
            let detail = format!("Cannot rename: profile '{to}' already exists");
            return Err(Problem::new(StatusCode::BAD_REQUEST, "exists", detail).field("new_name"));
        }
    }
    let mut profile = app.hub.profiles().plain(name).unwrap_or_else(|| listed.profile.clone());
    let secrets = take(&fields, &mut profile)?;
    let mut listed = keep(app, caller, name, profile, secrets).await?;
    if let Some(to) = to {
        listed = app.hub.rename_profile(caller, name, to).await?;
    }
    let mut body = shown(&listed);
    body["updated"] = true.into();
    Ok(ok(&body))
}

pub(super) async fn delete(app: &App, caller: &Caller, name: &str) -> Outcome {
    caller.may_administer()?;
    let listed = app.hub.profiles().get(name).ok_or_else(|| missing(name))?;
    let built_in = match listed.source {
        Source::Made => None,
        Source::File => Some("it stands in config.toml"),
        Source::Environment => Some("it comes from the daemon's environment"),
    };
    if let Some(why) = built_in {
        let detail = format!("Cannot delete built-in profile '{name}': {why}");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "built_in", detail));
    }
    app.hub.delete_profile(caller, name).await?;
    Ok(ok(&json!({ "deleted": true, "name": name })))
}

/// Asks the model for one token; that it does not answer is no failure of the test.
pub(super) async fn test(app: &App, caller: &Caller, name: &str) -> Outcome {
    caller.may_operate()?;
    let listed = find(app, name)?;
    let tested = app.hub.profiles().test(&listed.name).await.ok_or_else(|| missing(name))?;
    if tested.success {
        return Ok(ok(&json!({
            "success": true, "profile": tested.profile, "provider": tested.provider.name(), "model": tested.model,
            "message": "the model has answered", "latency_ms": tested.latency_ms,
        })));
    }
    let error = match tested.error.unwrap_or(TestError::Other) {
        TestError::AuthenticationFailed | TestError::MissingKey => "authentication_failed",
        TestError::RateLimited => "rate_limited",
        TestError::ConnectionFailed | TestError::Timeout => "connection_failed",
        TestError::Other => "api_error",
    };
    Ok(ok(&json!({
        "success": false, "profile": tested.profile, "error": error, "message": tested.message, "latency_ms": tested.latency_ms,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_goes_by_the_key_and_the_address() {
        for (key, url, expected) in [
            ("sk-ant-x", "", Provider::Anthropic),
            ("sk-x", "", Provider::Openai),
            ("x", "https://api.anthropic.com", Provider::Anthropic),
            ("sk-x", "http://127.0.0.1:1/v1", Provider::Custom),
        ] {
            assert_eq!(provider("auto", key, url).unwrap(), expected, "{key} {url}");
        }
        assert_eq!(provider("nobody", "", "").unwrap_err().field.as_deref(), Some("provider"));
    }

    #[test]
    fn a_mask_keeps_what_there_is_and_an_error_quotes_nothing() {
        let fields = |value: Value| value.as_object().cloned().unwrap();
        let mut profile = Profile::new(Provider::Openai, "m");
        let given = fields(
            json!({ "api_key": MASK, "extra_headers": { "x-a": MASK, "x-b": "new" }, "temperature": 0.5 }),
        );
        let secrets = take(&given, &mut profile).unwrap();
        assert!(secrets.key.is_none());
        assert_eq!(secrets.headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["x-b"]);
        assert_eq!((profile.headers.len(), profile.temperature), (2, Some(0.5)));
        for wrong in [
            json!({ "api_key": ["canary"] }),
            json!({ "extra_headers": { "a": ["canary"] } }),
            json!({ "base_url": { "canary": 1 } }),
        ] {
            let problem = take(&fields(wrong), &mut profile).unwrap_err();
            assert!(!problem.detail.contains("canary"), "{}", problem.detail);
        }
    }
}
