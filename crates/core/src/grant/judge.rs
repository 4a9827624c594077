//! Whether a call is allowed, by which grants, or by which rule a person is asked.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Grant, Grants, Mode, Scope};
use crate::call::{Call, Piece, Place};
use crate::id::{GrantId, RequestId};
use crate::pattern::Pattern;
use crate::principal::Principal;
use crate::request::Kind;
use crate::risk::{self, Level, Risk};
use crate::time::Time;
use crate::view::RequestView;

/// What the rules say of a request, beside what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "RequestJudged")]
pub struct Judged {
    /// The request.
    pub id: RequestId,
    /// How much harm it can do.
    pub risk: Risk,
    /// The rule by which a person is asked; absent when a grant answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What the agent said last before it asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
}

/// What is to be judged.
#[derive(Debug)]
pub struct Asking<'a> {
    /// The call.
    pub call: &'a Call,
    /// Its risk.
    pub risk: &'a Risk,
    /// Whether the agent is confined. What it asks for is all that it does only if it is.
    pub confined: bool,
    /// Who started the turn.
    pub by: &'a Principal,
    /// The project of the session.
    pub project: Option<&'a str>,
    /// The time.
    pub now: Time,
    /// Grants that are used up by what is decided along with this.
    pub spent: &'a [GrantId],
}

/// What is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// These grants cover all of it; never empty.
    Allowed(Vec<Grant>),
    /// A person is asked, by this rule.
    Ask(String),
}

/// Judges a call by the grants of its session and those of its project.
#[must_use]
pub fn judge(session: &Grants, standing: &[Grant], asking: &Asking<'_>) -> Verdict {
    let Asking { call, risk, confined, by, project, now, spent } = asking;
    let of_project = |grant: &&Grant| {
        grant.added.scope == Some(Scope::Project)
            && project.is_some()
            && grant.added.project.as_deref() == *project
    };
    let of_session = session.all.values().filter(|grant| grant.added.scope != Some(Scope::Project));
    let (counting, left_out): (Vec<&Grant>, Vec<&Grant>) = of_session
        .chain(standing.iter().filter(of_project))
        .filter(|grant| grant.counts_for(by, *now) && !spent.contains(&grant.added.id))
        .partition(|grant| *confined || grant.added.unconfined);
    match decide(&counting, call, risk, by) {
        Verdict::Ask(rule) if !left_out.is_empty() => {
            Verdict::Ask(format!("{rule}; nothing confines the agent, so only grants given for that count"))
        }
        verdict => verdict,
    }
}

/// Judges a call by the grants that count.
fn decide(counting: &[&Grant], call: &Call, risk: &Risk, by: &Principal) -> Verdict {
    let mode = mode(counting);
    if let Some((grant, Mode::TrustAll)) = mode {
        return Verdict::Allowed(vec![grant.clone()]);
    }
    if risk.level == Level::High {
        return Verdict::Ask(format!("high risk is always asked about: {}", risk.reason));
    }
    if let Some(why) = call.opaque.first() {
        return Verdict::Ask(format!("no rule covers what cannot be told: {why}"));
    }
    let mut uses: Vec<Grant> = Vec::new();
    for piece in &call.pieces {
        if piece.is_free() {
            continue;
        }
        let by_pattern = || counting.iter().copied().find(|grant| covers(grant, piece, call));
        let by_mode = || mode.filter(|(_, mode)| allows(*mode, piece, call)).map(|(grant, _)| grant);
        match by_pattern().or_else(by_mode) {
            Some(grant) if uses.iter().any(|used| used.added.id == grant.added.id) => {}
            Some(grant) => uses.push(grant.clone()),
            None => return Verdict::Ask(rule(mode.map(|(_, mode)| mode), piece, by)),
        }
    }
    match (uses.is_empty(), mode) {
        (false, _) => Verdict::Allowed(uses),
        // Nothing but a `cd`: no grant has been needed, so none can be named.
        (true, _) => Verdict::Ask("no rule covers it".to_owned()),
    }
}

/// What a pattern would have done for a permission that was asked: `None` if it does not cover it, else its risk. High risk
/// would have been asked about all the same.
#[must_use]
pub fn preview(pattern: &Pattern, asked: &RequestView) -> Option<Risk> {
    if asked.kind != Kind::Permission {
        return None;
    }
    let call = Call::read(asked.tool.as_deref(), asked.tool_call.as_ref(), asked.workspace.as_deref());
    pattern.covers_call(&call).then(|| Risk::of(&call))
}

/// The mode that counts: one for exactly this principal before one for all people.
fn mode<'a>(counting: &[&'a Grant]) -> Option<(&'a Grant, Mode)> {
    let modes = counting.iter().filter_map(|grant| Some((*grant, grant.added.mode?)));
    modes.max_by_key(|(grant, _)| grant.added.principal.is_some())
}

fn covers(grant: &Grant, piece: &Piece, call: &Call) -> bool {
    grant.covers().is_some_and(|pattern| pattern.covers(piece, call))
}

fn allows(mode: Mode, piece: &Piece, call: &Call) -> bool {
    let known = || match risk::of_piece(piece, call).level {
        Level::Low | Level::Medium => true,
        Level::Unknown | Level::High => false,
    };
    match mode {
        Mode::ConfirmAll => false,
        Mode::TrustAll => true,
        Mode::AutoApproveEdits if matches!(piece, Piece::Run(..)) => false,
        Mode::AutoApproveEdits if matches!(piece, Piece::Edit(Place::Inside(_))) => true,
        Mode::Default | Mode::AutoApproveEdits => known(),
    }
}

/// The rule by which a person is asked, in words.
fn rule(mode: Option<Mode>, piece: &Piece, by: &Principal) -> String {
    let what = match piece {
        Piece::Run(command, _) => {
            let words: Vec<_> = command.words.iter().map(|word| word.text.as_str()).collect();
            format!("the command `{}`", shortened(&words.join(" ")))
        }
        Piece::Read(place) => format!("reading {}", shortened(place.text())),
        Piece::Edit(place) => format!("writing {}", shortened(place.text())),
        Piece::Delete(place) => format!("deleting {}", shortened(place.text())),
        Piece::Fetch(url) => format!("fetching {}", shortened(url)),
        Piece::Mcp(server, tool) => format!("`{tool}` of the MCP server `{server}`"),
        Piece::Tool(tool) => format!("the tool `{}`", shortened(tool)),
    };
    let foreign = if by.is_person() { String::new() } else { format!(" for a turn of {by}") };
    match mode {
        None => format!("no rule covers {what}{foreign}"),
        Some(mode) => format!("no rule covers {what}{foreign}, and the mode {} asks about it", mode.word()),
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
