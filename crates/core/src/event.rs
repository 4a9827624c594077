//! The envelope of an event, and the closed list of facts with their stable tags.
//!
//! On disk and on the wire an event is one line of JSON:
//!
//! `{"type":"turn.started","seq":7,"at":1732182000000,"by":"owner","turn":6,"data":{…}}`
//!
//! `type` stands first, so that a reader can tell the kind of a line without parsing it. `turn` is there when the event
//! belongs to a turn, `key` when an idempotency key came with the command that caused it. A reader that does not know a
//! type keeps it as [`Fact::Unknown`]; facts are never rewritten.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::id::{Seq, TurnId};
use crate::principal::Principal;
use crate::raw::Raw;
use crate::time::Time;
use crate::{
    access, agent, audit, blob, grant, group, handoff, kv, mcp, message, name, operator, outside, presence,
    profile, registry, request, session, setting, spending, tell, topic, turn,
};

/// A fact with its place in a log.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its number in the log.
    pub seq: Seq,
    /// When it was appended. Never earlier than the event before it.
    pub at: Time,
    /// Who caused it.
    pub by: Principal,
    /// The turn it belongs to.
    pub turn: Option<TurnId>,
    /// The idempotency key of the command whose first fact this is.
    pub key: Option<Key>,
    /// What happened.
    pub fact: Fact,
}

/// An idempotency key as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Key {
    /// The key, as the caller chose it. It counts for that caller and log only.
    pub key: String,
    /// Digest of the command's body: another body with the same key is refused.
    pub digest: String,
    /// How many facts the command caused, this one included.
    pub count: u64,
}

/// Lines whose type starts like this are the daemon's own memory of a driver. Readers get them without `data`.
pub const HIDDEN_PREFIX: &str = "driver.";

impl Event {
    /// The line of JSON, without a line end.
    ///
    /// # Panics
    /// Never: every fact has a JSON form.
    #[must_use]
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).expect("every fact has a JSON form")
    }

    /// Appends the same line.
    ///
    /// # Panics
    /// Never: every fact has a JSON form.
    pub fn write_line(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(out, self).expect("every fact has a JSON form");
    }

    /// Reads a line.
    ///
    /// # Errors
    /// When the line is not an event, or a known type has data of another shape.
    pub fn from_line(line: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(line)
    }

    /// Whether readers outside the daemon get this event without its data.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        self.fact.tag().starts_with(HIDDEN_PREFIX)
    }

    /// The event as readers outside the daemon see it.
    #[must_use]
    pub fn shown(mut self) -> Self {
        if self.is_hidden() {
            let tag = self.fact.tag().to_owned();
            self.fact = Fact::Unknown { tag, data: Raw::parse("null").expect("null is JSON") };
        }
        self
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", self.fact.tag())?;
        map.serialize_entry("seq", &self.seq)?;
        map.serialize_entry("at", &self.at)?;
        map.serialize_entry("by", &self.by)?;
        if let Some(turn) = &self.turn {
            map.serialize_entry("turn", turn)?;
        }
        if let Some(key) = &self.key {
            map.serialize_entry("key", key)?;
        }
        self.fact.serialize_data(&mut map)?;
        map.end()
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type", borrow)]
    tag: Cow<'a, str>,
    seq: Seq,
    at: Time,
    by: Principal,
    turn: Option<TurnId>,
    key: Option<Key>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let envelope = Envelope::deserialize(deserializer)?;
        let data = envelope.data.map_or("null", RawValue::get);
        let fact = Fact::decode(&envelope.tag, data).map_err(serde::de::Error::custom)?;
        let Envelope { seq, at, by, turn, key, .. } = envelope;
        Ok(Self { seq, at, by, turn, key, fact })
    }
}

