//! The HTTP side: routes, limits, and the handle a test holds.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::ask::Ask;
use crate::dialect::{Dialect, Head};
use crate::gates::{Gates, NoSuchGate};
use crate::journal::{Entry, Journal, Outcome, Recorded};
use crate::play::{Cut, Halt, Plan, Play};
use crate::script::{Failure, Rule, Script, ScriptError};

/// The largest request body, in bytes; a larger one is answered 413.
pub const MAX_BODY_BYTES: usize = 16 << 20;

/// A running model server, which ends when this is dropped: it takes no more connections, and answers still being
/// given are cut.
#[derive(Debug)]
pub struct ModelServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Dropped with the server, which every answer still being given sees.
    _alive: watch::Sender<()>,
    task: JoinSet<io::Result<()>>,
}

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The script cannot be played.
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

#[derive(Debug)]
struct Shared {
    run: Mutex<Run>,
    journal: Journal,
    alive: watch::Receiver<()>,
}

/// The script in force and what is used up of it.
#[derive(Debug)]
struct Run {
    script: Script,
    used: Vec<u32>,
    gates: Gates,
}

impl ModelServer {
    /// Starts a server on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// [`StartError`] if the script cannot be played or the system gives no port.
    pub async fn start(script: Script) -> Result<Self, StartError> {
        Self::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), script).await
    }

    /// Starts a server on an address; port 0 takes a free one.
    ///
    /// # Errors
    /// [`StartError`] if the script cannot be played or the address cannot be listened on.
    pub async fn listen(address: SocketAddr, script: Script) -> Result<Self, StartError> {
        let run = Mutex::new(Run::new(script)?);
        let broken = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(broken)?;
        let address = listener.local_addr().map_err(broken)?;
        let (alive, watching) = watch::channel(());
        let shared = Arc::new(Shared { run, journal: Journal::default(), alive: watching });
        let app = router(Arc::clone(&shared));
        let mut task = JoinSet::new();
        task.spawn(async move { axum::serve(listener, app).await });
        Ok(Self { address, shared, _alive: alive, task })
    }

    /// The server's root, `http://127.0.0.1:PORT`. OpenAI clients want `/v1` after it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Puts another script into force, with all its rules unused and its gates shut. Answers being given go on by
    /// the old one; gates of the old one that are shut stay so, and such answers end with their client.
    ///
    /// # Errors
    /// [`ScriptError`] if it cannot be played; the old one then stays.
    pub fn load(&self, script: Script) -> Result<(), ScriptError> {
        let run = Run::new(script)?;
        self.shared.with_run(|current| *current = run);
        Ok(())
    }

    /// Opens a gate of the script in force, for good.
    ///
    /// # Errors
    /// [`NoSuchGate`] if the script does not wait at it.
    pub fn release(&self, gate: &str) -> Result<(), NoSuchGate> {
        self.shared.with_run(|run| run.gates.clone()).open(gate)
    }

    /// Waits until an answer stands at a gate of the script in force, or has passed it.
    ///
    /// # Errors
    /// [`NoSuchGate`] if the script does not wait at it.
    pub async fn reached(&self, gate: &str) -> Result<(), NoSuchGate> {
        self.shared.with_run(|run| run.gates.clone()).reached(gate).await
    }

    /// The requests kept, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.journal.all()
    }

    /// Waits until a kept request is as wanted and returns the oldest such. A request changes while it is answered:
    /// wait for its `outcome` to see the end.
    pub async fn request(&self, wanted: impl Fn(&Recorded) -> bool) -> Recorded {
        self.shared.journal.find(wanted).await
    }

    /// Serves until the task ends, which it does only if the listener breaks.
    ///
    /// # Errors
    /// What the listener said.
    pub async fn closed(&mut self) -> io::Result<()> {
        self.task.join_next().await.map_or(Ok(()), |ended| ended.map_err(io::Error::other)?)
    }
}

