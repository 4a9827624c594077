use trunkline_client::types::Cursor;
use trunkline_client::{Client, EventItem, EventStream, FeedItem};
use trunkline_core::id::{Seq, SessionId};

use crate::server::{Say, Server, header, json, stream};

const ID: &str = "0190163d-8694-739b-aea5-966c26f8ad91";

fn id() -> SessionId {
    ID.parse().unwrap()
}

/// An event on the wire.
fn event(seq: u64) -> String {
    format!(
        "id: {seq}\ndata: {{\"type\":\"turn.note\",\"seq\":{seq},\"at\":1,\"by\":\"owner\",\"data\":{{\"code\":\"c\",\"message\":\"m\"}}}}\n\n"
    )
}

fn events(seqs: std::ops::RangeInclusive<u64>) -> String {
    seqs.map(event).collect()
}

/// Reads items as short words until it is caught up, gone or refused.
async fn read(stream: &mut EventStream) -> Vec<String> {
    let mut words = Vec::new();
    while let Some(item) = stream.next().await {
        let (word, last) = match item {
            Ok(EventItem::Event(event)) => (event.seq.to_string(), false),
            Ok(EventItem::CaughtUp { head }) => (format!("caught up at {head}"), true),
            Ok(EventItem::Gap { first }) => (format!("gap before {first}"), false),
            Ok(EventItem::Open) => ("open".to_owned(), false),
            Ok(EventItem::Lost(_)) => ("lost".to_owned(), false),
            Ok(EventItem::Deleted) => ("deleted".to_owned(), false),
            Ok(other) => panic!("{other:?}"),
            Err(error) => (error.to_string(), false),
        };
        words.push(word);
        if last {
            break;
        }
    }
    words
}

#[tokio::test]
async fn a_broken_stream_goes_on_where_it_was() {
    let first = format!("{}id: 4\ndata: {{\"type\":", events(1..=3));
    let second = format!("{}event: caught-up\ndata: {{\"head\":5}}\n\n", events(3..=5));
    let mut server = Server::play(vec![Say::Bytes(stream(&first)), Say::Hold(stream(&second))]).await;
    let client = Client::new(&server.base_url(), "t").unwrap();
    let mut events = client.events(id(), Seq(0), Some("test"));
    let words = read(&mut events).await;
    assert_eq!(words, ["open", "1", "2", "3", "lost", "open", "4", "5", "caught up at 5"]);
    let (first, second) = (server.request().await, server.request().await);
    assert!(first.starts_with(&format!("GET /v1/sessions/{ID}/events?client=test HTTP/1.1")), "{first}");
    assert_eq!(header(&first, "last-event-id"), Some("0"));
    assert_eq!(header(&second, "last-event-id"), Some("3"));
    assert_eq!(header(&second, "accept"), Some("text/event-stream"));
}

#[tokio::test]
async fn wherever_it_breaks_each_event_comes_once() {
    let whole = stream(&events(1..=3));
    // Before the stream asks for quick retries each cut costs a wait, and one within the head is like any other.
    let head = stream("").len();
    for cut in [0, 10, head / 2].into_iter().chain(head..=whole.len()) {
        let rest = format!("{}event: caught-up\ndata: {{\"head\":4}}\n\n", events(1..=4));
        let server = Server::play(vec![Say::Bytes(whole[..cut].to_vec()), Say::Hold(stream(&rest))]).await;
        let client = Client::new(&server.base_url(), "t").unwrap();
        let words = read(&mut client.events(id(), Seq(0), None)).await;
        let seqs: Vec<_> = words.iter().filter(|word| word.parse::<u64>().is_ok()).collect();
        assert_eq!(seqs, ["1", "2", "3", "4"], "cut at {cut}: {words:?}");
        assert_eq!(words.iter().filter(|word| *word == "lost").count(), 1, "cut at {cut}: {words:?}");
    }
}

#[tokio::test]
async fn a_daemon_that_is_stopping_is_asked_again() {
    let problem = r#"{"status":503,"code":"stopping","detail":"the daemon is stopping"}"#;
    let caught_up = "event: gap\ndata: {\"first\":9}\n\nevent: caught-up\ndata: {\"head\":8}\n\n";
    let script = vec![json("503 Service Unavailable", problem), Say::Hold(stream(caught_up))];
    let server = Server::play(script).await;
    let client = Client::new(&server.base_url(), "t").unwrap();
    let mut events = client.events(id(), Seq(2), None);
    assert_eq!(read(&mut events).await, ["lost", "open", "gap before 9", "caught up at 8"]);
    assert_eq!(events.last(), Seq(8));
}