macro_rules! facts {
    ($($(#[$doc:meta])* $variant:ident($data:ty) = $tag:literal,)*) => {
        /// Something that happened.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Fact {
            $($(#[$doc])* $variant($data),)*
            /// A fact of a type this version does not know, or does not show.
            Unknown {
                /// Its type.
                tag: String,
                /// Its data as it was written.
                data: Raw,
            },
        }

        impl Fact {
            /// The stable name of the type.
            #[must_use]
            pub fn tag(&self) -> &str {
                match self {
                    $(Self::$variant(_) => $tag,)*
                    Self::Unknown { tag, .. } => tag,
                }
            }

            /// The stable names of all types.
            pub const TAGS: &[&str] = &[$($tag),*];

            fn decode(tag: &str, data: &str) -> Result<Self, serde_json::Error> {
                match tag {
                    // A hidden fact that was shown has lost its data: it is no longer that fact.
                    hidden if data == "null" => Ok(Self::Unknown { tag: hidden.to_owned(), data: Raw::parse(data)? }),
                    $($tag => serde_json::from_str(data).map(Self::$variant),)*
                    unknown => Ok(Self::Unknown { tag: unknown.to_owned(), data: Raw::parse(data)? }),
                }
            }

            fn serialize_data<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
                match self {
                    $(Self::$variant(data) => map.serialize_entry("data", data),)*
                    Self::Unknown { data, .. } => map.serialize_entry("data", data),
                }
            }

            fn schemas(generator: &mut SchemaGenerator) -> Vec<(&'static str, Schema)> {
                vec![$(($tag, generator.subschema_for::<$data>())),*]
            }
        }

        $(impl From<$data> for Fact {
            fn from(data: $data) -> Self {
                Self::$variant(data)
            }
        })*
    };
}

facts! {
    /// A session exists from now on.
    SessionCreated(session::Created) = "session.created",
    /// Its title or metadata changed.
    SessionUpdated(session::Updated) = "session.updated",
    /// All facts of the export it was made from are here.
    SessionImported(session::Imported) = "session.imported",
    /// It takes no more work.
    SessionClosed(session::Closed) = "session.closed",
    /// It is gone; the id is never used again.
    SessionDeleted(session::Deleted) = "session.deleted",
    /// An agent that runs elsewhere said what it does, or is back.
    SessionReported(outside::Reported) = "session.reported",
    /// Nobody has heard of it for two minutes.
    SessionUnseen(outside::Unseen) = "session.unseen",
    /// Somebody asked for a turn.
    TurnQueued(turn::Queued) = "turn.queued",
    /// Somebody took a queued prompt back.
    TurnUnqueued(turn::Unqueued) = "turn.unqueued",
    /// A node took the turn on.
    TurnClaimed(turn::Claimed) = "turn.claimed",
    /// The turn runs.
    TurnStarted(turn::Started) = "turn.started",
    /// The agent said or did something.
    TurnUpdate(turn::Update) = "turn.update",
    /// Something about the turn that is not the agent's: a bad line, a retry.
    TurnNote(turn::Note) = "turn.note",
    /// The turn was asked to stop.
    TurnStopping(turn::Stopping) = "turn.stopping",
    /// The turn is over.
    TurnEnded(turn::Ended) = "turn.ended",
    /// A checkpoint of it is kept in a handoff.
    TurnCheckpointed(handoff::TurnCheckpointed) = "turn.checkpointed",
    /// A person has to decide or say something.
    RequestOpened(request::Opened) = "request.opened",
    /// What the rules say of a request.
    RequestJudged(grant::Judged) = "request.judged",
    /// Its deadline passed and it became urgent instead of closing.
    RequestEscalated(request::Escalated) = "request.escalated",
    /// Nobody is asked any more, but it can still be answered.
    RequestDismissed(request::Dismissed) = "request.dismissed",
    /// It has its one outcome.
    RequestClosed(request::ClosedFact) = "request.closed",
    /// Something lies in the session's inbox.
    MessageQueued(message::Queued) = "message.queued",
    /// The agent fetched it, or a turn has started with it.
    MessageDelivered(message::Delivered) = "message.delivered",
    /// The agent is done with it.
    MessageAcked(message::Acked) = "message.acked",
    /// A turn asks what it says.
    MessageWoke(tell::Woke) = "message.woke",
    /// It will not reach the agent.
    MessageDropped(tell::Dropped) = "message.dropped",
    /// A guard held one back.
    MessageHeld(tell::Held) = "message.held",
    /// A standing permission was given.
    GrantAdded(grant::Added) = "grant.added",
    /// A standing permission was taken back.
    GrantRevoked(grant::Revoked) = "grant.revoked",
    /// Somebody chose what the agent is to be set to.
    SettingChosen(setting::Chosen) = "setting.chosen",
    /// The agent has answered that.
    SettingSettled(setting::Settled) = "setting.settled",
    /// A process of the agent runs.
    AgentStarted(agent::Started) = "agent.started",
    /// It is gone.
    AgentExited(agent::Exited) = "agent.exited",
    /// A gauge of the agent changed: commands, mode, options, usage.
    AgentStatus(agent::Status) = "agent.status",
    /// A command runs in a terminal for the agent.
    TerminalStarted(agent::TerminalStarted) = "terminal.started",
    /// It wrote something.
    TerminalOutput(agent::TerminalOutput) = "terminal.output",
    /// It ended.
    TerminalExited(agent::TerminalExited) = "terminal.exited",
    /// The daemon read a file for the agent.
    FileRead(agent::FileRead) = "file.read",
    /// The daemon wrote a file for the agent.
    FileWritten(agent::FileWritten) = "file.written",
    /// What a driver needs to go on later. Never shown.
    DriverMemo(agent::Memo) = "driver.memo",
    /// A token was made.
    TokenCreated(access::Created) = "token.created",
    /// A token no longer opens anything.
    TokenRevoked(access::Revoked) = "token.revoked",
    /// An operator action was begun.
    OperatorStarted(operator::Started) = "operator.started",
    /// An operator action is over.
    OperatorRan(operator::Ran) = "operator.ran",
    /// A profile of a model is like this from now on.
    ProfilePut(profile::ProfilePut) = "profile.put",
    /// A profile of a model is gone.
    ProfileDeleted(profile::ProfileDeleted) = "profile.deleted",
    /// An MCP server is like this from now on.
    McpPut(mcp::McpPut) = "mcp.put",
    /// An MCP server is gone.
    McpDeleted(mcp::McpDeleted) = "mcp.deleted",
    /// A server that a project brings may run.
    McpTrusted(mcp::McpTrusted) = "mcp.trusted",
    /// It may run no longer.
    McpDistrusted(mcp::McpDistrusted) = "mcp.distrusted",
    /// What a profile, or all of them, have used today.
    SpendingCounted(spending::Counted) = "spending.counted",
    /// The audit tells of something.
    AuditRecorded(audit::Recorded) = "audit.recorded",
    /// A handoff exists from now on.
    HandoffSaved(handoff::Saved) = "handoff.saved",
    /// Some of it is another now.
    HandoffUpdated(handoff::Updated) = "handoff.updated",
    /// Two agents may write to each other about it.
    LaneOpened(handoff::LaneOpened) = "lane.opened",
    /// One of them wrote something.
    LaneSaid(handoff::LaneSaid) = "lane.said",
    /// Nothing more is written there.
    LaneClosed(handoff::LaneClosed) = "lane.closed",
    /// A checkpoint of the work was made.
    CheckpointCreated(handoff::CheckpointCreated) = "checkpoint.created",
    /// A name or creation key belongs to a session.
    NameClaimed(name::Claimed) = "name.claimed",
    /// A piece of something large.
    BlobChunk(blob::Chunk) = "blob.chunk",
    /// A key has a value.
    KeyPut(kv::Put) = "key.put",
    /// A key was deleted.
    KeyDeleted(kv::Deleted) = "key.deleted",
    /// A key went by itself, at its deadline.
    KeyExpired(kv::Expired) = "key.expired",
    /// All keys of a namespace were deleted.
    KeysCleared(kv::Cleared) = "keys.cleared",
    /// Keys went over to another owner.
    KeysTransferred(kv::Transferred) = "keys.transferred",
    /// What follows is all that there is of a namespace.
    KeysReset(kv::Reset) = "keys.reset",
    /// A topic is published on for the first time.
    TopicOpened(topic::Opened) = "topic.opened",
    /// Something was published on a topic.
    TopicPublished(topic::Published) = "topic.published",
    /// A consumer group exists from now on.
    GroupOpened(group::Opened) = "group.opened",
    /// A member of a group took messages.
    GroupTook(group::Took) = "group.took",
    /// Messages of a group are done with.
    GroupAcked(group::Acked) = "group.acked",
    /// What follows is all that is out of a group.
    GroupReset(group::Reset) = "group.reset",
    /// An agent says who it is and what it can.
    AgentRegistered(registry::Registered) = "agent.registered",
    /// An agent did something.
    AgentSeen(registry::Seen) = "agent.seen",
    /// An agent has not renewed its lease.
    AgentLapsed(registry::Lapsed) = "agent.lapsed",
    /// An agent is no longer in the registry.
    AgentForgotten(registry::Forgotten) = "agent.forgotten",
    /// What follows is all that there is of the registry.
    AgentsReset(registry::Reset) = "agents.reset",
    /// A client attached.
    PresenceJoined(presence::Joined) = "presence.joined",
    /// It left.
    PresenceLeft(presence::Left) = "presence.left",
    /// The agent of a session that runs elsewhere was there.
    PresenceSeen(presence::Seen) = "presence.seen",
}

impl JsonSchema for Event {
    fn schema_name() -> Cow<'static, str> {
        "Event".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let seq = generator.subschema_for::<Seq>();
        let at = generator.subschema_for::<Time>();
        let by = generator.subschema_for::<Principal>();
        let turn = generator.subschema_for::<TurnId>();
        let key = generator.subschema_for::<Key>();
        let kinds: Vec<Schema> = Fact::schemas(generator)
            .into_iter()
            .map(|(tag, data)| {
                json_schema!({
                    "type": "object",
                    "title": tag,
                    "required": ["type", "seq", "at", "by", "data"],
                    "properties": {
                        "type": { "const": tag }, "seq": seq, "at": at, "by": by, "turn": turn, "key": key, "data": data,
                    },
                })
            })
            .collect();
        json_schema!({
            "description": "A fact with its place in a log. Readers must pass over types they do not know.",
            "oneOf": kinds,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(fact: impl Into<Fact>) -> Event {
        Event { seq: Seq(3), at: Time(5), by: Principal::owner(), turn: None, key: None, fact: fact.into() }
    }

    #[test]
    fn a_line_starts_with_its_type_and_reads_back() {
        let update = Raw::parse(r#"{"sessionUpdate":"agent_message_chunk","n":1.0e3}"#).unwrap();
        let event = event(turn::Update::of(update));
        let line = event.to_line();
        assert_eq!(
            line,
            r#"{"type":"turn.update","seq":3,"at":5,"by":"owner","data":{"v":"acp/1","update":{"sessionUpdate":"agent_message_chunk","n":1.0e3}}}"#
        );
        assert_eq!(Event::from_line(&line).unwrap(), event);
    }

    #[test]
    fn an_unknown_type_is_kept_as_it_came() {
        let line = r#"{"type":"moon.landed","seq":1,"at":2,"by":"owner","data":{"crew": 3}}"#;
        let event = Event::from_line(line).unwrap();
        assert_eq!(event.fact.tag(), "moon.landed");
        assert_eq!(event.to_line(), line);
    }

    #[test]
    fn a_driver_memo_is_shown_without_its_data() {
        let event = event(agent::Memo { raw: Raw::parse(r#"{"secret":1}"#).unwrap() });
        let line = event.shown().to_line();
        assert_eq!(line, r#"{"type":"driver.memo","seq":3,"at":5,"by":"owner","data":null}"#);
        assert!(Event::from_line(&line).is_ok());
    }

    #[test]
    fn bad_lines_are_errors() {
        for line in ["", "{}", "[]", r#"{"type":"turn.ended","seq":1,"at":1,"by":"x","data":{"usage":3}}"#] {
            assert!(Event::from_line(line).is_err(), "{line}");
        }
    }

    #[test]
    fn tags_are_unique() {
        let unique: std::collections::BTreeSet<_> = Fact::TAGS.iter().collect();
        assert_eq!(unique.len(), Fact::TAGS.len());
    }
}
