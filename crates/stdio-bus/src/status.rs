//! Asks a running router how it is.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use serde_json::Value;

use crate::args::Listen;

/// The status as JSON, or the metrics.
///
/// # Errors
/// If nobody answers, or the router's configuration has no `status`.
pub(crate) fn ask(listen: &Listen, metrics: bool) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("The router does not answer: {error}");
    let method = if metrics { "stdio_bus/metrics" } else { "stdio_bus/status" };
    let answer = match listen {
        Listen::Tcp(host, port) => {
            exchange(TcpStream::connect((host.as_str(), *port)).map_err(failed)?, method)
        }
        Listen::Unix(path) => exchange(UnixStream::connect(path).map_err(failed)?, method),
        Listen::Stdio => return Err("A router on stdio has one client only".to_owned()),
    };
    let answer: Value =
        serde_json::from_slice(&answer.map_err(failed)?).map_err(|error| error.to_string())?;
    match &answer["result"] {
        Value::Object(result) if metrics => match result.get("text").and_then(Value::as_str) {
            Some(text) => Ok(text.trim_end().to_owned()),
            None => Err(refused(&answer)),
        },
        result @ Value::Object(status) if status.contains_key("pools") => Ok(format!("{result:#}")),
        _ => Err(refused(&answer)),
    }
}

fn refused(answer: &Value) -> String {
    let hint = "Does its configuration have \"status\": true?";
    format!("The router gave no status. {hint} It said: {answer}")
}

fn exchange(mut stream: impl Read + Write, method: &str) -> std::io::Result<Vec<u8>> {
    writeln!(stream, r#"{{"jsonrpc":"2.0","id":"status","method":"{method}"}}"#)?;
    let mut line = Vec::new();
    BufReader::new(stream).read_until(b'\n', &mut line)?;
    Ok(line)
}
