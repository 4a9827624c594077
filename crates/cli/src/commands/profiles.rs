//! `profiles`.

use std::collections::BTreeMap;

use serde_json::json;
use trunkline_client::Client;
use trunkline_client::types::{ProfileTested, ProfileView};
use trunkline_core::profile::{Profile, Provider};
use trunkline_core::spending::{Account, Day};

use super::secret;
use crate::app::App;
use crate::args::{self, AddProfile, ProfilesAction};
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::style::Tone;
use crate::table::{Cell, Table};

/// What to do when there is no profile.
const NONE: &str = "\
no profiles, so the agent `model` has nothing to ask. Make one:
  trunkline profiles add claude --provider anthropic --model claude-sonnet-4-5, then `trunkline profiles key claude`
  trunkline profiles add local --provider ollama --model qwen3
or start the daemon with a provider's key in its environment, such as ANTHROPIC_API_KEY or OPENAI_API_KEY";

pub(crate) async fn profiles(app: &App, args: args::Profiles) -> Result<Exit> {
    let client = app.connect().await?;
    match args.action {
        None => list(app, &client).await,
        Some(ProfilesAction::Add(add)) => make(app, &client, add).await,
        Some(ProfilesAction::Rm { profile }) => remove(app, &client, &profile).await,
        Some(ProfilesAction::Key { profile, header, drop }) => {
            key(app, &client, &profile, header, drop).await
        }
        Some(ProfilesAction::Test { profile }) => test(app, &client, profile).await,
    }
}

async fn list(app: &App, client: &Client) -> Result<Exit> {
    let (mut profiles, day) = (client.profiles().await?, client.spending().await?);
    if app.screen.json {
        for profile in &mut profiles.items {
            if let Some(account) = day.profiles.get(&profile.name) {
                profile.rest.insert("today".to_owned(), json!(account));
            }
        }
        app.screen.json(&profiles)?;
    } else if profiles.items.is_empty() {
        app.screen.note(NONE);
    } else {
        app.screen.table(&table(&profiles.items, &day))?;
        if day.all.budget.is_some() {
            app.screen.note(format!("all of them today, {}: {}", day.day, used(&day.all)));
        }
        let lacking = profiles.items.iter().filter_map(|profile| profile.why.as_ref());
        lacking.for_each(|why| app.screen.note(why));
    }
    Ok(Exit::Ok)
}

async fn make(app: &App, client: &Client, add: AddProfile) -> Result<Exit> {
    let name = add.profile.clone();
    let there = client.profiles().await?.items.into_iter().any(|profile| profile.name == name);
    if there && !add.replace {
        return Err(CliError::new(Exit::Conflict, format!("there is a profile {name} already"))
            .hint("--replace puts this one in its place"));
    }
    let mut made = client.put_profile(&name, &profile(add)?).await?;
    // Only what lacks a key is asked for one; a script sets it with a command of its own.
    let asks = made.why.is_some() && !made.has_api_key && app.screen.interactive && !app.screen.json;
    if asks && let Some(key) = secret::ask(&format!("the key of {name} (nothing: later): ")).await? {
        made = client.set_profile_secrets(&name, Some(&key), &BTreeMap::new()).await?;
    }
    if app.screen.json {
        app.screen.json(&made)?;
        return Ok(Exit::Ok);
    }
    app.screen.note(match &made.why {
        Some(why) => format!("{name} is made, but cannot be used yet: {why}"),
        None => format!("{name} is made; `trunkline profiles test {name}` asks its model"),
    });
    Ok(Exit::Ok)
}

fn profile(add: AddProfile) -> Result<Profile> {
    let provider = Provider::ALL.into_iter().find(|provider| provider.name() == add.provider);
    let provider =
        provider.ok_or_else(|| CliError::usage(format!("there is no provider {}", add.provider)))?;
    Ok(Profile {
        base_url: add.base_url,
        api_key_env: add.key_env,
        headers: add.headers,
        description: add.description,
        max_tokens: add.max_tokens,
        context: add.context,
        tools: add.no_tools.then_some(false),
        ..Profile::new(provider, add.model)
    })
}

async fn remove(app: &App, client: &Client, name: &str) -> Result<Exit> {
    client.delete_profile(name).await?;
    if app.screen.json {
        app.screen.json(&json!({ "removed": name }))?;
    } else {
        app.screen.note(format!("{name} is removed, and its key with it"));
    }
    Ok(Exit::Ok)
}