impl Shared {
    fn with_run<T>(&self, f: impl FnOnce(&mut Run) -> T) -> T {
        // No panic can leave a run half changed, so a poisoned lock is as good as any.
        f(&mut self.run.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Run {
    fn new(script: Script) -> Result<Self, ScriptError> {
        script.check()?;
        let gates = Gates::new(script.gates());
        Ok(Self { used: vec![0; script.rules.len()], script, gates })
    }

    /// Finds the rule for a request and uses it.
    fn plan(&mut self, ask: &Ask, entry: &Entry) -> Result<(Plan, Gates), String> {
        let fitting = |(index, rule): &(usize, &Rule)| {
            rule.times.is_none_or(|times| self.used[*index] < times) && rule.when.fits(ask)
        };
        let (index, rule) =
            self.script.rules.iter().enumerate().find(fitting).ok_or("no rule of the script fits")?;
        entry.ruled_by(index);
        let plan = Plan::new(rule, ask, entry.number())?;
        self.used[index] += 1;
        Ok((plan, self.gates.clone()))
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat))
        .route("/v1/responses", post(responses))
        .route("/v1/messages", post(messages))
        .route("/v1/messages/count_tokens", post(count_messages))
        .route("/v1beta/models/{call}", post(gemini))
        .route("/v1/models", get(models))
        .route("/v1beta/models", get(gemini_models))
        .route("/control/requests", get(control_requests))
        .route("/control/release/{gate}", post(control_release))
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(shared)
}

async fn chat(State(shared): State<Arc<Shared>>, call: Incoming) -> Response {
    answer(&shared, Dialect::Chat, &call, |_| {}).await
}

async fn responses(State(shared): State<Arc<Shared>>, call: Incoming) -> Response {
    answer(&shared, Dialect::Responses, &call, |_| {}).await
}

async fn messages(State(shared): State<Arc<Shared>>, call: Incoming) -> Response {
    answer(&shared, Dialect::Messages, &call, |_| {}).await
}

/// Gemini's path ends in `MODEL:METHOD`, which also says whether a stream is wanted.
async fn gemini(State(shared): State<Arc<Shared>>, Path(path): Path<String>, call: Incoming) -> Response {
    let (model, method) = path.rsplit_once(':').unwrap_or((&path, ""));
    let stream = match method {
        "generateContent" => false,
        "streamGenerateContent" => true,
        "countTokens" => {
            let tokens = call.body.len() / 4;
            return side(&shared, &call, json!({ "totalTokens": tokens }));
        }
        _ => return unknown(State(shared), call).await,
    };
    answer(&shared, Dialect::Gemini, &call, |ask| {
        model.clone_into(&mut ask.model);
        ask.stream = stream;
    })
    .await
}

/// Counts as a rough tokenizer would: four bytes to the token.
async fn count_messages(State(shared): State<Arc<Shared>>, call: Incoming) -> Response {
    let tokens = call.body.len() / 4;
    side(&shared, &call, json!({ "input_tokens": tokens }))
}

/// One list that both OpenAI's and Anthropic's clients can read.
async fn models(State(shared): State<Arc<Shared>>, call: Incoming) -> Response {
    let model = json!({
        "id": "scripted", "object": "model", "created": 0, "owned_by": "script",
        "type": "model", "display_name": "Scripted", "created_at": "1970-01-01T00:00:00Z",
    });
    side(&shared, &call, json!({ "object": "list", "data": [model], "has_more": false }))
}

async fn gemini_models(State(shared): State<Arc<Shared>>, call: Incoming) -> Response {
    let methods = ["generateContent", "streamGenerateContent", "countTokens"];
    let model = json!({ "name": "models/scripted", "supportedGenerationMethods": methods });
    side(&shared, &call, json!({ "models": [model] }))
}

async fn control_requests(State(shared): State<Arc<Shared>>) -> Response {
    axum::Json(shared.journal.all()).into_response()
}

async fn control_release(State(shared): State<Arc<Shared>>, Path(gate): Path<String>) -> Response {
    match shared.with_run(|run| run.gates.clone()).open(&gate) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(unknown) => (StatusCode::NOT_FOUND, unknown.to_string()).into_response(),
    }
}

async fn unknown(State(shared): State<Arc<Shared>>, call: Incoming) -> Response {
    let entry = call.record(&shared.journal);
    entry.close(Outcome::Refused);
    let message = format!("the model server has no {} {}", call.method, call.uri.path());
    (StatusCode::NOT_FOUND, axum::Json(json!({ "error": { "message": message } }))).into_response()
}

/// A request as axum hands it over.
struct Incoming {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

impl<S: Send + Sync> axum::extract::FromRequest<S> for Incoming {
    type Rejection = Response;

