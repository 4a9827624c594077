use super::*;

#[test]
fn every_tool_has_a_schema_that_providers_take() {
    let offered = offered();
    let names: Vec<_> = offered.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, NAMES);
    for tool in offered {
        assert!(tool.name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{}", tool.name);
        assert_eq!(tool.input["type"], "object", "{}", tool.name);
        assert!(tool.input["properties"].is_object() && tool.input.get("$ref").is_none(), "{}", tool.name);
        assert!(!tool.description.is_empty() && !tool.input.to_string().contains("$defs"), "{}", tool.name);
    }
}

#[test]
fn a_text_that_is_too_long_says_how_much_is_missing() {
    assert_eq!(bounded("abc".to_owned(), 3), "abc");
    assert_eq!(bounded("a€bc".to_owned(), 3), "a\n[… 5 more bytes are left out …]");
}
