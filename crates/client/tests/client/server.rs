//! A server that plays a script: for each connection one answer, to the byte.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc;

/// What a connection gets once its request is read.
#[derive(Clone)]
pub(crate) enum Say {
    /// These bytes, then the end.
    Bytes(Vec<u8>),
    /// These bytes; the connection stays open.
    Hold(Vec<u8>),
}

/// A listening server and the requests it got, as text.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) requests: mpsc::UnboundedReceiver<String>,
    _task: tokio::task::JoinSet<()>,
}

impl Server {
    /// Plays the script, one answer for each connection; after its end nobody listens any more.
    pub(crate) async fn play(script: Vec<Say>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (log, requests) = mpsc::unbounded_channel();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            let mut held = Vec::new();
            for say in script {
                let (mut stream, _) = listener.accept().await.unwrap();
                let Some(request) = read_request(&mut stream).await else { continue };
                log.send(request).ok();
                let (Say::Bytes(bytes) | Say::Hold(bytes)) = &say;
                stream.write_all(bytes).await.ok();
                if matches!(say, Say::Hold(_)) {
                    held.push(stream);
                }
            }
            drop(listener);
            std::future::pending::<()>().await;
        });
        Self { address, requests, _task: tasks }
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next request it got.
    pub(crate) async fn request(&mut self) -> String {
        self.requests.recv().await.unwrap()
    }
}

/// Answers one connection on a Unix socket, and tells what was asked.
pub(crate) async fn on_socket(listener: UnixListener, say: Say) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let request = read_request(&mut stream).await.unwrap();
    let (Say::Bytes(bytes) | Say::Hold(bytes)) = &say;
    stream.write_all(bytes).await.unwrap();
    request
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(String::from_utf8(bytes).unwrap());
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// An answer with a JSON body.
pub(crate) fn json(status: &str, body: &str) -> Say {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ntrunkline-at: 41\r\nconnection: close\r\n"
    );
    Say::Bytes(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes())
}

/// The start of an event stream.
pub(crate) fn stream(events: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\nretry: 1\n\n{events}"
    )
    .into_bytes()
}

/// The value of a header in a request's text.
pub(crate) fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    request.lines().find_map(|line| {
        let (key, value) = line.split_once(": ")?;
        key.eq_ignore_ascii_case(name).then_some(value)
    })
}
