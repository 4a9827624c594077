//! What the audit tells of: the deed in each kind of fact.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::chain::sha256;
use crate::access::{self, Access};
use crate::event::{Event, Fact};
use crate::grant::{Added, Grants, Judged, ProjectGrants};
use crate::id::{GrantId, RequestId, Seq, TokenId, TurnId};
use crate::mcp;
use crate::operator::{self, Operator};
use crate::principal::{Principal, Scope};
use crate::profile::{self, Provider};
use crate::raw::Raw;
use crate::request::{ClosedFact, Kind, Opened, OptionKind, Outcome};
use crate::risk::Risk;
use crate::session::Session;
use crate::setting::{Chosen as SettingChosen, Setting};
use crate::time::Time;

/// How many characters are kept of a text that an agent or a person has made up.
const MAX_WORDS: usize = 300;

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind")]
#[schemars(rename = "AuditDeed")]
pub enum Deed {
    /// A person answered a request.
    #[serde(rename = "request.answered")]
    Answered(Decision),
    /// Grants answered it, in their giver's place.
    #[serde(rename = "request.granted")]
    Granted(Decision),
    /// Its time ran out.
    #[serde(rename = "request.expired")]
    Expired(Decision),
    /// A standing permission was given.
    #[serde(rename = "grant.added")]
    GrantAdded {
        /// As it was given.
        grant: Added,
    },
    /// A standing permission came to its end.
    #[serde(rename = "grant.revoked")]
    GrantRevoked {
        /// Which.
        grant: GrantId,
        /// Why.
        ended: Ended,
    },
    /// What a session asks about at all was changed.
    #[serde(rename = "mode.changed")]
    ModeChanged {
        /// The mode, which is a grant.
        grant: Added,
    },
    /// The agent was to be set to something that it offers, such as a mode in which it asks less.
    #[serde(rename = "setting.chosen")]
    SettingChosen {
        /// What.
        setting: Setting,
    },
    /// A token was made.
    #[serde(rename = "token.created")]
    TokenCreated {
        /// Its id.
        token: TokenId,
        /// Its name.
        name: String,
        /// What its holder may do.
        scope: Scope,
        /// When it ends.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires: Option<Time>,
    },
    /// A token no longer opens anything.
    #[serde(rename = "token.revoked")]
    TokenRevoked {
        /// Its id.
        token: TokenId,
        /// Its name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Why.
        ended: Ended,
    },
    /// An operator action was begun.
    #[serde(rename = "operator.started")]
    ActionStarted {
        /// Which.
        action: String,
        /// The command line.
        argv: Vec<String>,
    },
    /// An operator action is over; the record of its beginning says who ran it.
    #[serde(rename = "operator.ran")]
    ActionRan {
        /// Which.
        action: String,
        /// The number of the fact with which it began.
        run: Seq,
        /// Its exit code; absent if it did not end by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit_code: Option<i32>,
    },
    /// A profile of a model was made or changed: where its key goes from now on.
    #[serde(rename = "profile.put")]
    ProfilePut {
        /// Its name.
        name: String,
        /// Who runs the model.
        provider: Provider,
        /// The model.
        model: String,
        /// Where it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<String>,
    },
    /// A profile of a model was deleted.
    #[serde(rename = "profile.deleted")]
    ProfileDeleted {
        /// Its name.
        name: String,
    },
    /// An MCP server was made or changed: what is started, or where it is.
    #[serde(rename = "mcp.put")]
    McpPut {
        /// Its name.
        name: String,
        /// The program, or the address.
        what: String,
    },
    /// An MCP server was deleted.
    #[serde(rename = "mcp.deleted")]
    McpDeleted {
        /// Its name.
        name: String,
    },
    /// A server that a project brings was let run.
    #[serde(rename = "mcp.trusted")]
    McpTrusted {
        /// Its name.
        name: String,
        /// The workspace.
        workspace: String,
        /// A hash of all that is said of it there.
        fingerprint: String,
    },
    /// A server that a project brings may run no longer.
    #[serde(rename = "mcp.distrusted")]
    McpDistrusted {
        /// Its name.
        name: String,
        /// The workspace.
        workspace: String,
    },
    /// A session was deleted, log and all.
    #[serde(rename = "session.deleted")]
    SessionDeleted {
        /// What people called it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<String>,
    },
}

/// Why a standing permission or a token came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "AuditEnded")]
pub enum Ended {
    /// Somebody took it back.
    Revoked,
    /// Its time was over; it is let go when the next is given.
    Expired,
    /// A new mode took its place.
    Replaced,
}

