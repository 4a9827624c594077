//! `export` and `import`: a session's log as a file. The format is described in `docs/guide/export.md`.

use std::borrow::Cow;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde::Serialize;
use serde_json::json;
use tempfile::NamedTempFile;
use trunkline_client::Client;
use trunkline_core::event::{Event, Fact};
use trunkline_core::id::{Seq, SessionId};
use trunkline_core::raw::Raw;
use trunkline_core::time::Time;
use trunkline_core::view::SessionView;

use crate::app::App;
use crate::args::{Export, Import, Source};
use crate::commands::read_stdin;
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::pick;
use crate::screen::count;

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
        None => drop(write(app, &client, &session, io::stdout().lock()).await?),
        Some(path) => {
            let head = to_file(app, &client, &session, path).await?;
            if app.screen.json {
                app.screen.json(&json!({ "session": session.id, "file": path, "head": head }))?;
            } else {
                app.screen.note(format!("{} written to {}", count(head, "event"), path.display()));
            }
        }
    }
    Ok(Exit::Ok)
}

pub(crate) async fn import(app: &App, args: Import) -> Result<Exit> {
    if let Some(Source::Engram) = args.from {
        return super::import_bus::import(app, &args.file).await;
    }
    if let Some(Source::Kollab) = args.from {
        return super::import_kollab::import(app, &args.file).await;
    }
    if let Some(Source::Sessionbus) = args.from {
        return crate::commands::import_hub::import(app, &args.file).await;
    }
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

/// Writes a file that was not there. It has its name once it is whole, so that a failure leaves nothing in the way.
async fn to_file(app: &App, client: &Client, session: &SessionView, path: &Path) -> Result<Seq> {
    let cannot = |error: io::Error| CliError::failure(format!("{}: {error}", path.display()));
    if path.symlink_metadata().is_ok() {
        return Err(cannot(io::ErrorKind::AlreadyExists.into()));
    }
    let directory =
        path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    // A transcript may quote what nobody else should read: such a file is its owner's alone.
    let mut file = NamedTempFile::new_in(directory).map_err(cannot)?;
    let head = write(app, client, session, &mut file).await?;
    file.as_file().sync_all().map_err(cannot)?;
    file.persist_noclobber(path).map_err(|error| cannot(error.error))?;
    Ok(head)
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
            out.write_all(whole(client, session.id, event).await?.get().as_bytes())?;
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

/// An event with all of an update that is kept beside the log.
async fn whole<'a>(client: &Client, session: SessionId, event: &'a Raw) -> Result<Cow<'a, Raw>> {
    // Every event is looked at, and few are such: reading them all would take longer than sending them.
    if !event.get().contains("\"blob\"") {
        return Ok(Cow::Borrowed(event));
    }
    let Ok(mut read) = Event::from_line(event.get()) else { return Ok(Cow::Borrowed(event)) };
    let Fact::TurnUpdate(update) = &mut read.fact else { return Ok(Cow::Borrowed(event)) };
    let Some(blob) = update.blob.take() else { return Ok(Cow::Borrowed(event)) };
    update.update = client.blob(session, &blob.sha256).await?;
    let line = Raw::parse(&read.to_line()).map_err(|error| CliError::failure(error.to_string()))?;
    Ok(Cow::Owned(line))
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
