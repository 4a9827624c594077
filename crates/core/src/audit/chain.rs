//! The chain: each record carries the hash of the one before it, so a record cannot be changed, removed, added or moved
//! without every later hash changing with it.
//!
//! `hash = SHA-256("trunkline audit 1" LF number LF prev LF record)`, in hexadecimal, over the record's bytes as they are
//! kept. The first `prev` is 64 zeros. Numbers count 1, 2, 3 … without holes.
//!
//! A chain alone cannot tell that its newest records were cut off, nor that somebody has made all of it anew. For that one
//! keeps a [`Head`] elsewhere and gives it to the [`Verifier`] later as an anchor.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::id::Seq;

const DOMAIN: &str = "trunkline audit 1";

/// A record with its place in the chain.
#[derive(Debug, Clone, Copy)]
pub struct Link<'a> {
    /// Its number.
    pub n: Seq,
    /// The hash of the record before it.
    pub prev: &'a str,
    /// Its own.
    pub hash: &'a str,
    /// The record, byte for byte.
    pub record: &'a str,
}

/// The newest record of a chain, by number and hash: `42:9f86d0…`. Number 0 is the chain without records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AuditHead")]
pub struct Head {
    /// Its number.
    pub n: Seq,
    /// Its hash.
    pub hash: String,
}

impl Default for Head {
    fn default() -> Self {
        Self { n: Seq::ZERO, hash: "0".repeat(64) }
    }
}

impl Head {
    /// The head once this record is appended.
    #[must_use]
    pub fn then(&self, record: &str) -> Self {
        let n = self.n.plus(1);
        Self { n, hash: hash(n, &self.hash, record) }
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.n, self.hash)
    }
}

/// This is no head of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a number, a colon and 64 hexadecimal digits, as `verify` prints it")]
pub struct BadHead;

impl FromStr for Head {
    type Err = BadHead;

    fn from_str(text: &str) -> Result<Self, BadHead> {
        let (n, hash) = text.split_once(':').ok_or(BadHead)?;
        let n = n.parse().map(Seq).map_err(|_| BadHead)?;
        let is_hash = hash.len() == 64 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if is_hash { Ok(Self { n, hash: hash.to_owned() }) } else { Err(BadHead) }
    }
}

/// The first record that is not what it was, and how that shows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A number is missing, or comes twice.
    #[error("record {expected} is missing: after {before} comes {found}", before = expected.0.saturating_sub(1))]
    Missing {
        /// What should have come.
        expected: Seq,
        /// What came.
        found: Seq,
    },
    /// It does not follow from the record before it.
    #[error("record {n} does not follow from the one before it: one of the two was changed or replaced")]
    Torn {
        /// Its number.
        n: Seq,
    },
    /// It is not what its hash was made from.
    #[error("record {n} was changed: its hash is that of another record")]
    Changed {
        /// Its number.
        n: Seq,
    },
    /// It is not the one that was noted.
    #[error("record {n} is another one than the one that was noted: its hash is {found}")]
    Replaced {
        /// Its number.
        n: Seq,
        /// The hash it has.
        found: String,
    },
    /// The noted record, and perhaps more, is not there any more.
    #[error("record {} is missing: record {anchor} was noted, and the chain ends with {head}", head.0 + 1)]
    CutOff {
        /// The number that was noted.
        anchor: Seq,
        /// The last that is there.
        head: Seq,
    },
}

impl Broken {
    /// The number of the first bad record.
    #[must_use]
    pub fn n(&self) -> Seq {
        match self {
            Self::Missing { expected: n, .. }
            | Self::Torn { n }
            | Self::Changed { n }
            | Self::Replaced { n, .. } => *n,
            Self::CutOff { head, .. } => head.plus(1),
        }
    }
}

/// Takes the records of a chain one by one, and says at which it is broken.
#[derive(Debug, Clone, Default)]
pub struct Verifier {
    head: Head,
    anchor: Option<Head>,
}

impl Verifier {
    /// Begins before the first record. The anchor is a head that was noted earlier.
    #[must_use]
    pub fn new(anchor: Option<Head>) -> Self {
        Self { head: Head::default(), anchor }
    }

    /// Takes the next record.
    ///
    /// # Errors
    /// When the chain is broken there.
    pub fn take(&mut self, link: &Link<'_>) -> Result<(), Broken> {
        let Link { n, prev, hash: claimed, record } = *link;
        let expected = self.head.n.plus(1);
        if n != expected {
            return Err(Broken::Missing { expected, found: n });
        }
        if prev != self.head.hash {
            return Err(Broken::Torn { n });
        }
        if claimed != hash(n, prev, record) {
            return Err(Broken::Changed { n });
        }
        self.head = Head { n, hash: claimed.to_owned() };
        self.compare()
    }

    /// Ends: gives the head, to be noted.
    ///
    /// # Errors
    /// When records are missing at the end.
    pub fn finish(self) -> Result<Head, Broken> {
        self.compare()?;
        match self.anchor {
            Some(anchor) if anchor.n > self.head.n => {
                Err(Broken::CutOff { anchor: anchor.n, head: self.head.n })
            }
            Some(_) | None => Ok(self.head),
        }
    }

    /// The last record taken.
    #[must_use]
    pub const fn head(&self) -> &Head {
        &self.head
    }

    fn compare(&self) -> Result<(), Broken> {
        match &self.anchor {
            Some(anchor) if anchor.n == self.head.n && anchor.hash != self.head.hash => {
                Err(Broken::Replaced { n: anchor.n, found: self.head.hash.clone() })
            }
            Some(_) | None => Ok(()),
        }
    }
}

fn hash(n: Seq, prev: &str, record: &str) -> String {
    sha256(&[DOMAIN, "\n", &n.to_string(), "\n", prev, "\n", record])
}

/// SHA-256 of the parts, one behind the other, in hexadecimal.
pub(super) fn sha256(parts: &[&str]) -> String {
    use fmt::Write;
    let mut digest = Sha256::new();
    parts.iter().for_each(|part| digest.update(part));
    digest.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}
