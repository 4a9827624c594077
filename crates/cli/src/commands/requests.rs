//! `inbox`, `answer`, `allow`, `deny`, `dismiss`.

use std::fmt::Write;

use trunkline_client::Client;
use trunkline_client::types::RequestQuery;
use trunkline_core::raw::Raw;
use trunkline_core::request::{Answer, Choice, Kind, OptionKind, Priority, wants_second_step};
use trunkline_core::risk::Level;
use trunkline_core::time::Time;
use trunkline_core::view::RequestView;

use crate::app::App;
use crate::args;
use crate::clean;
use crate::commands::{ask, confirm};
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::moment::{ago, until};
use crate::pick::{self, short};
use crate::style::{Paint, Tone};
use crate::table::{Cell, Table};

/// What a permission is worth where agents are not confined.
pub(crate) const UNCONFINED: &str =
    "agents here run as you and are not confined: they can do more than they ask for";
/// How many requests are asked for at a time.
const PAGE: usize = 200;

pub(crate) async fn inbox(app: &App, args: args::Inbox) -> Result<Exit> {
    let client = app.connect().await?;
    let session = match &args.session {
        Some(given) => Some(pick::session(app, &client, Some(given)).await?.id),
        None => None,
    };
    let limit = args.limit as usize;
    let status = Some(args.status.into());
    let mut query = RequestQuery { status, session, limit: Some(limit.min(PAGE)), ..RequestQuery::default() };
    let mut all = client.requests(&query).await?;
    while all.items.len() < limit && all.next.is_some() {
        query.cursor = all.next.take();
        query.limit = Some((limit - all.items.len()).min(PAGE));
        let page = client.requests(&query).await?;
        all.items.extend(page.items);
        all.next = page.next;
    }
    if app.screen.json {
        app.screen.json(&all)?;
    } else if all.items.is_empty() {
        app.screen.note("nothing waits for you");
    } else {
        app.screen.table(&table(&all.items, app.now()))?;
        let asks = |request: &RequestView| request.kind == Kind::Permission && request.closed.is_none();
        if all.items.iter().any(asks) && !client.health().await?.confined {
            app.screen.note(UNCONFINED);
        }
    }
    Ok(Exit::Ok)
}

pub(crate) async fn answer(app: &App, args: args::Answer) -> Result<Exit> {
    let client = app.connect().await?;
    let request = pick::request(app, &client, args.request.as_deref()).await?;
    let fields = args.fields.as_deref().map(Raw::parse).transpose();
    let fields = fields.map_err(|error| CliError::usage(format!("--fields is not JSON: {error}")))?;
    let given = match args.answer {
        None if args.text.is_none() && fields.is_none() && app.screen.interactive && !app.screen.json => {
            app.screen.part(&card(&request, app.screen.out))?;
            ask(app, "> ").await?
        }
        given => given,
    };
    let answer = compose(&request, given.as_deref(), args.text, fields)?;
    send(app, &client, &request, answer, args.force).await
}

pub(crate) async fn allow(app: &App, args: args::Decide) -> Result<Exit> {
    let kinds = [OptionKind::AllowOnce, OptionKind::AllowAlways];
    decide(app, args, kinds, "allows").await
}

pub(crate) async fn deny(app: &App, args: args::Decide) -> Result<Exit> {
    let kinds = [OptionKind::RejectOnce, OptionKind::RejectAlways];
    decide(app, args, kinds, "refuses").await
}

pub(crate) async fn dismiss(app: &App, args: args::OneRequest) -> Result<Exit> {
    let client = app.connect().await?;
    let request = pick::request(app, &client, args.request.as_deref()).await?;
    let dismissed = client.dismiss(request.id).await?;
    if app.screen.json {
        app.screen.json(&dismissed)?;
    } else {
        app.screen.print(format!("set aside: {}", clean::line(&request.title)))?;
        app.screen.note(format!("it can still be answered: trunkline answer {}", short(request.id)));
    }
    Ok(Exit::Ok)
}

async fn decide(app: &App, args: args::Decide, kinds: [OptionKind; 2], does: &str) -> Result<Exit> {
    let client = app.connect().await?;
    let request = pick::request(app, &client, args.request.as_deref()).await?;
    let choice = choose(&request, kinds[usize::from(args.always)], does)?;
    let answer = Answer { option: Some(choice.id.clone()), text: args.text, ..Answer::default() };
    send(app, &client, &request, answer, args.force).await
}

async fn send(
    app: &App,
    client: &Client,
    request: &RequestView,
    answer: Answer,
    force: bool,
) -> Result<Exit> {
    let Some(answer) = confirmed(app, request, answer, force).await? else { return Ok(Exit::Conflict) };
    let answered = client.answer(request.id, &answer).await?;
    if app.screen.json {
        app.screen.json(&answered)?;
    } else {
        let said = answer
            .option
            .as_deref()
            .map(|id| option_name(request, id))
            .or(answer.text.as_deref())
            .unwrap_or("the form");
        app.screen.print(format!("answered: {} → {}", clean::line(&request.title), clean::line(said)))?;
    }
    Ok(Exit::Ok)
}

