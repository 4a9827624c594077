//! Every route once: the router, the OpenAPI document and the tests are made from this table.

mod bus;
mod devices;
mod mcp_servers;
mod profiles;

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodRouter, any, delete, get, patch, post, put};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use trunkline_core::event::Event;
use trunkline_core::grant::Grant;
use trunkline_core::handoff::{CheckpointView, HandoffView, LaneView, Whole};
use trunkline_core::message::Message;
use trunkline_core::presence::Client;
use trunkline_core::view::{RequestView, SessionView};
use trunkline_run::pools::PoolView;

use crate::app::App;
use crate::problem::Problem;
use crate::{
    agents, audit, blobs, catalog, events, exchange, feed, grants, handoffs, health, import, inbox, messages,
    openapi, operator, pools, presence, queue, requests, search, sessions, settings, shutdown, tokens, turns,
};

/// One method of one path.
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) query: &'static [(&'static str, &'static str)],
    /// The body: what it is, and its schema where it is JSON.
    pub(crate) takes: Option<(&'static str, Option<MakeSchema>)>,
    /// Whether a retry with the same idempotency key gets the first outcome.
    pub(crate) keyed: bool,
    pub(crate) gives: (u16, Option<MakeSchema>),
    pub(crate) streams: bool,
    pub(crate) open: bool,
    router: MethodRouter<Arc<App>>,
}

type MakeSchema = fn(&mut SchemaGenerator) -> Schema;

#[cfg(debug_assertions)]
fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// A release carries the document itself, and nothing that makes it.
#[cfg(not(debug_assertions))]
fn schema<T: JsonSchema>(_: &mut SchemaGenerator) -> Schema {
    Schema::default()
}

impl Route {
    fn new(
        method: &'static str,
        path: &'static str,
        router: MethodRouter<Arc<App>>,
        summary: &'static str,
    ) -> Self {
        let gives = (200, None);
        let (query, takes) = (&[][..], None);
        Self { method, path, summary, query, takes, keyed: false, gives, streams: false, open: false, router }
    }

    fn get<H: Handler<T, Arc<App>>, T: 'static>(
        path: &'static str,
        handler: H,
        summary: &'static str,
    ) -> Self {
        Self::new("get", path, get(handler), summary)
    }

    fn post<H: Handler<T, Arc<App>>, T: 'static>(
        path: &'static str,
        handler: H,
        summary: &'static str,
    ) -> Self {
        Self::new("post", path, post(handler), summary)
    }

    fn patch<H: Handler<T, Arc<App>>, T: 'static>(
        path: &'static str,
        handler: H,
        summary: &'static str,
    ) -> Self {
        Self::new("patch", path, patch(handler), summary)
    }

    fn put<H: Handler<T, Arc<App>>, T: 'static>(
        path: &'static str,
        handler: H,
        summary: &'static str,
    ) -> Self {
        Self::new("put", path, put(handler), summary).gives::<trunkline_core::setting::View>(200)
    }

    fn delete<H: Handler<T, Arc<App>>, T: 'static>(
        path: &'static str,
        handler: H,
        summary: &'static str,
    ) -> Self {
        Self::new("delete", path, delete(handler), summary).gives_nothing()
    }

    fn takes<T: JsonSchema>(self) -> Self {
        Self { takes: Some(("application/json", Some(schema::<T>))), ..self }
    }

    /// A body that is no JSON.
    fn takes_other(self, content_type: &'static str) -> Self {
        Self { takes: Some((content_type, None)), ..self }
    }

    fn keyed(self) -> Self {
        Self { keyed: true, ..self }
    }

    fn gives_nothing(self) -> Self {
        Self { gives: (204, None), ..self }
    }

    fn gives<T: JsonSchema>(self, status: u16) -> Self {
        Self { gives: (status, Some(schema::<T>)), ..self }
    }

    fn query(self, query: &'static [(&'static str, &'static str)]) -> Self {
        Self { query, ..self }
    }

    fn streams(self) -> Self {
        Self { streams: true, ..self }
    }

    fn open(self) -> Self {
        Self { open: true, ..self }
    }
}

const PAGE: (&str, &str) = ("limit", "How many items at most: 1 to 200, 50 if not given.");
const CURSOR: (&str, &str) = ("cursor", "`next` of the page before.");

