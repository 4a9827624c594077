//! Answers of model providers, as they stand in their references and were seen: what each sent, and what we make of it.
//!
//! A directory for each wire, with `NAME.sse` beside `NAME.expected`. Where they differ the actual outcome is left in cargo's
//! temporary directory. The cut of the bytes never matters.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::json;
use trunkline_wire::model::{
    Ask, Call, Content, Decoder, Delta, Effort, Endpoint, Failure, Mark, Message, Part, Reply, Tool,
    ToolResult, Wire, repair,
};

const WIRES: [(&str, Wire); 4] = [
    ("messages", Wire::Messages),
    ("chat", Wire::Chat),
    ("responses", Wire::Responses),
    ("gemini", Wire::Gemini),
];

#[test]
fn answers() {
    let mut failed = Vec::new();
    for (name, wire) in WIRES {
        let inputs = inputs(name);
        assert!(inputs.len() >= 4, "the transcripts of {name} are there");
        for input in inputs {
            let bytes = std::fs::read(&input).unwrap();
            let actual = decode(wire, bytes.chunks(bytes.len()));
            for size in [1, 2, 3, 7, 64] {
                assert_eq!(
                    decode(wire, bytes.chunks(size)),
                    actual,
                    "{} in pieces of {size}",
                    input.display()
                );
            }
            check(&input.with_extension("expected"), name, &actual, &mut failed);
        }
    }
    assert!(failed.is_empty(), "these differ:\n{}", failed.join("\n"));
}

#[test]
fn an_answer_that_ends_too_early_is_never_taken_for_a_whole_one() {
    for (name, wire) in WIRES {
        let input = inputs(name).into_iter().find(|path| path.ends_with("thinks_and_calls.sse"));
        let input = input.unwrap_or_else(|| {
            inputs(name).into_iter().find(|path| path.ends_with("parallel_calls.sse")).unwrap()
        });
        let bytes = std::fs::read(input).unwrap();
        let end = bytes.len();
        let whole = |cut: usize| {
            let mut decoder = Decoder::new(wire, "x");
            decoder.push(&bytes[..cut]).unwrap();
            decoder.finish().ok().map(|(_, reply)| reply)
        };
        let all = whole(end).unwrap();
        for cut in 0..end {
            // Behind the reason of the end only the usage may be missing.
            if let Some(reply) = whole(cut) {
                assert_eq!(
                    (&reply.parts, reply.stop),
                    (&all.parts, all.stop),
                    "{name} cut at {cut} of {end}"
                );
            }
        }
    }
}

#[test]
fn requests() {
    let mut failed = Vec::new();
    for (name, wire) in WIRES {
        let asked = conversation(wire);
        let repaired = repair(&asked);
        let ask = Ask {
            model: "the-model",
            system: "Be brief.",
            messages: &repaired.0,
            tools: &[tool("read"), tool("list")],
            max_tokens: Some(1_000),
            temperature: Some(0.2),
            top_p: None,
            effort: Some(Effort::Low),
            cache_key: Some("s1"),
        };
        let request = Endpoint::new(wire, "https://api.openai.com/v1", None).request(&ask);
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        let actual = format!("{}\n{}\n", request.url, serde_json::to_string_pretty(&body).unwrap());
        check(&golden(name).join("request.expected"), name, &actual, &mut failed);
    }
    assert!(failed.is_empty(), "these differ:\n{}", failed.join("\n"));
}

