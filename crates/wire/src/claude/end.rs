//! The end of a turn: why, and what it used.

use serde_json::json;

use super::Adapter;
use super::client::NO_CONVERSATION;
use super::said::Ended;
use crate::acp::{Empty, PromptResponse, SessionUpdate, StopReason, Usage, UsageUpdate};
use crate::jsonrpc::{ErrorObject, code};

impl Adapter {
    pub(super) fn result(&mut self, ended: &Ended) {
        if let Some(greeting) = self.greeting() {
            // It will not come to anything else: the process ends.
            return self.answer(&greeting, Err::<&Empty, _>(&error(ended)));
        }
        // A turn that it began by itself has no prompt that waits.
        let (prompt, cancelled) = (self.prompt.take(), std::mem::take(&mut self.cancelled));
        if let Some(text) = ended.result.as_deref().filter(|_| !self.flow.has_spoken && !ended.is_error) {
            self.said(text, None);
        }
        self.flow.end();
        self.gauge(ended);
        let Some(prompt) = prompt else { return };
        let stop_reason = match (&*ended.subtype, ended.is_error) {
            _ if cancelled => StopReason::Cancelled,
            ("success", false) => match ended.stop_reason.as_deref() {
                Some("max_tokens") => StopReason::MaxTokens,
                Some("refusal") => StopReason::Refusal,
                Some(_) | None => StopReason::EndTurn,
            },
            ("error_max_turns", _) => StopReason::MaxTurnRequests,
            _ => return self.answer(&prompt, Err::<&Empty, _>(&error(ended))),
        };
        let usage = ended.usage.map(|tokens| Usage {
            total_tokens: tokens.context(),
            input_tokens: tokens.input_tokens.unwrap_or_default(),
            output_tokens: tokens.output_tokens.unwrap_or_default(),
            thought_tokens: None,
            cached_read_tokens: tokens.cache_read_input_tokens,
            cached_write_tokens: tokens.cache_creation_input_tokens,
        });
        self.answer(&prompt, Ok(&PromptResponse { stop_reason, usage, meta: None }));
    }

    fn gauge(&mut self, ended: &Ended) {
        let size = ended.models.values().map(|model| model.context_window).max().unwrap_or_default();
        if size == 0 {
            return;
        }
        let cost = ended.total_cost_usd.map(|amount| json!({ "amount": amount, "currency": "USD" }));
        let cost = cost.map(|cost| serde_json::value::to_raw_value(&cost).expect(super::STRING_KEYS));
        self.update(&SessionUpdate::UsageUpdate(UsageUpdate { used: self.flow.context, size, cost }));
    }
}

fn error(ended: &Ended) -> ErrorObject {
    let told = ended.result.iter().chain(&ended.errors).find(|text| !text.trim().is_empty());
    let told = told.map_or_else(|| ended.subtype.clone(), |text| text.trim().to_owned());
    let number = if told.starts_with("No conversation found") {
        NO_CONVERSATION
    } else if told.contains("/login") {
        code::AUTH_REQUIRED
    } else {
        code::INTERNAL_ERROR
    };
    ErrorObject::new(number, told)
}
