//! `mcp-servers`.

use std::io::{self, BufRead, Write};

use serde_json::{Value, json};
use trunkline_client::Client;
use trunkline_client::types::{McpServerView, McpSessionServer};

use super::{blocking, secret};
use crate::app::App;
use crate::args::{self, AddMcpServer, McpServersAction};
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::pick;
use crate::style::Tone;
use crate::table::{Cell, Table};

/// What stands for a value that is kept.
const MASK: &str = "********";
const NONE: &str = "\
no MCP servers. Make one:
  trunkline mcp-servers add files -- npx -y @modelcontextprotocol/server-filesystem .";

pub(crate) async fn mcp_servers(app: &App, args: args::McpServers) -> Result<Exit> {
    let client = app.connect().await?;
    let session = async |given: Option<&str>| pick::session(app, &client, given).await.map(|view| view.id);
    match args.action {
        None => list(app, &client).await,
        Some(McpServersAction::Add(add)) => make(app, &client, add).await,
        Some(McpServersAction::Rm { server }) => {
            client.delete_mcp_server(&server).await?;
            told(app, &json!({ "removed": server }), &format!("{server} is removed"))
        }
        Some(McpServersAction::Set { server, name }) => set(app, &client, &server, &name).await,
        Some(McpServersAction::Status { session: given }) => {
            let servers = client.session_mcp(session(given.as_deref()).await?).await?;
            if app.screen.json {
                app.screen.json(&servers)?;
                return Ok(Exit::Ok);
            }
            app.screen.table(&statuses(&servers.items))?;
            servers.trouble.iter().for_each(|trouble| app.screen.note(trouble));
            let told =
                servers.items.iter().filter_map(|one| Some((&one.definition.name, one.error.as_ref()?)));
            told.for_each(|(name, error)| app.screen.note(format!("{name}: {error}")));
            Ok(Exit::Ok)
        }
        Some(McpServersAction::Connect { session: given, server }) => {
            let one = client.connect_mcp(session(Some(&given)).await?, &server).await?;
            connected(app, &one)
        }
        Some(McpServersAction::Disconnect { session: given, server }) => {
            let one = client.disconnect_mcp(session(Some(&given)).await?, &server).await?;
            told(app, &one, &format!("{server} is disconnected"))
        }
        Some(McpServersAction::Trust { session: given, server, drop: true, .. }) => {
            let one = client.distrust_mcp(session(Some(&given)).await?, &server).await?;
            told(app, &one, &format!("{server} may run no longer"))
        }
        Some(McpServersAction::Trust { session: given, server, yes, .. }) => {
            trust(app, &client, (&given, &server), yes).await
        }
    }
}

async fn list(app: &App, client: &Client) -> Result<Exit> {
    let servers = client.mcp_servers().await?;
    if app.screen.json {
        app.screen.json(&servers)?;
    } else if servers.items.is_empty() {
        app.screen.note(NONE);
    } else {
        let mut table = Table::new(&["SERVER", "WHAT", "FROM", "CONNECTS"]);
        for server in &servers.items {
            let (tone, connects) = match (&server.why, server.enabled) {
                (Some(_), _) => (Tone::Bad, "cannot"),
                (None, true) => (Tone::Good, "by itself"),
                (None, false) => (Tone::Dim, "when told to"),
            };
            table.row(vec![
                Cell::new(Tone::Accent, &server.name),
                Cell::from(&what(server)),
                Cell::new(Tone::Dim, &server.source),
                Cell::new(tone, connects),
            ]);
        }
        app.screen.table(&table)?;
        let lacking = servers.items.iter().filter_map(|server| Some((&server.name, server.why.as_ref()?)));
        lacking.for_each(|(name, why)| app.screen.note(format!("{name}: {why}")));
    }
    Ok(Exit::Ok)
}

async fn make(app: &App, client: &Client, add: AddMcpServer) -> Result<Exit> {
    let name = add.server.clone();
    let before = client.mcp_servers().await?.items.into_iter().find(|server| server.name == name);
    if before.is_some() && !add.replace {
        return Err(CliError::new(Exit::Conflict, format!("there is an MCP server {name} already"))
            .hint("--replace puts this one in its place"));
    }
    let kept = |field: &str, names: &[String]| -> Value {
        let has = |name: &String| {
            before.as_ref().is_some_and(|before| before.rest.get(field).is_some_and(|all| all[name] == MASK))
        };
        names.iter().map(|name| (name.clone(), if has(name) { json!(MASK) } else { Value::Null })).collect()
    };
    let mut words = add.command.into_iter();
    let made = json!({
        "command": words.next(),
        "args": words.collect::<Vec<_>>(),
        "env": kept("env", &add.env),
        "env_pass": add.env_pass,
        "url": add.url,
        "headers": kept("headers", &add.headers),
        "description": add.description,
        "enabled": !add.disabled,
        "sandbox": add.no_sandbox.then_some(false),
    });
    let made = client.put_mcp_server(&name, &made).await?;
    let note = match &made.why {
        Some(why) => format!("{name} is made, but {why}: `trunkline mcp-servers set {name} NAME`"),
        None => format!("{name} is made; sessions have it from their next turn on"),
    };
    told(app, &made, &note)
}

