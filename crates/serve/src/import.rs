//! Makes a session from an export: a line that says what follows, then the events, one in a line.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;
use trunkline_core::event::Event;
use trunkline_core::row::RowKind;

use crate::app::{Shared, at};
use crate::extract::{Query, Who};
use crate::problem::{Answer, Problem};

/// How many bytes an export may have.
pub(crate) const MAX_EXPORT: usize = 256 << 20;
/// The content type of exports.
pub(crate) const NDJSON: &str = "application/x-ndjson";
/// What the first line calls the format.
const FORMAT: &str = "export/1";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct How {
    #[serde(default)]
    adopt: bool,
}

#[derive(Deserialize)]
struct Head {
    trunkline: String,
}

pub(crate) async fn import(
    app: Shared,
    Who(caller): Who,
    Query(how): Query<How>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Answer<Response> {
    caller.may_operate()?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    if kind != NDJSON {
        let detail = format!("send an export with the header `content-type: {NDJSON}`");
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_ndjson", detail));
    }
    let body = body.map_err(|rejection| {
        let detail = format!("the export cannot be read, or is larger than {MAX_EXPORT} bytes");
        Problem::new(rejection.status(), "too_large", detail)
    })?;
    let events = parse(&body)?;
    let (id, pos) = match how.adopt {
        true => app.hub.adopt(&caller, events).await?,
        false => app.hub.import(&caller, events).await?,
    };
    let row = app.row(RowKind::Session, &id.to_string(), pos).await?;
    let (_, view) = row.ok_or_else(|| Problem::not_found("session", &id.to_string()))?;
    Ok(at(StatusCode::CREATED, pos, &view))
}

fn parse(body: &[u8]) -> Answer<Vec<Event>> {
    let wrong = |number: usize, why: &dyn std::fmt::Display| {
        let line = format!("line {number}");
        Problem::invalid(line.clone(), format!("{line} of the export cannot be read: {why}"))
    };
    let text = std::str::from_utf8(body).map_err(|error| wrong(1, &error))?;
    let mut lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
    let head = lines.next().and_then(|(line, _)| serde_json::from_str::<Head>(line).ok());
    if head.is_none_or(|head| head.trunkline != FORMAT) {
        return Err(wrong(
            1,
            &format!("it must be {{\"trunkline\":\"{FORMAT}\", …}}, as `trunkline export` writes it"),
        ));
    }
    lines.map(|(line, number)| Event::from_line(line).map_err(|error| wrong(number, &error))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_is_read_line_by_line_and_errors_name_the_line() {
        let event = r#"{"type":"session.closed","seq":1,"at":1,"by":"x","data":{}}"#;
        let head = r#"{"trunkline":"export/1","session":"s"}"#;
        assert_eq!(parse(format!("{head}\n{event}\n\n{event}\n").as_bytes()).unwrap().len(), 2);
        let field = |text: &str| parse(text.as_bytes()).unwrap_err().field.clone();
        assert_eq!(field(""), Some("line 1".into()));
        assert_eq!(field(event), Some("line 1".into()));
        assert_eq!(field(&format!("{head}\n{event}\n{{")), Some("line 3".into()));
        assert_eq!(field(r#"{"trunkline":"export/9"}"#), Some("line 1".into()));
    }
}