/// How a request was decided, and what was there to be seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AuditDecision")]
pub struct Decision {
    /// The request.
    pub request: RequestId,
    /// What was asked, as the card showed it.
    pub asked: Asked,
    /// The option that was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub option: Option<Chosen>,
    /// Whether it was said a second time that high risk is meant.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub confirmed: bool,
    /// SHA-256 of the answer: of `data.answer` in the fact, byte for byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_sha256: Option<String>,
    /// The grants that let it through; empty when a person or a deadline decided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<GrantId>,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AuditAsked")]
pub struct Asked {
    /// What kind of request it is.
    pub kind: Kind,
    /// Its one line.
    pub title: String,
    /// The tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// SHA-256 of the input: of `data.tool_call` in `request.opened`, byte for byte, or of the question where there is none.
    pub input_sha256: String,
    /// The risk that was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<Risk>,
    /// The rule by which a person was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The turn that asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<TurnId>,
    /// Who started that turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn_by: Option<Principal>,
}

/// An option that was chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AuditChosen")]
pub struct Chosen {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// What it means.
    pub means: OptionKind,
}

impl Deed {
    /// The kinds, as filters name them.
    pub const KINDS: [&str; 18] = [
        "request.answered",
        "request.granted",
        "request.expired",
        "grant.added",
        "grant.revoked",
        "mode.changed",
        "setting.chosen",
        "token.created",
        "token.revoked",
        "operator.started",
        "operator.ran",
        "profile.put",
        "profile.deleted",
        "mcp.put",
        "mcp.deleted",
        "mcp.trusted",
        "mcp.distrusted",
        "session.deleted",
    ];

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Answered(_) => "request.answered",
            Self::Granted(_) => "request.granted",
            Self::Expired(_) => "request.expired",
            Self::GrantAdded { .. } => "grant.added",
            Self::GrantRevoked { .. } => "grant.revoked",
            Self::ModeChanged { .. } => "mode.changed",
            Self::SettingChosen { .. } => "setting.chosen",
            Self::TokenCreated { .. } => "token.created",
            Self::TokenRevoked { .. } => "token.revoked",
            Self::ActionStarted { .. } => "operator.started",
            Self::ActionRan { .. } => "operator.ran",
            Self::ProfilePut { .. } => "profile.put",
            Self::ProfileDeleted { .. } => "profile.deleted",
            Self::McpPut { .. } => "mcp.put",
            Self::McpDeleted { .. } => "mcp.deleted",
            Self::McpTrusted { .. } => "mcp.trusted",
            Self::McpDistrusted { .. } => "mcp.distrusted",
            Self::SessionDeleted { .. } => "session.deleted",
        }
    }

    /// The deed in a fact of a session, if it is one. `before` is what was decided along with it and is not folded yet.
    ///
    /// An import has none: nobody here has done what an export tells.
    pub(crate) fn in_session(session: &Session, event: &Event, before: &[Event]) -> Option<Self> {
        if session.importing {
            return None;
        }
        match &event.fact {
            Fact::RequestClosed(closed) => Decision::deed(session, closed, event, before),
            Fact::SettingChosen(SettingChosen { setting }) => {
                Some(Self::SettingChosen { setting: setting.clone() })
            }
            Fact::SessionDeleted(_) => {
                Some(Self::SessionDeleted { title: session.title.as_deref().map(words) })
            }
            _ => Self::in_grants(&session.grants, event),
        }
    }

    /// The deed in a fact of the grants of projects.
    pub(crate) fn in_projects(projects: &ProjectGrants, event: &Event) -> Option<Self> {
        Self::in_grants(&projects.0, event)
    }

    fn in_grants(grants: &Grants, event: &Event) -> Option<Self> {
        match &event.fact {
            Fact::GrantAdded(added) if added.mode.is_some() => {
                Some(Self::ModeChanged { grant: added.clone() })
            }
            Fact::GrantAdded(added) => Some(Self::GrantAdded { grant: added.clone() }),
            Fact::GrantRevoked(revoked) => {
                let known = grants.all.get(&revoked.id).map(|grant| &grant.added);
                let expired = known.and_then(|added| added.expires).is_some_and(|end| end <= event.at);
                let ended = match known {
                    _ if expired => Ended::Expired,
                    Some(added) if added.mode.is_some() => Ended::Replaced,
                    Some(_) | None => Ended::Revoked,
                };
                Some(Self::GrantRevoked { grant: revoked.id, ended })
            }
            _ => None,
        }
    }

    /// The deed in a fact about operator actions.
    pub(crate) fn in_operator(operator: &Operator, event: &Event) -> Option<Self> {
        match &event.fact {
            Fact::OperatorStarted(operator::Started { action, argv, node: _ }) => {
                Some(Self::ActionStarted { action: action.clone(), argv: argv.clone() })
            }
            Fact::OperatorRan(operator::Ran { run, outcome }) => {
                let action = operator.running.get(run)?.action.clone();
                Some(Self::ActionRan { action, run: *run, exit_code: outcome.exit_code })
            }
            _ => None,
        }
    }

    /// The deed in a fact about profiles of models.
    pub(crate) fn in_profiles(event: &Event) -> Option<Self> {
        match &event.fact {
            Fact::ProfilePut(profile::ProfilePut { name, profile }) => Some(Self::ProfilePut {
                name: name.clone(),
                provider: profile.provider,
                model: words(&profile.model),
                address: profile.address().map(words),
            }),
            Fact::ProfileDeleted(profile::ProfileDeleted { name }) => {
                Some(Self::ProfileDeleted { name: name.clone() })
            }
            _ => None,
        }
    }

    /// The deed in a fact about MCP servers.
    pub(crate) fn in_mcp(event: &Event) -> Option<Self> {
        match &event.fact {
            Fact::McpPut(mcp::McpPut { name, server }) => {
                let command = || server.command.iter().chain(&server.args).map(String::as_str);
                let what = server.url.clone().unwrap_or_else(|| command().collect::<Vec<_>>().join(" "));
                Some(Self::McpPut { name: name.clone(), what: words(&what) })
            }
            Fact::McpDeleted(mcp::McpDeleted { name }) => Some(Self::McpDeleted { name: name.clone() }),
            Fact::McpTrusted(trusted) => Some(Self::McpTrusted {
                name: trusted.server.clone(),
                workspace: words(&trusted.workspace),
                fingerprint: trusted.fingerprint.clone(),
            }),
            Fact::McpDistrusted(distrusted) => Some(Self::McpDistrusted {
                name: distrusted.server.clone(),
                workspace: words(&distrusted.workspace),
            }),
            _ => None,
        }
    }

    /// The deed in a fact about tokens.
    pub(crate) fn in_access(access: &Access, event: &Event) -> Option<Self> {
        match &event.fact {
            Fact::TokenCreated(access::Created { id, name, scope, expires, sha256: _ }) => {
                let (name, scope) = (name.clone(), *scope);
                Some(Self::TokenCreated { token: *id, name, scope, expires: *expires })
            }
            Fact::TokenRevoked(access::Revoked { id }) => {
                let known = access.tokens.get(id);
                let expired = known.is_some_and(|token| !token.is_in_force(event.at));
                let ended = if expired { Ended::Expired } else { Ended::Revoked };
                Some(Self::TokenRevoked { token: *id, name: known.map(|token| token.name.clone()), ended })
            }
            _ => None,
        }
    }
}

