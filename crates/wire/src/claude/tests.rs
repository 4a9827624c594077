//! The adapter, as transcripts: what one side says, and what the other hears of it.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

struct Talk(Adapter);

/// What each side hears: the client, then Claude.
type Heard = (Vec<Value>, Vec<Value>);

impl Talk {
    /// A process that was greeted and has its session.
    fn open() -> Self {
        let mut talk = Self(Adapter::new("s"));
        talk.client(&json!({ "jsonrpc": "2.0", "id": "i", "method": "initialize", "params": {} }));
        talk.claude(&json!({
            "type": "control_response",
            "response": {
                "subtype": "success", "request_id": "trunkline-1",
                "response": {
                    "commands": [{ "name": "compact", "description": "Shorten\nit", "argumentHint": "<how>" }],
                    "models": [
                        { "value": "default", "displayName": "Default", "description": "Good" },
                        { "value": "opus", "displayName": "Opus" },
                    ],
                },
            },
        }));
        talk.client(&json!({ "jsonrpc": "2.0", "id": "n", "method": "session/new", "params": {} }));
        talk
    }

    fn prompted() -> Self {
        let mut talk = Self::open();
        talk.prompt("p", &json!([{ "type": "text", "text": "Go" }]));
        talk
    }

    fn prompt(&mut self, id: &str, blocks: &Value) -> Heard {
        let params = json!({ "sessionId": "s", "prompt": blocks });
        self.client(&json!({ "jsonrpc": "2.0", "id": id, "method": "session/prompt", "params": params }))
    }

    fn claude(&mut self, said: &Value) -> Heard {
        self.claude_line(said.to_string().as_bytes())
    }

    fn claude_line(&mut self, line: &[u8]) -> Heard {
        self.0.hear(line);
        self.heard()
    }

    fn client(&mut self, said: &Value) -> Heard {
        self.0.say(said.to_string().as_bytes());
        self.heard()
    }

    fn heard(&mut self) -> Heard {
        let Out { client, claude } = self.0.take();
        let read = |lines: Vec<Vec<u8>>| -> Vec<Value> {
            lines
                .iter()
                .inspect(|line| assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1))
                .map(|line| serde_json::from_slice(line).unwrap())
                .collect()
        };
        (read(client), read(claude))
    }

    /// The updates that the client hears when Claude says this.
    fn updates(&mut self, said: &Value) -> Vec<Value> {
        let (client, claude) = self.claude(said);
        assert_eq!(claude, [Value::Null; 0]);
        client.into_iter().map(|line| line["params"]["update"].clone()).collect()
    }
}

fn streamed(event: &Value) -> Value {
    json!({ "type": "stream_event", "event": event, "parent_tool_use_id": null, "session_id": "s" })
}

fn delta(text: &str) -> Value {
    streamed(
        &json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": text } }),
    )
}

fn assistant(id: &str, block: &Value) -> Value {
    json!({ "type": "assistant", "message": { "id": id, "role": "assistant", "content": [block] }, "parent_tool_use_id": null })
}

fn tool_use(id: &str, name: &str, input: &Value) -> Value {
    assistant("m", &json!({ "type": "tool_use", "id": id, "name": name, "input": input }))
}

fn tool_result(id: &str, content: &Value, is_error: bool) -> Value {
    let block = json!({ "type": "tool_result", "tool_use_id": id, "content": content, "is_error": is_error });
    json!({ "type": "user", "message": { "role": "user", "content": [block] }, "parent_tool_use_id": null })
}

fn result(members: &Value) -> Value {
    let mut result =
        json!({ "type": "result", "subtype": "success", "is_error": false, "stop_reason": "end_turn" });
    result.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    result
}

fn can_use(name: &str, input: &Value) -> Value {
    let request = json!({ "subtype": "can_use_tool", "tool_name": name, "input": input, "tool_use_id": "t" });
    json!({ "type": "control_request", "request_id": "r", "request": request })
}

