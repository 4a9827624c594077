//! Notifications on the desktop of whoever runs the daemon: a request has come.
//!
//! The desktop's own program shows them, in custody like every child. One that fails or hangs is nobody's trouble. A session
//! that asks much is shown a few times a minute; the inbox has all of it.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::StreamExt;
use trunkline_core::event::Fact;
use trunkline_core::id::{Seq, SessionId};
use trunkline_core::request::Priority;
use trunkline_core::row::RowKind;
use trunkline_core::time::Time;
use trunkline_core::view::{RequestStatus, RequestView};
use trunkline_log::LogError;
use trunkline_log::frame::Change;
use uuid::Uuid;

use crate::catalog::which;
use crate::custody::{Custody, Spawn, Stdin};
use crate::hub::Hub;

/// How many notifications a session may cause within [`SPAN_MS`].
const MOST: usize = 3;
/// See [`MOST`].
const SPAN_MS: u64 = 60_000;
/// How many sessions are remembered for that; the oldest goes.
const MAX_SESSIONS: usize = 1_000;
/// How long the desktop's program may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// What it gets of the daemon's environment: where the desktop is, and how to speak to it.
const PASSED: [&str; 11] = [
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "HOME",
    "LANG",
    "LC_ALL",
    "LOGNAME",
    "PATH",
    "USER",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_RUNTIME_DIR",
];

/// Shows notifications.
#[derive(Debug)]
pub struct Notifier {
    program: Program,
    env: Vec<(OsString, OsString)>,
    shown: HashMap<SessionId, VecDeque<Time>>,
    order: VecDeque<SessionId>,
}

#[derive(Debug)]
enum Program {
    NotifySend(PathBuf),
    OsaScript(PathBuf),
}

impl Notifier {
    /// One that uses what this machine has; `None` if that is nothing.
    #[must_use]
    pub fn find(env: &[(OsString, OsString)]) -> Option<Self> {
        let path = env.iter().find(|(key, _)| key == "PATH").map(|(_, value)| value.clone())?;
        let found = |name: &str| which(name, &path);
        let program = found("notify-send")
            .map(Program::NotifySend)
            .or_else(|| found("osascript").map(Program::OsaScript))?;
        let passed = |(key, _): &&(OsString, OsString)| PASSED.iter().any(|name| key == *name);
        let env = env.iter().filter(passed).cloned().collect();
        Some(Self { program, env, shown: HashMap::new(), order: VecDeque::new() })
    }

    /// Shows every request that comes, until the hub stops.
    pub async fn run(mut self, hub: Hub, custody: Custody) {
        let stop = hub.stopping();
        let mut changes = hub.changes(hub.pos());
        loop {
            let change = tokio::select! {
                () = stop.cancelled() => return,
                change = changes.next() => change,
            };
            match change {
                Some(Ok(change)) => {
                    for request in asked(&hub, &change).await {
                        if self.may_show(request.session, hub.now()) {
                            self.show(&request, &custody).await;
                        }
                    }
                }
                Some(Err(LogError::Gap { .. })) => {}
                Some(Err(_)) | None => return,
            }
        }
    }

    fn may_show(&mut self, session: SessionId, now: Time) -> bool {
        let times = self.shown.entry(session).or_insert_with(|| {
            self.order.push_back(session);
            VecDeque::new()
        });
        times.retain(|time| now.ms_since(*time) < SPAN_MS);
        let may = times.len() < MOST;
        if may {
            times.push_back(now);
        }
        if self.order.len() > MAX_SESSIONS
            && let Some(oldest) = self.order.pop_front()
        {
            self.shown.remove(&oldest);
        }
        may
    }

    async fn show(&self, request: &RequestView, custody: &Custody) {
        let mut spawn = Spawn::new(self.program.argv(request), "/");
        spawn.resource = format!("notify/{}", Uuid::now_v7());
        spawn.env.clone_from(&self.env);
        spawn.stdin = Stdin::Null;
        match custody.spawn(spawn).await {
            Ok(child) => {
                if tokio::time::timeout(PATIENCE, child.ended()).await.is_err() {
                    let _it_is_killed_in_the_end = child.stop(Duration::ZERO).await;
                }
            }
            Err(error) => tracing::debug!(%error, "a notification is not shown"),
        }
    }
}

impl Program {
    fn argv(&self, request: &RequestView) -> Vec<OsString> {
        let (title, body) = text(request);
        match self {
            Self::NotifySend(program) => vec![program.into(), title.into(), markup(&body).into()],
            Self::OsaScript(program) => {
                let script = format!("display notification {} with title {}", quoted(&body), quoted(&title));
                vec![program.into(), "-e".into(), script.into()]
            }
        }
    }
}

