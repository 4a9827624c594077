//! Files of the workspace, as an agent asks for them. What leads out is tried beside the code itself.

use trunkline_core::event::Fact;
use trunkline_run::catalog::Custom;

use crate::stage::played::said;
use crate::stage::{Set, Stage};
use crate::world::tags;

#[tokio::test]
async fn an_agent_reads_and_writes_and_the_log_knows() {
    let mut stage = Stage::new().await;
    std::fs::write(stage.workspace().join("a.txt"), "1\n2\n3\n").unwrap();
    let events = stage
        .turn(
            "here = os.getcwd()
tries('fs/read_text_file', path=here + '/a.txt', line=2, limit=1)
tries('fs/write_text_file', path=here + '/new/b.txt', content='hello')
tries('fs/read_text_file', path=here + '/none')
tries('fs/read_text_file', path='/etc/passwd')",
        )
        .await;
    let work = stage.workspace();
    let work = work.to_str().unwrap();
    let expected = format!(
        "{{\"content\": \"2\\n\"}}\n{{}}\n-32002: {work}/none: there is no such file\n\
        -32602: /etc/passwd is outside of the workspace {work}, or leads there through a link\n"
    );
    assert_eq!(said(&events), expected);
    assert_eq!(std::fs::read_to_string(stage.workspace().join("new/b.txt")).unwrap(), "hello");
    let did: Vec<_> = events.iter().filter(|event| event.fact.tag().starts_with("file.")).collect();
    let Fact::FileRead(read) = &did[0].fact else { panic!() };
    assert_eq!(read.path, format!("{work}/a.txt"));
    let Fact::FileWritten(written) = &did[1].fact else { panic!() };
    assert_eq!(
        (written.path.as_str(), written.bytes, written.created),
        (&*format!("{work}/new/b.txt"), 5, true)
    );
    assert_eq!((did.len(), did[1].turn.is_some()), (2, true));
    stage.finish().await;
}

#[tokio::test]
async fn what_is_not_offered_is_not_done() {
    let custom = Custom { offer_read: Some(false), ..Custom::default() };
    let setup = "keep = initialize
def initialize_and_keep(params):
    global offered
    offered = params['clientCapabilities']
    return keep(params)
overrides['initialize'] = initialize_and_keep";
    let mut stage = Stage::with(Set { custom, setup, ..Set::default() }).await;
    let events =
        stage.turn("say(json.dumps(offered)); tries('fs/read_text_file', path=os.getcwd() + '/a')").await;
    let expected = r#"{"fs": {"readTextFile": false, "writeTextFile": true}, "terminal": true}"#;
    assert_eq!(said(&events), format!("{expected}-32601: method not found: fs/read_text_file\n"));
    assert!(!tags(&events).contains(&"file.read"));
    stage.finish().await;
}

#[tokio::test]
async fn a_file_of_many_mebibytes_goes_both_ways() {
    let mut stage = Stage::new().await;
    let heard = stage
        .hears(
            "path, text = os.getcwd() + '/big', 'x' * (9 << 20)
call('fs/write_text_file', path=path, content=text)
say(str(call('fs/read_text_file', path=path)['content'] == text))
call('fs/write_text_file', path=path, content=text * 2)
tries('fs/read_text_file', path=path)",
        )
        .await;
    let (same, refused) = heard.split_once("True").unwrap();
    assert!(same.is_empty() && refused.contains("is more than 16 MiB"), "{refused}");
    // The record holds what cannot be compared quickly; the oracle has seen all of this in small.
    std::fs::remove_file(stage.record()).unwrap();
    stage.finish().await;
}

#[tokio::test]
async fn what_is_being_written_while_its_agent_dies_is_told() {
    let mut stage = Stage::new().await;
    let mut events = stage
        .turn("begin('fs/write_text_file', path=os.getcwd() + '/big', content='x' * (8 << 20)); os._exit(1)")
        .await;
    events.extend(stage.turn("say('back')").await);
    let told = events
        .iter()
        .any(|event| matches!(&event.fact, Fact::FileWritten(written) if written.bytes == 8 << 20));
    assert!(told && stage.workspace().join("big").exists(), "{:?}", tags(&events));
    stage.finish().await;
}
