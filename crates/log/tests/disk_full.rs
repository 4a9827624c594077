//! A disk without space, and the same disk with space again, as the operating system tells it.
//!
//! The limit on the size of files stands in for the disk: it belongs to a process, so this program runs itself again under
//! one. It has no test harness for that reason, and answers `--list` itself.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "this is a test, though it has no harness")]

use std::path::Path;
use std::process::Command;

use trunkline_core::id::{LogId, Seq};
use trunkline_core::time::Time;
use trunkline_log::frame::{Frame, Want};
use trunkline_log::{AppendError, Log as _, Sqlite};
use uuid::Uuid;

const NAME: &str = "a_full_disk_refuses_and_recovers";
const LIMIT: usize = 4 << 20;
const EVENT: usize = 16 << 10;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["under-a-limit", dir] => fill(Path::new(dir)),
        [.., "--list"] | ["--list", ..] if args.iter().any(|arg| arg == "--ignored") => {}
        [.., "--list"] | ["--list", ..] => println!("{NAME}: test"),
        _ => {
            run_limited();
            println!("test {NAME} ... ok");
        }
    }
}

/// Runs this program again, so that no file of it may be larger than the limit. Whoever writes more is told so, instead of
/// being killed by SIGXFSZ.
fn run_limited() {
    let dir = tempfile::tempdir().unwrap();
    let run = Command::new("sh")
        .args(["-c", r#"trap "" XFSZ; exec prlimit --fsize="$0": "$@""#, &LIMIT.to_string()])
        .arg(std::env::current_exe().unwrap())
        .arg("under-a-limit")
        .arg(dir.path())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}

#[tokio::main(flavor = "current_thread")]
async fn fill(dir: &Path) {
    let path = dir.join("trunkline.db");
    let store = Sqlite::open(&path, Time(0)).unwrap();
    let log: LogId = "a".parse().unwrap();
    let mut frames = Vec::new();
    let refused = loop {
        let next = frame(frames.len());
        match store.append(&log, Seq(frames.len() as u64), next.clone(), Vec::new()).await {
            Ok(_) => frames.push(next),
            Err(error) => break error,
        }
    };
    assert_eq!(refused, AppendError::Full);
    assert!(frames.len() * EVENT > LIMIT, "the database and its write-ahead log were both filled");
    let all = Want { bytes: usize::MAX, folded: false };
    let page = store.read(&log, Seq::ZERO, all).await.unwrap();
    assert!(page.frames == frames, "nothing that was acknowledged is lost");
    let again = store.append(&log, page.head, frame(frames.len()), Vec::new()).await;
    assert_eq!(again, Err(AppendError::Full));

    let me = std::process::id().to_string();
    assert!(Command::new("prlimit").args(["--fsize=unlimited:", "--pid", &me]).status().unwrap().success());
    for _ in 0..300 {
        let next = frame(frames.len());
        store.append(&log, Seq(frames.len() as u64), next.clone(), Vec::new()).await.unwrap();
        frames.push(next);
    }
    drop(store);
    Sqlite::check(&path).unwrap();
    let store = Sqlite::open(&path, Time(0)).unwrap();
    assert!(store.read(&log, Seq::ZERO, all).await.unwrap().frames == frames);
}

fn frame(n: usize) -> Frame {
    let lines = format!("{n}").repeat(EVENT)[..EVENT].into();
    Frame { id: Uuid::from_u128(n as u128), last: Seq(n as u64 + 1), count: 1, quiet: true, lines }
}
