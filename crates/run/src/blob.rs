//! Keeps what is too large for a session's log beside it, under the hash of its bytes.

use std::fmt::Write;

use sha2::{Digest, Sha256};
use trunkline_core::blob::{CHUNK, Chunk, LIMIT, SHOWN};
use trunkline_core::event::{Event, Fact};
use trunkline_core::id::{LogId, Seq, SessionId};
use trunkline_core::principal::Principal;
use trunkline_core::raw::Raw;
use trunkline_core::row::{self, RowKind, facet};
use trunkline_core::time::Time;
use trunkline_core::turn::{ACP, Blob, Update};
use trunkline_log::frame::{Frame, Query, Want};
use trunkline_log::{AppendError, Log, LogError, append_settled};
use trunkline_wire::raw::Members;
use uuid::Uuid;

use crate::cell::CommandError;

/// An update as the log takes it: as it came, or its small members with the whole kept beside.
pub(crate) async fn spill(
    log: &dyn Log,
    id: SessionId,
    update: Raw,
    now: Time,
) -> Result<Update, CommandError> {
    if update.get().len() <= LIMIT {
        return Ok(Update::of(update));
    }
    let blob = store(log, id, update.get(), now).await?;
    // A session that was removed meanwhile has had its blobs removed too, perhaps before this one was there.
    let want = Want { bytes: 1, folded: true };
    if let Err(LogError::Gone) = log.read(&LogId::session(id), Seq(u64::MAX), want).await {
        log.trim(&LogId::blob(id, &blob.sha256).expect("a digest is a hash"), None).await?;
        return Err(LogError::Gone.into());
    }
    Ok(Update { v: ACP.to_owned(), update: small(&update), blob: Some(blob) })
}

