//! What was said in sessions, found by its words.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use trunkline_core::id::{Pos, Seq, SessionId};
use trunkline_core::passage::Said;
use trunkline_core::row::RowKind;
use trunkline_core::time::Time;
use trunkline_log::search::Hit;

use crate::app::{Shared, limit};
use crate::extract::{Query, Who};
use crate::problem::{Answer, Problem};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ask {
    q: String,
    session: Option<SessionId>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// Passages that were found, the newest first.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "FoundPassages")]
pub(crate) struct Passages {
    /// The passages.
    items: Vec<Passage>,
    /// The cursor of the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A passage of a session's transcript.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "FoundPassage")]
pub(crate) struct Passage {
    /// Its session.
    session: SessionId,
    /// What people call the session, if it has a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    /// The agent of the session.
    agent: String,
    /// The event with which the passage begins.
    seq: Seq,
    /// When that was.
    at: Time,
    /// What it is.
    said: Said,
    /// The words around what was found, in pieces that follow each other.
    excerpt: Vec<Piece>,
}

/// A piece of an excerpt.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ExcerptPiece")]
pub(crate) struct Piece {
    /// Its text.
    text: String,
    /// Whether it is what was looked for.
    found: bool,
}

/// A session's row, as far as it is looked at.
#[derive(Deserialize)]
struct Named {
    title: Option<String>,
    agent: String,
}

pub(crate) async fn find(
    app: Shared,
    Who(caller): Who,
    Query(ask): Query<Ask>,
) -> Answer<axum::Json<Passages>> {
    match ask.session {
        Some(session) => caller.may_read(session)?,
        None => caller.may_list()?,
    }
    let before = ask.cursor.as_deref().map(place).transpose()?;
    let most = limit(ask.limit)?;
    let hits = app.transcripts.find(&ask.q, ask.session, before, most).await?;
    let next = hits.last().filter(|_| hits.len() == most).map(|hit| hit.id.to_string());
    let mut items = Vec::with_capacity(hits.len());
    for hit in hits {
        // The index may be a moment behind a deletion.
        if let Some((_, row)) = app.row(RowKind::Session, &hit.session.to_string(), Pos(0)).await? {
            items.extend(row.read().map(|named| shown(hit, named)));
        }
    }
    Ok(axum::Json(Passages { items, next }))
}

fn shown(hit: Hit, Named { title, agent }: Named) -> Passage {
    let excerpt = hit.excerpt.into_iter().map(|(text, found)| Piece { text, found });
    Passage {
        session: hit.session,
        title,
        agent,
        seq: hit.seq,
        at: hit.at,
        said: hit.said,
        excerpt: excerpt.collect(),
    }
}

fn place(cursor: &str) -> Answer<i64> {
    let wrong = |_| Problem::invalid("cursor", "this is not a cursor the daemon gave");
    cursor.parse().map_err(wrong)
}
