use super::*;
use crate::raw::as_str;
use proptest::prelude::*;
use serde_json::{Value, json};

fn raw(json: &str) -> Box<RawValue> {
    serde_json::from_str(json).unwrap()
}

/// Pushes all, flushes once, and gives the updates as JSON texts.
fn merge(updates: &[&str]) -> Vec<String> {
    let mut merger = Merger::default();
    for update in updates {
        merger.push(&raw(update));
    }
    let flushed: Vec<String> = merger.flush().iter().map(|raw| raw.get().to_owned()).collect();
    assert!(merger.is_empty() && merger.pending_bytes() == 0 && merger.flush().is_empty());
    flushed
}

fn text(kind: &str, id: &str, text: &str) -> String {
    format!(r#"{{"sessionUpdate":"{kind}","messageId":{id},"content":{{"type":"text","text":"{text}"}}}}"#)
}

fn message(words: &str) -> String {
    format!(r#"{{"sessionUpdate":"agent_message_chunk","content":{{"type":"text","text":"{words}"}}}}"#)
}

#[test]
fn text_of_one_message_becomes_one_chunk() {
    assert_eq!(
        merge(&[&message("a\\n"), &message(""), &message("\\u0062 \\\"c")]),
        [message("a\\n\\u0062 \\\"c")]
    );
    let [one, two] = ["\"1\"", "\"2\""];
    let message = "agent_message_chunk";
    assert_eq!(
        merge(&[&text(message, one, "a"), &text(message, one, "b"), &text(message, two, "c")]),
        [text(message, one, "ab"), text(message, two, "c")]
    );
    let thought = "agent_thought_chunk";
    assert_eq!(
        merge(&[&text(message, one, "a"), &text(thought, one, "b"), &text(message, one, "c")]),
        [text(message, one, "a"), text(thought, one, "b"), text(message, one, "c")]
    );
}

#[test]
fn a_chunk_alone_goes_out_as_it_came() {
    let odd = r#"{ "content" : {"text":"a" ,"type":"text","annotations":null}, "sessionUpdate":"agent_message_chunk"}"#;
    assert_eq!(merge(&[odd]), [odd]);
    assert_eq!(merge(&[odd, &message("b")]), [message("ab")]);
}

#[test]
fn a_surrogate_pair_cut_in_two_is_whole_again() {
    let merged = merge(&[&message("x\\ud83d"), &message("\\ude00y")]);
    assert_eq!(UpdateView::of(&raw(&merged[0])).text().unwrap(), "x\u{1F600}y");
}

#[test]
fn chunks_with_anything_else_in_them_pass_as_they_came() {
    for other in [
        r#"{"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"b"},"_meta":{}}"#,
        r#"{"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"b","annotations":{}}}"#,
        r#"{"sessionUpdate":"agent_message_chunk","content":{"type":"image","data":"","mimeType":""}}"#,
        r#"{"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":7}}"#,
        r#"{"sessionUpdate":"agent_message_chunk"}"#,
        r#"{"sessionUpdate":"tool_call","toolCallId":"t","title":"T"}"#,
        r#"{"sessionUpdate":"tool_call_update","status":"completed"}"#,
        r#"{"sessionUpdate":"plan","entries":[]}"#,
        r#"{"sessionUpdate":"_vendor"}"#,
        "7",
    ] {
        assert_eq!(merge(&[&message("a"), other, &message("c")]), [&message("a"), other, &message("c")]);
        assert!(matches!(Merger::default().push(&raw(other)), Pushed::Ready), "{other}");
    }
}

fn tool(id: &str, rest: &str) -> String {
    format!(r#"{{"sessionUpdate":"tool_call_update","toolCallId":"{id}"{rest}}}"#)
}

#[test]
fn updates_of_a_tool_call_merge_member_by_member() {
    assert_eq!(
        merge(&[
            &tool("a", r#","status":"pending","content":[{"x":1.0}],"title":"T""#),
            &tool("b", r#","status":"in_progress""#),
            &tool("a", r#","status":"completed","content":[ ],"title":null,"rawOutput":{"y":2.0}"#),
        ]),
        [
            tool("a", r#","status":"completed","content":[ ],"title":"T","rawOutput":{"y":2.0}"#),
            tool("b", r#","status":"in_progress""#),
        ]
    );
}

#[test]
fn updates_of_a_tool_call_stay_behind_text_and_meta() {
    let [before, after] = [tool("a", r#","status":"pending""#), tool("a", r#","status":"completed""#)];
    for between in
        [message("x"), tool("a", r#","_meta":{"terminal_output":{"data":"x"}}"#), tool("b", r#","_meta":{}"#)]
    {
        assert_eq!(merge(&[&before, &between, &after]), [&*before, &*between, &*after]);
    }
}

#[test]
fn gauges_come_out_at_once_and_the_users_words_go() {
    let mut merger = Merger::default();
    merger.push(&raw(&message("a")));
    for (kind, gauge) in [
        ("available_commands_update", Gauge::AvailableCommands),
        ("current_mode_update", Gauge::CurrentMode),
        ("config_option_update", Gauge::ConfigOption),
        ("session_info_update", Gauge::SessionInfo),
        ("usage_update", Gauge::Usage),
    ] {
        let update = raw(&format!(r#"{{"sessionUpdate":"{kind}","x": 1.0}}"#));
        let Pushed::Gauge { kind, raw } = merger.push(&update) else { panic!("{kind} is a gauge") };
        assert_eq!((kind, raw.get()), (gauge, update.get()));
    }
    assert!(matches!(merger.push(&raw(&text("user_message_chunk", "null", "u"))), Pushed::Dropped));
    merger.push(&raw(&message("b")));
    assert_eq!(merger.flush().len(), 1);
}

#[test]
fn pending_bytes_is_about_what_a_flush_gives() {
    let mut merger = Merger::default();
    for n in 0..1000 {
        merger.push(&raw(&message("0123456789")));
        merger.push(&raw(&tool("t", &format!(r#","rawOutput":"{}""#, "x".repeat(n)))));
        merger.push(&raw(&tool("t", r#","rawOutput":"""#)));
    }
    let pending = merger.pending_bytes();
    let flushed: usize = merger.flush().iter().map(|raw| raw.get().len()).sum();
    assert!(pending.abs_diff(flushed) < 100, "{pending} is not {flushed}");
    for _ in 0..1000 {
        merger.push(&raw(&message("0123456789")));
    }
    assert!(merger.pending_bytes().abs_diff(10_000) < 100);
}

/// A transcript reduced to what must not change: the reference that merging is held against.
#[derive(Debug, PartialEq)]
enum Seen {
    /// All adjacent plain text of a kind and message.
    Text { kind: String, message_id: Option<String>, text: String },
    /// A run of updates of tool calls: each call once, in order of appearance, with its last values.
    Tools(Vec<(String, Value)>),
    /// Anything else.
    Other(Value),
}

fn see(updates: &[Value]) -> Vec<Seen> {
    let mut seen: Vec<Seen> = Vec::new();
    for update in updates {
        let member = |name: &str| update.get(name).and_then(Value::as_str).map(str::to_owned);
        let kind = member("sessionUpdate").unwrap();
        let plain = update["content"]["type"] == "text"
            && update["content"].as_object().is_some_and(|content| content.len() == 2)
            && update.get("_meta").is_none();
        if kind.ends_with("_chunk") && plain {
            let (message_id, more) = (member("messageId"), update["content"]["text"].as_str().unwrap());
            match seen.last_mut() {
                Some(Seen::Text { kind: k, message_id: m, text }) if *k == kind && *m == message_id => {
                    text.push_str(more);
                }
                _ => seen.push(Seen::Text { kind, message_id, text: more.to_owned() }),
            }
        } else if kind == "tool_call_update" && update.get("_meta").is_none() {
            if !matches!(seen.last(), Some(Seen::Tools(_))) {
                seen.push(Seen::Tools(Vec::new()));
            }
            let Some(Seen::Tools(tools)) = seen.last_mut() else { unreachable!("pushed above") };
            let id = member("toolCallId").unwrap();
            let tool = match tools.iter().position(|(other, _)| *other == id) {
                Some(at) => &mut tools[at].1,
                None => {
                    tools.push((id, json!({})));
                    &mut tools.last_mut().unwrap().1
                }
            };
            for (name, value) in update.as_object().unwrap().iter().filter(|(_, value)| !value.is_null()) {
                tool[name] = value.clone();
            }
        } else {
            seen.push(Seen::Other(update.clone()));
        }
    }
    seen
}

fn update() -> impl Strategy<Value = Value> {
    let chunk = (
        prop::sample::select(vec!["agent_message_chunk", "agent_thought_chunk"]),
        prop::option::of("[12]"),
        "(\\PC|[\n\"\\\\]){0,4}",
        0..10,
    )
        .prop_map(|(kind, id, text, odd)| {
            let mut update = json!({"sessionUpdate": kind, "content": {"type": "text", "text": text}});
            if let Some(id) = id {
                update["messageId"] = json!(id);
            }
            match odd {
                0 => update["_meta"] = json!({}),
                1 => update["content"]["annotations"] = json!({"priority": 1}),
                _ => {}
            }
            update
        });
    let field = prop_oneof![Just(Value::Null), "[a-c]{0,3}".prop_map(Value::from), Just(json!([1, {}]))];
    let tool =
        ("[ab]", prop::collection::vec(("(title|status|content|rawOutput|x\"\n)", field), 0..4), 0..10)
            .prop_map(|(id, fields, odd)| {
                let mut update = json!({"sessionUpdate": "tool_call_update", "toolCallId": id});
                for (name, value) in fields {
                    update[name] = value;
                }
                if odd == 0 {
                    update["_meta"] = json!({"data": "x"});
                }
                update
            });
    let other = Just(json!({"sessionUpdate": "plan", "entries": []}));
    prop_oneof![4 => chunk, 4 => tool, 1 => other]
}

proptest! {
    #[test]
    fn merging_changes_nothing_that_matters(updates in prop::collection::vec((update(), 0..8), 0..60)) {
        let mut merger = Merger::default();
        let mut merged: Vec<Value> = Vec::new();
        let read = |raw: Box<RawValue>| serde_json::from_str::<Value>(raw.get()).unwrap();
        for (update, flush) in &updates {
            merger.push(&to_raw_value(update).unwrap());
            if *flush == 0 {
                let flushed: Vec<Value> = merger.flush().into_iter().map(read).collect();
                let seen: usize = see(&flushed).iter().map(|seen| if let Seen::Tools(tools) = seen { tools.len() } else { 1 }).sum();
                prop_assert_eq!(seen, flushed.len(), "what can merge within a window has merged");
                merged.extend(flushed);
            }
        }
        merged.extend(merger.flush().into_iter().map(read));
        let updates: Vec<Value> = updates.into_iter().map(|(update, _)| update).collect();
        prop_assert!(merged.len() <= updates.len());
        prop_assert_eq!(see(&merged), see(&updates));
    }

    #[test]
    fn any_text_survives_any_cut(text in "(\\PC|[\n\"\\\\]){0,30}", cuts in prop::collection::vec(0..30usize, 0..6)) {
        let chars: Vec<char> = text.chars().collect();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(chars.len())).collect();
        cuts.extend([0, chars.len()]);
        cuts.sort_unstable();
        let mut merger = Merger::default();
        for cut in cuts.windows(2) {
            let piece: String = chars[cut[0]..cut[1]].iter().collect();
            merger.push(&super::super::SessionUpdate::agent_text(piece).to_raw());
        }
        let merged = merger.flush();
        prop_assert_eq!(merged.len(), 1);
        let content = UpdateView::of(&merged[0]).get("content").unwrap();
        prop_assert_eq!(as_str(Members::of(content).unwrap().get("text").unwrap()).unwrap(), text);
    }
}