/// The answer once it is sure: what lets something of high risk go on is asked about a second time.
async fn confirmed(app: &App, request: &RequestView, answer: Answer, force: bool) -> Result<Option<Answer>> {
    let chosen = request.options.iter().find(|choice| Some(&choice.id) == answer.option.as_ref());
    let risk = request.risk.as_ref();
    let Some(choice) = chosen.filter(|choice| wants_second_step(risk, choice)) else {
        return Ok(Some(answer));
    };
    if let Some(risk) = risk.filter(|_| !force) {
        app.screen.note(format!("high risk: {}", clean::line(&risk.reason)));
        let question = format!("{}: {}?", clean::line(&choice.name), clean::line(&request.title));
        if !confirm(app, &question).await? {
            return Ok(None);
        }
    }
    Ok(Some(Answer { confirm: true, ..answer }))
}

/// The option of exactly this kind. Which one an agent treats as the nearest is not for us to guess.
fn choose<'a>(request: &'a RequestView, kind: OptionKind, does: &str) -> Result<&'a Choice> {
    request.options.iter().find(|choice| choice.kind == kind).ok_or_else(|| {
        let always = matches!(kind, OptionKind::AllowAlways | OptionKind::RejectAlways);
        let how = if always { " for the next time too" } else { "" };
        let error = CliError::new(Exit::Conflict, format!("no option of this request {does} it{how}"));
        match options(request) {
            list if list.is_empty() => {
                error.hint(format!("answer in words: trunkline answer {} TEXT", short(request.id)))
            }
            list => error.hint(format!("choose one: trunkline answer {} {list}", short(request.id))),
        }
    })
}

/// Makes an answer of what was typed.
fn compose(
    request: &RequestView,
    given: Option<&str>,
    text: Option<String>,
    fields: Option<Raw>,
) -> Result<Answer> {
    let given = given.map(str::trim).filter(|given| !given.is_empty());
    if let Some(given) = given {
        if let Some(choice) = find_option(request, given) {
            return Ok(Answer { option: Some(choice.id.clone()), text, fields, ..Answer::default() });
        }
        if request.kind == Kind::Question && text.is_none() {
            return Ok(Answer { text: Some(given.to_owned()), fields, ..Answer::default() });
        }
        if request.kind == Kind::Form && fields.is_none() {
            let fields = Raw::parse(given).ok().filter(Raw::is_object);
            let fields = fields.ok_or_else(|| CliError::usage("a form is answered with a JSON object"))?;
            return Ok(Answer { text, fields: Some(fields), ..Answer::default() });
        }
        let error = CliError::usage(format!("`{given}` is none of the options"));
        return Err(error.hint(format!("choose one: {}", options(request))));
    }
    if text.is_some() || fields.is_some() {
        return Ok(Answer { text, fields, ..Answer::default() });
    }
    let error = CliError::usage("there is no answer to send");
    Err(match request.kind {
        Kind::Permission => error.hint(format!("choose one: {}", options(request))),
        Kind::Question => error.hint("write it behind the request"),
        Kind::Form => error.hint("give the form with --fields '{…}'"),
    })
}

/// An option by its id, its name in any case, or its number.
fn find_option<'a>(request: &'a RequestView, given: &str) -> Option<&'a Choice> {
    let options = &request.options;
    let by_id = options.iter().find(|choice| choice.id == given);
    let loosely =
        |choice: &&Choice| choice.id.eq_ignore_ascii_case(given) || choice.name.eq_ignore_ascii_case(given);
    let by_number = || options.get(given.parse::<usize>().ok()?.checked_sub(1)?);
    by_id.or_else(|| options.iter().find(loosely)).or_else(by_number)
}

fn option_name<'a>(request: &'a RequestView, id: &'a str) -> &'a str {
    request.options.iter().find(|choice| choice.id == id).map_or(id, |choice| &choice.name)
}

fn options(request: &RequestView) -> String {
    request.options.iter().map(|choice| choice.id.as_str()).collect::<Vec<_>>().join(", ")
}

/// A request with everything that helps to decide.
fn card(request: &RequestView, paint: Paint) -> String {
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{text}").expect("a string takes everything");
    let from = format!("{} in {}", request.agent, request.workspace.as_deref().unwrap_or("-"));
    line(paint.of(Tone::Bold, clean::line(&request.title)).to_string());
    line(paint.of(Tone::Dim, clean::line(&from)).to_string());
    if !request.question.is_empty() {
        line(clean::text(&request.question));
    }
    crate::transcript::tool_details(request.tool_call.as_ref(), paint).into_iter().for_each(&mut line);
    if let Some(said) = &request.said {
        line(paint.of(Tone::Dim, clean::text(said)).to_string());
    }
    if let Some(risk) = &request.risk {
        let marks: Vec<_> = risk.marks.iter().map(|mark| mark.words()).collect();
        let marks = if marks.is_empty() { String::new() } else { format!(" [{}]", marks.join(", ")) };
        let text = format!("{} risk: {}{marks}", risk.level.word(), clean::line(&risk.reason));
        line(paint.of(risk_tone(risk.level), text).to_string());
    }
    if let Some(rule) = &request.rule {
        line(paint.of(Tone::Dim, format!("asked because {}", clean::line(rule))).to_string());
    }
    for (n, choice) in request.options.iter().enumerate() {
        line(format!("  {} {}", paint.of(Tone::Accent, n + 1), clean::line(&choice.name)));
    }
    out
}

