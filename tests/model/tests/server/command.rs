//! The server as a command.

use std::io::Write;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trunkline-model-server"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

fn script(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[tokio::test]
async fn it_says_where_it_listens() {
    let file = script(r#"{ "rules": [{ "answer": [{ "text": "hello" }] }] }"#);
    #[expect(clippy::disallowed_methods, reason = "this test starts the command itself")]
    let mut server = command().arg("--script").arg(file.path()).spawn().unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().unwrap();
    let address = line.strip_prefix("READY http://127.0.0.1:").unwrap();
    assert_ne!(address.parse::<u16>().unwrap(), 0);
}

#[tokio::test]
async fn it_refuses_a_script_it_cannot_play() {
    for (text, problem) in
        [("{", "the script is not valid"), (r#"{"rules":[{"answer":[{"call":[]}]}]}"#, "rule 0")]
    {
        let file = script(text);
        let output = command().arg("--script").arg(file.path()).output().await.unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && error.contains("cannot use") && error.contains(problem),
            "{error}"
        );
    }
}
