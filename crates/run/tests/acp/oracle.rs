//! Every line that we write, against the protocol's own types.

use std::collections::HashMap;
use std::path::Path;

use agent_client_protocol_schema::v1 as schema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Deserialize)]
struct Line {
    dir: String,
    line: String,
}

/// Checks what we said in a recorded conversation, and gives the methods of what we asked and told.
pub(crate) fn check(record: &Path) -> Vec<String> {
    let record = std::fs::read_to_string(record).unwrap_or_default();
    let mut asked: HashMap<String, String> = HashMap::new();
    let mut ids = Vec::new();
    let mut said = Vec::new();
    for line in record.lines() {
        let Line { dir, line } = serde_json::from_str(line).unwrap();
        let Ok(message) = serde_json::from_str::<Value>(&line) else { continue };
        let method = message["method"].as_str().map(str::to_owned);
        if dir == "out" {
            asked.extend(method.map(|method| (message["id"].to_string(), method)));
            continue;
        }
        assert_eq!(message["jsonrpc"], "2.0", "{line}");
        match method {
            Some(method) => {
                call(&method, &message["params"]);
                ids.extend(message.get("id").map(Value::to_string));
                said.push(method);
            }
            None => answer(asked.remove(&message["id"].to_string()).as_deref(), &message),
        }
    }
    let unique: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len(), "no id comes twice: {ids:?}");
    said
}

fn call(method: &str, params: &Value) {
    match method {
        "initialize" => same::<schema::InitializeRequest>(params),
        "session/new" => same::<schema::NewSessionRequest>(params),
        "session/load" => same::<schema::LoadSessionRequest>(params),
        "session/resume" => same::<schema::ResumeSessionRequest>(params),
        "session/prompt" => same::<schema::PromptRequest>(params),
        "session/set_mode" => same::<schema::SetSessionModeRequest>(params),
        "session/set_config_option" => same::<schema::SetSessionConfigOptionRequest>(params),
        "session/cancel" => same::<schema::CancelNotification>(params),
        other => panic!("we do not ask for {other}"),
    }
}

fn answer(method: Option<&str>, message: &Value) {
    let result = match message.get("error") {
        Some(error) => return same::<schema::Error>(error),
        None => &message["result"],
    };
    match method.unwrap_or_else(|| panic!("nobody asked for {message}")) {
        "session/request_permission" => same::<schema::RequestPermissionResponse>(result),
        "fs/read_text_file" => same::<schema::ReadTextFileResponse>(result),
        "fs/write_text_file" => same::<schema::WriteTextFileResponse>(result),
        "terminal/create" => same::<schema::CreateTerminalResponse>(result),
        "terminal/output" => same::<schema::TerminalOutputResponse>(result),
        "terminal/wait_for_exit" => same::<schema::WaitForTerminalExitResponse>(result),
        "terminal/kill" => same::<schema::KillTerminalResponse>(result),
        "terminal/release" => same::<schema::ReleaseTerminalResponse>(result),
        other => panic!("{other} is not ours to answer: {message}"),
    }
}

/// Theirs reads it, and knows all that is in it. What is absent they may fill in.
fn same<Theirs: Serialize + DeserializeOwned>(json: &Value) {
    let name = std::any::type_name::<Theirs>();
    let read: Theirs =
        serde_json::from_value(json.clone()).unwrap_or_else(|error| panic!("{name}: {error} in {json}"));
    let theirs = serde_json::to_value(&read).unwrap();
    assert!(is_within(json, &theirs), "{name}: {json} is {theirs}");
}

fn is_within(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let known = |name: &str| theirs.get(name).unwrap_or(&Value::Null);
            ours.iter().all(|(name, value)| is_within(value, known(name)))
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().zip(theirs).all(|(ours, theirs)| is_within(ours, theirs))
        }
        // Some lists that are empty they leave out.
        (Value::Array(ours), Value::Null) => ours.is_empty(),
        (ours, theirs) => ours == theirs,
    }
}
