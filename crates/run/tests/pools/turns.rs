//! Turns over a pool.

use trunkline_core::request::Answer;
use trunkline_core::turn::StopReason;
use trunkline_run::pools::{Heard, Otherwise, Policy, PoolView, Rule, Settings};

use crate::stage::played::{PATIENCE, end, error, notes, said};
use crate::stage::{Stage, kill, scripted};
use crate::world::{inbox, owner};

fn all_up(pool: &PoolView) -> bool {
    pool.workers.iter().all(|worker| worker.state == "up")
}

fn pids(pool: &PoolView) -> Vec<u32> {
    pool.workers.iter().filter_map(|worker| worker.pid).collect()
}

#[tokio::test]
async fn sessions_are_pinned_each_to_its_worker() {
    let stage = Stage::new(scripted(2)).await;
    let (mut a, mut b) = (stage.session().await, stage.session().await);
    let events = stage.turn(&mut a, "pid").await;
    let (first, usage) = (said(&events), end(&events).usage.unwrap());
    assert_eq!((usage.input, usage.output), (Some(3), Some(4)));
    let second = stage.hears(&mut b, "pid").await;
    assert_ne!(first, second, "two workers share the sessions");
    for _ in 0..3 {
        assert_eq!(stage.hears(&mut a, "pid").await, first);
        assert_eq!(stage.hears(&mut b, "pid").await, second);
    }
    let pool = stage.pool().await;
    let sessions: Vec<_> = pool.workers.iter().map(|worker| worker.sessions).collect();
    assert_eq!(sessions, [1, 1]);
    let mut seen: Vec<_> = pids(&pool).iter().map(u32::to_string).collect();
    let mut heard = vec![first, second];
    seen.sort();
    heard.sort();
    assert_eq!(seen, heard);
    assert_eq!(stage.hears(&mut a, "who").await, "owner");
    stage.finish().await;
}

#[tokio::test]
async fn a_worker_that_dies_ends_its_turn_only_and_the_next_works_again() {
    let stage = Stage::new(scripted(2)).await;
    let (mut a, mut b) = (stage.session().await, stage.session().await);
    stage.prompt(&a, "hang").await;
    let worker = said(&a.until("turn.update").await);
    stage.prompt(&b, "hang").await;
    b.until("turn.update").await;
    let before = tokio::time::Instant::now();
    kill(&worker);
    let events = a.until("turn.ended").await;
    assert!(before.elapsed() < std::time::Duration::from_secs(5), "{:?}", before.elapsed());
    assert_eq!(
        error(&events),
        "the pool p answered `session/prompt` with an error: The worker ended before it answered (signal 9) (5)"
    );
    let again = stage.hears(&mut a, "pid").await;
    assert_ne!(again, worker);
    stage.cancel(&b).await;
    assert_eq!(end(&b.until("turn.ended").await).stop_reason, StopReason::Cancelled);
    assert_eq!(stage.pool_is(all_up).await.workers.iter().map(|worker| worker.restarts).sum::<u64>(), 1);
    stage.finish().await;
}

#[tokio::test]
async fn a_permission_goes_through_the_pool_and_back() {
    let stage = Stage::new(scripted(2)).await;
    let (mut a, mut b) = (stage.session().await, stage.session().await);
    stage.prompt(&a, "ask").await;
    a.until("request.opened").await;
    stage.prompt(&b, "ask").await;
    b.until("request.opened").await;
    let asked = inbox(&stage.hub).await;
    assert_eq!(asked.len(), 2);
    for request in &asked {
        assert_eq!(request.title, "Write a.txt");
        let option = if request.session == a.id { "yes" } else { "no" };
        let answer = Answer { option: Some(option.to_owned()), ..Answer::default() };
        stage.hub.answer(&owner(), request, answer, None).await.unwrap();
    }
    assert_eq!(said(&a.until("turn.ended").await), "yes");
    assert_eq!(said(&b.until("turn.ended").await), "no");
    stage.finish().await;
}

#[tokio::test]
async fn what_nobody_knows_is_noted_or_refused_and_errors_are_told() {
    let stage = Stage::new(scripted(1)).await;
    let mut talk = stage.session().await;
    let events = stage.turn(&mut talk, "odd").await;
    assert_eq!(said(&events), "-32601");
    assert_eq!(notes(&events), ["unknown_notification"]);
    assert_eq!(stage.pool().await.workers[0].garbage_lines, 1);
    let events = stage.turn(&mut talk, "fail").await;
    assert!(error(&events).ends_with("it went wrong (-32603)"), "{}", error(&events));
    stage.turn(&mut talk, "grumble").await;
    let pool = stage.pool_is(|pool| !pool.workers[0].stderr.is_empty()).await;
    assert_eq!(pool.workers[0].stderr, "a word on stderr");
    stage.finish().await;
}

