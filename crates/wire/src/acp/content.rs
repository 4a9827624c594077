//! Content blocks: what prompts and messages are made of. The same as MCP's.

use super::Meta;
use super::lenient::lenient;
use crate::raw::Members;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// A piece of content. Reading never fails: a block of an unknown type, or one that lacks what its type demands,
/// is [`Unknown`](Self::Unknown).
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ContentBlock {
    /// Text, Markdown as a rule.
    Text(TextContent),
    /// A picture.
    Image(ImageContent),
    /// Sound.
    Audio(AudioContent),
    /// A pointer to something the reader can fetch.
    ResourceLink(ResourceLink),
    /// Something the reader cannot fetch, so it comes along.
    Resource(EmbeddedResource),
    /// Anything else, as it came.
    #[serde(untagged)]
    Unknown(Box<RawValue>),
}

/// Text.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct TextContent {
    /// The text.
    pub text: String,
    /// Whom it is for and how much it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Box<RawValue>>,
    /// Anything.
    #[serde(rename = "_meta", default, skip_serializing_if = "Option::is_none")]
    pub meta: Meta,
}

/// A picture.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageContent {
    /// The bytes in base64.
    pub data: String,
    /// Their media type.
    pub mime_type: String,
    /// Where it is from.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Whom it is for and how much it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Box<RawValue>>,
    /// Anything.
    #[serde(rename = "_meta", default, skip_serializing_if = "Option::is_none")]
    pub meta: Meta,
}

/// Sound.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AudioContent {
    /// The bytes in base64.
    pub data: String,
    /// Their media type.
    pub mime_type: String,
    /// Whom it is for and how much it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Box<RawValue>>,
    /// Anything.
    #[serde(rename = "_meta", default, skip_serializing_if = "Option::is_none")]
    pub meta: Meta,
}

/// A pointer to a file or another resource.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceLink {
    /// Where it is.
    pub uri: String,
    /// Its name.
    pub name: String,
    /// Its name for people.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it is.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its media type.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// Its size in bytes.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    /// Whom it is for and how much it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Box<RawValue>>,
    /// Anything.
    #[serde(rename = "_meta", default, skip_serializing_if = "Option::is_none")]
    pub meta: Meta,
}

/// A resource with its contents.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct EmbeddedResource {
    /// The contents.
    pub resource: ResourceContents,
    /// Whom it is for and how much it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Box<RawValue>>,
    /// Anything.
    #[serde(rename = "_meta", default, skip_serializing_if = "Option::is_none")]
    pub meta: Meta,
}

/// The contents of a resource.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum ResourceContents {
    /// Text.
    Text {
        /// Where it is from.
        uri: String,
        /// The text.
        text: String,
        /// Its media type.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mime_type: Option<String>,
    },
    /// Bytes.
    Blob {
        /// Where they are from.
        uri: String,
        /// The bytes in base64.
        blob: String,
        /// Their media type.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mime_type: Option<String>,
    },
}

impl ContentBlock {
    /// A block of plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(TextContent { text: text.into(), ..TextContent::default() })
    }

    /// The text, if it is a text block.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(content) => Some(&content.text),
            Self::Image(_)
            | Self::Audio(_)
            | Self::ResourceLink(_)
            | Self::Resource(_)
            | Self::Unknown(_) => None,
        }
    }

    /// Reads a block.
    pub fn from_raw(raw: &RawValue) -> Self {
        let json = raw.get();
        let kind = Members::of(raw).and_then(|members| members.get_str("type"));
        let known = match kind.as_deref() {
            Some("text") => serde_json::from_str(json).map(Self::Text),
            Some("image") => serde_json::from_str(json).map(Self::Image),
            Some("audio") => serde_json::from_str(json).map(Self::Audio),
            Some("resource_link") => serde_json::from_str(json).map(Self::ResourceLink),
            Some("resource") => serde_json::from_str(json).map(Self::Resource),
            Some(_) | None => return Self::Unknown(raw.to_owned()),
        };
        known.unwrap_or_else(|_| Self::Unknown(raw.to_owned()))
    }

    /// The block as JSON.
    pub fn to_raw(&self) -> Box<RawValue> {
        serde_json::value::to_raw_value(self).expect("a content block has string keys only")
    }
}

impl<'de> Deserialize<'de> for ContentBlock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(|raw| Self::from_raw(&raw))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_and_broken_blocks_are_kept_as_they_came() {
        for json in [
            r#"{"type":"hologram", "x":1.0}"#,
            r#"{"type":"text"}"#,
            "7",
            "{}",
            r#"{"type":"image","data":1}"#,
        ] {
            let block: ContentBlock = serde_json::from_str(json).unwrap();
            assert!(matches!(block, ContentBlock::Unknown(_)), "{json}");
            assert_eq!(serde_json::to_string(&block).unwrap(), json);
        }
    }

    #[test]
    fn what_a_block_carries_along_is_kept() {
        let json = r#"{"type":"text","text":"hi","annotations":{"priority": 1.0},"_meta":{"a":[ ]}}"#;
        let block: ContentBlock = serde_json::from_str(json).unwrap();
        assert_eq!(block.as_text(), Some("hi"));
        assert_eq!(block.to_raw().get(), json);
        assert_eq!(ContentBlock::text("hi").to_raw().get(), r#"{"type":"text","text":"hi"}"#);
    }
}
