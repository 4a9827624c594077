//! What a link in a notification may answer: one request, with what counts once.
//!
//! Whoever holds such a link needs no token. So it opens no request whose risk is high or cannot be told, and offers nothing
//! that is remembered.

use crate::request::{Answer, Choice, Kind, OptionKind};
use crate::risk::Level;
use crate::time::Time;
use crate::view::RequestView;

/// How long a link works at most, in milliseconds, whatever the deadline of its request.
pub const MAX_LIFE_MS: u64 = 24 * 3_600_000;

/// Until when a link to this request works; `None` if it gets none.
#[must_use]
pub fn until(request: &RequestView) -> Option<Time> {
    let harmless = |level: Level| matches!(level, Level::Low | Level::Medium);
    let fits = match request.kind {
        Kind::Permission => request.risk.as_ref().is_some_and(|risk| harmless(risk.level)),
        Kind::Question => request.risk.as_ref().is_none_or(|risk| harmless(risk.level)),
        Kind::Form => false,
    };
    let end = request.created_at.plus_ms(MAX_LIFE_MS);
    let end = request.deadline.map_or(end, |deadline| deadline.min(end));
    let asks_for_text = request.kind == Kind::Question && request.options.is_empty();
    (fits && (asks_for_text || !choices(request).is_empty())).then_some(end)
}

/// The options that a link offers.
#[must_use]
pub fn choices(request: &RequestView) -> Vec<&Choice> {
    let once = |choice: &&Choice| match choice.kind {
        OptionKind::AllowOnce | OptionKind::RejectOnce => true,
        OptionKind::AllowAlways | OptionKind::RejectAlways | OptionKind::Choice => {
            request.kind == Kind::Question
        }
    };
    request.options.iter().filter(once).collect()
}

/// The answer that was chosen or typed, if the link may give it.
#[must_use]
pub fn answer(request: &RequestView, option: Option<&str>, text: Option<&str>) -> Option<Answer> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    match option {
        Some(id) => {
            let choice = choices(request).into_iter().find(|choice| choice.id == id)?;
            let text = text.map(str::to_owned);
            Some(Answer { option: Some(choice.id.clone()), text, ..Answer::default() })
        }
        None if request.kind == Kind::Question && request.options.is_empty() => {
            Some(Answer { text: Some(text?.to_owned()), ..Answer::default() })
        }
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn request(kind: &str, risk: &Value, options: &Value) -> RequestView {
        let risk = if risk.is_null() { Value::Null } else { json!({ "level": risk, "reason": "why" }) };
        serde_json::from_value(json!({
            "id": "0190163d-8694-739b-aea5-966c26f8ad91", "session": "0190163d-8694-739b-aea5-966c26f8ad92", "agent": "bot",
            "status": "open", "kind": kind, "title": "?", "priority": "normal", "created_at": 1_000, "created_by": "owner",
            "options": options, "risk": risk,
        }))
        .unwrap()
    }

    fn options() -> Value {
        json!([
            { "id": "y", "name": "Allow", "kind": "allow_once" }, { "id": "a", "name": "Always", "kind": "allow_always" },
            { "id": "n", "name": "Reject", "kind": "reject_once" }, { "id": "x", "name": "Never", "kind": "reject_always" },
        ])
    }

    #[test]
    fn a_permission_gets_a_link_only_where_its_risk_is_known_not_to_be_high() {
        for (risk, gets) in [
            (json!("low"), true),
            (json!("medium"), true),
            (json!("high"), false),
            (json!("unknown"), false),
            (Value::Null, false),
        ] {
            assert_eq!(until(&request("permission", &risk, &options())).is_some(), gets, "{risk}");
        }
        assert_eq!(until(&request("form", &Value::Null, &json!([]))), None);
        assert_eq!(
            until(&request("question", &Value::Null, &json!([]))),
            Some(Time(1_000).plus_ms(MAX_LIFE_MS))
        );
        let mut soon = request("question", &Value::Null, &options());
        soon.deadline = Some(Time(2_000));
        assert_eq!(until(&soon), Some(Time(2_000)));
    }

    #[test]
    fn nothing_that_is_remembered_is_offered() {
        let asked = request("permission", &json!("low"), &options());
        assert_eq!(choices(&asked).iter().map(|choice| &*choice.id).collect::<Vec<_>>(), ["y", "n"]);
        assert_eq!(answer(&asked, Some("a"), None), None);
        assert_eq!(answer(&asked, None, Some("yes")), None);
        assert_eq!(answer(&asked, Some("y"), Some(" ")).unwrap().option.as_deref(), Some("y"));
        let always = json!([{ "id": "a", "name": "Always", "kind": "allow_always" }]);
        assert_eq!(until(&request("permission", &json!("low"), &always)), None, "there is nothing to choose");
    }

    #[test]
    fn a_question_takes_a_text_where_it_has_no_options() {
        let open = request("question", &Value::Null, &json!([]));
        assert_eq!(answer(&open, None, Some(" blue ")).unwrap().text.as_deref(), Some("blue"));
        assert_eq!(answer(&open, None, Some("  ")), None);
        assert_eq!(answer(&request("question", &Value::Null, &options()), None, Some("blue")), None);
    }
}