/// The table.
pub(crate) fn routes() -> Vec<Route> {
    let mut all = vec![
        Route::get("/health", health::health, "Whether the daemon is well.")
            .gives::<health::Health>(200)
            .open(),
        Route::get("/v1/openapi.json", openapi::document, "This document.")
            .gives::<serde_json::Map<String, serde_json::Value>>(200)
            .open(),
        Route::post("/v1/exchange", exchange::exchange, "Exchange the code of a one-time link for a token.")
            .takes::<exchange::Exchange>()
            .gives::<exchange::Exchanged>(200)
            .open(),
        Route::post(
            "/v1/links",
            exchange::link,
            "Make a one-time link to the page; it works for five minutes.",
        )
        .gives::<exchange::Link>(201),
        Route::get("/v1/me", tokens::me, "Who the caller is.").gives::<tokens::Me>(200),
        Route::post("/v1/shutdown", shutdown::shutdown, "Stop the daemon: open turns get their end.")
            .gives::<shutdown::Stopping>(202),
        Route::get("/v1/catalog", catalog::list, "The agents that can be run here.")
            .gives::<catalog::Entries>(200),
        Route::get(
            "/v1/agents",
            agents::list,
            "The agents that are kept running, and those that take part on the bus.",
        )
        .gives::<agents::Agents>(200),
        Route::get("/v1/feed", feed::feed, "One stream of all lists, and of the logs of chosen sessions.")
            .query(&[
                ("after", "`at` of a list: what has changed since then is told first."),
                ("sessions", "Logs to follow as well: `<id>:<after>`, comma separated, at most 100."),
                ("client", "What to call this client in the lists of who is attached to those sessions."),
            ])
            .streams(),
    ];
    all.extend(bus::routes());
    all.extend(session_routes());
    all.extend(request_routes());
    all.extend(grant_routes());
    all.extend(audit_routes());
    all.extend(devices::routes());
    all.extend(pool_routes());
    all.extend(profiles::routes());
    all.extend(mcp_servers::routes());
    all.extend(operator_routes());
    all.extend(handoff_routes());
    all
}

