//! Entry points for a fuzzer: bytes in, a panic if the decoder breaks its word. They hold for all input, so they
//! run under proptest as well as under a fuzzer; the first byte chooses how the rest is cut and bounded.

use std::collections::HashMap;

use serde_json::value::RawValue;

use crate::{acp, jsonrpc, ndjson, router, sse};

/// Lines do not depend on how the bytes are cut, and account for every byte.
pub fn fuzz_ndjson(data: &[u8]) {
    let (&choice, bytes) = data.split_first().unwrap_or((&0, &[]));
    let lines = |piece: usize| {
        let mut decoder = ndjson::Decoder::new(usize::from(choice));
        let mut lines = Vec::new();
        for piece in bytes.chunks(piece) {
            decoder.push(piece);
            lines.extend(decoder.by_ref());
            assert!(decoder.buffered() <= usize::from(choice) + 1, "what is held is bounded");
        }
        lines.extend(std::iter::from_fn(|| decoder.finish()));
        lines
    };
    let whole = lines(bytes.len().max(1));
    assert_eq!(whole, lines(usize::from(choice % 16) + 1), "the cut must not matter");
    let end = whole.iter().fold(0, |end, line| {
        assert_eq!(line.offset, end, "lines follow one another");
        line.end
    });
    assert_eq!(end, bytes.len() as u64, "every byte is in a line");
}

/// Events do not depend on how the bytes are cut.
pub fn fuzz_sse(data: &[u8]) {
    let (&choice, bytes) = data.split_first().unwrap_or((&0, &[]));
    let events = |piece: usize| {
        let mut decoder = sse::Decoder::new(usize::from(choice));
        bytes.chunks(piece).for_each(|piece| decoder.push(piece));
        let events: Vec<_> = decoder.by_ref().collect();
        (events, decoder.last_event_id().to_owned(), decoder.retry())
    };
    assert_eq!(events(bytes.len().max(1)), events(usize::from(choice % 16) + 1), "the cut must not matter");
}

/// A message that can be read can be written and reads the same; an update in it merges without loss of order.
pub fn fuzz_jsonrpc(data: &[u8]) {
    let Ok(message) = jsonrpc::Message::parse(data) else { return };
    let mut line = Vec::new();
    let written = match &message {
        jsonrpc::Message::Request(request) => {
            jsonrpc::write_request(&mut line, &request.id, &request.method, &request.params)
        }
        jsonrpc::Message::Notification(notification) => {
            fuzz_update(notification.params);
            jsonrpc::write_notification(&mut line, &notification.method, &notification.params)
        }
        jsonrpc::Message::Response(response) => match &response.outcome {
            Ok(result) => jsonrpc::write_result(&mut line, &response.id, result),
            Err(error) => {
                jsonrpc::write_error(&mut line, &response.id, error);
                Ok(())
            }
        },
    };
    written.expect("raw JSON can be written");
    assert_eq!(line.iter().position(|&byte| byte == b'\n'), Some(line.len() - 1), "a message is one line");
    let again = jsonrpc::Message::parse(&line).expect("what we write we can read");
    assert_eq!(std::mem::discriminant(&again), std::mem::discriminant(&message), "and it is the same");
}

/// Of any JSON object the router's scan sees the members that a parser sees, byte for byte; and what it is given of
/// a broken line makes it no promise but to come back.
pub fn fuzz_router(data: &[u8]) {
    let keys = router::scan(data, true);
    router::scan_start(data);
    router::scan_end(data);
    // That it is refused is no matter here.
    let _config = router::Config::parse(data);
    let Ok(members) = serde_json::from_slice::<HashMap<String, &RawValue>>(data) else { return };
    let keys = keys.expect("an object is an object");
    let raw = |name: &str| members.get(name).map(|value| value.get().as_bytes());
    assert_eq!(keys.id.map(|at| &data[at]), raw("id"));
    assert_eq!((keys.method, keys.params, keys.result), (raw("method"), raw("params"), raw("result")));
    assert_eq!((keys.error, keys.ext), (raw("error").is_some(), raw("_ext")));
    let names = [("sessionId", keys.session), ("pool", keys.pool), ("agentId", keys.agent)];
    for (name, found) in names {
        check_name(raw(name), found.as_deref());
    }
    let inner = |raw: Option<&[u8]>| {
        let object: HashMap<String, Box<RawValue>> = serde_json::from_slice(raw?).ok()?;
        serde_json::from_str::<String>(object.get("sessionId")?.get()).ok().filter(|name| !name.is_empty())
    };
    if let Some(name) = inner(raw("params")).or_else(|| inner(raw("result"))).filter(|name| name.len() < 100)
    {
        assert_eq!(keys.inner_session.as_deref(), Some(name.as_bytes()));
    }
}

