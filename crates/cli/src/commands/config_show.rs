//! `config show`.

use std::collections::BTreeMap;

use serde_json::json;

use crate::app::App;
use crate::config::{self, FILE};
use crate::error::Result;
use crate::exit::Exit;
use crate::style::Tone;
use crate::table::{Cell, Table};

pub(crate) fn show(app: &App) -> Result<Exit> {
    let config = &app.config;
    let agents: BTreeMap<_, _> =
        config.agents.iter().map(|(name, agent)| (name, agent.argv.clone().unwrap_or_default())).collect();
    if app.screen.json {
        let json = json!({ "file": config.file, "settings": config.shown, "agents": agents });
        app.screen.json(&json)?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["KEY", "VALUE", "FROM"]);
    for shown in &config.shown {
        let value = if shown.value.is_empty() { "-" } else { &shown.value };
        let key = Cell::new(Tone::Accent, shown.key);
        table.row(vec![key, Cell::from(value), Cell::new(Tone::Dim, shown.source.to_string())]);
    }
    for (name, argv) in agents {
        let value = if argv.is_empty() { "changed".to_owned() } else { argv.join(" ") };
        table.row(vec![
            Cell::new(Tone::Accent, format!("agents.{name}")),
            Cell::from(value),
            Cell::new(Tone::Dim, FILE),
        ]);
    }
    app.screen.table(&table)?;
    if config.file.is_none() {
        app.screen.note(format!("there is no {}", config.home.join(FILE).display()));
    }
    for (name, meant) in config::unknown_variables(&app.env) {
        let meant = meant.map_or_else(String::new, |meant| format!("; did you mean {meant}?"));
        app.screen.note(format!("{name} sets nothing{meant}"));
    }
    Ok(Exit::Ok)
}