    async fn from_request(request: axum::extract::Request, state: &S) -> Result<Self, Response> {
        let method = request.method().clone();
        let uri = request.uri().clone();
        let headers = request.headers().clone();
        let body = Bytes::from_request(request, state).await.map_err(IntoResponse::into_response)?;
        Ok(Self { method, uri, headers, body })
    }
}

impl Incoming {
    fn record(&self, journal: &Journal) -> Entry {
        journal.begin(&self.method, &self.uri, &self.headers, &self.body)
    }
}

fn side(shared: &Shared, call: &Incoming, answer: Value) -> Response {
    call.record(&shared.journal).close(Outcome::Complete);
    axum::Json(answer).into_response()
}

async fn answer(
    shared: &Arc<Shared>,
    dialect: Dialect,
    call: &Incoming,
    complete: impl FnOnce(&mut Ask),
) -> Response {
    let entry = call.record(&shared.journal);
    let planned = read(dialect, &call.body, complete).and_then(|(body, ask)| {
        entry.read_as(ask.clone());
        let (plan, gates) = shared.with_run(|run| run.plan(&ask, &entry))?;
        Ok((body, ask, plan, gates))
    });
    let (body, ask, plan, gates) = match planned {
        Ok(planned) => planned,
        Err(message) => {
            entry.close(Outcome::Refused);
            let message = format!("model server: {message}");
            return failed(dialect, &Failure { status: 400, message, retry_after: None });
        }
    };
    let head = Head { number: entry.number(), model: ask.model.clone() };
    let mut play = Play::new(plan, dialect.writer(head, &body), gates, entry);
    let mut alive = shared.alive.clone();
    let respond = async move {
        match play.start().await {
            Err(failure) => failed(dialect, &failure),
            Ok(()) if ask.stream => stream(play, shared.alive.clone()),
            Ok(()) => whole(dialect, play).await,
        }
    };
    tokio::select! {
        biased;
        _ = alive.changed() => cut(),
        response = respond => response,
    }
}

fn read(dialect: Dialect, body: &[u8], complete: impl FnOnce(&mut Ask)) -> Result<(Value, Ask), String> {
    let body: Value =
        serde_json::from_slice(body).map_err(|error| format!("the body is not JSON: {error}"))?;
    let mut ask = dialect.read(&body)?;
    complete(&mut ask);
    Ok((body, ask))
}

fn stream(play: Play, alive: watch::Receiver<()>) -> Response {
    let steps = futures_util::stream::unfold((play, alive), |(mut play, mut alive)| async move {
        let bytes = tokio::select! {
            biased;
            _ = alive.changed() => Some(Err(Cut)),
            bytes = play.next() => bytes,
        };
        bytes.map(|bytes| (bytes, (play, alive)))
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    (headers, Body::from_stream(steps)).into_response()
}

async fn whole(dialect: Dialect, play: Play) -> Response {
    match play.whole().await {
        Ok(value) => axum::Json(value).into_response(),
        Err(Halt::Failed(failure)) => failed(dialect, &failure),
        Err(Halt::Cut) => cut(),
    }
}

/// A response whose body fails at once, with which hyper closes the connection.
fn cut() -> Response {
    let nothing = futures_util::stream::once(async { Err::<Bytes, _>(Cut) });
    Body::from_stream(nothing).into_response()
}

fn failed(dialect: Dialect, failure: &Failure) -> Response {
    let status = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, axum::Json(dialect.failure(failure))).into_response();
    if let Some(seconds) = failure.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}