fn check_name(raw: Option<&[u8]>, found: Option<&[u8]>) {
    let text =
        raw.filter(|raw| raw.first() == Some(&b'"') && (3..=router::MAX_NAME + 2).contains(&raw.len()));
    assert_eq!(text.is_some(), found.is_some(), "a name is a string of a sensible length");
    if let Some(text) = text.and_then(|raw| serde_json::from_slice::<String>(raw).ok()) {
        assert_eq!(found, Some(text.as_bytes()), "and is unescaped");
    }
}

fn fuzz_update(params: Option<&RawValue>) {
    let Ok(acp::SessionNotification { update, .. }) = jsonrpc::parse_params(params) else { return };
    let mut merger = acp::merge::Merger::default();
    merger.push(update);
    merger.push(update);
    for merged in merger.flush() {
        let view = acp::UpdateView::of(&merged);
        assert_eq!(view.kind(), acp::UpdateView::of(update).kind(), "merging keeps the kind");
        acp::tool_name(&view);
        acp::SessionUpdate::from_raw(&merged);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bytes glued from what matters to the codecs, so that random input gets past the first check.
    fn bytes(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
        let word = prop_oneof![
            8 => prop::sample::select(words).prop_map(|word| word.as_bytes().to_vec()),
            1 => prop::collection::vec(any::<u8>(), 1..5),
        ];
        (any::<u8>(), prop::collection::vec(word, 0..30))
            .prop_map(|(choice, words)| [vec![choice], words.concat()].concat())
    }

    /// A message, often whole, sometimes with a piece missing.
    fn message() -> impl Strategy<Value = Vec<u8>> {
        let member = prop::sample::select(vec![
            r#""id":1"#,
            r#""id":"a\u0062""#,
            r#""id":null"#,
            r#""method":"session/update""#,
            r#""method":"m\n""#,
            r#""params":{"sessionId":"s","update":{"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"\ud83d"}}}"#,
            r#""params":{"sessionId":"s","update":{"sessionUpdate":"tool_call_update","toolCallId":"t","a":1,"a":2}}"#,
            r#""params":{"sessionId":"s","update":{"sessionUpdate":"plan","entries":7}}"#,
            r#""params":[1, 2]"#,
            r#""params":null"#,
            r#""result":{"a":1.0}"#,
            r#""result":null"#,
            r#""error":{"code":-1,"message":"m","data":[1]}"#,
            r#""error":"boom""#,
            r#""jsonrpc":"2.0""#,
        ]);
        prop::collection::vec(member, 0..5)
            .prop_map(|members| format!("{{{}}}", members.join(",\r")).into_bytes())
    }

    /// A JSON object with the members that a router looks for, and others.
    fn object() -> impl Strategy<Value = Vec<u8>> {
        let text = "(\\PC|[\"\\\\/\u{1}\u{e9}]){0,90}".prop_map(serde_json::Value::from);
        let leaf = prop_oneof![
            text,
            any::<i64>().prop_map(serde_json::Value::from),
            any::<f64>().prop_map(serde_json::Value::from),
            any::<bool>().prop_map(serde_json::Value::from),
            Just(serde_json::Value::Null),
        ];
        let name = prop_oneof![Just("sessionId".to_owned()), "[a-z{}\\[\\]\"\\\\]{0,4}",];
        let value = leaf.prop_recursive(4, 24, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
                prop::collection::btree_map(name.clone(), inner, 0..4)
                    .prop_map(|members| members.into_iter().collect::<serde_json::Value>()),
            ]
        });
        let known = [
            "id",
            "sessionId",
            "pool",
            "agentId",
            "method",
            "params",
            "result",
            "error",
            "_ext",
            "x",
            "\\u0069d",
        ];
        let member = (prop::sample::select(known.to_vec()), value, "[ \t\r]{0,2}", any::<bool>()).prop_map(
            |(name, value, blank, pretty)| {
                let value =
                    if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
                format!("{blank}\"{name}\"{blank}:{blank}{}{blank}", value.expect("values can be written"))
            },
        );
        prop::collection::vec(member, 0..8)
            .prop_map(|members| format!("{{{}}}", members.join(",")).into_bytes())
    }

    proptest! {
        #[test]
        fn ndjson_keeps_its_word(data in bytes(&["\n", "\r\n", "\r", "{}", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"])) {
            fuzz_ndjson(&data);
        }

        #[test]
        fn sse_keeps_its_word(data in bytes(&["\n", "\r\n", "\r", "data: x", "id: 1", "event:e", "retry:1", ":", "\u{FEFF}"])) {
            fuzz_sse(&data);
        }

        #[test]
        fn the_router_keeps_its_word(data in object(), broken in bytes(&["{", "}", "\"id\":", "\"", "\\", ",", "[", "1"])) {
            fuzz_router(&data);
            fuzz_router(&broken);
        }

        #[test]
        fn jsonrpc_keeps_its_word(data in message()) {
            fuzz_jsonrpc(&data);
        }
    }
}
