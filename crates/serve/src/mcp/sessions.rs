//! How many sessions of the older protocol there may be at a time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_server::session::local::{
    LocalSessionManager, LocalSessionManagerError,
};
use rmcp::transport::streamable_http_server::session::{ServerSseMessage, SessionId, SessionManager};

/// How many. A client that comes then is told to come again.
const MAX_SESSIONS: usize = 4_096;
/// A session in which nothing was said for so long is over. A call that waits says something now and then.
const IDLE: Duration = Duration::from_secs(30 * 60);

/// The sessions.
pub(crate) struct Sessions(LocalSessionManager);

impl Default for Sessions {
    fn default() -> Self {
        let mut sessions = LocalSessionManager::default();
        sessions.session_config.keep_alive = Some(IDLE);
        Self(sessions)
    }
}

/// Why a session does not do what was asked.
#[derive(Debug)]
pub(crate) enum Trouble {
    Full,
    Of(LocalSessionManagerError),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Full => write!(f, "there are {MAX_SESSIONS} sessions already; end one, or try again later"),
            Self::Of(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Trouble {}

type Outcome<T> = Result<T, Trouble>;

impl SessionManager for Sessions {
    type Error = Trouble;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Outcome<(SessionId, Self::Transport)> {
        if self.0.sessions.read().await.len() >= MAX_SESSIONS {
            return Err(Trouble::Full);
        }
        self.0.create_session().await.map_err(Trouble::Of)
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Outcome<ServerJsonRpcMessage> {
        self.0.initialize_session(id, message).await.map_err(Trouble::Of)
    }

    async fn has_session(&self, id: &SessionId) -> Outcome<bool> {
        self.0.has_session(id).await.map_err(Trouble::Of)
    }

    async fn close_session(&self, id: &SessionId) -> Outcome<()> {
        self.0.close_session(id).await.map_err(Trouble::Of)
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Outcome<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static> {
        self.0.create_stream(id, message).await.map_err(Trouble::Of)
    }

    async fn accept_message(&self, id: &SessionId, message: ClientJsonRpcMessage) -> Outcome<()> {
        self.0.accept_message(id, message).await.map_err(Trouble::Of)
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Outcome<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static> {
        self.0.create_standalone_stream(id).await.map_err(Trouble::Of)
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Outcome<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static> {
        self.0.resume(id, last_event_id).await.map_err(Trouble::Of)
    }

    fn event_store(&self) -> Option<Arc<dyn rmcp::transport::streamable_http_server::session::EventStore>> {
        None
    }
}
