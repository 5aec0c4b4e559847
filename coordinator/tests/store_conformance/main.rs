//! One suite for every store: a function a rule, each given a store that is open and empty.

mod affinity;
mod bench;
mod board;
mod checkpoint;
mod continuation;
mod dependency;
mod drain;
mod durability;
mod family;
mod history;
mod lease;
mod locks;
mod memory;
mod model;
mod question;
mod queue;
mod read;
mod repos;
mod retention;
mod stats;
mod workflow;

use std::path::Path;

use factory_coordinator::store::sqlite::SqliteStore;
use factory_coordinator::store::{Rules, Store};
use proptest_state_machine::prop_state_machine;

use self::model::{Holds, Reopen};

/// Runs each rule as a test of its own, over SQLite.
macro_rules! holds_over_sqlite {
    ($($module:ident: $($rule:ident),* $(,)?;)*) => {
        $($(
            #[tokio::test]
            async fn $rule() {
                let root = tempfile::tempdir().expect("a directory");
                let path = root.path().join("agent-factory.db");
                let store = SqliteStore::open(&path, Rules::default()).await.expect("opened");
                $module::$rule(&store).await;
                store.close().await;
            }
        )*)*
    };
}

holds_over_sqlite! {
    queue:
        tasks_get_numbers_in_order_of_submit,
        a_key_used_again_for_the_same_spec_finds_the_first,
        a_key_used_twice_in_one_call_makes_one_task,
        a_key_used_for_another_spec_refuses_the_whole_call,
        higher_priority_then_age_decides,
        classes_are_merged_by_rank,
        a_worker_gets_only_agents_it_offers,
        a_claim_leases_what_it_returns,
        what_a_worker_declined_is_left_out,
        an_old_session_or_a_stranger_claims_nothing,
        a_task_has_one_live_attempt,
        many_classes_nobody_meets_do_not_hide_one_that_is_met,
        a_queued_task_is_cancelled_at_once;
    lease:
        an_offer_not_answered_goes_back_and_costs_nothing,
        a_declined_offer_says_why,
        a_lease_that_runs_out_is_unreachable_then_lost,
        a_heartbeat_keeps_the_lease,
        a_late_heartbeat_regains_contact,
        a_heartbeat_makes_up_for_a_start_that_was_not_heard,
        a_heartbeat_does_not_accept_an_offer,
        a_heartbeat_hears_of_a_cancel,
        each_held_attempt_gets_its_own_verdict,
        an_old_session_holds_nothing,
        a_report_is_accepted_once,
        a_report_by_the_wrong_worker_changes_nothing,
        a_report_of_a_lost_attempt_is_superseded,
        failures_are_tried_again_until_they_are_too_many,
        a_restart_gives_every_lease_one_full_term,
        more_than_one_batch_is_due;
    locks:
        tasks_whose_files_overlap_do_not_run_together,
        files_are_given_back_however_a_lease_ends,
        a_task_gets_all_it_wants_or_nothing,
        nobody_behind_takes_what_one_before_waits_for,
        what_nobody_could_take_keeps_nothing_from_others,
        a_key_is_for_one_task_where_nothing_else_is_said,
        the_submitter_with_the_fewest_running_goes_first,
        an_agent_takes_files_at_work_and_gives_them_back,
        agents_that_would_wait_in_a_circle_are_told,
        an_agent_at_work_does_not_overtake_the_queue,
        a_wish_for_files_runs_out;
    workflow:
        a_step_begins_once_with_its_task_and_its_handoff,
        a_workflow_that_is_to_end_begins_no_step,
        a_workflow_is_found_by_key_number_and_prefix;
    drain:
        a_draining_worker_claims_nothing_until_it_is_resumed,
        what_a_draining_worker_holds_goes_on,
        a_drain_outlives_the_session_and_keeps_its_first_time,
        a_drain_with_a_deadline_is_set_anew_and_ends_with_the_drain,
        nobody_drains_a_stranger,
        what_a_worker_holds_is_told_with_its_tasks;
    affinity:
        a_task_tried_again_is_left_to_the_worker_where_its_work_is,
        a_worker_that_is_not_there_keeps_no_task_waiting;
    checkpoint:
        the_newest_checkpoint_of_an_attempt_counts,
        a_checkpoint_stands_on_files_that_are_here,
        a_checkpoint_is_fenced_and_outlives_the_lease;
    continuation:
        an_attempt_goes_on_from_the_last_that_started_an_agent,
        a_conversation_that_failed_again_is_begun_afresh;
    dependency:
        a_task_waits_until_all_it_needs_have_succeeded,
        the_last_of_a_diamond_waits_for_both_sides,
        a_failure_cancels_all_that_follows_at_once,
        a_task_that_is_skipped_lets_go_what_waits_for_it,
        a_task_that_runs_all_the_same_waits_for_the_others,
        what_has_ended_before_the_submit_counts,
        a_failure_before_the_submit_ends_all_of_a_chain,
        a_blocked_task_is_cancelled_and_what_waits_for_it,
        a_task_tried_again_keeps_its_dependents_waiting,
        a_task_that_was_there_before_is_waited_for_by_its_new_id,
        two_that_end_together_settle_what_waits_for_both,
        what_tasks_start_from_is_read_in_the_order_asked_for,
        a_held_task_waits_until_it_is_let_go,
        a_held_task_waits_for_its_dependencies_as_well,
        a_held_task_is_ended_like_any_other_that_waits,
        a_key_tells_a_held_task_from_one_that_is_not;
    stats:
        tasks_are_counted_by_state_and_repository,
        what_attempts_used_is_summed_once;
    question:
        a_question_is_asked_once_and_told_in_the_feed,
        only_the_live_attempt_asks,
        an_answer_sends_a_waiting_task_back_to_where_its_work_is,
        an_answer_to_an_agent_at_work_is_put_in_its_inbox,
        an_answer_that_comes_while_the_agent_ends_its_turn_is_not_waited_for,
        a_task_waits_until_its_last_question_is_answered,
        a_question_is_answered_once_and_by_its_options,
        a_deadline_answers_by_the_default_or_says_that_nobody_did,
        what_ends_a_task_withdraws_its_questions,
        a_question_outlives_the_attempt_that_asked,
        questions_are_listed_in_pages;
    family:
        a_parent_is_told_how_its_children_ended,
        tasks_that_hang_together_are_found_the_nearest_first,
        children_are_cancelled_with_their_parent_where_that_is_asked_for,
        an_agent_submits_only_so_many_and_so_deep,
        progress_is_what_the_live_attempt_says,
        lists_are_filtered_by_role_and_parent,
        a_task_goes_on_from_the_last_attempt_of_another;
    read:
        the_feed_has_no_gaps_and_says_what_the_rows_say,
        the_feed_is_read_in_pieces_and_by_task,
        lists_are_newest_first_and_page,
        lists_are_filtered,
        tasks_are_found_by_their_words,
        tasks_are_found_by_id_prefix_and_number,
        attempts_are_told_in_order,
        a_task_and_its_retry_name_each_other,
        an_artifact_kept_again_replaces_the_first,
        what_is_not_there_is_not_there;
    memory:
        a_search_puts_first_what_says_most_of_it,
        hostile_queries_find_nothing_and_break_nothing,
        a_task_is_told_what_is_for_its_repository_and_project,
        memories_are_filtered_by_kind_and_tags_and_paged,
        the_same_is_not_kept_twice,
        a_task_that_ended_is_summed_up_once,
        vectors_find_what_words_do_not;
    board:
        a_message_is_told_once_to_those_it_is_for,
        a_key_used_again_posts_once,
        a_thread_is_told_in_order_and_its_agents_hear_of_replies,
        messages_are_filtered_and_paged,
        messages_are_searched_by_what_people_type,
        an_agent_reads_what_is_for_it_and_no_more_than_once,
        what_was_read_is_not_told_and_what_was_told_is_not_new,
        a_handoff_comes_to_a_task_or_a_role_once,
        a_handoff_comes_to_whatever_depends_on_its_task,
        a_workflows_handoffs_are_listed_with_their_iterations;
    repos:
        a_repository_has_one_name_and_a_name_one_repository,
        a_workers_newest_session_says_what_is_on_its_disk,
        worktrees_are_told_with_the_tasks_that_work_in_them;
    retention:
        only_what_ended_tasks_left_is_pruned,
        the_conversation_of_a_task_that_others_may_go_on_from_is_kept_as_a_record,
        what_is_kept_is_read_in_pages_with_its_worth;
}

#[tokio::test]
async fn limits_bound_what_runs() {
    let root = tempfile::tempdir().expect("a directory");
    let rules = Rules { limits: locks::limits(), ..Rules::default() };
    let store = SqliteStore::open(&root.path().join("agent-factory.db"), rules).await.expect("opened");
    locks::limits_bound_what_runs(&store).await;
    store.close().await;
}

impl Reopen for SqliteStore {
    async fn reopen(root: &Path, rules: Rules) -> Self {
        Self::open(&root.join("agent-factory.db"), rules).await.expect("opened")
    }
}

prop_state_machine! {
    #![proptest_config(model::config())]

    #[test]
    fn it_does_as_the_model_does(sequential 1..50 => Holds<SqliteStore>);
}
