//! One hub: turns, the queue, requests, cancel, keys, failures of the store.

use std::sync::atomic::Ordering;
use std::time::Duration;

use trunkline_core::event::Fact;
use trunkline_core::id::{LogId, Seq, TurnId};
use trunkline_core::presence::Joined;
use trunkline_core::refused::Refused;
use trunkline_core::request::Answer;
use trunkline_core::row::RowKind;
use trunkline_core::session::Command;
use trunkline_core::turn::{StopReason, WhenBusy, Why};
use trunkline_log::AppendError;
use trunkline_log::frame::{Query, Want};
use trunkline_run::CommandError;

use crate::world::{Mortal, Reader, created, hub, inbox, log, memory, owner, prompt, session, tags};

fn say(option: &str) -> Answer {
    Answer { option: Some(option.into()), ..Answer::default() }
}

fn stop_reasons(events: &[trunkline_core::event::Event]) -> Vec<StopReason> {
    let ended = |event: &trunkline_core::event::Event| match &event.fact {
        Fact::TurnEnded(ended) => Some(ended.stop_reason),
        _ => None,
    };
    events.iter().filter_map(ended).collect()
}

#[tokio::test(start_paused = true)]
async fn a_turn_streams_asks_and_ends() {
    let hub = hub(memory(), "here", 1).await;
    let id = session(&hub).await;
    let mut reader = Reader::attach(&hub, id, Seq::ZERO).await;
    hub.command(&owner(), id, prompt("say one ask say two", WhenBusy::Reject), None).await.unwrap();
    reader.until("request.opened").await;
    let asked = inbox(&hub).await;
    assert_eq!(asked[0].title, "May I?");
    hub.answer(&owner(), &asked[0], say("yes"), None).await.unwrap();
    let events = reader.until("turn.ended").await;
    let said: Vec<_> = events.iter().filter(|event| event.fact.tag() == "turn.update").collect();
    assert_eq!(said.len(), 1, "words within the window share an update");
    let Fact::TurnUpdate(update) = &said[0].fact else { panic!() };
    assert!(update.update.get().contains("yestwo"), "{:?}", update.update);
    assert_eq!(stop_reasons(&events), [StopReason::EndTurn]);
    assert!(inbox(&hub).await.is_empty());
    let second = hub.answer(&owner(), &asked[0], say("no"), None).await.unwrap_err();
    assert!(
        matches!(second, CommandError::Refused(Refused::RequestClosed { closed }) if closed.answer == Some(say("yes")))
    );
}

#[tokio::test(start_paused = true)]
async fn words_share_a_frame_as_long_as_somebody_can_wait_for_them() {
    let store = memory();
    let hub = hub(store.clone(), "here", 1).await;
    let id = session(&hub).await;
    let said = async |words: &str, after: u64| {
        hub.command(&owner(), id, prompt(words, WhenBusy::Queue), None).await.unwrap();
        tokio::time::sleep(Duration::from_millis(after)).await;
        let stop = Command::Stop { turn: None, why: Why::Cancelled, grace_ms: 0 };
        let events = log(&*store, id).await;
        hub.command(&owner(), id, stop, None).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let started = events.iter().rposition(|event| event.fact.tag() == "turn.started").unwrap();
        events[started..].iter().filter(|event| event.fact.tag() == "turn.update").count()
    };
    // The first word goes out at once. Nobody is attached: those that follow each other closely wait for the window's end,
    // and the last one for a short silence only.
    assert_eq!(said("say a tick say b tick say c tick say d hang", 100).await, 2);
    // An agent that asks waits for its answer, and is nobody who reads.
    assert_eq!(said("asking tick tick say a tick say b tick say c tick say d hang", 200).await, 2);
    let _reader = Reader::attach(&hub, id, Seq::ZERO).await;
    assert_eq!(said("say a tick say b tick say c tick say d hang", 100).await, 4);
}

#[tokio::test(start_paused = true)]
async fn what_a_running_tool_shows_is_written_at_intervals_and_at_the_end() {
    let hub = hub(memory(), "here", 1).await;
    let id = session(&hub).await;
    let mut reader = Reader::attach(&hub, id, Seq::ZERO).await;
    let words = "show tick show tick show nap nap show tick show";
    hub.command(&owner(), id, prompt(words, WhenBusy::Reject), None).await.unwrap();
    let events = reader.until("turn.ended").await;
    let shown = events.iter().filter_map(|event| match &event.fact {
        Fact::TurnUpdate(update) => update.update.read::<serde_json::Value>().unwrap()["content"][0].as_u64(),
        _ => None,
    });
    assert_eq!(shown.collect::<Vec<_>>(), [1, 3, 5], "at once, after a second, at the end");
}

