//! What the user has decided: flags over the environment over `config.toml` over defaults.
//!
//! The file is the user's: it is read, never written. Unknown keys are errors, because a key with a slip in it would
//! otherwise decide nothing and say nothing.

pub(crate) mod attach;
mod delivery;
pub(crate) mod engine;
pub(crate) mod engram;
pub(crate) mod handoffs;
mod hub;
mod mcp;
pub(crate) mod notify;
mod profiles;
pub(crate) mod tls;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use trunkline_core::spending::DailyBudget;
use trunkline_core::tell::Guards;
use trunkline_run::catalog::{Catalog, Custom};
use trunkline_run::notify::target::Target;
use trunkline_run::operator::Action;
use trunkline_run::pools;
use trunkline_run::profiles::OfFile;
use trunkline_run::sandbox::{Mode, Policy};
use trunkline_serve::{Allowed, Sessionbus};

use attach::Attach;
use engine::Engine;
use engram::Engram;
use handoffs::Handoffs;
use hub::Hub;
use tls::Tls;

use crate::env::Env;
use crate::error::{CliError, Result};
use crate::moment::parse_duration;

/// The file's name in the home directory.
pub(crate) const FILE: &str = "config.toml";
/// The name of the agent that is built in.
pub(crate) const DEMO: &str = "demo";
/// Settings that `TRUNKLINE_…` variables may set.
const KEYS: [&str; 19] = [
    "home",
    "listen",
    "log",
    "turn_timeout",
    "max_concurrent_turns",
    "allowed_hosts",
    "allowed_origins",
    "insecure_bind",
    "sandbox",
    "sessionbus",
    "dashboard",
    "engram",
    "engram_listen",
    "announce",
    "notify",
    "public_url",
    "tls",
    "tls_cert",
    "tls_key",
];

/// A variable that is no setting but the default of one, for whoever packs the program.
const DEFAULT_LISTEN: &str = "default_listen";

/// Everything that is decided.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// The directory that holds the daemon's state.
    pub(crate) home: PathBuf,
    /// Where the daemon listens; port 0 takes a free one.
    pub(crate) listen: SocketAddr,
    /// What is logged, as `tracing-subscriber` filters it: `info`, `debug`, `warn,trunkline_run=debug`.
    pub(crate) log: String,
    /// How long a turn may run if its prompt does not say.
    pub(crate) turn_timeout: Option<Duration>,
    /// How many turns run at a time.
    pub(crate) max_concurrent_turns: Option<usize>,
    /// Host names, besides loopback, that the daemon answers to.
    pub(crate) allowed_hosts: Vec<String>,
    /// Web origins that may call with a token.
    pub(crate) allowed_origins: Vec<String>,
    /// Listen beyond loopback without TLS.
    pub(crate) insecure_bind: bool,
    /// Who may use the dialect of the original human-input hub.
    pub(crate) sessionbus: Sessionbus,
    /// Where the dashboard of that dialect listens, if anywhere.
    pub(crate) dashboard: Option<SocketAddr>,
    /// The dialect of the original agent bus.
    pub(crate) engram: Engram,
    /// The original clients that are told where the daemon is.
    pub(crate) announce: Vec<String>,
    /// Whether a new request is shown on the desktop.
    pub(crate) notify: bool,
    /// The services that are told of new requests.
    pub(crate) notify_targets: Vec<Target>,
    /// The address by which other devices reach the daemon.
    pub(crate) public_url: Option<String>,
    /// Which certificate TCP listeners show.
    pub(crate) tls: Tls,
    /// The user's agents.
    pub(crate) agents: BTreeMap<String, Custom>,
    /// What agents may touch.
    pub(crate) sandbox: Policy,
    /// The pools of workers.
    pub(crate) pools: BTreeMap<String, pools::Settings>,
    /// What all pools share.
    pub(crate) pool_limits: pools::Limits,
    /// What runs without any model.
    pub(crate) actions: BTreeMap<String, Action>,
    /// Where models are.
    pub(crate) profiles: BTreeMap<String, OfFile>,
    /// What all profiles together may use on a day.
    pub(crate) daily_budget: Option<DailyBudget>,
    /// Where the built-in agent gets more tools.
    pub(crate) mcp_servers: BTreeMap<String, trunkline_run::mcp::OfFile>,
    /// The dialect of attachable sessions.
    pub(crate) attach: Attach,
    /// The dialect of the original engine of model turns.
    pub(crate) engine: Engine,
    /// What the daemon keeps by itself for the next agent.
    pub(crate) handoffs: Handoffs,
    /// How much agents may write to each other.
    pub(crate) guards: Guards,
    /// How each setting came about.
    pub(crate) shown: Vec<Shown>,
    /// The file, if there is one.
    pub(crate) file: Option<PathBuf>,
}

