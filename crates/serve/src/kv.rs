//! Keys with values, by namespace.

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use trunkline_core::event::Fact;
use trunkline_core::kv::{Command, Entry, Expect, Namespace, Revision, Ttl};
use trunkline_core::raw::Raw;
use trunkline_core::refused::Refused;
use trunkline_core::time::Time;
use trunkline_run::CommandError;
use trunkline_run::hub::Hub;

use crate::app::{Shared, limit};
use crate::extract::{Id, Ids, Json, NoBody, Query, Who};
use crate::gate::Pass;
use crate::problem::{Answer, Problem};
use crate::stream::{self, Ending};

/// The namespaces.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Namespaces {
    items: Vec<NamespaceView>,
}

/// A namespace.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Namespace")]
struct NamespaceView {
    /// Its name.
    namespace: String,
    /// How many keys it has.
    keys: usize,
}

/// A key and what it holds.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "KeyEntry")]
pub(crate) struct KeyView {
    /// The key.
    key: String,
    /// Its value.
    value: Raw,
    /// Whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    /// When it goes by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Time>,
    /// Its revision: give it back as `if_revision` to write only if nobody else has since.
    revision: Revision,
}

/// Keys of a namespace, in the order in which they first came.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "KeyPage")]
pub(crate) struct Keys {
    items: Vec<KeyView>,
    /// The cursor of the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// What to write.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PutKey")]
pub(crate) struct Put {
    /// The value: any JSON.
    value: Raw,
    /// Whose it is; nobody's, if not said.
    owner: Option<String>,
    /// How long it lasts, in milliseconds; for ever, if not said.
    ttl_ms: Option<u64>,
    /// Write only if the key has this revision.
    if_revision: Option<Revision>,
    /// Write only if the key is not there.
    #[serde(default)]
    if_absent: bool,
    /// Answer only once it is on the disk; else it is there within 50 ms.
    #[serde(default)]
    durable: bool,
}

/// Values to write, without owner and deadline.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RestoreKeys")]
pub(crate) struct Restore {
    /// By key.
    values: std::collections::BTreeMap<String, Raw>,
}

/// How many.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Count {
    /// How many keys.
    count: usize,
}

/// Whose keys go to whom.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TransferKeys")]
pub(crate) struct Transfer {
    /// Whose they are.
    from: String,
    /// Whose they are to be.
    to: String,
    /// Which; all of theirs, if not said. Those that belong to a third are passed over.
    keys: Option<Vec<String>>,
}

/// The receipt of a transfer.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "KeyTransfer")]
pub(crate) struct Receipt {
    /// Whose they were.
    from: String,
    /// Whose they are.
    to: String,
    /// Which.
    keys: Vec<String>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Time>,
}