#[tokio::test(start_paused = true)]
async fn prompts_wait_in_line_or_are_refused() {
    let hub = hub(memory(), "here", 1).await;
    let id = session(&hub).await;
    let mut reader = Reader::attach(&hub, id, Seq::ZERO).await;
    hub.command(&owner(), id, prompt("nap", WhenBusy::Reject), None).await.unwrap();
    let busy = hub.command(&owner(), id, prompt("say x", WhenBusy::Reject), None).await.unwrap_err();
    assert!(matches!(busy, CommandError::Refused(Refused::Busy { turn: TurnId(Seq(2)) })), "{busy}");
    hub.command(&owner(), id, prompt("say second", WhenBusy::Queue), None).await.unwrap();
    reader.until("turn.ended").await;
    let second = reader.until("turn.ended").await;
    assert!(tags(&second).contains(&"turn.update"), "{second:?}");
}

#[tokio::test(start_paused = true)]
async fn cancel_ends_a_turn_that_listens_and_one_that_does_not() {
    let hub = hub(memory(), "here", 1).await;
    for (words, grace) in [("hang", 0), ("ask", 0), ("say x deaf", 5_000)] {
        let id = session(&hub).await;
        let mut reader = Reader::attach(&hub, id, Seq::ZERO).await;
        hub.command(&owner(), id, prompt(words, WhenBusy::Reject), None).await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        let before = hub.now();
        let stop = Command::Stop { turn: None, why: Why::Cancelled, grace_ms: 5_000 };
        hub.command(&owner(), id, stop, None).await.unwrap();
        let events = reader.until("turn.ended").await;
        assert_eq!(stop_reasons(&events), [StopReason::Cancelled], "{words}");
        assert_eq!(hub.now().ms_since(before), grace, "{words}");
        assert!(inbox(&hub).await.is_empty(), "{words}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_agent_fails_its_turn_only() {
    let hub = hub(memory(), "here", 1).await;
    let id = session(&hub).await;
    let mut reader = Reader::attach(&hub, id, Seq::ZERO).await;
    for words in ["fail", "panic", "say fine"] {
        hub.command(&owner(), id, prompt(words, WhenBusy::Reject), None).await.unwrap();
        let events = reader.until("turn.ended").await;
        let expected = if words == "say fine" { StopReason::EndTurn } else { StopReason::Error };
        assert_eq!(stop_reasons(&events), [expected], "{words}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_with_the_same_key_gets_the_first_outcome() {
    let hub = hub(memory(), "here", 1).await;
    let key = |digest: &str| Some(("k1".to_owned(), digest.to_owned()));
    let (id, _) = hub.create(&owner(), created("script"), key("a")).await.unwrap();
    let (again, _) = hub.create(&owner(), created("script"), key("a")).await.unwrap();
    assert_eq!(id, again);
    let other = hub.create(&owner(), created("script"), key("b")).await.unwrap_err();
    assert!(matches!(other, CommandError::Refused(Refused::KeyReused)));
    let first = hub.command(&owner(), id, prompt("nap", WhenBusy::Reject), key("p")).await.unwrap();
    let second = hub.command(&owner(), id, prompt("nap", WhenBusy::Reject), key("p")).await.unwrap();
    assert_eq!(first.events, second.events);
    let (owner, key) = (owner(), || Some(("k2".to_owned(), "d".to_owned())));
    let (x, y) = tokio::join!(
        hub.command(&owner, id, prompt("say q", WhenBusy::Queue), key()),
        hub.command(&owner, id, prompt("say q", WhenBusy::Queue), key()),
    );
    assert_eq!(x.unwrap().events, y.unwrap().events, "also in a race");
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_refuses_and_loses_nothing() {
    let store = Mortal::over(memory());
    let hub = hub(store.clone(), "here", 1).await;
    let id = session(&hub).await;
    let mut reader = Reader::attach(&hub, id, Seq::ZERO).await;
    hub.command(&owner(), id, prompt("say a nap say b", WhenBusy::Reject), None).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    store.full.store(true, Ordering::SeqCst);
    let refused = hub.command(&owner(), id, prompt("say c", WhenBusy::Queue), None).await.unwrap_err();
    assert!(matches!(refused, CommandError::Append(AppendError::Full)));
    tokio::time::sleep(Duration::from_secs(3)).await;
    store.full.store(false, Ordering::SeqCst);
    let events = reader.until("turn.ended").await;
    let said = events.iter().filter(|event| event.fact.tag() == "turn.update").count();
    assert_eq!(said, 2, "the turn went on where it was: {events:?}");
    assert_eq!(stop_reasons(&events), [StopReason::EndTurn]);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_session_is_gone_for_good() {
    let hub = hub(memory(), "here", 1).await;
    let id = session(&hub).await;
    let mut reader = Reader::attach(&hub, id, Seq::ZERO).await;
    hub.command(&owner(), id, prompt("ask", WhenBusy::Reject), None).await.unwrap();
    reader.until("request.opened").await;
    hub.command(&owner(), id, Command::Delete, None).await.unwrap();
    assert!(inbox(&hub).await.is_empty());
    let refused = hub.command(&owner(), id, Command::Close, None).await.unwrap_err();
    assert!(matches!(refused, CommandError::Refused(Refused::Deleted { .. })), "{refused}");
    let refused =
        hub.create(&owner(), trunkline_core::session::Created { id, ..created("script") }, None).await;
    assert!(matches!(refused, Err(CommandError::Refused(Refused::Deleted { .. }))), "{refused:?}");
    let gone = |outcome: Result<_, CommandError>| {
        assert!(matches!(outcome, Err(CommandError::Refused(Refused::Deleted { .. }))), "{outcome:?}");
    };
    gone(hub.look(id, |_| ()).await.map(drop));
    // It is said long after the session has left the memory.
    while let Some(event) = reader.next().await {
        assert_ne!(event.fact.tag(), "turn.started", "a removed log tells its end, then that it is gone");
    }
    drop(reader);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(hub.loaded(), 0);
    gone(hub.look(id, |_| ()).await.map(drop));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_session_leaves_no_agent() {
    let disk = memory();
    for words in ["hang", "deaf", "say x", "ask"] {
        for deletes in ["here", "elsewhere"] {
            let (hub, other) = (hub(disk.clone(), "here", 1).await, hub(disk.clone(), "elsewhere", 1).await);
            let id = session(&hub).await;
            hub.command(&owner(), id, prompt(words, WhenBusy::Reject), None).await.unwrap();
            tokio::time::sleep(Duration::from_millis(500)).await;
            assert_eq!(hub.hosted().len(), 1, "{words}");
            let by = if deletes == "here" { &hub } else { &other };
            by.command(&owner(), id, Command::Delete, None).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(hub.hosted().is_empty(), "{words}, deleted {deletes}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_open_turns_within_two_seconds() {
    let store = memory();
    let hub = hub(store.clone(), "here", 1).await;
    let (busy, deaf) = (session(&hub).await, session(&hub).await);
    hub.command(&owner(), busy, prompt("hang", WhenBusy::Reject), None).await.unwrap();
    hub.command(&owner(), deaf, prompt("deaf", WhenBusy::Reject), None).await.unwrap();
    hub.command(&owner(), busy, prompt("say later", WhenBusy::Queue), None).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = hub.now();
    hub.shutdown().await;
    assert!(hub.now().ms_since(before) <= 2_000);
    for id in [busy, deaf] {
        assert_eq!(stop_reasons(&log(&*store, id).await), [StopReason::Interrupted]);
    }
    // The next life goes on with the queue.
    let hub = crate::world::hub(store.clone(), "here", 2).await;
    let mut reader = Reader::attach(&hub, busy, Seq::ZERO).await;
    assert_eq!(stop_reasons(&reader.until("turn.ended").await), [StopReason::Interrupted]);
    assert_eq!(stop_reasons(&reader.until("turn.ended").await), [StopReason::EndTurn]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_store_stops_all_turns_at_once_and_nothing_new_is_begun() {
    let store = Mortal::over(memory());
    let hub = hub(store.clone(), "here", 1).await;
    let mut ids = Vec::new();
    for _ in 0..50 {
        let id = session(&hub).await;
        hub.command(&owner(), id, prompt("hang", WhenBusy::Reject), None).await.unwrap();
        ids.push(id);
    }
    let idle = session(&hub).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    store.slow_ms.store(200, Ordering::SeqCst);
    let caller = owner();
    let late = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        hub.command(&caller, idle, prompt("say x", WhenBusy::Queue), None).await
    };
    let (late, ()) = tokio::join!(late, hub.shutdown());
    assert!(matches!(late, Err(CommandError::Stopping)), "{late:?}");
    for id in ids {
        assert_eq!(stop_reasons(&log(&*store, id).await), [StopReason::Interrupted]);
    }
    assert!(hub.hosted().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_is_granted_while_the_daemon_stops_starts_no_agent() {
    let store = Mortal::over(memory());
    let hub = hub(store.clone(), "here", 1).await;
    let id = session(&hub).await;
    store.slow_ms.store(100, Ordering::SeqCst);
    let caller = owner();
    let (granted, ()) =
        tokio::join!(hub.command(&caller, id, prompt("say x", WhenBusy::Queue), None), async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            hub.shutdown().await;
        });
    assert!(granted.is_ok(), "it was on its way: {granted:?}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(hub.hosted().is_empty());
    assert_eq!(log(&*store, id).await.last().unwrap().fact.tag(), "turn.started");
    let hub = crate::world::hub(store, "here", 2).await;
    let mut reader = Reader::attach(&hub, id, Seq::ZERO).await;
    assert_eq!(stop_reasons(&reader.until("turn.ended").await), [StopReason::Interrupted]);
}

#[tokio::test(start_paused = true)]
async fn who_is_attached_is_listed() {
    let live = memory();
    let hub = crate::world::hub_with(memory(), live.clone(), "here", 1).await;
    let id = session(&hub).await;
    let joined = |client, name: &str| Joined { client, name: name.into(), since: None };
    let phone = hub.join(&owner(), id, joined(1, "phone")).await.unwrap();
    let terminal = hub.join(&owner(), id, joined(2, "terminal")).await.unwrap();
    let names = |clients: Vec<trunkline_core::presence::Client>| {
        clients.into_iter().map(|client| client.name).collect::<Vec<_>>()
    };
    assert_eq!(names(hub.present(id).await.unwrap()), ["phone", "terminal"]);
    drop(phone);
    tokio::task::yield_now().await;
    assert_eq!(names(hub.present(id).await.unwrap()), ["terminal"]);
    // Whoever gives up while it is being listed is not listed.
    let slow = Mortal::over(live.clone());
    slow.slow_ms.store(100, Ordering::SeqCst);
    let impatient = crate::world::hub_with(memory(), slow, "there", 1).await;
    let caller = owner();
    let join = impatient.join(&caller, id, joined(3, "ghost"));
    assert!(tokio::time::timeout(Duration::from_millis(10), join).await.is_err());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(names(hub.present(id).await.unwrap()), ["terminal"]);
    // Clients come and go for days: the list stays right, and its log short.
    for n in 0..1_000 {
        drop(hub.join(&owner(), id, joined(10 + n, "browser")).await.unwrap());
        tokio::task::yield_now().await;
    }
    assert_eq!(names(hub.present(id).await.unwrap()), ["terminal"]);
    let want = Want { bytes: usize::MAX, folded: false };
    let page = live.read(&LogId::presence(id), Seq::ZERO, want).await.unwrap();
    let kept: u64 = page.frames.iter().map(|frame| frame.count).sum();
    assert!(kept < 600 && page.head.0 > 2_000, "{kept} of {}", page.head);
    drop(terminal);
    tokio::time::sleep(Duration::from_millis(10)).await;
    let page = live.read(&LogId::presence(id), Seq::ZERO, want).await.unwrap();
    assert!(page.frames.is_empty(), "where nobody is nothing is kept");
}

#[tokio::test(start_paused = true)]
async fn an_import_comes_to_its_end_though_nobody_waits_for_it() {
    let store = Mortal::over(memory());
    let hub = hub(store.clone(), "here", 1).await;
    let id = session(&hub).await;
    hub.command(&owner(), id, prompt("say x", WhenBusy::Reject), None).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let events = log(&*store, id).await;
    store.slow_ms.store(100, Ordering::SeqCst);
    let caller = owner();
    let import = hub.import(&caller, events);
    assert!(tokio::time::timeout(Duration::from_millis(150), import).await.is_err());
    tokio::time::sleep(Duration::from_secs(5)).await;
    let found = hub.find(&Query::all(RowKind::Session), hub.pos()).await.unwrap();
    let copy = found.rows.iter().find_map(|(log, _)| log.as_session().filter(|it| *it != id)).unwrap();
    let (importing, _) = hub.look(copy, |session| session.importing).await.unwrap();
    assert!(!importing);
}
