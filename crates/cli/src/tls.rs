//! TLS as the daemon has it: which certificate, for whom, and where others come to it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};
use trunkline_core::time::Time;
use trunkline_run::tls::own::Own;
use trunkline_run::tls::{LOOK, Source, Tls, Watch, names};

use crate::config::notify::host;
use crate::config::tls::Tls as Wish;

/// The directory of the own certificate, below the home.
pub(crate) const DIR: &str = "tls";

/// What there is when TLS is spoken.
pub(crate) struct Secured {
    pub(crate) tls: Arc<Tls>,
    /// Where other machines come to, once it is known.
    pub(crate) url: String,
    own: bool,
    watch: Watch,
}

/// What agents must not read: a key that lies outside of the daemon's home.
pub(crate) fn hidden(wish: &Wish) -> Option<String> {
    match wish {
        Wish::Files { key, .. } => {
            let key = key.canonicalize().unwrap_or_else(|_| key.clone());
            key.to_str().map(str::to_owned)
        }
        Wish::Off | Wish::Own => None,
    }
}

impl Secured {
    /// Reads the certificate, or makes it, for where the daemon listens and the hosts it answers to.
    ///
    /// # Errors
    /// When there is none, or none that can be shown.
    pub(crate) async fn of(
        wish: &Wish,
        home: &Path,
        listens: &[SocketAddr],
        hosts: &[String],
        now: Time,
    ) -> Result<Option<Self>> {
        let source = match wish {
            Wish::Off => return Ok(None),
            Wish::Files { cert, key } => Source::Files { cert: cert.clone(), key: key.clone() },
            Wish::Own => Source::Own(own(home, listens, hosts)),
        };
        let own = matches!(source, Source::Own(_));
        let started = tokio::task::spawn_blocking(move || {
            let (watch, identity) = Watch::start(source.clone(), now)?;
            Ok::<_, trunkline_run::tls::TlsError>((watch, Tls::new(identity, source.authority())))
        });
        let (watch, tls) = started.await?.context("TLS cannot be spoken")?;
        Ok(Some(Self { tls: Arc::new(tls), url: String::new(), own, watch }))
    }

    /// The same, now that the port is known.
    pub(crate) fn at(self, address: SocketAddr, public_url: Option<&str>) -> Self {
        let url = public_url.map_or_else(|| outside(address), str::to_owned);
        let name = host(&url).unwrap_or_default();
        if !self.tls.is_for(name) {
            tracing::warn!(
                "the certificate is not one for {name}: browsers will refuse {url}. Get one that is, or set public_url \
                 to a name it is for"
            );
        }
        tracing::info!(%url, sha256 = %self.tls.fingerprint(), "TLS is spoken");
        Self { url, ..self }
    }

    /// What clients of this machine are told.
    pub(crate) fn told(&self) -> serde_json::Value {
        json!({ "url": self.url, "sha256": self.tls.fingerprint(), "own": self.own })
    }
}

/// Looks for a newer certificate for as long as the daemon runs, and shows it.
pub(crate) async fn keep(secured: Option<Secured>, now: impl Fn() -> Time, changed: impl Fn(&Secured)) {
    let Some(mut secured) = secured else { return std::future::pending().await };
    let mut told = None;
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        let (mut watch, at) = (secured.watch, now());
        let looked = tokio::task::spawn_blocking(move || {
            let looked = watch.look(at);
            (watch, looked)
        });
        let Ok((watch, looked)) = looked.await else { return std::future::pending().await };
        secured.watch = watch;
        match looked {
            Ok(None) => {}
            Ok(Some(identity)) => {
                tracing::info!(sha256 = %identity.fingerprint, "another certificate is shown from now on");
                secured.tls.replace(identity);
                changed(&secured);
                told = None;
            }
            Err(error) => {
                let error = error.to_string();
                if told.as_ref() != Some(&error) {
                    tracing::error!("the certificate stays as it is: {error}");
                }
                told = Some(error);
            }
        }
    }
}

/// For whom the own certificate is.
fn own(home: &Path, listens: &[SocketAddr], hosts: &[String]) -> Own {
    let mut must: Vec<_> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    must.extend(listens.iter().map(|address| address.ip().to_canonical()).filter(|ip| is_one(*ip)).map(text));
    must.extend(hosts.iter().map(|host| host.trim_matches(['[', ']']).to_ascii_lowercase()));
    let mut may = names::of_this_machine();
    if listens.iter().any(|address| address.ip().is_unspecified()) {
        may.extend(names::addresses().into_iter().map(text));
    }
    Own { dir: home.join(DIR), must, may }
}

fn text(ip: IpAddr) -> String {
    ip.to_string()
}

fn is_one(ip: IpAddr) -> bool {
    !ip.is_unspecified() && !ip.is_loopback()
}

/// Where other machines find an address of ours. Of one that is all of them, it is the one by which we find others.
fn outside(address: SocketAddr) -> String {
    let ip = match address.ip() {
        ip if ip.is_unspecified() => outward()
            .or_else(|| names::addresses().first().copied())
            .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        ip => ip,
    };
    format!("https://{}", SocketAddr::new(ip.to_canonical(), address.port()))
}

/// The address that a packet to the world would leave by. None is sent: the socket is only asked where it would go.
fn outward() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|ip| is_one(*ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_certificate_is_for_where_the_daemon_listens_and_what_it_answers_to() {
        let listens = ["10.0.0.2:7433", "127.0.0.1:7434", "[fd00::1]:1"].map(|text| text.parse().unwrap());
        let hosts = ["TL.example".to_owned(), "[fd00::2]".to_owned()];
        let own = own(Path::new("/h"), &listens, &hosts);
        let expected = ["localhost", "127.0.0.1", "::1", "10.0.0.2", "fd00::1", "tl.example", "fd00::2"];
        assert_eq!((own.must, own.dir.as_path()), (expected.map(str::to_owned).into(), Path::new("/h/tls")));
    }

    #[test]
    fn others_come_to_the_address_that_is_listened_on() {
        assert_eq!(outside("10.0.0.2:7433".parse().unwrap()), "https://10.0.0.2:7433");
        assert_eq!(outside("[fd00::1]:1".parse().unwrap()), "https://[fd00::1]:1");
        let any = outside("0.0.0.0:7433".parse().unwrap());
        assert!(any.starts_with("https://") && any.ends_with(":7433") && !any.contains("0.0.0.0"), "{any}");
    }

    #[test]
    fn a_key_that_is_elsewhere_is_hidden_from_agents() {
        let files = Wish::Files { cert: "/etc/tl/cert.pem".into(), key: "/etc/tl/key.pem".into() };
        assert_eq!(hidden(&files).as_deref(), Some("/etc/tl/key.pem"));
        assert_eq!((hidden(&Wish::Own), hidden(&Wish::Off)), (None, None));
    }
}
