//! Requests: ask, list, show, respond, dismiss.

use std::cmp::Reverse;

use axum::http::request::Parts;
use serde_json::json;
use trunkline_core::event::Fact;
use trunkline_core::id::{Pos, RequestId, SessionId};
use trunkline_core::outside::{Born, Report};
use trunkline_core::principal::Caller;
use trunkline_core::raw::Raw;
use trunkline_core::refused::Refused;
use trunkline_core::request::{Answer, Choice, Kind, MAX_TITLE, Opened, OptionKind, wants_second_step};
use trunkline_core::row::{RowKind, facet};
use trunkline_core::session::Command;
use trunkline_core::view::RequestView;
use trunkline_log::frame::Query;
use trunkline_run::CommandError;
use uuid::Uuid;

use super::fields::{Fields, Need, Wrong};
use super::json::Json;
use super::list::{self, MAX_LISTED, Page, Part};
use super::sessions::session;
use super::show::{self, PRIORITIES, SOMEBODY};
use super::{Fail, Outcome, Reply, answer, is_local, parameter};
use crate::app::App;

const STATUSES: [&str; 3] = ["PENDING", "ANSWERED", "DISMISSED"];

pub(crate) async fn ask(
    app: &App,
    caller: &Caller,
    id: &str,
    body: Json,
    key: Option<(String, String)>,
) -> Outcome {
    let mut fields = Fields::of(body);
    let title = fields.text("title", Need::Always, 1, Some(MAX_TITLE));
    let question = fields.text("question", Need::Always, 1, None);
    let context = fields.any("context_json");
    let priority = fields.choice("priority", Need::Sometimes, &PRIORITIES);
    let tags = fields.texts("tags");
    fields.done().map_err(Fail::Wrong)?;
    let session = session(id)?;
    let asked_id = RequestId::new(Uuid::now_v7());
    let asked = Opened {
        context,
        priority: show::priority(priority.unwrap_or("NORMAL")),
        tags,
        ..Opened::question(asked_id, title.unwrap_or_default(), question.unwrap_or_default())
    };
    let done = app.hub.command(caller, session, Command::Ask(asked), key).await?;
    // A retry gets the request that the first try opened.
    let opened = done.events.iter().find_map(|event| match &event.fact {
        Fact::RequestOpened(opened) => Some(opened.id),
        _ => None,
    });
    let _a_hosted_session_is_seen_anyway = app.hub.report(caller, session, Report::default()).await;
    Ok(answer(&json!({ "request_id": opened.unwrap_or(asked_id) })))
}

pub(crate) async fn list(app: &App, caller: &Caller, parts: &Parts) -> Outcome {
    let status = parameter(parts, "status").as_deref().map(status).transpose()?;
    let named = [("tenant", parameter(parts, "tenant_id")), ("session", parameter(parts, "session_id"))];
    let facets = named.into_iter().filter_map(|(name, value)| Some(facet(name, value?))).collect();
    Ok(all(app, caller, status, facets, &Part::of(parts)?).await?.answer(parts, show::request))
}

/// Requests of one status.
pub(crate) async fn of_status(app: &App, caller: &Caller, given: &str, own: Option<SessionId>) -> Outcome {
    let status = status(given)?;
    let found = match own {
        // An agent sees what its own session has asked.
        Some(own) => {
            caller.may_read(own)?;
            select(app, Some(status), vec![facet("session", own)], &Part::first(MAX_LISTED)).await?
        }
        None => all(app, caller, Some(status), Vec::new(), &Part::first(MAX_LISTED)).await?,
    };
    Ok(answer(&found.items.into_iter().map(show::request).collect::<Vec<_>>()))
}

/// The requests that wait, of one session or of all.
pub(crate) async fn waiting(
    app: &App,
    caller: &Caller,
    own: Option<SessionId>,
    limit: usize,
) -> Result<Vec<RequestView>, Fail> {
    let part = Part::first(limit);
    let found = match own {
        Some(own) => {
            caller.may_read(own)?;
            select(app, Some("PENDING"), vec![facet("session", own)], &part).await?
        }
        None => all(app, caller, Some("PENDING"), Vec::new(), &part).await?,
    };
    Ok(found.items)
}

fn status(given: &str) -> Result<&'static str, Fail> {
    let found = STATUSES.iter().find(|status| **status == given).copied();
    found.ok_or_else(|| Fail::Wrong(vec![Wrong::choice(&["query", "status"], &STATUSES, Json::text(given))]))
}

/// Requests: those that wait by urgency and age, any others newest first.
pub(crate) async fn all(
    app: &App,
    caller: &Caller,
    status: Option<&str>,
    facets: Vec<String>,
    part: &Part,
) -> Result<Page<RequestView>, Fail> {
    caller.may_list()?;
    select(app, status, facets, part).await
}

