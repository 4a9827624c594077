//! The rules of what is opened and what is hidden.

use super::*;

fn sandbox(policy: Policy) -> Sandbox {
    let found = Found { means: Some(Means::Namespaces { processes: true }), why: vec![] };
    Sandbox { policy, found, home: "/h/.trunkline".into() }
}

fn env() -> Vec<(OsString, OsString)> {
    let set = [("HOME", "/h"), ("XDG_RUNTIME_DIR", "/run/user/7"), ("TMPDIR", "/h/tmp"), ("STATE", "/s")];
    set.map(|(name, value)| (name.into(), value.into())).to_vec()
}

fn confine(general: Policy, own: &Policy, workspace: &str) -> Result<Option<Confinement>, Unconfinable> {
    let (state, env) = (["~/.agent", "$STATE", "$UNSET"].map(str::to_owned), env());
    let subject =
        Subject { policy: own, state: &state, env: &env, workspace: Path::new(workspace), scratch: None };
    sandbox(general).confine(&subject)
}

fn strings(list: &[Os]) -> Vec<&str> {
    list.iter().map(|path| path.0.to_str().unwrap()).collect()
}

fn list(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|&path| path.to_owned()).collect()
}

#[test]
fn a_workspace_a_state_and_what_is_asked_for_are_open() {
    let own = Policy { write: list(&["/data", "/w/inner"]), network: Some(false), ..Policy::default() };
    let general = Policy { hide: list(&["~/.ssh"]), network: Some(true), ..Policy::default() };
    let confined = confine(general, &own, "/w").unwrap().unwrap();
    let write = strings(&confined.write);
    // What lies within another is writable already.
    assert_eq!(write[..4], ["/w", "/h/.agent", "/s", "/data"]);
    assert!(write.contains(&"/h/.cache") && !write.contains(&"/w/inner"));
    assert_eq!(strings(&confined.make), ["/h/.agent", "/s"]);
    assert_eq!(strings(&confined.hide), ["/h/.ssh", "/run/user/7", "/h/.trunkline"]);
    assert_eq!(strings(&confined.temporary), ["/tmp", "/var/tmp", "/h/tmp"]);
    assert!(!confined.network, "the agent's own entry counts more");
}

#[test]
fn off_is_off_for_one_or_for_all() {
    let off = Policy { mode: Some(Mode::Off), ..Policy::default() };
    let on = Policy { mode: Some(Mode::Workspace), ..Policy::default() };
    for (general, own, confined) in [
        (&on, &off, Confined::No),
        (&off, &on, Confined::Namespace),
        (&off, &Policy::default(), Confined::No),
        (&Policy::default(), &Policy::default(), Confined::Namespace),
    ] {
        assert_eq!(sandbox(general.clone()).confined(own), confined);
        assert_eq!(confine(general.clone(), own, "/w").unwrap().is_some(), confined != Confined::No);
    }
}

#[test]
fn the_daemons_home_is_opened_to_nobody() {
    for workspace in ["/h/.trunkline", "/h/.trunkline/logs"] {
        let refused = confine(Policy::default(), &Policy::default(), workspace).unwrap_err();
        assert!(matches!(refused, Unconfinable::Hidden { .. }), "{refused}");
    }
    // Around it is well: it is laid over the workspace.
    assert!(confine(Policy::default(), &Policy::default(), "/h").is_ok());
}

#[test]
fn a_path_that_is_none_is_refused() {
    for path in ["relative", "~", "~user/x", "/a/../b", ""] {
        let policy = Policy { write: list(&[path]), ..Policy::default() };
        assert_eq!(policy.check(), Err(Unconfinable::Path(path.to_owned())));
    }
    assert_eq!(Policy { hide: list(&["~/x", "/y"]), ..Policy::default() }.check(), Ok(()));
}

#[test]
fn a_program_among_temporary_files_is_seen() {
    let confined = confine(Policy::default(), &Policy::default(), "/tmp/w").unwrap().unwrap();
    let shown = confined.showing(&[
        "/tmp/agent.py",
        "/tmp/w/mine",
        "/usr/bin/python3",
        "/tmp",
        "tmp/x",
        "/h/.trunkline/token",
    ]);
    assert_eq!(strings(&shown.read), ["/tmp/agent.py"]);
}
