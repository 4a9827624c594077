//! The door of a TCP listener that has a certificate: TLS for whoever speaks it, the clear for this machine alone.
//!
//! Programs of this machine go on as they are: what they send does not leave it, and an agent's MCP client need not know our
//! certificate. A TLS handshake begins with a byte that no request begins with, so one port serves both. From another machine,
//! a request in the clear is answered with the way to TLS and nothing else.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use trunkline_run::tls::Tls;

use crate::app::Shared;
use crate::gate::Came;
use crate::problem::Problem;

/// How long the first byte and then the handshake may take, each.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How many connections from other machines may be on their way through the door; more are closed at once.
const MAX_HANDSHAKES: usize = 256;
/// The first byte of a TLS handshake.
const TLS_HANDSHAKE: u8 = 0x16;

/// The door.
#[derive(Clone)]
pub(crate) struct Door {
    acceptor: TlsAcceptor,
    places: Arc<Semaphore>,
}

/// A connection behind the door.
pub(crate) enum Passed {
    /// By TLS.
    Tls(Box<TlsStream<TcpStream>>),
    /// In the clear, from this machine.
    Near(TcpStream),
    /// In the clear, from another one.
    Far(TcpStream),
}

impl Door {
    pub(crate) fn new(tls: &Tls) -> Self {
        Self { acceptor: tls.config().into(), places: Arc::new(Semaphore::new(MAX_HANDSHAKES)) }
    }

    /// Waits for a connection to show what it is, and for its handshake if it is TLS.
    ///
    /// # Errors
    /// When it shows nothing in time, the handshake fails, or too many are under way.
    pub(crate) async fn pass(&self, stream: TcpStream) -> io::Result<Passed> {
        let is_near = match (stream.peer_addr(), stream.local_addr()) {
            (Ok(theirs), Ok(ours)) => is_near(theirs.ip(), ours.ip()),
            (Ok(_) | Err(_), _) => false,
        };
        self.pass_from(is_near, stream).await
    }

    async fn pass_from(&self, is_near: bool, stream: TcpStream) -> io::Result<Passed> {
        // Who is on this machine has other ways to use it up, and browsers open connections in store.
        let _place = match is_near {
            true => None,
            false => Some(self.places.try_acquire().map_err(|_| io::Error::other("too many handshakes"))?),
        };
        let mut first = [0];
        let read = timeout(HANDSHAKE, stream.peek(&mut first)).await??;
        match (read, first) {
            (0, _) => Err(io::ErrorKind::UnexpectedEof.into()),
            (_, [TLS_HANDSHAKE]) => {
                let tls = timeout(HANDSHAKE, self.acceptor.accept(stream)).await??;
                Ok(Passed::Tls(Box::new(tls)))
            }
            (_, _) if is_near => Ok(Passed::Near(stream)),
            (_, _) => Ok(Passed::Far(stream)),
        }
    }
}

/// Whether a connection comes from this machine. The kernel takes no packet from outside that says it is from here.
fn is_near(theirs: IpAddr, ours: IpAddr) -> bool {
    let (theirs, ours) = (theirs.to_canonical(), ours.to_canonical());
    theirs.is_loopback() || theirs == ours
}