async fn select(
    app: &App,
    status: Option<&str>,
    facets: Vec<String>,
    part: &Part,
) -> Result<Page<RequestView>, Fail> {
    // What ended without an answer shows as dismissed, and what a default answered as answered.
    let (kind, statuses): (_, &[Option<&str>]) = match status {
        Some("PENDING") => (RowKind::Inbox, &[None]),
        Some("ANSWERED") => (RowKind::Request, &[Some("answered"), Some("expired")]),
        Some(_) => {
            let all = &[Some("dismissed"), Some("expired"), Some("cancelled"), Some("superseded")];
            (RowKind::Request, all)
        }
        None => (RowKind::Request, &[None]),
    };
    let with = |word: &Option<&str>| {
        let word = word.map(|word| facet("status", word));
        facets.iter().cloned().chain(word).collect()
    };
    let page = list::rows(app, kind, statuses.iter().map(with).collect(), part).await?;
    Ok(page.map(|mut views: Vec<RequestView>| {
        views.retain(|view| status.is_none_or(|status| show::standing(view) == status));
        if kind == RowKind::Request {
            // Rows of one millisecond come oldest first; ids tell their order.
            views.sort_by_key(|view| Reverse((view.created_at, view.id)));
        }
        views
    }))
}

pub(crate) async fn show(app: &App, caller: &Caller, id: &str) -> Outcome {
    let request = find(app, id, Pos(0)).await?;
    caller.may_read(request.session)?;
    Ok(answer(&show::request(request)))
}

pub(crate) async fn respond(app: &App, caller: &Caller, id: &str, body: Json) -> Outcome {
    let mut fields = Fields::of(body);
    let text = fields.text("response_text", Need::Always, 1, None);
    let responder = fields.text("responder", Need::Sometimes, 1, Some(MAX_TITLE));
    fields.done().map_err(Fail::Wrong)?;
    let responder = responder.unwrap_or_else(|| SOMEBODY.to_owned());
    let view = say(app, caller, id, text.unwrap_or_default(), responder).await?;
    Ok(standing(&view))
}

/// Answers a request in words. Whoever comes second gets what the first has left.
pub(crate) async fn say(
    app: &App,
    caller: &Caller,
    id: &str,
    text: String,
    responder: String,
) -> Result<RequestView, Fail> {
    let view = find(app, id, Pos(0)).await?;
    may_decide(caller, &view)?;
    if view.closed.is_some() {
        return Ok(view);
    }
    let given = Answer { responder: Some(responder.into()), ..understand(&view, text)? };
    match app.hub.answer(caller, &view, given, None).await {
        Ok(done) => find(app, id, done.pos).await,
        Err(CommandError::Refused(Refused::RequestClosed { .. })) => find(app, id, app.hub.pos()).await,
        Err(error) => Err(error.into()),
    }
}

pub(crate) async fn dismiss(app: &App, caller: &Caller, id: &str) -> Outcome {
    Ok(standing(&set_aside(app, caller, id).await?))
}

/// Sets a request aside, if it still waits.
pub(crate) async fn set_aside(app: &App, caller: &Caller, id: &str) -> Result<RequestView, Fail> {
    let view = find(app, id, Pos(0)).await?;
    may_decide(caller, &view)?;
    if view.closed.is_some() {
        return Ok(view);
    }
    match app.hub.command(caller, view.session, Command::Dismiss(view.id), None).await {
        Ok(done) => find(app, id, done.pos).await,
        Err(CommandError::Refused(Refused::RequestClosed { .. })) => find(app, id, app.hub.pos()).await,
        Err(error) => Err(error.into()),
    }
}

/// Only requests that came this way are decided without a credential. Whoever may not is told so, whatever it says.
fn may_decide(caller: &Caller, view: &RequestView) -> Result<(), Fail> {
    if is_local(caller) && view.born.as_ref().is_some_and(Born::is_answered_by_anyone) {
        return Ok(());
    }
    Ok(caller.may_operate()?)
}

fn standing(view: &RequestView) -> Reply {
    answer(&json!({ "request_id": view.id, "status": show::standing(view) }))
}

/// A request, from a view that has reached `pos`.
pub(crate) async fn find(app: &App, id: &str, pos: Pos) -> Result<RequestView, Fail> {
    let missing = Fail::Missing("Request not found");
    let Ok(id) = id.parse::<RequestId>() else { return Err(missing) };
    let found = app.hub.find(&Query::one(RowKind::Request, id.to_string()), pos).await?;
    let view = found.rows.first().and_then(|(_, row)| row.body.as_ref()?.read().ok());
    view.ok_or(missing)
}

