//! A message that only a browser can read (RFC 8291, by the content coding of RFC 8188).

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::rand::{SecureRandom, SystemRandom};

/// The bytes of a public key of P-256, uncompressed.
pub(super) const KEY_BYTES: usize = 65;
/// The bytes of what authenticates a sender to a browser.
pub(super) const AUTH_BYTES: usize = 16;
/// The longest message: a push service need not take a body of more than 4,096 bytes (RFC 8030, section 7.2).
pub(super) const MAX_MESSAGE: usize = 4_096 - HEADER_BYTES - 16 - 1;
/// Salt, record size, and the sender's key with its length.
const HEADER_BYTES: usize = 16 + 4 + 1 + KEY_BYTES;
/// One record holds it all.
const RECORD: u32 = 4_096;
/// What ends the last record.
const LAST: u8 = 2;

/// Seals a message for the browser with this key and this secret. `None` if the key is no point of the curve, the message is too
/// long, or the machine has no randomness.
pub(super) fn seal(theirs: &[u8; KEY_BYTES], auth: &[u8; AUTH_BYTES], message: &[u8]) -> Option<Vec<u8>> {
    if message.len() > MAX_MESSAGE {
        return None;
    }
    let random = SystemRandom::new();
    let own = EphemeralPrivateKey::generate(&ECDH_P256, &random).ok()?;
    let ours = own.compute_public_key().ok()?;
    let mut salt = [0; 16];
    random.fill(&mut salt).ok()?;
    let keys = agree_ephemeral(own, &UnparsedPublicKey::new(&ECDH_P256, theirs), |secret| {
        derive(secret, auth, theirs, ours.as_ref(), &salt)
    });
    let (key, nonce) = keys.ok()?;
    let mut sealed = message.to_vec();
    sealed.push(LAST);
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).ok()?);
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed).ok()?;
    let mut body = salt.to_vec();
    body.extend(RECORD.to_be_bytes());
    body.push(u8::try_from(KEY_BYTES).unwrap_or_default());
    body.extend(ours.as_ref());
    body.extend(sealed);
    Some(body)
}

/// The key and the nonce of the one record (RFC 8291, section 3.4).
fn derive(secret: &[u8], auth: &[u8], theirs: &[u8], ours: &[u8], salt: &[u8]) -> ([u8; 16], [u8; 12]) {
    let info = [b"WebPush: info\0", theirs, ours];
    let ikm: [u8; 32] = expand(auth, secret, &info);
    let key = expand(salt, &ikm, &[b"Content-Encoding: aes128gcm\0"]);
    (key, expand(salt, &ikm, &[b"Content-Encoding: nonce\0"]))
}

struct Bytes(usize);

impl KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand<const N: usize>(salt: &[u8], secret: &[u8], info: &[&[u8]]) -> [u8; N] {
    let mut out = [0; N];
    let key = Salt::new(HKDF_SHA256, salt).extract(secret);
    // HKDF gives up to 8,160 bytes.
    key.expand(info, Bytes(N)).and_then(|okm| okm.fill(&mut out)).expect("it is short");
    out
}

#[cfg(test)]
pub(super) mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    /// A browser: it has a key, and opens what was sealed for it.
    pub(in super::super) struct Browser {
        own: EphemeralPrivateKey,
        pub(in super::super) key: [u8; KEY_BYTES],
        pub(in super::super) auth: [u8; AUTH_BYTES],
    }

    impl Browser {
        pub(in super::super) fn new() -> Self {
            let own = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).unwrap();
            let key = own.compute_public_key().unwrap().as_ref().try_into().unwrap();
            Self { own, key, auth: [7; AUTH_BYTES] }
        }

        pub(in super::super) fn open(self, body: &[u8]) -> Vec<u8> {
            let (salt, rest) = body.split_at(16);
            assert_eq!(rest[..5], [0, 0, 16, 0, 65]);
            let (ours, sealed) = rest[5..].split_at(KEY_BYTES);
            let (key, nonce) =
                agree_ephemeral(self.own, &UnparsedPublicKey::new(&ECDH_P256, ours), |secret| {
                    derive(secret, &self.auth, &self.key, ours, salt)
                })
                .unwrap();
            let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).unwrap());
            let mut sealed = sealed.to_vec();
            let nonce = Nonce::assume_unique_for_key(nonce);
            let open = key.open_in_place(nonce, Aad::empty(), &mut sealed).unwrap();
            let (last, message) = open.split_last().unwrap();
            assert_eq!(*last, LAST);
            message.to_vec()
        }
    }

    fn bytes(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    #[test]
    fn keys_are_those_of_the_example_of_the_rfc() {
        let (key, nonce) = derive(
            &bytes("kyrL1jIIOHEzg3sM2ZWRHDRB62YACZhhSlknJ672kSs"),
            &bytes("BTBZMqHH6r4Tts7J_aSIgg"),
            &bytes("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"),
            &bytes("BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8"),
            &bytes("DGv6ra1nlYgDCS1FRnbzlw"),
        );
        assert_eq!(key.to_vec(), bytes("oIhVW04MRdy2XN9CiKLxTg"));
        assert_eq!(nonce.to_vec(), bytes("4h_95klXJ5E_qnoN"));
    }

    #[test]
    fn a_browser_opens_what_was_sealed_for_it() {
        for message in [&b""[..], "{\"ü\":1}".as_bytes(), &[b'x'; MAX_MESSAGE]] {
            let browser = Browser::new();
            let body = seal(&browser.key, &browser.auth, message).unwrap();
            assert!(body.len() <= 4_096);
            assert_eq!(browser.open(&body), message);
        }
        let browser = Browser::new();
        assert_eq!(seal(&browser.key, &browser.auth, &[b'x'; MAX_MESSAGE + 1]), None);
        assert_eq!(seal(&[4; KEY_BYTES], &browser.auth, b"x"), None, "that is no point of the curve");
    }
}
