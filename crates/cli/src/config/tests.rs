use super::*;
use crate::style::Paint;

struct Home(tempfile::TempDir);

impl Home {
    fn with(toml: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(FILE), toml).unwrap();
        Self(home)
    }

    fn load(&self, vars: &[(&str, &str)], flags: &Flags) -> Result<Config> {
        Config::load(&Env::with(vars), Some(self.0.path()), flags)
    }

    fn error(&self) -> String {
        let text = self.load(&[], &Flags::default()).unwrap_err().render(Paint::PLAIN);
        text.replace(&self.0.path().display().to_string(), "~")
    }
}

#[test]
fn each_setting_says_who_decided() {
    let home = Home::with(
        "listen = \"127.0.0.1:1\"\nlog = \"warn\"\nturn_timeout = \"1h\"\nallowed_hosts = [\"a\", \"b\"]",
    );
    let flags = Flags { listen: Some("127.0.0.1:3".into()), insecure_bind: true, ..Flags::default() };
    let config =
        home.load(&[("TRUNKLINE_LISTEN", "127.0.0.1:2"), ("TRUNKLINE_LOG", "debug")], &flags).unwrap();
    assert_eq!(config.listen.port(), 3);
    assert_eq!(config.turn_timeout, Some(Duration::from_secs(3_600)));
    assert_eq!(config.allowed_hosts, ["a", "b"]);
    let shown: Vec<_> =
        config.shown[1..].iter().map(|s| format!("{}={} ({})", s.key, s.value, s.source)).collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    listen=127.0.0.1:3 (--listen)
    log=debug (TRUNKLINE_LOG)
    turn_timeout=1h (config.toml)
    max_concurrent_turns=off (default)
    allowed_hosts=a,b (config.toml)
    allowed_origins= (default)
    insecure_bind=true (--insecure-bind)
    sessionbus=local (default)
    dashboard=off (default)
    announce=agentflow,sessionbus (default)
    notify=on (default)
    public_url=off (default)
    tls_cert= (default)
    tls_key= (default)
    tls=off (default)
    engram=local (default)
    engram_listen=127.0.0.1:9470 (default)
    sandbox=workspace (default)
    ");
}

