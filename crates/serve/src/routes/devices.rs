//! The routes of who is let in, and of the devices that are told of requests.

use trunkline_core::access::Token;
use trunkline_run::notify::push::{Device, Sent, Subscription};

use super::{List, Route};
use crate::{push, tokens};

/// Tokens and devices.
pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/tokens", tokens::list, "The tokens in force, without their secrets.")
            .gives::<List<Token>>(200),
        Route::post("/v1/tokens", tokens::create, "Make a token. Its secret is shown this once.")
            .takes::<tokens::Create>()
            .gives::<tokens::Made>(201),
        Route::delete("/v1/tokens/{token}", tokens::revoke, "Revoke a token."),
        Route::get(
            "/v1/push",
            push::show,
            "The key that browsers subscribe to Web Push with, and the devices that are told.",
        )
        .gives::<push::Push>(200),
        Route::post(
            "/v1/push/devices",
            push::add,
            "Tell a browser of new requests for as long as the caller's token counts.",
        )
        .takes::<Subscription>()
        .gives::<Device>(201),
        Route::delete("/v1/push/devices/{device}", push::remove, "Tell a device no more."),
        Route::post(
            "/v1/push/devices/{device}/test",
            push::test,
            "Send a device something to look at, and say what its service made of it.",
        )
        .gives::<Sent>(200),
    ]
}