impl Decision {
    fn deed(session: &Session, closed: &ClosedFact, event: &Event, before: &[Event]) -> Option<Deed> {
        let wrap = match (closed.outcome, closed.grant) {
            (Outcome::Answered, None) => Deed::Answered,
            (Outcome::Answered, Some(_)) => Deed::Granted,
            (Outcome::Expired, _) => Deed::Expired,
            // Nobody has decided anything.
            (Outcome::Cancelled | Outcome::Superseded, _) => return None,
        };
        let open = session.requests.open.get(&closed.id);
        let opened = before.iter().find_map(|event| match &event.fact {
            Fact::RequestOpened(asked) if asked.id == closed.id => Some(asked),
            _ => None,
        });
        let judged = before.iter().find_map(|event| match &event.fact {
            Fact::RequestJudged(judged) if judged.id == closed.id => Some(judged),
            _ => None,
        });
        let asked = opened.or_else(|| open.map(|open| &open.asked))?;
        let judged = judged.or_else(|| open.and_then(|open| open.judged.as_ref()));
        let turn_by = session.turns.running.as_ref().filter(|running| Some(running.turn) == event.turn);
        let turn_by = turn_by.map(|running| running.by.clone());
        let answer = closed.answer.as_ref();
        let option = answer.and_then(|answer| answer.option.as_deref());
        let chosen = option.and_then(|id| asked.options.iter().find(|choice| choice.id == id));
        Some(wrap(Self {
            request: closed.id,
            asked: Asked::of(asked, judged, event.turn, turn_by),
            option: chosen.map(|choice| Chosen {
                id: words(&choice.id),
                name: words(&choice.name),
                means: choice.kind,
            }),
            confirmed: answer.is_some_and(|answer| answer.confirm),
            answer_sha256: answer.and_then(|answer| Raw::of(answer).ok()).map(|raw| sha256(&[raw.get()])),
            grants: closed.grant.iter().chain(&closed.also).copied().collect(),
        }))
    }
}

impl Asked {
    fn of(asked: &Opened, judged: Option<&Judged>, turn: Option<TurnId>, turn_by: Option<Principal>) -> Self {
        let input = asked.tool_call.as_ref().map_or(asked.question.as_str(), Raw::get);
        let risk = judged.map(|judged| Risk { reason: words(&judged.risk.reason), ..judged.risk.clone() });
        Self {
            kind: asked.kind,
            title: words(&asked.title),
            tool: asked.tool.as_deref().map(words),
            input_sha256: sha256(&[input]),
            risk,
            rule: judged.and_then(|judged| judged.rule.as_deref()).map(words),
            turn,
            turn_by,
        }
    }
}

/// A text, cut where it is too long.
fn words(text: &str) -> String {
    match text.char_indices().nth(MAX_WORDS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
