//! Web Push: browsers that were let in are told of requests also while no page of theirs is open.
//!
//! What is told goes through the service of the browser's maker, and only the browser can read it. It carries a link that answers
//! where the device's token may answer. A device is told for as long as its token counts; one that the service does not know any
//! more is forgotten.

mod seal;
mod vapid;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use trunkline_core::answer_link::choices;
use trunkline_core::principal::{Caller, Principal, Scope};
use trunkline_core::refused::Refused;
use trunkline_core::request::Priority;
use trunkline_core::time::Time;
use trunkline_core::view::RequestView;
use trunkline_wire::model::{HttpRequest, Secret};

use self::seal::{AUTH_BYTES, KEY_BYTES, seal};
use self::vapid::Vapid;
use super::link::Links;
use super::short;
use crate::cell::CommandError;
use crate::http::Http;
use crate::hub::Hub;
use crate::secrets::{Secrets, SecretsError};

/// How many devices may be told.
pub const MAX_DEVICES: usize = 50;
/// How long an address of a service may be.
const MAX_ENDPOINT: usize = 2_000;
/// How many notifications wait to be sent. More are lost, and the log says so: the inbox has them.
const WAITING: usize = 100;
/// How long a service may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to rest after each try that has failed for a while only.
const RESTS: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(30)];
/// How long a service keeps a notification for a device that is off, in seconds.
const KEEP_S: u32 = 24 * 3_600;
/// What the names of devices in the store of secrets begin with.
const PREFIX: &str = "push.device.";

/// Tells devices. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Push(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    secrets: Secrets,
    links: Arc<Links>,
    http: Http,
    vapid: OnceLock<Vapid>,
    /// Who a service's owner asks about what is sent.
    subject: String,
    /// What became of the newest notification of each device, since the daemon started.
    last: Mutex<BTreeMap<String, Last>>,
}

/// A browser's subscription, as its `PushSubscription.toJSON()` gives it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "PushSubscription")]
pub struct Subscription {
    /// Where its service takes messages for it.
    #[schemars(extend("writeOnly" = true))]
    pub endpoint: String,
    /// What seals them.
    #[schemars(extend("writeOnly" = true))]
    pub keys: Keys,
}

/// What seals messages for a browser.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "PushKeys")]
pub struct Keys {
    /// Its public key, as base64url.
    pub p256dh: String,
    /// Its secret, as base64url.
    pub auth: String,
}

/// A device that is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PushDevice")]
pub struct Device {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub by: Principal,
    /// The host of its service.
    pub service: String,
    /// Since when it is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// When it was last told, and whether its service took it. Not known of an earlier life of the daemon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Last>,
}

/// The newest notification of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PushLast")]
pub struct Last {
    /// When it was sent.
    pub at: Time,
    /// Whether its service took it.
    pub taken: bool,
}

/// What became of a notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PushSent")]
pub struct Sent {
    /// Whether its service took it.
    pub taken: bool,
    /// What the service said, or why it was not reached.
    pub detail: String,
}

/// A device, as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    endpoint: String,
    p256dh: String,
    auth: String,
    by: Principal,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Time>,
}

impl Push {
    /// Devices and the key lie in this store. `subject` is an address that says who sends.
    #[must_use]
    pub fn new(secrets: Secrets, links: Arc<Links>, http: Http, subject: &str) -> Self {
        let (vapid, last) = (OnceLock::new(), Mutex::default());
        Self(Arc::new(Inner { secrets, links, http, vapid, subject: subject.to_owned(), last }))
    }

    /// The key that browsers subscribe with.
    ///
    /// # Errors
    /// When it cannot be made or kept.
    pub fn key(&self) -> Result<String, SecretsError> {
        Ok(self.vapid()?.public())
    }

    /// The devices that are told.
    #[must_use]
    pub fn devices(&self) -> Vec<Device> {
        let last = self.last();
        self.kept().iter().map(|(id, kept)| kept.device(id, last.get(id).copied())).collect()
    }

