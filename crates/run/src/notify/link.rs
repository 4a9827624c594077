//! Signed links by which one request is answered without a token. What they may answer is in
//! [`answer_link`](trunkline_core::answer_link).
//!
//! A link holds the request, until when it works and who was told, and an HMAC-SHA256 over them. It is used up by the answer,
//! since a request takes only one.

use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac::{self, HMAC_SHA256};
use ring::rand::SystemRandom;
use trunkline_core::answer_link::until;
use trunkline_core::id::RequestId;
use trunkline_core::time::Time;
use trunkline_core::view::RequestView;
use trunkline_wire::model::Secret;
use uuid::Uuid;

use crate::secrets::{Secrets, SecretsError};

/// The key's name in the store of secrets.
const KEY: &str = "answer_links.key";
const KEY_BYTES: usize = 32;
const MAC_BYTES: usize = 32;
/// A request and a time.
const FIXED_BYTES: usize = 16 + 8;
/// The longest link that is looked at, in characters.
const MAX_LINK: usize = 256;

/// Makes and reads links. The key is made with the first link, and stays over restarts.
#[derive(Debug)]
pub struct Links {
    secrets: Secrets,
    key: Mutex<Option<hmac::Key>>,
}

/// What a link says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The request it answers.
    pub request: RequestId,
    /// When it stops working.
    pub until: Time,
    /// Who was told: the name of the service or the device.
    pub told: String,
}

impl Links {
    /// Links whose key lies in this store.
    #[must_use]
    pub const fn new(secrets: Secrets) -> Self {
        Self { secrets, key: Mutex::new(None) }
    }

    /// The address behind `url` by which whoever is told answers a request; `None` if it may not be answered so.
    ///
    /// # Errors
    /// When the key cannot be made or kept.
    pub fn address(
        &self,
        url: &str,
        request: &RequestView,
        told: &str,
    ) -> Result<Option<String>, SecretsError> {
        let Some(until) = until(request) else { return Ok(None) };
        let link = Link { request: request.id, until, told: told.to_owned() };
        Ok(Some(format!("{url}/a/{}", self.make(&link)?)))
    }

    fn make(&self, link: &Link) -> Result<String, SecretsError> {
        let mut bytes = link.request.uuid().into_bytes().to_vec();
        bytes.extend(link.until.0.to_be_bytes());
        bytes.extend(link.told.as_bytes());
        bytes.extend(hmac::sign(&self.key()?, &bytes).as_ref());
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// What a link says; `None` if none of ours says it.
    ///
    /// # Errors
    /// When the key cannot be made or kept.
    pub fn read(&self, link: &str) -> Result<Option<Link>, SecretsError> {
        let bytes = URL_SAFE_NO_PAD.decode(link).ok().filter(|_| link.len() <= MAX_LINK);
        let Some(bytes) = bytes.filter(|bytes| bytes.len() >= FIXED_BYTES + MAC_BYTES) else {
            return Ok(None);
        };
        let (said, mac) = bytes.split_at(bytes.len() - MAC_BYTES);
        if hmac::verify(&self.key()?, said, mac).is_err() {
            return Ok(None);
        }
        let (fixed, told) = said.split_at(FIXED_BYTES);
        let (request, until) = fixed.split_at(16);
        let read = || {
            let request = RequestId::new(Uuid::from_slice(request).ok()?);
            let until = Time(i64::from_be_bytes(until.try_into().ok()?));
            Some(Link { request, until, told: String::from_utf8(told.to_vec()).ok()? })
        };
        Ok(read())
    }

    fn key(&self) -> Result<hmac::Key, SecretsError> {
        let mut known = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = &*known {
            return Ok(key.clone());
        }
        let kept = self.secrets.get(KEY).and_then(|kept| URL_SAFE_NO_PAD.decode(kept.reveal()).ok());
        let bytes = match kept.filter(|bytes| bytes.len() == KEY_BYTES) {
            Some(bytes) => bytes,
            None => {
                let made = ring::rand::generate::<[u8; KEY_BYTES]>(&SystemRandom::new());
                let made = made.map_err(|_| SecretsError::NoRandomness)?.expose();
                self.secrets.set([(KEY.to_owned(), Some(Secret::new(URL_SAFE_NO_PAD.encode(made))))])?;
                made.to_vec()
            }
        };
        Ok(known.insert(hmac::Key::new(HMAC_SHA256, &bytes)).clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> Link {
        Link { request: RequestId::new(Uuid::from_u128(7)), until: Time(5_000), told: "phone ü".to_owned() }
    }

    #[test]
    fn a_link_says_what_it_was_made_for_in_the_next_life_too() {
        let home = tempfile::tempdir().unwrap();
        let made = Links::new(Secrets::open(home.path()).unwrap()).make(&link()).unwrap();
        assert!(made.len() <= MAX_LINK);
        let links = Links::new(Secrets::open(home.path()).unwrap());
        assert_eq!(links.read(&made).unwrap(), Some(link()));
    }

    #[test]
    fn what_another_signed_or_somebody_changed_says_nothing() {
        let homes = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [ours, other] = homes.each_ref().map(|home| Links::new(Secrets::open(home.path()).unwrap()));
        assert_eq!(ours.read(&other.make(&link()).unwrap()).unwrap(), None);
        let made = URL_SAFE_NO_PAD.decode(ours.make(&link()).unwrap()).unwrap();
        for at in 0..made.len() {
            let mut changed = made.clone();
            changed[at] ^= 1;
            assert_eq!(ours.read(&URL_SAFE_NO_PAD.encode(changed)).unwrap(), None, "byte {at}");
        }
        for text in ["", "x", "%00", &"A".repeat(300)] {
            assert_eq!(ours.read(text).unwrap(), None);
        }
    }
}