fn session_routes() -> Vec<Route> {
    vec![
        Route::post("/v1/sessions", sessions::create, "Make a session.")
            .takes::<sessions::Create>()
            .gives::<SessionView>(201)
            .keyed(),
        Route::get("/v1/sessions", sessions::list, "Sessions, newest activity first.")
            .query(&[
                ("state", "Only those: idle, running, waiting, stopping, failed, closed."),
                ("agent", "Only those of this agent."),
                ("workspace", "Only those that work in this directory."),
                ("project", "Only those of this repository root."),
                PAGE,
                CURSOR,
            ])
            .gives::<crate::app::Page<SessionView>>(200),
        Route::new(
            "post",
            "/v1/sessions/import",
            post(import::import).layer(axum::extract::DefaultBodyLimit::max(import::MAX_EXPORT)),
            "Make a session from an export: NDJSON, at most 256 MiB.",
        )
        .query(&[(
            "adopt",
            "`true` moves a session here whose agent runs elsewhere: with its id, the ids of its requests and messages, its times, \
             and all that waits. 409 when it is here already.",
        )])
        .takes_other(import::NDJSON)
        .gives::<SessionView>(201),
        Route::get("/v1/sessions/{session}", sessions::show, "A session.").gives::<SessionView>(200),
        Route::patch("/v1/sessions/{session}", sessions::update, "Change title or metadata.")
            .takes::<trunkline_core::session::Updated>()
            .gives::<SessionView>(200)
            .keyed(),
        Route::delete("/v1/sessions/{session}", sessions::remove, "Delete a session, log and all."),
        Route::post("/v1/sessions/{session}/close", sessions::close, "Close: no more work, the log stays.")
            .gives::<SessionView>(200)
            .keyed(),
        Route::get(
            "/v1/sessions/{session}/events",
            events::events,
            "The log of a session: a page, or a stream.",
        )
        .query(&[
            ("after", "Events after this number; 0 or nothing: from the start. `Last-Event-ID` counts more."),
            ("limit", "How many events a page has at most: 1 to 10000, 1000 if not given."),
            ("client", "Stream only: what to call this client in the list of who is attached."),
        ])
        .gives::<events::Events>(200)
        .streams(),
        Route::get(
            "/v1/sessions/{session}/blobs/{sha256}",
            blobs::show,
            "An update that was too large for the log.",
        )
        .gives::<trunkline_core::raw::Raw>(200),
        Route::post("/v1/sessions/{session}/turns", turns::prompt, "Prompt the agent.")
            .takes::<turns::Prompt>()
            .gives::<turns::Prompted>(201)
            .keyed(),
        Route::get("/v1/sessions/{session}/turns/{turn}", turns::show, "Where a turn stands.")
            .gives::<turns::TurnView>(200),
        Route::post("/v1/sessions/{session}/cancel", turns::cancel, "Stop the running turn.")
            .takes::<turns::Cancel>()
            .gives::<turns::Cancelled>(202)
            .keyed(),
        Route::get("/v1/sessions/{session}/queue", queue::list, "The prompts that wait.")
            .gives::<queue::Queue>(200),
        Route::delete("/v1/sessions/{session}/queue/{turn}", queue::remove, "Take a waiting prompt back."),
        Route::get("/v1/sessions/{session}/inbox", inbox::list, "The messages that wait for the agent.")
            .query(&[("wait_ms", "How long to wait for one if there is none: up to 120000.")])
            .gives::<List<Message>>(200),
        Route::post("/v1/sessions/{session}/inbox", inbox::send, "Leave a message for the agent.")
            .takes::<inbox::Send>()
            .gives::<Message>(201)
            .keyed(),
        Route::post(
            "/v1/sessions/{session}/inbox/{message}/ack",
            inbox::ack,
            "The agent is done with a message.",
        )
        .gives_nothing()
        .keyed(),
        Route::post(
            "/v1/messages",
            messages::send,
            "Write to an agent. One that runs here is woken; 429 `held_back` when a guard against loops bites.",
        )
        .takes::<messages::Tell>()
        .gives::<trunkline_run::tell::Sent>(201)
        .keyed(),
        Route::get(
            "/v1/sessions/{session}/messages/{message}",
            messages::show,
            "Where a message to the agent stands.",
        )
        .gives::<messages::MessageStatus>(200),
        Route::get("/v1/sessions/{session}/grants", grants::list, "The standing permissions.")
            .gives::<List<Grant>>(200),
        Route::post("/v1/sessions/{session}/grants", grants::add, "Give a standing permission.")
            .takes::<grants::Add>()
            .gives::<Grant>(201)
            .keyed(),
        Route::delete(
            "/v1/sessions/{session}/grants/{grant}",
            grants::revoke,
            "Take a standing permission back.",
        ),
        Route::get(
            "/v1/sessions/{session}/settings",
            settings::show,
            "What the agent can be set to, and is.",
        )
        .gives::<trunkline_core::setting::View>(200),
        Route::put("/v1/sessions/{session}/mode", settings::mode, "Choose a mode of the agent.")
            .takes::<settings::Mode>()
            .gives::<trunkline_core::setting::View>(200)
            .keyed(),
        Route::put("/v1/sessions/{session}/model", settings::model, "Choose a model of the agent.")
            .takes::<settings::Model>()
            .gives::<trunkline_core::setting::View>(200)
            .keyed(),
        Route::put(
            "/v1/sessions/{session}/options/{option}",
            settings::option,
            "Choose the value of an option of the agent.",
        )
        .takes::<settings::Choose>()
        .gives::<trunkline_core::setting::View>(200)
        .keyed(),
        Route::get("/v1/sessions/{session}/presence", presence::list, "Who is attached.")
            .gives::<List<Client>>(200),
    ]
}

fn request_routes() -> Vec<Route> {
    vec![
        Route::post("/v1/sessions/{session}/requests", requests::ask, "Ask a person, for an agent outside.")
            .takes::<requests::Ask>()
            .gives::<RequestView>(201)
            .keyed(),
        Route::get(
            "/v1/requests",
            requests::list,
            "Requests: open ones by urgency and age, else newest first.",
        )
        .query(&[
            ("status", "Only those: open, dismissed, answered, expired, cancelled, superseded."),
            ("session", "Only those of this session."),
            ("project", "Only those of this repository root."),
            PAGE,
            CURSOR,
        ])
        .gives::<crate::app::Page<RequestView>>(200),
        Route::get(
            "/v1/search",
            search::find,
            "Passages of transcripts that have all the words, the newest first. A word finds longer ones that begin with it; \
             words in quotes stand in their order.",
        )
        .query(&[("q", "The words."), ("session", "Only passages of this session."), PAGE, CURSOR])
        .gives::<search::Passages>(200),
        Route::get("/v1/requests/{request}", requests::show, "A request.").gives::<RequestView>(200),
        Route::post("/v1/requests/{request}/answer", requests::answer, "Answer: the first answer wins.")
            .takes::<trunkline_core::request::Answer>()
            .gives::<RequestView>(200)
            .keyed(),
        Route::post(
            "/v1/requests/{request}/dismiss",
            requests::dismiss,
            "Set aside; it can still be answered.",
        )
        .gives::<RequestView>(200)
        .keyed(),
        Route::post(
            "/v1/requests/{request}/withdraw",
            requests::withdraw,
            "Take back, for the agent that asked.",
        )
        .gives::<RequestView>(200)
        .keyed(),
    ]
}

