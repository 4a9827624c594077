//! What is decided for the original hub's clients, and for the desktop.

use std::net::SocketAddr;

use trunkline_serve::Sessionbus;

use super::{File, Flags, Layers};
use crate::announce;
use crate::error::Result;

/// What is decided for original clients and for the desktop.
pub(super) struct Hub {
    pub(super) sessionbus: Sessionbus,
    pub(super) dashboard: Option<SocketAddr>,
    pub(super) announce: Vec<String>,
    pub(super) notify: bool,
}

impl Hub {
    pub(super) fn of(layers: &mut Layers<'_>, flags: &Flags, file: &File) -> Result<Self> {
        let who = layers.text("sessionbus", flags.sessionbus.as_deref(), file.sessionbus.clone(), "local");
        let sessionbus = match who.as_str() {
            "local" => Sessionbus::Local,
            "token" => Sessionbus::Token,
            "off" => Sessionbus::Off,
            other => return Err(layers.bad("sessionbus", &format!("`{other}` is not local, token or off"))),
        };
        let at = layers.text("dashboard", flags.dashboard.as_deref(), file.dashboard.clone(), "off");
        let wrong =
            |_| layers.bad("dashboard", &format!("`{at}` is neither off nor an address like 127.0.0.1:7434"));
        let dashboard = if at == "off" { None } else { Some(at.parse().map_err(wrong)?) };
        let clients = file.announce.as_ref().map(|list| list.join(","));
        let all = announce::names().collect::<Vec<_>>().join(",");
        let clients = layers.text("announce", flags.announce.as_deref(), clients, &all);
        let clients = clients.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "off");
        let announce: Vec<_> = clients.map(str::to_owned).collect();
        if let Some(other) = announce.iter().find(|name| announce::names().all(|known| known != *name)) {
            return Err(layers.bad("announce", &format!("`{other}` is not one of {all}")));
        }
        let default = if layers.env.no_notifications { "off" } else { "on" };
        let on = file.notify.map(|on| if on { "on" } else { "off" }.to_owned());
        let text = layers.text("notify", flags.notify.as_deref(), on, default);
        let notify = layers.is_on("notify", &text)?;
        Ok(Self { sessionbus, dashboard, announce, notify })
    }
}
