//! Carrying out what a model calls: one call after the other, each shown, asked about where that is needed, and answered.

use serde_json::json;
use trunkline_core::call;
use trunkline_core::raw::Raw;
use trunkline_core::request::{OnTimeout, Outcome};
use trunkline_core::risk::{Level, Risk};
use trunkline_wire::acp::{
    PermissionOption, PermissionOptionKind, RequestPermissionRequest, SessionUpdate, ToolCall,
    ToolCallContent, ToolCallStatus,
};
use trunkline_wire::model::{Call, Content, ToolResult};

use super::tools::{Done, Plan, Toolbox, bare};
use crate::acp::permission;
use crate::driver::SessionPort;
use crate::turn::Turn;

const ALLOW: &str = "allow";
const DENY: &str = "deny";

/// Carries out calls. Gives their results, and whether all of them were reached before the turn was asked to stop.
pub(super) async fn carry_out(tools: &mut Toolbox, turn: &Turn, calls: &[Call]) -> (Vec<ToolResult>, bool) {
    let mut results = Vec::new();
    for call in calls {
        let done = tokio::select! {
            biased;
            _ = turn.stopping() => {
                let why = Done::failed("the turn was stopped while this ran");
                tell(turn, call, &why).await;
                results.push(result(call, why));
                return (results, false);
            }
            done = one(tools, turn, call) => done,
        };
        for fact in &done.facts {
            turn.fact(fact.clone()).await;
        }
        tell(turn, call, &done).await;
        results.push(result(call, done));
    }
    (results, true)
}

async fn one(tools: &mut Toolbox, turn: &Turn, call: &Call) -> Done {
    let plan = match tools.plan(call).await {
        Ok(plan) => plan,
        Err(why) => {
            turn.update(SessionUpdate::ToolCall(pending(bare(call))).to_raw().into()).await;
            return Done::failed(why);
        }
    };
    let shown = SessionUpdate::ToolCall(pending(plan.shown.clone())).to_raw();
    turn.update(shown.into()).await;
    if let Err(why) = permitted(&tools.port, turn, &plan).await {
        return Done::failed(why);
    }
    let running = ToolCall {
        tool_call_id: call.id.clone(),
        status: Some(ToolCallStatus::InProgress),
        ..ToolCall::default()
    };
    turn.update(SessionUpdate::ToolCallUpdate(running).to_raw().into()).await;
    tools.run(plan, turn).await
}

fn pending(call: ToolCall) -> ToolCall {
    ToolCall { status: Some(ToolCallStatus::Pending), ..call }
}

/// Asks whether this may be done, where that is needed.
///
/// # Errors
/// Why not, for the model.
async fn permitted(port: &SessionPort, turn: &Turn, plan: &Plan) -> Result<(), String> {
    let tool_call = serde_json::value::to_raw_value(&plan.shown).expect("a tool call has string keys only");
    if !must_ask(port, turn, plan, &tool_call.clone().into()).await? {
        return Ok(());
    }
    let option = |id: &str, name: &str, kind| PermissionOption {
        option_id: id.to_owned(),
        name: name.to_owned(),
        kind,
        meta: None,
    };
    let asked = RequestPermissionRequest {
        session_id: port.id.to_string(),
        tool_call,
        options: vec![
            option(ALLOW, "Allow", PermissionOptionKind::AllowOnce),
            option(DENY, "Deny", PermissionOptionKind::RejectOnce),
        ],
        meta: None,
    };
    let mut opened = permission::opened(&asked);
    if let Some(ask_ms) = port.created.setup.as_ref().and_then(|setup| setup.ask_ms) {
        opened.deadline = Some(port.cells.now().plus_ms(ask_ms));
        opened.on_timeout = OnTimeout::Deny;
    }
    let closed = turn.ask(opened).await;
    let closed =
        closed.map_err(|error| format!("it could not be asked whether this may be done: {error}"))?;
    let answer = closed.answer.unwrap_or_default();
    let word = answer.text.filter(|text| !text.trim().is_empty());
    match (answer.option.as_deref(), closed.outcome) {
        (Some(ALLOW), Outcome::Answered) => Ok(()),
        (_, Outcome::Answered) => Err(match word {
            Some(word) => format!("the person did not allow this, and says: {word}"),
            None => "the person did not allow this".to_owned(),
        }),
        (_, Outcome::Expired) => {
            Err("nobody said in time whether this may be done, so it was not".to_owned())
        }
        (_, Outcome::Cancelled | Outcome::Superseded) => Err("this was not allowed".to_owned()),
    }
}

/// What only looks below the workspace asks nobody, unless the session asks about all.
async fn must_ask(port: &SessionPort, turn: &Turn, plan: &Plan, tool_call: &Raw) -> Result<bool, String> {
    let (by, now) = (turn.by().clone(), port.cells.now());
    let all = port.look(move |session| session.grants.asks_about_all(&by, now)).await;
    if all.map_err(|error| error.to_string())? {
        return Ok(true);
    }
    Ok(match plan.asks {
        super::tools::Asks::Never => false,
        super::tools::Asks::Always => true,
        super::tools::Asks::IfRisky => {
            let call = call::Call::read(None, Some(tool_call), port.created.workspace.as_deref());
            Risk::of(&call).level != Level::Low
        }
    })
}

async fn tell(turn: &Turn, call: &Call, done: &Done) {
    let text = text(&done.content);
    let content = done.shown.clone().unwrap_or_else(|| match text.is_empty() {
        true => Vec::new(),
        false => vec![ToolCallContent::text(text.clone())],
    });
    let name = if done.failed { "error" } else { "output" };
    let raw_output =
        serde_json::value::to_raw_value(&json!({ name: text })).expect("it has string keys only");
    let status = if done.failed { ToolCallStatus::Failed } else { ToolCallStatus::Completed };
    let over = ToolCall {
        tool_call_id: call.id.clone(),
        status: Some(status),
        content: Some(content),
        raw_output: Some(raw_output),
        ..ToolCall::default()
    };
    turn.update(SessionUpdate::ToolCallUpdate(over).to_raw().into()).await;
}

fn text(content: &[Content]) -> String {
    let text = |content: &Content| match content {
        Content::Text { text } => text.clone(),
        Content::Image { mime_type, .. } => format!("[a picture, {mime_type}]"),
    };
    content.iter().map(text).collect::<Vec<_>>().join("\n")
}

fn result(call: &Call, done: Done) -> ToolResult {
    let content = if done.content.is_empty() { vec![Content::text("")] } else { done.content };
    ToolResult { id: call.id.clone(), name: call.name.clone(), content, failed: done.failed }
}
