//! What is decided about the dialect of the original agent bus.

use std::net::{Ipv4Addr, SocketAddr};

use trunkline_serve::Engram as Access;

use super::{File, Flags, Layers, Source};
use crate::error::Result;

/// The port of the original.
const PORT: u16 = 9470;

/// What is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Engram {
    /// Who may use it.
    pub(crate) access: Access,
    /// Where it listens, if anywhere.
    pub(crate) listen: Option<SocketAddr>,
    /// Whether that address is nobody's wish, so that the daemon goes on without it when it is taken.
    pub(crate) by_default: bool,
}

impl Engram {
    /// A daemon that takes a free port, as one of several does, takes a free one here too.
    pub(super) fn of(
        layers: &mut Layers<'_>,
        flags: &Flags,
        file: &File,
        listen: SocketAddr,
    ) -> Result<Self> {
        let who = layers.text("engram", flags.engram.as_deref(), file.engram.clone(), "local");
        let access = match who.as_str() {
            "local" => Access::Local,
            "token" => Access::Token,
            other => return Err(layers.bad("engram", &format!("`{other}` is neither local nor token"))),
        };
        let port = if listen.port() == 0 { 0 } else { PORT };
        let default = SocketAddr::from((Ipv4Addr::LOCALHOST, port)).to_string();
        let flag = flags.engram_listen.as_deref();
        let at = layers.text("engram_listen", flag, file.engram_listen.clone(), &default);
        let by_default = layers.shown.last().is_some_and(|shown| shown.source == Source::Default);
        let wrong = |_| {
            layers.bad("engram_listen", &format!("`{at}` is neither off nor an address like 127.0.0.1:9470"))
        };
        let listen = if at == "off" { None } else { Some(at.parse().map_err(wrong)?) };
        Ok(Self { access, listen, by_default })
    }
}