fn chosen(id: &str, option: &str) -> Value {
    let outcome = json!({ "outcome": "selected", "optionId": option });
    json!({ "jsonrpc": "2.0", "id": id, "result": { "outcome": outcome } })
}

fn text(text: &str) -> Value {
    json!({ "sessionUpdate": "agent_message_chunk", "content": { "type": "text", "text": text } })
}

#[test]
fn a_session_is_opened_with_what_claude_offers() {
    let mut talk = Talk(Adapter::new("s"));
    let (client, claude) = talk.client(&json!({ "jsonrpc": "2.0", "id": "i", "method": "initialize" }));
    let greeting = json!({ "type": "control_request", "request_id": "trunkline-1", "request": { "subtype": "initialize" } });
    assert_eq!((client, claude), (vec![], vec![greeting]));
    let models = json!([{ "value": "opus", "displayName": "Opus" }]);
    let response =
        json!({ "subtype": "success", "request_id": "trunkline-1", "response": { "models": models } });
    let (client, _) = talk.claude(&json!({ "type": "control_response", "response": response }));
    assert_eq!(client[0]["id"], "i");
    assert_eq!(client[0]["result"]["agentCapabilities"]["sessionCapabilities"], json!({ "resume": {} }));
    let (client, claude) = talk.client(&json!({ "jsonrpc": "2.0", "id": "n", "method": "session/new" }));
    let opened = &client[0]["result"];
    assert_eq!((&opened["sessionId"], claude), (&json!("s"), vec![]));
    assert_eq!(opened["modes"]["currentModeId"], "default");
    assert_eq!(opened["models"]["currentModelId"], "opus");
    assert_eq!(client[1]["params"]["update"]["sessionUpdate"], "available_commands_update");
}

#[test]
fn what_streams_is_said_once_and_what_does_not_is_said_too() {
    let mut talk = Talk::prompted();
    assert_eq!(
        talk.updates(&streamed(&json!({ "type": "message_start", "message": { "id": "m1" } }))),
        [json!(null); 0]
    );
    assert_eq!(talk.updates(&delta("I will ")), [text("I will ")]);
    assert_eq!(talk.updates(&delta("write.")), [text("write.")]);
    let whole = json!({ "type": "text", "text": "I will write." });
    assert_eq!(talk.updates(&assistant("m1", &whole)), [json!(null); 0]);
    assert_eq!(
        talk.updates(&assistant("m2", &json!({ "type": "text", "text": "Made up." }))),
        [text("Made up.")]
    );
    let thought = streamed(
        &json!({ "type": "content_block_delta", "delta": { "type": "thinking_delta", "thinking": "hm" } }),
    );
    assert_eq!(talk.updates(&thought)[0]["sessionUpdate"], "agent_thought_chunk");
}

#[test]
fn a_call_is_shown_from_its_name_to_its_result() {
    let mut talk = Talk::prompted();
    let block = json!({ "type": "tool_use", "id": "t", "name": "Bash", "input": {} });
    let begun = talk.updates(&streamed(&json!({ "type": "content_block_start", "content_block": block })));
    let meta = json!({ "claudeCode": { "toolName": "Bash" } });
    let expected = json!({
        "sessionUpdate": "tool_call", "toolCallId": "t", "title": "Bash", "kind": "execute", "status": "pending",
        "_meta": meta,
    });
    assert_eq!(begun, [expected]);
    let input = json!({ "command": "df -h", "description": "Free space" });
    let expected = json!({
        "sessionUpdate": "tool_call_update", "toolCallId": "t", "title": "df -h", "kind": "execute",
        "content": [{ "type": "content", "content": { "type": "text", "text": "Free space" } }],
        "rawInput": input, "_meta": meta,
    });
    assert_eq!(talk.updates(&tool_use("t", "Bash", &input)), [expected]);
    let done = talk.updates(&tool_result("t", &json!("30G"), false));
    assert_eq!(done[0]["status"], "completed");
    assert_eq!(done[0]["content"][0]["content"]["text"], "30G");
    assert_eq!(talk.updates(&tool_result("t", &json!("again"), false)), [json!(null); 0]);
}

