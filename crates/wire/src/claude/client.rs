//! The client's side: what it asks in ACP's words, and what Claude is told for it.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Adapter;
use super::said::{Command, Model, Offers, Ordered, OrderedWith};
use crate::acp::{
    AgentCapabilities, AuthMethod, AvailableCommand, AvailableCommandsUpdate, ContentBlock,
    CurrentModeUpdate, Empty, InitializeResponse, LoadSessionResponse, NewSessionResponse, PROTOCOL_VERSION,
    PromptCapabilities, PromptRequest, ResourceContents, SessionCapabilities, SessionMode, SessionModeState,
    SessionUpdate, SetSessionModeRequest, SetSessionModelRequest, method,
};
use crate::jsonrpc::{ErrorObject, Id, Message, Notification, Request, Response, code, parse_params};

/// The code with which `initialize` is refused by a process that was to go on with a conversation and has none: its session
/// is to be begun anew. It is ACP's for a thing that is not there.
pub const NO_CONVERSATION: i64 = code::RESOURCE_NOT_FOUND;

/// The modes that are offered: id, name, meaning. The one in which Claude asks nobody is not among them, because what may go
/// unasked is said by rules.
pub const MODES: [(&str, &str, &str); 3] = [
    ("default", "Always ask", "Asks before it changes something"),
    ("acceptEdits", "Accept edits", "Changes files of the workspace without asking"),
    ("plan", "Plan", "Reads and plans, and changes nothing"),
];

/// How much of a command's description is shown, in characters.
const MAX_DESCRIPTION: usize = 200;

/// What the process has told of itself.
#[derive(Debug, Default)]
pub(super) struct Greeting {
    commands: Vec<Command>,
    models: Vec<Model>,
    model: Option<String>,
    mode: Option<String>,
}

/// What Claude was ordered on behalf of the client, with the request that waits for it.
#[derive(Debug)]
pub(super) enum Order {
    Greet(Id),
    Interrupt,
    Mode(Id, String),
    Model(Id, String),
}

#[derive(Serialize)]
struct ControlRequest<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    request_id: &'a str,
    request: Value,
}

#[derive(Serialize)]
struct UserMessage<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    session_id: &'a str,
    message: Value,
    parent_tool_use_id: Option<&'static str>,
}

impl Adapter {
    /// Takes a line of the client's.
    pub fn say(&mut self, line: &[u8]) {
        match Message::parse(line) {
            Ok(Message::Request(Request { id, method, params })) => {
                if let Err(error) = self.called(&id, &method, params) {
                    self.answer(&id, Err::<&Empty, _>(&error));
                }
            }
            Ok(Message::Notification(Notification { method, .. })) if method == method::SESSION_CANCEL => {
                self.interrupt();
            }
            Ok(Message::Response(Response { id, outcome })) => self.decided(&id, outcome.ok()),
            Ok(Message::Notification(_)) | Err(_) => {}
        }
    }

    fn called(&mut self, id: &Id, method: &str, params: Option<&RawValue>) -> Result<(), ErrorObject> {
        match method {
            method::INITIALIZE => self.order(Order::Greet(id.clone()), json!({ "subtype": "initialize" })),
            method::SESSION_NEW => {
                let (modes, models) = self.offers();
                let session_id = self.session.clone();
                self.answer(
                    id,
                    Ok(&NewSessionResponse { session_id, modes, models, config_options: None, meta: None }),
                );
                self.list_commands();
            }
            method::SESSION_RESUME => {
                let (modes, models) = self.offers();
                self.answer(id, Ok(&LoadSessionResponse { modes, models, ..LoadSessionResponse::default() }));
                self.list_commands();
            }
            method::SESSION_PROMPT => self.prompted(id, &parse_params(params)?)?,
            method::SESSION_SET_MODE => {
                let SetSessionModeRequest { mode_id, .. } = parse_params(params)?;
                if !MODES.iter().any(|(offered, ..)| *offered == mode_id) {
                    return Err(ErrorObject::invalid_params(format!("there is no mode {mode_id}")));
                }
                let request = json!({ "subtype": "set_permission_mode", "mode": mode_id });
                self.order(Order::Mode(id.clone(), mode_id), request);
            }
            method::SESSION_SET_MODEL => {
                let SetSessionModelRequest { model_id, .. } = parse_params(params)?;
                let request = json!({ "subtype": "set_model", "model": model_id });
                self.order(Order::Model(id.clone(), model_id), request);
            }
            other => return Err(ErrorObject::method_not_found(other)),
        }
        Ok(())
    }

