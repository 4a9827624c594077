use proptest::prelude::*;

use super::*;

fn call(id: u8) -> Part {
    Part::Call(Call {
        id: format!("c{id}"),
        name: "t".into(),
        input: serde_json::Map::new(),
        broken: None,
        mark: None,
    })
}

fn result(id: u8) -> ToolResult {
    ToolResult { id: format!("c{id}"), name: "t".into(), content: vec![Content::text("")], failed: false }
}

fn message() -> impl Strategy<Value = Message> {
    let part = prop_oneof![
        (0..6u8).prop_map(call),
        "[a ]{0,2}".prop_map(|text| Part::Text { text, mark: None }),
        "[a]{0,1}".prop_map(|text| Part::Thought { text, mark: None }),
    ];
    prop_oneof![
        prop::collection::vec("[a]{0,1}".prop_map(Content::text), 0..3)
            .prop_map(|content| Message::User { content }),
        prop::collection::vec(part, 0..4).prop_map(|parts| Message::Assistant { parts }),
        prop::collection::vec((0..6u8).prop_map(result), 0..4).prop_map(|results| Message::Tool { results }),
    ]
}

proptest! {
    #[test]
    fn a_repaired_conversation_is_one_that_any_provider_accepts(messages in prop::collection::vec(message(), 0..12)) {
        let Repaired(out) = repair(&messages);
        let mut owed: Vec<String> = Vec::new();
        for (place, message) in out.iter().enumerate() {
            match message {
                Message::User { content } => {
                    prop_assert!(owed.is_empty() && !content.is_empty());
                    prop_assert!(place == 0 || !is_user(&out[place - 1]));
                }
                Message::Assistant { parts } => {
                    prop_assert!(owed.is_empty() && place > 0, "the first is a person's");
                    let calls = parts.iter().filter_map(|part| match part {
                        Part::Call(call) => Some(call.id.clone()),
                        Part::Text { .. } | Part::Thought { .. } => None,
                    });
                    owed = calls.collect();
                    prop_assert!(!parts.is_empty());
                }
                Message::Tool { results } => {
                    prop_assert!(is_assistant(&out[place - 1]));
                    for result in results {
                        let place = owed.iter().position(|id| *id == result.id);
                        prop_assert!(place.is_some(), "every result has its call");
                        owed.remove(place.unwrap());
                        prop_assert!(!result.content.is_empty());
                    }
                    prop_assert!(owed.is_empty(), "every call has its result");
                }
            }
        }
        prop_assert!(owed.is_empty());
        prop_assert_eq!(&repair(&out).0, &out, "what is whole stays as it is");
    }

    #[test]
    fn no_bytes_are_too_odd_and_the_cut_does_not_matter(
        wire in prop::sample::select(vec![Wire::Messages, Wire::Chat, Wire::Responses, Wire::Gemini]),
        lines in prop::collection::vec(
            prop_oneof![
                "\\PC{0,20}",
                "data: [\\[\\]{}:,\"a-z0-9]{0,20}",
                prop::sample::select(vec![
                    r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"","name":"n"}}"#,
                    r#"data: {"type":"content_block_stop","index":0}"#,
                    r#"data: {"choices":[{"delta":{"tool_calls":[{}]},"finish_reason":"stop"}]}"#,
                    r#"data: {"choices":[null]}"#,
                    r#"data: {"type":"response.output_item.done","item":{"type":"function_call"}}"#,
                    r#"data: {"type":"response.completed","response":7}"#,
                    r#"data: {"candidates":[{"content":{"parts":[{"functionCall":{"name":"n"}}]},"finishReason":"STOP"}]}"#,
                    "data: [DONE]",
                    "",
                ]).prop_map(str::to_owned),
            ],
            0..20,
        ),
        size in 1..9usize,
    ) {
        let text = lines.join("\n\n");
        let decode = |size: usize| {
            let mut decoder = Decoder::new(wire, "x");
            for piece in text.as_bytes().chunks(size) {
                decoder.push(piece)?;
            }
            decoder.finish().map(|(_, reply)| reply)
        };
        prop_assert_eq!(decode(size), decode(text.len().max(1)));
    }
}

fn is_user(message: &Message) -> bool {
    matches!(message, Message::User { .. })
}

fn is_assistant(message: &Message) -> bool {
    matches!(message, Message::Assistant { .. })
}
