//! The least HTTP/1.1 that measures: one connection, one request at a time, and event streams that are counted and not
//! decoded. A general client would cost more than the server it measures, on the same cores.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail, ensure};
use memchr::memmem;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How much a stream reads at a time.
const READ: usize = 64 << 10;
/// How much of what was read is looked at again with what follows: no line that is looked for is longer.
const CARRY: usize = 64;

/// A connection with the daemon's address and the token to show.
pub(crate) struct Http {
    tcp: TcpStream,
    /// What every request says after its first line.
    headers: String,
    buffer: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as JSON, if the answer is a success.
    pub(crate) fn json(&self) -> Result<Value> {
        ensure!(
            (200..300).contains(&self.status),
            "{}: {}",
            self.status,
            String::from_utf8_lossy(&self.body)
        );
        Ok(serde_json::from_slice(&self.body)?)
    }
}

impl Http {
    pub(crate) async fn connect(to: SocketAddr, token: &str) -> Result<Self> {
        let tcp = TcpStream::connect(to).await.context("the daemon cannot be reached")?;
        tcp.set_nodelay(true)?;
        let headers = format!("host: {to}\r\nauthorization: Bearer {token}\r\n");
        Ok(Self { tcp, headers, buffer: Vec::with_capacity(4 << 10) })
    }

    /// A connection that shows nothing.
    pub(crate) async fn without_token(to: SocketAddr) -> Result<Self> {
        let http = Self::connect(to, "").await?;
        Ok(Self { headers: format!("host: {to}\r\n"), ..http })
    }

    pub(crate) async fn get(&mut self, path: &str) -> Result<Answer> {
        self.send("GET", path, None).await?;
        self.answer().await
    }

    /// Sends a JSON body and gives the JSON answer, which must be a success.
    pub(crate) async fn post(&mut self, path: &str, body: &str) -> Result<Value> {
        self.call("POST", path, Some(body)).await?.json().with_context(|| format!("POST {path}"))
    }

    /// Sends a JSON body; the answer must be a success, whatever it says.
    pub(crate) async fn done(&mut self, method: &str, path: &str, body: Option<&str>) -> Result<()> {
        let answer = self.call(method, path, body).await?;
        ensure!(
            answer.status < 300,
            "{method} {path}: {} {}",
            answer.status,
            String::from_utf8_lossy(&answer.body)
        );
        Ok(())
    }

    pub(crate) async fn call(&mut self, method: &str, path: &str, body: Option<&str>) -> Result<Answer> {
        self.send(method, path, body).await?;
        self.answer().await
    }

