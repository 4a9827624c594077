//! Every ACP message of ours against the protocol's own types: the same JSON means the same to both.

use agent_client_protocol_schema::v1 as schema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt::Debug;
use trunkline_wire::acp::{self, method};
use trunkline_wire::jsonrpc;

/// `json` must have every member that ours and theirs know, none of them with its default value. Ours must keep
/// all of it; theirs must read it, and read the same from what ours writes; ours must read what theirs writes.
fn agree<Ours, Theirs>(json: &str)
where
    Ours: Serialize + DeserializeOwned,
    Theirs: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let name = std::any::type_name::<Ours>();
    let ours: Ours = serde_json::from_str(json).unwrap_or_else(|error| panic!("{name}: {error}"));
    let written = serde_json::to_string(&ours).unwrap();
    let value = |json: &str| serde_json::from_str::<Value>(json).unwrap();
    assert_eq!(value(&written), value(json), "{name} keeps every member");

    let read =
        |json: &str| serde_json::from_str::<Theirs>(json).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(read(&written), read(json), "{name} means the same to them");
    let theirs = serde_json::to_string(&read(json)).unwrap();
    assert_eq!(value(&theirs), value(json), "they know every member of {name}");
    let back: Ours = serde_json::from_str(&theirs).unwrap();
    assert_eq!(value(&serde_json::to_string(&back).unwrap()), value(json), "{name} comes back the same");
}

#[test]
fn initialize() {
    agree::<acp::InitializeRequest, schema::InitializeRequest>(
        r#"{"protocolVersion":1,
            "clientCapabilities":{"fs":{"readTextFile":true,"writeTextFile":true},"terminal":true,"auth":{"terminal":true},
                "session":{"notices":{}},"elicitation":{"form":{}},"_meta":{"terminal_output":true}},
            "clientInfo":{"name":"trunkline","title":"Trunkline","version":"0.1.0"},"_meta":{"a":1}}"#,
    );
    agree::<acp::InitializeResponse, schema::InitializeResponse>(
        r#"{"protocolVersion":1,
            "agentCapabilities":{"loadSession":true,
                "promptCapabilities":{"image":true,"audio":true,"embeddedContext":true},
                "mcpCapabilities":{"http":true,"sse":true},
                "sessionCapabilities":{"resume":{},"close":{},"list":{}},
                "auth":{"logout":{}},"_meta":{"b":2}},
            "authMethods":[
                {"id":"login","name":"Log in","description":"With a browser","_meta":{"c":3}},
                {"type":"terminal","id":"cli","name":"CLI","args":["login"],"env":{"A":"b"}}],
            "agentInfo":{"name":"demo","title":"Demo","version":"1"},"_meta":{"a":1}}"#,
    );
    agree::<acp::AuthenticateRequest, schema::AuthenticateRequest>(r#"{"methodId":"login"}"#);
    agree::<acp::Empty, schema::AuthenticateResponse>("{}");
}

