//! `ask_human`: a question and its answer in one call.

use serde_json::json;
use trunkline_core::id::RequestId;
use trunkline_core::raw::Raw;
use trunkline_core::request::{Choice, Closed, Kind, MAX_TITLE, OnTimeout, Opened, OptionKind, Outcome};
use uuid::Uuid;

use super::arguments::Arguments;
use super::elicit::{self, Offered};
use super::hub::number;
use super::wait::{Asked, Call, End};
use crate::sessionbus::show::{PRIORITIES, priority, responder, said};
use crate::sessionbus::{Fail, Json, Reply, Wrong, whole};

/// How many answers may be offered, and how many characters each may have.
const MAX_OPTIONS: usize = 20;
const MAX_OPTION: usize = 200;
/// How long a question may wait, in seconds, if it does not wait for ever.
const MAX_WAIT: u64 = 7 * 24 * 60 * 60;

pub(crate) async fn run(call: &Call<'_>, arguments: &Arguments) -> Result<Reply, Fail> {
    let question = compose(call, arguments)?;
    let form = elicit::form(&question);
    let mut asked = call.ask(arguments.maybe("session_id"), question).await?;
    let mut offered = Offered::put(call.context, call.parts, form).await;
    let answer = tokio::select! {
        biased;
        end = asked.wait() => Err(end),
        answer = offered.answer() => Ok(answer),
    };
    match answer {
        Ok(answer) => match asked.withdraw(Outcome::Superseded).await? {
            Some(closed) => Ok(told(&asked, &closed)),
            // The answer is the host's, not one that the hub has seen: it says so.
            None => Ok(reply(&asked, "ANSWERED", Some(&answer), Some(&asked.client()))),
        },
        Err(end) => {
            offered.take_back().await;
            finish(&asked, end?).await
        }
    }
}

async fn finish(asked: &Asked<'_>, end: End) -> Result<Reply, Fail> {
    match end {
        End::Closed(closed) => Ok(told(asked, &closed)),
        // Nobody waits for the answer any more: nobody shall be asked for one.
        End::Dismissed => {
            let late = asked.withdraw(Outcome::Cancelled).await?;
            Ok(late.map_or_else(|| reply(asked, "DISMISSED", None, None), |closed| told(asked, &closed)))
        }
        End::Left | End::Token => {
            asked.withdraw(Outcome::Cancelled).await?;
            Ok(reply(asked, "CANCELLED", None, None))
        }
    }
}

fn told(asked: &Asked<'_>, closed: &Closed) -> Reply {
    let status = match closed.outcome {
        Outcome::Answered => "ANSWERED",
        Outcome::Expired => "EXPIRED",
        Outcome::Cancelled | Outcome::Superseded => "CANCELLED",
    };
    let answer = closed.answer.as_ref();
    let (text, by) = (answer.map(said), answer.map(responder));
    reply(asked, status, text.as_deref(), by.as_deref())
}

fn reply(asked: &Asked<'_>, status: &str, answer: Option<&str>, responder: Option<&str>) -> Reply {
    Reply::of(&json!({ "request_id": asked.id, "status": status, "answer": answer, "responder": responder }))
}

fn compose(call: &Call<'_>, arguments: &Arguments) -> Result<Opened, Fail> {
    let wrong = |wrong| Fail::Wrong(vec![wrong]);
    let question = arguments.text("question");
    let title = match arguments.maybe("title") {
        Some(title) => title.to_owned(),
        None => headline(question),
    };
    if title.trim().is_empty() {
        let says = "String should have at least 1 character";
        return Err(wrong(Wrong::new("string_too_short", &["body", "question"], says, Json::text(question))));
    }
    let urgency = arguments.text("priority");
    if !PRIORITIES.contains(&urgency) {
        return Err(wrong(Wrong::choice(&["body", "priority"], &PRIORITIES, Json::text(urgency))));
    }
    let wait = arguments.whole("timeout").map(number);
    let wait =
        wait.map(|given| whole("timeout", Some(&given), 0, MAX_WAIT)).transpose().map_err(Fail::Wrong)?;
    let context = arguments.any("context_json").map(|value| Raw::of(value).expect("JSON has a JSON form"));
    Ok(Opened {
        id: RequestId::new(Uuid::now_v7()),
        kind: Kind::Question,
        title,
        question: question.to_owned(),
        options: options(arguments.texts("options").unwrap_or_default())?,
        tool_call: None,
        tool: None,
        schema: None,
        context,
        priority: priority(urgency),
        tags: arguments.texts("tags"),
        deadline: wait.map(|seconds| call.app.hub.now().plus_ms(seconds * 1_000)),
        on_timeout: if wait.is_some() { OnTimeout::Deny } else { OnTimeout::Wait },
    })
}

fn options(given: Vec<String>) -> Result<Vec<Choice>, Fail> {
    let wrong =
        |says: String| Fail::Wrong(vec![Wrong::new("value_error", &["body", "options"], says, Json::Null)]);
    if given.len() > MAX_OPTIONS {
        return Err(wrong(format!("there may be at most {MAX_OPTIONS}")));
    }
    if let Some(bad) = given.iter().find(|text| text.trim().is_empty() || text.chars().count() > MAX_OPTION) {
        return Err(wrong(format!(
            "each must have 1 to {MAX_OPTION} characters; one has {}",
            bad.chars().count()
        )));
    }
    let choice = |text: String| Choice { id: text.clone(), name: text, kind: OptionKind::Choice };
    Ok(given.into_iter().map(choice).collect())
}

/// The beginning of a question, as one line.
fn headline(question: &str) -> String {
    let words = question.split_whitespace().collect::<Vec<_>>().join(" ");
    let words: String = words.chars().filter(|c| !c.is_control()).collect();
    if words.chars().count() <= MAX_TITLE {
        return words;
    }
    words.chars().take(MAX_TITLE - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_question_is_its_title() {
        assert_eq!(headline(" Use\n tabs?\u{7} "), "Use tabs?");
        assert_eq!(headline(&"é".repeat(300)).chars().count(), MAX_TITLE);
    }

    #[test]
    fn answers_to_choose_from_are_bounded() {
        assert!(options(vec!["yes".into(), "no".into()]).is_ok_and(|options| options.len() == 2));
        for bad in [vec![String::new()], vec!["x".repeat(201)], vec!["x".into(); 21]] {
            assert!(matches!(options(bad), Err(Fail::Wrong(_))));
        }
    }
}
