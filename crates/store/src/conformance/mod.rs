//! What every store must do, as behaviour tests that run against any of them:
//! this crate's own tests call them, and so does whoever doubts an engine.

mod administration;
mod api_key;
mod browser;
mod code;
mod device;
mod feed;
mod keys;
mod naming;
mod once;
mod outbox;
mod parts;
mod place;
mod proof;
mod refresh;
#[cfg(feature = "postgres")]
mod schema;
pub(crate) mod token_life;
pub(crate) mod trust;
mod world;

use std::fmt;
use std::sync::Arc;

use symbolon_protocol::Timestamp;
use symbolon_token::Entropy;

use crate::fault::Fault;
use crate::store::Store;

pub use place::{Apart, Place};
#[cfg(feature = "postgres")]
pub use schema::{POSTGRES, postgres_schema};
#[cfg(test)]
pub(crate) use world::Scene;
pub(crate) use world::World;

/// How one behaviour turned out.
#[derive(Debug)]
pub struct Outcome {
    /// The behaviour, as a sentence.
    pub name: &'static str,
    /// What was otherwise, where anything was.
    pub result: Result<(), Broken>,
}

/// How a store misbehaved.
#[derive(Debug)]
pub struct Broken(String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}

impl From<Fault> for Broken {
    fn from(fault: Fault) -> Self {
        Self(fault.to_string())
    }
}

