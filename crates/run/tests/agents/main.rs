//! Real agents of other vendors, moved by the real driver, asking the scripted model on loopback and nobody else. They need
//! `npm ci --prefix tests/agents` first.
//!
//! What each of them takes for a turn is printed: `cargo test -p trunkline-run --test agents -- --nocapture`.

#![expect(clippy::unwrap_used, reason = "what fails in a helper of a test fails the test")]
#![expect(clippy::print_stdout, reason = "what an agent takes is worth knowing, and no reason to fail")]

#[path = "../acp/oracle.rs"]
mod oracle;
#[path = "../hub/script.rs"]
mod script;
#[expect(dead_code, reason = "the scripted agents' tests use the rest")]
#[path = "../acp/stage.rs"]
mod stage;
#[expect(dead_code, reason = "the hub's own tests use the rest")]
#[path = "../hub/world.rs"]
mod world;

use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};
use trunkline_core::event::{Event, Fact};
use trunkline_core::turn::StopReason;
use trunkline_model_server::kit::{AgentKit, CLOSING_WORDS, WRITE_PROMPT, write_file};
use trunkline_model_server::{ModelServer, Outcome};
use trunkline_run::catalog::Custom;

use stage::played::{PATIENCE, end, notes, said};
use stage::{Set, Stage};
use world::{inbox, tags};

/// What the agents may ask of the world outside. Claude Code wants a list of withdrawn plugins, and word from its maker
/// whatever model it is set to; it goes on without.
const KNOWN_ATTEMPTS: [&str; 2] = ["api.anthropic.com:443", "raw.githubusercontent.com:443"];
/// What the model is asked to be told again of.
const REMEMBER: &str = "Do you remember?";

struct Bench {
    stage: Stage,
    kit: AgentKit,
    server: ModelServer,
    file: PathBuf,
}