async fn key(app: &App, client: &Client, name: &str, header: Option<String>, drop: bool) -> Result<Exit> {
    // A slip in the name is told before anybody types a key.
    client.profile(name).await?;
    if drop {
        client.drop_profile_secrets(name).await?;
    } else {
        let what = header.as_ref().map_or_else(|| "key".to_owned(), |header| format!("header {header}"));
        let given = secret::read(app, &format!("the {what} of {name}: ")).await?;
        let given = given.ok_or_else(|| {
            CliError::usage(format!("no {what} was given"))
                .hint(format!("type it, or pipe it in: trunkline profiles key {name} < FILE"))
        })?;
        let (key, headers) = match header {
            Some(header) => (None, BTreeMap::from([(header, given)])),
            None => (Some(given), BTreeMap::new()),
        };
        client.set_profile_secrets(name, key.as_deref(), &headers).await?;
    }
    let profile = client.profile(name).await?;
    if app.screen.json {
        app.screen.json(&profile)?;
        return Ok(Exit::Ok);
    }
    app.screen.note(match (drop, profile.has_api_key) {
        (true, true) => format!("the daemon keeps no key of {name} any more; it has one from elsewhere"),
        (true, false) => format!("the daemon keeps no key of {name} any more"),
        (false, _) => format!("kept; `trunkline profiles test {name}` asks its model"),
    });
    Ok(Exit::Ok)
}

async fn test(app: &App, client: &Client, name: Option<String>) -> Result<Exit> {
    let name = match name {
        Some(name) => name,
        None => {
            let profiles = client.profiles().await?.items;
            let default = profiles.into_iter().find(|profile| profile.default);
            default.ok_or_else(|| CliError::new(Exit::NotFound, NONE))?.name
        }
    };
    let tested = client.test_profile(&name).await?;
    let exit = if tested.success { Exit::Ok } else { Exit::Failure };
    if app.screen.json {
        app.screen.json(&tested)?;
        return Ok(exit);
    }
    let ProfileTested { model, provider, latency_ms, error, message, .. } = tested;
    if exit == Exit::Ok {
        app.screen.print(format!("{name}: {model} at {provider} answered after {latency_ms} ms"))?;
        return Ok(exit);
    }
    let message = message.unwrap_or_default();
    Err(CliError::failure(format!("{name}: {} – {message}", error.unwrap_or_default())))
}

/// What was used on a day, each beside its limit if it has one.
fn used(account: &Account) -> String {
    let Account { used, budget, raised } = account;
    let (budget, times) = (budget.unwrap_or_default(), u64::from(*raised) + 1);
    let of = |limit: Option<u64>| limit.map(|limit| format!(" of {}", limit.saturating_mul(times)));
    let counted = |n: u64, limit: Option<u64>, what: &str| {
        (n > 0 || limit.is_some()).then(|| format!("{n}{} {what}", of(limit).unwrap_or_default()))
    };
    let dollars = budget.cost.map(|limit| format!(" of {:.2}", limit * times as f64));
    let cost = (used.cost > 0.0 || dollars.is_some())
        .then(|| format!("{:.2}{} $", used.cost, dollars.unwrap_or_default()));
    let parts = [
        counted(used.tokens, budget.tokens, "tokens"),
        cost,
        counted(
            u64::from(used.turns),
            budget.turns.map(u64::from),
            if used.turns == 1 { "prompt" } else { "prompts" },
        ),
        budget.seconds.and_then(|limit| counted(used.ms / 1_000, Some(limit), "s")),
    ];
    let told = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    if told.is_empty() { "-".to_owned() } else { told }
}

fn table(profiles: &[ProfileView], day: &Day) -> Table {
    let mut table = Table::new(&["PROFILE", "MODEL", "PROVIDER", "AT", "FROM", "KEY", "TODAY"]);
    for profile in profiles {
        let name = if profile.default { format!("{} *", profile.name) } else { profile.name.clone() };
        let (tone, key) = match (&profile.why, profile.has_api_key) {
            (Some(_), false) => (Tone::Bad, "missing"),
            (Some(_), true) => (Tone::Bad, "unusable"),
            (None, true) => (Tone::Good, "yes"),
            (None, false) => (Tone::Dim, "not needed"),
        };
        table.row(vec![
            Cell::new(Tone::Accent, name),
            Cell::from(&profile.model),
            Cell::from(&profile.provider),
            Cell::new(Tone::Dim, profile.address.as_deref().unwrap_or("-")),
            Cell::new(Tone::Dim, &profile.source),
            Cell::new(tone, key),
            Cell::new(Tone::Dim, day.profiles.get(&profile.name).map_or_else(|| "-".to_owned(), used)),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_core::spending::{DailyBudget, Used};

    #[test]
    fn what_was_used_stands_beside_its_limit() {
        assert_eq!(used(&Account::default()), "-");
        let day = Used { tokens: 1_200, cost: 0.126, turns: 2, ms: 61_999 };
        let free = Account { used: day, ..Account::default() };
        assert_eq!(used(&free), "1200 tokens, 0.13 $, 2 prompts");
        let budget = DailyBudget { cost: Some(2.5), seconds: Some(60), ..DailyBudget::default() };
        let limited = Account { budget: Some(budget), raised: 1, ..free };
        assert_eq!(used(&limited), "1200 tokens, 0.13 of 5.00 $, 2 prompts, 61 of 120 s");
    }
}