    /// Tells a device from now on. The same one again changes whose it is.
    ///
    /// # Errors
    /// `Invalid` for what is no subscription; when there are too many, or it cannot be kept.
    pub fn add(&self, by: &Principal, subscription: Subscription, now: Time) -> Result<Device, NotKept> {
        let Subscription { endpoint, keys: Keys { p256dh, auth } } = subscription;
        let is_local = |rest: &str| rest.starts_with("127.0.0.1:") || rest.starts_with("[::1]:");
        let fits = endpoint.len() <= MAX_ENDPOINT
            && !endpoint.chars().any(|c| c.is_whitespace() || c.is_control())
            && (endpoint.starts_with("https://") || endpoint.strip_prefix("http://").is_some_and(is_local));
        if !fits || origin(&endpoint).is_none() {
            return Err(Refused::invalid("endpoint", "must be an https:// address of a push service").into());
        }
        if bytes::<KEY_BYTES>(&p256dh).is_none() {
            return Err(Refused::invalid("keys.p256dh", "must be 65 bytes as base64url").into());
        }
        if bytes::<AUTH_BYTES>(&auth).is_none() {
            return Err(Refused::invalid("keys.auth", "must be 16 bytes as base64url").into());
        }
        let id = id(&endpoint);
        let known = self.kept();
        if known.len() >= MAX_DEVICES && known.iter().all(|(other, _)| *other != id) {
            return Err(Refused::TooMany { what: "devices", limit: MAX_DEVICES }.into());
        }
        let kept = Kept { endpoint, p256dh, auth, by: by.clone(), since: Some(now) };
        let text = serde_json::to_string(&kept).expect("texts have a JSON form");
        self.0.secrets.set([(format!("{PREFIX}{id}"), Some(Secret::new(text)))])?;
        Ok(kept.device(&id, None))
    }

    /// Tells a device no more; whether it was told.
    ///
    /// # Errors
    /// When that cannot be kept.
    pub fn remove(&self, id: &str) -> Result<bool, SecretsError> {
        let name = format!("{PREFIX}{id}");
        let was = self.0.secrets.get(&name).is_some();
        self.0.secrets.set([(name, None)])?;
        self.last().remove(id);
        Ok(was)
    }

    /// Sends a device something to look at, now, and says what its service made of it. `None` if there is no such device.
    ///
    /// # Errors
    /// When the key cannot be made or kept.
    pub async fn test(&self, hub: &Hub, id: &str) -> Result<Option<Sent>, SecretsError> {
        let Some((_, device)) = self.kept().into_iter().find(|(known, _)| known == id) else {
            return Ok(None);
        };
        let message = json!({ "title": "Trunkline", "body": "This is what one looks like.", "path": "/", "tag": "test" });
        let sent = match self.send(hub, &device, message.to_string().as_bytes(), "normal").await? {
            Ok(status) => Sent { taken: status < 300, detail: format!("the service answered {status}") },
            Err(why) => Sent { taken: false, detail: why },
        };
        self.note(hub, id, sent.taken);
        Ok(Some(sent))
    }

