//! `mode`: what the agent of a session may do without asking.

use trunkline_core::setting::Selection;

use crate::app::App;
use crate::args::Mode;
use crate::error::Result;
use crate::exit::Exit;
use crate::pick;
use crate::style::Tone;
use crate::table::{Cell, Table};

pub(crate) async fn mode(app: &App, args: Mode) -> Result<Exit> {
    let client = app.connect().await?;
    let session = pick::session(app, &client, args.session.as_deref()).await?;
    let settings = match &args.mode {
        Some(mode) => client.set_mode(session.id, mode).await?,
        None => client.settings(session.id).await?,
    };
    if app.screen.json {
        app.screen.json(&settings)?;
        return Ok(Exit::Ok);
    }
    match settings.mode {
        Some(selection) if args.mode.is_some() => app.screen.print(told(&selection))?,
        Some(selection) if !selection.available.is_empty() => app.screen.table(&table(&selection))?,
        Some(selection) => app.screen.note(told(&selection)),
        None if session.turns == 0 => {
            app.screen.note("the agent has not told its modes yet; it does so when it is first prompted");
        }
        None => app.screen.note("this agent has no modes"),
    }
    Ok(Exit::Ok)
}

/// What became of a choice.
fn told(selection: &Selection) -> String {
    match (&selection.chosen, &selection.current) {
        (Some(chosen), _) => format!("{chosen} is chosen; the agent is told as soon as it runs"),
        (None, Some(current)) => format!("the mode is {current}"),
        (None, None) => "the agent does not tell its mode".to_owned(),
    }
}

/// The modes; `*` is the one in force, `>` the one that was chosen and that the agent has not taken yet.
fn table(selection: &Selection) -> Table {
    let mut table = Table::new(&["", "MODE", "NAME", "MEANS"]);
    for mode in &selection.available {
        let is = |id: &Option<String>| id.as_ref() == Some(&mode.id);
        let mark = match (is(&selection.chosen), is(&selection.current)) {
            (true, _) => ">",
            (false, true) => "*",
            (false, false) => "",
        };
        table.row(vec![
            Cell::new(Tone::Good, mark),
            Cell::new(Tone::Accent, &mode.id),
            Cell::from(&mode.name),
            Cell::new(Tone::Dim, mode.description.as_deref().unwrap_or("-")),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::Paint;

    #[test]
    fn modes_are_listed_with_the_one_in_force() {
        let mut selection: Selection = serde_json::from_str(
            r#"{"current":"ask","chosen":"plan","available":[{"id":"ask","name":"Ask","description":"Asks before it acts"},
                {"id":"plan","name":"Plan"},{"id":"x\u001b[2J","name":"X"}]}"#,
        )
        .unwrap();
        insta::assert_snapshot!(table(&selection).render(Paint::PLAIN, None), @r"
           MODE   NAME  MEANS
        *  ask    Ask   Asks before it acts
        >  plan   Plan  -
           x␛[2J  X     -
        ");
        assert_eq!(told(&selection), "plan is chosen; the agent is told as soon as it runs");
        selection.chosen = None;
        assert_eq!(told(&selection), "the mode is ask");
    }
}