/// A setting as `config show` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Shown {
    pub(crate) key: &'static str,
    pub(crate) value: String,
    pub(crate) source: Source,
}

/// Who decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Default,
    File,
    Env(String),
    Flag(String),
}

/// What flags of the command line say.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct Flags {
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:7433]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) listen: Option<String>,
    /// What to log: error, warn, info, debug, trace, or a filter [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log: Option<String>,
    /// How long a turn may run if its prompt does not say, like 30m [default: no limit]
    #[arg(long, value_name = "TIME")]
    pub(crate) turn_timeout: Option<String>,
    /// How many turns run at a time, over all sessions; others wait [default: no limit]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) max_concurrent_turns: Option<String>,
    /// Whether agents are shut in: workspace or off [default: workspace]
    #[arg(long, value_name = "MODE")]
    pub(crate) sandbox: Option<String>,
    /// A host name, besides loopback, to answer to (repeatable)
    #[arg(long = "allowed-host", value_name = "HOST")]
    pub(crate) allowed_hosts: Vec<String>,
    /// A web origin that may call with a token (repeatable)
    #[arg(long = "allowed-origin", value_name = "ORIGIN")]
    pub(crate) allowed_origins: Vec<String>,
    /// Listen beyond loopback without TLS
    #[arg(long)]
    pub(crate) insecure_bind: bool,
    /// Who may use the original hub's API: local (programs of your user), token, or off [default: local]
    #[arg(long, value_name = "WHO")]
    pub(crate) sessionbus: Option<String>,
    /// Where the original hub's dashboard listens [default: off]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) dashboard: Option<String>,
    /// Who may use the original agent bus: local (programs of your user) or token [default: local]
    #[arg(long, value_name = "WHO")]
    pub(crate) engram: Option<String>,
    /// Where the original agent bus listens, or off [default: 127.0.0.1:9470]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) engram_listen: Option<String>,
    /// The original clients to tell where the daemon is: agentflow,sessionbus, or off [default: both]
    #[arg(long, value_name = "CLIENTS")]
    pub(crate) announce: Option<String>,
    /// Whether to show new requests on the desktop: on or off [default: on]
    #[arg(long, value_name = "SWITCH")]
    pub(crate) notify: Option<String>,
    /// The address by which your other devices reach the daemon, for links in notifications [default: off]
    #[arg(long, value_name = "URL")]
    pub(crate) public_url: Option<String>,
    /// TLS for other machines: own (a certificate that the daemon makes), files, or off [default: off; files if they are given]
    #[arg(long, value_name = "WHICH")]
    pub(crate) tls: Option<String>,
    /// The certificate for TLS, with those that vouch for it, PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_cert: Option<String>,
    /// Its key, PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_key: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    listen: Option<String>,
    log: Option<String>,
    turn_timeout: Option<String>,
    max_concurrent_turns: Option<NonZeroUsize>,
    allowed_hosts: Option<Vec<String>>,
    allowed_origins: Option<Vec<String>>,
    insecure_bind: Option<bool>,
    sessionbus: Option<String>,
    dashboard: Option<String>,
    engram: Option<String>,
    engram_listen: Option<String>,
    announce: Option<Vec<String>>,
    notify: Option<bool>,
    notify_targets: BTreeMap<String, notify::Table>,
    public_url: Option<String>,
    tls: Option<String>,
    tls_cert: Option<String>,
    tls_key: Option<String>,
    agents: BTreeMap<String, Custom>,
    sandbox: Policy,
    pools: BTreeMap<String, pools::Settings>,
    pool_limits: pools::Limits,
    operator_actions: BTreeMap<String, Action>,
    profiles: BTreeMap<String, profiles::Table>,
    daily_budget: Option<DailyBudget>,
    mcp_servers: BTreeMap<String, mcp::Table>,
    attach: attach::Table,
    engine: engine::Table,
    handoffs: Handoffs,
    delivery: delivery::Table,
    serve: attach::Served,
}

