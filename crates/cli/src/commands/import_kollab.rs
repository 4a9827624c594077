//! `import --from kollab`: the profiles and bundles of the original engine go on here.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use trunkline_client::Error;
use trunkline_core::profile::{Profile, Provider, check_profile_name};

use crate::app::App;
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::screen::count;

/// How many bytes a file of the original may have.
const MAX_FILE: u64 = 4 << 20;
/// The files of a bundle that mean something here.
const PARTS: [&str; 2] = ["system_prompt.md", "agent.json"];
/// How a key that lies in the system's keyring is named in the file.
const ELSEWHERE: &str = "secret:";

/// A profile of the original, as it is here.
#[derive(Debug, PartialEq)]
struct Found {
    name: String,
    profile: Profile,
    key: Option<String>,
    headers: BTreeMap<String, String>,
    /// Whether its key lies where it cannot be read.
    key_elsewhere: bool,
}

pub(crate) async fn import(app: &App, path: &Path) -> Result<Exit> {
    let (dir, file) = match path.is_dir() {
        true => (path.to_owned(), path.join("config.json")),
        false => (path.parent().unwrap_or(path).to_owned(), path.to_owned()),
    };
    let cannot =
        |path: &Path, error: &dyn std::fmt::Display| CliError::usage(format!("{}: {error}", path.display()));
    // What a project brings may be servers or agents alone.
    let text = match read(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.is_dir() && brings(path) => {
            "{}".to_owned()
        }
        text => text.map_err(|error| cannot(&file, &error))?,
    };
    // An error of the parser may show what it stumbled over, which may be a key.
    let config: Value = serde_json::from_str(&text).map_err(|error| {
        cannot(&file, &format!("line {}, column {} is no JSON", error.line(), error.column()))
    })?;
    let (found, mut passed) = profiles(&config);
    let client = app.connect().await?;
    let here: Vec<_> = client.profiles().await?.items.into_iter().map(|profile| profile.name).collect();
    let (mut taken, mut stay, mut keyless) = (Vec::new(), 0, Vec::new());
    for Found { name, profile, key, headers, key_elsewhere } in found {
        if here.contains(&name) {
            stay += 1;
            continue;
        }
        if let Err(why) = profile.check(key.is_some()) {
            passed.push((name, why.to_string()));
            continue;
        }
        client.put_profile(&name, &profile).await?;
        if key.is_some() || !headers.is_empty() {
            client.set_profile_secrets(&name, key.as_deref(), &headers).await?;
        }
        if key_elsewhere {
            keyless.push(name.clone());
        }
        taken.push(name);
    }
    let home = app.config.home.join(trunkline_run::bundle::HOME);
    let (bundles, bundles_stay) = bundles(&dir.join("agents"), &home)
        .map_err(|error| CliError::failure(format!("{}: {error}", home.display())))?;
    stay += bundles_stay;
    let mut servers = Vec::new();
    let settings = dir.join("mcp/mcp_settings.json");
    let known: Vec<_> = client.mcp_servers().await?.items.into_iter().map(|server| server.name).collect();
    for (name, server) in servers_of(&settings, &mut passed).map_err(|error| cannot(&settings, &error))? {
        if known.contains(&name) {
            stay += 1;
            continue;
        }
        match client.put_mcp_server(&name, &server).await {
            Ok(_) => servers.push(name),
            Err(Error::Problem(problem)) if problem.status < 500 => passed.push((name, problem.detail)),
            Err(error) => return Err(error.into()),
        }
    }
    if app.screen.json {
        let passed: Vec<_> = passed.iter().map(|(name, why)| json!({ "name": name, "why": why })).collect();
        app.screen.json(
            &json!({ "profiles": taken, "mcp_servers": servers, "bundles": bundles, "passed_over": passed, "without_key": keyless }),
        )?;
        return Ok(Exit::Ok);
    }
    let (profiles, bundles) = (count(taken.len(), "profile"), count(bundles.len(), "bundle"));
    let servers = count(servers.len(), "MCP server");
    app.screen.note(format!(
        "{profiles}, {servers} and {bundles} were taken from {}, which was not changed",
        dir.display()
    ));
    if stay > 0 {
        app.screen.note(format!("{stay} were here before, and stay as they are"));
    }
    for (name, why) in passed {
        app.screen.note(format!("{name} was passed over: {why}"));
    }
    for name in keyless {
        app.screen.note(format!(
            "the key of {name} lies in the system's keyring: `trunkline profiles key {name}` sets it here"
        ));
    }
    Ok(Exit::Ok)
}

