//! The routes of models' profiles.

use trunkline_core::profile::Profile;
use trunkline_core::spending::Day;
use trunkline_run::profiles::{Listed, Tested};

use super::{List, Route};
use crate::profiles;

/// Profiles, and their secrets.
pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/profiles", profiles::list, "Where models are: the profiles, without their secrets.")
            .gives::<List<Listed>>(200),
        Route::get(
            "/v1/spending",
            profiles::spending,
            "What models have used today, by profile and in all, beside what may be used before a person is asked.",
        )
        .gives::<Day>(200),
        Route::get("/v1/profiles/{profile}", profiles::show, "A profile, without its secrets.")
            .gives::<Listed>(200),
        Route::put(
            "/v1/profiles/{profile}",
            profiles::put,
            "Make a profile, or put it in the place of one that was made. Its secrets stay.",
        )
        .takes::<Profile>()
        .gives::<Listed>(200),
        Route::delete(
            "/v1/profiles/{profile}",
            profiles::delete,
            "Delete a profile that was made, with its secrets.",
        ),
        Route::put(
            "/v1/profiles/{profile}/secrets",
            profiles::set_secrets,
            "Set the key of a profile, or values of its headers. No answer ever tells them.",
        )
        .takes::<profiles::Secrets>()
        .gives::<Listed>(200),
        Route::delete(
            "/v1/profiles/{profile}/secrets",
            profiles::drop_secrets,
            "Drop the key of a profile and the values of its headers, as far as the daemon keeps them.",
        ),
        Route::post(
            "/v1/profiles/{profile}/test",
            profiles::test,
            "Ask the model of a profile for one token, once, for ten seconds at most.",
        )
        .gives::<Tested>(200),
    ]
}
