//! Profiles that are made while the daemon runs: their facts lie in a log, their secrets in the store.
//!
//! The two are changed one after the other, so that no crash in between gives a key to an address it was not meant for: a
//! profile that goes loses its secrets first.

use std::sync::Arc;

use trunkline_core::id::LogId;
use trunkline_core::principal::Caller;
use trunkline_core::profile::{Book, Profile, ProfileCommand, ProfilePut};
use trunkline_core::refused::Refused;
use trunkline_wire::model::Secret;

use super::{Listed, Profiles, header_name, key_name};
use crate::cell::CommandError;
use crate::cell::Effects;
use crate::hub::Hub;
use crate::secrets::SecretsError;

/// How many bytes a key or the value of a header may have.
pub const MAX_SECRET: usize = 16 << 10;

/// Why a profile, or a secret of one, was not changed.
#[derive(Debug, thiserror::Error)]
pub enum NotChanged {
    /// It was refused, or not kept.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The store of secrets cannot be written.
    #[error("the key was not kept: {0}")]
    Secrets(#[from] SecretsError),
}

impl From<Refused> for NotChanged {
    fn from(refused: Refused) -> Self {
        Self::Command(refused.into())
    }
}

/// What there is to change of a profile's secrets; `None` takes one away.
#[derive(Debug, Default)]
pub struct SecretChange {
    /// Its key, if that is to change.
    pub key: Option<Option<Secret>>,
    /// Values of its headers.
    pub headers: Vec<(String, Option<Secret>)>,
}

/// Keeps what whoever asks models looks at equal to what the log says.
pub(crate) struct Keep(pub(crate) Profiles);

impl Effects<Book> for Keep {
    fn reconcile(&self, _: &LogId, book: &Book, _: &[std::convert::Infallible]) {
        self.0.take_made(book.profiles.clone());
    }

    fn removed(&self, _: &LogId) {
        self.0.take_made(std::collections::BTreeMap::new());
    }
}

impl Hub {
    /// Where models are.
    #[must_use]
    pub fn profiles(&self) -> &Profiles {
        self.profiles_kept()
    }

    /// Makes a profile, or puts it in the place of one that was made. Its secrets stay.
    ///
    /// # Errors
    /// When it is refused or not kept. One of the user's file is changed there.
    pub async fn put_profile(
        &self,
        caller: &Caller,
        name: &str,
        profile: Profile,
    ) -> Result<Listed, NotChanged> {
        caller.may_administer()?;
        if self.profiles().is_of_file(name) {
            return Err(of_file().into());
        }
        let has_key = self.profiles().key(name, &profile).is_some();
        let put = ProfilePut { name: name.to_owned(), profile: Box::new(profile) };
        self.book(caller, ProfileCommand::Put { put, has_key }).await?;
        self.listed(name)
    }

    /// Deletes a profile that was made, with its secrets.
    ///
    /// # Errors
    /// When there is none that was made, or it is not kept.
    pub async fn delete_profile(&self, caller: &Caller, name: &str) -> Result<(), NotChanged> {
        caller.may_administer()?;
        let made = self.profiles().made().get(name).cloned();
        let Some(profile) = made else {
            return match self.profiles().get(name) {
                Some(_) if self.profiles().is_of_file(name) => Err(of_file().into()),
                Some(_) => {
                    let why = "comes from a key in the daemon's environment, and goes with it";
                    Err(Refused::invalid("name", why).into())
                }
                None => Err(Refused::not_found("profile", name).into()),
            };
        };
        if !self.profiles().is_of_file(name) {
            let headers = profile.headers.into_iter().map(|header| (header, None)).collect();
            self.write(name, SecretChange { key: Some(None), headers }).await?;
        }
        self.book(caller, ProfileCommand::Delete(name.to_owned())).await?;
        Ok(())
    }

    /// Changes the secrets of a profile, wherever it comes from.
    ///
    /// # Errors
    /// When there is no such profile, a secret cannot be one, or it is not kept.
    pub async fn change_secrets(
        &self,
        caller: &Caller,
        name: &str,
        change: SecretChange,
    ) -> Result<Listed, NotChanged> {
        caller.may_administer()?;
        let listed = self.listed(name)?;
        let given = change.key.iter().flatten().map(|key| ("api_key", key));
        let values = change.headers.iter().filter_map(|(_, value)| Some(("headers", value.as_ref()?)));
        for (field, secret) in given.chain(values) {
            check_secret(field, secret)?;
        }
        if let Some((header, _)) =
            change.headers.iter().find(|(name, _)| !listed.profile.headers.contains(name))
        {
            let why = format!("has {header}, which the profile does not name");
            return Err(Refused::invalid("headers", why).into());
        }
        if matches!(change.key, Some(Some(_))) {
            listed.profile.check(true)?;
        }
        self.write(name, change).await?;
        self.listed(name)
    }

    /// Gives a profile that was made another name. Its secrets go with it, and nothing is left under the old one.
    ///
    /// # Errors
    /// When there is none that was made, the new name is taken, or it is not kept.
    pub async fn rename_profile(&self, caller: &Caller, from: &str, to: &str) -> Result<Listed, NotChanged> {
        caller.may_administer()?;
        let made = self.profiles().made().get(from).cloned();
        let profile = made.ok_or_else(|| Refused::not_found("profile", from))?;
        if self.profiles().get(to).is_some() {
            return Err(Refused::Exists { what: "profile", id: to.to_owned() }.into());
        }
        let of =
            |header: &String| (header.clone(), self.profiles().0.secrets.get(&header_name(from, header)));
        let headers = profile.headers.iter().map(of).collect();
        let key = Some(self.profiles().0.secrets.get(&key_name(from)));
        self.put_profile(caller, to, profile).await?;
        self.write(to, SecretChange { key, headers }).await?;
        self.delete_profile(caller, from).await?;
        self.listed(to)
    }

    fn listed(&self, name: &str) -> Result<Listed, NotChanged> {
        self.profiles().get(name).ok_or_else(|| Refused::not_found("profile", name).into())
    }

    async fn book(&self, caller: &Caller, command: ProfileCommand) -> Result<(), CommandError> {
        self.books().command(&LogId::profiles(), caller.clone(), command, None).await.map(drop)
    }

    async fn write(&self, name: &str, change: SecretChange) -> Result<(), NotChanged> {
        let (profiles, name) = (self.profiles().clone(), Arc::<str>::from(name));
        let SecretChange { key, headers } = change;
        let written = tokio::task::spawn_blocking(move || {
            if let Some(key) = key {
                profiles.set_key(&name, key)?;
            }
            profiles.set_headers(&name, headers)
        });
        Ok(written.await.map_err(|_| CommandError::Stopping)??)
    }
}

fn of_file() -> Refused {
    Refused::invalid("name", "stands in config.toml: change it there, and start the daemon anew")
}

/// What cannot be the value of a header is refused here, not when the model is asked.
pub(crate) fn check_secret(field: &str, secret: &Secret) -> Result<(), Refused> {
    let text = secret.reveal();
    if text.is_empty() || text.len() > MAX_SECRET {
        return Err(Refused::invalid(field, format!("must have 1 to {MAX_SECRET} bytes")));
    }
    if !text.chars().all(|c| c.is_ascii_graphic() || c == ' ') || text.trim() != text {
        return Err(Refused::invalid(field, "must be visible ASCII characters, without a space at an end"));
    }
    Ok(())
}
