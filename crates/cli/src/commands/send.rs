//! `send`.

use trunkline_core::tell::State;

use crate::app::App;
use crate::args::Send;
use crate::commands::prompt::text_of;
use crate::error::Result;
use crate::exit::Exit;
use crate::pick::short;

pub(crate) async fn send(app: &App, args: Send) -> Result<Exit> {
    let text = text_of(&args.text).await?;
    let client = app.connect().await?;
    let sent = client.tell(&args.to, &text).await?;
    if app.screen.json {
        app.screen.json(&sent)?;
        return Ok(Exit::Ok);
    }
    app.screen.print(sent.id.to_string())?;
    let to = short(sent.to);
    app.screen.note(match (sent.state, sent.turn) {
        (State::Delivered, _) => format!("delivered; watch it: trunkline attach {to}"),
        (State::Waiting, Some(turn)) => {
            format!("the agent is busy: it gets it after its turn; to take it back: trunkline queue rm {turn} {to}")
        }
        (State::Waiting, None) => "it waits in the inbox of the agent, which runs elsewhere".to_owned(),
        (State::Asking, _) => "a person is asked first: trunkline inbox".to_owned(),
        (State::Dropped, _) => "it will not reach the agent".to_owned(),
    });
    Ok(Exit::Ok)
}
