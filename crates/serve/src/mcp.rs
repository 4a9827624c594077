//! The MCP server: the hub for whatever speaks the Model Context Protocol.
//!
//! It is a mapping, like every dialect. Its first eleven tools are those of the original human-input hub and give that
//! dialect's objects; `ask_human` and `approve_tool_use` ask and wait in one call. A new revision's requests stand alone; an
//! older one has a session of the protocol, in which nothing lies but what belongs to its connection: subscriptions, and
//! calls that wait for the host. When the daemon is gone a client begins a new one, as the protocol has it.
//!
//! - `door`: who asks. `sessions`: how many sessions there may be. `handler`: methods to operations.
//! - `tools`: the table of tools. `arguments`: what comes in. `results`: what goes out.
//! - `hub`: the tools of the original. `ask`, `approve`, `wait`, `place`, `elicit`: asking a person.
//! - `resources`: sessions and requests to read and to follow.

mod approve;
mod arguments;
mod ask;
mod door;
mod elicit;
mod handler;
mod handoff;
mod hub;
mod kv;
mod place;
mod resources;
mod results;
mod sessions;
mod tell;
mod tools;
mod wait;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use rmcp::ServerHandler;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};

use crate::app::App;
pub use handler::Handler;
use sessions::Sessions;

/// Where the server is.
pub(crate) const PATH: &str = "/mcp";
/// How often a stream without messages shows that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How many bytes a message may have. The longest question has two MiB, and JSON may write each of them as more.
const MAX_MESSAGE: usize = 8 << 20;

/// The server behind its door. `extend` may put something around its handler.
pub(crate) fn router<H: ServerHandler + Send + 'static>(
    app: &Arc<App>,
    extend: impl Fn(Handler) -> H + Send + Sync + 'static,
) -> Router<Arc<App>> {
    // Host and Origin have been looked at before: the gate knows which names are ours.
    let config = StreamableHttpServerConfig::default()
        .disable_allowed_hosts()
        .with_sse_keep_alive(Some(KEEP_ALIVE))
        .with_max_request_body_bytes(MAX_MESSAGE)
        .with_cancellation_token(app.hub.stopping());
    let handlers = Arc::clone(app);
    let handler = move || Ok(extend(Handler::new(Arc::clone(&handlers))));
    let service = StreamableHttpService::new(handler, Arc::new(Sessions::default()), config);
    let door = axum::middleware::from_fn_with_state(Arc::clone(app), door::door);
    Router::new().route_service(PATH, service).layer(door)
}
