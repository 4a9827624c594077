//! Grants of projects, and what is known beside a permission when it is asked.

use std::collections::{BTreeSet, HashMap, VecDeque};

use serde_json::{Map, Value};
use trunkline_core::grant::{Grant, ProjectCommand, ProjectGrants};
use trunkline_core::id::LogId;
use trunkline_core::principal::Caller;
use trunkline_core::raw::Raw;
use trunkline_core::request::{MAX_TEXT_BYTES, Opened};
use trunkline_core::row::{RowKind, facet};
use trunkline_core::session::{Command, Run};
use trunkline_core::view::RequestView;
use trunkline_log::frame::Query;
use trunkline_wire::acp::UpdateView;

use crate::cell::{CommandError, Done};
use crate::cells::Cells;
use crate::hub::Hub;

/// How many tool calls of a turn are remembered for the permissions that are asked about them.
const MAX_CALLS: usize = 64;
/// How many bytes of what the agent says are remembered.
const MAX_SAID: usize = 8 << 10;
/// How many open requests a new grant of a project looks at.
const MAX_RELEASED: usize = 1_000;

impl Hub {
    /// The grants of all projects that are not revoked, or of one.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn project_grants(&self, project: Option<String>) -> Result<Vec<Grant>, CommandError> {
        let of = move |projects: &ProjectGrants, _| match project {
            Some(project) => projects.of(&project),
            None => projects.0.all.values().cloned().collect(),
        };
        self.projects().view(&LogId::grants(), of).await
    }

    /// Gives or takes back a grant of a project; what it covers of what is asked now is answered.
    ///
    /// # Errors
    /// When it is refused or not kept.
    pub async fn grant_project(
        &self,
        caller: &Caller,
        command: ProjectCommand,
    ) -> Result<Done, CommandError> {
        let project = match &command {
            ProjectCommand::Add(added) => added.project.clone(),
            ProjectCommand::Revoke(_) => None,
        };
        let done = self.projects().command(&LogId::grants(), caller.clone(), command, None).await?;
        if let Some(project) = project {
            self.release(&project).await?;
        }
        Ok(done)
    }

    async fn release(&self, project: &str) -> Result<(), CommandError> {
        let standing = standing(self.projects(), Some(project)).await?;
        let query = Query {
            facets: vec![facet("project", project)],
            limit: MAX_RELEASED,
            ..Query::all(RowKind::Inbox)
        };
        let found = self.find(&query, self.pos()).await?;
        let views = found.rows.iter().filter_map(|(_, row)| row.body.as_ref()?.read::<RequestView>().ok());
        let sessions: BTreeSet<_> = views.map(|view| view.session).collect();
        for session in sessions {
            let release = Command::Run(Run::Release(standing.clone()));
            let released = self.command(&Caller::trunkline(), session, release, None).await;
            if let Err(error) = released {
                tracing::warn!(%session, %error, "a new grant did not reach a session; it counts from the next request on");
            }
        }
        Ok(())
    }
}

/// The grants of a project, as advice to a session.
pub(crate) async fn standing(
    projects: &Cells<ProjectGrants>,
    project: Option<&str>,
) -> Result<Vec<Grant>, CommandError> {
    let Some(project) = project.map(str::to_owned) else { return Ok(Vec::new()) };
    projects.view(&LogId::grants(), move |projects, _| projects.of(&project)).await
}

/// What a turn has said and done so far, as far as a permission needs it.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    said: String,
    calls: HashMap<String, Map<String, Value>>,
    order: VecDeque<String>,
}

impl Memory {
    /// Takes an update in.
    pub(crate) fn take(&mut self, update: &Raw) {
        let view = UpdateView::of(update.as_raw());
        match view.kind().as_ref() {
            "agent_message_chunk" => {
                self.said.push_str(view.text().as_deref().unwrap_or_default());
                if self.said.len() > MAX_SAID {
                    let from = self.said.ceil_char_boundary(self.said.len() - MAX_SAID / 2);
                    self.said.drain(..from);
                }
            }
            "tool_call" | "tool_call_update" => self.call(&view, update),
            _ => {}
        }
    }

    fn call(&mut self, view: &UpdateView<'_>, update: &Raw) {
        let Some(id) = view.tool_call_id().map(std::borrow::Cow::into_owned) else { return };
        if update.get().len() > MAX_TEXT_BYTES {
            return;
        }
        let Ok(Value::Object(members)) = update.read() else { return };
        if !self.calls.contains_key(&id) {
            self.order.push_back(id.clone());
            if self.order.len() > MAX_CALLS {
                self.order.pop_front().and_then(|oldest| self.calls.remove(&oldest));
            }
        }
        let call = self.calls.entry(id).or_default();
        call.extend(members.into_iter().filter(|(_, value)| !value.is_null()));
        call.remove("sessionUpdate");
        // Words of before the call are about the call; those of before the last one are not.
        if view.kind() == "tool_call" && !self.said.ends_with('\n') && !self.said.is_empty() {
            self.said.push('\n');
        }
    }

    /// What the agent said last.
    pub(crate) fn said(&self) -> Option<String> {
        let last = self.said.trim().rsplit("\n\n").next().unwrap_or_default().trim();
        (!last.is_empty()).then(|| last.to_owned())
    }

    /// Completes a permission's tool call by what the agent told of the call before: what is absent has not changed.
    pub(crate) fn complete(&self, asked: &mut Opened) {
        let Some(raw) = &asked.tool_call else { return };
        let Ok(Value::Object(own)) = raw.read::<Value>() else { return };
        let Some(known) = own.get("toolCallId").and_then(Value::as_str).and_then(|id| self.calls.get(id))
        else {
            return;
        };
        let mut whole = known.clone();
        whole.extend(own.into_iter().filter(|(_, value)| !value.is_null()));
        let whole = Raw::of(&whole).ok().filter(|whole| whole.get().len() <= MAX_TEXT_BYTES);
        asked.tool_call = whole.or_else(|| asked.tool_call.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(json: &Value) -> Raw {
        Raw::of(json).unwrap()
    }

    #[test]
    fn a_permission_is_completed_by_what_was_told_of_its_call() {
        let mut memory = Memory::default();
        let text = |text: &str| serde_json::json!({ "sessionUpdate": "agent_message_chunk", "content": { "type": "text", "text": text } });
        memory.take(&update(&text("First.\n\nI will now ")));
        memory.take(&update(&text("list the files.")));
        let call = serde_json::json!({ "sessionUpdate": "tool_call", "toolCallId": "t", "title": "List", "kind": "execute", "rawInput": { "command": "ls" } });
        memory.take(&update(&call));
        assert_eq!(memory.said().as_deref(), Some("I will now list the files."));
        let asked = serde_json::json!({
            "id": "0190163d-8694-739b-aea5-966c26f8ad91", "kind": "permission", "title": "x",
            "tool_call": { "toolCallId": "t", "title": "List them" },
        });
        let mut asked: Opened = serde_json::from_value(asked).unwrap();
        memory.complete(&mut asked);
        let whole: Value = asked.tool_call.as_ref().unwrap().read().unwrap();
        let expected = serde_json::json!({ "toolCallId": "t", "title": "List them", "kind": "execute", "rawInput": { "command": "ls" } });
        assert_eq!(whole, expected);
        let mut other: Opened = asked;
        other.tool_call = Some(update(&serde_json::json!({ "toolCallId": "u" })));
        memory.complete(&mut other);
        assert_eq!(other.tool_call.unwrap().get(), r#"{"toolCallId":"u"}"#);
    }
}
