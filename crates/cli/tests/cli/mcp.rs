//! What hosts' configurations want, as it is printed and as the guide shows it.

use crate::home::Home;

/// A place on the PATH where the binary is found by its name.
fn named(home: &Home) -> String {
    let bin = home.path().join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_trunkline"), bin.join("trunkline")).unwrap();
    bin.to_str().unwrap().to_owned()
}

/// Whether a page has a snippet as one of its blocks. In JSON the order of members is nobody's business.
fn shows(guide: &str, snippet: &str) -> bool {
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    let blocks = guide.split("```").skip(1).step_by(2).filter_map(|block| Some(block.split_once('\n')?.1));
    match json(snippet) {
        Some(snippet) => blocks.filter_map(json).any(|block| block == snippet),
        None => guide.contains(snippet.trim_end()),
    }
}

fn printed(home: &Home, path: &str, words: &[&str]) -> String {
    let mut command = home.command(words);
    let done = command.env("PATH", path).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn the_guide_shows_what_is_printed() {
    let home = Home::new();
    let path = named(&home);
    let guide = include_str!("../../../../docs/guide/mcp.md");
    let hosts = ["claude-desktop", "claude-code", "cursor", "gemini", "codex"];
    let snippets = hosts.map(|host| printed(&home, &path, &["mcp", "--print-config", host]));
    for (host, snippet) in hosts.iter().zip(&snippets) {
        assert!(shows(guide, snippet), "the guide does not show what {host} needs:\n{snippet}");
    }
    let all = printed(&home, &path, &["mcp", "--print-config"]);
    assert!(snippets.iter().all(|snippet| all.contains(snippet.trim_end())), "{all}");
    let elsewhere = printed(&home, "/nowhere", &["mcp", "--print-config", "cursor"]);
    assert!(
        elsewhere.contains(env!("CARGO_BIN_EXE_trunkline")),
        "who is not on the PATH is named in full: {elsewhere}"
    );
    let operator = printed(&home, &path, &["mcp", "--operator", "--print-config", "codex"]);
    assert!(operator.contains(r#"args = ["mcp", "--operator"]"#), "{operator}");
}

#[test]
fn the_guide_shows_the_hooks_that_are_printed() {
    let home = Home::new();
    let path = named(&home);
    let guide = include_str!("../../../../docs/guide/hooks.md");
    for agent in ["claude", "codex", "gemini"] {
        let snippet = printed(&home, &path, &["hook", agent]);
        assert!(shows(guide, &snippet), "the guide does not show the hooks of {agent}:\n{snippet}");
    }
}
