//! What every store must do, as tests that each store runs.
//!
//! [`conformance!`](crate::conformance) makes a test of each case. A case gets an empty store; those of [`durable`] get a
//! way to open the same store again and again.
#![expect(clippy::unwrap_used, reason = "these are tests")]

pub mod append;
pub mod changes;
pub mod durable;
pub mod kit;
pub mod read;
pub mod rows;
pub mod trim;

/// Makes a test of each case that needs no second life. The expression gives an empty store as an `Arc<dyn Log>`, and
/// something that is kept until the case is over.
#[macro_export]
macro_rules! conformance {
    ($open:expr) => {
        $crate::conformance! { $open;
            append::one_of_many_wins, append::many_writers_number_without_holes, append::wrong_places_are_refused,
            append::too_much_is_refused, append::bytes_stay_as_they_came, append::a_dropped_append_leaves_the_log_sound,
            append::settling_twice_changes_nothing,
            read::pages_end_at_the_bytes_wanted, read::a_page_may_begin_inside_a_frame,
            read::quiet_frames_can_be_passed_over, read::logs_without_events_read_as_empty,
            trim::whole_frames_are_forgotten, trim::numbers_go_on_when_all_is_forgotten,
            trim::a_removed_log_takes_nothing_and_leaves_no_rows, trim::a_log_that_was_never_made_can_be_removed,
            rows::the_later_row_wins, rows::pages_follow_the_rank_and_the_key, rows::facets_filter_alone_and_together,
            rows::due_rows_come_in_the_order_of_their_rank, rows::a_row_belongs_to_the_log_that_wrote_it_last,
            rows::what_was_acknowledged_is_found,
            changes::every_reader_is_told_every_commit_once, changes::a_reader_may_begin_anywhere,
            changes::removals_are_told, changes::an_unknown_place_is_a_gap, changes::readers_end_with_the_store,
        }
    };
    ($open:expr; $($module:ident::$case:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (store, _kept) = $open;
                $crate::conformance::$module::$case(store).await;
            }
        )*
    };
}