    /// Takes requests to tell, and tells them one after the other until the hub stops.
    pub(super) fn start(self, hub: &Hub) -> mpsc::Sender<RequestView> {
        let (waiting, mut requests) = mpsc::channel::<RequestView>(WAITING);
        let (stop, hub) = (hub.stopping(), hub.clone());
        let tasks = hub.tasks().clone();
        tasks.spawn(async move {
            let tell = async {
                while let Some(request) = requests.recv().await {
                    if let Err(error) = self.tell(&hub, &request).await {
                        tracing::warn!(%error, "devices are not told of a request");
                    }
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tell => {}
            }
        });
        waiting
    }

    async fn tell(&self, hub: &Hub, request: &RequestView) -> Result<(), CommandError> {
        let devices = self.kept();
        if devices.is_empty() {
            return Ok(());
        }
        let tokens = hub.tokens().await?;
        let scopes: BTreeMap<_, _> =
            tokens.iter().map(|token| (Principal::token(&token.name), token.scope)).collect();
        for (id, device) in devices {
            let scope = if device.by == Principal::owner() {
                Some(Scope::Admin)
            } else {
                scopes.get(&device.by).copied()
            };
            let Some(scope) = scope else {
                tracing::info!(device = id, "a device is told no more: its token does not count any more");
                self.forget(&id);
                continue;
            };
            let answers = Caller::new(device.by.clone(), scope).may_operate().is_ok();
            self.tell_one(hub, &id, &device, request, answers).await;
        }
        Ok(())
    }

    async fn tell_one(&self, hub: &Hub, id: &str, device: &Kept, request: &RequestView, answers: bool) {
        let told = device.by.as_str().trim_start_matches("token/");
        let answer = answers.then(|| self.0.links.address("", request, told)).transpose();
        let answer = answer.unwrap_or_else(|error| {
            tracing::error!(%error, "a notification goes without a link that answers");
            None
        });
        let (message, urgency) =
            (message(request, answer.flatten().as_deref()).to_string(), urgency(request.priority));
        for rest in RESTS.iter().map(Some).chain([None]) {
            let why = match self.send(hub, device, message.as_bytes(), urgency).await {
                Ok(Ok(status)) if status < 300 => return self.note(hub, id, true),
                // RFC 8030, section 7.3: the subscription is over.
                Ok(Ok(404 | 410)) => {
                    tracing::info!(device = id, "a device is told no more: its browser has unsubscribed");
                    return self.forget(id);
                }
                Ok(Ok(status)) if status != 429 && status < 500 => {
                    tracing::warn!(device = id, status, "a push service refuses a notification");
                    return self.note(hub, id, false);
                }
                Ok(Ok(status)) => format!("the service answered {status}"),
                Ok(Err(why)) => why,
                Err(error) => return tracing::error!(%error, "nothing can be sent to push services"),
            };
            match rest {
                Some(rest) => tokio::time::sleep(*rest).await,
                None => {
                    tracing::warn!(device = id, why, "a notification is lost");
                    self.note(hub, id, false);
                }
            }
        }
    }

    /// The status that the service answers with, or why it was not reached.
    async fn send(
        &self,
        hub: &Hub,
        device: &Kept,
        message: &[u8],
        urgency: &str,
    ) -> Result<Result<u16, String>, SecretsError> {
        let keys = bytes(&device.p256dh).zip(bytes(&device.auth));
        let sealed = keys.and_then(|(key, auth)| seal(&key, &auth, message));
        let Some(body) = sealed else { return Ok(Err("its keys seal nothing".to_owned())) };
        let origin = origin(&device.endpoint).unwrap_or_default();
        let Some(authorization) = self.vapid()?.authorization(origin, &self.0.subject, hub.now()) else {
            return Err(SecretsError::NoRandomness);
        };
        let header = |name: &str, value: &str| (name.to_owned(), Secret::new(value));
        let request = HttpRequest {
            url: device.endpoint.clone(),
            headers: vec![
                header("authorization", &authorization),
                header("content-encoding", "aes128gcm"),
                header("content-type", "application/octet-stream"),
                header("ttl", &KEEP_S.to_string()),
                header("urgency", urgency),
            ],
            body,
        };
        let answered = self.0.http.status(request, PATIENCE).await;
        Ok(answered.map_err(|failure| failure.message.replace(&device.endpoint, "its service")))
    }

    /// Keeps what became of a notification, for the list.
    fn note(&self, hub: &Hub, id: &str, taken: bool) {
        // One that was taken off the list meanwhile leaves nothing behind.
        if self.0.secrets.get(&format!("{PREFIX}{id}")).is_some() {
            self.last().insert(id.to_owned(), Last { at: hub.now(), taken });
        }
    }

    fn last(&self) -> MutexGuard<'_, BTreeMap<String, Last>> {
        self.0.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, id: &str) {
        if let Err(error) = self.remove(id) {
            tracing::error!(%error, device = id, "a device that is told no more is still listed");
        }
    }

    fn vapid(&self) -> Result<&Vapid, SecretsError> {
        if let Some(vapid) = self.0.vapid.get() {
            return Ok(vapid);
        }
        let made = Vapid::of(&self.0.secrets)?;
        Ok(self.0.vapid.get_or_init(|| made))
    }

    fn kept(&self) -> Vec<(String, Kept)> {
        let all = self.0.secrets.named(PREFIX);
        let read = |(name, secret): (String, Secret)| {
            let id = name.strip_prefix(PREFIX)?.to_owned();
            Some((id, serde_json::from_str(secret.reveal()).ok()?))
        };
        all.into_iter().filter_map(read).collect()
    }
}

/// Why a device is not told.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    /// It is no subscription, or one too many.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The store of secrets cannot be written.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
}

impl Kept {
    fn device(&self, id: &str, last: Option<Last>) -> Device {
        let service = origin(&self.endpoint).and_then(|origin| origin.split_once("://"));
        let service = service.map_or_else(String::new, |(_, host)| host.to_owned());
        Device { id: id.to_owned(), by: self.by.clone(), service, since: self.since, last }
    }
}

