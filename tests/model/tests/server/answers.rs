//! An answer means the same in every dialect, streamed and whole.

use proptest::prelude::*;
use serde_json::{Value, json};
use trunkline_model_server::{Call, Dialect, ModelServer, Rule, Script, Step, Stop, Usage};

use crate::client::{ALL, Answer, Said, ask, events, raw};

fn script(value: &Value) -> Script {
    Script::from_json(&value.to_string()).unwrap()
}

#[tokio::test]
async fn text_thoughts_calls_and_usage_come_through() {
    let server = ModelServer::start(script(&json!({ "rules": [{
        "answer": [
            { "thought": "A file " }, { "thought": "is wanted." },
            { "text": "I will " }, { "text": "write it." },
            { "call": [
                { "tool": "unknown", "arguments": {} },
                { "tool": "write", "arguments": { "path": "/w/ü", "lines": [1, 2] } },
            ] },
            { "call": [{ "tool": "write", "arguments": {} }] },
        ],
        "usage": { "input": 120, "output": 30, "cached": 100 },
    }] })))
    .await
    .unwrap();
    let mut number = 0;
    for dialect in ALL {
        for stream in [true, false] {
            number += 1;
            let answer = ask(&server, dialect, stream, &[Said::User("hi")]).await;
            let expected = Answer {
                text: "I will write it.".to_owned(),
                thought: "A file is wanted.".to_owned(),
                calls: vec![
                    (
                        format!("call_{number}_1"),
                        "write".to_owned(),
                        json!({ "path": "/w/ü", "lines": [1, 2] }),
                    ),
                    (format!("call_{number}_2"), "write".to_owned(), json!({})),
                ],
                stop: match dialect {
                    Dialect::Chat => "tool_calls".to_owned(),
                    Dialect::Responses => "completed".to_owned(),
                    Dialect::Messages => "tool_use".to_owned(),
                    Dialect::Gemini => "STOP".to_owned(),
                },
                usage: (120, 30, 100),
                error: None,
            };
            assert_eq!(answer, expected, "{dialect:?} stream: {stream}");
        }
    }
}

#[tokio::test]
async fn every_reason_to_stop_has_each_dialects_word() {
    let rules = [None, Some(Stop::Length), Some(Stop::Filter)].map(|stop| Rule {
        stop,
        times: Some(8),
        answer: vec![Step::Text("x".to_owned())],
        ..Rule::default()
    });
    let server = ModelServer::start(Script { rules: rules.into() }).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..3 {
        for dialect in ALL {
            let streamed = ask(&server, dialect, true, &[Said::User("hi")]).await.stop;
            assert_eq!(ask(&server, dialect, false, &[Said::User("hi")]).await.stop, streamed);
            seen.push(streamed);
        }
    }
    let expected = [
        ["stop", "completed", "end_turn", "STOP"],
        ["length", "incompletemax_output_tokens", "max_tokens", "MAX_TOKENS"],
        ["content_filter", "incompletecontent_filter", "refusal", "SAFETY"],
    ];
    assert_eq!(seen, expected.concat());
}

#[tokio::test]
async fn a_tool_for_free_text_gets_text() {
    let server = ModelServer::start(script(&json!({ "rules": [
        { "times": 2, "answer": [{ "call": [{ "tool": "patch", "arguments": "*** Begin\n+ü" }] }] },
        { "answer": [{ "call": [{ "tool": "patch", "arguments": {} }] }] },
    ] })))
    .await
    .unwrap();
    for stream in [true, false] {
        let answer = ask(&server, Dialect::Responses, stream, &[Said::User("hi")]).await;
        assert_eq!((&*answer.calls[0].1, &answer.calls[0].2), ("patch", &json!("*** Begin\n+ü")));
    }
    let refused = raw(&server, Dialect::Responses, true, &[Said::User("hi")]).await;
    assert_eq!(refused.status, 400);
    assert!(refused.body.contains("patch takes free text, the script gives an object"), "{}", refused.body);
}

#[tokio::test]
async fn a_responses_stream_names_its_events_in_the_documented_order() {
    let server = ModelServer::start(script(&json!({ "rules": [{ "answer": [
        { "text": "a" }, { "text": "b" }, { "call": [{ "tool": "write", "arguments": {} }] },
    ] }] })))
    .await
    .unwrap();
    let reply = raw(&server, Dialect::Responses, true, &[Said::User("hi")]).await;
    assert_eq!(reply.headers["content-type"], "text/event-stream");
    let events = events(&reply.body);
    let names: Vec<_> =
        events.iter().map(|(name, _)| name.as_deref().unwrap().trim_start_matches("response.")).collect();
    let expected = [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ];
    assert_eq!(names, expected);
    let numbers: Vec<_> = events
        .iter()
        .map(|(_, data)| serde_json::from_str::<Value>(data).unwrap()["sequence_number"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (0..15).collect::<Vec<_>>());
}

#[tokio::test]
async fn gemini_ends_its_lines_as_google_does_and_openai_says_done() {
    let server =
        ModelServer::start(script(&json!({ "rules": [{ "answer": [{ "text": "a" }] }] }))).await.unwrap();
    let gemini = raw(&server, Dialect::Gemini, true, &[Said::User("hi")]).await.body;
    assert!(gemini.ends_with("\r\n\r\n") && !gemini.replace("\r\n", "").contains('\n'), "{gemini:?}");
    let chat = raw(&server, Dialect::Chat, true, &[Said::User("hi")]).await.body;
    assert!(chat.ends_with("data: [DONE]\n\n"), "{chat:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// However the script cuts its text and the server its bytes, the client reads the same.
    #[test]
    fn any_split_reads_the_same(
        pieces in prop::collection::vec((any::<bool>(), ".{0,12}"), 1..6),
        path in ".{0,12}",
        chunk in 1_usize..40,
        (cached, more, output) in (0_u64..9, 0_u64..9, 0_u64..9),
    ) {
        let mut answer: Vec<_> = pieces
            .iter()
            .map(|(said, text)| if *said { Step::Text(text.clone()) } else { Step::Thought(text.clone()) })
            .collect();
        let arguments = json!({ "path": path });
        answer.push(Step::Call(vec![Call { tool: "write".to_owned(), arguments: arguments.clone(), unoffered: false }]));
        let joined = |wanted: bool| {
            pieces.iter().filter(|(said, _)| *said == wanted).map(|(_, text)| text.as_str()).collect::<String>()
        };
        let usage = Usage { input: cached + more, output, cached };
        let rule = Rule { answer, usage, chunk_bytes: chunk.try_into().ok(), ..Rule::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = ModelServer::start(Script { rules: vec![rule] }).await.unwrap();
            for dialect in ALL {
                let read = ask(&server, dialect, true, &[Said::User("hi")]).await;
                assert_eq!((&read.text, &read.thought), (&joined(true), &joined(false)));
                assert_eq!((&read.calls[0].2, read.usage), (&arguments, (cached + more, output, cached)));
            }
        });
    }
}