/// What a text means as an answer: a permission wants one of its options, a form an object, a question takes any words.
fn understand(view: &RequestView, text: String) -> Result<Answer, Fail> {
    let (option, confirm) = match option(&view.options, text.trim()) {
        Some(choice) => (Some(choice), false),
        None => (confirmed(view, text.trim()), true),
    };
    let chosen = |choice: &Choice| Answer { option: Some(choice.id.clone()), confirm, ..Answer::default() };
    match (view.kind, option) {
        (Kind::Permission | Kind::Question, Some(choice)) => Ok(chosen(choice)),
        (Kind::Question, None) => Ok(Answer { text: Some(text), ..Answer::default() }),
        (Kind::Permission, None) => {
            let names: Vec<_> = view.options.iter().map(|choice| choice.id.as_str()).collect();
            Err(Fail::Wrong(vec![Wrong::choice(&["body", "response_text"], &names, Json::Text(text))]))
        }
        (Kind::Form, _) => match Json::parse(&text) {
            Ok(object @ Json::Object(_)) => {
                let fields: Option<Raw> = Some(object.raw());
                Ok(Answer { fields, ..Answer::default() })
            }
            Ok(_) | Err(_) => {
                let says = "Input should be a JSON object that fits the form";
                Err(Fail::Wrong(vec![Wrong::new(
                    "dict_type",
                    &["body", "response_text"],
                    says,
                    Json::Text(text),
                )]))
            }
        },
    }
}

/// The option before the word `confirm`, where the risk is high: the second step, for clients that can say nothing but a text.
fn confirmed<'a>(view: &'a RequestView, given: &str) -> Option<&'a Choice> {
    let (text, word) = given.rsplit_once(char::is_whitespace)?;
    let choice = option(&view.options, text.trim_end())?;
    (word.eq_ignore_ascii_case("confirm") && wants_second_step(view.risk.as_ref(), choice)).then_some(choice)
}

/// The option that is meant: by its id, its name, or as a yes or no.
fn option<'a>(options: &'a [Choice], given: &str) -> Option<&'a Choice> {
    let of_kind = |kinds: [OptionKind; 2]| {
        kinds.into_iter().find_map(|kind| options.iter().find(|choice| choice.kind == kind))
    };
    let named =
        |choice: &&Choice| choice.id.eq_ignore_ascii_case(given) || choice.name.eq_ignore_ascii_case(given);
    let by_id = options.iter().find(|choice| choice.id == given);
    by_id.or_else(|| options.iter().find(named)).or_else(|| match given.to_ascii_lowercase().as_str() {
        "yes" | "allow" => of_kind([OptionKind::AllowOnce, OptionKind::AllowAlways]),
        "no" | "deny" => of_kind([OptionKind::RejectOnce, OptionKind::RejectAlways]),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: &str) -> RequestView {
        let json = format!(
            r#"{{"id":"0190163d-8694-739b-aea5-966c26f8ad91","session":"0190163d-8694-739b-aea5-966c26f8ad92","agent":"demo",
            "status":"open","kind":"{kind}","title":"t","priority":"normal","created_at":0,"created_by":"agent/x",
            "options":[{{"id":"a1","name":"Go on","kind":"allow_always"}},{{"id":"a0","name":"Once","kind":"allow_once"}},
            {{"id":"r0","name":"Never","kind":"reject_once"}}]}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    fn meant(kind: &str, text: &str) -> Option<String> {
        let answer = understand(&request(kind), text.to_owned()).ok()?;
        Some(serde_json::to_string(&answer).unwrap())
    }

    #[test]
    fn words_become_answers() {
        for (text, option) in [("yes", "a0"), ("ALLOW", "a0"), (" a1 ", "a1"), ("go ON", "a1"), ("no", "r0")]
        {
            let answer = format!(r#"{{"option":"{option}"}}"#);
            assert_eq!(meant("permission", text), Some(answer), "{text}");
        }
        assert_eq!(meant("permission", "allow confirm"), None, "only high risk is confirmed");
        assert_eq!(meant("permission", "perhaps"), None);
        assert_eq!(meant("question", " use tabs "), Some(r#"{"text":" use tabs "}"#.into()));
        assert_eq!(meant("form", r#"{"a": NaN}"#), Some(r#"{"fields":{"a":null}}"#.into()));
        assert_eq!(meant("form", "[]"), None);
    }

    #[test]
    fn high_risk_is_confirmed_in_words() {
        let risk = serde_json::from_str(r#"{"level":"high","reason":"deletes a"}"#).unwrap();
        let view = RequestView { risk: Some(risk), ..request("permission") };
        for (text, option, confirm) in [
            ("allow", "a0", false),
            ("allow confirm", "a0", true),
            ("go on  CONFIRM", "a1", true),
            ("no", "r0", false),
        ] {
            let answer = understand(&view, text.to_owned()).ok().unwrap();
            assert_eq!((answer.option.as_deref(), answer.confirm), (Some(option), confirm), "{text}");
        }
        assert!(understand(&view, "no confirm".to_owned()).is_err(), "a refusal needs no second step");
    }
}
