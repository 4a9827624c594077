//! Who sends, said to a push service (RFC 8292): a token signed by the daemon's own key, which each browser was given when it
//! subscribed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::json;
use trunkline_core::time::Time;
use trunkline_wire::model::Secret;

use crate::secrets::{Secrets, SecretsError};

/// The key's name in the store of secrets.
const KEY: &str = "push.key";
/// How long a token is good for; a service takes a day at most.
const LIFE_MS: u64 = 12 * 3_600_000;

/// The daemon's key.
#[derive(Debug)]
pub(super) struct Vapid(EcdsaKeyPair);

impl Vapid {
    /// The key of this store. It is made if it is not there.
    pub(super) fn of(secrets: &Secrets) -> Result<Self, SecretsError> {
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let kept = secrets.get(KEY).and_then(|kept| URL_SAFE_NO_PAD.decode(kept.reveal()).ok());
        if let Some(key) = kept.and_then(|kept| EcdsaKeyPair::from_pkcs8(algorithm, &kept, &random).ok()) {
            return Ok(Self(key));
        }
        let made =
            EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(|_| SecretsError::NoRandomness)?;
        let key = EcdsaKeyPair::from_pkcs8(algorithm, made.as_ref(), &random)
            .map_err(|_| SecretsError::NoRandomness)?;
        secrets.set([(KEY.to_owned(), Some(Secret::new(URL_SAFE_NO_PAD.encode(made.as_ref()))))])?;
        Ok(Self(key))
    }

    /// The public half, as a browser takes it.
    pub(super) fn public(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.public_key().as_ref())
    }

    /// The value of `Authorization` for a service at this origin. `subject` is where its owner asks who sends.
    pub(super) fn authorization(&self, origin: &str, subject: &str, now: Time) -> Option<String> {
        let seconds = now.plus_ms(LIFE_MS).0 / 1_000;
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let head = part(json!({ "typ": "JWT", "alg": "ES256" }));
        let claims = part(json!({ "aud": origin, "exp": seconds, "sub": subject }));
        let said = format!("{head}.{claims}");
        let signature = self.0.sign(&SystemRandom::new(), said.as_bytes()).ok()?;
        let signature = URL_SAFE_NO_PAD.encode(signature.as_ref());
        Some(format!("vapid t={said}.{signature}, k={}", self.public()))
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    #[test]
    fn a_service_can_tell_who_sends() {
        let secrets = Secrets::default();
        let vapid = Vapid::of(&secrets).unwrap();
        let authorization =
            vapid.authorization("https://push.example", "https://tl.example", Time(1_000_000)).unwrap();
        let (token, key) = authorization.strip_prefix("vapid t=").unwrap().split_once(", k=").unwrap();
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        let (said, signature) = token.rsplit_once('.').unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, decode(key))
            .verify(said.as_bytes(), &decode(signature))
            .unwrap();
        let claims: serde_json::Value =
            serde_json::from_slice(&decode(said.split_once('.').unwrap().1)).unwrap();
        assert_eq!(
            claims,
            json!({ "aud": "https://push.example", "exp": 44_200, "sub": "https://tl.example" })
        );
        assert_eq!(Vapid::of(&secrets).unwrap().public(), vapid.public(), "the key stays");
    }
}
