//! `kv`, `pub`, `sub`, `agents`.

use std::time::Duration;

use trunkline_client::{BusItem, BusStream, Client, bus};
use trunkline_core::raw::Raw;

use super::read_stdin;
use crate::app::App;
use crate::args::{self, AgentsAction, KvAction};
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::moment::show_duration;
use crate::style::Tone;
use crate::table::{Cell, Table};

/// How long a message is this command's, which prints it at once.
const LEASE_MS: u64 = 10_000;
/// How many bytes a value may have.
const MAX_VALUE: u64 = 8 << 20;

pub(crate) async fn kv(app: &App, args: args::Kv) -> Result<Exit> {
    let (client, namespace) = (app.connect().await?, args.namespace);
    match args.action {
        KvAction::Ls { prefix } => list(app, &client, &namespace, prefix.as_deref()).await?,
        KvAction::Namespaces => namespaces(app, &client).await?,
        KvAction::Get { key } => {
            let entry = client.key(&namespace, &key).await?;
            if app.screen.json {
                app.screen.json(&entry)?;
            } else {
                app.screen.print(entry.value.get())?;
            }
        }
        KvAction::Put { key, value, ttl, owner, if_absent, if_revision, durable } => {
            let ttl_ms = ttl.map(ms);
            let put =
                bus::PutKey { value: json(&value).await?, owner, ttl_ms, if_revision, if_absent, durable };
            let entry = client.put_key(&namespace, &key, &put).await?;
            if app.screen.json {
                app.screen.json(&entry)?;
            } else {
                app.screen.note(format!("{key} is at revision {}", entry.revision.0));
            }
        }
        KvAction::Rm { key, if_revision } => client.delete_key(&namespace, &key, if_revision).await?,
        KvAction::Transfer { from, to, keys } => {
            let keys = Some(&keys[..]).filter(|keys| !keys.is_empty());
            let done = client.transfer_keys(&namespace, &from, &to, keys).await?;
            if app.screen.json {
                app.screen.json(&done)?;
            } else {
                app.screen.note(format!(
                    "{} of {from} went to {to}: {}",
                    count(done.keys.len(), "key"),
                    done.keys.join(", ")
                ));
            }
        }
        KvAction::Watch => return follow(app, client.watch_keys(&namespace), None).await,
    }
    Ok(Exit::Ok)
}

async fn list(app: &App, client: &Client, namespace: &str, prefix: Option<&str>) -> Result<()> {
    let (mut items, mut cursor) = (Vec::new(), None);
    loop {
        let page = client.keys(namespace, prefix, cursor.as_deref()).await?;
        items.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    if app.screen.json {
        return app.screen.json(&serde_json::json!({ "items": items }));
    }
    if items.is_empty() {
        app.screen.note(format!("no keys in {namespace}"));
        return Ok(());
    }
    let now = app.now();
    let mut table = Table::new(&["KEY", "VALUE", "OWNER", "EXPIRES", "REVISION"]);
    for entry in items {
        let expires = entry.expires_at.map_or_else(|| "-".to_owned(), |at| show_duration(at.ms_since(now)));
        table.row(vec![
            Cell::new(Tone::Accent, &entry.key),
            Cell::from(entry.value.get().to_owned()),
            Cell::new(Tone::Dim, entry.owner.as_deref().unwrap_or("-")),
            Cell::new(Tone::Dim, expires),
            Cell::new(Tone::Dim, entry.revision.0.to_string()),
        ]);
    }
    app.screen.table(&table)
}

async fn namespaces(app: &App, client: &Client) -> Result<()> {
    let list = client.namespaces().await?;
    if app.screen.json {
        return app.screen.json(&list);
    }
    if list.items.is_empty() {
        app.screen.note("no namespaces; `trunkline kv put KEY VALUE` makes one");
        return Ok(());
    }
    let mut table = Table::new(&["NAMESPACE", "KEYS"]);
    for namespace in list.items {
        table
            .row(vec![Cell::new(Tone::Accent, &namespace.namespace), Cell::from(namespace.keys.to_string())]);
    }
    app.screen.table(&table)
}

pub(crate) async fn publish(app: &App, args: args::Pub) -> Result<Exit> {
    let data = json(&args.data).await?;
    let done = app.connect().await?.publish(&args.topic, &data, args.agent.as_deref()).await?;
    if app.screen.json {
        app.screen.json(&done)?;
    } else {
        let readers = usize::try_from(done.subscribers).unwrap_or(usize::MAX);
        app.screen.note(format!(
            "message {}; {} it",
            done.id,
            match readers {
                0 => "nobody reads".to_owned(),
                1 => "one subscriber reads".to_owned(),
                many => format!("{many} subscribers read"),
            }
        ));
    }
    Ok(Exit::Ok)
}

pub(crate) async fn subscribe(app: &App, args: args::Sub) -> Result<Exit> {
    let client = app.connect().await?;
    if let Some(group) = &args.group {
        return take(app, &client, &args.pattern, group, args.count).await;
    }
    if args.last > 0 {
        for message in client.messages(&args.pattern, args.last.min(200)).await?.items {
            let line = Raw::of(&message).expect("a message has a JSON form");
            app.screen.print(line.get())?;
        }
    }
    follow(app, client.subscribe(&args.pattern), args.count).await
}

/// Takes messages as a member of a group, one at a time. What could not be printed goes to another.
async fn take(app: &App, client: &Client, topic: &str, group: &str, count: Option<u64>) -> Result<Exit> {
    let member = format!("cli-{}", std::process::id());
    let mut left = count;
    while left != Some(0) {
        let taken = tokio::select! {
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                return Ok(Exit::Ok);
            }
            taken = client.take(topic, group, &member, LEASE_MS) => taken?,
        };
        if taken.lost > 0 {
            app.screen.note(format!("{} passed over: no longer retained", taken.lost));
        }
        for item in taken.items {
            let line = Raw::of(&item).expect("a message has a JSON form");
            app.screen.print(line.get())?;
            client.ack_taken(topic, group, item.message.seq).await?;
            left = left.map(|left| left.saturating_sub(1));
        }
    }
    Ok(Exit::Ok)
}

