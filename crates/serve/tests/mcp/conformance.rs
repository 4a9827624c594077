//! The official conformance suite, whole, for the revision that most clients speak. It needs `npm ci --prefix tests/mcp`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;

use http_body_util::BodyExt;
use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use trunkline_serve::{Server, Sessionbus};

use crate::fixtures::Fixtures;
use crate::world::{OWNER, World};

/// The suite.
const REQUIREMENTS: &str = "2025-11-25";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_passes_whole() {
    let world = World::serving(Sessionbus::Local, |options| Server::extended(options, Fixtures)).await;
    let address = with_token(world.address).await;
    let place = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/mcp"));
    let output = tempfile::tempdir().unwrap();
    let suite = place.join("node_modules/@modelcontextprotocol/conformance/dist/index.js");
    assert!(suite.exists(), "the suite is not installed: npm ci --prefix tests/mcp");
    let mut command = tokio::process::Command::new(place.join("node.sh"));
    command.arg(&suite).args([
        "server",
        "--requirements",
        REQUIREMENTS,
        "--url",
        &format!("http://{address}/mcp"),
    ]);
    command.current_dir(output.path()).stdin(Stdio::null()).kill_on_drop(true);
    let done = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}\n{}", String::from_utf8_lossy(&done.stderr));
    assert!(said.contains("tools-call-elicitation"), "nothing was run:\n{said}");
}

/// The suite can show no token, and one of its scenarios is a browser's, which needs one. So what it sends passes through
/// here, where the owner's is put to it, and nothing else is changed.
async fn with_token(to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    #[expect(clippy::disallowed_methods, reason = "what serves a test ends with its runtime")]
    drop(tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            drop(tokio::spawn(connection(to, stream)));
        }
    }));
    address
}

async fn connection(to: SocketAddr, stream: TcpStream) {
    let service = service_fn(move |request| pass_on(to, request));
    let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let _the_suite_closes_as_it_likes = served.await;
}

async fn pass_on(
    to: SocketAddr,
    mut request: hyper::Request<hyper::body::Incoming>,
) -> hyper::Result<hyper::Response<http_body_util::combinators::BoxBody<bytes::Bytes, hyper::Error>>> {
    let bearer = HeaderValue::from_str(&format!("Bearer {OWNER}")).unwrap();
    request.headers_mut().insert(AUTHORIZATION, bearer);
    let stream = TcpStream::connect(to).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    #[expect(clippy::disallowed_methods, reason = "what serves a test ends with its runtime")]
    drop(tokio::spawn(connection));
    Ok(sender.send_request(request).await?.map(BodyExt::boxed))
}
