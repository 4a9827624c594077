//! A certificate that the daemon makes itself, by an authority of its own.
//!
//! A browser takes a service worker only from a page whose certificate it trusts, so a device is told once to trust the
//! authority, and the certificate under it can be made anew for another year, another address, another name. What that trust is
//! worth is bounded: the authority may speak for private addresses and for the names it was made for, and for nobody else's.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use trunkline_core::time::Time;

use super::{Identity, TlsError};

/// The authority's certificate, for devices that are to trust it. Below the directory.
pub const AUTHORITY: &str = "ca.pem";
/// Both certificates with their keys. Below the directory.
const KEPT: &str = "own.json";
const DAY: u64 = 86_400;
/// How long the authority counts.
const AUTHORITY_DAYS: u64 = 3_650;
/// How long the certificate counts: Apple's devices refuse one that counts for longer than 825 days, and in time for 398.
const DAYS: u64 = 397;
/// So long before its end it is made anew.
const RENEW_DAYS: u64 = 60;
/// So long before now it counts already: a device's clock may be behind.
const BEHIND_DAYS: u64 = 2;
/// How many names a certificate has at most; earlier ones are the first to be left out.
const MAX_NAMES: usize = 64;
/// Networks whose addresses are nobody's but their owner's: any daemon's authority may speak for them. (RFC 1918, RFC 6598, RFC 4193,
/// and loopback.)
const PRIVATE: [(IpAddr, u8); 7] = [
    (IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 0)), 8),
    (IpAddr::V4(std::net::Ipv4Addr::new(172, 16, 0, 0)), 12),
    (IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 0, 0)), 16),
    (IpAddr::V4(std::net::Ipv4Addr::new(100, 64, 0, 0)), 10),
    (IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 0)), 8),
    (IpAddr::V6(std::net::Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
    (IpAddr::V6(std::net::Ipv6Addr::LOCALHOST), 128),
];

/// The own certificate: where it is kept, and for whom it is.
#[derive(Debug, Clone)]
pub struct Own {
    /// The directory for it, in the daemon's home.
    pub dir: PathBuf,
    /// Names and addresses it must be for.
    pub must: Vec<String>,
    /// Those it is for where the authority may speak for them: addresses that come and go.
    pub may: Vec<String>,
}

/// The file.
#[derive(Clone, Serialize, Deserialize)]
struct Kept {
    authority: Made,
    certificate: Made,
}

/// A certificate as it is kept: what was put into it is beside it, so that nothing need read certificates.
#[derive(Clone, Serialize, Deserialize)]
struct Made {
    title: String,
    names: Vec<String>,
    /// Its last second.
    until: u64,
    /// DER, base64.
    certificate: String,
    key: String,
}

impl Own {
    /// The certificate as it is kept, or a new one: at the first time, for other names, and before it ends. Blocks.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn open(&self, now: Time) -> Result<Identity, TlsError> {
        let kept = self.read()?;
        let new = self.next(kept.as_ref(), seconds(now))?;
        if new.is_some() {
            tracing::info!(dir = %self.dir.display(), "a certificate was made");
        }
        let current = match (new, kept) {
            (Some(new), _) => self.write(new)?,
            (None, Some(kept)) => kept,
            (None, None) => unreachable!("what is not there is made"),
        };
        self.identity(&current)
    }

    /// A new one if the one that is kept ends soon. Blocks.
    pub(super) fn renewed(&self, now: Time) -> Result<Option<Identity>, TlsError> {
        let kept = self.read()?;
        match self.next(kept.as_ref(), seconds(now))? {
            Some(new) => self.identity(&self.write(new)?).map(Some),
            None => Ok(None),
        }
    }

    /// What is to be kept from now on, unless it is what is kept.
    fn next(&self, kept: Option<&Kept>, now: u64) -> Result<Option<Kept>, TlsError> {
        let fits = |kept: &&Kept| {
            let authority = &kept.authority;
            let lasts =
                authority.until > now + DAYS * DAY && !is_of_the_future(authority, AUTHORITY_DAYS, now);
            lasts && self.must.iter().all(|name| authority.may_speak_for(name))
        };
        let Some(before) = kept.filter(fits) else {
            if kept.is_some() {
                tracing::warn!("devices that trust this daemon's authority must be told to trust a new one");
            }
            let authority = authority(&self.all(), now)?;
            let certificate = certificate(&authority, self.all(), now)?;
            return Ok(Some(Kept { authority, certificate }));
        };
        let may = self.may.iter().filter(|name| before.authority.may_speak_for(name));
        let mut names = unique(self.must.iter().chain(may).cloned().collect());
        let lasts = before.certificate.until > now + RENEW_DAYS * DAY
            && !is_of_the_future(&before.certificate, DAYS, now);
        if lasts && names.iter().all(|name| before.certificate.names.contains(name)) {
            return Ok(None);
        }
        // A machine that goes between two networks has one certificate for both, and its devices are asked once.
        names.extend(before.certificate.names.iter().cloned());
        let certificate = certificate(&before.authority, names, now)?;
        Ok(Some(Kept { certificate, ..before.clone() }))
    }

    fn all(&self) -> Vec<String> {
        self.must.iter().chain(&self.may).cloned().collect()
    }

    fn identity(&self, kept: &Kept) -> Result<Identity, TlsError> {
        let damaged =
            |why: String| TlsError::Damaged { path: self.dir.join(KEPT).display().to_string(), why };
        let bytes = |text: &str| STANDARD.decode(text).map_err(|error| damaged(error.to_string()));
        let chain = vec![
            CertificateDer::from(bytes(&kept.certificate.certificate)?),
            CertificateDer::from(bytes(&kept.authority.certificate)?),
        ];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(bytes(&kept.certificate.key)?));
        Identity::new(chain, key).map_err(|error| damaged(error.to_string()))
    }

    fn read(&self) -> Result<Option<Kept>, TlsError> {
        let path = self.dir.join(KEPT);
        match super::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| TlsError::Damaged {
                path: path.display().to_string(),
                why: error.to_string(),
            }),
            Err(TlsError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write(&self, kept: Kept) -> Result<Kept, TlsError> {
        let failed = |source| TlsError::Io { path: self.dir.display().to_string(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir).map_err(failed)?;
        let json = serde_json::to_vec_pretty(&kept).expect("text and numbers are JSON");
        whole(&self.dir.join(KEPT), &json).map_err(failed)?;
        whole(&self.dir.join(AUTHORITY), pem(&kept.authority.certificate).as_bytes()).map_err(failed)?;
        Ok(kept)
    }
}

impl Made {
    /// Whether a certificate for this name counts under this authority.
    fn may_speak_for(&self, name: &str) -> bool {
        self.names.iter().any(|own| own == name) || name.parse().is_ok_and(is_private)
    }
}

fn authority(names: &[String], now: u64) -> Result<Made, TlsError> {
    let key = KeyPair::generate().map_err(|error| making("the authority", &error))?;
    let mark: String =
        Sha256::digest(key.public_key_raw()).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let host = names.iter().find(|name| name.parse::<IpAddr>().is_err() && *name != "localhost");
    let title = format!("Trunkline on {} ({mark})", host.map_or("this machine", String::as_str));
    let until = now + AUTHORITY_DAYS * DAY;
    let mut params = params(&title, now, until);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let private = PRIVATE.map(|(ip, prefix)| CidrSubnet::from_addr_prefix(ip, prefix));
    let mut permitted: Vec<_> = private.map(GeneralSubtree::IpAddress).into();
    for name in names {
        match name.parse::<IpAddr>() {
            Ok(ip) if is_private(ip) => {}
            Ok(ip) => {
                let prefix = if ip.is_ipv4() { 32 } else { 128 };
                permitted.push(GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(ip, prefix)));
            }
            Err(_) => permitted.push(GeneralSubtree::DnsName(name.clone())),
        }
    }
    params.name_constraints =
        Some(NameConstraints { permitted_subtrees: permitted, excluded_subtrees: vec![] });
    let made = params.self_signed(&key).map_err(|error| making(&title, &error))?;
    Ok(Made::of(title, names.to_vec(), until, made.der(), &key))
}

