//! The tools: their names, arguments and results, once.

use std::sync::{Arc, LazyLock};

use rmcp::model::{JsonObject, Tool as Shown};
use serde_json::{Value, json};

/// A tool.
#[derive(Debug)]
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    does: &'static str,
    pub(crate) takes: &'static [Argument],
    gives: Gives,
}

/// What a tool gives.
#[derive(Debug, Clone, Copy)]
enum Gives {
    Object,
    List,
    /// An object that its reader looks for in the text alone: Claude Code takes no decision from a result with a value.
    Words,
}

/// An argument of a tool.
#[derive(Debug)]
pub(crate) struct Argument {
    pub(crate) name: &'static str,
    pub(crate) is: Is,
    pub(crate) need: Need,
    says: &'static str,
}

/// What an argument is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Is {
    Text,
    Object,
    Any,
    Whole,
    Texts,
}

/// Whether an argument must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// It must.
    Always,
    /// It may be absent, or `null`.
    Never,
    /// It may be absent: then it is this text.
    Text(&'static str),
    /// It may be absent: then it is this number.
    Number(u64),
}

const fn argument(name: &'static str, is: Is, need: Need, says: &'static str) -> Argument {
    Argument { name, is, need, says }
}

const SESSION: Argument =
    argument("session_id", Is::Text, Need::Always, "The session; an empty text is one of the client's own.");
const REQUEST: Argument = argument("request_id", Is::Text, Need::Always, "");
const METADATA: Argument = argument("metadata", Is::Object, Need::Never, "");
const PRIORITY: Argument =
    argument("priority", Is::Text, Need::Text("NORMAL"), "LOW, NORMAL, HIGH or URGENT.");
const TAGS: Argument = argument("tags", Is::Texts, Need::Never, "");
const KEY: Argument =
    argument("idempotency_key", Is::Text, Need::Never, "A retry with the same key gets the first outcome.");

const SHARED_KEY: Argument = argument("key", Is::Text, Need::Always, "The key.");
const NAMESPACE: Argument =
    argument("namespace", Is::Text, Need::Text("default"), "The namespace of the key.");

const fn tool(name: &'static str, gives: Gives, takes: &'static [Argument], does: &'static str) -> Tool {
    Tool { name, does, takes, gives }
}