/// Prints what comes, one line of JSON each.
async fn follow(app: &App, mut stream: BusStream, count: Option<u64>) -> Result<Exit> {
    let mut left = count;
    let mut lost = false;
    while left != Some(0) {
        let item = tokio::select! {
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                return Ok(Exit::Ok);
            }
            item = stream.next() => item,
        };
        match item {
            None => break,
            Some(Err(error)) => return Err(error.into()),
            Some(Ok(BusItem::Told(data))) => {
                app.screen.print(data.get())?;
                left = left.map(|left| left - 1);
            }
            Some(Ok(BusItem::Gap)) => app.screen.note("something is missing here: it is no longer retained"),
            Some(Ok(BusItem::Open)) if lost => {
                lost = false;
                app.screen.note("the daemon is back");
            }
            Some(Ok(BusItem::Lost(error))) if !lost => {
                lost = true;
                app.screen.note(format!("{error}; waiting for the daemon"));
            }
            Some(Ok(_)) => {}
        }
    }
    Ok(Exit::Ok)
}

pub(crate) async fn agents(app: &App, args: args::Agents) -> Result<Exit> {
    let client = app.connect().await?;
    match args.action {
        None => list_agents(app, &client).await?,
        Some(AgentsAction::Register { agent, capabilities, metadata, lease }) => {
            let metadata = metadata.as_deref().map(Raw::parse).transpose();
            let metadata =
                metadata.map_err(|error| CliError::usage(format!("--metadata is not JSON: {error}")))?;
            let entry = client.register(&agent, metadata.as_ref(), &capabilities, lease.map(ms)).await?;
            if app.screen.json {
                app.screen.json(&entry)?;
            }
        }
        Some(AgentsAction::Rm { agent }) => client.forget(&agent).await?,
    }
    Ok(Exit::Ok)
}

async fn list_agents(app: &App, client: &Client) -> Result<()> {
    let agents = client.registered().await?;
    if app.screen.json {
        return app.screen.json(&serde_json::json!({ "items": agents }));
    }
    if agents.is_empty() {
        app.screen
            .note("no agent takes part yet; one is listed once it registers or does anything on the bus");
        return Ok(());
    }
    let now = app.now();
    let mut table = Table::new(&["AGENT", "PRESENT", "SEEN", "CAN", "METADATA"]);
    for agent in agents {
        let (tone, present) = if agent.present { (Tone::Good, "yes") } else { (Tone::Dim, "no") };
        table.row(vec![
            Cell::new(Tone::Accent, &agent.agent),
            Cell::new(tone, present),
            Cell::new(Tone::Dim, format!("{} ago", show_duration(now.ms_since(agent.last_seen)))),
            Cell::from(agent.capabilities.join(", ")),
            Cell::new(Tone::Dim, agent.metadata.as_ref().map_or("", |metadata| metadata.get())),
        ]);
    }
    app.screen.table(&table)
}

/// What a person types as a value: JSON, or a text if it is none.
async fn json(text: &str) -> Result<Raw> {
    let text = if text == "-" {
        String::from_utf8(read_stdin(MAX_VALUE).await?)
            .map_err(|_| CliError::usage("what comes on stdin is not UTF-8"))?
    } else {
        text.to_owned()
    };
    match Raw::parse(&text) {
        Ok(json) => Ok(json),
        Err(_) => Ok(Raw::of(text.trim_end_matches('\n')).expect("a text has a JSON form")),
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
