//! Reading optional members so that no peer's slip costs us the message.

use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_json::value::RawValue;

/// An optional member: absent, null and malformed are the same.
pub(super) fn lenient<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).unwrap_or_default())
}

/// An optional list: items we cannot read are left out, what is no list is an empty one.
pub(super) fn lenient_list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    Ok(optional_list(deserializer)?.unwrap_or_default())
}

/// As [`lenient_list`], but an absent list is not an empty one.
pub(super) fn optional_list<'de, D, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let items: Option<Vec<Box<RawValue>>> = lenient(deserializer)?;
    Ok(items.map(|items| items.iter().filter_map(|item| serde_json::from_str(item.get()).ok()).collect()))
}

/// A capability that is offered by an object being there: `{}` or `true` offer it; absent, null and `false` do not.
pub(super) mod offer {
    use super::{Deserialize, Deserializer, RawValue};
    use crate::acp::Empty;
    use serde::{Serialize, Serializer};

    pub(in crate::acp) fn serialize<S: Serializer>(offered: &bool, serializer: S) -> Result<S::Ok, S::Error> {
        if *offered { Empty {}.serialize(serializer) } else { serializer.serialize_none() }
    }

    pub(in crate::acp) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(!matches!(raw.get(), "null" | "false"))
    }
}