#[test]
fn a_certificate_is_the_daemons_own_or_two_files() {
    let tls = |text: &str| Home::with(text).load(&[], &Flags::default()).map(|config| config.tls);
    let files = "tls_cert = \"/c.pem\"\ntls_key = \"/k.pem\"\n";
    assert_eq!(tls("").unwrap(), Tls::Off, "nobody asked for it");
    assert_eq!(tls("tls = \"own\"").unwrap(), Tls::Own);
    assert_eq!(tls(files).unwrap(), Tls::Files { cert: "/c.pem".into(), key: "/k.pem".into() });
    assert_eq!(tls(&format!("tls = \"off\"\n{files}")).unwrap(), Tls::Off);
    for (text, why) in [
        ("tls = \"yes\"", "tls: `yes` is not own, files or off"),
        ("tls = \"files\"", "tls_cert: say which file"),
        ("tls_cert = \"/c.pem\"", "tls_key: say which file"),
        ("tls_cert = \"c.pem\"\ntls_key = \"/k.pem\"", "tls_cert: `c.pem` does not begin with `/`"),
    ] {
        let said = Home::with(text).error();
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn the_home_is_found() {
    let home = |vars: &[(&str, &str)], flag: Option<&str>| {
        Config::load(&Env::with(vars), flag.map(Path::new), &Flags::default()).map(|config| config.home)
    };
    assert_eq!(home(&[("HOME", "/u")], None).unwrap(), Path::new("/u/.trunkline"));
    assert_eq!(home(&[("HOME", "/u"), ("TRUNKLINE_HOME", "/t")], None).unwrap(), Path::new("/t"));
    assert_eq!(home(&[("TRUNKLINE_HOME", "/t")], Some("/f")).unwrap(), Path::new("/f"));
    assert!(home(&[("TRUNKLINE_HOME", "t")], None).unwrap().is_absolute());
    assert!(home(&[], None).is_err());
}

#[test]
fn a_slip_in_a_key_is_found_with_what_was_meant() {
    insta::assert_snapshot!(Home::with("lisen = \"x\"").error(), @r#"
    error: ~/config.toml is wrong
    TOML parse error at line 1, column 1
      |
    1 | lisen = "x"
      | ^^^^^
    unknown field `lisen`, expected one of `listen`, `log`, `turn_timeout`, `max_concurrent_turns`, `allowed_hosts`, `allowed_origins`, `insecure_bind`, `sessionbus`, `dashboard`, `engram`, `engram_listen`, `announce`, `notify`, `notify_targets`, `public_url`, `tls`, `tls_cert`, `tls_key`, `agents`, `sandbox`, `pools`, `pool_limits`, `operator_actions`, `profiles`, `daily_budget`, `mcp_servers`, `attach`, `engine`, `handoffs`, `delivery`, `serve`
    hint: did you mean `listen`?
    "#);
    insta::assert_snapshot!(Home::with("[agents.mine]\nargw = [\"x\"]").error(), @r#"
    error: ~/config.toml is wrong
    TOML parse error at line 2, column 1
      |
    2 | argw = ["x"]
      | ^^^^
    unknown field `argw`, expected one of `title`, `argv`, `driver`, `env`, `env_pass`, `offer_read`, `restart_after_cancel`, `mcp`, `sandbox`, `presets`
    hint: did you mean `argv`?
    "#);
    insta::assert_snapshot!(Home::with("log = 3").error(), @r"
    error: ~/config.toml is wrong
    TOML parse error at line 1, column 7
      |
    1 | log = 3
      |       ^
    invalid type: integer `3`, expected a string
    ");
}

#[test]
fn a_value_that_cannot_be_is_named_with_its_source() {
    insta::assert_snapshot!(Home::with("listen = \"here\"").error(), @"error: listen: `here` is not an address like 127.0.0.1:7433 (from config.toml)");
    insta::assert_snapshot!(Home::with("turn_timeout = \"soon\"").error(), @"error: turn_timeout: `soon` is not a time span; write it as 90s, 10m, 1h30m or 2d (from config.toml)");
    insta::assert_snapshot!(Home::with("log = \"a=b=c\"").error(), @r#"error: log: `a=b=c` is not a log filter: error parsing level filter: expected one of "off", "error", "warn", "info", "debug", "trace", or a number 0-5 (from config.toml)"#);
    let error = Home::with("").load(&[("TRUNKLINE_INSECURE_BIND", "maybe")], &Flags::default()).unwrap_err();
    insta::assert_snapshot!(error.render(Paint::PLAIN), @"error: insecure_bind: `maybe` is neither true nor false (from TRUNKLINE_INSECURE_BIND)");
}

#[test]
fn agents_are_the_users_over_the_built_in_ones() {
    let home = Home::with("[agents.mine]\nargv = [\"my-agent\", \"--acp\"]\n[agents.mine.env]\nA = \"1\"");
    let config = home.load(&[], &Flags::default()).unwrap();
    let env = Env { exe: Some("/bin/trunkline".into()), ..Env::default() };
    let catalog = config.catalog(&env).unwrap();
    let argv = |name: &str| catalog.resolve(Some(name), None).unwrap().argv.join(" ");
    assert_eq!(argv("mine"), "my-agent --acp");
    assert_eq!(argv("demo"), "/bin/trunkline demo-agent");
    assert_eq!(argv("gemini"), "gemini --acp");
    let empty = Home::with("[agents.mine]\ntitle = \"M\"").load(&[], &Flags::default()).unwrap();
    assert!(empty.catalog(&env).unwrap_err().render(Paint::PLAIN).contains("agents.mine"));
}

#[test]
fn pools_are_agents_too_and_what_is_wrong_with_them_is_told() {
    let text = "[pools.crew]\ncommand = \"w\"\nargs = [\"-x\"]\ninstances = 2\n[pools.crew.health]\nmethod = \"ping\"\n\
                [[pools.crew.policy.rules]]\nallow = [\"session/*\"]\n[pool_limits]\nmax_restarts = 3";
    let config = Home::with(text).load(&[], &Flags::default()).unwrap();
    assert_eq!(config.pool_limits.max_restarts, Some(3));
    assert_eq!(config.pools["crew"].health.as_ref().unwrap().timeout_ms, 5_000);
    let entry = config.catalog(&Env::default()).unwrap().resolve(Some("crew"), None).unwrap();
    assert_eq!((entry.driver.as_str(), entry.argv.join(" ").as_str()), ("worker", "w -x"));
    // A command line of its own is no pool, though the program is the same.
    let argv = ["w".to_owned()];
    let plain = config.catalog(&Env::default()).unwrap().resolve(None, Some(&argv)).unwrap();
    assert_eq!((plain.driver.as_str(), plain.name.as_str()), ("acp", "w"));
    let slip = Home::with("[pools.crew]\ncommand = \"w\"\ninstanses = 2").error();
    assert!(
        slip.contains("unknown field `instanses`") && slip.contains("did you mean `instances`?"),
        "{slip}"
    );
    insta::assert_snapshot!(Home::with("[pools.crew]").error(), @"error: pools.crew: it needs a command (from config.toml)");
    insta::assert_snapshot!(Home::with("[pools.\"a b\"]\ncommand = \"w\"").error(), @"error: pools.a b: a pool's name is 1 to 64 letters, digits, dots, dashes and underscores (from config.toml)");
    let taken = Home::with("[pools.gemini]\ncommand = \"w\"").load(&[], &Flags::default()).unwrap();
    let error = taken.catalog(&Env::default()).unwrap_err().render(Paint::PLAIN);
    assert!(error.contains("pools.gemini") && error.contains("an agent is called gemini too"), "{error}");
}

#[test]
fn flags_reach_the_daemon_in_the_background() {
    let args = [
        "--listen=127.0.0.1:0",
        "--log=debug",
        "--turn-timeout=1h",
        "--allowed-host=a",
        "--allowed-origin=b",
    ];
    let flags = Flags {
        listen: Some("127.0.0.1:0".into()),
        log: Some("debug".into()),
        turn_timeout: Some("1h".into()),
        sandbox: None,
        allowed_hosts: vec!["a".into()],
        allowed_origins: vec!["b".into()],
        insecure_bind: true,
        ..Flags::default()
    };
    assert_eq!(flags.to_args(), [&args[..], &["--insecure-bind"]].concat());
}

#[test]
fn variables_that_set_nothing_are_noticed() {
    let env = Env::with(&[("TRUNKLINE_LISTN", "x"), ("TRUNKLINE_LOG", "info"), ("TRUNKLINE_ZZZ", "")]);
    let found = unknown_variables(&env);
    assert_eq!(found[0], ("TRUNKLINE_LISTN".to_owned(), Some("TRUNKLINE_LISTEN".to_owned())));
    assert_eq!(found[1], ("TRUNKLINE_ZZZ".to_owned(), None));
}

#[test]
fn the_guide_has_every_setting_with_its_default() {
    let guide = include_str!("../../../../docs/guide/configuration.md");
    let config = Home::with("").load(&[], &Flags::default()).unwrap();
    for Shown { key, value, .. } in &config.shown[1..] {
        let begins =
            format!("| `{key}` | `{}` | `--{}", variable(key), key.trim_end_matches('s').replace('_', "-"));
        let default = if value.is_empty() { " | none | ".to_owned() } else { format!(" | `{value}` | ") };
        assert!(guide.lines().any(|row| row.starts_with(&begins) && row.contains(&default)), "{key}");
    }
    assert_eq!(config.shown.len(), KEYS.len());
}

#[test]
fn what_original_clients_and_the_desktop_get() {
    let home =
        Home::with("sessionbus = \"token\"\ndashboard = \"127.0.0.1:0\"\nannounce = []\nnotify = false");
    let config = home.load(&[], &Flags::default()).unwrap();
    assert_eq!((config.sessionbus, config.notify), (Sessionbus::Token, false));
    assert_eq!(config.dashboard.unwrap().port(), 0);
    assert!(config.announce.is_empty());
    let vars =
        [("TRUNKLINE_SESSIONBUS", "off"), ("TRUNKLINE_ANNOUNCE", "agentflow"), ("TRUNKLINE_NOTIFY", "ON")];
    let config = home.load(&vars, &Flags::default()).unwrap();
    assert_eq!(
        (config.sessionbus, config.notify, &*config.announce),
        (Sessionbus::Off, true, &["agentflow".to_owned()][..])
    );
    let plain = Home::with("").load(&[("AGENTFLOW_DESKTOP_NOTIFICATIONS", "no")], &Flags::default()).unwrap();
    assert!(!plain.notify && plain.listens_by_default());
    for wrong in ["sessionbus = \"open\"", "dashboard = \"7434\"", "announce = [\"engram\"]"] {
        assert!(Home::with(wrong).load(&[], &Flags::default()).is_err(), "{wrong}");
    }
}

#[test]
fn a_key_stands_only_in_a_file_that_nobody_else_reads() {
    use std::os::unix::fs::PermissionsExt;
    let text = "[profiles.mine]\nprovider = \"custom\"\nmodel = \"m\"\nbase_url = \"https://m.example/v1\"\napi_key = \"canary\"";
    let home = Home::with(text);
    let mode = |mode| {
        std::fs::set_permissions(home.0.path().join(FILE), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(0o644);
    let error = home.error();
    assert!(error.contains("profiles.mine, and others may read it (mode 644)"), "{error}");
    assert!(error.contains("chmod 600") && !error.contains("canary"), "{error}");
    mode(0o600);
    let config = home.load(&[], &Flags::default()).unwrap();
    assert_eq!(config.profiles["mine"].api_key.as_ref().unwrap().reveal(), "canary");
    assert!(!format!("{config:?}").contains("canary"));
    let open = Home::with(&text.replace("api_key = \"canary\"", "api_key_env = \"MINE\""));
    std::fs::set_permissions(open.0.path().join(FILE), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(open.load(&[], &Flags::default()).is_ok(), "the name of a variable is no secret");
}

#[test]
fn what_is_wrong_with_a_profile_is_told_without_its_secrets() {
    let one = "[profiles.a]\nprovider = \"anthropic\"\nmodel = \"m\"\n";
    let hidden = "which is not shown because a secret may stand there";
    for (rest, told) in [
        ("apikey = \"canary\"", vec!["line 4", hidden, "unknown field `apikey`", "did you mean `api_key`?"]),
        ("[profiles.a.headers]\nx = [\"canary\"]", vec!["line 5", hidden]),
        ("headers = \"canary\"", vec!["line 4", hidden, "a value of another type"]),
        ("api_key = \"canary", vec!["line 4", hidden]),
        ("temperature = 3.0", vec!["profiles.a: temperature must be from 0 to 2 (from config.toml)"]),
        ("base_url = \"https://u:canary@h\"", vec!["profiles.a: base_url must name a host"]),
    ] {
        let error = Home::with(&format!("{one}{rest}")).error();
        assert!(!error.contains("canary"), "{error}");
        assert!(told.iter().all(|told| error.contains(told)), "{rest}: {error}");
    }
    let nowhere = Home::with("[profiles.a]\nprovider = \"custom\"\nmodel = \"m\"").error();
    assert!(nowhere.contains("profiles.a: base_url must be given for this provider"), "{nowhere}");
}