impl Bench {
    async fn new(kit: fn(&str, &Path) -> AgentKit) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the agents are Node programs, found on the true PATH")]
        let path = std::env::var("PATH").unwrap();
        // Shut in as by the daemon, in a place that is nobody's temporary one.
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let set = Set { path, dir, confined: true, ..Set::default() };
        let file = set.dir.path().join("work/hello.txt");
        let server = ModelServer::start(write_file(&file, "hello")).await.unwrap();
        let kit = kit(&server.url(), &set.dir.path().join("home"));
        kit.prepare().unwrap();
        let custom = Custom { env: kit.env.iter().cloned().collect(), ..Custom::default() };
        let stage = Stage::with(Set { argv: Some(kit.argv.clone()), agent: kit.name, custom, ..set }).await;
        Self { stage, kit, server, file }
    }

    /// Asks for the file, and answers the question with an option of this kind.
    async fn write(&mut self, kind: &str) -> Vec<Event> {
        self.stage.prompt(WRITE_PROMPT).await;
        let mut events = self.stage.until("request.opened").await;
        let asked = inbox(&self.stage.hub).await.remove(0);
        assert!(!asked.title.is_empty() && asked.tool_call.is_some());
        let named = |kind: &str| serde_json::from_value(serde_json::json!(kind)).unwrap();
        let option = asked.options.iter().find(|option| option.kind == named(kind)).unwrap();
        self.stage.answer(&option.id).await;
        events.extend(self.stage.until("turn.ended").await);
        self.told(kind, &events)
    }

    /// Asks for the file, and cancels the turn when it comes to the question.
    async fn cancel(&mut self) -> Vec<Event> {
        self.stage.prompt(WRITE_PROMPT).await;
        self.stage.until("request.opened").await;
        let began = tokio::time::Instant::now();
        self.stage.cancel().await;
        let events = self.stage.until("turn.ended").await;
        println!("{}: cancel answered after {} ms", self.kit.name, began.elapsed().as_millis());
        self.told("cancel", &events)
    }

    /// Asks something else. The answer must be there, and nothing of the past.
    async fn remember(&mut self, when: &str) -> Vec<Event> {
        let events = self.stage.turn(REMEMBER).await;
        assert_eq!(end(&events).stop_reason, StopReason::EndTurn, "{when}: {:?}", end(&events));
        assert!(said(&events).ends_with("Ready."), "{when}: {}", said(&events));
        assert_eq!(said(&events).matches(CLOSING_WORDS).count(), 0, "{when}: {}", said(&events));
        self.told(when, &events)
    }

    /// The last request to the model had what was said before in it.
    fn has_history(&self) -> bool {
        let requests = self.server.requests();
        let last = requests.iter().rfind(|request| request.body.to_string().contains(REMEMBER)).unwrap();
        last.body.to_string().contains(CLOSING_WORDS)
    }

    fn written(&self) -> Option<String> {
        std::fs::read_to_string(&self.file).ok()
    }

    fn told(&self, what: &str, events: &[Event]) -> Vec<Event> {
        let (name, end) = (self.kit.name, end(events));
        let started = if tags(events).contains(&"agent.started") { ", its start included" } else { "" };
        println!(
            "{name}: {what}: {:?} after {} ms{started}, {:?}",
            end.stop_reason, end.duration_ms, end.usage
        );
        events.to_vec()
    }

    /// Waits until Claude Code has written down what was said, which it does a moment after the end of the turn.
    async fn written_down(&self) {
        let conversation = self.kit.home.join(".claude/projects");
        let is_written = || {
            let projects = std::fs::read_dir(&conversation).into_iter().flatten().flatten();
            let files = projects
                .flat_map(|project| std::fs::read_dir(project.path()).into_iter().flatten().flatten());
            files
                .map(|file| std::fs::read_to_string(file.path()).unwrap_or_default())
                .any(|text| text.contains(CLOSING_WORDS))
        };
        let written = async {
            while !is_written() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, written).await.expect("it is written down");
    }

    /// Ends the agent's process as a crash would.
    async fn crash(&mut self) {
        let pid = self.stage.custody.scan()[0].process.unwrap().pid;
        kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL).unwrap();
        self.stage.until("agent.exited").await;
        self.stage.empty().await;
    }

    /// Denies, allows and cancels a file write, and takes the session up again after a restart of the daemon.
    async fn check(mut self) {
        let traits = self.kit.traits;
        let denied = self.write("reject_once").await;
        let reason = serde_json::to_value(end(&denied).stop_reason).unwrap();
        assert_eq!((reason.as_str().unwrap(), self.written()), (traits.stop_when_denied, None));

        let allowed = self.write("allow_once").await;
        assert_eq!(
            (end(&allowed).stop_reason, self.written().as_deref()),
            (StopReason::EndTurn, Some("hello"))
        );
        assert!(said(&allowed).ends_with(&format!("I will write it.{CLOSING_WORDS}")), "{}", said(&allowed));
        assert_eq!(tags(&allowed).contains(&"file.written"), traits.writes_through_client);

        std::fs::remove_file(&self.file).unwrap();
        let cancelled = self.cancel().await;
        assert_eq!((end(&cancelled).stop_reason, self.written()), (StopReason::Cancelled, None));
        let after = self.remember("after the cancel").await;
        assert_eq!((notes(&after), self.has_history()), (vec![], true));

        self.kit.let_an_hour_pass().unwrap();
        self.stage.restart().await;
        let after = self.remember("after a restart of the daemon").await;
        assert_eq!((notes(&after), self.has_history()), (vec![], true));
        self.finish().await;
    }

    /// Takes the session up again after a crash of the agent. That is a session of its own: in Gemini's third process a
    /// session is gone, because its clean-up takes what the second left behind for a broken twin.
    async fn check_crash(mut self) {
        self.write("allow_once").await;
        self.kit.let_an_hour_pass().unwrap();
        if self.kit.name == "claude" {
            self.written_down().await;
        }
        self.crash().await;
        let after = self.remember("after a crash").await;
        assert_eq!((notes(&after), self.has_history()), (vec![], true));
        self.finish().await;
    }

    /// The script had an answer to everything, nobody called home, and nothing is left.
    async fn finish(self) {
        for request in self.server.requests() {
            if request.method == "CONNECT" {
                assert!(KNOWN_ATTEMPTS.contains(&&*request.path), "{}", request.path);
            } else {
                assert_ne!(request.outcome, Outcome::Refused, "{} {}", request.method, request.path);
            }
        }
        self.stage.finish().await;
    }
}

#[tokio::test]
async fn gemini_works() {
    Bench::new(AgentKit::gemini).await.check().await;
    Bench::new(AgentKit::gemini).await.check_crash().await;
}

#[tokio::test]
async fn claude_works() {
    Bench::new(AgentKit::claude).await.check().await;
    Bench::new(AgentKit::claude).await.check_crash().await;
}

#[tokio::test]
async fn claude_code_works() {
    Bench::new(AgentKit::claude_code).await.check().await;
    Bench::new(AgentKit::claude_code).await.check_crash().await;
}

#[tokio::test]
async fn codex_works() {
    Bench::new(AgentKit::codex).await.check().await;
    Bench::new(AgentKit::codex).await.check_crash().await;
}

/// Gemini names a conversation's file by the minute, so it cannot load one in the minute in which it began. The turn
/// is taken all the same, and the loss is told.
#[tokio::test]
async fn gemini_goes_on_without_its_history_where_it_cannot_load_it() {
    let mut bench = Bench::new(AgentKit::gemini).await;
    bench.write("reject_once").await;
    bench.crash().await;
    let after = bench.remember("after a crash in the same minute").await;
    // In the rare run that crosses a minute here, nothing is lost.
    let lost = notes(&after) == ["history_lost"];
    let text = |event: &Event| match &event.fact {
        Fact::TurnNote(note) => Some(note.message.clone()),
        _ => None,
    };
    println!("gemini: {:?}", after.iter().find_map(text));
    assert_eq!(bench.has_history(), !lost);
    bench.finish().await;
}
