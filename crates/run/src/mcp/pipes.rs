//! MCP over the stdin and stdout of a program in custody: a message is a line.

use std::future::Future;
use std::io;
use std::sync::Arc;

use rmcp::RoleClient;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;

use crate::custody::{Lines, Stdio, Writer};

/// How many lines that are no message are passed over before the server is taken for no server. Some print a greeting.
const MAX_STRAY: u32 = 1_000;

/// A program's pipes, as the client of the protocol uses them.
pub(super) struct Pipes {
    lines: Lines,
    writer: Option<Arc<Writer>>,
    stray: u32,
}

impl Pipes {
    pub(super) fn new(stdio: Stdio) -> Self {
        Self { lines: stdio.lines, writer: Some(Arc::new(stdio.writer)), stray: 0 }
    }
}

impl Transport<RoleClient> for Pipes {
    type Error = io::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        let writer = self.writer.clone();
        async move {
            let writer = writer.ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe))?;
            let line = serde_json::to_vec(&item)?;
            writer.send(line).await.map_err(io::Error::other)
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            let said = self.lines.next().await.ok()??;
            let Ok(text) = &said.line.text else { return None };
            if text.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match serde_json::from_slice(text) {
                Ok(message) => return Some(message),
                Err(_) if self.stray < MAX_STRAY => self.stray += 1,
                Err(_) => return None,
            }
        }
    }

    async fn close(&mut self) -> Result<(), io::Error> {
        self.writer = None;
        Ok(())
    }
}