#[test]
fn an_edit_is_shown_as_what_it_changes_and_stays_so() {
    let mut talk = Talk::prompted();
    let input = json!({ "file_path": "/w/a.rs", "old_string": "a", "new_string": "b" });
    let call = talk.updates(&tool_use("t", "Edit", &input)).remove(0);
    assert_eq!(call["title"], "Edit /w/a.rs");
    assert_eq!(
        call["content"],
        json!([{ "type": "diff", "path": "/w/a.rs", "oldText": "a", "newText": "b" }])
    );
    assert_eq!(call["locations"], json!([{ "path": "/w/a.rs" }]));
    let done = talk.updates(&tool_result("t", &json!("The file was updated."), false)).remove(0);
    assert_eq!((done["status"].as_str(), &done["content"]), (Some("completed"), &json!(null)));
    talk.updates(&tool_use("u", "Edit", &input));
    let error = json!("<tool_use_error>No such text</tool_use_error>");
    let failed = talk.updates(&tool_result("u", &error, true)).remove(0);
    assert_eq!(failed["status"], "failed");
    assert_eq!(failed["content"][0]["content"]["text"], "No such text");
}

#[test]
fn its_list_of_things_to_do_is_a_plan() {
    let mut talk = Talk::prompted();
    let todos = json!({ "todos": [
        { "content": "Look", "status": "completed", "activeForm": "Looking" },
        { "content": "Leap", "status": "in_progress", "activeForm": "Leaping" },
    ] });
    let plan = talk.updates(&tool_use("t", "TodoWrite", &todos)).remove(0);
    assert_eq!(plan["sessionUpdate"], "plan");
    assert_eq!(
        plan["entries"][1],
        json!({ "content": "Leap", "priority": "medium", "status": "in_progress" })
    );
    assert_eq!(talk.updates(&tool_result("t", &json!("ok"), false)), [json!(null); 0]);
}

#[test]
fn another_agents_words_are_not_claudes_and_its_calls_name_their_parent() {
    let mut talk = Talk::prompted();
    let mut said = assistant("m", &json!({ "type": "text", "text": "below" }));
    said["parent_tool_use_id"] = json!("task");
    let thought = talk.updates(&said).remove(0);
    assert_eq!(thought["sessionUpdate"], "agent_thought_chunk");
    let mut call = tool_use("t", "Read", &json!({ "file_path": "/w/a" }));
    call["parent_tool_use_id"] = json!("task");
    assert_eq!(talk.updates(&call)[0]["_meta"]["claudeCode"]["parentToolUseId"], "task");
}

#[test]
fn a_permission_is_asked_and_the_answer_goes_back() {
    let mut talk = Talk::prompted();
    talk.updates(&tool_use("t", "Bash", &json!({ "command": "ls" })));
    let (client, claude) = talk.claude(&can_use("Bash", &json!({ "command": "ls" })));
    let asked = &client[0];
    assert_eq!(
        (asked["method"].as_str(), asked["id"].as_str()),
        (Some("session/request_permission"), Some("r"))
    );
    assert_eq!(asked["params"]["toolCall"]["rawInput"], json!({ "command": "ls" }));
    let kinds: Vec<_> = asked["params"]["options"]
        .as_array()
        .unwrap()
        .iter()
        .map(|option| option["kind"].as_str().unwrap())
        .collect();
    assert_eq!((kinds, claude), (vec!["allow_once", "reject_once"], vec![]));
    let (client, claude) = talk.client(&chosen("r", "allow"));
    assert_eq!(client[0]["params"]["update"]["status"], "in_progress");
    let decision = json!({ "behavior": "allow", "updatedInput": { "command": "ls" } });
    let response = json!({ "subtype": "success", "request_id": "r", "response": decision });
    assert_eq!(claude, [json!({ "type": "control_response", "response": response })]);
    assert_eq!(talk.client(&chosen("r", "allow")), (vec![], vec![]), "a question has one answer");
}

