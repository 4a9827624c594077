//! Who a caller is: bearer tokens, and the one-time links by which browsers get theirs.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use trunkline_core::audit::Source;
use trunkline_core::principal::{Caller, Principal, Scope};
use trunkline_core::time::Time;
use trunkline_run::{CommandError, Hub};

use crate::extract::hex;
use crate::gate::Pass;

/// How long a one-time link opens the page.
pub const LINK_TTL_MS: u64 = 5 * 60_000;
/// How many links may be unused at a time; the oldest goes.
const MAX_LINKS: usize = 100;

/// A new secret of 256 random bits, in a form that fits headers and URLs.
///
/// # Errors
/// When the system has no randomness to give.
pub fn secret() -> Result<String, getrandom::Error> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The form in which a secret is kept and compared.
#[must_use]
pub fn sha256(secret: &str) -> String {
    hex(&Sha256::digest(secret.as_bytes()))
}

/// The token in `Authorization: Bearer …`.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// What opens the daemon.
pub(crate) struct Auth {
    /// Hash of the token in the owner's file. Hashes are compared, so timing tells nothing about the token.
    owner: String,
    links: Mutex<VecDeque<Link>>,
}

struct Link {
    sha256: String,
    expires: Time,
    scope: Scope,
}

impl Auth {
    pub(crate) fn new(owner_token: &str) -> Self {
        Self { owner: sha256(owner_token), links: Mutex::default() }
    }

    /// The holder of a token, who comes from there, and what may end before a stream does.
    pub(crate) async fn caller(
        &self,
        hub: &Hub,
        token: &str,
        source: Option<Source>,
    ) -> Result<Option<(Caller, Pass)>, CommandError> {
        let hash = sha256(token);
        if hash == self.owner {
            let owner = Caller::new(Principal::owner(), Scope::Admin);
            return Ok(Some((owner.from(source), Pass(None))));
        }
        let Some(token) = hub.token(hash.clone()).await? else { return Ok(None) };
        let source = source.map(|source| Source { token: Some(token.id), ..source });
        Ok(Some((token.holder().from(source), Pass(Some(hash)))))
    }

    /// Makes a code that can be exchanged for a token once. Its scope is the maker's.
    pub(crate) fn link(&self, now: Time, scope: Scope) -> Result<(String, Time), getrandom::Error> {
        let code = secret()?;
        let expires = now.plus_ms(LINK_TTL_MS);
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|link| link.expires > now);
        if links.len() >= MAX_LINKS {
            links.pop_front();
        }
        links.push_back(Link { sha256: sha256(&code), expires, scope });
        Ok((code, expires))
    }

    /// Takes a code: it works once, and only before it expires.
    pub(crate) fn redeem(&self, code: &str, now: Time) -> Option<Scope> {
        let hash = sha256(code);
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let at = links.iter().position(|link| link.sha256 == hash)?;
        let link = links.remove(at)?;
        (link.expires > now).then_some(link.scope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_works_once_and_not_for_long() {
        let auth = Auth::new("owner");
        let (code, expires) = auth.link(Time(0), Scope::Admin).unwrap();
        assert_eq!(auth.redeem("other", Time(1)), None);
        assert_eq!(auth.redeem(&code, Time(1)), Some(Scope::Admin));
        assert_eq!(auth.redeem(&code, Time(1)), None);
        let (late, _) = auth.link(Time(0), Scope::Admin).unwrap();
        assert_eq!(auth.redeem(&late, expires), None);
    }

    #[test]
    fn secrets_differ_and_have_256_bits() {
        let (a, b) = (secret().unwrap(), secret().unwrap());
        assert_ne!(a, b);
        assert_eq!(URL_SAFE_NO_PAD.decode(a).unwrap().len(), 32);
    }
}
