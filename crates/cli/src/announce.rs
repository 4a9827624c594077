//! Files by which original clients find the daemon, in the user's home and not in ours.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use trunkline_core::time::Time;

/// The clients that look for a file, each with its place below the user's home.
const FILES: [(&str, &str); 2] =
    [("agentflow", ".agentflow/runtime.json"), ("sessionbus", ".sessionbus/runtime.json")];

/// The names of these clients.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}

/// The files for some clients. A daemon whose home is outside of the user's is not the one the user's clients mean.
pub(crate) fn files(user_home: Option<&Path>, home: &Path, clients: &[String]) -> Vec<PathBuf> {
    let Some(user_home) = user_home.filter(|user_home| home.starts_with(user_home)) else {
        return Vec::new();
    };
    let wanted = FILES.iter().filter(|(name, _)| clients.iter().any(|client| client == name));
    wanted.map(|(_, path)| user_home.join(path)).collect()
}

/// The files that were written.
#[derive(Debug)]
pub(crate) struct Announced {
    files: Vec<PathBuf>,
    pid: u32,
}

/// Writes the files, each whole. One that cannot be written is told in the log: the daemon works without it.
pub(crate) fn announce(files: &[PathBuf], address: SocketAddr, base_url: &str, now: Time) -> Announced {
    let pid = std::process::id();
    let told = json!({
        "base_url": base_url,
        "pid": pid,
        "port": address.port(),
        "updated_at": now.0.div_euclid(1_000),
        "version": env!("CARGO_PKG_VERSION"),
    });
    let text = format!("{told:#}");
    let written = files.iter().filter(|file| {
        let outcome = write(file, text.as_bytes());
        if let Err(error) = &outcome {
            tracing::warn!(file = %file.display(), %error, "original clients cannot be told where the daemon is");
        }
        outcome.is_ok()
    });
    Announced { files: written.cloned().collect(), pid }
}

fn write(file: &Path, text: &[u8]) -> io::Result<()> {
    let folder = file.parent().ok_or(io::ErrorKind::NotFound)?;
    fs::create_dir_all(folder)?;
    // The name of the temporary file is this process's own: another hub may be writing its own at the same time.
    let temporary = file.with_extension(format!("{}.new", std::process::id()));
    fs::write(&temporary, text)?;
    fs::rename(&temporary, file)
}

impl Announced {
    /// Removes the files, unless somebody else has written them since.
    pub(crate) fn retract(self) {
        for file in self.files {
            if is_ours(&file, self.pid)
                && let Err(error) = fs::remove_file(&file)
            {
                tracing::warn!(file = %file.display(), %error, "a file of this life could not be removed");
            }
        }
    }
}

fn is_ours(file: &Path, pid: u32) -> bool {
    let text = fs::read_to_string(file).unwrap_or_default();
    let told: Option<Map<String, Value>> = serde_json::from_str(&text).ok();
    told.is_some_and(|told| told.get("pid") == Some(&pid.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_daemon_in_the_users_home_is_told_of() {
        let both = ["agentflow".to_owned(), "sessionbus".to_owned()];
        let user = Some(Path::new("/u"));
        assert_eq!(
            files(user, Path::new("/u/.trunkline"), &both),
            [PathBuf::from("/u/.agentflow/runtime.json"), PathBuf::from("/u/.sessionbus/runtime.json")]
        );
        assert_eq!(files(user, Path::new("/u/.trunkline"), &both[..1]).len(), 1);
        assert!(files(user, Path::new("/tmp/t"), &both).is_empty());
        assert!(files(None, Path::new("/u/.trunkline"), &both).is_empty());
    }

    #[test]
    fn a_file_is_removed_while_it_is_ours() {
        let home = tempfile::tempdir().unwrap();
        let files = [home.path().join("a/runtime.json"), home.path().join("b/runtime.json")];
        let address = "127.0.0.1:4711".parse().unwrap();
        let announced = announce(&files, address, "http://127.0.0.1:4711", Time(1_999));
        let told: Value = serde_json::from_slice(&fs::read(&files[0]).unwrap()).unwrap();
        assert_eq!(
            (&told["port"], &told["base_url"], &told["updated_at"]),
            (&json!(4711), &json!("http://127.0.0.1:4711"), &json!(1))
        );
        fs::write(&files[1], r#"{"base_url":"http://127.0.0.1:1","port":1}"#).unwrap();
        announced.retract();
        assert!(!files[0].exists() && files[1].exists());
        let left: Vec<_> = fs::read_dir(home.path().join("a")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
