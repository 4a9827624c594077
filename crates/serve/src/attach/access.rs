//! Who may: the holder of a token, a browser with the cookie of this dialect, somebody whom a known proxy names. Nobody else.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use axum::http::{Extensions, HeaderMap, header};
use trunkline_core::principal::{Caller, Scope};

use super::Fail;
use crate::app::App;
use crate::gate::{Came, Pass};
use crate::local::Wire;

/// The cookie's name.
pub(super) const COOKIE: &str = "trunkline_attach";
/// How the secrets in cookies begin. A cookie is sent to every port of this host, so whoever listens on another may get to
/// see it; as a bearer token it opens nothing.
pub(super) const COOKIE_PREFIX: &str = "attach.";
/// How many bytes of a name a proxy may give.
const MAX_NAME: usize = 150;

/// Marks the requests of the listener for browsers.
#[derive(Clone, Copy, Debug)]
pub(super) struct OnOrigin;

/// Addresses that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// It is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an address nor a network like 10.0.0.0/8")]
pub struct BadNetwork(String);

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let bad = || BadNetwork(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| bad())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        if bits > most { Err(bad()) } else { Ok(Self { address, bits }) }
    }
}

impl Network {
    /// Whether an address is one of these.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        let number = |address: IpAddr| match address {
            IpAddr::V4(v4) => (u128::from(u32::from(v4)) << 96, 32),
            IpAddr::V6(v6) => (u128::from(v6), 128),
        };
        let ((ours, width), (theirs, other)) = (number(self.address), number(address.to_canonical()));
        let shift = 128 - u32::from(self.bits);
        width == other && (self.bits == 0 || ours >> shift == theirs >> shift)
    }
}

/// Whether a token is for cookies only.
pub(crate) fn is_cookie_token(token: &str) -> bool {
    token.starts_with(COOKIE_PREFIX)
}

pub(super) async fn who(
    app: &App,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<(Caller, Pass), Fail> {
    if extensions.get::<Came>().is_some_and(|came| came.agent.is_some()) {
        let why = "an agent that runs here does not steer sessions, least of all its own";
        return Err(Fail::Forbidden(why.to_owned()));
    }
    if headers.contains_key(header::AUTHORIZATION) {
        let source = crate::local::source(headers, extensions);
        return crate::gate::caller(app, headers, source).await.map_err(|_| Fail::Unauthenticated);
    }
    if let Some(caller) = through_proxy(app, headers, extensions) {
        return Ok((caller, Pass(None)));
    }
    let cookie = extensions.get::<OnOrigin>().and_then(|_| cookie(headers));
    let Some(secret) = cookie.filter(|secret| is_cookie_token(secret)) else {
        return Err(Fail::Unauthenticated);
    };
    let source = crate::local::source(headers, extensions);
    app.auth.caller(&app.hub, secret, source).await?.ok_or(Fail::Unauthenticated)
}

/// The person that a proxy which is known here has let in.
fn through_proxy(app: &App, headers: &HeaderMap, extensions: &Extensions) -> Option<Caller> {
    let peer = extensions.get::<Arc<Wire>>()?.peer()?;
    if !app.attach.proxies.iter().any(|network| network.holds(peer)) {
        return None;
    }
    let name = headers.get(&app.attach.proxy_header)?.to_str().ok()?.trim();
    if name.is_empty() || name.len() > MAX_NAME {
        return None;
    }
    let principal = format!("proxy/{name}").parse().ok()?;
    Some(Caller::new(principal, Scope::Operator).from(crate::local::source(headers, extensions)))
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find_map(|(name, value)| (name == COOKIE).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_what_begins_alike() {
        let holds = |network: &str, address: &str| {
            network.parse::<Network>().unwrap().holds(address.parse().unwrap())
        };
        assert!(holds("127.0.0.1", "127.0.0.1") && !holds("127.0.0.1", "127.0.0.2"));
        assert!(holds("10.0.0.0/8", "10.200.3.4") && !holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("10.0.0.0/8", "::ffff:10.1.1.1") && !holds("::/0", "10.1.1.1"));
        assert!(
            holds("0.0.0.0/0", "8.8.8.8") && holds("fd00::/8", "fd12::1") && !holds("fd00::/8", "fe80::1")
        );
        for bad in ["", "x", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0/8/8"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let with = |cookies: &str| HeaderMap::from_iter([(header::COOKIE, cookies.parse().unwrap())]);
        assert_eq!(cookie(&with("a=1; trunkline_attach=attach.x; b=2")), Some("attach.x"));
        assert_eq!(cookie(&with("trunkline_attachx=1; xtrunkline_attach=2")), None);
    }
}
