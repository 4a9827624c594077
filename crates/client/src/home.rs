//! How a client of the same user finds its daemon: two files and a socket in the home directory.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The file with the owner's token, readable by the owner alone.
pub const TOKEN_FILE: &str = "token";
/// The socket that only the owner can reach.
pub const SOCKET_FILE: &str = "run/trunkline.sock";

/// Where a daemon listens: `runtime.json`, written once it does and removed when it stops.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runtime {
    /// The port.
    pub port: u16,
    /// The address to put in front of a path.
    pub base_url: String,
    /// The daemon's process.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// Where a browser's client of attachable sessions is, if it has an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attach: Option<String>,
    /// Where the page of kollabor's client is, if it has an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// How other machines come by TLS, if it is spoken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<RuntimeTls>,
}

/// How other machines come to a daemon by TLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeTls {
    /// The address.
    pub url: String,
    /// SHA-256 of the certificate, as browsers show it.
    pub sha256: String,
    /// Whether the daemon has made it.
    pub own: bool,
}

impl Runtime {
    /// The file's name.
    pub const FILE: &str = "runtime.json";

    /// Reads the file of a home directory; `None` if there is none. A daemon that was killed leaves its file behind, so
    /// what it names may be gone.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be read or is not what a daemon writes.
    pub fn read(home: &Path) -> Result<Option<Self>, Error> {
        let path = home.join(Self::FILE);
        let bad = |why: String| Error::File { path: path.clone(), why };
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| bad(error.to_string())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(bad(error.to_string())),
        }
    }
}

/// Reads the owner's token from a home directory.
///
/// # Errors
/// [`Error::File`] when there is none, or it cannot be read.
pub fn read_token(home: &Path) -> Result<String, Error> {
    let path = home.join(TOKEN_FILE);
    let text =
        std::fs::read_to_string(&path).map_err(|error| Error::File { path, why: error.to_string() })?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_tells_where_its_daemon_is() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(Runtime::read(home.path()).unwrap(), None);
        let json =
            r#"{"port":7433,"base_url":"http://127.0.0.1:7433","pid":9,"version":"0.1.0","engram":"later"}"#;
        std::fs::write(home.path().join(Runtime::FILE), json).unwrap();
        assert_eq!(Runtime::read(home.path()).unwrap().unwrap().pid, 9);
        std::fs::write(home.path().join(Runtime::FILE), "{").unwrap();
        assert!(Runtime::read(home.path()).unwrap_err().to_string().contains("runtime.json"));
    }

    #[test]
    fn a_token_stands_without_its_line_end() {
        let home = tempfile::tempdir().unwrap();
        assert!(read_token(home.path()).is_err());
        std::fs::write(home.path().join(TOKEN_FILE), "secret\n").unwrap();
        assert_eq!(read_token(home.path()).unwrap(), "secret");
    }
}
