//! What dialects share whose events are folded out of a session's facts, turn by turn: the ids of their events, where a client
//! goes on that comes back with the last one it has, and a prompt as text.

use axum::http::HeaderMap;
use serde_json::Value;
use trunkline_core::event::Event;
use trunkline_core::id::{Seq, SessionId, TurnId};
use trunkline_core::raw::Raw;
use trunkline_run::{CommandError, Hub};

/// The ids of a dialect: the number of the fact that completed an event, times so many places, plus the event's place among those
/// of that fact. So they grow for ever and survive restarts; gaps between them mean nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ids {
    /// How many events one fact may complete.
    pub(crate) places: u64,
}

impl Ids {
    /// The id of the event at this place; those that are too many share the last.
    pub(crate) const fn id(self, seq: Seq, place: u64) -> u64 {
        let last = self.places - 1;
        seq.0.saturating_mul(self.places) + if place < last { place } else { last }
    }

    /// The number of the fact that an id is of.
    pub(crate) const fn fact_of(self, id: u64) -> Seq {
        Seq(id / self.places)
    }

    /// The last id that this fact can have.
    pub(crate) const fn last_of(self, seq: Seq) -> u64 {
        seq.0.saturating_mul(self.places).saturating_add(self.places - 1)
    }

    /// Where a client goes on whose last event was `seen`.
    ///
    /// # Errors
    /// When the session cannot be read.
    pub(crate) async fn place(
        self,
        hub: &Hub,
        id: SessionId,
        seen: Option<u64>,
    ) -> Result<Place, CommandError> {
        let Some(last) = seen else { return Ok(Place { after: Seq::ZERO, turn: None, seen }) };
        let fact = self.fact_of(last);
        let before = Seq(fact.0.saturating_sub(1));
        let page = hub.read(id, before, 1).await?;
        // A client that has more than there is has it from another life of the log; it is told what comes from now on.
        if fact > page.head {
            return Ok(Place { after: page.head, turn: None, seen: Some(self.last_of(page.head)) });
        }
        let line = page.frames.iter().flat_map(|frame| frame.lines_after(before)).next();
        let event = line.and_then(|(_, line)| Event::from_line(line).ok());
        let turn = event.filter(|event| event.seq == fact).and_then(|event| event.turn);
        Ok(Place { after: fact, turn, seen })
    }
}

/// Where a client goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The last fact of which it has all, where that stands in no turn.
    pub(crate) after: Seq,
    /// The turn in which it stopped: the fold of that begins anew.
    pub(crate) turn: Option<TurnId>,
    /// Events up to this id are left out.
    pub(crate) seen: Option<u64>,
}

/// The last event that the client has. What is no number of an event means that it has none.
pub(crate) fn last_seen(headers: &HeaderMap) -> Option<u64> {
    headers.get("last-event-id")?.to_str().ok()?.trim().parse().ok()
}

/// The text of a prompt; what is no text is named.
pub(crate) fn prompt_text(prompt: &[Raw]) -> String {
    let block = |raw: &Raw| {
        let block: Value = raw.read().unwrap_or_default();
        match block["text"].as_str() {
            Some(text) => text.to_owned(),
            None => format!("[{}]", block["type"].as_str().unwrap_or("content")),
        }
    };
    prompt.iter().map(block).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_says_what_a_client_has() {
        let with = |id: &str| HeaderMap::from_iter([("last-event-id".parse().unwrap(), id.parse().unwrap())]);
        assert_eq!(last_seen(&HeaderMap::new()), None);
        assert_eq!(last_seen(&with(" 15 ")), Some(15));
        for other in ["-5", "x", "", "1.5", "99999999999999999999999"] {
            assert_eq!(last_seen(&with(other)), None, "{other}");
        }
    }
}
