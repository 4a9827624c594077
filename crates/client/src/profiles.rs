//! Profiles of models, as the API shows them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use trunkline_core::profile::Profile;
use trunkline_core::spending::Day;

use crate::call::{Call, encoded};
use crate::client::Client;
use crate::error::Error;
use crate::types::Items;

/// A profile. Its secrets are told nowhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProfileView {
    /// Its name.
    pub name: String,
    /// Where it comes from: `file`, `environment` or `made`.
    pub source: String,
    /// Whether it is the one that is taken if none is named.
    #[serde(default)]
    pub default: bool,
    /// Whether it has a key.
    #[serde(default)]
    pub has_api_key: bool,
    /// Why it cannot be used, and what to do about it; absent if it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The address that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Who runs the model.
    pub provider: String,
    /// The model.
    pub model: String,
    /// Whatever else the daemon knows of it.
    #[serde(flatten)]
    pub rest: BTreeMap<String, serde_json::Value>,
}

/// How the test of a profile went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileTested {
    /// The profile.
    pub profile: String,
    /// Who runs the model.
    pub provider: String,
    /// The model.
    pub model: String,
    /// Whether the model answered.
    pub success: bool,
    /// How long that took, in milliseconds.
    #[serde(default)]
    pub latency_ms: u64,
    /// What failed: `authentication_failed`, `rate_limited`, `connection_failed`, `missing_key`, `timeout` or `other`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The same for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Client {
    /// Where models are.
    pub async fn profiles(&self) -> Result<Items<ProfileView>, Error> {
        self.http.json(&Call::get("/v1/profiles")).await
    }

    /// What models have used today, by profile and in all.
    pub async fn spending(&self) -> Result<Day, Error> {
        self.http.json(&Call::get("/v1/spending")).await
    }

    /// A profile.
    pub async fn profile(&self, name: &str) -> Result<ProfileView, Error> {
        self.http.json(&Call::get(path(name))).await
    }

    /// Makes a profile, or puts it in the place of one that was made. Its secrets stay.
    pub async fn put_profile(&self, name: &str, profile: &Profile) -> Result<ProfileView, Error> {
        self.http.json(&Call::put(path(name), profile)).await
    }

    /// Deletes a profile that was made, with its secrets.
    pub async fn delete_profile(&self, name: &str) -> Result<(), Error> {
        self.http.done(&Call::delete(path(name))).await
    }

    /// Sets the key of a profile, and values of headers that it names.
    pub async fn set_profile_secrets(
        &self,
        name: &str,
        api_key: Option<&str>,
        headers: &BTreeMap<String, String>,
    ) -> Result<ProfileView, Error> {
        let mut body = json!({ "headers": headers });
        if let Some(key) = api_key {
            body["api_key"] = key.into();
        }
        self.http.json(&Call::put(format!("{}/secrets", path(name)), &body)).await
    }

    /// Drops the key of a profile and the values of its headers, as far as the daemon keeps them.
    pub async fn drop_profile_secrets(&self, name: &str) -> Result<(), Error> {
        self.http.done(&Call::delete(format!("{}/secrets", path(name)))).await
    }

    /// Asks the model of a profile for one token.
    pub async fn test_profile(&self, name: &str) -> Result<ProfileTested, Error> {
        self.http.json(&Call::post(format!("{}/test", path(name)), &json!({}))).await
    }
}

fn path(name: &str) -> String {
    format!("/v1/profiles/{}", encoded(name))
}