#[test]
fn starting_and_restoring_sessions() {
    let servers = r#"[{"name":"a","command":"/bin/a","args":["-v"],"env":[{"name":"K","value":"v"}]},
        {"type":"http","name":"b","url":"http://b","headers":[{"name":"H","value":"v"}]},
        {"type":"sse","name":"c","url":"http://c","headers":[]}]"#;
    agree::<Vec<acp::McpServer>, Vec<schema::McpServer>>(servers);
    agree::<acp::NewSessionRequest, schema::NewSessionRequest>(&format!(
        r#"{{"cwd":"/w","mcpServers":{servers},"_meta":{{"a":1}}}}"#
    ));
    let request = format!(r#"{{"sessionId":"s","cwd":"/w","mcpServers":{servers},"_meta":{{"a":1}}}}"#);
    agree::<acp::LoadSessionRequest, schema::LoadSessionRequest>(&request);
    agree::<acp::ResumeSessionRequest, schema::ResumeSessionRequest>(&request);
    agree::<acp::CloseSessionRequest, schema::CloseSessionRequest>(r#"{"sessionId":"s"}"#);
    agree::<acp::Empty, schema::CloseSessionResponse>("{}");

    let state = r#""modes":{"currentModeId":"ask","availableModes":[{"id":"ask","name":"Ask","description":"d"}]},
        "configOptions":[{"id":"model","name":"Model","category":"model","type":"select","currentValue":"a",
            "options":[{"value":"a","name":"A"}]}],"_meta":{"a":1}"#;
    agree::<acp::NewSessionResponse, schema::NewSessionResponse>(&format!(r#"{{"sessionId":"s",{state}}}"#));
    agree::<acp::LoadSessionResponse, schema::LoadSessionResponse>(&format!("{{{state}}}"));
    agree::<acp::ResumeSessionResponse, schema::ResumeSessionResponse>(&format!("{{{state}}}"));
}

#[test]
fn turns_modes_and_options() {
    agree::<acp::PromptRequest, schema::PromptRequest>(
        r#"{"sessionId":"s","prompt":[{"type":"text","text":"hi"}],"_meta":{"a":1}}"#,
    );
    for reason in ["end_turn", "max_tokens", "max_turn_requests", "refusal", "cancelled"] {
        agree::<acp::PromptResponse, schema::PromptResponse>(&format!(
            r#"{{"stopReason":"{reason}","usage":{{"totalTokens":9,"inputTokens":5,"outputTokens":4,"thoughtTokens":1,
                "cachedReadTokens":2,"cachedWriteTokens":3}},"_meta":{{"a":1}}}}"#
        ));
    }
    agree::<acp::CancelNotification, schema::CancelNotification>(r#"{"sessionId":"s"}"#);
    agree::<acp::SetSessionModeRequest, schema::SetSessionModeRequest>(r#"{"sessionId":"s","modeId":"ask"}"#);
    agree::<acp::Empty, schema::SetSessionModeResponse>("{}");
    for value in [r#""value":"a""#, r#""type":"boolean","value":true"#] {
        agree::<acp::SetSessionConfigOptionRequest, schema::SetSessionConfigOptionRequest>(&format!(
            r#"{{"sessionId":"s","configId":"model",{value}}}"#
        ));
    }
    agree::<acp::SetSessionConfigOptionResponse, schema::SetSessionConfigOptionResponse>(
        r#"{"configOptions":[{"id":"fast","name":"Fast","type":"boolean","currentValue":true}]}"#,
    );
}

#[test]
fn permissions() {
    agree::<acp::RequestPermissionRequest, schema::RequestPermissionRequest>(
        r#"{"sessionId":"s","toolCall":{"toolCallId":"t","title":"T","kind":"edit"},"options":[
            {"optionId":"1","name":"Allow","kind":"allow_once","_meta":{"a":1}},
            {"optionId":"2","name":"Always","kind":"allow_always"},
            {"optionId":"3","name":"Reject","kind":"reject_once"},
            {"optionId":"4","name":"Never","kind":"reject_always"}],"_meta":{"a":1}}"#,
    );
    for outcome in [r#"{"outcome":"selected","optionId":"1"}"#, r#"{"outcome":"cancelled"}"#] {
        agree::<acp::RequestPermissionResponse, schema::RequestPermissionResponse>(&format!(
            r#"{{"outcome":{outcome}}}"#
        ));
    }
}

