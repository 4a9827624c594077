use super::*;
use crate::id::{Node, Seq};
use crate::principal::{Caller, Principal};

const DAY: i64 = 86_400_000;

fn tell(spending: &mut Spending, now: i64, command: &Command) {
    let caller = Caller::trunkline();
    let node = Node { name: "here".into(), incarnation: 1 };
    let ctx = Context { now: Time(now), caller: &caller, node: &node, next: Seq(1) };
    let drafts = spending.decide(command, &ctx).unwrap();
    take(spending, drafts);
}

fn take(spending: &mut Spending, drafts: Vec<Draft>) {
    for Draft { fact, turn, .. } in drafts {
        let event = Event { seq: Seq(1), at: Time(7), by: Principal::owner(), turn, key: None, fact };
        let again = Event::from_line(&event.to_line()).unwrap();
        assert_eq!(again, event, "what is written is read back");
        spending.apply(&again);
    }
}

fn count(spending: &mut Spending, now: i64, profile: &str, tokens: u64) {
    let used = Used { tokens, cost: 0.5, turns: 1, ms: 2_000 };
    tell(spending, now, &Command::Count { profile: profile.to_owned(), used });
}

fn tokens(limit: u64) -> Option<DailyBudget> {
    Some(DailyBudget { tokens: Some(limit), ..DailyBudget::default() })
}

#[test]
fn a_day_is_counted_by_profile_and_in_all_and_the_next_begins_at_nothing() {
    let mut spending = Spending::default();
    count(&mut spending, 10 * DAY, "a", 30);
    count(&mut spending, 11 * DAY - 1, "b", 12);
    count(&mut spending, 11 * DAY - 1, "a", 5);
    let budgets = || [("a".to_owned(), tokens(40)), ("c".to_owned(), tokens(1)), ("d".to_owned(), None)];
    let day = spending.on(Time(11 * DAY - 1), tokens(47), budgets());
    assert_eq!((day.day.as_str(), day.until), ("1970-01-11", Time(11 * DAY)));
    assert_eq!(day.all.used, Used { tokens: 47, cost: 1.5, turns: 3, ms: 6_000 });
    assert_eq!(day.all.reached(false).unwrap().told, "47 of 47 tokens are used today");
    assert_eq!(day.profiles["a"].used.tokens, 35);
    assert_eq!(day.profiles["a"].reached(true), None);
    assert_eq!(day.profiles.keys().collect::<Vec<_>>(), ["a", "b", "c"], "d has used nothing and may all");
    let next = spending.on(Time(11 * DAY), tokens(47), budgets());
    assert_eq!((next.all.used, next.all.reached(true)), (Used::default(), None));
    count(&mut spending, 11 * DAY, "b", 1);
    assert_eq!(spending.on(Time(11 * DAY), None, []).all.used.tokens, 1);
}

#[test]
fn as_much_again_counts_for_its_day_only() {
    let mut spending = Spending::default();
    count(&mut spending, 0, "a", 10);
    let all = |spending: &Spending, now| spending.on(Time(now), tokens(10), []).all.reached(false).is_some();
    assert!(all(&spending, 0));
    tell(&mut spending, 0, &Command::Raise { profile: None });
    assert!(!all(&spending, 0));
    tell(&mut spending, 0, &Command::Raise { profile: Some("a".to_owned()) });
    assert_eq!(spending.on(Time(0), None, []).profiles["a"].raised, 1);
    count(&mut spending, 0, "a", 10);
    assert!(all(&spending, 0), "as much again, and no more");
    count(&mut spending, DAY, "a", 10);
    assert!(all(&spending, DAY), "another day, another answer");
}

#[test]
fn every_limit_stops_and_a_prompt_that_is_counted_goes_on() {
    let used = Used { tokens: 9, cost: 1.0, turns: 3, ms: 59_999 };
    let account = |budget| Account { used, budget: Some(budget), raised: 0 };
    let none = DailyBudget::default();
    let what = |budget, is_new| account(budget).reached(is_new).map(|reached| reached.what);
    assert_eq!(what(none, true), None);
    assert_eq!(what(DailyBudget { tokens: Some(9), ..none }, false), Some("tokens"));
    assert_eq!(what(DailyBudget { cost: Some(1.0), ..none }, false), Some("cost"));
    assert_eq!(what(DailyBudget { turns: Some(3), ..none }, true), Some("turns"));
    assert_eq!(what(DailyBudget { turns: Some(3), ..none }, false), None);
    assert_eq!(what(DailyBudget { seconds: Some(59), ..none }, false), Some("seconds"));
    assert_eq!(what(DailyBudget { seconds: Some(60), ..none }, false), None);
    assert!(DailyBudget { seconds: Some(0), ..none }.check().is_err());
    assert!(DailyBudget { cost: Some(f64::INFINITY), ..none }.check().is_err());
    assert!(DailyBudget { cost: Some(0.1), ..none }.check().is_ok());
}

#[test]
fn the_log_stays_short_and_so_does_what_is_remembered() {
    let mut spending = Spending::default();
    for n in 0..MAX_COUNTED + 3 {
        count(&mut spending, 0, &format!("p{n}"), 1);
    }
    let day = spending.on(Time(0), None, []);
    assert_eq!(day.profiles.len(), MAX_COUNTED + 1);
    assert_eq!((day.profiles[OTHERS].used.tokens, day.all.used.tokens), (3, MAX_COUNTED as u64 + 3));
    assert_eq!(spending.compaction(Grown { events: 100, bytes: 0 }), None);
    let mut again = Spending::default();
    take(&mut again, spending.compaction(Grown { events: u64::MAX, bytes: 0 }).unwrap());
    assert_eq!(again.on(Time(0), None, []), day, "it says all that was said before it");
}

#[test]
fn a_clock_that_is_set_back_frees_nothing() {
    let mut spending = Spending::default();
    count(&mut spending, 2 * DAY, "a", 10);
    count(&mut spending, DAY, "a", 10);
    assert_eq!(spending.on(Time(2 * DAY), None, []).all.used.tokens, 20);
}
