//! What a tool of an MCP server gives, as a model reads it.

use rmcp::model::{CallToolResult, ContentBlock, ResourceContents};
use trunkline_wire::model::Content;

/// How many bytes of pictures a model gets from one call.
const MAX_PICTURES: usize = 8 << 20;

/// The content of a result, its texts bounded in all, and whether the tool says that it failed.
pub(crate) fn content(result: CallToolResult, max: usize) -> (Vec<Content>, bool) {
    let failed = result.is_error == Some(true);
    let (mut all, mut room, mut pictures) = (Vec::new(), max, MAX_PICTURES);
    let structured = result.structured_content.filter(|_| result.content.is_empty());
    let mut text = |all: &mut Vec<Content>, text: String| {
        let over = text.len().saturating_sub(room);
        let kept = &text[..text.floor_char_boundary(room)];
        room -= kept.len();
        let cut = format!("{kept}\n[… {over} more bytes are left out …]");
        all.push(Content::text(if over == 0 { text } else { cut }));
    };
    for block in result.content {
        match block {
            ContentBlock::Text(block) => text(&mut all, block.text),
            ContentBlock::Image(image) if image.data.len() <= pictures => {
                pictures -= image.data.len();
                all.push(Content::Image { mime_type: image.mime_type, data: image.data });
            }
            ContentBlock::Image(image) => {
                text(&mut all, format!("[a picture, {}, which is too large]", image.mime_type));
            }
            ContentBlock::Audio(audio) => {
                text(&mut all, format!("[sound, {}, which cannot be heard here]", audio.mime_type));
            }
            ContentBlock::Resource(resource) => match resource.resource {
                ResourceContents::TextResourceContents { uri, text: words, .. } => {
                    text(&mut all, format!("<resource uri=\"{uri}\">\n{words}\n</resource>"));
                }
                ResourceContents::BlobResourceContents { uri, .. } => {
                    text(&mut all, format!("[a resource of bytes at {uri}]"));
                }
                _ => text(&mut all, "[a resource of a kind that is not known here]".to_owned()),
            },
            ContentBlock::ResourceLink(link) => text(&mut all, format!("[{}]({})", link.name, link.uri)),
            _ => text(&mut all, "[content of a kind that is not known here]".to_owned()),
        }
    }
    if let Some(value) = structured {
        text(&mut all, value.to_string());
    }
    (all, failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: serde_json::Value, max: usize) -> (Vec<Content>, bool) {
        content(serde_json::from_value(json).unwrap(), max)
    }

    #[test]
    fn texts_are_bounded_in_all_and_what_is_no_text_is_named() {
        let (all, failed) = read(
            serde_json::json!({ "isError": true, "content": [
                { "type": "text", "text": "abcdef" }, { "type": "text", "text": "ghäij" },
                { "type": "image", "data": "AA==", "mimeType": "image/png" },
                { "type": "audio", "data": "AA==", "mimeType": "audio/wav" },
            ] }),
            9,
        );
        assert!(failed);
        let texts = all.iter().filter_map(|one| match one {
            Content::Text { text } => Some(text.as_str()),
            Content::Image { .. } => None,
        });
        let texts: Vec<_> = texts.collect();
        assert_eq!(texts[..2], ["abcdef", "gh\n[… 3 more bytes are left out …]"]);
        assert!(texts[2].contains("more bytes") && all.len() == 4);
    }

    #[test]
    fn what_has_no_content_but_a_value_is_that_value() {
        let (all, failed) = read(serde_json::json!({ "content": [], "structuredContent": { "a": 1 } }), 100);
        assert_eq!((all, failed), (vec![Content::text(r#"{"a":1}"#)], false));
    }
}
