//! MCP servers that are made while the daemon runs: their facts lie in a log, their secrets in the store.

use std::path::Path;

use trunkline_core::id::LogId;
use trunkline_core::mcp::{Book, McpCommand, McpDistrusted, McpPut, McpTrusted, Server};
use trunkline_core::principal::Caller;
use trunkline_core::refused::Refused;
use trunkline_wire::model::Secret;

use super::{Listed, Mcp, secret_name};
use crate::cell::CommandError;
use crate::cell::Effects;
use crate::hub::Hub;
use crate::profiles::NotChanged;

/// How many bytes the value of a variable or a header may have.
const MAX_SECRET: usize = 16 << 10;

/// Why a server was not made.
pub type NotPut = NotChanged;

/// What is given of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    /// It stays what it is.
    Kept,
    /// It is another.
    New(Secret),
    /// It has none.
    Missing,
}

/// The values of a server's variables and headers.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Values {
    /// Of its variables.
    pub env: Vec<(String, Given)>,
    /// Of its headers.
    pub headers: Vec<(String, Given)>,
}

/// Keeps what whoever connects looks at equal to what the log says.
pub(crate) struct Keep(pub(crate) Mcp);

impl Effects<Book> for Keep {
    fn reconcile(&self, _: &LogId, book: &Book, _: &[std::convert::Infallible]) {
        self.0.take_book(book.clone());
    }

    fn removed(&self, _: &LogId) {
        self.0.take_book(Book::default());
    }
}

impl Hub {
    /// Makes an MCP server, or puts it in the place of one that was made. Its variables and headers are those for which values
    /// are given.
    ///
    /// # Errors
    /// When it is refused or not kept. One of the user's file is changed there.
    pub async fn put_mcp_server(
        &self,
        caller: &Caller,
        name: &str,
        mut server: Server,
        values: Values,
    ) -> Result<Listed, NotPut> {
        caller.may_administer()?;
        if self.mcp().0.file.contains_key(name) {
            return Err(of_file().into());
        }
        server.env = values.env.iter().map(|(name, _)| name.clone()).collect();
        server.headers = values.headers.iter().map(|(name, _)| name.clone()).collect();
        server.check()?;
        let gone = self.check_values(name, &values)?;
        // What goes is gone before the definition is another, so that no crash gives a value to what it was not meant for.
        self.write_secrets(gone.into_iter().map(|name| (name, None)).collect()).await?;
        let put = McpPut { name: name.to_owned(), server: Box::new(server) };
        self.mcp_book(caller, McpCommand::Put(put)).await?;
        let fresh = |kind: &str, (field, given): (String, Given)| match given {
            Given::New(secret) => Some((secret_name(name, kind, &field), Some(secret))),
            Given::Kept | Given::Missing => None,
        };
        let Values { env, headers } = values;
        let env = env.into_iter().filter_map(|one| fresh("env", one));
        let headers = headers.into_iter().filter_map(|one| fresh("headers", one));
        self.write_secrets(env.chain(headers).collect()).await?;
        self.mcp().get(name).ok_or_else(|| Refused::not_found("MCP server", name).into())
    }

    /// Deletes an MCP server that was made, with its secrets. Sessions lose it with their next turn.
    ///
    /// # Errors
    /// When there is none that was made, or it is not kept.
    pub async fn delete_mcp_server(&self, caller: &Caller, name: &str) -> Result<(), NotPut> {
        caller.may_administer()?;
        if self.mcp().0.file.contains_key(name) {
            return Err(of_file().into());
        }
        let secrets = self.mcp().book().servers.get(name).map(|server| all_secrets(name, server));
        if let Some(secrets) = secrets {
            self.write_secrets(secrets.into_iter().map(|name| (name, None)).collect()).await?;
        }
        self.mcp_book(caller, McpCommand::Delete(name.to_owned())).await?;
        Ok(())
    }

    /// Lets a server run that a project brings, as it is now.
    ///
    /// # Errors
    /// When the project has no such server, or another by now, or it is refused or not kept.
    pub(crate) async fn trust_mcp_server(
        &self,
        caller: &Caller,
        workspace: &Path,
        server: &str,
        fingerprint: &str,
    ) -> Result<(), CommandError> {
        let trusted = McpTrusted {
            workspace: workspace.to_string_lossy().into_owned(),
            server: server.to_owned(),
            fingerprint: fingerprint.to_owned(),
        };
        self.mcp_book(caller, McpCommand::Trust(trusted)).await
    }

    /// Lets it run no longer.
    pub(crate) async fn distrust_mcp_server(
        &self,
        caller: &Caller,
        workspace: &Path,
        server: &str,
    ) -> Result<(), CommandError> {
        let workspace = workspace.to_string_lossy().into_owned();
        let distrusted = McpDistrusted { workspace, server: server.to_owned() };
        self.mcp_book(caller, McpCommand::Distrust(distrusted)).await
    }

    /// Checks values, and gives the names of the secrets that go.
    fn check_values(&self, name: &str, values: &Values) -> Result<Vec<String>, Refused> {
        let before = self.mcp().book().servers.get(name).map(|server| all_secrets(name, server));
        let mut gone = before.unwrap_or_default();
        let env = values.env.iter().map(|(field, given)| ("env", field, given));
        let headers = values.headers.iter().map(|(field, given)| ("headers", field, given));
        for (kind, field, given) in env.chain(headers) {
            let secret = secret_name(name, kind, field);
            match given {
                Given::Kept if self.mcp().0.secrets.get(&secret).is_none() => {
                    let why = format!("has no value for {field} that could be kept");
                    return Err(Refused::invalid(kind, why));
                }
                Given::New(value) if kind == "env" => check_variable(value)?,
                Given::New(value) => crate::profiles::check_secret("headers", value)?,
                Given::Kept | Given::Missing => {}
            }
            if *given != Given::Missing {
                gone.retain(|name| *name != secret);
            }
        }
        Ok(gone)
    }

    async fn mcp_book(&self, caller: &Caller, command: McpCommand) -> Result<(), CommandError> {
        self.mcp_books().command(&LogId::mcp(), caller.clone(), command, None).await.map(drop)
    }

    async fn write_secrets(&self, changes: Vec<(String, Option<Secret>)>) -> Result<(), NotPut> {
        let secrets = self.mcp().0.secrets.clone();
        let written = tokio::task::spawn_blocking(move || secrets.set(changes));
        Ok(written.await.map_err(|_| CommandError::Stopping)??)
    }
}

fn all_secrets(name: &str, server: &Server) -> Vec<String> {
    let env = server.env.iter().map(|field| secret_name(name, "env", field));
    env.chain(server.headers.iter().map(|field| secret_name(name, "headers", field))).collect()
}

fn of_file() -> Refused {
    Refused::invalid("name", "stands in config.toml: change it there, and start the daemon anew")
}

fn check_variable(value: &Secret) -> Result<(), Refused> {
    let text = value.reveal();
    if text.len() > MAX_SECRET || text.contains('\0') {
        return Err(Refused::invalid("env", format!("must have {MAX_SECRET} bytes at most, without a NUL")));
    }
    Ok(())
}