/// What a device is told.
fn message(request: &RequestView, answer: Option<&str>) -> serde_json::Value {
    let title = format!("{} asks", short(&request.agent, 60));
    let asked = short(&request.title, 200);
    let body = match short(&request.question, 500) {
        question if question.is_empty() || question == asked => asked,
        question => format!("{asked}\n{question}"),
    };
    let mut told =
        json!({ "title": title, "body": body, "path": format!("/r/{}", request.id), "tag": request.id });
    if let Some(answer) = answer {
        // A browser shows two buttons.
        let option = |choice: &trunkline_core::request::Choice| json!({ "id": choice.id, "name": short(&choice.name, 40) });
        told["answer"] = json!({ "path": answer, "options": choices(request).into_iter().take(2).map(option).collect::<Vec<_>>() });
    }
    told
}

const fn urgency(priority: Priority) -> &'static str {
    match priority {
        Priority::Low => "low",
        Priority::Normal => "normal",
        Priority::High | Priority::Urgent => "high",
    }
}

/// The scheme and the host of an address.
fn origin(url: &str) -> Option<&str> {
    let start = url.find("://")? + 3;
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    (end > start).then(|| &url[..end])
}

fn id(endpoint: &str) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(endpoint)[..12])
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::super::tests::request;
    use super::*;

    fn push() -> Push {
        let secrets = Secrets::default();
        let links = Arc::new(Links::new(secrets.clone()));
        Push::new(secrets, links, Http::default(), "https://tl.example")
    }

    fn subscription(n: usize) -> Subscription {
        let browser = seal::tests::Browser::new();
        let keys =
            Keys { p256dh: URL_SAFE_NO_PAD.encode(browser.key), auth: URL_SAFE_NO_PAD.encode(browser.auth) };
        Subscription { endpoint: format!("https://push.example/send/{n}"), keys }
    }

    #[test]
    fn devices_are_listed_without_where_and_how_they_are_told() {
        let push = push();
        let device = push.add(&Principal::owner(), subscription(1), Time(7)).unwrap();
        assert_eq!(device.since, Some(Time(7)));
        assert_eq!(push.devices(), std::slice::from_ref(&device));
        let shown = serde_json::to_string(&device).unwrap();
        assert!(shown.contains("push.example") && !shown.contains("/send/"), "{shown}");
        let again = push.add(&Principal::token("phone"), subscription(1), Time(8)).unwrap();
        assert_eq!((push.devices().len(), &again.id), (1, &device.id));
        assert!(push.remove(&device.id).unwrap());
        assert!(!push.remove(&device.id).unwrap());
    }

    #[test]
    fn what_is_no_subscription_is_refused_and_there_may_not_be_too_many() {
        let push = push();
        let with = |change: fn(&mut Subscription)| {
            let mut subscription = subscription(1);
            change(&mut subscription);
            push.add(&Principal::owner(), subscription, Time(7)).unwrap_err().to_string()
        };
        assert!(with(|s| s.endpoint = "http://10.0.0.1/x".to_owned()).contains("endpoint"));
        assert!(with(|s| s.endpoint = "https://".to_owned()).contains("endpoint"));
        assert!(with(|s| s.keys.p256dh = "AAAA".to_owned()).contains("p256dh"));
        assert!(with(|s| s.keys.auth = "!".to_owned()).contains("auth"));
        for n in 0..MAX_DEVICES {
            push.add(&Principal::owner(), subscription(n), Time(7)).unwrap();
        }
        assert!(push.add(&Principal::owner(), subscription(MAX_DEVICES), Time(7)).is_err());
        assert!(push.add(&Principal::owner(), subscription(0), Time(7)).is_ok(), "it is one of them");
    }

    #[test]
    fn what_is_told_fits() {
        let mut asked = request(&"ü".repeat(900), &"ß ".repeat(900), false);
        asked.agent = "x".repeat(900);
        let told = message(&asked, Some(&format!("/a/{}", "x".repeat(256)))).to_string();
        assert!(told.len() <= seal::MAX_MESSAGE, "{}", told.len());
        assert!(told.contains(r#""options":[{"id":"y","name":"Allow"}]"#), "{told}");
        assert_eq!(message(&asked, None).get("answer"), None);
    }
}