fn certificate(authority: &Made, names: Vec<String>, now: u64) -> Result<Made, TlsError> {
    let names = unique(names);
    let first = names.first().map_or("localhost", String::as_str).to_owned();
    let until = (now + DAYS * DAY).min(authority.until);
    let key = KeyPair::generate().map_err(|error| making(&first, &error))?;
    let mut params = params("Trunkline", now, until);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    for name in &names {
        params.subject_alt_names.push(match name.parse::<IpAddr>() {
            Ok(ip) => SanType::IpAddress(ip),
            Err(_) => SanType::DnsName(name.as_str().try_into().map_err(|error| making(name, &error))?),
        });
    }
    let damaged = |error: &dyn std::fmt::Display| making(&first, error);
    let signing = STANDARD.decode(&authority.key).map_err(|error| damaged(&error))?;
    let signing = KeyPair::try_from(&PrivatePkcs8KeyDer::from(signing)).map_err(|error| damaged(&error))?;
    let mut vouches = self::params(&authority.title, now, until);
    vouches.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let made = params.signed_by(&key, &Issuer::new(vouches, signing)).map_err(|error| damaged(&error))?;
    Ok(Made::of("Trunkline".to_owned(), names, until, made.der(), &key))
}

impl Made {
    fn of(title: String, names: Vec<String>, until: u64, certificate: &[u8], key: &KeyPair) -> Self {
        let (certificate, key) = (STANDARD.encode(certificate), STANDARD.encode(key.serialized_der()));
        Self { title, names, until, certificate, key }
    }
}

fn params(title: &str, now: u64, until: u64) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, title);
    params.distinguished_name = name;
    let at = |seconds| date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
    params.not_before = at(now.saturating_sub(BEHIND_DAYS * DAY));
    params.not_after = at(until);
    params
}

/// Whether it does not count yet, because it was made while the machine's clock was ahead.
fn is_of_the_future(made: &Made, days: u64, now: u64) -> bool {
    made.until > now + (days + BEHIND_DAYS) * DAY
}

fn is_private(ip: IpAddr) -> bool {
    PRIVATE.iter().any(|(network, prefix)| match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            (ip.to_bits() ^ network.to_bits()).leading_zeros() >= u32::from(*prefix)
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => {
            (ip.to_bits() ^ network.to_bits()).leading_zeros() >= u32::from(*prefix)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    })
}

fn unique(names: Vec<String>) -> Vec<String> {
    let mut unique: Vec<String> = Vec::new();
    for name in names {
        if unique.len() < MAX_NAMES && !unique.contains(&name) {
            unique.push(name);
        }
    }
    unique
}

fn making(name: &str, why: &(impl std::fmt::Display + ?Sized)) -> TlsError {
    TlsError::Making { name: name.to_owned(), why: why.to_string() }
}

fn seconds(now: Time) -> u64 {
    u64::try_from(now.0 / 1000).unwrap_or(0)
}

/// RFC 7468: lines of 64 characters.
fn pem(der: &str) -> String {
    let lines: Vec<_> = der.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// Writes a private file so that readers see the old one or the new one, never half of it.
fn whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_added_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}