#[tokio::test]
async fn silence_counts_as_a_loss() {
    let script = vec![Say::Hold(stream(&event(1))), Say::Hold(stream("event: deleted\ndata: {}\n\n"))];
    let server = Server::play(script).await;
    let client = Client::new(&server.base_url(), "t").unwrap();
    let mut events = client.events(id(), Seq(0), None);
    assert!(matches!(events.next().await, Some(Ok(EventItem::Open))));
    assert!(matches!(events.next().await, Some(Ok(EventItem::Event(_)))));
    tokio::time::pause();
    let Some(Ok(EventItem::Lost(error))) = events.next().await else { panic!("not lost") };
    tokio::time::resume();
    assert!(error.to_string().ends_with("did not answer within 45 s"), "{error}");
    assert_eq!(read(&mut events).await, ["open", "deleted"]);
}

#[tokio::test]
async fn a_refusal_ends_the_stream() {
    let problem = r#"{"status":404,"code":"not_found","detail":"there is no session"}"#;
    let server = Server::play(vec![json("404 Not Found", problem)]).await;
    let client = Client::new(&server.base_url(), "t").unwrap();
    assert_eq!(read(&mut client.events(id(), Seq(0), None)).await, ["there is no session"]);
}

#[tokio::test]
async fn a_page_that_is_no_stream_ends_it() {
    let server = Server::play(vec![json("200 OK", "{}")]).await;
    let client = Client::new(&server.base_url(), "t").unwrap();
    let words = read(&mut client.events(id(), Seq(0), None)).await;
    assert_eq!(words.len(), 1);
    assert!(words[0].ends_with("is not understood: it is no event stream"), "{words:?}");
}

#[tokio::test]
async fn a_deleted_session_ends_the_stream() {
    let says = format!("{}event: new-thing\ndata: 1\n\nevent: deleted\ndata: {{}}\n\n", event(1));
    let server = Server::play(vec![Say::Hold(stream(&says))]).await;
    let client = Client::new(&server.base_url(), "t").unwrap();
    assert_eq!(read(&mut client.events(id(), Seq(0), None)).await, ["open", "1", "deleted"]);
}

#[tokio::test]
async fn the_feed_goes_on_for_each_session_where_it_was() {
    let batch = |pos: u64, seqs: &[u64]| {
        let list: Vec<_> =
            seqs.iter().map(|seq| event(*seq).lines().nth(1).unwrap()["data: ".len()..].to_owned()).collect();
        format!(
            "id: {pos}\nevent: events\ndata: {{\"session\":\"{ID}\",\"events\":[{}]}}\n\n",
            list.join(",")
        )
    };
    let removed =
        "id: 13\nevent: session-removed\ndata: {\"id\":\"0190163d-8694-739b-aea5-966c26f8ad92\"}\n\n";
    let gap = format!("event: events\ndata: {{\"session\":\"{ID}\",\"events\":[],\"gap\":1}}\n\n");
    let first = Say::Bytes(stream(&format!("{gap}{}", batch(11, &[1, 2]))));
    let second =
        Say::Hold(stream(&format!("{}{removed}event: caught-up\ndata: {{}}\n\n", batch(12, &[2, 3]))));
    let mut server = Server::play(vec![first, second]).await;
    let client = Client::new(&server.base_url(), "t").unwrap();
    let mut feed = client.feed(Some(Cursor::new("10")), [(id(), Seq(0))].into(), Some("test"));
    let mut words = Vec::new();
    loop {
        words.push(match feed.next().await.unwrap().unwrap() {
            FeedItem::Events { events, .. } => {
                format!("{:?}", events.iter().map(|event| event.seq.0).collect::<Vec<_>>())
            }
            FeedItem::SessionRemoved(_) => "removed".to_owned(),
            FeedItem::SessionGap { first, .. } => format!("gap before {first}"),
            FeedItem::Open => "open".to_owned(),
            FeedItem::Lost(_) => "lost".to_owned(),
            FeedItem::CaughtUp => break,
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(words, ["open", "gap before 1", "[1, 2]", "lost", "open", "[3]", "removed"]);
    let (first, second) = (server.request().await, server.request().await);
    assert!(
        first.starts_with(&format!("GET /v1/feed?after=10&sessions={ID}:0&client=test HTTP/1.1")),
        "{first}"
    );
    assert!(
        second.starts_with(&format!("GET /v1/feed?after=11&sessions={ID}:2&client=test HTTP/1.1")),
        "{second}"
    );
}

#[tokio::test]
async fn a_feed_that_cannot_know_what_it_missed_says_so() {
    let script = vec![Say::Bytes(stream("")), Say::Hold(stream("event: caught-up\ndata: {}\n\n"))];
    let server = Server::play(script).await;
    let client = Client::new(&server.base_url(), "t").unwrap();
    let mut feed = client.feed(None, [].into(), None);
    assert!(matches!(feed.next().await, Some(Ok(FeedItem::Open))));
    assert!(matches!(feed.next().await, Some(Ok(FeedItem::Lost(_)))));
    assert!(matches!(feed.next().await, Some(Ok(FeedItem::Gap))));
    assert!(matches!(feed.next().await, Some(Ok(FeedItem::CaughtUp))));
}
