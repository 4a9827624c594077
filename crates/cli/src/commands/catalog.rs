//! `catalog`.

use trunkline_client::types::CatalogEntry;

use crate::app::App;
use crate::error::Result;
use crate::exit::Exit;
use crate::style::Tone;
use crate::table::{Cell, Table};

pub(crate) async fn list(app: &App) -> Result<Exit> {
    let mut catalog = app.connect().await?.catalog().await?;
    if app.screen.json {
        app.screen.json(&catalog)?;
        return Ok(Exit::Ok);
    }
    catalog.items.sort_by_key(|entry| !entry.found);
    app.screen.table(&table(&catalog.items))?;
    Ok(Exit::Ok)
}

fn table(entries: &[CatalogEntry]) -> Table {
    let mut table = Table::new(&["NAME", "AGENT", "COMMAND", "HERE"]);
    for entry in entries {
        let (tone, here) = match (&entry.path, &entry.why) {
            (_, Some(why)) if !entry.found => (Tone::Dim, why.as_str()),
            (Some(path), _) if entry.found => (Tone::Good, path.as_str()),
            _ if entry.found => (Tone::Good, "yes"),
            _ => (Tone::Dim, "no"),
        };
        table.row(vec![
            Cell::new(if entry.found { Tone::Accent } else { Tone::Dim }, &entry.name),
            Cell::from(&entry.title),
            Cell::new(Tone::Dim, entry.argv.join(" ")),
            Cell::new(tone, here),
        ]);
    }
    table
}
