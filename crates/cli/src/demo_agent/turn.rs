//! A turn of the demo agent.

use std::fs;
use std::time::Duration;

use serde_json::value::RawValue;
use trunkline_wire::acp::{
    CancelNotification, Diff, PermissionOption, PermissionOptionKind, Plan, PlanEntry, PlanEntryPriority,
    PlanEntryStatus, RequestPermissionOutcome, RequestPermissionRequest, RequestPermissionResponse,
    SessionNotification, SessionUpdate, StopReason, ToolCall, ToolCallContent, ToolCallLocation,
    ToolCallStatus, ToolKind, WriteTextFileRequest, method,
};
use trunkline_wire::jsonrpc::{ErrorObject, Id};

use super::look::{Found, count, list, look, report};
use super::peer::Heard;
use super::{Agent, Gone, Session};

/// The file it writes: nobody else's would have this name.
const FILE: &str = "trunkline-demo.md";
/// The options of its permission.
const ALLOW: &str = "allow";
const ALWAYS: &str = "always";
const REJECT: &str = "reject";
/// A sentence's end is worth so many words' pauses.
const BREATH: u32 = 6;

/// Plays a turn to its end.
pub(super) fn play(agent: &mut Agent, id: &str, session: &Session, prompt: &str) -> Result<StopReason, Gone> {
    let mut turn = Turn { agent, id, session, calls: 0, open: None };
    match turn.play(prompt) {
        Ok(()) => Ok(StopReason::EndTurn),
        Err(Stop::Gone) => Err(Gone),
        Err(Stop::Cancelled) => {
            if let Some(call) = turn.open.take() {
                turn.tool(ToolCall { status: Some(ToolCallStatus::Failed), ..call }).or(Err(Gone))?;
            }
            Ok(StopReason::Cancelled)
        }
    }
}

/// Why a turn stops before its end.
enum Stop {
    Cancelled,
    Gone,
}

impl From<Gone> for Stop {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

struct Turn<'a> {
    agent: &'a mut Agent,
    id: &'a str,
    session: &'a Session,
    calls: usize,
    /// The tool call that is not over.
    open: Option<ToolCall>,
}

