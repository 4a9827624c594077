//! The client: one method for each route.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use serde::de::DeserializeOwned;
use serde_json::json;
use trunkline_core::event::Event;
use trunkline_core::id::{GrantId, MessageId, RequestId, Seq, SessionId, TokenId, TurnId};
use trunkline_core::raw::Raw;
use trunkline_core::request::Answer;
use trunkline_core::setting::{Value, View as Settings};
use trunkline_core::time::Time;
use trunkline_core::view::{RequestView, SessionView};

use crate::call::{Call, Params, encoded};
use crate::error::Error;
use crate::events::EventStream;
use crate::feed::FeedStream;
use crate::http::Http;
use crate::types::{
    Action, ActionRun, Attached, CatalogEntry, Cursor, EventPage, Exchanged, Grant, Health, Items, Link, Me,
    Message, NewGrant, NewRequest, NewSession, NewToken, NewTurn, Page, Pool, Preview, RequestQuery,
    RunningAgent, SessionChange, SessionQuery, Stopped, Token, TurnTaken, TurnView, Waiting,
};

/// More than an action and the one before it may take.
const ACTION: Duration = Duration::from_secs(49 * 3600);

/// A daemon, as seen from outside. Cheap to clone; clones share their connections.
///
/// - What it changes and what steers a session carries an idempotency key, and is sent once more if the connection
///   breaks, so that it happens once. Making tokens and links, importing, and stopping the daemon is never repeated.
/// - Lists include what the same client has changed before.
/// - An answer takes at most 30 s and 256 MiB.
#[derive(Clone)]
pub struct Client {
    pub(crate) http: Arc<Http>,
}

impl Client {
    /// A client of the daemon at `base_url` (`http://host:port`). Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::BadAddress`] when the address or the token cannot be used.
    pub fn new(base_url: &str, token: &str) -> Result<Self, Error> {
        Ok(Self { http: Arc::new(Http::new(base_url, token)?) })
    }

    /// A client of the daemon of a home directory, with the owner's token. It goes by the Unix socket in there, which no
    /// other user can take the place of; by TCP only if there is none. When that daemon moves, the client and its
    /// streams follow.
    ///
    /// # Errors
    /// [`Error::NotRunning`] when there is no `runtime.json`; [`Error::File`] when it or the token cannot be read. Whether
    /// the daemon it names is alive shows with the first call.
    pub fn discover(home: &Path) -> Result<Self, Error> {
        Ok(Self { http: Arc::new(Http::discover(home.to_owned())?) })
    }

    /// Exchanges the code of a one-time link for a token of its own.
    ///
    /// # Errors
    /// A problem `unauthenticated` when the link was used before or is too old.
    pub async fn exchange(base_url: &str, code: &str) -> Result<Exchanged, Error> {
        let http = Http::new(base_url, "")?;
        http.json(&Call::post("/v1/exchange", &json!({ "code": code }))).await
    }

    /// Where the daemon is.
    #[must_use]
    pub fn base_url(&self) -> String {
        self.http.base_url()
    }

    /// Whether the daemon lives. Needs no token.
    pub async fn health(&self) -> Result<Health, Error> {
        self.get("/health").await
    }

    /// Who this client is to the daemon.
    pub async fn me(&self) -> Result<Me, Error> {
        self.get("/v1/me").await
    }

    /// The API's description: OpenAPI 3.1.
    pub async fn openapi(&self) -> Result<Raw, Error> {
        self.get("/v1/openapi.json").await
    }

    /// Makes a session.
    pub async fn create_session(&self, new: &NewSession) -> Result<SessionView, Error> {
        self.http.json(&Call::command(Method::POST, "/v1/sessions", new)).await
    }