/// The transfers of a namespace, the newest first.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "KeyTransfers")]
pub(crate) struct Transfers {
    items: Vec<Receipt>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    prefix: Option<String>,
    owner: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct If {
    revision: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct From {
    after: Option<String>,
}

fn view(key: &str, entry: &Entry) -> KeyView {
    KeyView {
        key: key.to_owned(),
        value: entry.value.clone(),
        owner: entry.owner.as_ref().map(ToString::to_string),
        expires_at: entry.expires,
        revision: entry.revision,
    }
}

pub(crate) async fn namespaces(app: Shared, _: Who) -> Answer<axum::Json<Namespaces>> {
    let mut items = Vec::new();
    for namespace in app.hub.namespaces().await? {
        let keys = app.hub.look_kv(&namespace, |state, now| state.entries.living(now).count()).await?;
        if keys > 0 {
            items.push(NamespaceView { namespace, keys });
        }
    }
    Ok(axum::Json(Namespaces { items }))
}

pub(crate) async fn list(
    app: Shared,
    _: Who,
    Id(namespace): Id<String>,
    Query(which): Query<Which>,
) -> Answer<axum::Json<Keys>> {
    let many = limit(which.limit)?;
    let look = move |state: &Namespace, now: Time| {
        let fits = |key: &str, entry: &Entry| {
            which.prefix.as_ref().is_none_or(|prefix| key.starts_with(&**prefix))
                && which.owner.as_ref().is_none_or(|owner| entry.owner.as_deref() == Some(&**owner))
        };
        let place = which.cursor.as_ref().map_or(Some(0), |cursor| cursor.parse().ok());
        let place: u64 = place.ok_or(())?;
        let mut behind = state.entries.behind(place, now).filter(|(_, key, entry)| fits(key, entry));
        let mut items = Vec::new();
        let mut last = None;
        for (place, key, entry) in behind.by_ref().take(many) {
            items.push(view(key, entry));
            last = Some(place.to_string());
        }
        let next = last.filter(|_| behind.next().is_some());
        Ok(Keys { items, next })
    };
    let bad = |()| Problem::invalid("cursor", "this is not a cursor the daemon gave");
    Ok(axum::Json(app.hub.look_kv(&namespace, look).await?.map_err(bad)?))
}

pub(crate) async fn get(
    app: Shared,
    _: Who,
    Ids(namespace, key): Ids<String, String>,
) -> Answer<axum::Json<KeyView>> {
    Ok(axum::Json(read(&app.hub, &namespace, &key).await?))
}

async fn read(hub: &Hub, namespace: &str, key: &str) -> Result<KeyView, CommandError> {
    let wanted = key.to_owned();
    let look =
        move |state: &Namespace, now: Time| state.entries.get(&wanted, now).map(|entry| view(&wanted, entry));
    let found = hub.look_kv(namespace, look).await?;
    found.ok_or_else(|| Refused::not_found("key", key).into())
}

pub(crate) async fn put(
    app: Shared,
    Who(caller): Who,
    Ids(namespace, key): Ids<String, String>,
    Json { body, .. }: Json<Put>,
) -> Answer<axum::Json<KeyView>> {
    let expect = match (body.if_absent, body.if_revision) {
        (false, None) => Expect::Any,
        (false, Some(revision)) => Expect::Revision(revision),
        (true, None) => Expect::Absent,
        (true, Some(_)) => {
            return Err(Problem::invalid("if_absent", "give if_absent or if_revision, not both"));
        }
    };
    let ttl = body.ttl_ms.map_or(Ttl::Forever, |ms| Ttl::Ms(i64::try_from(ms).unwrap_or(i64::MAX)));
    let owner = body.owner.map(Into::into);
    let command = Command::Put { key: key.as_str().into(), value: body.value, owner, ttl, expect };
    let facts = write(&app.hub, &caller, &namespace, command).await?;
    if body.durable {
        app.hub.settle_kv(&namespace).await?;
    }
    match facts.into_iter().next() {
        Some(Fact::KeyPut(put)) => Ok(axum::Json(KeyView {
            key,
            value: put.value,
            owner: put.owner.map(|owner| owner.to_string()),
            expires_at: put.expires,
            revision: put.revision,
        })),
        _ => Err(CommandError::Stopping.into()),
    }
}

/// Has one command decided, and gives the facts.
async fn write(
    hub: &Hub,
    caller: &trunkline_core::principal::Caller,
    namespace: &str,
    command: Command,
) -> Result<Vec<Fact>, CommandError> {
    let mut answers = hub.kv(caller, namespace, vec![command]).await?;
    let done = answers.pop().unwrap_or(Err(CommandError::Stopping))?;
    Ok(done.events.into_iter().map(|event| event.fact).collect())
}

pub(crate) async fn delete(
    app: Shared,
    Who(caller): Who,
    Ids(namespace, key): Ids<String, String>,
    Query(only): Query<If>,
) -> Answer<StatusCode> {
    let expect = only.revision.map_or(Expect::Any, |revision| Expect::Revision(Revision(revision)));
    let facts = write(&app.hub, &caller, &namespace, Command::Delete(key.as_str().into(), expect)).await?;
    if facts.is_empty() { Err(Refused::not_found("key", key).into()) } else { Ok(StatusCode::NO_CONTENT) }
}

pub(crate) async fn clear(
    app: Shared,
    Who(caller): Who,
    Id(namespace): Id<String>,
    _: NoBody,
) -> Answer<axum::Json<Count>> {
    let facts = write(&app.hub, &caller, &namespace, Command::Clear).await?;
    let count = facts.iter().map(|fact| match fact {
        Fact::KeysCleared(cleared) => usize::try_from(cleared.count).unwrap_or(usize::MAX),
        _ => 0,
    });
    Ok(axum::Json(Count { count: count.sum() }))
}

pub(crate) async fn restore(
    app: Shared,
    Who(caller): Who,
    Id(namespace): Id<String>,
    Json { body, .. }: Json<Restore>,
) -> Answer<axum::Json<Count>> {
    let count = body.values.len();
    let values = body.values.into_iter().map(|(key, value)| (key.into(), value)).collect();
    write(&app.hub, &caller, &namespace, Command::Restore(values)).await?;
    Ok(axum::Json(Count { count }))
}

pub(crate) async fn transfer(
    app: Shared,
    Who(caller): Who,
    Id(namespace): Id<String>,
    Json { body: Transfer { from, to, keys }, .. }: Json<Transfer>,
) -> Answer<axum::Json<Receipt>> {
    let keys = keys.map(|keys| keys.into_iter().map(Into::into).collect());
    let command = Command::Transfer { from: from.as_str().into(), to: to.as_str().into(), keys };
    let facts = write(&app.hub, &caller, &namespace, command).await?;
    // The receipt is what is relied upon later.
    app.hub.settle_kv(&namespace).await?;
    let keys = facts.into_iter().flat_map(|fact| match fact {
        Fact::KeysTransferred(done) => done.keys,
        _ => Vec::new(),
    });
    Ok(axum::Json(Receipt {
        from,
        to,
        keys: keys.map(|key| key.to_string()).collect(),
        at: Some(app.hub.now()),
    }))
}

pub(crate) async fn transfers(
    app: Shared,
    _: Who,
    Id(namespace): Id<String>,
) -> Answer<axum::Json<Transfers>> {
    let look = |state: &Namespace, _: Time| {
        let receipts = state.transfers.iter().rev().map(|(done, at)| Receipt {
            from: done.from.to_string(),
            to: done.to.to_string(),
            keys: done.keys.iter().map(ToString::to_string).collect(),
            at: Some(*at),
        });
        Transfers { items: receipts.collect() }
    };
    Ok(axum::Json(app.hub.look_kv(&namespace, look).await?))
}

pub(crate) async fn events(
    app: Shared,
    _: Who,
    pass: Pass,
    headers: HeaderMap,
    Id(namespace): Id<String>,
    Query(from): Query<From>,
) -> Answer<Response> {
    let after = match from.after {
        None if !headers.contains_key("last-event-id") => trunkline_core::id::Seq(u64::MAX),
        after => crate::events::cursor(&headers, after.as_deref())?,
    };
    let follow = app.hub.follow_kv(&namespace, after).await?;
    Ok(stream::answer(crate::events::lines(follow, Ending::new(&app.hub, pass), None)))
}