#[tokio::test]
async fn a_pool_is_restarted_by_name() {
    let stage = Stage::new(scripted(2)).await;
    let mut talk = stage.session().await;
    let before = pids(&stage.pool_is(all_up).await);
    stage.prompt(&talk, "hang").await;
    talk.until("turn.update").await;
    assert!(stage.pools.restart("p").await.unwrap().is_some());
    assert!(
        error(&talk.until("turn.ended").await).contains("The worker was restarted before it answered (5)")
    );
    stage.hears(&mut talk, "pid").await;
    let after = pids(&stage.pool_is(all_up).await);
    assert!(after.iter().all(|pid| !before.contains(pid)), "{before:?} {after:?}");
    assert_eq!(stage.pools.restart("nobody").await.unwrap(), None);
    stage.finish().await;
}

#[tokio::test]
async fn a_drained_pool_lets_turns_end_and_takes_no_more() {
    let stage = Stage::new(scripted(1)).await;
    let (mut a, mut b) = (stage.session().await, stage.session().await);
    stage.prompt(&a, "hang").await;
    a.until("turn.update").await;
    assert!(stage.pools.drain("p").await.unwrap().unwrap().drained);
    let events = stage.turn(&mut b, "pid").await;
    assert!(error(&events).contains("Pool 'p' is drained and takes no requests (8)"), "{}", error(&events));
    assert_eq!(stage.pool().await.workers[0].in_flight, 1, "what is under way goes on");
    stage.cancel(&a).await;
    assert_eq!(end(&a.until("turn.ended").await).stop_reason, StopReason::Cancelled);
    assert!(!stage.pools.resume("p").await.unwrap().unwrap().drained);
    stage.hears(&mut b, "pid").await;
    stage.finish().await;
}

#[tokio::test]
async fn policy_denies_and_the_sessions_log_tells() {
    let rule =
        Rule { subject: Some("owner".to_owned()), deny: vec!["session/*".to_owned()], ..Rule::default() };
    let policy = Policy { default: Otherwise::Allow, rules: vec![rule] };
    let stage = Stage::new(Settings { policy: Some(policy), ..scripted(1) }).await;
    let mut talk = stage.session().await;
    let events = stage.turn(&mut talk, "pid").await;
    assert!(error(&events).contains("does not allow 'session/prompt' (7)"), "{}", error(&events));
    assert_eq!(notes(&events), ["pool_record"]);
    stage.finish().await;
}

#[tokio::test]
async fn a_program_that_is_not_there_is_an_error_and_no_loop() {
    let missing = Settings { command: "no-such-program".to_owned(), ..Settings::default() };
    let stage = Stage::new(missing).await;
    let mut talk = stage.session().await;
    stage.pool_is(|pool| pool.workers[0].state != "starting").await;
    let events = stage.turn(&mut talk, "pid").await;
    assert!(error(&events).contains("the pool p answered"), "{}", error(&events));
    stage.finish().await;
}

#[tokio::test]
async fn nothing_is_left_when_everything_stops_in_the_middle() {
    let stage = Stage::new(scripted(3)).await;
    let talk = stage.session().await;
    stage.prompt(&talk, "hang").await;
    stage.pool_is(all_up).await;
    stage.finish().await;
}

#[tokio::test]
async fn lines_of_a_client_in_this_process_come_back() {
    let stage = Stage::new(scripted(1)).await;
    let mut client = stage.pools.connect().await.unwrap();
    let params = r#"{"sessionId":"s","prompt":[{"type":"text","text":"grumble"}]}"#;
    let line = format!(r#"{{"id":7,"method":"m","pool":"p","sessionId":"s","params":{params}}}"#);
    client.send(line).await.unwrap();
    let heard = tokio::time::timeout(PATIENCE, client.next()).await.unwrap().unwrap();
    assert_eq!(heard, Heard::Line(r#"{"jsonrpc": "2.0", "id": 7, "result": {}}"#.into()));
    client.send(r#"{"id":8,"method":"m","pool":"x"}"#).await.unwrap();
    let Some(Heard::Line(line)) = client.next().await else { panic!("a line comes") };
    assert!(String::from_utf8_lossy(&line).contains("No workers available in pool 'x'"));
    assert_eq!(stage.pool().await.workers[0].sessions, 1);
    drop(client);
    stage.pool_is(|pool| pool.workers[0].sessions == 0).await;
    stage.finish().await;
}
