use super::*;

fn profiles(file: &[(&str, OfFile)], env: &[(&str, &str)]) -> (tempfile::TempDir, Profiles) {
    let home = tempfile::tempdir().unwrap();
    let file = file.iter().map(|(name, of)| ((*name).to_owned(), of.clone())).collect();
    let env: Vec<_> = env.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let secrets = Secrets::open(home.path()).unwrap();
    (home, Profiles::new(file, &env, secrets))
}

fn of_file(profile: Profile, key: Option<&str>) -> OfFile {
    OfFile { profile, api_key: key.map(Secret::new), headers: Vec::new() }
}

#[test]
fn keys_in_the_environment_are_profiles_and_the_first_is_the_default() {
    let env = [
        ("OPENAI_API_KEY", "o"),
        ("ANTHROPIC_API_KEY", "a"),
        ("ANTHROPIC_MODEL", "claude-x"),
        ("GEMINI_API_KEY", " "),
        ("AZURE_OPENAI_API_KEY", "z"),
    ];
    let (_home, profiles) = profiles(&[], &env);
    let names: Vec<_> = profiles.list().into_iter().map(|listed| (listed.name, listed.default)).collect();
    assert_eq!(names, [("anthropic-auto".to_owned(), true), ("openai-auto".to_owned(), false)]);
    let ready = profiles.ready(None).unwrap();
    assert_eq!((ready.name.as_str(), ready.profile.model.as_str()), ("anthropic-auto", "claude-x"));
    assert_eq!(ready.endpoint.key, Some(Secret::new("a")));
    assert!(matches!(profiles.ready(Some("gemini-auto")), Err(NoProfile::Unknown(_))));
}

#[test]
fn azure_is_asked_at_its_deployment_and_a_token_is_a_bearers() {
    let env = [
        ("AZURE_OPENAI_API_KEY", "z"),
        ("AZURE_OPENAI_ENDPOINT", "https://r.openai.azure.com/"),
        ("ANTHROPIC_AUTH_TOKEN", "t"),
    ];
    let (_home, profiles) = profiles(&[], &env);
    let azure = profiles.ready(Some("azure-auto")).unwrap().endpoint;
    assert_eq!(azure.base_url, "https://r.openai.azure.com/openai/deployments/gpt-4.1");
    assert_eq!((azure.shows, azure.api_version.as_deref()), (Shows::Azure, Some("2024-10-21")));
    assert_eq!(profiles.ready(None).unwrap().endpoint.shows, Shows::Bearer);
}

#[test]
fn without_a_key_one_is_told_what_to_do() {
    let (_home, empty) = profiles(&[], &[]);
    assert!(matches!(empty.ready(None), Err(NoProfile::None)));
    let named = Profile { api_key_env: Some("MY_KEY".to_owned()), ..Profile::new(Provider::Anthropic, "m") };
    let local = Profile::new(Provider::Ollama, "qwen3");
    let (_home, one) = profiles(&[("a", of_file(named.clone(), None))], &[]);
    assert!(
        one.ready(None).unwrap_err().to_string().contains("no MY_KEY"),
        "the only one tells what it lacks"
    );
    let (_home, some) = profiles(&[("a", of_file(named, None)), ("b", of_file(local, None))], &[]);
    assert!(some.ready(Some("a")).unwrap_err().to_string().contains("no MY_KEY"));
    assert_eq!(some.ready(None).unwrap().name, "b", "one that cannot be used is no default");
}

#[test]
fn a_stored_key_counts_before_the_files_and_that_before_the_environments() {
    let profile = Profile { api_key_env: Some("K".to_owned()), ..Profile::new(Provider::Openai, "m") };
    let (_home, all) = profiles(&[("p", of_file(profile.clone(), Some("file")))], &[("K", "env")]);
    let key =
        |profiles: &Profiles| profiles.ready(Some("p")).unwrap().endpoint.key.unwrap().reveal().to_owned();
    assert_eq!(key(&all), "file");
    all.set_key("p", Some(Secret::new("stored"))).unwrap();
    assert_eq!(key(&all), "stored");
    let (_home, made) = profiles(&[], &[("K", "env")]);
    made.take_made([("p".to_owned(), Profile { headers: vec!["X-Team".to_owned()], ..profile })].into());
    assert_eq!(key(&made), "env");
    made.set_headers("p", vec![("X-Team".to_owned(), Some(Secret::new("blue")))]).unwrap();
    let headers = made.ready(Some("p")).unwrap().endpoint.headers;
    assert_eq!(headers, [("X-Team".to_owned(), Secret::new("blue"))]);
    made.take_made(BTreeMap::new());
    assert!(made.ready(Some("p")).is_err());
}

#[test]
fn no_list_shows_a_secret() {
    let profile = Profile::new(Provider::Openai, "m");
    let mut of = of_file(profile, Some("canary-key"));
    of.headers = vec![("authorization".to_owned(), Secret::new("canary-header"))];
    of.profile.headers = vec!["authorization".to_owned()];
    let (_home, profiles) = profiles(&[("p", of)], &[("OPENAI_API_KEY", "canary-env")]);
    let listed = serde_json::to_string(&profiles.list()).unwrap();
    assert!(listed.contains(r#""has_api_key":true"#) && !listed.contains("canary"), "{listed}");
    assert!(!format!("{:?}", profiles.ready(Some("p")).unwrap()).contains("canary"));
    assert!(!format!("{profiles:?}").contains("canary"), "{profiles:?}");
    let headers = || profiles.ready(Some("p")).unwrap().endpoint.headers;
    assert_eq!(headers(), [("authorization".to_owned(), Secret::new("canary-header"))]);
    profiles.set_headers("p", vec![("Authorization".to_owned(), Some(Secret::new("stored")))]).unwrap();
    assert_eq!(headers(), [("authorization".to_owned(), Secret::new("stored"))], "one value, not two");
}

#[test]
fn an_address_with_a_secret_in_it_is_not_taken_from_the_environment() {
    let env = [("OPENAI_API_KEY", "o"), ("OPENAI_BASE_URL", "https://me:canary@h.example/v1")];
    let (_home, profiles) = profiles(&[], &env);
    assert!(profiles.list().is_empty());
    assert!(!format!("{profiles:?}").contains("canary"));
}

#[test]
fn the_agent_is_listed_as_there_exactly_when_a_profile_can_be_used() {
    use crate::catalog::{Catalog, Listed};
    let named = Profile { api_key_env: Some("MY_KEY".to_owned()), ..Profile::new(Provider::Anthropic, "m") };
    let listed = |env: &[(&str, &str)], file: &[(&str, OfFile)]| -> Listed {
        let (_home, profiles) = profiles(file, env);
        let catalog = Catalog::new(BTreeMap::new(), "").unwrap().with_profiles(profiles);
        catalog.list().into_iter().find(|listed| listed.name == crate::model::MODEL).unwrap()
    };
    let none = listed(&[], &[]);
    assert!(!none.found && none.why.unwrap().contains("trunkline profiles add"));
    let no_key = listed(&[], &[("default", of_file(named.clone(), None))]);
    assert!(!no_key.found && no_key.why.unwrap().contains("no MY_KEY"));
    let usable = listed(&[("MY_KEY", "k")], &[("default", of_file(named, None))]);
    assert!(usable.found && usable.why.is_none());
}
