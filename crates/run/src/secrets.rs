//! The daemon's own store of secrets: one file that only its user can read.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use trunkline_wire::model::Secret;

/// The file's name in the daemon's home.
pub const FILE: &str = "secrets.json";
/// The largest file that is read.
const MAX_BYTES: u64 = 4 << 20;

/// Secrets by name. What is written is on the disk when a call returns. Clones are the same store. The default
/// one has no file.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    path: PathBuf,
    all: Arc<Mutex<BTreeMap<String, Secret>>>,
}

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// Others could read it.
    #[error("{path} may be read by others: run `chmod 600 {path}`, and change the keys in it if it was read")]
    Open {
        /// The file.
        path: String,
    },
    /// It is not what was written.
    #[error("{path} cannot be read: {why}")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// A new one cannot be made.
    #[error("this machine has no random numbers to give")]
    NoRandomness,
    /// What the system says.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
}

impl Secrets {
    /// Opens the store in the daemon's home. It need not be there yet.
    ///
    /// # Errors
    /// [`SecretsError`].
    pub fn open(home: &Path) -> Result<Self, SecretsError> {
        let path = home.join(FILE);
        let all = read(&path)?;
        Ok(Self { path, all: Arc::new(Mutex::new(all)) })
    }

    /// The secret of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Secret> {
        self.lock().get(name).cloned()
    }

    /// Those whose name begins so.
    #[must_use]
    pub(crate) fn named(&self, prefix: &str) -> Vec<(String, Secret)> {
        let all = self.lock();
        let named = all.iter().filter(|(name, _)| name.starts_with(prefix));
        named.map(|(name, secret)| (name.clone(), secret.clone())).collect()
    }

    /// Changes several at once; `None` takes one away. Blocks.
    ///
    /// # Errors
    /// When the file cannot be written: nothing has changed then.
    pub fn set(
        &self,
        changes: impl IntoIterator<Item = (String, Option<Secret>)>,
    ) -> Result<(), SecretsError> {
        let mut all = self.lock();
        let mut new = all.clone();
        for (name, secret) in changes {
            match secret {
                Some(secret) => drop(new.insert(name, secret)),
                None => drop(new.remove(&name)),
            }
        }
        if new != *all {
            if !self.path.as_os_str().is_empty() {
                write(&self.path, &new)?;
            }
            *all = new;
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Secret>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(path: &Path) -> Result<BTreeMap<String, Secret>, SecretsError> {
    let name = || path.display().to_string();
    let failed = |source| SecretsError::Io { path: name(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(failed(error)),
    };
    if file.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
        return Err(SecretsError::Open { path: name() });
    }
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(failed)?;
    let all: Result<BTreeMap<String, String>, _> = serde_json::from_str(&text);
    // An error of the parser may show what it stumbled over.
    let all = all.map_err(|error| {
        let why = format!("line {}, column {} is no JSON of names and texts", error.line(), error.column());
        SecretsError::Damaged { path: name(), why }
    })?;
    Ok(all.into_iter().map(|(name, secret)| (name, Secret::new(secret))).collect())
}

/// Another file takes the place of the old one, and nobody ever sees half of it.
fn write(path: &Path, all: &BTreeMap<String, Secret>) -> Result<(), SecretsError> {
    let failed = |source| SecretsError::Io { path: path.display().to_string(), source };
    let plain: BTreeMap<&String, &str> = all.iter().map(|(name, secret)| (name, secret.reveal())).collect();
    let mut text = serde_json::to_string_pretty(&plain).expect("texts have a JSON form");
    text.push('\n');
    let new = path.with_extension(format!("{}.new", uuid::Uuid::now_v7()));
    let put = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, path)?;
        path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
    };
    put().map_err(|error| {
        // The first error is the one to tell.
        drop(std::fs::remove_file(&new));
        failed(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_there_after_a_restart_and_for_nobody_else() {
        let home = tempfile::tempdir().unwrap();
        let secrets = Secrets::open(home.path()).unwrap();
        assert_eq!(secrets.get("a"), None);
        secrets
            .set([("a".to_owned(), Some(Secret::new("canary"))), ("b".to_owned(), Some(Secret::new("y")))])
            .unwrap();
        secrets.set([("b".to_owned(), None)]).unwrap();
        let mode = std::fs::metadata(home.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = Secrets::open(home.path()).unwrap();
        assert_eq!((again.get("a"), again.get("b")), (Some(Secret::new("canary")), None));
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1, "nothing is left behind");
        assert!(!format!("{again:?}").contains("canary"), "a secret is not printed");
    }

    #[test]
    fn a_file_that_others_can_read_is_not_used_and_a_damaged_one_is_not_quoted() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(FILE);
        std::fs::write(&path, r#"{"a":"canary}"#).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Secrets::open(home.path()), Err(SecretsError::Open { .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let error = Secrets::open(home.path()).unwrap_err().to_string();
        assert!(error.contains("line 1") && !error.contains("canary"), "{error}");
    }
}