/// All that a conversation can hold: pictures, thoughts of this provider and of another, parallel calls, a failure, a
/// turn that was cancelled between its calls.
fn conversation(wire: Wire) -> Vec<Message> {
    let own = match wire {
        Wire::Messages => json!({ "signature": "own" }),
        Wire::Responses => {
            json!({ "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "own" })
        }
        Wire::Chat | Wire::Gemini => json!("own"),
    };
    let foreign = if wire == Wire::Chat { Wire::Gemini } else { Wire::Chat };
    let call = |id: &str, name: &str, input: serde_json::Value| {
        let input = input.as_object().unwrap().clone();
        Part::Call(Call { id: id.into(), name: name.into(), input, broken: None, mark: None })
    };
    let result = |id: &str, name: &str, content, failed| ToolResult {
        id: id.into(),
        name: name.into(),
        content,
        failed,
    };
    let image = Content::Image { mime_type: "image/png".into(), data: "iVBO".into() };
    vec![
        Message::User { content: vec![Content::text("What is it?"), image.clone()] },
        Message::Assistant {
            parts: vec![
                Part::Thought { text: "Hm.".into(), mark: Some(Mark { wire, data: own }) },
                Part::Thought {
                    text: "Ha.".into(),
                    mark: Some(Mark { wire: foreign, data: json!("foreign") }),
                },
                Part::Text { text: "I look.".into(), mark: None },
                call("c1", "read", json!({ "path": "a" })),
                call("c2", "list", json!({})),
            ],
        },
        Message::Tool {
            results: vec![
                result("c1", "read", vec![Content::text("text of a"), image], false),
                result("c2", "list", vec![Content::text("no such directory")], true),
            ],
        },
        Message::Assistant { parts: vec![call("c3", "list", json!({ "path": "b" }))] },
        Message::user("Stop. What now?"),
    ]
}

fn tool(name: &str) -> Tool {
    let input = json!({ "type": "object", "properties": { "path": { "type": "string" } } });
    Tool { name: name.into(), description: format!("It does {name}."), input }
}

fn decode<'a>(wire: Wire, pieces: impl Iterator<Item = &'a [u8]>) -> String {
    let mut decoder = Decoder::new(wire, "call-");
    let mut deltas = Vec::new();
    for piece in pieces {
        match decoder.push(piece) {
            Ok(more) => deltas.extend(more),
            // What came with the same bytes is told before the failure, or not: that depends on the cut.
            Err(failure) => return show(&[], Err(failure), Some(&decoder.abandon())),
        }
    }
    match decoder.finish() {
        Ok((more, reply)) => {
            deltas.extend(more);
            show(&deltas, Ok(reply), None)
        }
        Err(failure) => show(&deltas, Err(failure), None),
    }
}

fn show(deltas: &[Delta], end: Result<Reply, Failure>, left: Option<&Reply>) -> String {
    let mut out = String::new();
    for delta in deltas {
        writeln!(out, "{delta:?}").unwrap();
    }
    match end {
        Ok(reply) => {
            writeln!(out, "-- {:?} ({})", reply.stop, reply.stop_word).unwrap();
            writeln!(out, "-- {:?}", reply.usage).unwrap();
            for part in &reply.parts {
                writeln!(out, "{}", serde_json::to_string(part).unwrap()).unwrap();
            }
        }
        Err(failure) => {
            writeln!(out, "-- {}: {}", failure.kind.code(), failure.message).unwrap();
            for part in left.iter().flat_map(|reply| &reply.parts) {
                writeln!(out, "{}", serde_json::to_string(part).unwrap()).unwrap();
            }
        }
    }
    out
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/model").join(name)
}

fn inputs(name: &str) -> Vec<PathBuf> {
    let files = std::fs::read_dir(golden(name)).unwrap().map(|entry| entry.unwrap().path());
    let mut inputs: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|ext| ext == "sse")).collect();
    inputs.sort();
    inputs
}

fn check(expected: &Path, name: &str, actual: &str, failed: &mut Vec<String>) {
    if std::fs::read_to_string(expected).ok().as_deref() != Some(actual) {
        let file = format!("{name}-{}", expected.file_name().unwrap().to_str().unwrap());
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(file);
        std::fs::write(&kept, actual).unwrap();
        failed.push(format!("diff {} {}", expected.display(), kept.display()));
    }
}