#[test]
fn whatever_is_no_clear_yes_is_a_no() {
    let cancelled =
        json!({ "jsonrpc": "2.0", "id": "r", "result": { "outcome": { "outcome": "cancelled" } } });
    let broken = json!({ "jsonrpc": "2.0", "id": "r", "result": { "outcome": "allow" } });
    let error = json!({ "jsonrpc": "2.0", "id": "r", "error": { "code": -32603, "message": "no" } });
    for answer in [chosen("r", "reject"), chosen("r", "Allow"), cancelled, broken, error] {
        let mut talk = Talk::prompted();
        talk.claude(&can_use("Bash", &json!({ "command": "ls" })));
        let (_, claude) = talk.client(&answer);
        assert_eq!(claude[0]["response"]["response"]["behavior"], "deny", "{answer}");
    }
}

#[test]
fn questions_are_asked_one_after_the_other_and_answered_at_once() {
    let questions = json!({ "questions": [
        { "question": "Which?", "header": "H", "options": [
            { "label": "This", "description": "the one" }, { "label": "That", "description": "the other" },
        ] },
        { "question": "When?", "header": "H", "options": [{ "label": "Now" }, { "label": "Later" }] },
    ] });
    let mut talk = Talk::prompted();
    let (client, _) = talk.claude(&can_use("AskUserQuestion", &questions));
    let asked = &client[0]["params"];
    assert_eq!(asked["toolCall"]["title"], "Which?");
    assert_eq!(asked["options"][1], json!({ "optionId": "That", "name": "That", "kind": "choice" }));
    let (client, claude) = talk.client(&chosen("r", "That"));
    assert_eq!((client[0]["params"]["toolCall"]["title"].as_str(), claude), (Some("When?"), vec![]));
    let (_, claude) = talk.client(&chosen("r", "Now"));
    let input = &claude[0]["response"]["response"]["updatedInput"];
    assert_eq!(input["answers"], json!({ "Which?": "That", "When?": "Now" }));
    assert_eq!(input["questions"], questions["questions"]);
}

#[test]
fn what_is_not_known_here_is_refused_and_not_left_hanging() {
    let mut talk = Talk::prompted();
    let hook =
        json!({ "type": "control_request", "request_id": "h", "request": { "subtype": "hook_callback" } });
    let (client, claude) = talk.claude(&hook);
    assert_eq!((client, claude[0]["response"]["subtype"].as_str()), (vec![], Some("error")));
}

#[test]
fn a_turn_ends_for_a_reason_and_with_what_it_used() {
    let mut talk = Talk::prompted();
    talk.updates(&streamed(
        &json!({ "type": "message_delta", "usage": { "input_tokens": 10, "output_tokens": 5 } }),
    ));
    talk.updates(&delta("Done."));
    let (client, _) = talk.claude(&result(&json!({
        "result": "Done.", "total_cost_usd": 0.5, "usage": { "input_tokens": 20, "output_tokens": 10 },
        "modelUsage": { "opus": { "contextWindow": 1000 } },
    })));
    let gauge = json!({ "sessionUpdate": "usage_update", "used": 15, "size": 1000, "cost": { "amount": 0.5, "currency": "USD" } });
    assert_eq!(client[0]["params"]["update"], gauge);
    assert_eq!(client[1]["id"], "p");
    assert_eq!(client[1]["result"]["stopReason"], "end_turn");
    assert_eq!(client[1]["result"]["usage"]["inputTokens"], 20);
    assert_eq!(client.len(), 2, "what was said is not said again");
}

