//! The routes of what agents share.

use super::{CURSOR, PAGE, Route};
use crate::{kv, registry, topics};

const AFTER: (&str, &str) =
    ("after", "Only what comes behind this place, which the stream gave; from now on, if not given.");

/// Keys, topics and the registry.
pub(super) fn routes() -> Vec<Route> {
    let mut all = keys();
    all.extend([
        Route::get("/v1/topics", topics::list, "The topics of which something is retained.")
            .gives::<topics::Topics>(200),
        Route::get(
            "/v1/topics/{topic}/messages",
            topics::messages,
            "The newest messages of a topic, or of all that fit a pattern: in `build.*` the `*` stands for one word, in \
             `build.>` the `>` for one or more.",
        )
        .query(&[
            ("agent", "Only those of this agent."),
            ("since", "Only those since then, in milliseconds since 1970."),
            PAGE,
        ])
        .gives::<topics::Messages>(200),
        Route::post("/v1/topics/{topic}/messages", topics::publish, "Publish on a topic.")
            .takes::<topics::New>()
            .gives::<topics::Published>(200),
        Route::get(
            "/v1/topics/{topic}/events",
            topics::events,
            "A stream of what is published on a topic, or on all that fit a pattern.",
        )
        .query(&[AFTER])
        .streams(),
        Route::post(
            "/v1/topics/{topic}/groups/{group}/take",
            topics::take,
            "Take messages for a member of a group, in which each goes to one member, and to another when that one does not \
             acknowledge it. The group is made if it is not there.",
        )
        .takes::<topics::Take>()
        .gives::<topics::TakenList>(200),
        Route::post("/v1/topics/{topic}/groups/{group}/ack", topics::ack, "Say that messages are done with.")
            .takes::<topics::Ack>()
            .gives::<topics::AckedCount>(200),
        Route::get("/v1/agents/{agent}", registry::get, "An agent of the registry.")
            .gives::<registry::AgentView>(200),
        Route::put(
            "/v1/agents/{agent}",
            registry::register,
            "Say who an agent is, what it can, and for how long it may be counted on.",
        )
        .takes::<registry::Register>()
        .gives::<registry::AgentView>(200),
        Route::delete("/v1/agents/{agent}", registry::forget, "Take an agent out of the registry."),
    ]);
    all
}

fn keys() -> Vec<Route> {
    vec![
        Route::get("/v1/kv", kv::namespaces, "The namespaces that have keys.").gives::<kv::Namespaces>(200),
        Route::get("/v1/kv/{namespace}", kv::list, "The keys of a namespace, in the order in which they first came.")
            .query(&[
                ("prefix", "Only keys that begin like this."),
                ("owner", "Only keys of this owner."),
                PAGE,
                CURSOR,
            ])
            .gives::<kv::Keys>(200),
        Route::delete("/v1/kv/{namespace}", kv::clear, "Delete all keys of a namespace.").gives::<kv::Count>(200),
        Route::get("/v1/kv/{namespace}/keys/{key}", kv::get, "A key and what it holds.").gives::<kv::KeyView>(200),
        Route::put(
            "/v1/kv/{namespace}/keys/{key}",
            kv::put,
            "Write a key: value, owner and deadline are replaced. It is on the disk within 50 ms.",
        )
        .takes::<kv::Put>()
        .gives::<kv::KeyView>(200),
        Route::delete("/v1/kv/{namespace}/keys/{key}", kv::delete, "Delete a key.")
            .query(&[("revision", "Only if the key has this revision.")]),
        Route::post("/v1/kv/{namespace}/restore", kv::restore, "Write many keys, all or none.")
            .takes::<kv::Restore>()
            .gives::<kv::Count>(200),
        Route::post(
            "/v1/kv/{namespace}/transfers",
            kv::transfer,
            "Give the keys of one owner to another. The receipt is on the disk when this answers.",
        )
        .takes::<kv::Transfer>()
        .gives::<kv::Receipt>(200),
        Route::get("/v1/kv/{namespace}/transfers", kv::transfers, "The newest transfers of a namespace.")
            .gives::<kv::Transfers>(200),
        Route::get(
            "/v1/kv/{namespace}/events",
            kv::events,
            "A stream of what happens to the keys of a namespace: `key.put`, `key.deleted`, `key.expired` and so on. Its \
             numbers begin anew when the daemon does.",
        )
        .query(&[AFTER])
        .streams(),
    ]
}