    /// Lists sessions.
    pub async fn sessions(&self, query: &SessionQuery) -> Result<Page<SessionView>, Error> {
        let params = Params::default()
            .maybe("state", query.state.map(|state| state.word()))
            .maybe("agent", query.agent.as_deref())
            .maybe("workspace", query.workspace.as_deref())
            .maybe("project", query.project.as_deref());
        self.page("/v1/sessions", params, query.limit, query.cursor.as_ref()).await
    }

    /// One session.
    pub async fn session(&self, id: SessionId) -> Result<SessionView, Error> {
        self.get(format!("/v1/sessions/{id}")).await
    }

    /// Changes a session's title or metadata.
    pub async fn update_session(&self, id: SessionId, change: &SessionChange) -> Result<SessionView, Error> {
        self.http.json(&Call::command(Method::PATCH, format!("/v1/sessions/{id}"), change)).await
    }

    /// Closes a session: its log stays, its agent ends.
    pub async fn close_session(&self, id: SessionId) -> Result<SessionView, Error> {
        self.http.json(&Call::command(Method::POST, format!("/v1/sessions/{id}/close"), &json!({}))).await
    }

    /// Deletes a session with its log.
    pub async fn delete_session(&self, id: SessionId) -> Result<(), Error> {
        self.http.done(&Call::delete(format!("/v1/sessions/{id}"))).await
    }

    /// A page of a session's events. `limit` is the daemon's unless given.
    pub async fn events_page(
        &self,
        id: SessionId,
        after: Seq,
        limit: Option<usize>,
    ) -> Result<EventPage<Event>, Error> {
        self.event_page(id, after, limit).await
    }

    /// A page of a session's events, each to the byte as the daemon sent it.
    pub async fn raw_events_page(
        &self,
        id: SessionId,
        after: Seq,
        limit: Option<usize>,
    ) -> Result<EventPage<Raw>, Error> {
        self.event_page(id, after, limit).await
    }

    /// Makes a session of an export (see `trunkline export`): NDJSON, a line that says what follows, then the events. At
    /// most 256 MiB.
    pub async fn import(&self, export: impl Into<Bytes>) -> Result<SessionView, Error> {
        self.http.json(&Call::upload("/v1/sessions/import", "application/x-ndjson", export.into())).await
    }

    /// Moves a session here whose agent runs elsewhere, from the format of an export: it keeps its ids, its times and what
    /// waits. A conflict means that it is here already.
    pub async fn adopt(&self, export: impl Into<Bytes>) -> Result<SessionView, Error> {
        let path = "/v1/sessions/import?adopt=true";
        self.http.json(&Call::upload(path, "application/x-ndjson", export.into())).await
    }

    /// A session's events from a place on, then live. With a `client` name it is listed among those attached. Must be
    /// called within a tokio runtime.
    #[must_use]
    pub fn events(&self, id: SessionId, after: Seq, client: Option<&str>) -> EventStream {
        EventStream::new(Arc::clone(&self.http), id, after, client)
    }

    /// What happens to all sessions and requests from `after` on (without: from now on), and the events of some sessions,
    /// each after the number given. With a `client` name it is listed among those attached to them. Must be called within a
    /// tokio runtime.
    #[must_use]
    pub fn feed(
        &self,
        after: Option<Cursor>,
        sessions: BTreeMap<SessionId, Seq>,
        client: Option<&str>,
    ) -> FeedStream {
        FeedStream::new(Arc::clone(&self.http), after, sessions, client)
    }

    /// What an event names by its hash because it was too large for the log.
    pub async fn blob(&self, id: SessionId, sha256: &str) -> Result<Raw, Error> {
        self.get(format!("/v1/sessions/{id}/blobs/{sha256}")).await
    }

    /// Asks the agent of a session for a turn.
    ///
    /// # Errors
    /// A problem `turn_running` that names the turn, unless the prompt may be queued.
    pub async fn prompt(&self, id: SessionId, new: &NewTurn) -> Result<TurnTaken, Error> {
        self.http.json(&Call::command(Method::POST, format!("/v1/sessions/{id}/turns"), new)).await
    }