#[test]
fn a_result_that_was_not_said_is_said() {
    let mut talk = Talk::prompted();
    let (client, _) = talk.claude(&result(&json!({ "result": "Cost: 0" })));
    assert_eq!(client[0]["params"]["update"], text("Cost: 0"));
}

#[test]
fn a_turn_that_is_cancelled_ends_so_whatever_claude_calls_it() {
    let mut talk = Talk::prompted();
    let cancel = json!({ "jsonrpc": "2.0", "method": "session/cancel", "params": { "sessionId": "s" } });
    let (_, claude) = talk.client(&cancel);
    assert_eq!(claude[0]["request"], json!({ "subtype": "interrupt" }));
    assert_eq!(talk.client(&cancel), (vec![], vec![]), "it is told once");
    let (client, _) =
        talk.claude(&result(&json!({ "subtype": "error_during_execution", "stop_reason": "tool_use" })));
    assert_eq!(client[0]["result"]["stopReason"], "cancelled");
    talk.prompt("q", &json!([{ "type": "text", "text": "Go" }]));
    let (client, _) = talk.claude(&result(&json!({})));
    assert_eq!(
        (client[0]["id"].as_str(), client[0]["result"]["stopReason"].as_str()),
        (Some("q"), Some("end_turn"))
    );
}

#[test]
fn an_error_is_told_with_its_words_and_a_login_as_one() {
    let ended = |members: &Value| {
        let mut talk = Talk::prompted();
        let (client, _) = talk.claude(&result(members));
        client[0]["error"].clone()
    };
    let error = ended(&json!({ "is_error": true, "result": "API Error: 500" }));
    assert_eq!((error["code"].as_i64(), error["message"].as_str()), (Some(-32603), Some("API Error: 500")));
    let error = ended(&json!({ "is_error": true, "result": "Invalid API key · Please run /login" }));
    assert_eq!(error["code"], -32000);
    let error = ended(&json!({ "subtype": "error_max_budget_usd", "is_error": true, "errors": [] }));
    assert_eq!(error["message"], "error_max_budget_usd");
}

#[test]
fn a_process_without_the_conversation_says_so_before_it_ends() {
    let mut talk = Talk(Adapter::new("s"));
    talk.client(&json!({ "jsonrpc": "2.0", "id": "i", "method": "initialize" }));
    let errors = json!(["No conversation found with session ID: s"]);
    let (client, _) = talk.claude(&result(&json!({ "is_error": true, "errors": errors })));
    assert_eq!(
        (client[0]["id"].as_str(), client[0]["error"]["code"].as_i64()),
        (Some("i"), Some(NO_CONVERSATION))
    );
}

#[test]
fn modes_and_models_are_set_and_told() {
    let mut talk = Talk::open();
    let set = |method: &str, name: &str, value: &str| json!({ "jsonrpc": "2.0", "id": "x", "method": method, "params": { "sessionId": "s", name: value } });
    let done = |number: u64| {
        let response = json!({ "subtype": "success", "request_id": format!("trunkline-{number}") });
        json!({ "type": "control_response", "response": response })
    };
    let (_, claude) = talk.client(&set("session/set_mode", "modeId", "plan"));
    assert_eq!(claude[0]["request"], json!({ "subtype": "set_permission_mode", "mode": "plan" }));
    let (client, _) = talk.claude(&done(2));
    assert_eq!(
        (&client[0]["result"], &client[1]["params"]["update"]["currentModeId"]),
        (&json!({}), &json!("plan"))
    );
    let (_, claude) = talk.client(&set("session/set_model", "modelId", "opus"));
    assert_eq!(claude[0]["request"], json!({ "subtype": "set_model", "model": "opus" }));
    let (client, claude) = talk.client(&set("session/set_mode", "modeId", "bypassPermissions"));
    assert_eq!((client[0]["error"]["code"].as_i64(), claude), (Some(-32602), vec![]));
}

