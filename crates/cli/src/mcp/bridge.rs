//! The way there and back.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep};
use trunkline_client::{Error, Passage, Passed, SESSION};
use uuid::Uuid;

use super::message::{Message, Request, Said, said};
use crate::app::App;

/// How long a call waits for a daemon that is away.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it looks for it meanwhile.
const LOOK: Duration = Duration::from_millis(250);
/// Whoever has stopped the daemon has this long to start it again before the bridge does.
const MANNERS: Duration = Duration::from_secs(3);
/// How many resources are followed again after the daemon was away.
const MAX_FOLLOWED: usize = 1_000;

/// One host's bridge.
pub(crate) struct Bridge<'a> {
    app: &'a App,
    passage: Passage,
    autostart: bool,
    out: mpsc::Sender<String>,
    /// By which the daemon knows that what we send belongs together.
    client: String,
    state: RefCell<State>,
    renewing: Mutex<()>,
    begun: Notify,
}

#[derive(Default)]
struct State {
    /// The host's `initialize`, to begin anew with.
    hello: Option<Bytes>,
    session: Option<String>,
    /// How many sessions there were.
    generation: u64,
    /// The revision agreed on.
    version: Option<String>,
    initialized: bool,
    followed: BTreeSet<String>,
    /// What ends the waiting of requests, by their ids.
    waiting: HashMap<String, oneshot::Sender<()>>,
}

/// What became of one try.
enum Try {
    Answered,
    /// The session is unknown to the daemon: it is another one now.
    NoSession,
    /// The daemon was not reached.
    Away,
    /// It has left in the middle.
    Lost,
    Refused(String),
}

impl<'a> Bridge<'a> {
    pub(crate) fn new(app: &'a App, passage: Passage, autostart: bool, out: mpsc::Sender<String>) -> Self {
        let client = Uuid::new_v4().simple().to_string();
        let (state, renewing, begun) = (RefCell::default(), Mutex::default(), Notify::new());
        Self { app, passage, autostart, out, client, state, renewing, begun }
    }

    /// Takes a line of the host. What takes long is given back, to be done beside others.
    pub(crate) async fn take(&self, line: String) -> Option<impl Future<Output = ()> + '_> {
        let message = match Message::of(&line) {
            Ok(message) => message,
            Err(why) => {
                let data = format!("this line is no message: {why}");
                let params = json!({ "level": "error", "data": data });
                self.say(json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": params }))
                    .await;
                return None;
            }
        };
        let line = Bytes::from(line);
        let request = match message {
            Message::Initialize(request) => {
                self.state.borrow_mut().hello = Some(line.clone());
                self.carry(line, request).await;
                return None;
            }
            Message::Initialized => {
                self.state.borrow_mut().initialized = true;
                self.pass_on(line).await;
                self.begun.notify_one();
                return None;
            }
            Message::Request(request) => Some(request),
            Message::Cancelled(id) => {
                let stop = self.state.borrow_mut().waiting.remove(&id);
                self.pass_on(line.clone()).await;
                drop(stop);
                return None;
            }
            Message::Other => None,
        };
        let stopped = request.as_ref().map(|request| {
            let (stop, stopped) = oneshot::channel();
            self.state.borrow_mut().waiting.insert(request.id.clone(), stop);
            self.note(request);
            stopped
        });
        Some(async move {
            let (Some(request), Some(stopped)) = (request, stopped) else { return self.pass_on(line).await };
            let id = request.id.clone();
            tokio::select! {
                _gone = stopped => {}
                () = self.carry(line, request) => {}
            }
            self.state.borrow_mut().waiting.remove(&id);
        })
    }

    /// Remembers what must be said again after a restart.
    fn note(&self, request: &Request) {
        let Some(uri) = &request.name else { return };
        let mut state = self.state.borrow_mut();
        match request.method.as_str() {
            "resources/subscribe" if state.followed.len() < MAX_FOLLOWED => {
                state.followed.insert(uri.clone());
            }
            "resources/unsubscribe" => {
                state.followed.remove(uri);
            }
            _ => {}
        }
    }