const fn risk_tone(level: Level) -> Tone {
    match level {
        Level::Low => Tone::Dim,
        Level::Medium => Tone::Plain,
        Level::Unknown => Tone::Warn,
        Level::High => Tone::Bad,
    }
}

fn table(requests: &[RequestView], now: Time) -> Table {
    let mut table = Table::new(&["ID", "KIND", "RISK", "AGENT", "TITLE", "OPTIONS", "DIRECTORY", "ASKED"]);
    for request in requests {
        let tone = if request.priority >= Priority::High { Tone::Bad } else { Tone::Plain };
        let kind = match request.kind {
            Kind::Permission => "permission",
            Kind::Question => "question",
            Kind::Form => "form",
        };
        let asked = match (&request.closed, request.deadline) {
            (Some(closed), _) => format!("{} by {}", closed.outcome.verb(), closed.by),
            (None, Some(deadline)) => {
                format!("{}, due {}", ago(now, request.created_at), until(now, deadline))
            }
            (None, None) => ago(now, request.created_at),
        };
        table.row(vec![
            Cell::new(Tone::Accent, short(request.id)),
            Cell::from(kind),
            request
                .risk
                .as_ref()
                .map_or_else(|| Cell::from("-"), |risk| Cell::new(risk_tone(risk.level), risk.level.word())),
            Cell::from(&request.agent),
            Cell::new(tone, &request.title),
            Cell::from(options(request)),
            Cell::new(Tone::Dim, request.workspace.as_deref().unwrap_or("-")),
            Cell::new(Tone::Dim, asked),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: &str) -> RequestView {
        let json = format!(
            r#"{{"id":"0190163d-8694-739b-aea5-966c26f8ad91","session":"0190163d-8694-739b-aea5-966c26f8ad92","agent":"demo",
            "workspace":"/w","status":"open","kind":"{kind}","title":"Write a.txt","priority":"normal","created_at":0,
            "created_by":"agent/x","options":[{{"id":"y","name":"Allow","kind":"allow_once"}},
            {{"id":"n","name":"Deny","kind":"reject_once"}}]}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    fn composed(kind: &str, given: &str) -> std::result::Result<String, String> {
        let answer = compose(&request(kind), Some(given), None, None);
        answer
            .map(|answer| serde_json::to_string(&answer).unwrap())
            .map_err(|error| error.render(Paint::PLAIN))
    }

    #[test]
    fn what_is_typed_becomes_an_answer() {
        for given in ["y", "Y", "allow", "1", " 1 "] {
            assert_eq!(composed("permission", given).unwrap(), r#"{"option":"y"}"#, "{given}");
        }
        assert_eq!(composed("question", "deny").unwrap(), r#"{"option":"n"}"#);
        assert_eq!(composed("question", "use tabs").unwrap(), r#"{"text":"use tabs"}"#);
        assert_eq!(composed("form", r#"{"a":1}"#).unwrap(), r#"{"fields":{"a":1}}"#);
        insta::assert_snapshot!(composed("permission", "perhaps").unwrap_err(), @r"
        error: `perhaps` is none of the options
        hint: choose one: y, n
        ");
        assert!(composed("permission", "0").is_err() && composed("permission", "3").is_err());
        assert!(composed("permission", "").unwrap_err().starts_with("error: there is no answer to send"));
    }

    #[test]
    fn allow_and_deny_take_the_option_of_their_kind_only() {
        let request = request("permission");
        assert_eq!(choose(&request, OptionKind::AllowOnce, "allows").unwrap().id, "y");
        assert_eq!(choose(&request, OptionKind::RejectOnce, "refuses").unwrap().id, "n");
        let error = choose(&request, OptionKind::AllowAlways, "allows").unwrap_err();
        insta::assert_snapshot!(error.render(Paint::PLAIN), @r"
        error: no option of this request allows it for the next time too
        hint: choose one: trunkline answer 26f8ad91 y, n
        ");
    }

    #[test]
    fn requests_are_listed() {
        insta::assert_snapshot!(table(&[request("permission")], Time(60_000)).render(Paint::PLAIN, None), @r"
        ID        KIND        RISK  AGENT  TITLE        OPTIONS  DIRECTORY  ASKED
        26f8ad91  permission  -     demo   Write a.txt  y, n     /w         1m ago
        ");
    }
}