    fn order(&mut self, order: Order, request: Value) {
        self.number += 1;
        let request_id = format!("trunkline-{}", self.number);
        self.tell(&ControlRequest { kind: "control_request", request_id: &request_id, request });
        self.orders.insert(request_id, order);
    }

    fn prompted(&mut self, id: &Id, asked: &PromptRequest) -> Result<(), ErrorObject> {
        if self.prompt.is_some() {
            return Err(ErrorObject::internal("a prompt is running"));
        }
        let content: Result<Vec<Value>, ErrorObject> =
            asked.prompt.iter().map(|block| content(ContentBlock::from_raw(block))).collect();
        let message = json!({ "role": "user", "content": content? });
        self.tell(&UserMessage { kind: "user", session_id: "", message, parent_tool_use_id: None });
        self.prompt = Some(id.clone());
        self.cancelled = false;
        Ok(())
    }

    fn interrupt(&mut self) {
        if self.prompt.is_some() && !self.cancelled {
            self.cancelled = true;
            self.order(Order::Interrupt, json!({ "subtype": "interrupt" }));
        }
    }

    /// Claude's answer to an order.
    pub(super) fn ordered(&mut self, Ordered { response }: Ordered<'_>) {
        let OrderedWith { subtype, request_id, response, error } = response;
        let Some(order) = self.orders.remove(&request_id) else { return };
        let refused = (subtype != "success")
            .then(|| ErrorObject::internal(error.unwrap_or_else(|| "Claude gives no reason".to_owned())));
        match (order, refused) {
            (Order::Greet(id), None) => self.greeted(&id, response),
            (Order::Mode(id, mode), None) => {
                self.answer(&id, Ok(&Empty {}));
                self.in_mode(&mode);
            }
            (Order::Model(id, model), None) => {
                self.greeting.model = Some(model);
                self.answer(&id, Ok(&Empty {}));
            }
            (Order::Greet(id) | Order::Mode(id, _) | Order::Model(id, _), Some(error)) => {
                self.answer(&id, Err::<&Empty, _>(&error));
            }
            // The turn ends all the same, or the client's patience with it does.
            (Order::Interrupt, _) => {}
        }
    }

    /// The client's greeting, if it still waits for an answer.
    pub(super) fn greeting(&mut self) -> Option<Id> {
        let waits = self.orders.iter().find(|(_, order)| matches!(order, Order::Greet(_)));
        let number = waits.map(|(number, _)| number.clone())?;
        match self.orders.remove(&number) {
            Some(Order::Greet(id)) => Some(id),
            _ => None,
        }
    }

    fn greeted(&mut self, id: &Id, offers: Option<&RawValue>) {
        let offers = offers.and_then(|offers| serde_json::from_str(offers.get()).ok());
        let Offers { commands, models } = offers.unwrap_or_default();
        (self.greeting.commands, self.greeting.models) = (commands, models);
        let log_in = AuthMethod {
            kind: Some("terminal".to_owned()),
            id: "login".to_owned(),
            name: "Log in to Claude".to_owned(),
            args: vec!["/login".to_owned()],
            ..AuthMethod::default()
        };
        let agent_capabilities = AgentCapabilities {
            prompt_capabilities: PromptCapabilities { image: true, audio: false, embedded_context: true },
            session_capabilities: SessionCapabilities { resume: true, ..SessionCapabilities::default() },
            ..AgentCapabilities::default()
        };
        let response = InitializeResponse {
            protocol_version: PROTOCOL_VERSION,
            agent_capabilities,
            auth_methods: vec![log_in],
            agent_info: None,
            meta: None,
        };
        self.answer(id, Ok(&response));
    }