impl Config {
    /// Puts everything together.
    ///
    /// # Errors
    /// A usage error that names the setting, its source and what is wrong with it.
    pub(crate) fn load(env: &Env, home: Option<&Path>, flags: &Flags) -> Result<Self> {
        let (home, source) = find_home(env, home)?;
        let path = home.join(FILE);
        let file = read(&path)?;
        let found = file.is_some().then_some(path);
        Self::of(env, (home, source), file.unwrap_or_default(), found, flags)
    }

    /// What is there when neither the file nor variables say anything: enough to look what is wrong with them.
    ///
    /// # Errors
    /// There is no home.
    pub(crate) fn bare(env: &Env, home: Option<&Path>) -> Result<Self> {
        let home = find_home(env, home)?;
        Self::of(
            &Env { ours: BTreeMap::new(), ..env.clone() },
            home,
            File::default(),
            None,
            &Flags::default(),
        )
    }

    fn of(
        env: &Env,
        (home, source): (PathBuf, Source),
        file: File,
        found: Option<PathBuf>,
        flags: &Flags,
    ) -> Result<Self> {
        let shown = vec![Shown { key: "home", value: home.display().to_string(), source }];
        let mut layers = Layers { env, shown };
        let default = env.ours.get(DEFAULT_LISTEN).map_or("127.0.0.1:7433", String::as_str);
        let listen = layers.text("listen", flags.listen.as_deref(), file.listen.clone(), default);
        let log = layers.text("log", flags.log.as_deref(), file.log.clone(), "info");
        let timeout =
            layers.text("turn_timeout", flags.turn_timeout.as_deref(), file.turn_timeout.clone(), "off");
        let turns = file.max_concurrent_turns.map(|turns| turns.to_string());
        let turns = layers.text("max_concurrent_turns", flags.max_concurrent_turns.as_deref(), turns, "off");
        let allowed_hosts = layers.list("allowed_hosts", &flags.allowed_hosts, file.allowed_hosts.as_deref());
        let allowed_origins =
            layers.list("allowed_origins", &flags.allowed_origins, file.allowed_origins.as_deref());
        let insecure_bind = layers.switch("insecure_bind", flags.insecure_bind, file.insecure_bind)?;
        let hub = Hub::of(&mut layers, flags, &file)?;
        let listen: SocketAddr = listen.parse().map_err(|_| {
            layers.bad("listen", &format!("`{listen}` is not an address like 127.0.0.1:7433"))
        })?;
        let public_url = notify::public_url(&mut layers, flags, &file)?;
        let tls = Tls::of(&mut layers, flags, &file)?;
        let engram = Engram::of(&mut layers, flags, &file, listen)?;
        let bad = |key, why: String| layers.bad(key, &why);
        let turn_timeout = match timeout.as_str() {
            "off" => None,
            text => Some(parse_duration(text).map_err(|why| bad("turn_timeout", why))?),
        };
        let max_concurrent_turns = match turns.as_str() {
            "off" => None,
            text => {
                let turns: std::result::Result<NonZeroUsize, _> = text.parse();
                let turns = turns.map_err(|_| {
                    bad("max_concurrent_turns", format!("`{text}` is no number from 1 on, and not off"))
                })?;
                Some(turns.get())
            }
        };
        crate::logging::filter(&log).map_err(|why| bad("log", why))?;
        let mode = file.sandbox.mode.map(|mode| mode.name().to_owned());
        let mode = layers.text("sandbox", flags.sandbox.as_deref(), mode, Mode::default().name());
        let mode = Mode::named(&mode)
            .ok_or_else(|| layers.bad("sandbox", &format!("`{mode}` is neither `workspace` nor `off`")))?;
        let sandbox = Policy { mode: Some(mode), ..file.sandbox };
        let policies = std::iter::once(&sandbox).chain(file.agents.values().map(|agent| &agent.sandbox));
        for policy in policies {
            policy.check().map_err(|error| CliError::usage(error.to_string()))?;
        }
        for (name, pool) in &file.pools {
            pool.check(name).map_err(|why| CliError::usage(format!("pools.{name}: {why} (from {FILE})")))?;
        }
        let attach = Attach::of(env, file.attach, file.serve)?;
        let engine = Engine::of(env, &home, file.engine)?;
        let profiles = profiles::take(file.profiles, found.as_deref())?;
        if let Some(budget) = &file.daily_budget {
            budget.check().map_err(|why| CliError::usage(format!("{why} (from {FILE})")))?;
        }
        let mcp_servers = mcp::take(file.mcp_servers, found.as_deref())?;
        let notify_targets = notify::take(file.notify_targets, env, found.as_deref())?;
        let (agents, shown) = (file.agents, layers.shown);
        Ok(Self {
            home,
            listen,
            log,
            turn_timeout,
            max_concurrent_turns,
            allowed_hosts,
            allowed_origins,
            insecure_bind,
            sessionbus: hub.sessionbus,
            dashboard: hub.dashboard,
            engram,
            announce: hub.announce,
            notify: hub.notify,
            notify_targets,
            public_url,
            tls,
            agents,
            sandbox,
            pools: file.pools,
            pool_limits: file.pool_limits,
            actions: file.operator_actions,
            profiles,
            daily_budget: file.daily_budget,
            mcp_servers,
            attach,
            engine,
            handoffs: file.handoffs,
            guards: file.delivery.guards()?,
            shown,
            file: found,
        })
    }