/// All tools, in the order in which they are listed: those of the original hub first.
pub(crate) const TOOLS: &[Tool] = &[
    tool("hub_status", Gives::Object, &[], "Where the hub is, and how many sessions it has."),
    tool(
        "register_session",
        Gives::Object,
        &[
            argument("display_name", Is::Text, Need::Always, "What people see."),
            argument("tenant_id", Is::Text, Need::Never, ""),
            METADATA,
        ],
        "Register an agent's session, so that people see it and it can ask them.",
    ),
    tool(
        "heartbeat_session",
        Gives::Object,
        &[
            SESSION,
            argument("state", Is::Text, Need::Never, "WORKING, WAITING_FOR_INPUT, DONE or ERROR."),
            METADATA,
        ],
        "Say that the agent of a session is still there, and what it does.",
    ),
    tool(
        "set_session_state",
        Gives::Object,
        &[SESSION, argument("state", Is::Text, Need::Always, "WORKING, WAITING_FOR_INPUT, DONE or ERROR.")],
        "Say what the agent of a session does.",
    ),
    tool("list_sessions", Gives::List, &[], "List the sessions, the one last seen first."),
    tool(
        "create_input_request",
        Gives::Object,
        &[
            SESSION,
            argument("title", Is::Text, Need::Always, "One line, at most 255 characters."),
            argument("question", Is::Text, Need::Always, ""),
            argument("context_json", Is::Any, Need::Never, "Whatever helps to decide."),
            PRIORITY,
            TAGS,
            KEY,
        ],
        "Ask a person without waiting. The answer comes into the session's inbox: poll_inbox fetches it. To ask and wait in \
         one call, use ask_human.",
    ),
    tool(
        "list_requests",
        Gives::List,
        &[argument("status", Is::Text, Need::Text("PENDING"), "PENDING, ANSWERED or DISMISSED.")],
        "List requests: those that wait by urgency and age, others newest first.",
    ),
    tool("get_request", Gives::Object, &[REQUEST], "Show a request and its answer."),
    tool(
        "respond_to_request",
        Gives::Object,
        &[
            REQUEST,
            argument("response_text", Is::Text, Need::Always, ""),
            argument("responder", Is::Text, Need::Text("human"), "What the person is called."),
            KEY,
        ],
        "Answer a request in a person's name. The first answer wins. An agent never answers what it has asked itself.",
    ),
    tool(
        "poll_inbox",
        Gives::Object,
        &[SESSION, argument("timeout", Is::Whole, Need::Number(30), "Seconds to wait: 0 to 120.")],
        "Wait for answers in a session's inbox. Each comes again until it is acknowledged.",
    ),
    tool(
        "ack_inbox_message",
        Gives::Object,
        &[SESSION, argument("message_id", Is::Text, Need::Always, "")],
        "Acknowledge a message of a session's inbox, so that it does not come again.",
    ),
    tool(
        "dismiss_request",
        Gives::Object,
        &[REQUEST],
        "Set a request aside: nobody is asked any more, but it can still be answered.",
    ),
    tool(
        "ask_human",
        Gives::Object,
        &[
            argument("question", Is::Text, Need::Always, "The question in full."),
            argument(
                "title",
                Is::Text,
                Need::Never,
                "One line; the beginning of the question, if not given.",
            ),
            argument(
                "options",
                Is::Texts,
                Need::Never,
                "Answers to choose from, at most 20; without any, the answer is a text.",
            ),
            argument("context_json", Is::Any, Need::Never, "Whatever helps to decide."),
            PRIORITY,
            TAGS,
            argument(
                "timeout",
                Is::Whole,
                Need::Never,
                "Seconds to wait, at most 604800; as long as it takes, if not given.",
            ),
            argument(
                "session_id",
                Is::Text,
                Need::Never,
                "The session that asks; one of your own, if not given.",
            ),
        ],
        "Ask a person and wait for the answer. Use it when you need a decision, information or an approval that only a \
         person can give. The status is ANSWERED, or DISMISSED, EXPIRED or CANCELLED when nobody answers.",
    ),
    tool(
        "approve_tool_use",
        Gives::Words,
        &[
            argument("tool_name", Is::Text, Need::Always, "The tool that wants to run."),
            argument("input", Is::Object, Need::Always, "What it would be given."),
            argument("tool_use_id", Is::Text, Need::Never, ""),
        ],
        "Ask a person whether a tool may run. Made for Claude Code's --permission-prompt-tool.",
    ),
    tool(
        "send_to_agent",
        Gives::Object,
        &[
            argument("to", Is::Text, Need::Always, "The agent's session, its title, or the agent's name."),
            argument("text", Is::Text, Need::Always, "What it should know, or do."),
        ],
        "Write to another agent. One that runs here is woken, or gets it after its turn; the state says whether it was \
         delivered. Do not answer a message with one that says nothing new: agents that wake each other are held back.",
    ),
    tool(
        "handoff_save",
        Gives::Object,
        &[
            argument("summary", Is::Text, Need::Always, "What is being done, and how far it is."),
            argument("decisions", Is::Texts, Need::Never, "What was decided, and why."),
            argument("todos", Is::Texts, Need::Never, "What is left to do, the next step first."),
            argument("files", Is::Texts, Need::Never, "Which files were touched."),
            argument("status", Is::Text, Need::Never, "active, paused or completed; active, if not given."),
            argument("checkpoint", Is::Any, Need::Never, "Whatever else is needed to go on from here."),
            argument("repo", Is::Text, Need::Never, "The repository; your own, if not given."),
            argument(
                "handoff_id",
                Is::Text,
                Need::Never,
                "One of yours, to change it instead of saving another.",
            ),
            argument(
                "session_id",
                Is::Text,
                Need::Never,
                "The session it comes from; your own, if not given.",
            ),
        ],
        "Leave your work so that another agent, of any vendor, can go on with it. Call it before you stop with something \
         unfinished, and when what you know has changed.",
    ),
    tool(
        "handoff_resume",
        Gives::Object,
        &[
            argument("handoff_id", Is::Text, Need::Never, "Which; else the newest that is left."),
            argument("repo", Is::Text, Need::Never, "The repository; your own, if not given."),
            argument("agent", Is::Text, Need::Never, "Only work of this agent."),
        ],
        "Take over work that another agent has left. The prompt tells what is known of it: what is quoted in it with `| ` is \
         that agent's record.",
    ),
    tool(
        "kv_get",
        Gives::Object,
        &[SHARED_KEY, NAMESPACE],
        "Read what agents share under a key. Without one the value and the revision are null.",
    ),
    tool(
        "kv_put",
        Gives::Object,
        &[
            SHARED_KEY,
            argument("value", Is::Any, Need::Always, "Any JSON."),
            NAMESPACE,
            argument("ttl_seconds", Is::Whole, Need::Never, "How long it lasts; for ever, if not given."),
            argument(
                "if_revision",
                Is::Whole,
                Need::Never,
                "Write only if the key has this revision, as kv_get tells it; 0: only if it is not there.",
            ),
        ],
        "Share a value with other agents under a key. Fails if the key has changed since the revision that was given.",
    ),
];

