//! What the daemon does for clients of the original engine: an address for its page, and the token where they look for it.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use anyhow::Result;
use tokio::net::TcpListener;

use crate::listen::{base_url, bind};

/// The listener of the page of the original engine's client, if it is wanted.
pub(crate) async fn listen(address: Option<SocketAddr>) -> Result<Option<TcpListener>> {
    let Some(address) = address else { return Ok(None) };
    let engine = bind(address, false).await?;
    tracing::info!(url = %base_url(engine.local_addr()?), "the original engine's client has an origin of its own");
    Ok(Some(engine))
}

/// Puts the token where clients look for it: whole, and for their user alone. It is the same in every life of the daemon, so that
/// what a browser keeps goes on to count. Gives the directory, which agents are not to see.
pub(crate) fn place(file: Option<&Path>, token: &str) -> Option<String> {
    let file = file?;
    if let Err(error) = write(file, token.as_bytes()) {
        tracing::warn!(file = %file.display(), %error, "clients of the original engine will not find their token");
    }
    file.parent().filter(|dir| dir.is_dir())?.to_str().map(str::to_owned)
}

fn write(file: &Path, token: &[u8]) -> io::Result<()> {
    let folder = file.parent().ok_or(io::ErrorKind::NotFound)?;
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // The name of the temporary file is this process's own: another engine may be writing its own at the same time.
    let temporary = file.with_extension(format!("{}.new", std::process::id()));
    let put = || {
        let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        new.write_all(token)?;
        new.sync_all()?;
        fs::rename(&temporary, file)
    };
    put().inspect_err(|_| drop(fs::remove_file(&temporary)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_is_its_users_alone_from_the_first_moment() {
        let user = tempfile::tempdir().unwrap();
        let file = user.path().join(".kollab/engine.token");
        let hidden = place(Some(&file), "secret").unwrap();
        assert_eq!(Path::new(&hidden), user.path().join(".kollab"));
        let about = file.metadata().unwrap();
        assert_eq!(
            (fs::read_to_string(&file).unwrap().as_str(), about.permissions().mode() & 0o777),
            ("secret", 0o600)
        );
        assert_eq!(fs::read_dir(&hidden).unwrap().count(), 1, "nothing is left behind");
        place(Some(&file), "another").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "another");
        assert_eq!(place(None, "secret"), None);
    }
}