    /// Whether the address is nobody's wish, so that another will do.
    pub(crate) fn listens_by_default(&self) -> bool {
        self.shown.iter().any(|shown| shown.key == "listen" && shown.source == Source::Default)
    }

    /// The agents that can be run: the built-in table, the demo agent, and the user's entries over both.
    pub(crate) fn catalog(&self, env: &Env) -> Result<Catalog> {
        let mut agents = self.agents.clone();
        if let Some(exe) = &env.exe {
            let demo = agents.entry(DEMO.to_owned()).or_default();
            demo.title.get_or_insert_with(|| "Demo (built in, no model)".to_owned());
            demo.argv.get_or_insert_with(|| vec![exe.display().to_string(), "demo-agent".to_owned()]);
        }
        let file = self.home.join(FILE);
        let catalog = Catalog::new(agents, env.path.clone()).map_err(|(name, why)| {
            CliError::usage(format!("agents.{name} in {} cannot be run: {why}", file.display()))
                .hint(format!("give it a command line: argv = [\"{name}\", \"--acp\"]"))
        })?;
        catalog.with(self.pools.iter().map(|(name, pool)| pool.entry(name))).map_err(|name| {
            CliError::usage(format!("pools.{name} in {}: an agent is called {name} too", file.display()))
                .hint("call the pool something else; `trunkline catalog` lists the names that are taken")
        })
    }

    /// Which hosts and origins are ours.
    pub(crate) fn allowed(&self) -> Allowed {
        let public = self.public_url.as_deref().and_then(notify::host).map(str::to_owned);
        let hosts = self.allowed_hosts.iter().cloned().chain(public).collect();
        Allowed { hosts, tls_hosts: Vec::new(), origins: self.allowed_origins.clone() }
    }
}