    /// Carries a request until it is answered.
    async fn carry(&self, line: Bytes, request: Request) {
        let key = Uuid::new_v4().simple().to_string();
        let mut away: Option<Instant> = None;
        loop {
            let generation = self.state.borrow().generation;
            let outcome = match self.once(&line, &request, &key).await {
                Try::NoSession => self.renew(generation).await,
                outcome => outcome,
            };
            let why = match outcome {
                Try::Answered => return,
                Try::NoSession => continue,
                Try::Refused(why) => why,
                Try::Lost if !request.may_repeat() => {
                    "the daemon left before it answered: nobody knows whether this was done".to_owned()
                }
                lost @ (Try::Away | Try::Lost) => {
                    let first = away.is_none();
                    let since = *away.get_or_insert_with(Instant::now);
                    if since.elapsed() < PATIENCE {
                        // A daemon that has left in the middle was most likely told to; others may be about to start it.
                        let soon = first && matches!(lost, Try::Away);
                        self.look_for_daemon(soon || since.elapsed() > MANNERS).await;
                        continue;
                    }
                    format!(
                        "no daemon has answered for {} s; start it with `trunkline serve --detach`",
                        PATIENCE.as_secs()
                    )
                }
            };
            let id: serde_json::Value = serde_json::from_str(&request.id).unwrap_or_default();
            self.say(json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32000, "message": why } }))
                .await;
            return;
        }
    }

    async fn look_for_daemon(&self, start: bool) {
        if start && self.autostart {
            if let Err(error) = self.app.connect().await {
                self.app.screen.note(error.render(self.app.screen.err).trim_end());
                sleep(LOOK).await;
            }
        } else {
            sleep(LOOK).await;
        }
    }

    /// Sends a request once, and passes on what comes back.
    async fn once(&self, line: &Bytes, request: &Request, key: &str) -> Try {
        let begins = request.method == "initialize";
        let (session, version) = match &request.alone {
            Some(version) => (None, Some(version.clone())),
            None if begins => (None, None),
            None => {
                let state = self.state.borrow();
                (state.session.clone(), state.version.clone())
            }
        };
        let mut headers = vec![("trunkline-client", self.client.as_str()), ("idempotency-key", key)];
        headers.extend(session.as_deref().map(|session| (SESSION, session)));
        headers.extend(version.as_deref().map(|version| ("mcp-protocol-version", version)));
        if request.alone.is_some() {
            headers.push(("mcp-method", &request.method));
            headers.extend(request.name.as_deref().map(|name| ("mcp-name", name)));
        }
        let mut passed = match self.passage.post(&headers, line.clone()).await {
            Ok(passed) => passed,
            Err(error) => return trouble(&error),
        };
        if passed.status == 404 && session.is_some() {
            return Try::NoSession;
        }
        if begins && let Some(session) = passed.session.take() {
            let mut state = self.state.borrow_mut();
            state.session = Some(session);
            state.generation += 1;
        }
        self.pass_back(&mut passed, request, begins).await
    }

    async fn pass_back(&self, passed: &mut Passed, request: &Request, begins: bool) -> Try {
        loop {
            let message = match passed.next().await {
                Ok(Some(message)) => message,
                Ok(None) => return Try::Lost,
                Err(error) => return trouble(&error),
            };
            match said(&message, &request.id) {
                Said::Unavailable => return Try::Lost,
                Said::Answer => {
                    if begins {
                        self.learn_version(&message);
                    }
                    self.write(message).await;
                    return Try::Answered;
                }
                Said::Other if passed.status >= 400 => {
                    return Try::Refused(format!(
                        "the daemon refuses this ({}): {}",
                        passed.status,
                        detail(&message)
                    ));
                }
                Said::Other => self.write(message).await,
            }
        }
    }

    fn learn_version(&self, answer: &str) {
        let answer: serde_json::Value = serde_json::from_str(answer).unwrap_or_default();
        let version = answer["result"]["protocolVersion"].as_str();
        self.state.borrow_mut().version = version.map(str::to_owned);
    }

    /// Begins the session of the protocol anew: the daemon has forgotten it, or is another one.
    async fn renew(&self, generation: u64) -> Try {
        let _one_at_a_time = self.renewing.lock().await;
        let (hello, initialized, followed) = {
            let state = self.state.borrow();
            if state.generation != generation {
                return Try::NoSession;
            }
            (state.hello.clone(), state.initialized, state.followed.clone())
        };
        let Some(hello) = hello else {
            return Try::Refused("there is no session: the host has not begun one".to_owned());
        };
        let mut passed = match self.passage.post(&[("trunkline-client", &self.client)], hello).await {
            Ok(passed) if passed.status < 400 => passed,
            Ok(passed) => {
                return Try::Refused(format!("the daemon begins no new session ({})", passed.status));
            }
            Err(error) => return trouble(&error),
        };
        // The host has had this answer before.
        if let Err(error) = passed.next().await {
            return trouble(&error);
        }
        {
            let mut state = self.state.borrow_mut();
            state.session = passed.session.take();
            state.generation += 1;
        }
        if initialized {
            self.pass_on(Bytes::from_static(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#))
                .await;
        }
        for uri in followed {
            let params = json!({ "uri": uri });
            let again = json!({ "jsonrpc": "2.0", "id": "trunkline/again", "method": "resources/subscribe", "params": params });
            self.pass_on(Bytes::from(again.to_string())).await;
            // What has changed meanwhile nobody has told.
            let method = "notifications/resources/updated";
            self.say(json!({ "jsonrpc": "2.0", "method": method, "params": params })).await;
        }
        self.begun.notify_one();
        Try::NoSession
    }

    /// Sends what has no answer that the host waits for. One that a daemon has missed is of no use to the next.
    async fn pass_on(&self, line: Bytes) {
        let (session, version) = {
            let state = self.state.borrow();
            (state.session.clone(), state.version.clone())
        };
        let mut headers = vec![("trunkline-client", self.client.as_str())];
        headers.extend(session.as_deref().map(|session| (SESSION, session)));
        headers.extend(version.as_deref().map(|version| ("mcp-protocol-version", version)));
        if let Ok(mut passed) = self.passage.post(&headers, line).await {
            let _it_is_read_so_that_the_connection_can_be_used_again = passed.next().await;
        }
    }

    /// Passes on what the server says unasked, for as long as the bridge stands.
    pub(crate) async fn listen(&self) {
        loop {
            self.begun.notified().await;
            loop {
                let (session, version, generation) = {
                    let state = self.state.borrow();
                    (state.session.clone(), state.version.clone(), state.generation)
                };
                let Some(session) = session else { break };
                let mut headers = vec![(SESSION, session.as_str())];
                headers.extend(version.as_deref().map(|version| ("mcp-protocol-version", version)));
                if let Ok(mut passed) = self.passage.listen(&headers).await {
                    if passed.status == 404 {
                        let _tried_again_soon = self.renew(generation).await;
                    } else if passed.status < 400 {
                        while let Ok(Some(message)) = passed.next().await {
                            self.write(message).await;
                        }
                    } else {
                        break;
                    }
                }
                sleep(LOOK).await;
            }
        }
    }

    /// Ends the session, so that nobody is asked for a host that has gone.
    pub(crate) async fn leave(&self) {
        let session = self.state.borrow().session.clone();
        if let Some(session) = session {
            let _it_ends_by_itself_otherwise = self.passage.end(&[(SESSION, &session)]).await;
        }
    }

    async fn say(&self, message: serde_json::Value) {
        self.write(message.to_string()).await;
    }

    async fn write(&self, line: String) {
        let _a_host_that_has_gone_reads_nothing = self.out.send(line).await;
    }
}

fn trouble(error: &Error) -> Try {
    match error {
        Error::Unreachable { .. } | Error::NotRunning { .. } => Try::Away,
        error if error.is_passing() => Try::Lost,
        error => Try::Refused(error.to_string()),
    }
}

/// What a refusal says, if it is a problem or an error of JSON-RPC.
fn detail(body: &str) -> String {
    let problem: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let said = problem["detail"].as_str().or_else(|| problem["error"]["message"].as_str());
    said.unwrap_or(body).chars().filter(|c| !c.is_control()).take(500).collect()
}
