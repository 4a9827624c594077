use super::*;

fn permission() -> Opened {
    let choice = |id: &str, name: &str, kind| Choice { id: id.into(), name: name.into(), kind };
    Opened {
        kind: Kind::Permission,
        options: vec![
            choice("yes", "Allow", OptionKind::AllowOnce),
            choice("no", "Deny", OptionKind::RejectOnce),
        ],
        ..Opened::question(
            "0190163d-8694-739b-aea5-966c26f8ad91".parse().unwrap(),
            "Write hello.txt".into(),
            String::new(),
        )
    }
}

fn option(id: &str) -> Answer {
    Answer { option: Some(id.into()), ..Answer::default() }
}

#[test]
fn an_option_is_found_by_id_or_name() {
    for given in ["yes", "YES", "allow", "Allow"] {
        assert_eq!(permission().accept(&option(given)).unwrap().option.as_deref(), Some("yes"));
    }
    let refused = permission().accept(&option("maybe")).unwrap_err();
    assert_eq!(refused.to_string(), "option must be one of: yes, no");
    assert!(permission().accept(&Answer { text: Some("yes".into()), ..Answer::default() }).is_err());
}

#[test]
fn a_question_wants_words_or_an_option() {
    let question = Opened { kind: Kind::Question, options: vec![], ..permission() };
    let says = |text: &str| Answer { text: Some(text.into()), ..Answer::default() };
    assert!(question.accept(&says("go on")).is_ok());
    assert!(question.accept(&says("")).is_err());
    let form = Opened { kind: Kind::Form, ..question };
    assert!(form.accept(&says("go on")).is_err());
    let fields = Some(Raw::parse(r#"{"a":1}"#).unwrap());
    assert!(form.accept(&Answer { fields, ..Answer::default() }).is_ok());
}

#[test]
fn a_request_is_checked_before_it_opens() {
    let requests = Requests::default();
    assert!(requests.ask(&permission(), None, true).is_ok());
    let without = Opened { options: vec![], ..permission() };
    assert!(requests.ask(&without, None, true).is_err());
    let twice = Opened { options: vec![permission().options[0].clone(); 2], ..permission() };
    assert_eq!(
        requests.ask(&twice, None, true).unwrap_err().to_string(),
        "options[1].id must differ from the others"
    );
    let hasty = Opened { on_timeout: OnTimeout::Deny, ..permission() };
    assert_eq!(requests.ask(&hasty, None, true).unwrap_err().to_string(), "on_timeout needs a deadline");
}

#[test]
fn every_field_that_an_agent_fills_has_a_bound() {
    let requests = Requests::default();
    let refused = |asked: Opened| requests.ask(&asked, None, true).unwrap_err().to_string();
    let long = Raw::of(&"x".repeat(MAX_TEXT_BYTES)).unwrap();
    assert!(refused(Opened { schema: Some(long), ..permission() }).contains("the limit is"));
    let list = Some(Raw::parse("[]").unwrap());
    assert_eq!(refused(Opened { schema: list, ..permission() }), "schema must be an object");
    assert!(
        refused(Opened { tool: Some("x".repeat(256)), ..permission() }).starts_with("tool must be at most")
    );
    let tags = |n: usize, tag: &str| Some(vec![tag.to_owned(); n]);
    assert_eq!(refused(Opened { tags: tags(21, "a"), ..permission() }), "tags must be at most 20");
    assert!(refused(Opened { tags: tags(1, "a\n"), ..permission() }).contains("control characters"));
}

fn event(seq: u64, fact: impl Into<Fact>) -> Event {
    let (by, seq) = (Principal::owner(), crate::id::Seq(seq));
    Event { seq, at: Time(0), by, turn: None, key: None, fact: fact.into() }
}

fn id(n: u64) -> RequestId {
    RequestId::new(uuid::Uuid::from_u128(n.into()))
}

#[test]
fn open_requests_have_a_budget_of_bytes_that_closing_frees() {
    let mut requests = Requests::default();
    let large = |n| Opened { id: id(n), question: "x".repeat(MAX_TEXT_BYTES), ..permission() };
    let fits = MAX_OPEN_BYTES / (MAX_TEXT_BYTES + 1_000);
    for n in 0..fits as u64 {
        requests.ask(&large(n), None, true).unwrap();
        requests.apply(&event(n, large(n)));
    }
    let refused = requests.ask(&large(99), None, true).unwrap_err();
    assert_eq!(refused.to_string(), "there are already 32 MiB of open requests, which is the limit");
    assert!(
        requests.ask(&Opened { id: id(99), ..permission() }, None, true).is_ok(),
        "a small one still fits"
    );
    let closed =
        ClosedFact { id: id(0), outcome: Outcome::Cancelled, answer: None, grant: None, also: Vec::new() };
    requests.apply(&event(100, closed));
    assert!(requests.ask(&large(99), None, true).is_ok());
}

#[test]
fn large_answers_are_remembered_for_a_shorter_time() {
    let mut requests = Requests::default();
    let answer = Answer { text: Some("x".repeat(MAX_TEXT_BYTES)), ..Answer::default() };
    for n in 0..20 {
        requests.apply(&event(2 * n + 1, Opened { id: id(n), ..permission() }));
        let (outcome, answer) = (Outcome::Expired, Some(answer.clone()));
        requests.apply(&event(
            2 * n + 2,
            ClosedFact { id: id(n), outcome, answer, grant: None, also: Vec::new() },
        ));
    }
    assert_eq!(requests.closed.len(), CLOSED_BYTES_KEPT / MAX_TEXT_BYTES);
    assert!(requests.closed.contains_key(&id(19)) && !requests.closed.contains_key(&id(0)));
}