/// Whether there is something to take in a directory that has no profiles.
fn brings(dir: &Path) -> bool {
    dir.join("agents").is_dir() || dir.join("mcp/mcp_settings.json").is_file()
}

/// The MCP servers of a file, as they are given here. There need not be one.
fn servers_of(path: &Path, passed: &mut Vec<(String, String)>) -> io::Result<Vec<(String, Value)>> {
    let text = match read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    // An error of the parser may show what it stumbled over, which may be a secret.
    let all: Value = serde_json::from_str(&text).map_err(|_| io::ErrorKind::InvalidData)?;
    let mut found = Vec::new();
    for (name, fields) in all["servers"].as_object().into_iter().flatten() {
        let command = trunkline_wire::engine::command_words(fields["command"].as_str().unwrap_or_default());
        match command {
            Ok(words) => {
                let server = json!({
                    "command": words[0], "args": words[1..], "env": fields["env"].as_object().cloned().unwrap_or_default(),
                    "description": fields["description"].as_str().unwrap_or_default(), "enabled": fields["enabled"] != false,
                });
                found.push((name.clone(), server));
            }
            Err(why) => passed.push((plain(name), format!("its command {why}"))),
        }
    }
    Ok(found)
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(MAX_FILE).read_to_string(&mut text)?;
    Ok(text)
}

/// The profiles of a file, and those that can be none here, with the reason.
fn profiles(config: &Value) -> (Vec<Found>, Vec<(String, String)>) {
    let empty = Map::new();
    let all = config["kollabor"]["llm"]["profiles"].as_object().unwrap_or(&empty);
    let (mut found, mut passed) = (Vec::new(), Vec::new());
    for (name, fields) in all {
        match profile(name, fields) {
            Ok(profile) => found.push(profile),
            Err(why) => passed.push((plain(name), why)),
        }
    }
    (found, passed)
}