    /// One turn.
    pub async fn turn(&self, id: SessionId, turn: TurnId) -> Result<TurnView, Error> {
        self.get(format!("/v1/sessions/{id}/turns/{turn}")).await
    }

    /// Asks a turn to stop: this one, or whichever runs.
    pub async fn cancel(&self, id: SessionId, turn: Option<TurnId>) -> Result<Stopped, Error> {
        let body = turn.map_or_else(|| json!({}), |turn| json!({ "turn": turn }));
        self.http.json(&Call::command(Method::POST, format!("/v1/sessions/{id}/cancel"), &body)).await
    }

    /// The prompts that wait.
    pub async fn queue(&self, id: SessionId) -> Result<Items<Waiting>, Error> {
        self.get(format!("/v1/sessions/{id}/queue")).await
    }

    /// Takes a waiting prompt back.
    pub async fn unqueue(&self, id: SessionId, turn: TurnId) -> Result<(), Error> {
        self.http.done(&Call::delete(format!("/v1/sessions/{id}/queue/{turn}"))).await
    }

    /// Lists requests.
    pub async fn requests(&self, query: &RequestQuery) -> Result<Page<RequestView>, Error> {
        let session = query.session.map(|session| session.to_string());
        let params = Params::default()
            .maybe("status", query.status.map(|status| status.word()))
            .maybe("session", session.as_deref())
            .maybe("project", query.project.as_deref());
        self.page("/v1/requests", params, query.limit, query.cursor.as_ref()).await
    }

    /// One request.
    pub async fn request(&self, id: RequestId) -> Result<RequestView, Error> {
        self.get(format!("/v1/requests/{id}")).await
    }

    /// Opens a request on behalf of a session's agent.
    pub async fn ask(&self, session: SessionId, new: &NewRequest) -> Result<RequestView, Error> {
        self.http.json(&Call::command(Method::POST, format!("/v1/sessions/{session}/requests"), new)).await
    }

    /// Answers a request.
    ///
    /// # Errors
    /// A problem `request_closed` that says who was first, and when.
    pub async fn answer(&self, id: RequestId, answer: &Answer) -> Result<RequestView, Error> {
        self.http.json(&Call::command(Method::POST, format!("/v1/requests/{id}/answer"), answer)).await
    }

    /// Sets a request aside: nobody is asked any more, but it can still be answered.
    pub async fn dismiss(&self, id: RequestId) -> Result<RequestView, Error> {
        self.http.json(&Call::command(Method::POST, format!("/v1/requests/{id}/dismiss"), &json!({}))).await
    }

    /// Takes a request back on behalf of whoever asked.
    pub async fn withdraw(&self, id: RequestId) -> Result<RequestView, Error> {
        self.http.json(&Call::command(Method::POST, format!("/v1/requests/{id}/withdraw"), &json!({}))).await
    }

    /// Fetches the messages left for an agent that runs elsewhere; waits up to `wait` for one.
    pub async fn inbox(&self, id: SessionId, wait: Duration) -> Result<Items<Message>, Error> {
        let path = Params::default().add("wait_ms", &wait.as_millis().to_string());
        let call = Call::get(path.of(&format!("/v1/sessions/{id}/inbox")));
        self.http.json(&Call { timeout: call.timeout + wait, ..call }).await
    }

    /// Leaves a message for a session's agent.
    pub async fn send(&self, id: SessionId, kind: &str, payload: &Raw) -> Result<Message, Error> {
        let body = json!({ "kind": kind, "payload": payload });
        self.http.json(&Call::command(Method::POST, format!("/v1/sessions/{id}/inbox"), &body)).await
    }

    /// Says that a message is dealt with.
    pub async fn ack(&self, id: SessionId, message: MessageId) -> Result<(), Error> {
        let path = format!("/v1/sessions/{id}/inbox/{message}/ack");
        self.http.done(&Call::command(Method::POST, path, &json!({}))).await
    }

