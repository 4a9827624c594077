//! Reading: pages, their ends, and what is passed over.

use trunkline_core::id::Seq;

use super::kit::{ALL, Store, fill, frame, line, log, read};
use crate::frame::{Page, Want};

/// A page ends with the frame that reaches the bytes wanted, and says whether there is more.
pub async fn pages_end_at_the_bytes_wanted(store: Store) {
    let id = log("pages");
    for n in 0..10 {
        store.append(&id, Seq(n), line(Seq(n), &"x".repeat(100)), Vec::new()).await.unwrap();
    }
    for (after, bytes, last, more) in [
        (0, 0, 1, true),
        (0, 1, 1, true),
        (0, 100, 1, true),
        (0, 101, 2, true),
        (0, 999, 10, false),
        (0, 1000, 10, false),
        (0, 900, 9, true),
        (9, 1, 10, false),
        (7, 200, 9, true),
        (7, usize::MAX, 10, false),
    ] {
        let page = store.read(&id, Seq(after), Want { bytes, folded: false }).await.unwrap();
        let numbers: Vec<u64> = page.frames.iter().map(|frame| frame.last.0).collect();
        assert_eq!(numbers, (after + 1..=last).collect::<Vec<_>>(), "after {after}, {bytes} bytes");
        assert_eq!(
            (page.first, page.head, page.more),
            (Seq(1), Seq(10), more),
            "after {after}, {bytes} bytes"
        );
    }
}

/// A reader that stopped inside a frame gets that frame again, and passes over the lines it has.
pub async fn a_page_may_begin_inside_a_frame(store: Store) {
    let id = log("inside");
    let frames = fill(&store, &id, &[3, 2]).await;
    for (after, first) in [(0, 0), (1, 0), (2, 0), (3, 1), (4, 1)] {
        let page = read(&store, &id, Seq(after)).await;
        assert_eq!(page.frames, frames[first..], "after {after}");
    }
    let page = read(&store, &id, Seq(2)).await;
    let lines: Vec<Seq> =
        page.frames.iter().flat_map(|frame| frame.lines_after(Seq(2))).map(|(seq, _)| seq).collect();
    assert_eq!(lines, [Seq(3), Seq(4), Seq(5)]);
}

/// A folded read gives the frames that move the fold, and counts only those.
pub async fn quiet_frames_can_be_passed_over(store: Store) {
    let id = log("quiet");
    for (n, quiet) in [true, false, true, true, false, true].into_iter().enumerate() {
        let mut frame = frame(Seq(n as u64), 1);
        frame.quiet = quiet;
        store.append(&id, Seq(n as u64), frame, Vec::new()).await.unwrap();
    }
    let folded = |after, bytes| {
        let (store, id) = (store.clone(), id.clone());
        async move {
            let page = store.read(&id, Seq(after), Want { bytes, folded: true }).await.unwrap();
            assert_eq!(page.head, Seq(6));
            (page.frames.iter().map(|frame| frame.last.0).collect::<Vec<_>>(), page.more)
        }
    };
    assert_eq!(folded(0, usize::MAX).await, (vec![2, 5], false));
    assert_eq!(folded(0, 1).await, (vec![2], true));
    assert_eq!(folded(2, 1).await, (vec![5], false));
    assert_eq!(folded(5, 1).await, (vec![], false));
    assert_eq!(read(&store, &id, Seq::ZERO).await.frames.len(), 6);
}

/// A log that was never made is empty, and so is a read behind the head.
pub async fn logs_without_events_read_as_empty(store: Store) {
    let never = store.read(&log("never"), Seq::ZERO, ALL).await.unwrap();
    assert_eq!(never, Page { frames: Vec::new(), first: Seq(1), head: Seq::ZERO, more: false });
    let id = log("short");
    fill(&store, &id, &[2]).await;
    for after in [2, 3, u64::MAX] {
        let page = read(&store, &id, Seq(after)).await;
        assert_eq!(page, Page { frames: Vec::new(), first: Seq(1), head: Seq(2), more: false });
    }
}