/// Answers a request that came in the clear from another machine. A page that is looked for is led on; whatever else it was has
/// been read by everybody on the way, and is not made to work.
pub(crate) async fn elsewhere(request: Request) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let is_look = matches!(*request.method(), Method::GET | Method::HEAD)
        && !request.headers().contains_key(header::AUTHORIZATION);
    let mut response = match HeaderValue::from_str(&format!("https://{host}{path}")) {
        // Not for ever: TLS may be switched off again.
        Ok(to) if is_look && !host.is_empty() => {
            (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response()
        }
        Ok(_) | Err(_) => {
            let detail = "this address speaks TLS: ask it by https://. What you sent came in the clear; if there was a \
                          token in it, revoke that token";
            Problem::new(StatusCode::BAD_REQUEST, "needs_tls", detail).into_response()
        }
    };
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The certificate of the daemon's own authority, for a device that is to trust it.
pub(crate) async fn authority(app: Shared) -> Response {
    let authority = app.tls.as_deref().and_then(Tls::authority);
    let kind = [(header::CONTENT_TYPE, "application/x-x509-ca-cert"), (header::CACHE_CONTROL, "no-cache")];
    match authority {
        Some(pem) => (kind, pem.to_owned()).into_response(),
        None => Problem::not_found("file", "/ca.pem").into_response(),
    }
}

/// How whoever asks has come: by TLS to us, or by TLS to a proxy, as the origin of a page says.
pub(crate) fn scheme(headers: &HeaderMap, extensions: &Extensions) -> &'static str {
    let by_tls = extensions.get::<Came>().is_some_and(|came| came.secure);
    let origin = headers.get(header::ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"));
    if by_tls || origin { "https" } else { "http" }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use trunkline_core::time::Time;
    use trunkline_run::tls::own::Own;

    use super::*;

    fn door(home: &tempfile::TempDir) -> Door {
        let own = Own { dir: home.path().to_owned(), must: vec!["localhost".to_owned()], may: vec![] };
        Door::new(&Tls::new(own.open(Time(1_795_000_000_000)).unwrap(), None))
    }

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (theirs, ours) =
            tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (theirs.unwrap(), ours.unwrap().0)
    }

    #[test]
    fn this_machine_is_near_and_no_other() {
        for (theirs, ours, near) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "10.0.0.2", true),
            ("::ffff:127.0.0.1", "127.0.0.1", true),
            ("10.0.0.2", "10.0.0.2", true),
            ("::1", "::1", true),
            ("10.0.0.3", "10.0.0.2", false),
            ("10.0.0.3", "127.0.0.1", false),
            ("fd00::1", "fd00::2", false),
        ] {
            assert_eq!(is_near(theirs.parse().unwrap(), ours.parse().unwrap()), near, "{theirs} {ours}");
        }
    }

    #[tokio::test]
    async fn in_the_clear_it_depends_on_where_it_comes_from() {
        let home = tempfile::tempdir().unwrap();
        let door = door(&home);
        for is_near in [true, false] {
            let (mut theirs, ours) = pair().await;
            theirs.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
            match (door.pass_from(is_near, ours).await.unwrap(), is_near) {
                (Passed::Near(_), true) | (Passed::Far(_), false) => {}
                (Passed::Near(_) | Passed::Far(_) | Passed::Tls(_), _) => panic!("{is_near}"),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_shows_nothing_or_half_a_handshake_is_not_waited_for() {
        let home = tempfile::tempdir().unwrap();
        let door = door(&home);
        for half in [&b""[..], b"\x16\x03\x01"] {
            let (mut theirs, ours) = pair().await;
            theirs.write_all(half).await.unwrap();
            let error = door.pass_from(false, ours).await.map(drop).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        }
        let (theirs, ours) = pair().await;
        drop(theirs);
        assert!(door.pass_from(true, ours).await.is_err(), "who leaves is not waited for either");
    }

    #[tokio::test]
    async fn handshakes_from_other_machines_are_counted() {
        let home = tempfile::tempdir().unwrap();
        let door = door(&home);
        let _all = Arc::clone(&door.places).try_acquire_many_owned(256).unwrap();
        let (mut theirs, ours) = pair().await;
        theirs.write_all(b"GET").await.unwrap();
        let told = door.pass_from(false, ours).await.map(drop).unwrap_err().to_string();
        assert_eq!(told, "too many handshakes");
        let (mut theirs, ours) = pair().await;
        theirs.write_all(b"GET").await.unwrap();
        assert!(door.pass_from(true, ours).await.is_ok(), "this machine comes in all the same");
    }

    async fn told(method: Method, path: &str, headers: &[(&str, &str)]) -> (StatusCode, String) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = elsewhere(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.headers()[header::CONNECTION], "close");
        let to = response.headers().get(header::LOCATION).map(|to| to.to_str().unwrap().to_owned());
        let status = response.status();
        let body = to_bytes(response.into_body(), 4096).await.unwrap();
        (status, to.unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned()))
    }

    #[tokio::test]
    async fn who_looks_is_led_to_tls_and_who_acts_is_told() {
        let host = ("host", "tl.example:7433");
        let (status, to) = told(Method::GET, "/s/1?x=y", &[host]).await;
        assert_eq!(
            (status, to.as_str()),
            (StatusCode::TEMPORARY_REDIRECT, "https://tl.example:7433/s/1?x=y")
        );
        for (method, headers) in [
            (Method::POST, &[host][..]),
            (Method::GET, &[host, ("authorization", "Bearer x")]),
            (Method::GET, &[]),
        ] {
            let (status, told) = told(method, "/v1/sessions", headers).await;
            assert!(status == StatusCode::BAD_REQUEST && told.contains("needs_tls"), "{told}");
        }
    }

    #[test]
    fn the_scheme_is_that_of_whoever_asks() {
        let (mut headers, mut extensions) = (HeaderMap::new(), Extensions::new());
        assert_eq!(scheme(&headers, &extensions), "http");
        extensions.insert(Came { secure: true, ..Came::default() });
        assert_eq!(scheme(&headers, &extensions), "https");
        headers.insert(header::ORIGIN, HeaderValue::from_static("https://tl.example"));
        assert_eq!(scheme(&headers, &Extensions::new()), "https");
    }
}
