//! Who may call what, and the record of who called.

use serde_json::{Value, json};

use super::choose::Refusal;
use super::config::{Policy, Rule};
use super::core::{Action, Router, code};
use super::scan::{Keys, name};

/// An identity or an audit record that came with a message, and what became of the message.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The client's slot.
    pub client: u32,
    /// The pool that the message was for.
    pub pool: String,
    /// The message's `sessionId`.
    pub session: Option<String>,
    /// The message's `method`.
    pub method: Option<String>,
    /// `_ext.identity`.
    pub identity: Value,
    /// `_ext.audit`.
    pub audit: Value,
    /// Whether the pool's policy let it pass.
    pub allowed: bool,
}

impl Record {
    /// The record as a JSON object, with the time given.
    pub fn to_json(&self, at: u64) -> Value {
        json!({
            "at": at, "client": self.client, "pool": self.pool, "session": self.session, "method": self.method,
            "identity": self.identity, "audit": self.audit, "allowed": self.allowed,
        })
    }
}

impl Router {
    /// Asks the pool's policy, and keeps a record where there is something to keep.
    pub(super) fn admit(&mut self, slot: u32, keys: &Keys<'_>, pool: usize) -> Result<(), Refusal> {
        let ext: Value = keys.ext.and_then(|ext| serde_json::from_slice(ext).ok()).unwrap_or_default();
        let text = |raw: &[u8]| name(raw).map(|name| String::from_utf8_lossy(&name).into_owned());
        let method = keys.method.and_then(text);
        let pool = &self.config.pools[pool];
        let allowed =
            pool.policy.as_ref().is_none_or(|policy| policy.allows(&ext["identity"], method.as_deref()));
        let noteworthy = !ext["identity"].is_null() || !ext["audit"].is_null() || !allowed;
        if self.config.record.is_some() && noteworthy {
            let record = Record {
                client: slot,
                pool: pool.id.clone(),
                session: keys.session.as_ref().map(|session| String::from_utf8_lossy(session).into_owned()),
                method: method.clone(),
                identity: ext["identity"].clone(),
                audit: ext["audit"].clone(),
                allowed,
            };
            self.actions.push_back(Action::Record(record));
        }
        if allowed {
            return Ok(());
        }
        let method = method.unwrap_or_default();
        Err(Refusal::new(code::POLICY_DENIED, format!("The pool's policy does not allow '{method}'")))
    }
}

impl Policy {
    /// Whether a message of this identity may call this method. A message without a method calls the method "".
    pub fn allows(&self, identity: &Value, method: Option<&str>) -> bool {
        let method = method.unwrap_or_default();
        let fits =
            |wanted: &Option<String>, key: &str| wanted.as_ref().is_none_or(|text| identity[key] == **text);
        for rule in &self.rules {
            if fits(&rule.role, "role")
                && fits(&rule.subject, "subjectId")
                && let Some(allowed) = rule.decides(method)
            {
                return allowed;
            }
        }
        self.allow
    }
}

impl Rule {
    fn decides(&self, method: &str) -> Option<bool> {
        let matches = |pattern: &String| match pattern.strip_suffix('*') {
            Some(start) => method.starts_with(start),
            None => method == pattern,
        };
        if self.deny.iter().any(matches) {
            return Some(false);
        }
        self.allow.iter().any(matches).then_some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_fits_decides() {
        let rule = |role: Option<&str>, allow: &[&str], deny: &[&str]| Rule {
            role: role.map(str::to_owned),
            subject: None,
            allow: allow.iter().map(|&text| text.to_owned()).collect(),
            deny: deny.iter().map(|&text| text.to_owned()).collect(),
        };
        let policy = Policy {
            allow: false,
            rules: vec![rule(Some("admin"), &["*"], &["shutdown"]), rule(None, &["tools/*", "ping"], &[])],
        };
        let admin = json!({"role": "admin"});
        assert!(policy.allows(&admin, Some("anything")) && !policy.allows(&admin, Some("shutdown")));
        assert!(policy.allows(&Value::Null, Some("tools/list")) && policy.allows(&Value::Null, Some("ping")));
        assert!(!policy.allows(&Value::Null, Some("pings")) && !policy.allows(&Value::Null, None));
    }
}