#[test]
fn files() {
    agree::<acp::ReadTextFileRequest, schema::ReadTextFileRequest>(
        r#"{"sessionId":"s","path":"/w/a","line":3,"limit":5}"#,
    );
    agree::<acp::ReadTextFileResponse, schema::ReadTextFileResponse>(r#"{"content":"text\n"}"#);
    agree::<acp::WriteTextFileRequest, schema::WriteTextFileRequest>(
        r#"{"sessionId":"s","path":"/w/a","content":"text"}"#,
    );
    agree::<acp::Empty, schema::WriteTextFileResponse>("{}");
}

#[test]
fn terminals() {
    agree::<acp::CreateTerminalRequest, schema::CreateTerminalRequest>(
        r#"{"sessionId":"s","command":"ls","args":["-l"],"env":[{"name":"K","value":"v"}],"cwd":"/w","outputByteLimit":99}"#,
    );
    agree::<acp::CreateTerminalResponse, schema::CreateTerminalResponse>(r#"{"terminalId":"t"}"#);
    let terminal = r#"{"sessionId":"s","terminalId":"t"}"#;
    agree::<acp::TerminalRequest, schema::TerminalOutputRequest>(terminal);
    agree::<acp::TerminalRequest, schema::WaitForTerminalExitRequest>(terminal);
    agree::<acp::TerminalRequest, schema::KillTerminalRequest>(terminal);
    agree::<acp::TerminalRequest, schema::ReleaseTerminalRequest>(terminal);
    for status in [r#"{"exitCode":1}"#, r#"{"signal":"SIGTERM"}"#] {
        agree::<acp::TerminalOutputResponse, schema::TerminalOutputResponse>(&format!(
            r#"{{"output":"a","truncated":true,"exitStatus":{status}}}"#
        ));
        agree::<acp::TerminalExitStatus, schema::WaitForTerminalExitResponse>(status);
    }
    agree::<acp::Empty, schema::KillTerminalResponse>("{}");
    agree::<acp::Empty, schema::ReleaseTerminalResponse>("{}");
}

#[test]
fn content_blocks() {
    let notes = r#""annotations":{"priority":0.5},"_meta":{"a":1}"#;
    for block in [
        format!(r#"{{"type":"text","text":"hi",{notes}}}"#),
        format!(r#"{{"type":"image","data":"AA==","mimeType":"image/png","uri":"file:///a",{notes}}}"#),
        format!(r#"{{"type":"audio","data":"AA==","mimeType":"audio/wav",{notes}}}"#),
        format!(
            r#"{{"type":"resource_link","uri":"file:///a","name":"a","title":"A","description":"d","mimeType":"text/plain","size":7,{notes}}}"#
        ),
        format!(
            r#"{{"type":"resource","resource":{{"uri":"file:///a","text":"t","mimeType":"text/plain"}},{notes}}}"#
        ),
        format!(
            r#"{{"type":"resource","resource":{{"uri":"file:///a","blob":"AA==","mimeType":"a/b"}},{notes}}}"#
        ),
    ] {
        agree::<acp::ContentBlock, schema::ContentBlock>(&block);
        let read: acp::ContentBlock = serde_json::from_str(&block).unwrap();
        assert!(!matches!(read, acp::ContentBlock::Unknown(_)), "{block} is known");
    }
}

#[test]
fn session_updates() {
    let chunk = r#""messageId":"m","content":{"type":"text","text":"hi"},"_meta":{"a":1}"#;
    let tool = r#""toolCallId":"t","title":"T","name":"write","kind":"edit","status":"in_progress","content":[
            {"type":"content","content":{"type":"text","text":"hi"}},
            {"type":"diff","path":"/w/a","oldText":"a","newText":"b"},
            {"type":"terminal","terminalId":"x"}],
        "locations":[{"path":"/w/a","line":7}],"rawInput":{"a":[1]},"rawOutput":"out","_meta":{"a":1}"#;
    let updates = [
        format!(r#"{{"sessionUpdate":"user_message_chunk",{chunk}}}"#),
        format!(r#"{{"sessionUpdate":"agent_message_chunk",{chunk}}}"#),
        format!(r#"{{"sessionUpdate":"agent_thought_chunk",{chunk}}}"#),
        format!(r#"{{"sessionUpdate":"tool_call",{tool}}}"#),
        format!(r#"{{"sessionUpdate":"tool_call_update",{tool}}}"#),
        r#"{"sessionUpdate":"tool_call_update","toolCallId":"t","status":"completed"}"#.into(),
        r#"{"sessionUpdate":"plan","entries":[{"content":"c","priority":"high","status":"pending"},
            {"content":"d","priority":"low","status":"in_progress"}],"_meta":{"a":1}}"#
            .into(),
        r#"{"sessionUpdate":"available_commands_update","availableCommands":[
            {"name":"n","description":"d","input":{"hint":"h"}}]}"#
            .into(),
        r#"{"sessionUpdate":"current_mode_update","currentModeId":"ask"}"#.into(),
        r#"{"sessionUpdate":"usage_update","used":5,"size":9,"cost":{"amount":0.5,"currency":"USD"}}"#.into(),
    ];
    for update in updates {
        agree::<acp::SessionUpdate, schema::SessionUpdate>(&update);
        let read: acp::SessionUpdate = serde_json::from_str(&update).unwrap();
        assert!(!matches!(read, acp::SessionUpdate::Unknown(_)), "{update} is known");

        let raw = read.to_raw();
        let notification = acp::SessionNotification { session_id: "s".into(), update: &raw };
        let theirs: schema::SessionNotification =
            serde_json::from_str(&serde_json::to_string(&notification).unwrap()).unwrap();
        assert_eq!(serde_json::to_value(&theirs.update).unwrap(), serde_json::to_value(&read).unwrap());
    }
}

#[test]
fn merged_updates_are_updates() {
    let chunk = |text: &str| acp::SessionUpdate::agent_text(text).to_raw();
    let tool = |status: acp::ToolCallStatus| {
        let call =
            acp::ToolCall { tool_call_id: "t".into(), status: Some(status), ..acp::ToolCall::default() };
        acp::SessionUpdate::ToolCallUpdate(call).to_raw()
    };
    let mut merger = acp::merge::Merger::default();
    for update in
        [chunk("a"), chunk("b"), tool(acp::ToolCallStatus::InProgress), tool(acp::ToolCallStatus::Completed)]
    {
        merger.push(&update);
    }
    let expected = [
        r#"{"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"ab"}}"#,
        r#"{"sessionUpdate":"tool_call_update","toolCallId":"t","status":"completed"}"#,
    ];
    let merged: Vec<schema::SessionUpdate> =
        merger.flush().iter().map(|raw| serde_json::from_str(raw.get()).unwrap()).collect();
    assert_eq!(merged, expected.map(|json| serde_json::from_str(json).unwrap()));
}

#[test]
fn envelopes() {
    let mut line = Vec::new();
    let id = jsonrpc::Id::try_from("t.1").unwrap();
    let params = acp::CancelNotification { session_id: "s".into() };
    jsonrpc::write_request(&mut line, &id, method::SESSION_CLOSE, &params).unwrap();
    let request: schema::Request<schema::CloseSessionRequest> = serde_json::from_slice(&line).unwrap();
    assert_eq!((request.id, &*request.method), (schema::RequestId::Str("t.1".into()), "session/close"));
    assert_eq!(&*request.params.unwrap().session_id.0, "s");

    line.clear();
    let error = jsonrpc::ErrorObject::new(jsonrpc::code::AUTH_REQUIRED, "log in");
    jsonrpc::write_error(&mut line, &jsonrpc::Id::from(7), &error);
    let response: schema::Response<Value> = serde_json::from_slice(&line).unwrap();
    let expected = schema::Error::new(-32000, "log in");
    assert_eq!(response, schema::Response::Error { id: schema::RequestId::Number(7), error: expected });
}

#[test]
fn error_codes() {
    use jsonrpc::code;
    use schema::ErrorCode;
    for (ours, theirs) in [
        (code::PARSE_ERROR, ErrorCode::ParseError),
        (code::INVALID_REQUEST, ErrorCode::InvalidRequest),
        (code::METHOD_NOT_FOUND, ErrorCode::MethodNotFound),
        (code::INVALID_PARAMS, ErrorCode::InvalidParams),
        (code::INTERNAL_ERROR, ErrorCode::InternalError),
        (code::AUTH_REQUIRED, ErrorCode::AuthRequired),
        (code::RESOURCE_NOT_FOUND, ErrorCode::ResourceNotFound),
        (code::REQUEST_CANCELLED, ErrorCode::RequestCancelled),
    ] {
        assert_eq!(ours, i64::from(i32::from(theirs)));
    }
}

#[test]
fn methods() {
    let agent = schema::AGENT_METHOD_NAMES;
    let client = schema::CLIENT_METHOD_NAMES;
    for (ours, theirs) in [
        (method::INITIALIZE, agent.initialize),
        (method::AUTHENTICATE, agent.authenticate),
        (method::SESSION_NEW, agent.session_new),
        (method::SESSION_LOAD, agent.session_load),
        (method::SESSION_RESUME, agent.session_resume),
        (method::SESSION_CLOSE, agent.session_close),
        (method::SESSION_PROMPT, agent.session_prompt),
        (method::SESSION_CANCEL, agent.session_cancel),
        (method::SESSION_SET_MODE, agent.session_set_mode),
        (method::SESSION_SET_CONFIG_OPTION, agent.session_set_config_option),
        (method::SESSION_UPDATE, client.session_update),
        (method::SESSION_REQUEST_PERMISSION, client.session_request_permission),
        (method::FS_READ_TEXT_FILE, client.fs_read_text_file),
        (method::FS_WRITE_TEXT_FILE, client.fs_write_text_file),
        (method::TERMINAL_CREATE, client.terminal_create),
        (method::TERMINAL_OUTPUT, client.terminal_output),
        (method::TERMINAL_WAIT_FOR_EXIT, client.terminal_wait_for_exit),
        (method::TERMINAL_KILL, client.terminal_kill),
        (method::TERMINAL_RELEASE, client.terminal_release),
    ] {
        assert_eq!(ours, theirs);
    }
    assert_eq!(acp::PROTOCOL_VERSION, agent_client_protocol_schema::ProtocolVersion::V1.as_u16());
}
