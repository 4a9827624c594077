//! TLS: a certificate of the daemon's own or of two files, for other machines; the clear for this one.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::harness::{Daemon, Home, text};

fn configured(home: &Home, config: &str) {
    fs::create_dir_all(home.path()).unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(home.path().join("config.toml"), config).unwrap();
}

fn runtime(home: &Home) -> Value {
    serde_json::from_slice(&fs::read(home.path().join("runtime.json")).unwrap()).unwrap()
}

fn address(home: &Home) -> SocketAddr {
    let port = runtime(home)["port"].as_u64().unwrap();
    SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).unwrap()))
}

/// A client that trusts one authority and nobody else.
fn trusting(ca: &Path) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config).into()
}

/// Sends a request, and gives the whole answer.
async fn asked(mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin, head: &str) -> String {
    stream.write_all(format!("{head}\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A peer that closes without a word of TLS has still said all of HTTP.
    drop(stream.read_to_end(&mut answer).await);
    text(&answer)
}

async fn by_tls(ca: &TlsConnector, to: SocketAddr, name: &str, head: &str) -> std::io::Result<String> {
    let tcp = TcpStream::connect(to).await?;
    let tls = ca.connect(ServerName::try_from(name.to_owned()).unwrap(), tcp).await?;
    Ok(asked(tls, head).await)
}

/// An address of this machine that is not loopback, if it has any.
fn outward() -> Option<IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

#[tokio::test]
async fn the_own_certificate_serves_other_machines_and_programs_of_this_one_go_on_in_the_clear() {
    let home = Home::new();
    configured(&home, "tls = \"own\"\nlisten = \"0.0.0.0:0\"\nallowed_hosts = [\"tl.example\"]\n");
    let mut command = home.command(&["serve"]);
    command.env_remove("TRUNKLINE_LISTEN").env("TRUNKLINE_ENGRAM_LISTEN", "off");
    let daemon = Daemon::start_by(&home, command);
    let (to, ca) = (address(&home), trusting(&home.path().join("tls/ca.pem")));
    assert_eq!(fs::metadata(home.path().join("tls/own.json")).unwrap().permissions().mode() & 0o777, 0o600);

    for name in ["127.0.0.1", "localhost", "tl.example"] {
        let head = format!("GET /health HTTP/1.1\r\nHost: {name}:{}", to.port());
        let answer = by_tls(&ca, to, name, &head).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{name}: {answer}");
    }
    assert!(by_tls(&ca, to, "evil.example", "").await.is_err(), "the certificate is for nobody else");

    // What a page in the clear sends to its own host over TLS is not our page's.
    let post = |origin: &str| {
        let token = &daemon.token;
        format!(
            "GET /v1/me HTTP/1.1\r\nHost: tl.example\r\nAuthorization: Bearer {token}\r\nOrigin: {origin}"
        )
    };
    let own = by_tls(&ca, to, "tl.example", &post("https://tl.example")).await.unwrap();
    let clear = by_tls(&ca, to, "tl.example", &post("http://tl.example")).await.unwrap();
    assert!(own.starts_with("HTTP/1.1 200") && clear.contains("foreign_origin"), "{own}\n{clear}");

    assert_eq!(daemon.get("/health").await.0, 200, "by the address in runtime.json: {}", daemon.base_url);
    assert!(daemon.base_url.starts_with("http://127.0.0.1:"), "{}", daemon.base_url);
    let told = by_tls(&ca, to, "localhost", "GET /ca.pem HTTP/1.1\r\nHost: localhost").await.unwrap();
    assert!(told.contains("application/x-x509-ca-cert") && told.contains("BEGIN CERTIFICATE"), "{told}");

    // A connection from an address that is not loopback to one that is looks as one from another machine does.
    if let Some(ip) = outward() {
        let clear = async |head: &str| {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(SocketAddr::new(ip, 0)).unwrap();
            asked(socket.connect(to).await.unwrap(), head).await
        };
        let led = clear("GET /s/1 HTTP/1.1\r\nHost: tl.example:1").await;
        assert!(
            led.starts_with("HTTP/1.1 307") && led.contains("location: https://tl.example:1/s/1"),
            "{led}"
        );
        let told = clear(&post("http://tl.example")).await;
        assert!(told.starts_with("HTTP/1.1 400") && told.contains("needs_tls"), "{told}");
    }
}

#[tokio::test]
async fn status_and_pair_tell_the_fingerprint_and_it_survives_a_restart() {
    let home = Home::new();
    configured(&home, "tls = \"own\"\nlisten = \"0.0.0.0:0\"\n");
    let serve = || {
        let mut command = home.command(&["serve"]);
        command.env_remove("TRUNKLINE_LISTEN").env("TRUNKLINE_ENGRAM_LISTEN", "off");
        Daemon::start_by(&home, command)
    };
    let daemon = serve();
    let tls = runtime(&home)["tls"].clone();
    let (url, sha256) = (tls["url"].as_str().unwrap(), tls["sha256"].as_str().unwrap());
    assert_eq!(sha256.split(':').count(), 32);
    let status = text(&home.run(&["status"]).stdout);
    assert!(status.contains(sha256) && status.contains(url), "{status}");
    let json: Value = serde_json::from_slice(&home.run(&["status", "--json"]).stdout).unwrap();
    assert_eq!(json["tls"], tls);
    let pair = home.run(&["pair"]);
    // Where the machine has no address but loopback, there is nobody to pair with.
    if outward().is_some() {
        let (out, err) = (text(&pair.stdout), text(&pair.stderr));
        assert!(out.contains(&format!("{url}/#code=")) && err.contains(sha256), "{out}{err}");
    }
    daemon.kill_9();
    let _again = serve();
    assert_eq!(runtime(&home)["tls"]["sha256"], *sha256);
}

#[tokio::test]
async fn who_hangs_in_a_handshake_delays_nobody() {
    let home = Home::new();
    configured(&home, "tls = \"own\"\n");
    let _daemon = Daemon::start(&home);
    let (to, ca) = (address(&home), trusting(&home.path().join("tls/ca.pem")));
    let mut hanging = Vec::new();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(to).await.unwrap();
        stream.write_all(b"\x16\x03").await.unwrap();
        hanging.push(stream);
    }
    let answer = by_tls(&ca, to, "localhost", "GET /health HTTP/1.1\r\nHost: localhost").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn what_cannot_be_shown_ends_the_start_and_says_why() {
    let home = Home::new();
    let (cert, key) = (home.work().join("cert.pem"), home.work().join("key.pem"));
    let files = format!("tls_cert = \"{}\"\ntls_key = \"{}\"\n", cert.display(), key.display());
    let refused = || {
        configured(&home, &files);
        let output = home.run(&["serve"]);
        assert!(!output.status.success());
        text(&output.stderr)
    };
    let said = refused();
    assert!(said.contains("TLS cannot be spoken") && said.contains("cert.pem cannot be used"), "{said}");
    fs::write(&cert, "nonsense").unwrap();
    fs::write(&key, "nonsense").unwrap();
    let said = refused();
    assert!(said.contains("cert.pem holds no certificate in PEM form"), "{said}");
    assert!(!home.path().join("runtime.json").exists());

    configured(&home, "listen = \"0.0.0.0:0\"\n");
    let mut command = home.command(&["serve"]);
    let said = text(&command.env_remove("TRUNKLINE_LISTEN").output().unwrap().stderr);
    assert!(said.contains("there is no TLS") && said.contains("--tls own"), "{said}");
}
