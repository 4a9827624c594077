//! The scripted model server as a command, for tests in other languages and for a look by hand.

use anyhow::Context;
use clap::Parser;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use trunkline_model_server::{MAX_SCRIPT_BYTES, ModelServer, Script};

/// Answer model requests from a script
///
/// Prints `READY URL` when it listens, and serves until it is ended.
#[derive(Parser)]
#[command(name = "trunkline-model-server", version)]
struct Args {
    /// The address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The script, a JSON file
    #[arg(long)]
    script: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let script = read(&args.script).with_context(|| format!("cannot use {}", args.script.display()))?;
    let mut server = ModelServer::listen(args.listen, script).await?;
    let mut out = std::io::stdout();
    writeln!(out, "READY {}", server.url())?;
    out.flush()?;
    Ok(server.closed().await?)
}

fn read(path: &Path) -> anyhow::Result<Script> {
    let mut text = String::new();
    let limit = u64::try_from(MAX_SCRIPT_BYTES).unwrap_or(u64::MAX);
    // One byte over the limit is read, so that a file that is too large is seen to be.
    std::fs::File::open(path)?.take(limit + 1).read_to_string(&mut text)?;
    Ok(Script::from_json(&text)?)
}