    /// The standing permissions of a session.
    pub async fn grants(&self, id: SessionId) -> Result<Items<Grant>, Error> {
        self.get(format!("/v1/sessions/{id}/grants")).await
    }

    /// Gives a standing permission for one tool.
    pub async fn add_grant(&self, id: SessionId, tool: &str, expires: Option<Time>) -> Result<Grant, Error> {
        let body = match expires {
            Some(expires) => json!({ "tool": tool, "expires": expires }),
            None => json!({ "tool": tool }),
        };
        self.http.json(&Call::command(Method::POST, format!("/v1/sessions/{id}/grants"), &body)).await
    }

    /// Takes a standing permission back.
    pub async fn revoke_grant(&self, id: SessionId, grant: GrantId) -> Result<(), Error> {
        self.http.done(&Call::delete(format!("/v1/sessions/{id}/grants/{grant}"))).await
    }

    /// What a session's agent can be set to, and is.
    pub async fn settings(&self, id: SessionId) -> Result<Settings, Error> {
        self.get(format!("/v1/sessions/{id}/settings")).await
    }

    /// Chooses a mode, by id or name. The agent is told at once if it runs, else when it is next started.
    ///
    /// # Errors
    /// A problem `invalid` that names those there are.
    pub async fn set_mode(&self, id: SessionId, mode: &str) -> Result<Settings, Error> {
        let body = json!({ "mode": mode });
        self.http.json(&Call::command(Method::PUT, format!("/v1/sessions/{id}/mode"), &body)).await
    }

    /// The same with a model.
    pub async fn set_model(&self, id: SessionId, model: &str) -> Result<Settings, Error> {
        let body = json!({ "model": model });
        self.http.json(&Call::command(Method::PUT, format!("/v1/sessions/{id}/model"), &body)).await
    }

    /// The same with the value of an option.
    pub async fn set_option(&self, id: SessionId, option: &str, value: &Value) -> Result<Settings, Error> {
        let path = format!("/v1/sessions/{id}/options/{}", encoded(option));
        self.http.json(&Call::command(Method::PUT, path, &json!({ "value": value }))).await
    }

    /// The standing permissions of a session and its project, or, without one, of all projects.
    pub async fn all_grants(&self, session: Option<SessionId>) -> Result<Items<Grant>, Error> {
        let query = session.map_or_else(String::new, |id| format!("?session={id}"));
        self.get(format!("/v1/grants{query}")).await
    }

    /// Gives a standing permission to a session or a project.
    pub async fn grant(&self, grant: &NewGrant) -> Result<Grant, Error> {
        self.http.json(&Call::post("/v1/grants", grant)).await
    }

    /// Takes a standing permission of a project back, or one of a session.
    pub async fn ungrant(&self, grant: GrantId, session: Option<SessionId>) -> Result<(), Error> {
        let query = session.map_or_else(String::new, |id| format!("?session={id}"));
        self.http.done(&Call::delete(format!("/v1/grants/{grant}{query}"))).await
    }

    /// What a rule would have allowed in the last days.
    pub async fn preview_grant(
        &self,
        pattern: &str,
        session: Option<SessionId>,
        days: u64,
    ) -> Result<Preview, Error> {
        let mut body = json!({ "pattern": pattern, "days": days });
        if let Some(session) = session {
            body["session"] = json!(session);
        }
        self.http.json(&Call::post("/v1/grants/preview", &body)).await
    }

    /// Who is attached to a session.
    pub async fn presence(&self, id: SessionId) -> Result<Items<Attached>, Error> {
        self.get(format!("/v1/sessions/{id}/presence")).await
    }

    /// The agents one can run.
    pub async fn catalog(&self) -> Result<Items<CatalogEntry>, Error> {
        self.get("/v1/catalog").await
    }

    /// The agents that run.
    pub async fn agents(&self) -> Result<Items<RunningAgent>, Error> {
        self.get("/v1/agents").await
    }

