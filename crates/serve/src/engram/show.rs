//! What there is, as the original shows it.

use trunkline_core::kv::{Entry, Namespace};
use trunkline_core::registry;
use trunkline_core::time::Time;
use trunkline_run::topics::{Filter, Signal, Topics};
use trunkline_wire::engram::{Limit, Name, Op, Reply, ascii};

use crate::moment::zoned;

/// Answers a request that reads a namespace.
pub(super) fn namespace(reply: Reply, op: &Op, state: &Namespace, now: Time) -> Reply {
    let living = || state.entries.living(now);
    match op {
        Op::Get { key, .. } => {
            let value = state.entries.get(key.as_str(), now).map_or("null", |entry| entry.value.get());
            reply.json("value", value)
        }
        Op::Keys { agent, .. } => {
            let is_theirs = |entry: &Entry| {
                agent.as_ref().is_none_or(|agent| entry.owner.as_deref() == Some(agent.as_str()))
            };
            let keys = living().filter(|(_, entry)| is_theirs(entry));
            reply.list("keys", keys, |out, (key, _)| Name::kept(key).write(out))
        }
        Op::Transfers { .. } => reply.list("transfers", &state.transfers, |out, (done, at)| {
            let name = |name: &str| {
                let mut shown = String::new();
                Name::kept(name).write(&mut shown);
                shown
            };
            let keys: Vec<_> = done.keys.iter().map(|key| name(key)).collect();
            *out += &format!(
                "{{\"from_agent\": {}, \"to_agent\": {}, \"keys\": [{}], \"timestamp\": \"{}\"}}",
                name(&done.from),
                name(&done.to),
                keys.join(", "),
                zoned(*at)
            );
        }),
        _ => reply.written("data", |out| {
            out.push('{');
            for (n, (key, entry)) in living().enumerate() {
                out.push_str(if n == 0 { "" } else { ", " });
                Name::kept(key).write_member(out);
                out.push_str(": ");
                ascii(out, entry.value.get());
            }
            out.push('}');
        }),
    }
}

/// The signals that fit, the oldest first. `since` is compared as a text, which is what the original does.
pub(super) fn signals(
    reply: Reply,
    topics: &Topics,
    filter: &Filter,
    limit: Limit,
    since: Option<&str>,
) -> Reply {
    let newest = match limit {
        Limit::Newest(count) if since.is_none() => count,
        Limit::Newest(_) | Limit::AllBut(_) => usize::MAX,
    };
    let mut signals = topics.signals(filter, newest);
    signals.retain(|signal| since.is_none_or(|since| *zoned(signal.at) >= *since));
    let skip = match limit {
        Limit::Newest(count) => signals.len().saturating_sub(count),
        Limit::AllBut(count) => count,
    };
    reply.list("signals", signals.iter().skip(skip), signal)
}

fn signal(out: &mut String, signal: &Signal) {
    let published = &signal.published;
    *out += &format!("{{\"id\": {}, \"topic\": ", published.id);
    Name::kept(&published.topic).write(out);
    out.push_str(", \"data\": ");
    ascii(out, published.data.get());
    out.push_str(", \"agent_id\": ");
    match &published.agent {
        Some(agent) => Name::kept(agent).write(out),
        None => out.push_str("null"),
    }
    *out += &format!(", \"timestamp\": \"{}\"}}", zoned(signal.at));
}

/// An agent of the registry.
pub(super) fn agent(out: &mut String, entry: &registry::Entry) {
    out.push_str("{\"agent_id\": ");
    Name::kept(&entry.agent).write(out);
    out.push_str(", \"metadata\": ");
    ascii(out, entry.metadata.as_ref().map_or("{}", |metadata| metadata.get()));
    *out += &format!(
        ", \"first_seen\": \"{}\", \"last_seen\": \"{}\"}}",
        zoned(entry.first_seen),
        zoned(entry.last_seen)
    );
}
