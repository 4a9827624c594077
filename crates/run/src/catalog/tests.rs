//! The catalog's rules.

use super::*;
use proptest::prelude::*;

fn argv(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn catalog(custom: impl IntoIterator<Item = (&'static str, Custom)>) -> Catalog {
    let custom = custom.into_iter().map(|(name, custom)| (name.to_owned(), custom)).collect();
    Catalog::new(custom, "/usr/bin:/bin").unwrap()
}

#[test]
fn a_known_agent_is_found_by_name() {
    let entry = catalog([]).resolve(Some("gemini"), None).unwrap();
    assert_eq!(
        (entry.argv, entry.driver.as_str(), entry.offer_read),
        (argv(&["gemini", "--acp"]), "acp", false)
    );
    assert_eq!(catalog([]).resolve(Some("gemini"), Some(&[])).unwrap().name, "gemini");
}

#[test]
fn a_command_line_is_known_by_its_program() {
    let given = argv(&["/opt/bin/gemini", "--acp", "--model", "x"]);
    let entry = catalog([]).resolve(None, Some(&given)).unwrap();
    assert_eq!((entry.name.as_str(), entry.offer_read, entry.argv), ("gemini", false, given));
    let given = argv(&["/opt/my-agent", "--acp"]);
    let entry = catalog([]).resolve(None, Some(&given)).unwrap();
    assert_eq!(entry, Entry::plain("my-agent", given.clone()));
    let entry = catalog([]).resolve(Some("mine"), Some(&given)).unwrap();
    assert_eq!(entry, Entry::plain("mine", given));
}

#[test]
fn what_cannot_be_run_is_told_with_what_can() {
    let refused = |agent: Option<&str>, argv: Option<&[String]>| {
        catalog([]).resolve(agent, argv).unwrap_err().to_string()
    };
    assert_eq!(refused(Some("gemni"), None), "there is no agent called gemni; did you mean gemini?");
    assert_eq!(
        refused(Some("something-else"), None),
        "there is no agent called something-else; `trunkline catalog` lists those that are known"
    );
    assert_eq!(
        refused(None, None),
        "name an agent of the catalog, or give the command line of one that speaks ACP"
    );
    for empty in [&[][..], &[String::new()]] {
        assert_eq!(
            refused(None, Some(empty)),
            "the command line is empty; its first word must be the program"
        );
    }
}

#[test]
fn a_user_changes_an_agent_or_adds_one() {
    let gemini = Custom {
        argv: Some(argv(&["gemini", "--experimental-acp"])),
        env: [("GEMINI_MODEL".to_owned(), "x".to_owned())].into(),
        ..Custom::default()
    };
    let mine = Custom { argv: Some(argv(&["my-agent"])), offer_read: Some(false), ..Custom::default() };
    let catalog = catalog([("gemini", gemini), ("mine", mine)]);
    let entry = catalog.resolve(Some("gemini"), None).unwrap();
    assert_eq!((entry.argv[1].as_str(), entry.env["GEMINI_MODEL"].as_str()), ("--experimental-acp", "x"));
    assert_eq!((entry.title.as_str(), entry.env_pass.len(), entry.offer_read), ("Gemini CLI", 2, false));
    assert!(!catalog.resolve(Some("mine"), None).unwrap().offer_read);
    let refused = Catalog::new([("new".to_owned(), Custom::default())].into(), "").unwrap_err();
    assert_eq!(refused, ("new".to_owned(), Unrunnable::NoProgram));
}

#[test]
fn an_agent_of_ones_own_is_known_by_its_program_or_says_what_it_speaks() {
    let custom = |words: &[&str], driver| Custom { argv: Some(argv(words)), driver, ..Custom::default() };
    let catalog = catalog([
        ("ops", custom(&["/opt/bin/claude", "--agent", "ops"], None)),
        ("wrapped", custom(&["my-claude"], Some(Speaks::Claude))),
        ("claude", custom(&["my-adapter"], Some(Speaks::Acp))),
    ]);
    let resolve = |name| catalog.resolve(Some(name), None).unwrap();
    let ops = resolve("ops");
    assert_eq!((ops.name.as_str(), ops.driver.as_str(), ops.argv[2].as_str()), ("ops", "claude", "ops"));
    assert!(ops.state.contains(&"~/.claude".to_owned()) && ops.env_pass.contains(&"ANTHROPIC_*".to_owned()));
    assert_eq!(resolve("wrapped").driver, "claude");
    assert_eq!(resolve("claude").driver, "acp");
    let given = argv(&["claude", "--model", "opus"]);
    assert_eq!(catalog.resolve(Some("ops"), Some(&given)).unwrap().driver, "claude");
}

#[test]
fn the_list_says_what_is_there_and_what_to_do_about_the_rest() {
    let shell = Custom { argv: Some(argv(&["sh"])), ..Custom::default() };
    let list = catalog([("shell", shell)]).list();
    assert_eq!(list.len(), builtin::all().count() + 1);
    let one = |name: &str| list.iter().find(|listed| listed.name == name).unwrap().clone();
    let shell = one("shell");
    assert!(shell.found && shell.why.is_none() && shell.path.unwrap().ends_with("/sh"));
    let pi = one("pi");
    let why = "there is no `pi-acp` on PATH; install it with `npm install -g pi-acp`";
    assert_eq!((pi.found, pi.path, pi.why.as_deref()), (false, None, Some(why)));
    assert!(one("claude").why.unwrap().contains("@anthropic-ai/claude-code"));
}

#[test]
fn only_what_can_be_executed_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tool");
    std::fs::write(&file, "").unwrap();
    std::fs::create_dir(dir.path().join("folder")).unwrap();
    let path = dir.path().as_os_str();
    assert_eq!((which("tool", path), which("folder", path), which("none", path)), (None, None, None));
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(which("tool", path), Some(file.clone()));
    assert_eq!(which(file.to_str().unwrap(), OsStr::new("")), Some(file));
}

proptest! {
    #[test]
    fn edits_are_a_distance(a in "[ab]{0,6}", b in "[ab]{0,6}", c in "[ab]{0,6}") {
        prop_assert_eq!(edits(&a, &b), edits(&b, &a));
        prop_assert_eq!(edits(&a, &b) == 0, a == b);
        prop_assert!(edits(&a, &c) <= edits(&a, &b) + edits(&b, &c));
    }
}
