//! From methods of the protocol to operations.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::StatusCode;
use axum::http::request::Parts;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ErrorCode, Implementation,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
    ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, ResourceUpdatedNotificationParam,
    ServerCapabilities, ServerConfig, SubscribeRequestParams, SubscriptionFilter, Tool,
    UnsubscribeRequestParams,
};
use rmcp::service::{Peer, RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::json;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::arguments::Arguments;
use super::door::Who;
use super::resources::{self, Follower, MAX_FOLLOWED};
use super::wait::Call;
use super::{approve, ask, handoff, hub, kv, place, results, tell, tools};
use crate::app::App;
use crate::sessionbus::{Fail, Reply};

/// What an agent that has this server is told.
const INSTRUCTIONS: &str = "Trunkline shows people what agents do and ask. When you need a decision, information or an \
    approval that only a person can give, call ask_human: it waits for the answer. To ask without waiting, call \
    register_session once, then create_input_request, and poll_inbox for the answer. Before you stop with work unfinished, \
    call handoff_save; to write to another agent, call send_to_agent; to go on with what another agent has left, call handoff_resume.";

/// The handler of one connection: a session of the older protocol, or one request of the newer.
pub struct Handler {
    app: Arc<App>,
    /// What the client follows, in the older protocol.
    followed: Arc<Mutex<HashSet<String>>>,
    /// Ends what tells the client of it.
    following: Mutex<Option<DropGuard>>,
}

impl Handler {
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self { app, followed: Arc::default(), following: Mutex::default() }
    }

    async fn run(
        &self,
        tool: &'static tools::Tool,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ErrorData> {
        let mut arguments = match Arguments::read(tool, request.arguments) {
            Ok(arguments) => arguments,
            Err(why) => return Ok(results::failed(tool.name, &why)),
        };
        let (parts, who) = came(context)?;
        let key = parts.headers.get("idempotency-key").and_then(|key| key.to_str().ok()).map(str::to_owned);
        if arguments.maybe("session_id") == Some("") {
            match place::find(&self.app, &who, None, parts, context).await {
                Ok(own) => arguments.set("session_id", own.to_string()),
                Err(fail) => return Ok(results::failed(tool.name, &results::words(fail))),
            }
        }
        let done = match hub::run(&self.app, &who, tool.name, &arguments, key.as_deref()).await {
            Some(outcome) => outcome,
            None => {
                let call = Call { app: &self.app, who: &who, parts, context, key };
                // On the heap: a call that waits is otherwise as large as all it may do.
                Box::pin(wait(&call, tool.name, &arguments)).await
            }
        };
        match done {
            Ok(reply) => {
                let mut result = results::of(&reply);
                result.structured_content = result.structured_content.filter(|_| tool.gives_value());
                Ok(result)
            }
            // It is no outcome of the call, which may come again.
            Err(Fail::Says(status, why)) if status == StatusCode::SERVICE_UNAVAILABLE => {
                Err(ErrorData::internal_error(why, Some(json!({ "code": "unavailable" }))))
            }
            Err(fail) => Ok(results::failed(tool.name, &results::words(fail))),
        }
    }

    /// Starts telling the client of what it follows, once.
    fn start_following(&self, who: Who, peer: Peer<RoleServer>) {
        let mut following = self.following.lock().unwrap_or_else(PoisonError::into_inner);
        if following.is_some() {
            return;
        }
        let end = CancellationToken::new();
        *following = Some(end.clone().drop_guard());
        let (app, followed) = (Arc::clone(&self.app), Arc::clone(&self.followed));
        self.app.tasks.spawn(async move {
            tokio::select! {
                () = end.cancelled() => {}
                () = resources::follow(&app, &who, InSession { followed, peer }) => {}
            }
        });
    }
}

async fn wait(call: &Call<'_>, tool: &str, arguments: &Arguments) -> Result<Reply, Fail> {
    match tool {
        "ask_human" => ask::run(call, arguments).await,
        "approve_tool_use" => approve::run(call, arguments).await,
        "send_to_agent" => tell::run(call, arguments).await,
        "handoff_save" => handoff::save(call, arguments).await,
        "handoff_resume" => handoff::resume(call, arguments).await,
        "kv_get" => kv::get(call, arguments).await,
        "kv_put" => kv::put(call, arguments).await,
        _ => unreachable!("every tool of the table is run"),
    }
}

