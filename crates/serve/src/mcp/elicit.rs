//! Elicitation: the question is offered to whoever sits at the host, beside the inbox. The first answer wins.

use axum::http::request::Parts;
use rmcp::RoleServer;
use rmcp::model::{ClientResult, ElicitRequest, ElicitRequestParams, ElicitationAction, ServerRequest};
use rmcp::service::{PeerRequestOptions, RequestContext, RequestHandle};
use serde_json::{Value, json};
use trunkline_core::request::Opened;

/// A question that the host was asked to ask, if it can.
pub(crate) struct Offered(Option<RequestHandle<RoleServer>>);

impl Offered {
    /// Offers it.
    pub(crate) async fn put(
        context: &RequestContext<RoleServer>,
        parts: &Parts,
        form: Option<ElicitRequestParams>,
    ) -> Self {
        // A request that stands alone has nobody to ask back.
        let Some(form) = form.filter(|_| parts.headers.contains_key("mcp-session-id") && can(context)) else {
            return Self(None);
        };
        let request = ServerRequest::ElicitRequest(ElicitRequest::new(form));
        Self(context.peer.send_cancellable_request(request, PeerRequestOptions::no_options()).await.ok())
    }

    /// What the person there says. When they decline, or nobody was asked, the answer never comes from there.
    pub(crate) async fn answer(&mut self) -> String {
        if let Some(handle) = &mut self.0 {
            let answered = (&mut handle.rx).await;
            self.0 = None;
            if let Ok(Ok(ClientResult::ElicitResult(result))) = answered
                && result.action == ElicitationAction::Accept
                && let Some(answer) =
                    result.content.as_ref().and_then(|content| content.get("answer")?.as_str())
            {
                return answer.to_owned();
            }
        }
        std::future::pending().await
    }

    /// Tells the host that its person need not answer any more.
    pub(crate) async fn take_back(self) {
        if let Some(handle) = self.0 {
            let _a_host_that_has_gone_asks_nobody =
                handle.cancel(Some("answered elsewhere".to_owned())).await;
        }
    }
}

fn can(context: &RequestContext<RoleServer>) -> bool {
    let elicitation = context.client_capabilities().and_then(|capabilities| capabilities.elicitation);
    // Before there were two ways to ask, declaring it meant forms.
    elicitation.is_some_and(|elicitation| elicitation.url.is_none() || elicitation.form.is_some())
}

/// The form a host shows.
pub(crate) fn form(asked: &Opened) -> Option<ElicitRequestParams> {
    let message = if asked.question.is_empty() { &asked.title } else { &asked.question };
    let mut answer = json!({ "type": "string", "title": "Answer" });
    if !asked.options.is_empty() {
        answer["enum"] = asked.options.iter().map(|choice| Value::from(choice.id.as_str())).collect();
    }
    let schema = json!({ "type": "object", "properties": { "answer": answer }, "required": ["answer"] });
    serde_json::from_value(json!({ "mode": "form", "message": message, "requestedSchema": schema })).ok()
}