impl Turn<'_> {
    fn play(&mut self, prompt: &str) -> Result<(), Stop> {
        self.plan(0)?;
        self.say("I will have a look around and write down what I find.\n\n")?;
        let found = self.look_around()?;
        self.plan(1)?;
        self.say(&format!("There {} here. ", are(&found)))?;
        self.say(&format!("I would like to keep that in `{FILE}`, so I ask you first.\n\n"))?;
        let text = report(prompt, &found);
        if self.write(&text)? {
            self.plan(2)?;
            let lines = count(text.lines().count(), "line");
            self.say(&format!("Done: `{FILE}` has {lines}. This was a demo: no model was asked, and nothing left this machine.\n"))?;
            self.plan(3)?;
        }
        Ok(())
    }

    fn look_around(&mut self) -> Result<Vec<Found>, Stop> {
        let cwd = &self.session.cwd;
        let name = cwd.file_name().map_or_else(|| "/".to_owned(), |name| name.to_string_lossy().into_owned());
        let call = ToolCall {
            title: Some(format!("List the files in {name}")),
            kind: Some(ToolKind::Read),
            status: Some(ToolCallStatus::InProgress),
            locations: Some(vec![ToolCallLocation { path: cwd.clone(), line: None }]),
            ..self.next_call()
        };
        self.begin(&call)?;
        self.pause(BREATH)?;
        let found = look(cwd, FILE);
        let shown = if found.is_empty() { "nothing".to_owned() } else { list(&found) };
        self.finish(ToolCallStatus::Completed, &shown)?;
        Ok(found)
    }

    /// Asks, and writes if it may. Whether it did.
    fn write(&mut self, text: &str) -> Result<bool, Stop> {
        let path = self.session.cwd.join(FILE);
        let old_text = fs::read_to_string(&path).ok();
        let call = ToolCall {
            title: Some(format!("Write {FILE}")),
            kind: Some(ToolKind::Edit),
            status: Some(ToolCallStatus::Pending),
            content: Some(vec![ToolCallContent::Diff(Diff {
                path: path.clone(),
                old_text,
                new_text: text.to_owned(),
            })]),
            locations: Some(vec![ToolCallLocation { path: path.clone(), line: None }]),
            ..self.next_call()
        };
        self.begin(&call)?;
        if !self.may_write(&call)? {
            self.finish(ToolCallStatus::Failed, "refused")?;
            self.say(&format!("All right: I leave `{FILE}` alone. What I found is above.\n"))?;
            return Ok(false);
        }
        self.progress()?;
        let outcome = if self.agent.client.fs.write_text_file {
            let request =
                WriteTextFileRequest { session_id: self.id.to_owned(), path, content: text.to_owned() };
            self.ask(method::FS_WRITE_TEXT_FILE, &request)?.map(drop).map_err(|error| error.to_string())
        } else {
            fs::write(&path, text).map_err(|error| error.to_string())
        };
        match outcome {
            Ok(()) => {
                self.finish_as_it_is()?;
                Ok(true)
            }
            Err(error) => {
                self.finish(ToolCallStatus::Failed, &error)?;
                self.say(&format!("I could not write `{FILE}`: {error}\n"))?;
                Ok(false)
            }
        }
    }

    fn may_write(&mut self, call: &ToolCall) -> Result<bool, Stop> {
        if self.session.may_write {
            return Ok(true);
        }
        let option = |id: &str, name: &str, kind| PermissionOption {
            option_id: id.to_owned(),
            name: name.to_owned(),
            kind,
            meta: None,
        };
        let request = RequestPermissionRequest {
            session_id: self.id.to_owned(),
            tool_call: serde_json::value::to_raw_value(call).map_err(|_| Stop::Gone)?,
            options: vec![
                option(ALLOW, "Allow", PermissionOptionKind::AllowOnce),
                option(ALWAYS, "Always allow in this session", PermissionOptionKind::AllowAlways),
                option(REJECT, "Reject", PermissionOptionKind::RejectOnce),
            ],
            meta: None,
        };
        let answer = self.ask(method::SESSION_REQUEST_PERMISSION, &request)?;
        let answer =
            answer.ok().and_then(|raw| serde_json::from_str::<RequestPermissionResponse>(raw.get()).ok());
        match answer.map(|answer| answer.outcome) {
            Some(RequestPermissionOutcome::Selected { option_id }) => {
                if option_id == ALWAYS
                    && let Some(session) = self.agent.sessions.get_mut(self.id)
                {
                    session.may_write = true;
                }
                Ok(option_id == ALLOW || option_id == ALWAYS)
            }
            Some(RequestPermissionOutcome::Cancelled) => Err(Stop::Cancelled),
            // An answer that cannot be read allows nothing.
            None => Ok(false),
        }
    }

    fn next_call(&mut self) -> ToolCall {
        self.calls += 1;
        ToolCall { tool_call_id: format!("call-{}", self.calls), ..ToolCall::default() }
    }

    fn begin(&mut self, call: &ToolCall) -> Result<(), Stop> {
        self.open = Some(ToolCall { tool_call_id: call.tool_call_id.clone(), ..ToolCall::default() });
        self.update(&SessionUpdate::ToolCall(call.clone()))
    }

    fn progress(&mut self) -> Result<(), Stop> {
        let Some(call) = self.open.clone() else { return Ok(()) };
        self.tool(ToolCall { status: Some(ToolCallStatus::InProgress), ..call })
    }

    fn finish(&mut self, status: ToolCallStatus, says: &str) -> Result<(), Stop> {
        let Some(call) = self.open.take() else { return Ok(()) };
        let content = Some(vec![ToolCallContent::text(says)]);
        self.tool(ToolCall { status: Some(status), content, ..call })
    }

    /// Its content stays the change that was shown.
    fn finish_as_it_is(&mut self) -> Result<(), Stop> {
        let Some(call) = self.open.take() else { return Ok(()) };
        self.tool(ToolCall { status: Some(ToolCallStatus::Completed), ..call })
    }

    fn tool(&mut self, call: ToolCall) -> Result<(), Stop> {
        self.update(&SessionUpdate::ToolCallUpdate(call))
    }

    /// Tells the plan with its first `done` steps done.
    fn plan(&mut self, done: usize) -> Result<(), Stop> {
        let steps = ["Look around the workspace", "Write down what is there", "Report"];
        let entry = |(n, step): (usize, &str)| PlanEntry {
            content: step.to_owned(),
            priority: PlanEntryPriority::Medium,
            status: match n.cmp(&done) {
                std::cmp::Ordering::Less => PlanEntryStatus::Completed,
                std::cmp::Ordering::Equal => PlanEntryStatus::InProgress,
                std::cmp::Ordering::Greater => PlanEntryStatus::Pending,
            },
        };
        let entries = steps.into_iter().enumerate().map(entry).collect();
        self.update(&SessionUpdate::Plan(Plan { entries, meta: None }))
    }

    /// Says it word by word.
    fn say(&mut self, text: &str) -> Result<(), Stop> {
        for word in text.split_inclusive([' ', '\n']) {
            self.update(&SessionUpdate::agent_text(word))?;
            let ends = word.trim_end().ends_with(['.', ':', ',']);
            self.pause(if ends { BREATH } else { 1 })?;
        }
        Ok(())
    }

    fn update(&mut self, update: &SessionUpdate) -> Result<(), Stop> {
        let update = update.to_raw();
        let notification = SessionNotification { session_id: self.id.into(), update: &update };
        Ok(self.agent.peer.tell(method::SESSION_UPDATE, &notification)?)
    }

    /// Waits a while, hearing what comes.
    fn pause(&mut self, words: u32) -> Result<(), Stop> {
        let time: Duration = self.agent.pace * words;
        // Something that comes cuts the pause short, which is as natural as not.
        let heard = self.agent.peer.wait_for(time)?;
        self.hear(heard).map(drop)
    }

    /// Asks the client and waits for its answer.
    fn ask(
        &mut self,
        method: &str,
        params: &impl serde::Serialize,
    ) -> Result<Result<Box<RawValue>, ErrorObject>, Stop> {
        let asked = self.agent.peer.ask(method, params)?;
        loop {
            let heard = self.agent.peer.wait()?;
            if let Some((id, outcome)) = self.hear(heard)?
                && id == asked
            {
                return Ok(outcome);
            }
        }
    }

    /// Deals with what the client says; gives an answer of it back.
    #[expect(clippy::type_complexity, reason = "an answer is its id and its outcome")]
    fn hear(&mut self, heard: Heard) -> Result<Option<(Id, Result<Box<RawValue>, ErrorObject>)>, Stop> {
        match heard {
            Heard::Answer { id, outcome } => return Ok(Some((id, outcome))),
            Heard::Request { id, method, params } => {
                self.agent.request(&id, &method, params.as_deref(), true)?;
            }
            Heard::Notification { method, params } if method == method::SESSION_CANCEL => {
                let cancel =
                    params.and_then(|raw| serde_json::from_str::<CancelNotification>(raw.get()).ok());
                if cancel.is_some_and(|cancel| cancel.session_id == self.id) {
                    return Err(Stop::Cancelled);
                }
            }
            Heard::Notification { .. } | Heard::Nothing => {}
        }
        Ok(None)
    }
}

/// `is nothing`, `is 1 file`, `are 3 files`.
fn are(found: &[Found]) -> String {
    match found.len() {
        0 => "is nothing".to_owned(),
        1 => "is 1 file".to_owned(),
        more => format!("are {}", count(more, "file")),
    }
}
