//! What a subscriber is told.

use bytes::Bytes;
use trunkline_core::event::Fact;
use trunkline_core::kv::Put;
use trunkline_log::frame::Frame;
use trunkline_run::tail::Encoding;
use trunkline_wire::engram::{Name, push};

use crate::subscriptions::{Came, Source};

/// Writes what has come, in lines that all subscribers of a topic share.
pub(super) fn write(out: &mut Vec<u8>, came: &Came) {
    for shown in &came.frames {
        let lines = shown.encoded(Encoding::Bus, |frame| encode(frame, came.source, &came.topic));
        out.extend_from_slice(&lines);
    }
}

fn encode(frame: &Frame, source: Source, topic: &str) -> Bytes {
    let mut out = String::new();
    for event in frame.events().unwrap_or_default() {
        match (source, event.fact) {
            (Source::Topic, Fact::TopicPublished(published)) => {
                let agent = published.agent.as_deref().map(Name::kept);
                push(&mut out, topic, published.data.get(), agent.as_ref());
            }
            (Source::Puts, Fact::KeyPut(put)) if !put.again => {
                let agent = put.owner.as_deref().map(Name::kept);
                push(&mut out, topic, &written(&put, agent.as_ref()), agent.as_ref());
            }
            _ => {}
        }
    }
    out.into()
}

fn written(put: &Put, agent: Option<&Name>) -> String {
    let mut data = String::from("{\"key\": ");
    Name::kept(&put.key).write(&mut data);
    data.push_str(", \"value\": ");
    data.push_str(put.value.get());
    data.push_str(", \"agent\": ");
    agent.cloned().unwrap_or_else(Name::null).write(&mut data);
    data.push('}');
    data
}