async fn set(app: &App, client: &Client, server: &str, name: &str) -> Result<Exit> {
    let mut view = json!(client.mcp_server(server).await?);
    let field = ["env", "headers"].into_iter().find(|field| view[*field].get(name).is_some());
    let Some(field) = field else {
        return Err(CliError::usage(format!("{server} has no variable and no header {name}")));
    };
    let given = secret::read(app, &format!("{name} of {server}: ")).await?;
    let given = given.ok_or_else(|| {
        CliError::usage("no value was given")
            .hint(format!("type it, or pipe it in: trunkline mcp-servers set {server} {name} < FILE"))
    })?;
    view[field][name] = given.into();
    let made = client.put_mcp_server(server, &view).await?;
    told(app, &made, "kept; sessions have it from their next turn on")
}

async fn trust(app: &App, client: &Client, (given, server): (&str, &str), yes: bool) -> Result<Exit> {
    let id = pick::session(app, client, Some(given)).await?.id;
    let servers = client.session_mcp(id).await?.items;
    let one = servers.into_iter().find(|one| one.definition.name == server);
    let one = one.ok_or_else(|| CliError::new(Exit::NotFound, format!("there is no MCP server {server}")))?;
    let Some(fingerprint) = &one.fingerprint else {
        return Err(CliError::usage(format!("{server} does not come from the project: it needs no trust")));
    };
    let names = |field: &str| {
        let values = one.definition.rest.get(field).and_then(Value::as_object);
        values
            .map(|values| values.keys().cloned().collect::<Vec<_>>().join(", "))
            .filter(|all| !all.is_empty())
    };
    let given = names("env").or_else(|| names("headers")).map(|all| format!(" with {all}"));
    app.screen.note(format!("{server}: {}{}", what(&one.definition), given.unwrap_or_default()));
    if !yes {
        if !app.screen.interactive {
            return Err(CliError::usage("nobody can be asked here").hint("--yes lets it run without asking"));
        }
        if !ask("let it run in this workspace, as it is now? [y/N] ").await? {
            return Err(CliError::failure("it may not run"));
        }
    }
    client.trust_mcp(id, server, fingerprint).await?;
    connected(app, &client.connect_mcp(id, server).await?)
}

async fn ask(question: &str) -> Result<bool> {
    write!(io::stderr(), "{question}")?;
    io::stderr().flush()?;
    let line = blocking(|| {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line)?;
        Ok(line)
    });
    Ok(matches!(line.await?.trim(), "y" | "Y" | "yes"))
}

fn connected(app: &App, one: &McpSessionServer) -> Result<Exit> {
    let (name, good) = (&one.definition.name, one.status == "connected");
    if !good {
        let why = one.error.clone().unwrap_or_else(|| one.status.clone());
        let last = one.stderr.lines().last().map(|line| format!("; it wrote: {line}")).unwrap_or_default();
        return Err(CliError::failure(format!("{name} is not connected: {why}{last}")));
    }
    let tools: Vec<_> = one.tools.iter().map(|tool| tool.offered_as.as_str()).collect();
    told(app, one, &format!("{name} is connected; its tools: {}", tools.join(", ")))
}

fn told(app: &App, json: &impl serde::Serialize, note: &str) -> Result<Exit> {
    if app.screen.json {
        app.screen.json(json)?;
    } else {
        app.screen.note(note);
    }
    Ok(Exit::Ok)
}

fn statuses(servers: &[McpSessionServer]) -> Table {
    let mut table = Table::new(&["SERVER", "STATUS", "TOOLS", "WHAT", "FROM"]);
    for server in servers {
        let tone = match server.status.as_str() {
            "connected" => Tone::Good,
            "failed" | "untrusted" => Tone::Bad,
            _ => Tone::Dim,
        };
        table.row(vec![
            Cell::new(Tone::Accent, &server.definition.name),
            Cell::new(tone, &server.status),
            Cell::from(&server.tools.len().to_string()),
            Cell::from(&what(&server.definition)),
            Cell::new(Tone::Dim, &server.definition.source),
        ]);
    }
    table
}

/// What is started, or asked.
fn what(server: &McpServerView) -> String {
    let words = server.command.iter().chain(&server.args).cloned().collect::<Vec<_>>().join(" ");
    server.url.clone().unwrap_or(words)
}