/// The requests that a commit has opened and that still wait.
async fn asked(hub: &Hub, change: &Change) -> Vec<RequestView> {
    let Some(session) = change.log.as_session() else { return Vec::new() };
    let rows = change.rows.iter().filter(|row| row.kind == RowKind::Request);
    let views = rows.filter_map(|row| row.body.as_ref()?.read::<RequestView>().ok());
    // What was moved here from elsewhere was asked long ago.
    let waits = |view: &RequestView| view.status == RequestStatus::Open && !view.created_by.is_imported();
    let waiting: Vec<_> = views.filter(waits).collect();
    if waiting.is_empty() {
        return waiting;
    }
    // The rows tell what requests are now; whether one is new stands in the frame.
    let page = hub.read(session, Seq(change.head.0.saturating_sub(1)), 1).await;
    let frame = page.ok().and_then(|page| page.frames.into_iter().next());
    let events = frame.and_then(|frame| frame.events().ok()).unwrap_or_default();
    let is_new = |view: &RequestView| {
        events.iter().any(|event| matches!(&event.fact, Fact::RequestOpened(asked) if asked.id == view.id))
    };
    waiting.into_iter().filter(is_new).collect()
}

/// The title and the body. Clients of the original hub are shown as it shows them.
fn text(request: &RequestView) -> (String, String) {
    let name = if request.born.is_some() { "AgentFlow" } else { "Trunkline" };
    let priority = match request.priority {
        Priority::Low => "LOW",
        Priority::Normal => "NORMAL",
        Priority::High => "HIGH",
        Priority::Urgent => "URGENT",
    };
    let question = match short(&request.question, 220) {
        text if text.is_empty() => "A request is waiting for your response.".to_owned(),
        text => text,
    };
    let first = short(&format!("{priority} | {}", request.session), 120);
    let title = format!("{name}: {}", short(&request.title, 80));
    (title, format!("{first}\n{question}\nRequest: {}", request.id))
}

/// A text on one line of at most so many characters.
fn short(text: &str, most: usize) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    let line: String = words.join(" ").chars().filter(|c| !c.is_control()).collect();
    if line.chars().count() <= most {
        return line;
    }
    let cut: String = line.chars().take(most.saturating_sub(3)).collect();
    format!("{}...", cut.trim_end())
}

/// The body is markup to many desktops.
fn markup(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A text in AppleScript.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(title: &str, question: &str, born: bool) -> RequestView {
        let born = if born { r#","born":{"dialect":"sessionbus","name":"bot"}"# } else { "" };
        let json = format!(
            r#"{{"id":"0190163d-8694-739b-aea5-966c26f8ad91","session":"0190163d-8694-739b-aea5-966c26f8ad92","agent":"bot",
            "status":"open","kind":"question","title":{title:?},"question":{question:?},"priority":"urgent","created_at":0,
            "created_by":"local"{born}}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn what_is_shown() {
        let (title, body) = text(&request("two\n  words", "", true));
        assert_eq!(title, "AgentFlow: two words");
        assert_eq!(
            body,
            "URGENT | 0190163d-8694-739b-aea5-966c26f8ad92\nA request is waiting for your response.\n\
             Request: 0190163d-8694-739b-aea5-966c26f8ad91"
        );
        let (title, body) = text(&request(&"x".repeat(90), &"y ".repeat(200), false));
        assert_eq!(title, format!("Trunkline: {}...", "x".repeat(77)));
        assert!(body.lines().all(|line| line.chars().count() <= 220));
        let program = Program::NotifySend("/bin/notify-send".into());
        assert_eq!(
            program.argv(&request("t", "<b>&", true))[2].to_str().unwrap().lines().nth(1),
            Some("&lt;b&gt;&amp;")
        );
        let program = Program::OsaScript("/bin/osascript".into());
        let script = program.argv(&request("say \"hi\\\"", "q", true));
        assert!(
            script[2].to_str().unwrap().ends_with(r#"with title "AgentFlow: say \"hi\\\"""#),
            "{script:?}"
        );
    }

    #[test]
    fn a_session_that_asks_much_is_shown_a_few_times() {
        let env = Vec::new();
        let program = Program::NotifySend("/n".into());
        let mut notifier = Notifier { program, env, shown: HashMap::new(), order: VecDeque::new() };
        let (one, other) = (SessionId::new(Uuid::from_u128(1)), SessionId::new(Uuid::from_u128(2)));
        let shown = (0..10).filter(|n| notifier.may_show(one, Time(n * 1_000))).count();
        assert_eq!(shown, MOST);
        assert!(notifier.may_show(other, Time(9_000)));
        assert!(notifier.may_show(one, Time(61_000)));
        for n in 0..2 * MAX_SESSIONS as u128 {
            notifier.may_show(SessionId::new(Uuid::from_u128(n)), Time(0));
        }
        assert!(notifier.shown.len() <= MAX_SESSIONS + 1);
    }

    #[test]
    fn without_a_program_there_is_no_notifier() {
        assert!(Notifier::find(&[("PATH".into(), "/nowhere".into())]).is_none());
        assert!(Notifier::find(&[]).is_none());
    }
}