impl From<&str> for Broken {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

type Checked = Result<(), Broken>;

/// Refuses unless `holds`.
pub(crate) fn check(holds: bool, otherwise: &str) -> Checked {
    if holds {
        return Ok(());
    }
    Err(Broken(otherwise.to_owned()))
}

/// Refuses unless both are the same.
pub(crate) fn same<T: PartialEq + fmt::Debug>(got: &T, wanted: &T) -> Checked {
    if got == wanted {
        return Ok(());
    }
    Err(Broken(format!("got {got:?}, wanted {wanted:?}")))
}

macro_rules! behaviours {
    ($world:expr, $outcomes:expr; $($module:ident :: $name:ident,)+) => {$(
        $outcomes.push(Outcome {
            name: stringify!($name),
            result: $module::$name($world).await,
        });
    )+};
}

/// Runs every behaviour, one after the other, in a migrated store that nobody
/// else uses. It leaves rows of its own behind.
pub async fn run(store: &Store, entropy: Arc<dyn Entropy>, now: Timestamp) -> Vec<Outcome> {
    let world = &World::new(store.clone(), entropy, now);
    let mut outcomes = Vec::new();
    Box::pin(run_grants(world, &mut outcomes)).await;
    Box::pin(run_keys_and_feed(world, &mut outcomes)).await;
    Box::pin(run_rest(world, &mut outcomes)).await;
    outcomes
}

async fn run_grants(world: &World, outcomes: &mut Vec<Outcome>) {
    behaviours! { world, outcomes;
        refresh::parallel_refreshes_of_one_token_get_one_successor,
        refresh::a_retry_within_grace_gets_the_same_successor,
        refresh::a_replay_after_grace_is_theft,
        refresh::a_predecessor_of_a_used_successor_is_theft,
        refresh::another_client_changes_nothing,
        refresh::a_family_ends_at_its_idle_and_absolute_end,
        refresh::a_family_is_ended_once,
        refresh::a_family_without_a_row_is_recorded_once,
        refresh::renewing_writes_at_most_once_a_minute,
        refresh::a_withdrawn_grant_ends_its_families,
        refresh::a_session_ends_only_families_that_hang_on_it,
        refresh::sessions_beyond_the_most_end_with_the_oldest,
        refresh::sessions_that_went_idle_are_bounded_too,
        refresh::a_session_is_not_opened_on_what_was_taken_back_since,
        code::of_parallel_redemptions_one_succeeds,
        code::a_second_use_is_recorded_even_without_a_refresh_family,
        code::a_code_of_a_withdrawn_grant_stays_spent,
        code::a_burnt_code_is_spent_and_a_spent_one_ends_its_family,
        code::a_code_of_an_ended_session_is_worth_nothing,
        code::a_code_of_a_disabled_person_is_worth_nothing,
        code::a_code_of_before_its_client_or_member_was_taken_back_opens_nothing,
        code::consent_widens_the_live_grant_only_as_it_was_read,
        code::a_consent_to_less_ends_what_came_of_more,
        code::nothing_is_agreed_to_in_a_session_that_has_ended,
        code::of_parallel_consents_one_makes_the_grant,
        code::nothing_is_agreed_to_with_a_client_that_is_gone,
        code::no_grant_outlives_a_client_that_is_deleted_meanwhile,
        proof::a_replayed_proof_leaves_another_code_as_it_was,
        proof::a_code_that_returns_with_its_proof_ends_the_family,
        proof::of_parallel_rotations_by_one_proof_one_succeeds,
        proof::renewing_by_a_proof_takes_it_once,
        once::of_parallel_spendings_one_is_the_first,
        once::of_parallel_claims_one_holds,
        once::of_parallel_proofs_one_gets_the_new_secret,
        once::attempts_are_limited_until_the_window_ends,
        once::uses_are_counted_together_or_not_at_all,
    }
}

async fn run_keys_and_feed(world: &World, outcomes: &mut Vec<Outcome>) {
    behaviours! { world, outcomes;
        browser::of_parallel_renewals_one_is_kept,
        browser::a_browser_that_is_away_is_signed_out,
        browser::the_issuer_ends_sessions_of_browsers,
        browser::a_new_sign_in_takes_the_place_of_the_old,
        browser::sessions_that_ran_out_are_forgotten,
        device::of_parallel_decisions_on_a_device_one_decides,
        device::a_device_that_stopped_waiting_is_not_decided_on,
        device::of_parallel_devices_with_one_code_one_waits,
        device::no_more_devices_wait_than_are_let,
        device::of_parallel_polls_for_an_allowed_device_one_succeeds,
        keys::of_parallel_keys_one_is_made,
        keys::of_parallel_rotations_one_makes_the_next_key,
        keys::a_key_that_is_replaced_loses_its_private_half,
        keys::of_parallel_distrusts_one_puts_another_key_in_its_place,
        keys::a_distrust_and_a_rotation_at_once_leave_one_active_key,
        keys::nothing_is_sealed_under_a_master_key_that_was_replaced,
        keys::keys_that_changed_meanwhile_are_not_wrapped_anew,
        feed::numbers_have_no_gaps_under_concurrency,
        feed::whoever_resumes_misses_nothing,
        feed::another_epoch_or_a_number_above_the_head_means_a_snapshot,
        feed::an_expired_token_writes_no_record,
        feed::the_hundred_and_first_token_record_stands_for_all,
        feed::purging_keeps_whatever_lives,
        feed::each_flow_costs_the_writes_it_may,
    }
}

async fn run_rest(world: &World, outcomes: &mut Vec<Outcome>) {
    behaviours! { world, outcomes;
        administration::clients_are_created_changed_and_deleted,
        administration::secrets_of_a_client_overlap_as_told,
        administration::a_disabled_client_loses_its_families,
        administration::names_of_resources_are_unique,
        administration::login_names_are_unique_in_a_race,
        administration::a_name_that_no_engine_can_hold_is_unknown,
        administration::a_new_password_ends_what_was_signed_in,
        administration::deleting_a_person_leaves_nothing_to_sign_in_to,
        administration::a_role_taken_away_is_recorded,
        administration::a_deleted_organization_ends_what_acts_for_it,
        administration::nobody_is_a_member_of_an_organization_that_is_deleted_meanwhile,
        administration::every_change_raises_the_configuration_version,
        administration::audit_rows_are_read_in_order,
        naming::what_is_named_is_not_deleted,
        naming::nothing_names_what_is_gone,
        naming::nothing_comes_to_name_what_is_deleted_meanwhile,
        token_life::a_lifetime_that_is_lowered_stays_noted,
        token_life::a_life_is_noted_until_its_last_token_has_ended,
        trust::trusted_issuers_are_created_changed_and_deleted,
        trust::a_distrusted_issuer_is_recorded,
        outbox::an_end_and_its_message_are_one_act,
        outbox::a_subject_is_told_in_order_and_nobody_waits_for_another,
        outbox::a_try_is_counted_by_whoever_made_it,
        outbox::of_parallel_leases_one_holds,
        outbox::a_node_whose_clock_is_ahead_takes_no_lease_away,
        outbox::nobody_who_is_due_comes_last_each_time,
        outbox::a_sender_that_was_paused_beyond_its_lease_changes_nothing,
        outbox::what_nobody_took_is_a_dead_letter_that_comes_back,
        outbox::what_waits_is_listed_in_pages_and_counted_whole,
        outbox::a_stream_tells_of_people_whom_its_client_knows,
        outbox::a_client_has_so_many_streams_and_no_more,
        outbox::a_stream_that_stands_still_keeps_or_drops_what_happens,
        outbox::what_is_fetched_stays_until_it_was_taken,
        parts::whom_a_clock_that_was_ahead_put_off_is_told_at_once,
        parts::a_stream_that_is_told_otherwise_is_told_in_order,
        parts::what_waits_for_somebody_who_is_gone_goes_in_parts,
        parts::of_a_person_one_event_is_fetched_at_a_time,
        parts::by_a_clock_that_is_ahead_nothing_is_fetched_before_its_turn,
        parts::a_letter_of_whom_a_stream_tells_no_more_stays_dead,
        api_key::a_key_is_made_for_whoever_may_act,
        api_key::a_key_ends_with_whoever_it_acts_for,
        api_key::a_key_ends_with_the_membership_it_acts_through,
        api_key::a_key_that_is_cut_is_recorded_and_goes_on,
        api_key::of_parallel_rotations_of_a_key_one_replaces_it,
        api_key::a_key_is_taken_back_once,
        api_key::a_key_from_elsewhere_is_found_by_its_digest,
        api_key::a_use_of_a_key_is_written_at_most_once_a_minute,
        device::a_device_is_forgotten_a_day_after_it_stopped_waiting,
        api_key::a_dead_key_is_forgotten_after_a_month,
    }
}