/// What a request came with. Only what came through the door is served.
fn came(context: &RequestContext<RoleServer>) -> Result<(&Parts, Who), ErrorData> {
    let parts = context.extensions.get::<Parts>();
    let who = parts.and_then(|parts| Some((parts, Who::of(parts)?)));
    who.ok_or_else(|| ErrorData::internal_error("nobody knows who asks", None))
}

fn error(fail: Fail) -> ErrorData {
    ErrorData::internal_error(results::words(fail), None)
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_prompts()
            .enable_resources()
            .enable_resources_subscribe()
            .build();
        let us = Implementation::new("trunkline", env!("CARGO_PKG_VERSION")).with_title("Trunkline");
        ServerConfig::new(capabilities).with_server_info(us).with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::shown()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools::shown().into_iter().find(|tool| tool.name == name)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let result = match tools::find(&request.name) {
            Some(tool) => self.run(tool, request, &context).await?,
            None => results::unknown(&request.name),
        };
        Ok(result.into())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let (_, who) = came(&context)?;
        let all = resources::list(&self.app, &who).await.map_err(error)?;
        Ok(ListResourcesResult::with_all_items(all))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(resources::templates()))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let (_, who) = came(&context)?;
        let content = resources::read(&self.app, &who, &request.uri).await.map_err(error)?;
        let content = content.ok_or_else(|| no_resource(&request.uri))?;
        Ok(ReadResourceResult::new(vec![content]).into())
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let (_, who) = came(&context)?;
        if resources::read(&self.app, &who, &request.uri).await.map_err(error)?.is_none() {
            return Err(no_resource(&request.uri));
        }
        {
            let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
            if followed.len() >= MAX_FOLLOWED && !followed.contains(&request.uri) {
                let why =
                    format!("a client may follow {MAX_FOLLOWED} resources at a time; unsubscribe from some");
                return Err(ErrorData::invalid_params(why, None));
            }
            followed.insert(request.uri);
        }
        self.start_following(who, context.peer);
        Ok(())
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner).remove(&request.uri);
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        let mut accepted = SubscriptionFilter::new();
        let uris = requested.resource_subscriptions.clone();
        accepted.resource_subscriptions = uris.map(|uris| uris.into_iter().take(MAX_FOLLOWED).collect());
        Some(accepted)
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let Some(who) = context.request_context().extensions.get::<Parts>().and_then(Who::of) else {
            return Err(ErrorData::internal_error("nobody knows who asks", None));
        };
        let uris = context.accepted().resource_subscriptions.clone().unwrap_or_default();
        let follower = Alone { uris: uris.into_iter().collect(), sink: context.sink().clone() };
        tokio::select! {
            () = context.cancelled() => {}
            () = resources::follow(&self.app, &who, follower) => {}
        }
        Ok(())
    }
}

fn no_resource(uri: &str) -> ErrorData {
    let uri: String = uri.chars().filter(|c| !c.is_control()).take(200).collect();
    ErrorData::new(ErrorCode::RESOURCE_NOT_FOUND, format!("Unknown resource: {uri}"), None)
}

/// A client of the older protocol.
struct InSession {
    followed: Arc<Mutex<HashSet<String>>>,
    peer: Peer<RoleServer>,
}

impl Follower for InSession {
    fn follows(&self, uri: &str) -> bool {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner).contains(uri)
    }

    async fn tell(&self, uri: String) -> bool {
        self.peer.notify_resource_updated(ResourceUpdatedNotificationParam::new(uri)).await.is_ok()
    }
}

/// A request of the newer protocol that listens.
struct Alone {
    uris: HashSet<String>,
    sink: rmcp::service::SubscriptionSink,
}

impl Follower for Alone {
    fn follows(&self, uri: &str) -> bool {
        self.uris.contains(uri)
    }

    async fn tell(&self, uri: String) -> bool {
        self.sink.notify_resource_updated(uri).await.is_ok()
    }
}