fn grant_routes() -> Vec<Route> {
    const SESSION: (&str, &str) = ("session", "Those of this session, with those of its project.");
    vec![
        Route::get("/v1/grants", grants::list_all, "The standing permissions of projects, or of a session.")
            .query(&[SESSION, ("project", "Only those of this repository root.")])
            .gives::<List<Grant>>(200),
        Route::post("/v1/grants", grants::add_any, "Give a standing permission to a session or a project.")
            .takes::<grants::Add>()
            .gives::<Grant>(201),
        Route::delete("/v1/grants/{grant}", grants::revoke_any, "Take a standing permission back.")
            .query(&[("session", "The session it is of; it is of a project, if not given.")]),
        Route::post("/v1/grants/preview", grants::preview, "What a rule would have allowed.")
            .takes::<grants::Try>()
            .gives::<grants::Preview>(200),
    ]
}

fn audit_routes() -> Vec<Route> {
    vec![
        Route::get("/v1/audit", audit::list, "Who allowed what, from where, seeing what: newest first.")
            .query(&[
                ("session", "Only what is about this session."),
                ("principal", "Only what this principal did, such as `owner` or `token/phone`."),
                (
                    "kind",
                    "Only those: request.answered, request.granted, request.expired, grant.added, grant.revoked, \
                     mode.changed, setting.chosen, token.created, token.revoked, operator.started, \
                     operator.ran, profile.put, profile.deleted, mcp.put, mcp.deleted, mcp.trusted, \
                     mcp.distrusted, session.deleted.",
                ),
                ("since", "Only what was recorded at this time or later, in milliseconds since 1970."),
                PAGE,
                CURSOR,
            ])
            .gives::<audit::Records>(200),
        Route::get("/v1/audit/chain", audit::chain, "The whole audit, oldest first, to be verified.")
            .query(&[("after", "Records after this number; `next` of the page before.")])
            .gives::<audit::Records>(200),
    ]
}

fn pool_routes() -> Vec<Route> {
    vec![
        Route::get("/v1/pools", pools::list, "The pools of workers.").gives::<List<PoolView>>(200),
        Route::get("/v1/pools/{pool}", pools::show, "A pool.").gives::<PoolView>(200),
        Route::post("/v1/pools/{pool}/restart", pools::restart, "Replace all workers of a pool.")
            .gives::<PoolView>(200),
        Route::post(
            "/v1/pools/{pool}/drain",
            pools::drain,
            "Have a pool take no more requests; those under way are answered.",
        )
        .gives::<PoolView>(200),
        Route::post("/v1/pools/{pool}/resume", pools::resume, "Have a drained pool take requests again.")
            .gives::<PoolView>(200),
    ]
}

fn operator_routes() -> Vec<Route> {
    vec![
        Route::get("/v1/operator-actions", operator::list, "What can be run without any model.")
            .gives::<List<operator::View>>(200),
        Route::post(
            "/v1/operator-actions/{action}/run",
            operator::run,
            "Run an action to its end. It goes on if the caller leaves.",
        )
        .takes::<operator::Start>()
        .gives::<trunkline_core::operator::Run>(200),
        Route::get("/v1/operator-runs", operator::runs, "What runs, and the last hundred that ran.")
            .gives::<List<trunkline_core::operator::Run>>(200),
    ]
}

