//! `token`.

use serde_json::json;
use trunkline_client::Client;
use trunkline_client::types::{NewToken, Token};
use trunkline_core::id::TokenId;
use trunkline_core::principal::Scope;

use crate::app::App;
use crate::args::{self, TokenAction};
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::moment::{ago, until};
use crate::style::Tone;
use crate::table::{Cell, Table};

pub(crate) async fn token(app: &App, args: args::Token) -> Result<Exit> {
    let client = app.connect().await?;
    match args.action {
        TokenAction::Create { name, scope, ttl } => {
            let ttl_s = ttl.map(|ttl| ttl.as_secs().max(1));
            let made = client.create_token(&NewToken { name, scope: scope.into(), ttl_s }).await?;
            if app.screen.json {
                app.screen.json(&made)?;
            } else {
                app.screen.print(made.token.as_deref().unwrap_or_default())?;
                app.screen.note("keep it now: it is shown this once. Send it as `Authorization: Bearer …`");
            }
        }
        TokenAction::List => {
            let tokens = client.tokens().await?;
            if app.screen.json {
                app.screen.json(&tokens)?;
            } else if tokens.items.is_empty() {
                app.screen.note("no tokens; the owner's own, in the home directory, is not listed");
            } else {
                app.screen.table(&table(app, &tokens.items))?;
            }
        }
        TokenAction::Revoke { token } => {
            let found = find(&client, &token).await?;
            client.revoke_token(found.id).await?;
            if app.screen.json {
                app.screen.json(&json!({ "revoked": found.id, "name": found.name }))?;
            } else {
                app.screen.note(format!("{} opens nothing any more", found.name));
            }
        }
    }
    Ok(Exit::Ok)
}

async fn find(client: &Client, given: &str) -> Result<Token> {
    let id = given.parse::<TokenId>().ok();
    let tokens = client.tokens().await?.items;
    let found = tokens.into_iter().find(|token| Some(token.id) == id || token.name == given);
    found.ok_or_else(|| {
        CliError::new(Exit::NotFound, format!("there is no token {given}"))
            .hint("`trunkline token list` lists them")
    })
}

fn table(app: &App, tokens: &[Token]) -> Table {
    let now = app.now();
    let mut table = Table::new(&["NAME", "SCOPE", "MADE", "EXPIRES", "ID"]);
    for token in tokens {
        table.row(vec![
            Cell::new(Tone::Accent, &token.name),
            Cell::from(scope_word(token.scope)),
            Cell::new(Tone::Dim, token.created_at.map_or_else(|| "-".to_owned(), |at| ago(now, at))),
            Cell::new(Tone::Dim, token.expires.map_or_else(|| "never".to_owned(), |at| until(now, at))),
            Cell::new(Tone::Dim, token.id.to_string()),
        ]);
    }
    table
}

fn scope_word(scope: Scope) -> &'static str {
    match scope {
        Scope::Viewer => "viewer",
        Scope::Operator => "operator",
        Scope::Admin => "admin",
        Scope::Local => "local",
        Scope::Agent(_) => "agent",
    }
}

impl From<args::Scope> for Scope {
    fn from(scope: args::Scope) -> Self {
        match scope {
            args::Scope::Viewer => Self::Viewer,
            args::Scope::Operator => Self::Operator,
            args::Scope::Admin => Self::Admin,
        }
    }
}