    fn offers(&self) -> (Option<SessionModeState>, Option<Box<RawValue>>) {
        let mode = |(id, name, meaning): (&str, &str, &str)| SessionMode {
            id: id.to_owned(),
            name: name.to_owned(),
            description: Some(meaning.to_owned()),
        };
        let current = self.greeting.mode.as_deref().unwrap_or(MODES[0].0);
        let modes =
            SessionModeState { current_mode_id: current.to_owned(), available_modes: MODES.map(mode).into() };
        let model = |model: &Model| json!({ "modelId": model.value, "name": model.display_name, "description": model.description });
        let models = &self.greeting.models;
        let models = models.first().map(|first| {
            let current = self.greeting.model.as_ref().unwrap_or(&first.value);
            let list: Vec<_> = models.iter().map(model).collect();
            let models = json!({ "currentModelId": current, "availableModels": list });
            serde_json::value::to_raw_value(&models).expect(super::STRING_KEYS)
        });
        (Some(modes), models)
    }

    fn list_commands(&mut self) {
        let command = |Command { name, description, argument_hint }: &Command| {
            let hint = (!argument_hint.is_empty()).then(|| json!({ "hint": argument_hint }));
            let input = hint.map(|hint| serde_json::value::to_raw_value(&hint).expect(super::STRING_KEYS));
            AvailableCommand { name: name.clone(), description: brief(description), input }
        };
        let available_commands = self.greeting.commands.iter().map(command).collect();
        self.update(&SessionUpdate::AvailableCommandsUpdate(AvailableCommandsUpdate { available_commands }));
    }

    /// It works in this mode now, by itself or because it was told to.
    pub(super) fn in_mode(&mut self, mode: &str) {
        if self.greeting.mode.as_deref() != Some(mode) {
            self.greeting.mode = Some(mode.to_owned());
            let update = CurrentModeUpdate { current_mode_id: mode.to_owned() };
            self.update(&SessionUpdate::CurrentModeUpdate(update));
        }
    }
}

/// The beginning of a description: Claude's are written for the model, and pages long.
fn brief(description: &str) -> String {
    let line = description.lines().next().unwrap_or_default();
    let mut brief: String = line.chars().take(MAX_DESCRIPTION).collect();
    if brief.len() < line.len() {
        brief.push('…');
    }
    brief
}

/// A piece of a prompt, as the model's wire has it.
fn content(block: ContentBlock) -> Result<Value, ErrorObject> {
    let text = |text: String| Ok(json!({ "type": "text", "text": text }));
    match block {
        ContentBlock::Text(block) => text(block.text),
        ContentBlock::Image(image) => Ok(json!({
            "type": "image",
            "source": { "type": "base64", "media_type": image.mime_type, "data": image.data },
        })),
        // Claude reads a file that is named so.
        ContentBlock::ResourceLink(link) => match link.uri.strip_prefix("file://") {
            Some(path) => text(format!("@{path}")),
            None => text(format!("[{}]({})", link.name, link.uri)),
        },
        ContentBlock::Resource(resource) => match resource.resource {
            ResourceContents::Text { uri, text: body, .. } => {
                text(format!("<context ref=\"{uri}\">\n{body}\n</context>"))
            }
            ResourceContents::Blob { uri, .. } => Err(ErrorObject::invalid_params(format!(
                "Claude takes no bytes, only text and pictures: {uri}"
            ))),
        },
        ContentBlock::Audio(_) => Err(ErrorObject::invalid_params("Claude takes no sound")),
        ContentBlock::Unknown(_) => Err(ErrorObject::invalid_params("a content block of no known type")),
    }
}
