//! Holds back what running tools show, so that it is written at growing intervals.
//!
//! The `content` of a tool call is told whole each time, and replaces what was told before: a command that prints for an hour
//! would fill the log with copies. It is written at once, then a second later, then after two, four … and at the tool's end.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use trunkline_core::raw::Raw;
use trunkline_wire::acp::UpdateView;
use trunkline_wire::acp::merge::Merger;

/// After the first, and then twice as long each time.
const INTERVAL: Duration = Duration::from_secs(1);
/// How many tools are held back at a time, and how many bytes of each. What is more is written as it comes.
const MAX_TOOLS: usize = 64;
const MAX_BYTES: usize = 256 << 10;

/// The tools that run and have shown something, by the id of their call.
#[derive(Debug, Default)]
pub(super) struct Tools(BTreeMap<String, Shown>);

#[derive(Debug)]
struct Shown {
    interval: Duration,
    /// When it may be written again.
    next: Instant,
    held: Merger,
}

impl Tools {
    /// Takes an update, and gives what is to be written now: the update, after what was held of its tool, or nothing.
    pub(super) fn push(&mut self, update: Raw, now: Instant) -> Vec<Raw> {
        let view = UpdateView::of(update.as_raw());
        let kind = view.kind();
        let Some(id) = view.tool_call_id().filter(|_| kind.starts_with("tool_call")) else {
            return vec![update];
        };
        let ends = view.get_str("status").is_some_and(|status| matches!(&*status, "completed" | "failed"));
        let begins = kind == "tool_call";
        // What has `_meta` streams in it: each piece counts.
        let passes = ends || begins || view.get("_meta").is_some() || update.get().len() > MAX_BYTES;
        if passes {
            let held = if ends || begins { self.0.remove(&*id) } else { None };
            let mut out = match held {
                Some(mut shown) => shown.flush(),
                None => self.0.get_mut(&*id).map(Shown::flush).unwrap_or_default(),
            };
            out.push(update);
            return out;
        }
        let (shows, has_room) = (view.get("content").is_some(), self.0.len() < MAX_TOOLS);
        match self.0.get_mut(&*id) {
            Some(shown) if now < shown.next && (shows || !shown.held.is_empty()) => {
                let _comes_out_with_the_rest = shown.held.push(update.as_raw());
                if shown.held.pending_bytes() > MAX_BYTES { shown.flush() } else { Vec::new() }
            }
            Some(shown) if shows => {
                shown.rest(now);
                vec![update]
            }
            None if shows && has_room => {
                let shown = Shown { interval: INTERVAL, next: now + INTERVAL, held: Merger::default() };
                self.0.insert(id.into_owned(), shown);
                vec![update]
            }
            Some(_) | None => vec![update],
        }
    }

    /// When something that is held is to be written.
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.values().filter(|shown| !shown.held.is_empty()).map(|shown| shown.next).min()
    }

    /// What is due.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<Raw> {
        let due = self.0.values_mut().filter(|shown| !shown.held.is_empty() && shown.next <= now);
        due.flat_map(|shown| {
            shown.rest(now);
            shown.flush()
        })
        .collect()
    }

    /// All that is held.
    pub(super) fn take_all(&mut self) -> Vec<Raw> {
        self.0.values_mut().flat_map(Shown::flush).collect()
    }
}

impl Shown {
    /// It was written: the next time is further away.
    fn rest(&mut self, now: Instant) {
        self.interval *= 2;
        self.next = now + self.interval;
    }

    fn flush(&mut self) -> Vec<Raw> {
        self.held.flush().into_iter().map(Raw::from).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn update(members: &serde_json::Value) -> Raw {
        let mut update = json!({ "sessionUpdate": "tool_call_update", "toolCallId": "t" });
        update.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        Raw::of(&update).unwrap()
    }

    fn shows(n: u64) -> Raw {
        update(&json!({ "content": [n] }))
    }

    /// What is written, as the last value shown in it.
    fn values(written: &[Raw]) -> Vec<u64> {
        let value = |raw: &Raw| raw.read::<serde_json::Value>().unwrap()["content"][0].as_u64();
        written.iter().filter_map(value).collect()
    }

    #[test]
    fn what_a_tool_shows_is_written_at_growing_intervals_and_at_its_end() {
        let (mut tools, start) = (Tools::default(), Instant::now());
        let mut written = Vec::new();
        for tenth in 0..100 {
            let now = start + Duration::from_millis(100 * tenth);
            if tools.due().is_some_and(|due| due <= now) {
                written.extend(values(&tools.take_due(now)).iter().map(|_| tenth));
            }
            written.extend(values(&tools.push(shows(tenth), now)).iter().map(|_| tenth));
        }
        assert_eq!(written, [0, 10, 30, 70]);
        let end = tools.push(update(&json!({ "status": "completed" })), start + Duration::from_secs(10));
        assert_eq!((values(&end), end.len()), (vec![99], 2));
        assert_eq!((tools.due(), tools.take_all()), (None, vec![]));
    }

    #[test]
    fn what_comes_after_something_held_stays_behind_it() {
        let (mut tools, now) = (Tools::default(), Instant::now());
        assert_eq!(
            tools.push(update(&json!({ "title": "a" })), now).len(),
            1,
            "what shows nothing is not held"
        );
        tools.push(shows(1), now);
        assert!(tools.push(shows(2), now).is_empty());
        assert!(tools.push(update(&json!({ "title": "b" })), now).is_empty());
        let all = tools.take_all();
        assert_eq!((values(&all), all.len()), (vec![2], 1));
        assert!(all[0].get().contains(r#""title":"b""#));
    }

    #[test]
    fn streams_in_meta_pass_and_so_does_what_is_large() {
        let (mut tools, now) = (Tools::default(), Instant::now());
        tools.push(shows(1), now);
        assert!(tools.push(shows(2), now).is_empty());
        assert_eq!(tools.push(update(&json!({ "_meta": { "terminal_output": "x" } })), now).len(), 2);
        let large = update(&json!({ "content": ["x".repeat(MAX_BYTES)] }));
        assert_eq!(tools.push(large, now).len(), 1);
        let text = Raw::parse(r#"{"sessionUpdate":"agent_message_chunk","content":{}}"#).unwrap();
        assert_eq!(tools.push(text.clone(), now), [text]);
    }
}