fn handoff_routes() -> Vec<Route> {
    vec![
        Route::get("/v1/handoffs", handoffs::list, "Handoffs, the one last changed first.")
            .query(&[
                ("agent", "Only those of this agent."),
                ("repo", "Only those of this repository. An agent gets those of its own, if it says nothing."),
                ("status", "Only those that stand so: active, paused, completed …"),
                ("session", "Only those that came from this session."),
                ("to", "Only those from which a lane leads to this agent."),
                PAGE,
                CURSOR,
            ])
            .gives::<crate::app::Page<HandoffView>>(200),
        Route::post("/v1/handoffs", handoffs::save, "Save a handoff: work that another agent can go on from.")
            .takes::<handoffs::Save>()
            .gives::<HandoffView>(201)
            .keyed(),
        Route::post(
            "/v1/handoffs/import",
            handoffs::restore,
            "Take a handoff that was kept elsewhere, with its ids and times. What is here already stays as it is.",
        )
        .takes::<handoffs::RestoreHandoff>()
        .gives::<handoffs::Restored>(200),
        Route::get(
            "/v1/handoffs/{handoff}",
            handoffs::show,
            "A handoff with its lanes, their messages, and its newest checkpoints.",
        )
        .query(&[("checkpoints", "How many checkpoints: 0 to 50, 10 if not given.")])
        .gives::<Whole>(200),
        Route::get(
            "/v1/handoffs/{handoff}/prompt",
            handoffs::resume,
            "The prompt with which an agent, of any vendor, takes the work over.",
        )
        .gives::<handoffs::ResumePrompt>(200),
        Route::patch("/v1/handoffs/{handoff}", handoffs::update, "Change what is given.")
            .takes::<handoffs::Change>()
            .gives::<HandoffView>(200)
            .keyed(),
        Route::post("/v1/handoffs/{handoff}/lanes", handoffs::open_lane, "Open a lane to another agent.")
            .takes::<handoffs::OpenLane>()
            .gives::<LaneView>(201)
            .keyed(),
        Route::post(
            "/v1/handoffs/{handoff}/lanes/{lane}/messages",
            handoffs::say,
            "Write in a lane, as one of its two agents.",
        )
        .takes::<handoffs::SayInLane>()
        .gives::<LaneView>(201)
        .keyed(),
        Route::post("/v1/handoffs/{handoff}/lanes/{lane}/close", handoffs::close_lane, "Close a lane.")
            .gives::<LaneView>(200)
            .keyed(),
        Route::get(
            "/v1/handoffs/{handoff}/checkpoints",
            handoffs::checkpoints,
            "The checkpoints of a handoff, newest first.",
        )
        .query(&[("lane", "Only those of this lane."), PAGE, CURSOR])
        .gives::<crate::app::Page<CheckpointView>>(200),
        Route::post("/v1/handoffs/{handoff}/checkpoints", handoffs::checkpoint, "Keep a checkpoint.")
            .takes::<handoffs::MakeCheckpoint>()
            .gives::<CheckpointView>(201)
            .keyed(),
    ]
}

/// A list that is whole.
#[derive(Debug, serde::Serialize, JsonSchema)]
#[schemars(rename = "{T}List")]
pub(crate) struct List<T> {
    /// The items.
    pub(crate) items: Vec<T>,
}

/// The router of the table, with that of the MCP server.
pub(crate) fn router(app: &Arc<App>, mcp: Router<Arc<App>>) -> Router {
    let mut router = mcp;
    let mut streams = Router::new();
    for route in routes() {
        if route.streams {
            streams = streams.route(route.path, route.router.clone());
        }
        router = router.route(route.path, route.router);
    }
    router = router.route(crate::socket::PATH, crate::socket::route(streams.with_state(Arc::clone(app))));
    // Dialects have their own answers for what they do not know.
    router = router.route("/api/{*rest}", any(crate::sessionbus::api));
    for path in ["/api/session", "/api/session/{*rest}", "/api/pve/{*rest}"] {
        router = router.route(path, any(crate::attach::api));
    }
    for path in ["/ui/sessionbus", "/ui/sessionbus/{*rest}", "/ui/sessionbus/", "/partials/{*rest}"] {
        router = router.route(path, any(crate::sessionbus::pages));
    }
    for path in ["/requests/{*rest}", "/static/{*rest}"] {
        router = router.route(path, any(crate::sessionbus::pages));
    }
    for path in crate::engine::paths() {
        router = router.route(path, any(crate::engine::api));
    }
    router
        .route("/a/{link}", get(crate::answer_link::show).post(crate::answer_link::answer))
        .route("/ca.pem", get(crate::tls::authority))
        .fallback(crate::ui::page)
        .method_not_allowed_fallback(no_method)
        .layer(axum::extract::DefaultBodyLimit::max(crate::extract::MAX_BODY))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(app), crate::gate::gate))
        .with_state(Arc::clone(app))
}

async fn no_method() -> Problem {
    Problem::new(
        axum::http::StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this path does not take that method; see /v1/openapi.json",
    )
}

/// Types that are named in the document, though no route gives them alone.
pub(crate) fn extra_schemas(generator: &mut SchemaGenerator) {
    let (_event, _problem) = (schema::<Event>(generator), schema::<crate::problem::Body>(generator));
}
