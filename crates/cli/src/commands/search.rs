//! `search`.

use trunkline_client::search::{ExcerptPiece, FoundPassage};

use crate::app::App;
use crate::args::Search;
use crate::clean;
use crate::error::Result;
use crate::exit::Exit;
use crate::moment::ago;
use crate::pick::{self, short};
use crate::style::Tone;

pub(crate) async fn search(app: &App, args: Search) -> Result<Exit> {
    let client = app.connect().await?;
    let session = match &args.session {
        Some(given) => Some(pick::session(app, &client, Some(given)).await?.id),
        None => None,
    };
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let found = client.search(&args.words.join(" "), session, limit, None).await?;
    if app.screen.json {
        app.screen.json(&found)?;
        return Ok(Exit::Ok);
    }
    for (n, passage) in found.items.iter().enumerate() {
        if n > 0 {
            app.screen.print("")?;
        }
        app.screen.print(head(app, passage))?;
        app.screen.print(excerpt(app, &passage.excerpt))?;
    }
    if found.items.is_empty() {
        app.screen.note("nobody has said that; a moment ago may be too soon to be found");
    } else if found.next.is_some() {
        app.screen.note(format!("there are more; --limit shows more than {limit}"));
    }
    Ok(Exit::Ok)
}

fn head(app: &App, passage: &FoundPassage) -> String {
    let paint = app.screen.out;
    let title = clean::line(passage.title.as_deref().unwrap_or(&passage.agent));
    let about = format!("{}, {}, event {}", passage.said, ago(app.now(), passage.at), passage.seq);
    format!("{}  {title}  {}", paint.of(Tone::Accent, short(passage.session)), paint.of(Tone::Dim, about))
}

fn excerpt(app: &App, pieces: &[ExcerptPiece]) -> String {
    let paint = app.screen.out;
    let shown = pieces.iter().map(|piece| {
        let text = clean::text(&piece.text).replace('\n', " ");
        paint.of(if piece.found { Tone::Bold } else { Tone::Plain }, text).to_string()
    });
    format!("  {}", shown.collect::<String>())
}
