//! Requests that the router answers itself, where the configuration asks for it.

use serde_json::{Map, Value, json};

use super::core::{Router, code};
use super::flow::result_line;
use super::scan::Keys;

/// The version of the protocol that `stdio_bus/hello` speaks of.
const PROTOCOL: &str = "0.1.0";

impl Router {
    /// Answers a request that is the router's own to answer; says whether it was one.
    pub(super) fn answer_myself(&mut self, slot: u32, line: &[u8], keys: &Keys<'_>, now: u64) -> bool {
        let (true, Some(method), Some(id)) = (self.answers_any(), keys.method, keys.id.clone()) else {
            return false;
        };
        let answer = match method {
            br#""stdio_bus/hello""# if self.config.answer_hello => self.hello(slot, keys),
            br#""stdio_bus/status""# if self.config.status => Ok(self.status(now)),
            br#""stdio_bus/metrics""# if self.config.status => {
                Ok(json!({"contentType": "text/plain; version=0.0.4", "text": self.metrics()}))
            }
            _ => return false,
        };
        match answer {
            Ok(result) => {
                let result = result.to_string();
                self.send_client(slot, &result_line(&line[id], &result), None, now);
                self.settle(slot);
            }
            Err(why) => self.error_to_client(slot, &line[id], code::NEGOTIATION_FAILED, &why, now),
        }
        true
    }

    fn answers_any(&self) -> bool {
        self.config.answer_hello || self.config.status
    }

    /// What this router offers; an extension that is required and not there is an error.
    fn hello(&self, slot: u32, keys: &Keys<'_>) -> Result<Value, String> {
        let params: Value =
            keys.params.and_then(|params| serde_json::from_slice(params).ok()).unwrap_or_default();
        let policy = self.config.pools.iter().any(|pool| pool.policy.is_some());
        let recorded = self.config.record.is_some();
        let mut extensions = Map::new();
        for (name, wish) in params["extensions"].as_object().into_iter().flatten() {
            let active = match name.as_str() {
                "identity" => recorded || policy,
                "audit" => recorded,
                "streams" => self.config.tag_streams,
                "status" => self.config.status,
                _ => false,
            };
            if !active && wish["required"] == true {
                return Err(format!("The extension '{name}' is required and not available"));
            }
            let version = wish["version"].as_str().unwrap_or("1.0");
            extensions
                .insert(name.clone(), json!({"selected": version, "version": version, "active": active}));
        }
        let session = match &keys.session {
            Some(session) => String::from_utf8_lossy(session).into_owned(),
            None => format!("client-{slot}-{}", self.clients[slot as usize].generation),
        };
        Ok(json!({"negotiatedProtocolVersion": PROTOCOL, "sessionId": session, "extensions": extensions}))
    }
}
