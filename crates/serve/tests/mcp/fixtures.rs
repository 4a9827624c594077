//! What the official conformance suite wants to see beside our own tools: one of everything that the protocol has.

#![expect(deprecated, reason = "the suite asks for what later revisions have withdrawn")]

use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientResult, CompleteRequestParams,
    CompleteResult, CreateMessageRequest, ElicitRequest, GetPromptRequestParams, GetPromptResponse,
    GetPromptResult, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    LoggingMessageNotificationParam, PaginatedRequestParams, ProgressNotificationParam,
    ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, RequestMetaObject, ServerConfig,
    ServerRequest, SetLevelRequestParams, SubscribeRequestParams, UnsubscribeRequestParams,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use trunkline_serve::mcp::Handler;

type Outcome<T> = Result<T, ErrorData>;
type Context = RequestContext<RoleServer>;

/// A picture of one pixel, and a sound of no length.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA=";
const WATCHED: &str = "test://watched-resource";

/// Our handler with the fixtures around it.
pub(crate) struct Fixtures(pub(crate) Handler);

fn of<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn text(text: impl Into<String>) -> Value {
    json!({"type": "text", "text": text.into()})
}

fn resource(uri: &str, mime: &str, text: &str) -> Value {
    json!({"type": "resource", "resource": {"uri": uri, "mimeType": mime, "text": text}})
}

fn image() -> Value {
    json!({"type": "image", "data": PNG, "mimeType": "image/png"})
}

/// The tools that only say something.
fn content(tool: &str) -> Option<Value> {
    Some(match tool {
        "test_simple_text" => json!([text("This is a simple text response for testing.")]),
        "test_image_content" => json!([image()]),
        "test_audio_content" => json!([{"type": "audio", "data": WAV, "mimeType": "audio/wav"}]),
        "test_embedded_resource" => {
            json!([resource(
                "test://embedded-resource",
                "text/plain",
                "This is an embedded resource content."
            )])
        }
        "test_multiple_content_types" => json!([
            text("Multiple content types test:"),
            image(),
            resource("test://mixed-content-resource", "application/json", r#"{"test":"data","value":123}"#),
        ]),
        _ => return None,
    })
}

const TOOLS: [&str; 12] = [
    "test_simple_text",
    "test_image_content",
    "test_audio_content",
    "test_embedded_resource",
    "test_multiple_content_types",
    "test_tool_with_logging",
    "test_error_handling",
    "test_tool_with_progress",
    "test_sampling",
    "test_elicitation",
    "test_elicitation_sep1034_defaults",
    "test_elicitation_sep1330_enums",
];

fn form(tool: &str) -> Value {
    let properties = match tool {
        "test_elicitation_sep1034_defaults" => json!({
            "name": {"type": "string", "default": "John Doe"},
            "age": {"type": "integer", "default": 30},
            "score": {"type": "number", "default": 95.5},
            "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
            "verified": {"type": "boolean", "default": true},
        }),
        "test_elicitation_sep1330_enums" => {
            let titled = |names: [&str; 3]| -> Vec<Value> {
                names
                    .iter()
                    .zip(1..)
                    .map(|(name, n)| json!({"const": format!("value{n}"), "title": name}))
                    .collect()
            };
            json!({
                "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
                "titledSingle": {"type": "string", "oneOf": titled(["First Option", "Second Option", "Third Option"])},
                "legacyEnum": {"type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"]},
                "untitledMulti": {"type": "array", "items": {"type": "string", "enum": ["option1", "option2", "option3"]}},
                "titledMulti": {"type": "array", "items": {"anyOf": titled(["First Choice", "Second Choice", "Third Choice"])}},
            })
        }
        _ => json!({
            "username": {"type": "string", "description": "User's response"},
            "email": {"type": "string", "description": "User's email address"},
        }),
    };
    json!({"type": "object", "properties": properties})
}