/// A tool by its name.
pub(crate) fn find(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.name == name)
}

/// The tools as clients see them.
pub(crate) fn shown() -> Vec<Shown> {
    static SHOWN: LazyLock<Vec<Shown>> = LazyLock::new(|| TOOLS.iter().map(Tool::show).collect());
    SHOWN.clone()
}

impl Tool {
    fn show(&self) -> Shown {
        let shown = Shown::new(self.name, self.does, Arc::new(object(self.input())));
        match self.output() {
            Some(output) => shown.with_raw_output_schema(Arc::new(object(output))),
            None => shown,
        }
    }

    /// Whether a result has its object as a value too.
    pub(crate) const fn gives_value(&self) -> bool {
        !matches!(self.gives, Gives::Words)
    }

    fn input(&self) -> Value {
        let properties: JsonObject =
            self.takes.iter().map(|argument| (argument.name.to_owned(), argument.schema())).collect();
        let mut schema =
            json!({ "type": "object", "properties": properties, "title": format!("{}Arguments", self.name) });
        let required: Vec<_> = self.required().collect();
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        schema
    }

    fn required(&self) -> impl Iterator<Item = &'static str> {
        self.takes.iter().filter(|argument| argument.need == Need::Always).map(|argument| argument.name)
    }

    fn output(&self) -> Option<Value> {
        Some(match self.gives {
            Gives::Words => return None,
            Gives::Object => json!({
                "type": "object", "additionalProperties": true, "title": format!("{}DictOutput", self.name)
            }),
            Gives::List => json!({
                "type": "object",
                "properties": {
                    "result": {
                        "type": "array",
                        "items": { "type": "object", "additionalProperties": true },
                        "title": "Result"
                    }
                },
                "required": ["result"],
                "title": format!("{}Output", self.name)
            }),
        })
    }
}

impl Argument {
    fn schema(&self) -> Value {
        let kind = match self.is {
            Is::Text => json!({ "type": "string" }),
            Is::Object => json!({ "type": "object", "additionalProperties": true }),
            Is::Any => json!({}),
            Is::Whole => json!({ "type": "integer" }),
            Is::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        };
        let mut schema = match self.need {
            Need::Always => kind,
            Need::Never => json!({ "anyOf": [kind, { "type": "null" }], "default": null }),
            Need::Text(default) => with(kind, "default", json!(default)),
            Need::Number(default) => with(kind, "default", json!(default)),
        };
        if !self.says.is_empty() {
            schema["description"] = json!(self.says);
        }
        with(schema, "title", json!(title(self.name)))
    }
}

fn with(mut schema: Value, key: &str, value: Value) -> Value {
    schema[key] = value;
    schema
}

/// `session_id` → `Session Id`.
fn title(name: &str) -> String {
    let words = name.split('_').map(|word| {
        let (first, rest) = word.split_at(1);
        first.to_ascii_uppercase() + rest
    });
    words.collect::<Vec<_>>().join(" ")
}

fn object(schema: Value) -> JsonObject {
    match schema {
        Value::Object(object) => object,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            unreachable!("a schema is an object")
        }
    }
}