fn profile(name: &str, fields: &Value) -> std::result::Result<Found, String> {
    let text = |field: &str| fields[field].as_str().map(str::trim).filter(|text| !text.is_empty());
    let name = plain(name);
    check_profile_name(&name).map_err(|error| error.to_string())?;
    let told = text("api_key").or_else(|| text("api_token"));
    let key_elsewhere = told.is_some_and(|key| key.starts_with(ELSEWHERE));
    let key = told.filter(|_| !key_elsewhere).map(str::to_owned);
    let model = text("model").ok_or("it names no model")?;
    let url = text("base_url");
    let provider = provider(text("provider").unwrap_or("auto"), key.as_deref().unwrap_or_default(), url)?;
    let headers: BTreeMap<String, String> = fields["extra_headers"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect();
    #[expect(clippy::cast_possible_truncation, reason = "such a number has two digits that matter")]
    let float = |field: &str| fields[field].as_f64().map(|number| number as f32);
    let profile = Profile {
        base_url: url.map(str::to_owned),
        headers: headers.keys().cloned().collect(),
        description: text("description").unwrap_or_default().to_owned(),
        max_tokens: fields["max_tokens"]
            .as_u64()
            .and_then(|tokens| u32::try_from(tokens).ok())
            .filter(|tokens| *tokens > 0),
        temperature: float("temperature"),
        top_p: float("top_p"),
        timeout_s: fields["timeout"].as_u64().filter(|seconds| *seconds > 0),
        tools: (fields["supports_tools"] == false).then_some(false),
        ..Profile::new(provider, model)
    };
    Ok(Found { name, profile, key, headers, key_elsewhere })
}

/// A name with what a name may have here.
fn plain(name: &str) -> String {
    let other = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    name.trim().chars().map(other).collect()
}

fn provider(name: &str, key: &str, url: Option<&str>) -> std::result::Result<Provider, String> {
    match (name, url) {
        ("auto", Some(url)) if url.contains("anthropic") => Ok(Provider::Anthropic),
        ("auto", Some(url)) if url.contains("openai.com") => Ok(Provider::Openai),
        ("auto", Some(_)) => Ok(Provider::Custom),
        ("auto", None) if key.starts_with("sk-ant-") => Ok(Provider::Anthropic),
        ("auto", None) if key.starts_with("sk-") => Ok(Provider::Openai),
        ("auto", None) => Err("its provider is found out by its key, which is not there".to_owned()),
        (name, _) => Provider::ALL
            .into_iter()
            .find(|provider| provider.name() == name)
            .ok_or_else(|| format!("there is no provider {}", plain(name))),
    }
}

/// Copies bundles of agents. Gives the names of those that are new here, and how many were here before.
fn bundles(from: &Path, to: &Path) -> io::Result<(Vec<String>, usize)> {
    let entries = match fs::read_dir(from) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
        Err(error) => return Err(error),
    };
    let (mut taken, mut stay) = (Vec::new(), 0);
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_str().map(str::to_owned);
        let Some(name) = name.filter(|name| !name.starts_with('.') && check_profile_name(name).is_ok())
        else {
            continue;
        };
        let parts = PARTS.iter().map(|part| (*part, entry.path().join(part)));
        let parts: Vec<(&str, PathBuf)> = parts.filter(|(_, path)| path.is_file()).collect();
        if parts.is_empty() {
            continue;
        }
        let place = to.join(&name);
        if place.exists() {
            stay += 1;
            continue;
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&place)?;
        for (part, path) in parts {
            let text = read(&path)?;
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(place.join(part))?;
            file.write_all(text.as_bytes())?;
        }
        taken.push(name);
    }
    taken.sort();
    Ok((taken, stay))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_read_as_far_as_they_can_be_used() {
        let config = json!({ "kollabor": { "llm": { "active_profile": "fast", "profiles": {
            "fast": { "provider": "auto", "model": "m", "api_key": "sk-ant-x", "temperature": 0.5, "max_tokens": null, "timeout": 0 },
            "my own": { "provider": "custom", "model": "m", "base_url": "http://127.0.0.1:1/v1", "api_key": "secret:keyring:my own",
                        "extra_headers": { "x-a": "b" }, "supports_tools": false },
            "default": { "provider": "auto", "model": "" },
            "odd": { "provider": "nobody", "model": "m" },
        } } } });
        let (found, passed) = profiles(&config);
        let names: Vec<_> = found.iter().map(|found| found.name.as_str()).collect();
        assert_eq!(names, ["fast", "my-own"]);
        assert_eq!(
            (found[0].profile.provider, found[0].key.as_deref()),
            (Provider::Anthropic, Some("sk-ant-x"))
        );
        assert_eq!((found[0].profile.temperature, found[0].profile.timeout_s), (Some(0.5), None));
        assert!(found[1].key_elsewhere && found[1].key.is_none());
        assert_eq!(
            (found[1].profile.headers.as_slice(), found[1].profile.tools),
            (&["x-a".to_owned()][..], Some(false))
        );
        assert_eq!(passed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["default", "odd"]);
    }

    #[test]
    fn bundles_are_copied_once() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("agents"), dir.path().join("bundles"));
        for name in ["a", "empty", ".hidden"] {
            fs::create_dir_all(from.join(name)).unwrap();
        }
        for name in ["a", ".hidden"] {
            fs::write(from.join(name).join("system_prompt.md"), "Review.").unwrap();
        }
        assert_eq!(bundles(&from, &to).unwrap(), (vec!["a".to_owned()], 0));
        fs::write(to.join("a/system_prompt.md"), "Mine.").unwrap();
        assert_eq!(bundles(&from, &to).unwrap(), (vec![], 1));
        assert_eq!(fs::read_to_string(to.join("a/system_prompt.md")).unwrap(), "Mine.");
        assert_eq!(bundles(&dir.path().join("none"), &to).unwrap(), (vec![], 0));
    }
}