async fn ask(context: &Context, request: ServerRequest) -> Outcome<ClientResult> {
    let sent = context.peer.send_request(request).await;
    sent.map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

async fn elicit(tool: &str, arguments: &Map<String, Value>, context: &Context) -> Outcome<String> {
    let message = arguments.get("message").and_then(Value::as_str).unwrap_or("Please fill this in");
    let params = json!({"mode": "form", "message": message, "requestedSchema": form(tool)});
    let answer = ask(context, ServerRequest::ElicitRequest(ElicitRequest::new(of(params)))).await?;
    let ClientResult::ElicitResult(result) = answer else {
        return Err(ErrorData::internal_error("another answer", None));
    };
    let (action, content) = (json!(result.action), json!(result.content));
    Ok(format!("Elicitation completed: action={}, content={content}", action.as_str().unwrap()))
}

async fn sample(arguments: &Map<String, Value>, context: &Context) -> Outcome<String> {
    let prompt = arguments.get("prompt").and_then(Value::as_str).unwrap_or("");
    let params = json!({"messages": [{"role": "user", "content": text(prompt)}], "maxTokens": 100});
    let answer =
        ask(context, ServerRequest::CreateMessageRequest(CreateMessageRequest::new(of(params)))).await?;
    Ok(format!("LLM response: {}", json!(answer)))
}

async fn log(context: &Context) -> String {
    for words in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
        let said: LoggingMessageNotificationParam = of(json!({"level": "info", "data": words}));
        context.peer.notify_logging_message(said).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    "logged".to_owned()
}

async fn progress(context: &Context) -> String {
    if let Some(token) = RequestMetaObject::get_progress_token(&context.meta) {
        for done in [0.0, 50.0, 100.0] {
            let told = ProgressNotificationParam::new(token.clone(), done).with_total(100.0);
            context.peer.notify_progress(told).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    "done".to_owned()
}

impl ServerHandler for Fixtures {
    fn get_info(&self) -> ServerConfig {
        let mut info = self.0.get_info();
        info.capabilities.logging = Some(of(json!({})));
        info.capabilities.completions = Some(of(json!({})));
        info
    }

    async fn list_tools(
        &self,
        page: Option<PaginatedRequestParams>,
        context: Context,
    ) -> Outcome<ListToolsResult> {
        let mut listed = self.0.list_tools(page, context).await?;
        listed.tools.extend(TOOLS.iter().map(|name| {
            of(json!({"name": name, "description": format!("Fixture {name}"), "inputSchema": {"type": "object", "properties": {}}}))
        }));
        Ok(listed)
    }

    async fn call_tool(&self, request: CallToolRequestParams, context: Context) -> Outcome<CallToolResponse> {
        let arguments = request.arguments.clone().unwrap_or_default();
        if let Some(content) = content(&request.name) {
            return Ok(of::<CallToolResult>(json!({"content": content})).into());
        }
        let said = match &*request.name {
            "test_error_handling" => {
                let content = [text("This tool intentionally returns an error for testing")];
                return Ok(of::<CallToolResult>(json!({"content": content, "isError": true})).into());
            }
            "test_tool_with_logging" => log(&context).await,
            "test_tool_with_progress" => progress(&context).await,
            "test_sampling" => sample(&arguments, &context).await?,
            tool if tool.starts_with("test_elicitation") => elicit(tool, &arguments, &context).await?,
            _ => return self.0.call_tool(request, context).await,
        };
        Ok(of::<CallToolResult>(json!({"content": [text(said)]})).into())
    }

    async fn list_resources(
        &self,
        page: Option<PaginatedRequestParams>,
        context: Context,
    ) -> Outcome<ListResourcesResult> {
        self.0.list_resources(page, context).await
    }

    async fn list_resource_templates(
        &self,
        page: Option<PaginatedRequestParams>,
        context: Context,
    ) -> Outcome<ListResourceTemplatesResult> {
        self.0.list_resource_templates(page, context).await
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: Context,
    ) -> Outcome<ReadResourceResponse> {
        let uri = request.uri.clone();
        let content = match uri.as_str() {
            "test://static-text" => {
                json!({"mimeType": "text/plain", "text": "This is the content of the static text resource."})
            }
            "test://static-binary" => json!({"mimeType": "image/png", "blob": PNG}),
            "test://template/123/data" => {
                let text = r#"{"id":"123","templateTest":true,"data":"Data for ID: 123"}"#;
                json!({"mimeType": "application/json", "text": text})
            }
            _ => return self.0.read_resource(request, context).await,
        };
        let mut content = content;
        content["uri"] = json!(uri);
        Ok(of::<ReadResourceResult>(json!({"contents": [content]})).into())
    }

    async fn subscribe(&self, request: SubscribeRequestParams, context: Context) -> Outcome<()> {
        if request.uri == WATCHED { Ok(()) } else { self.0.subscribe(request, context).await }
    }

    async fn unsubscribe(&self, request: UnsubscribeRequestParams, context: Context) -> Outcome<()> {
        self.0.unsubscribe(request, context).await
    }

    async fn set_level(&self, _: SetLevelRequestParams, _: Context) -> Outcome<()> {
        Ok(())
    }

    async fn complete(&self, _: CompleteRequestParams, _: Context) -> Outcome<CompleteResult> {
        Ok(of(json!({"completion": {"values": ["paris", "park"], "total": 2, "hasMore": false}})))
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Outcome<ListPromptsResult> {
        let prompt = |name: &str, arguments: &[&str]| {
            let arguments: Vec<_> =
                arguments.iter().map(|name| json!({"name": name, "required": true})).collect();
            json!({"name": name, "description": format!("Fixture {name}"), "arguments": arguments})
        };
        Ok(of(json!({"prompts": [
            prompt("test_simple_prompt", &[]),
            prompt("test_prompt_with_arguments", &["arg1", "arg2"]),
            prompt("test_prompt_with_embedded_resource", &["resourceUri"]),
            prompt("test_prompt_with_image", &[]),
        ]})))
    }

    async fn get_prompt(&self, request: GetPromptRequestParams, _: Context) -> Outcome<GetPromptResponse> {
        let arguments = json!(request.arguments);
        let given = |name: &str| arguments[name].as_str().unwrap_or("").to_owned();
        let contents = match &*request.name {
            "test_simple_prompt" => vec![text("This is a simple prompt for testing.")],
            "test_prompt_with_arguments" => {
                vec![text(format!(
                    "Prompt with arguments: arg1='{}', arg2='{}'",
                    given("arg1"),
                    given("arg2")
                ))]
            }
            "test_prompt_with_embedded_resource" => vec![
                resource(&given("resourceUri"), "text/plain", "Embedded resource content for testing."),
                text("Please process the embedded resource above."),
            ],
            "test_prompt_with_image" => vec![image(), text("Please analyze the image above.")],
            other => return Err(ErrorData::invalid_params(format!("no prompt {other}"), None)),
        };
        let messages: Vec<_> =
            contents.iter().map(|content| json!({"role": "user", "content": content})).collect();
        Ok(of::<GetPromptResult>(json!({"messages": messages})).into())
    }
}
