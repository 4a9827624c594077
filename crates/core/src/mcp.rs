//! MCP servers: programs and addresses that give the built-in agent more tools. No secret is among this.

mod book;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::profile::check_address;
use crate::refused::Refused;
use crate::text::check_name;

pub use book::{
    Book, Command as McpCommand, Deleted as McpDeleted, Distrusted as McpDistrusted, MAX_SERVERS,
    MAX_TRUSTED, Put as McpPut, Trusted as McpTrusted,
};

/// How many characters the name of a server may have.
pub const MAX_NAME: usize = 40;
/// How many words a server's command may have, and how many variables and headers it may be given.
pub const MAX_WORDS: usize = 256;
/// How many bytes one of those words may have.
pub const MAX_WORD: usize = 4_096;
/// How many seconds a tool may take at most.
pub const MAX_TIMEOUT_S: u64 = 3_600;

/// An MCP server: a program that is started, or an address that is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "McpServer")]
pub struct Server {
    /// The program that is started in a session's workspace and spoken to over its stdin and stdout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The program's arguments. They are shown, so no secret belongs there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// The names of variables that the program is given. Their values are secrets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// The names of variables of the daemon's own environment that the program gets too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env_pass: Vec<String>,
    /// The address of a server that is spoken to over streamable HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The names of headers that are sent along. Their values are secrets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    /// What it is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Whether sessions connect to it by themselves.
    pub enabled: bool,
    /// How many seconds one of its tools may take; 180 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u64>,
    /// Whether the program is shut in as the agent's own commands are; it is if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<bool>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            command: None,
            args: Vec::new(),
            env: Vec::new(),
            env_pass: Vec::new(),
            url: None,
            headers: Vec::new(),
            description: String::new(),
            enabled: true,
            timeout_s: None,
            sandbox: None,
        }
    }
}

impl Server {
    /// Checks it.
    ///
    /// # Errors
    /// `Invalid`, with the field.
    pub fn check(&self) -> Result<(), Refused> {
        match (&self.command, &self.url) {
            (Some(command), None) => {
                check_name("command", command, MAX_WORD)?;
                if !self.headers.is_empty() {
                    return Err(Refused::invalid(
                        "headers",
                        "belong to a `url`, and this server is a program",
                    ));
                }
            }
            (None, Some(url)) => {
                check_name("url", url, crate::profile::MAX_URL)?;
                check_address("url", url, !self.headers.is_empty())?;
                let local = [&self.args, &self.env, &self.env_pass];
                if local.iter().any(|words| !words.is_empty()) {
                    let why = "belong to a `command`, and this server is an address";
                    return Err(Refused::invalid("args, env and env_pass", why));
                }
            }
            (Some(_), Some(_)) | (None, None) => {
                let why = "or `url` must be given, one of the two: a program or an address";
                return Err(Refused::invalid("command", why));
            }
        }
        for (field, words) in [
            ("args", &self.args),
            ("env", &self.env),
            ("env_pass", &self.env_pass),
            ("headers", &self.headers),
        ] {
            if words.len() > MAX_WORDS {
                return Err(Refused::TooMany { what: field, limit: MAX_WORDS });
            }
            if words.iter().any(|word| word.len() > MAX_WORD || word.contains('\0')) {
                return Err(Refused::invalid(field, "have words of 4096 bytes at most, without a NUL"));
            }
        }
        for (field, names) in [("env", &self.env), ("env_pass", &self.env_pass)] {
            if names.iter().any(|name| name.is_empty() || name.contains(['=', ' '])) {
                return Err(Refused::invalid(field, "must be names of variables"));
            }
        }
        // The daemon's own variables lead into its home, which no agent is let into.
        if self.env_pass.iter().any(|name| name.starts_with("TRUNKLINE_")) {
            return Err(Refused::invalid("env_pass", "must not name the daemon's own variables"));
        }
        let token = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.headers.iter().any(|name| name.is_empty() || !name.chars().all(token)) {
            return Err(Refused::invalid("headers", "have names of letters, digits, `-`, `_` and `.`"));
        }
        if !self.timeout_s.is_none_or(|seconds| (1..=MAX_TIMEOUT_S).contains(&seconds)) {
            return Err(Refused::invalid("timeout_s", "must be from 1 to 3600"));
        }
        if self.description.chars().count() > 1_000 {
            return Err(Refused::invalid("description", "must have 1000 characters at most"));
        }
        Ok(())
    }
}

/// Checks the name of a server. It stands in the names of tools, `mcp__server__tool`, from which rules read it.
///
/// # Errors
/// `Invalid`.
pub fn check_server_name(name: &str) -> Result<(), Refused> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let readable = !name.contains("__") && !name.starts_with('_') && !name.ends_with('_');
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(fits) || !readable {
        let why = "must be 1 to 40 letters, digits, `-`, `_` or `.`, without `__`, and with no `_` at an end";
        return Err(Refused::invalid("name", why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program() -> Server {
        Server { command: Some("server".to_owned()), ..Server::default() }
    }

    fn why(change: fn(&mut Server)) -> String {
        let mut server = program();
        assert!(server.check().is_ok());
        change(&mut server);
        server.check().unwrap_err().to_string()
    }

    #[test]
    fn a_server_is_a_program_or_an_address() {
        assert!(why(|server| server.command = None).contains("command"));
        assert!(why(|server| server.url = Some("https://a.example/mcp".to_owned())).contains("command"));
        assert!(why(|server| server.headers = vec!["x".to_owned()]).contains("headers"));
        let address = |url: &str, headers: Vec<String>| {
            Server { url: Some(url.to_owned()), headers, ..Server::default() }.check()
        };
        assert!(address("http://10.0.0.7/mcp", vec![]).is_ok());
        assert!(
            address("http://10.0.0.7/mcp", vec!["x".to_owned()]).is_err(),
            "a secret would go in the clear"
        );
        assert!(address("http://127.0.0.1:1/mcp", vec!["x".to_owned()]).is_ok());
        assert!(address("https://a.example/mcp?key=k", vec![]).is_err());
    }

    #[test]
    fn what_no_program_or_wire_takes_is_refused() {
        assert!(why(|server| server.args = vec!["\0".to_owned()]).contains("args"));
        assert!(why(|server| server.env = vec!["A=B".to_owned()]).contains("env"));
        assert!(why(|server| server.env_pass = vec!["TRUNKLINE_TOKEN".to_owned()]).contains("env_pass"));
        assert!(why(|server| server.timeout_s = Some(0)).contains("timeout_s"));
        assert!(why(|server| server.args = vec![String::new(); MAX_WORDS + 1]).contains("args"));
    }

    #[test]
    fn a_name_is_read_back_out_of_the_name_of_a_tool() {
        for fine in ["git", "my-server.2", "a_b"] {
            assert!(check_server_name(fine).is_ok(), "{fine}");
            let call = crate::call::Call::read(Some(&format!("mcp__{fine}__t_x__y")), None, None);
            assert_eq!(call.pieces, [crate::call::Piece::Mcp(fine.to_owned(), "t_x__y".to_owned())]);
        }
        for bad in ["", "a__b", "_a", "a_", "a/b", "ä", &"a".repeat(41)] {
            assert!(check_server_name(bad).is_err(), "{bad}");
        }
    }
}