/// Keeps a text. One that is there already is not written again.
async fn store(log: &dyn Log, id: SessionId, text: &str, now: Time) -> Result<Blob, CommandError> {
    let sha256 = hex(&Sha256::digest(text.as_bytes()));
    let name = LogId::blob(id, &sha256).expect("a digest is a hash");
    let blob = Blob { sha256, bytes: text.len() as u64 };
    let mut rest = text;
    let mut after = Seq::ZERO;
    while !rest.is_empty() {
        let (piece, more) = rest.split_at(rest.floor_char_boundary(CHUNK));
        let chunk = Chunk { text: piece.to_owned(), last: more.is_empty() };
        let seq = after.plus(1);
        let by = Principal::agent(id);
        let event = Event { seq, at: now, by, turn: None, key: None, fact: chunk.into() };
        let frame = Frame::of(Uuid::now_v7(), &[event], true);
        match append_settled(log, &name, after, frame, vec![row::blob(id, &name)]).await {
            // The same bytes were written here before: the name is their hash.
            Ok(_) | Err(AppendError::Moved { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        (rest, after) = (more, seq);
    }
    Ok(blob)
}

/// Reads a text that was kept.
///
/// # Errors
/// When there is none of this name, or the store cannot be read.
pub(crate) async fn load(log: &dyn Log, id: SessionId, sha256: &str) -> Result<Option<String>, LogError> {
    let Ok(name) = LogId::blob(id, sha256) else { return Ok(None) };
    let mut text = String::new();
    let mut after = Seq::ZERO;
    loop {
        let page = log.read(&name, after, Want { bytes: 1, folded: false }).await?;
        for frame in &page.frames {
            let events = frame.events().map_err(|error| LogError::Down(error.to_string()))?;
            for event in events {
                if let Fact::BlobChunk(chunk) = event.fact {
                    text.push_str(&chunk.text);
                    if chunk.last {
                        return Ok(Some(text));
                    }
                }
            }
            after = frame.last;
        }
        if page.frames.is_empty() {
            return Ok(None);
        }
    }
}

/// Removes everything that was kept for a session.
pub(crate) async fn remove_all(log: &dyn Log, id: SessionId) -> Result<(), LogError> {
    let query = Query { facets: vec![facet("session", id)], ..Query::all(RowKind::Blob) };
    loop {
        let found = log.find(&query, log.pos()).await?;
        for (name, _) in &found.rows {
            match log.trim(name, None).await {
                Ok(_) | Err(LogError::Gone) => {}
                Err(error) => return Err(error),
            }
        }
        if found.next.is_none() {
            return Ok(());
        }
    }
}

/// The members of an update that are small, and the start of its text.
fn small(update: &Raw) -> Raw {
    let Some(members) = Members::of(update.as_raw()) else { return Raw::parse("{}").expect("this is JSON") };
    let mut json = String::from("{");
    for (name, value) in members.iter() {
        let kept = if value.get().len() <= SHOWN { Some(value.get().to_owned()) } else { start(name, value) };
        if let Some(kept) = kept {
            let comma = if json.len() > 1 { "," } else { "" };
            let name = serde_json::to_string(name).expect("a text has a JSON form");
            write!(json, "{comma}{name}:{kept}").expect("a string grows");
        }
    }
    json.push('}');
    Raw::parse(&json).expect("members of an object make an object")
}

/// The start of a text block.
fn start(name: &str, value: &serde_json::value::RawValue) -> Option<String> {
    let text = Members::of(value).filter(|_| name == "content")?.get_str("text")?.into_owned();
    let shown = &text[..text.floor_char_boundary(SHOWN)];
    Some(serde_json::json!({ "type": "text", "text": format!("{shown}…") }).to_string())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string grows");
        text
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use trunkline_log::Memory;

    use super::*;

    fn session() -> SessionId {
        "0190163d-8694-739b-aea5-966c26f8ad91".parse().unwrap()
    }

    #[tokio::test]
    async fn what_is_large_is_kept_beside_the_log_and_comes_back_whole() {
        let log = Memory::new(Time(1));
        let long = "é".repeat(5 << 20);
        let tool = json!({"sessionUpdate": "tool_call_update", "toolCallId": "t1", "rawOutput": long});
        let update = Raw::of(&tool).unwrap();
        let spilled = spill(&log, session(), update.clone(), Time(1)).await.unwrap();
        let kept: serde_json::Value = spilled.update.read().unwrap();
        assert_eq!(kept, json!({"sessionUpdate": "tool_call_update", "toolCallId": "t1"}));
        let blob = spilled.blob.unwrap();
        assert_eq!(blob.bytes, update.get().len() as u64);
        let back = load(&log, session(), &blob.sha256).await.unwrap().unwrap();
        assert!(back == update.get());
        // The same again costs nothing and gives the same.
        let again = spill(&log, session(), update, Time(2)).await.unwrap();
        assert_eq!(again.blob, Some(blob.clone()));
        remove_all(&log, session()).await.unwrap();
        assert!(load(&log, session(), &blob.sha256).await.is_err());
        assert_eq!(load(&log, session(), "nonsense").await.unwrap(), None);
    }

    #[tokio::test]
    async fn nothing_is_kept_beside_a_session_that_was_removed() {
        let log = Memory::new(Time(1));
        log.trim(&LogId::session(session()), None).await.unwrap();
        let long = Raw::of(&json!({"sessionUpdate": "plan", "text": "x".repeat(LIMIT + 1)})).unwrap();
        let spilled = spill(&log, session(), long, Time(1)).await;
        assert!(matches!(spilled, Err(CommandError::Read(LogError::Gone))), "{spilled:?}");
        let left = log.find(&Query::all(RowKind::Blob), log.pos()).await.unwrap();
        assert!(left.rows.is_empty(), "{left:?}");
    }

    #[tokio::test]
    async fn a_large_text_shows_its_start() {
        let log = Memory::new(Time(1));
        let content = json!({"type": "text", "text": "x".repeat(LIMIT + 1)});
        let chunk = Raw::of(&json!({"sessionUpdate": "agent_message_chunk", "content": content})).unwrap();
        let spilled = spill(&log, session(), chunk, Time(1)).await.unwrap();
        let kept: serde_json::Value = spilled.update.read().unwrap();
        assert_eq!(kept["content"]["text"].as_str().unwrap().chars().count(), SHOWN + 1);
        let small = Raw::parse(r#"{"sessionUpdate":"plan"}"#).unwrap();
        assert_eq!(spill(&log, session(), small.clone(), Time(1)).await.unwrap(), Update::of(small));
    }
}