    /// Sends a request whose answer is taken later.
    pub(crate) async fn send(&mut self, method: &str, path: &str, body: Option<&str>) -> Result<()> {
        let headers = &self.headers;
        let request = match body {
            Some(body) => format!(
                "{method} {path} HTTP/1.1\r\n{headers}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            ),
            None => format!("{method} {path} HTTP/1.1\r\n{headers}\r\n"),
        };
        Ok(self.tcp.write_all(request.as_bytes()).await?)
    }

    pub(crate) async fn answer(&mut self) -> Result<Answer> {
        let head = self.head().await?;
        while self.buffer.len() < head.length {
            self.fill().await?;
        }
        let rest = self.buffer.split_off(head.length);
        Ok(Answer { status: head.status, body: std::mem::replace(&mut self.buffer, rest) })
    }

    /// Asks for an event stream; the connection is the stream from then on.
    pub(crate) async fn stream(mut self, path: &str) -> Result<Stream> {
        self.headers.push_str("accept: text/event-stream\r\n");
        self.send("GET", path, None).await?;
        let head = self.head().await?;
        ensure!(head.status == 200, "GET {path}: {}", head.status);
        let mut stream = Stream::over(self.tcp);
        stream.take(&self.buffer);
        Ok(stream)
    }

    async fn head(&mut self) -> Result<Head> {
        loop {
            if let Some(end) = memmem::find(&self.buffer, b"\r\n\r\n") {
                let head = Head::parse(&self.buffer[..end])?;
                self.buffer.drain(..end + 4);
                return Ok(head);
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<()> {
        let read = self.tcp.read_buf(&mut self.buffer).await?;
        ensure!(read > 0, "the daemon closed a connection before its answer was complete");
        Ok(())
    }
}

/// What must be known of the head of an answer.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    length: usize,
}

impl Head {
    fn parse(head: &[u8]) -> Result<Self> {
        let head = std::str::from_utf8(head)?;
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
        let Some(status) = status else { bail!("not an answer: {first}") };
        let length =
            lines.filter_map(|line| line.split_once(": ")).find(|(name, _)| *name == "content-length");
        let length = length.map_or(Ok(0), |(_, length)| length.parse())?;
        Ok(Self { status, length })
    }
}

/// An event stream, as its bytes come: it knows the last number it has seen and little else.
pub(crate) struct Stream {
    tcp: TcpStream,
    /// The end of what was read before, then what was read last.
    buffer: Vec<u8>,
    carried: usize,
    /// The number of the last event. Numbers have no holes, so it counts them.
    pub(crate) last: u64,
    /// Everything that came, the framing included.
    pub(crate) bytes: u64,
    pub(crate) caught_up: bool,
}

impl Stream {
    /// A stream over a connection whose answer has begun.
    pub(crate) fn over(tcp: TcpStream) -> Self {
        Self { tcp, buffer: vec![0; CARRY + READ], carried: 0, last: 0, bytes: 0, caught_up: false }
    }

    /// Reads once. It may be dropped while it waits.
    pub(crate) async fn more(&mut self) -> Result<()> {
        let read = self.tcp.read(&mut self.buffer[self.carried..]).await?;
        ensure!(read > 0, "the daemon closed a stream");
        self.look(read);
        Ok(())
    }

    /// Reads until the event with this number has come.
    pub(crate) async fn reach(&mut self, last: u64) -> Result<()> {
        while self.last < last {
            self.more().await?;
        }
        Ok(())
    }

    /// Reads until everything that was kept has come.
    pub(crate) async fn catch_up(&mut self) -> Result<()> {
        while !self.caught_up {
            self.more().await?;
        }
        Ok(())
    }

    /// Reads until a text has come; it must be shorter than 64 bytes, and may not have come before.
    pub(crate) async fn find(&mut self, text: &str) -> Result<()> {
        loop {
            let read = self.tcp.read(&mut self.buffer[self.carried..]).await?;
            ensure!(read > 0, "the daemon closed a stream");
            let found = memmem::find(&self.buffer[..self.carried + read], text.as_bytes()).is_some();
            self.look(read);
            if found {
                return Ok(());
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(READ) {
            self.buffer[self.carried..self.carried + part.len()].copy_from_slice(part);
            self.look(part.len());
        }
    }

    /// Looks at what was read behind what was carried.
    fn look(&mut self, read: usize) {
        let end = self.carried + read;
        let seen = &self.buffer[..end];
        self.bytes += read as u64;
        self.last = last_id(seen).map_or(self.last, |id| self.last.max(id));
        self.caught_up = self.caught_up || memmem::find(seen, b"event: caught-up\n").is_some();
        self.carried = end.min(CARRY);
        self.buffer.copy_within(end - self.carried..end, 0);
    }
}

/// The last number in a piece of a stream. Data cannot be mistaken for it: it has no line ends.
fn last_id(bytes: &[u8]) -> Option<u64> {
    memmem::rfind_iter(bytes, b"\nid: ").find_map(|at| {
        let digits = &bytes[at + 5..];
        let end = memchr::memchr(b'\n', &digits[..digits.len().min(21)])?;
        std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn answered(bytes: &'static [u8]) -> Http {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = Http::connect(listener.local_addr().unwrap(), "secret").await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        server.write_all(bytes).await.unwrap();
        http
    }

    #[tokio::test]
    async fn answers_follow_each_other_on_one_connection() {
        let mut http = answered(
            b"HTTP/1.1 201 Created\r\ncontent-length: 7\r\n\r\n{\"a\":1}HTTP/1.1 204 No Content\r\n\r\n",
        )
        .await;
        assert_eq!(http.answer().await.unwrap().json().unwrap()["a"], 1);
        assert_eq!(http.answer().await.unwrap().status, 204);
    }

    #[tokio::test]
    async fn a_stream_counts_by_the_numbers_it_sees() {
        let http = answered(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n13\r\nid: 7\ndata: {}\n\n\r\n\
              1d\r\nevent: caught-up\ndata: {}\n\n\r\n: keep-alive\n\n\r\n",
        )
        .await;
        let mut stream = http.stream("/").await.unwrap();
        stream.catch_up().await.unwrap();
        assert_eq!(stream.last, 7);
    }

    #[test]
    fn a_number_counts_once_it_is_complete() {
        assert_eq!(last_id(b"\r\nid: 12\ndata: x\n\nid: 13\nda"), Some(13));
        assert_eq!(last_id(b"\r\nid: 12\ndata: x\n\nid: 1"), Some(12));
        assert_eq!(last_id(b"data: \\nid: 12\n"), None);
    }
}
