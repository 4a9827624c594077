//! `export` and `import`: a session's log as a file. The format is described in `docs/guide/export.md`.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::Serialize;
use trunkline_client::Client;
use trunkline_core::id::Seq;
use trunkline_core::time::Time;
use trunkline_core::view::SessionView;

use crate::app::App;
use crate::args::{Export, Import};
use crate::commands::read_stdin;
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::pick;

/// The format's name and version.
const FORMAT: &str = "export/1";
/// How large a file the daemon takes.
const MAX_IMPORT: u64 = 256 << 20;

/// The first line of an export.
#[derive(Serialize)]
struct Header<'a> {
    /// Always [`FORMAT`]: what the file is.
    trunkline: &'static str,
    exported_at: Time,
    session: &'a SessionView,
    /// The first event of the file; greater than 1 if the daemon no longer has those before it.
    first: Seq,
    /// The last event of the file.
    head: Seq,
}

pub(crate) async fn export(app: &App, args: Export) -> Result<Exit> {
    let client = app.connect().await?;
    let session = pick::session(app, &client, args.session.as_deref()).await?;
    match &args.output {
        None => write(app, &client, &session, io::stdout().lock()).await?,
        Some(path) => {
            let cannot = |error: io::Error| CliError::failure(format!("{}: {error}", path.display()));
            // A transcript may quote what nobody else should read.
            let mut options = OpenOptions::new();
            let file = options.write(true).create_new(true).mode(0o600).open(path).map_err(cannot)?;
            let head = write(app, &client, &session, &file).await?;
            file.sync_all().map_err(cannot)?;
            app.screen.note(format!("{head} events written to {}", path.display()));
            return Ok(Exit::Ok);
        }
    };
    Ok(Exit::Ok)
}

pub(crate) async fn import(app: &App, args: Import) -> Result<Exit> {
    let export = if args.file == Path::new("-") {
        read_stdin(MAX_IMPORT).await?
    } else {
        let cannot = |error: io::Error| CliError::usage(format!("{}: {error}", args.file.display()));
        let size = args.file.metadata().map_err(cannot)?.len();
        if size > MAX_IMPORT {
            let why = format!("{} has more than {} MiB", args.file.display(), MAX_IMPORT >> 20);
            return Err(CliError::usage(why));
        }
        std::fs::read(&args.file).map_err(cannot)?
    };
    let client = app.connect().await?;
    let session = client.import(export).await?;
    if app.screen.json {
        app.screen.json(&session)?;
    } else {
        app.screen.print(session.id.to_string())?;
    }
    Ok(Exit::Ok)
}

/// Writes the header and every event up to the head there is at the start: the log may grow meanwhile.
async fn write(app: &App, client: &Client, session: &SessionView, out: impl Write) -> Result<Seq> {
    let mut out = BufWriter::new(out);
    let mut page = client.raw_events_page(session.id, Seq::ZERO, None).await?;
    let (first, head) = (page.first, page.head);
    let header = Header { trunkline: FORMAT, exported_at: app.now(), session, first, head };
    serde_json::to_writer(&mut out, &header).map_err(io::Error::from)?;
    let mut last = Seq::ZERO;
    loop {
        for event in &page.items {
            last = seq_of(event.get())?;
            if last > head {
                break;
            }
            out.write_all(b"\n")?;
            out.write_all(event.get().as_bytes())?;
        }
        if last >= head || page.items.is_empty() {
            break;
        }
        page = client.raw_events_page(session.id, last, None).await?;
    }
    out.write_all(b"\n")?;
    out.flush()?;
    Ok(head)
}

fn seq_of(event: &str) -> Result<Seq> {
    #[derive(serde::Deserialize)]
    struct Numbered {
        seq: Seq,
    }
    let numbered: serde_json::Result<Numbered> = serde_json::from_str(event);
    numbered
        .map(|event| event.seq)
        .map_err(|error| CliError::failure(format!("the daemon sent an event without a number: {error}")))
}
