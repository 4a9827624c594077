//! Twenty lives of a session with an agent, ended in every way, after which nothing is left: no process, no descriptor. A
//! program of its own, because it counts what the whole process has.

#![expect(clippy::unwrap_used, reason = "what fails in a helper of a test fails the test")]

#[path = "fixtures/open_files.rs"]
mod open_files;
#[path = "acp/oracle.rs"]
mod oracle;
#[path = "hub/script.rs"]
mod script;
#[expect(dead_code, reason = "the other tests use the rest")]
#[path = "acp/stage.rs"]
mod stage;
#[expect(dead_code, reason = "the hub's own tests use the rest")]
#[path = "hub/world.rs"]
mod world;

use trunkline_core::turn::StopReason;
use trunkline_run::catalog::Custom;

use open_files::{open_but_pipes, open_files, open_like};
use stage::played::end;
use stage::{Set, Stage};

/// What every process below an agent of these tests has in its environment.
const MARK: &str = "TEST_OF_LEAKS";

#[derive(Clone, Copy, Debug)]
enum Ending {
    /// The session is closed.
    Close,
    /// The turn is cancelled, and the agent does not listen.
    Deaf,
    /// The agent dies in the middle of a turn.
    Crash,
    /// The daemon stops in the middle of a turn.
    Stop,
    /// The agent never answers at all.
    Mute,
}

#[tokio::test]
async fn twenty_lives_leave_nothing() {
    let endings = [Ending::Close, Ending::Deaf, Ending::Crash, Ending::Stop, Ending::Mute];
    let own = open_files();
    // The first round opens what the runtime keeps open.
    for ending in endings {
        live(ending).await;
    }
    let before = open_but_pipes(&own).await;
    for ending in endings.iter().cycle().take(20) {
        live(*ending).await;
    }
    assert_eq!(open_like(&before).await, before);
    assert_eq!(marked(), [""; 0]);
}

async fn live(ending: Ending) {
    let env = [(MARK.to_owned(), std::process::id().to_string())].into();
    let custom = Custom { env, ..Custom::default() };
    let setup = if let Ending::Mute = ending { "daemon(); hang()" } else { "" };
    let mut stage = Stage::with(Set { custom, setup, ..Set::default() }).await;
    let code = match ending {
        Ending::Close => "",
        Ending::Crash => "os._exit(1)",
        Ending::Deaf | Ending::Stop | Ending::Mute => "hang()",
    };
    let busy = "signal.signal(signal.SIGTERM, signal.SIG_IGN)
call('terminal/create', command='setsid sleep 1000 & sleep 1000')
say(daemon())";
    stage.prompt(&format!("{busy}\n{code}")).await;
    let sign = if let Ending::Mute = ending { "agent.started" } else { "turn.update" };
    stage.until(sign).await;
    let reason = match ending {
        Ending::Close => StopReason::EndTurn,
        Ending::Crash => StopReason::Error,
        Ending::Stop => {
            stage.hub.shutdown().await;
            StopReason::Interrupted
        }
        Ending::Deaf | Ending::Mute => {
            stage.cancel_within(50).await;
            StopReason::Cancelled
        }
    };
    assert_eq!(end(&stage.until("turn.ended").await).stop_reason, reason, "{ending:?}");
    stage.finish().await;
}

/// The processes that have the mark of this test in their environment.
fn marked() -> Vec<String> {
    let mark = format!("{MARK}={}", std::process::id());
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|pid| pid.file_name().into_string().ok());
    let has = |pid: &String| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|entry| entry == mark.as_bytes())
    };
    pids.filter(has).collect()
}
