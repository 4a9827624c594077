//! `initialize`, for workers that speak the Agent Client Protocol: each process is greeted once, before it hears anything
//! else.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::unix::pipe;
use trunkline_wire::acp::{Implementation, InitializeRequest, InitializeResponse, PROTOCOL_VERSION, method};
use trunkline_wire::jsonrpc::{Id, Message, write_request};
use trunkline_wire::router::Ended;

use super::worker::write_all;

/// How long a process may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much it may say before that.
const MAX_HEARD: usize = 1 << 20;

/// Greets a process; gives what it said behind its answer.
///
/// # Errors
/// Why it is of no use.
pub(super) async fn greet(stdin: &pipe::Sender, stdout: &pipe::Receiver) -> Result<Vec<u8>, Ended> {
    let id = Id::try_from("trunkline:initialize").expect("short texts are ids");
    let exchange = async {
        write_all(stdin, greeting(&id)).await?;
        answered(stdout, &id).await
    };
    let late = |_| unfit(format!("it did not answer `initialize` within {} s", PATIENCE.as_secs()));
    tokio::time::timeout(PATIENCE, exchange).await.map_err(late)?
}

fn greeting(id: &Id) -> Bytes {
    let client_info = Implementation {
        name: "trunkline".to_owned(),
        title: Some("Trunkline".to_owned()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let params = InitializeRequest {
        protocol_version: PROTOCOL_VERSION,
        client_capabilities: Default::default(),
        client_info: Some(client_info),
        meta: None,
    };
    let mut line = Vec::new();
    write_request(&mut line, id, method::INITIALIZE, &params).expect("a greeting has string keys only");
    line.into()
}

/// Reads up to the answer. What comes before it is for nobody: a process that was just started has no session.
async fn answered(stdout: &pipe::Receiver, id: &Id) -> Result<Vec<u8>, Ended> {
    let mut heard = Vec::new();
    loop {
        stdout.readable().await.map_err(|_| Ended::Silent)?;
        match stdout.try_read_buf(&mut heard) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Ok(0) | Err(_) => return Err(Ended::Silent),
            Ok(_) => {}
        }
        while let Some(end) = heard.iter().position(|&byte| byte == b'\n') {
            let answer = match Message::parse(&heard[..end]) {
                Ok(Message::Response(response)) if response.id == *id => Some(judge(response.outcome)),
                Ok(_) | Err(_) => None,
            };
            heard.drain(..=end);
            if let Some(judged) = answer {
                return judged.map(|()| heard);
            }
        }
        if heard.len() > MAX_HEARD {
            return Err(unfit("it said more than a megabyte on one line instead of answering `initialize`"));
        }
    }
}

fn judge(
    outcome: Result<&serde_json::value::RawValue, trunkline_wire::jsonrpc::ErrorObject>,
) -> Result<(), Ended> {
    let result =
        outcome.map_err(|error| unfit(format!("it answered `initialize` with an error: {error}")))?;
    let answer: InitializeResponse = serde_json::from_str(result.get())
        .map_err(|error| unfit(format!("its answer to `initialize` cannot be read: {error}")))?;
    match answer.protocol_version {
        PROTOCOL_VERSION => Ok(()),
        other => Err(unfit(format!("it speaks version {other} of the protocol, not {PROTOCOL_VERSION}"))),
    }
}

fn unfit(why: impl Into<String>) -> Ended {
    Ended::Exit(why.into())
}
