//! When agents that run elsewhere were last there.

use std::time::Duration;

use trunkline_core::id::Seq;
use trunkline_core::outside::{Born, Report, Status};
use trunkline_core::principal::Caller;
use trunkline_core::session::{Created, EXTERNAL};

use crate::world::{Reader, created, hub, memory};

#[tokio::test(start_paused = true)]
async fn two_minutes_of_silence_are_one_fact_and_a_heartbeat_is_none() {
    let hub = hub(memory(), "here", 1).await;
    let born = Born { dialect: "sessionbus".into(), name: "bot".into(), tenant: None };
    let made = Created { born: Some(born), ..created(EXTERNAL) };
    let local = Caller::local();
    let (id, _) = hub.create(&local, made, None).await.unwrap();
    let beat = |status| hub.report(&local, id, Report { status, metadata: None });
    for _ in 0..40 {
        beat(None).await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    let seen = hub.seen(id).await.unwrap().unwrap();
    assert_eq!(hub.now().ms_since(seen), 60_000);
    let (view, _) = hub.look(id, trunkline_core::session::Session::view).await.unwrap();
    assert!(!view.unwrap().unseen);
    assert_eq!(hub.read(id, Seq::ZERO, 1 << 20).await.unwrap().head, Seq(1), "nothing has changed");
    // The sweep that finds it comes within seconds after the two minutes.
    let mut reader = Reader::attach(&hub, id, Seq::ZERO).await;
    let events = reader.until("session.unseen").await;
    assert_eq!(events.len(), 2);
    let silent = hub.now().ms_since(seen);
    assert!((120_001..130_000).contains(&silent), "{silent}");
    let (view, _) = hub.look(id, trunkline_core::session::Session::view).await.unwrap();
    let view = view.unwrap();
    assert_eq!((view.unseen, view.seen_at), (true, Some(seen)));
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(hub.read(id, Seq::ZERO, 1 << 20).await.unwrap().head, Seq(2), "it is told once");
    beat(Some(Status::Done)).await.unwrap();
    let (view, _) = hub.look(id, trunkline_core::session::Session::view).await.unwrap();
    let view = view.unwrap();
    assert_eq!((view.unseen, view.reported), (false, Some(Status::Done)));
    assert_eq!(hub.seen(id).await.unwrap(), Some(hub.now()));
}
