//! JSON as the original's parser took it.

use serde_json::{Map, Value};

use super::ConfigError;

/// The object that the text is, or is once mended.
pub(super) fn parse(text: &[u8]) -> Result<Map<String, Value>, ConfigError> {
    let parsed = serde_json::from_slice(text).or_else(|error| match mend(text) {
        Some(mended) => serde_json::from_slice(&mended),
        None => Err(error),
    });
    match parsed {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(ConfigError("invalid JSON - expected object".to_owned())),
        Err(_) if !text.trim_ascii_start().starts_with(b"{") => {
            Err(ConfigError("invalid JSON - expected object".to_owned()))
        }
        Err(error) => Err(ConfigError(format!("invalid JSON - {error}"))),
    }
}

/// The text without commas before a closing bracket, cut behind its outermost value, or with the brackets closed
/// that it leaves open. `None` if it ends in a string.
fn mend(text: &[u8]) -> Option<Vec<u8>> {
    let mut mended = Vec::with_capacity(text.len());
    let mut open = Vec::new();
    let mut comma = None;
    let (mut string, mut escaped) = (false, false);
    for &byte in text {
        mended.push(byte);
        if string {
            string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => string = true,
            b'{' => open.push(b'}'),
            b'[' => open.push(b']'),
            b'}' | b']' => {
                if let Some(at) = comma {
                    mended[at] = b' ';
                }
                open.pop();
                if open.is_empty() {
                    return Some(mended);
                }
            }
            _ => {}
        }
        if byte == b',' {
            comma = Some(mended.len() - 1);
        } else if !byte.is_ascii_whitespace() {
            comma = None;
        }
    }
    if let Some(at) = comma {
        mended[at] = b' ';
    }
    mended.extend(open.iter().rev());
    (!string).then_some(mended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_faults_are_mended() {
        let whole = parse(br#"{"a":[1,{"b":",}"}],"c":"\""}"#).unwrap();
        for text in [
            r#"{"a":[1,{"b":",}",},],"c":"\"",}"#,
            r#"{"a":[1,{"b":",}"}],"c":"\""} trailing"#,
            r#"{"a":[1,{"b":",}"}],"c":"\"""#,
            r#"{"a":[1,{"b":",}"}],"c":"\"", "#,
        ] {
            assert_eq!(parse(text.as_bytes()), Ok(whole.clone()), "{text}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in ["", "  ", "[]", "7", "\u{FEFF}{}", "// c\n{}"] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), "config: invalid JSON - expected object", "{text}");
        }
        for text in ["{/* c */}", "{a:1}", "{\"a\":\"b"] {
            assert!(parse(text.as_bytes()).unwrap_err().to_string().starts_with("config: invalid JSON - "));
        }
    }
}