/// Variables that look like ours and set nothing, each with the one that may be meant.
pub(crate) fn unknown_variables(env: &Env) -> Vec<(String, Option<String>)> {
    let unknown = env.ours.keys().filter(|key| !KEYS.contains(&key.as_str()) && *key != DEFAULT_LISTEN);
    unknown.map(|key| (variable(key), similar(key, KEYS).map(variable))).collect()
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File => f.write_str(FILE),
            Self::Env(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

impl Serialize for Source {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Flags {
    /// The same flags as arguments of another `trunkline serve`.
    pub(crate) fn to_args(&self) -> Vec<String> {
        let Self { allowed_hosts, allowed_origins, insecure_bind, .. } = self;
        let single = [
            ("--listen", &self.listen),
            ("--log", &self.log),
            ("--turn-timeout", &self.turn_timeout),
            ("--max-concurrent-turns", &self.max_concurrent_turns),
            ("--sandbox", &self.sandbox),
            ("--sessionbus", &self.sessionbus),
            ("--dashboard", &self.dashboard),
            ("--engram", &self.engram),
            ("--engram-listen", &self.engram_listen),
            ("--announce", &self.announce),
            ("--notify", &self.notify),
            ("--public-url", &self.public_url),
            ("--tls", &self.tls),
            ("--tls-cert", &self.tls_cert),
            ("--tls-key", &self.tls_key),
        ];
        let lists = [("--allowed-host", allowed_hosts), ("--allowed-origin", allowed_origins)];
        let single = single.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        let many = lists.into_iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
        let mut args: Vec<_> = single.chain(many).map(|(name, value)| format!("{name}={value}")).collect();
        args.extend(insecure_bind.then(|| "--insecure-bind".to_owned()));
        args
    }
}

fn find_home(env: &Env, flag: Option<&Path>) -> Result<(PathBuf, Source)> {
    let (home, source) = match (flag, env.ours.get("home"), &env.user_home) {
        (Some(home), ..) => (home.to_owned(), Source::Flag("--home".to_owned())),
        (None, Some(home), _) if !home.is_empty() => (home.into(), Source::Env(variable("home"))),
        (None, _, Some(user)) => (user.join(".trunkline"), Source::Default),
        (None, _, None) => {
            return Err(CliError::usage("no home directory: HOME is not set")
                .hint("set TRUNKLINE_HOME, or give --home"));
        }
    };
    // The daemon and its children work elsewhere: a relative path would be another one there.
    let home = std::path::absolute(&home)
        .map_err(|error| CliError::usage(format!("{}: {error}", home.display())))?;
    Ok((home, source))
}

fn read(path: &Path) -> Result<Option<File>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(CliError::usage(format!("{} cannot be read: {error}", path.display()))),
    };
    toml::from_str(&text).map(Some).map_err(|error| {
        let cli = CliError::usage(format!("{} is wrong\n{}", path.display(), profiles::told(&text, &error)));
        match did_you_mean(error.message()) {
            Some(meant) => cli.hint(format!("did you mean `{meant}`?")),
            None => cli,
        }
    })
}

/// Takes serde's "unknown field `x`, expected one of `a`, `b`" apart.
fn did_you_mean(message: &str) -> Option<&str> {
    let mut quoted = message.strip_prefix("unknown field ")?.split('`').skip(1).step_by(2);
    let given = quoted.next()?;
    similar(given, quoted)
}

fn similar<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.into_iter().map(|name| (strsim::jaro_winkler(given, name), name));
    scored.filter(|(score, _)| *score > 0.8).max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, name)| name)
}

fn variable(key: &str) -> String {
    format!("TRUNKLINE_{}", key.to_ascii_uppercase())
}

/// Decides one setting after the other, and keeps who did.
struct Layers<'a> {
    env: &'a Env,
    shown: Vec<Shown>,
}

impl Layers<'_> {
    fn env(&self, key: &str) -> Option<String> {
        self.env.ours.get(key).filter(|value| !value.is_empty()).cloned()
    }

    fn text(&mut self, key: &'static str, flag: Option<&str>, file: Option<String>, default: &str) -> String {
        let (value, source) = match (flag, self.env(key), file) {
            (Some(value), ..) => (value.to_owned(), flag_of(key)),
            (None, Some(value), _) => (value, Source::Env(variable(key))),
            (None, None, Some(value)) => (value, Source::File),
            (None, None, None) => (default.to_owned(), Source::Default),
        };
        self.shown.push(Shown { key, value: value.clone(), source });
        value
    }

    fn list(&mut self, key: &'static str, flag: &[String], file: Option<&[String]>) -> Vec<String> {
        let joined = |list: &[String]| list.join(",");
        let flag = Some(joined(flag)).filter(|list| !list.is_empty());
        let text = self.text(key, flag.as_deref(), file.map(joined), "");
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    fn switch(&mut self, key: &'static str, flag: bool, file: Option<bool>) -> Result<bool> {
        let text = self.text(key, flag.then_some("true"), file.map(|on| on.to_string()), "false");
        self.is_on(key, &text)
    }

    fn is_on(&self, key: &str, text: &str) -> Result<bool> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(self.bad(key, &format!("`{text}` is neither true nor false"))),
        }
    }

    fn bad(&self, key: &str, why: &str) -> CliError {
        let source = self.shown.iter().find(|shown| shown.key == key).map(|shown| shown.source.to_string());
        CliError::usage(format!("{key}: {why} (from {})", source.unwrap_or_default()))
    }
}

fn flag_of(key: &str) -> Source {
    let name = key.replace('_', "-");
    let single = name.strip_suffix('s').filter(|_| name.starts_with("allowed"));
    Source::Flag(format!("--{}", single.unwrap_or(&name)))
}

#[cfg(test)]
mod tests;
