//! The devices that Web Push tells of requests.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use trunkline_core::time::Time;

use crate::call::{Call, encoded};
use crate::client::Client;
use crate::error::Error;

/// What a browser subscribes with, and who is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// The daemon's key: `applicationServerKey` of a subscription.
    pub key: String,
    /// The devices that are told.
    pub devices: Vec<PushDevice>,
}

/// A device that is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushDevice {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub by: String,
    /// The host of its service.
    pub service: String,
    /// Since when it is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// What became of its newest notification, since the daemon started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<PushLast>,
}

/// The newest notification of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushLast {
    /// When it was sent.
    pub at: Time,
    /// Whether its service took it.
    pub taken: bool,
}

/// What became of a notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushSent {
    /// Whether its service took it.
    pub taken: bool,
    /// What the service said, or why it was not reached.
    pub detail: String,
}

impl Client {
    /// What a browser subscribes with, and who is told.
    pub async fn push(&self) -> Result<Push, Error> {
        self.http.json(&Call::get("/v1/push")).await
    }

    /// Tells a browser of new requests. `subscription` is what its `PushSubscription.toJSON()` gives.
    pub async fn add_push_device(&self, subscription: &Value) -> Result<PushDevice, Error> {
        self.http.json(&Call::post("/v1/push/devices", subscription)).await
    }

    /// Tells a device no more.
    pub async fn remove_push_device(&self, id: &str) -> Result<(), Error> {
        self.http.done(&Call::delete(format!("/v1/push/devices/{}", encoded(id)))).await
    }

    /// Sends a device something to look at.
    pub async fn test_push_device(&self, id: &str) -> Result<PushSent, Error> {
        self.http.json(&Call::post(format!("/v1/push/devices/{}/test", encoded(id)), &json!({}))).await
    }
}
