//! `tls`, `tls_cert`, `tls_key`: which certificate TCP listeners show.

use std::path::PathBuf;

use super::{File, Flags, Layers};
use crate::error::Result;

/// What is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tls {
    /// There is no TLS.
    Off,
    /// A certificate that the daemon makes.
    Own,
    /// One of the user's.
    Files {
        /// The certificate, with those that vouch for it.
        cert: PathBuf,
        /// Its key.
        key: PathBuf,
    },
}

impl Tls {
    /// Whoever names files means them; `off` and `own` leave them for another day.
    pub(super) fn of(layers: &mut Layers<'_>, flags: &Flags, file: &File) -> Result<Self> {
        let cert = layers.text("tls_cert", flags.tls_cert.as_deref(), file.tls_cert.clone(), "");
        let key = layers.text("tls_key", flags.tls_key.as_deref(), file.tls_key.clone(), "");
        let default = if cert.is_empty() && key.is_empty() { "off" } else { "files" };
        let which = layers.text("tls", flags.tls.as_deref(), file.tls.clone(), default);
        match which.as_str() {
            "off" => return Ok(Self::Off),
            "own" => return Ok(Self::Own),
            "files" => {}
            other => return Err(layers.bad("tls", &format!("`{other}` is not own, files or off"))),
        }
        for (name, path) in [("tls_cert", &cert), ("tls_key", &key)] {
            if path.is_empty() {
                let why = "say which file: TLS needs the certificate (`tls_cert`) and its key (`tls_key`)";
                return Err(layers.bad(name, why));
            }
            // The daemon works in its home, and whoever starts it elsewhere.
            if !path.starts_with('/') {
                return Err(layers.bad(name, &format!("`{path}` does not begin with `/`")));
            }
        }
        Ok(Self::Files { cert: cert.into(), key: key.into() })
    }
}