    /// What can be run without any model.
    pub async fn actions(&self) -> Result<Items<Action>, Error> {
        self.get("/v1/operator-actions").await
    }

    /// Runs an action to its end; that it is meant is said with it.
    pub async fn run_action(&self, name: &str) -> Result<ActionRun, Error> {
        let path = format!("/v1/operator-actions/{}/run", encoded(name));
        self.http.json(&Call::post(path, &json!({ "confirm": true })).within(ACTION)).await
    }

    /// What runs, and what ran last.
    pub async fn action_runs(&self) -> Result<Items<ActionRun>, Error> {
        self.get("/v1/operator-runs").await
    }

    /// The pools of workers.
    pub async fn pools(&self) -> Result<Items<Pool>, Error> {
        self.get("/v1/pools").await
    }

    /// A pool of workers.
    pub async fn pool(&self, name: &str) -> Result<Pool, Error> {
        self.get(format!("/v1/pools/{}", encoded(name))).await
    }

    /// Replaces all workers of a pool.
    pub async fn restart_pool(&self, name: &str) -> Result<Pool, Error> {
        self.http.json(&Call::post(format!("/v1/pools/{}/restart", encoded(name)), &json!({}))).await
    }

    /// Has a pool take no more requests; those under way are answered.
    pub async fn drain_pool(&self, name: &str) -> Result<Pool, Error> {
        self.http.json(&Call::post(format!("/v1/pools/{}/drain", encoded(name)), &json!({}))).await
    }

    /// Has a drained pool take requests again.
    pub async fn resume_pool(&self, name: &str) -> Result<Pool, Error> {
        self.http.json(&Call::post(format!("/v1/pools/{}/resume", encoded(name)), &json!({}))).await
    }

    /// The tokens in force.
    pub async fn tokens(&self) -> Result<Items<Token>, Error> {
        self.get("/v1/tokens").await
    }

    /// Makes a token. Its secret is told in this answer and never again.
    pub async fn create_token(&self, new: &NewToken) -> Result<Token, Error> {
        self.http.json(&Call::post("/v1/tokens", new)).await
    }

    /// Revokes a token.
    pub async fn revoke_token(&self, id: TokenId) -> Result<(), Error> {
        self.http.done(&Call::delete(format!("/v1/tokens/{id}"))).await
    }

    /// Makes a link that opens the page once.
    pub async fn link(&self) -> Result<Link, Error> {
        self.http.json(&Call::post("/v1/links", &json!({}))).await
    }

    /// Asks the daemon to stop. It answers at once and then ends its agents.
    pub async fn shutdown(&self) -> Result<(), Error> {
        self.http.done(&Call::post("/v1/shutdown", &json!({}))).await
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: impl Into<String>) -> Result<T, Error> {
        self.http.json(&Call::get(path)).await
    }

    pub(crate) async fn json<T: DeserializeOwned>(&self, call: &Call) -> Result<T, Error> {
        self.http.json(call).await
    }

    pub(crate) async fn page<T: DeserializeOwned>(
        &self,
        path: &str,
        params: Params,
        limit: Option<usize>,
        cursor: Option<&Cursor>,
    ) -> Result<Page<T>, Error> {
        let limit = limit.map(|limit| limit.to_string());
        let params = params.maybe("limit", limit.as_deref()).maybe("cursor", cursor.map(Cursor::as_str));
        self.get(params.of(path)).await
    }

    async fn event_page<T: DeserializeOwned>(
        &self,
        id: SessionId,
        after: Seq,
        limit: Option<usize>,
    ) -> Result<EventPage<T>, Error> {
        let limit = limit.map(|limit| limit.to_string());
        let params = Params::default().add("after", &after.to_string()).maybe("limit", limit.as_deref());
        self.get(params.of(&format!("/v1/sessions/{id}/events"))).await
    }
}