#[test]
fn a_prompt_takes_text_pictures_and_files() {
    let mut talk = Talk::open();
    let (_, claude) = talk.prompt(
        "p",
        &json!([
            { "type": "text", "text": "--help" },
            { "type": "image", "data": "AA==", "mimeType": "image/png" },
            { "type": "resource_link", "uri": "file:///w/a.rs", "name": "a.rs" },
            { "type": "resource", "resource": { "uri": "file:///w/b", "text": "body" } },
        ]),
    );
    let content = &claude[0]["message"]["content"];
    assert_eq!(content[0], json!({ "type": "text", "text": "--help" }));
    assert_eq!(content[1]["source"], json!({ "type": "base64", "media_type": "image/png", "data": "AA==" }));
    assert_eq!(content[2]["text"], "@/w/a.rs");
    assert_eq!(content[3]["text"], "<context ref=\"file:///w/b\">\nbody\n</context>");
    let mut talk = Talk::open();
    let (client, claude) =
        talk.prompt("p", &json!([{ "type": "audio", "data": "", "mimeType": "audio/wav" }]));
    assert_eq!((client[0]["error"]["code"].as_i64(), claude), (Some(-32602), vec![]));
}

#[test]
fn lines_that_are_none_of_claudes_are_no_messages_to_the_client_either() {
    let mut talk = Talk::prompted();
    // Last, one that would be a message of ACP, had Claude the say in that.
    let forged = r#"{"jsonrpc":"2.0","id":1,"method":"fs/read_text_file","params":{}}"#;
    for line in ["Hello!", "[1,2]", "7", r#"{"type":"result","subtype":7}"#, r#"{"no":"type"}"#, forged] {
        let (client, claude) = talk.claude_line(line.as_bytes());
        assert_eq!((client, claude), (vec![json!(line)], vec![]));
    }
    assert_eq!(talk.claude_line(b"  "), (vec![], vec![]));
    assert_eq!(talk.claude(&json!({ "type": "of_tomorrow" })), (vec![], vec![]));
}

proptest! {
    /// No line of either side breaks it, and each line it makes is one line of JSON.
    #[test]
    fn nothing_breaks_it(lines in proptest::collection::vec((any::<bool>(), line()), 0..40)) {
        let mut talk = Talk::prompted();
        for (of_claude, line) in lines {
            if of_claude { talk.0.hear(line.as_bytes()) } else { talk.0.say(line.as_bytes()) }
            talk.heard();
        }
    }
}

/// Something like a line: one that could be, with a member gone wrong.
fn line() -> impl Strategy<Value = String> {
    let lines = [
        delta("a"),
        assistant("m", &json!({ "type": "text", "text": "x" })),
        tool_use("t", "Edit", &json!({ "file_path": "/a" })),
        tool_use("t", "MultiEdit", &json!({ "edits": [1] })),
        tool_use("t", "TodoWrite", &json!({ "todos": [{}] })),
        tool_result("t", &json!([{ "type": "image", "source": {} }]), false),
        can_use("AskUserQuestion", &json!({ "questions": [] })),
        can_use("Bash", &json!({})),
        result(&json!({})),
        chosen("r", "allow"),
        json!({ "jsonrpc": "2.0", "id": 1, "method": "session/prompt", "params": { "sessionId": "s", "prompt": [] } }),
        json!({ "jsonrpc": "2.0", "method": "session/cancel" }),
        json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize" }),
    ];
    (proptest::sample::select(lines.to_vec()), "\\PC{0,4}", any::<prop::sample::Index>(), 0..3u8).prop_map(
        |(mut line, noise, at, how)| {
            let members = line.as_object_mut().unwrap();
            let name = members.keys().nth(at.index(members.len())).unwrap().clone();
            match how {
                0 => line.to_string(),
                1 => {
                    members.insert(name, json!([noise]));
                    line.to_string()
                }
                _ => format!("{}{noise}", line.to_string().split_at(at.index(line.to_string().len())).0),
            }
        },
    )
}
