//! The API in a program of somebody else: one router, without a listener, a home or a command line of ours.

use std::io;
use std::sync::Arc;

use axum::Router;
use trunkline_log::Search;
use trunkline_run::Hub;
use trunkline_run::catalog::Catalog;
use trunkline_run::custody::Custody;
use trunkline_run::http::Http;
use trunkline_run::notify::link::Links;
use trunkline_run::notify::push::Push;
use trunkline_run::operator::Actions;
use trunkline_run::pools::{Limits, Pools};
use trunkline_run::search::Transcripts;
use trunkline_run::secrets::Secrets;

use crate::gate::Allowed;
use crate::server::{Options, Server};

/// What the program decides that has the API in it. [`Config::new`] gives the rest; change what is to be otherwise.
pub struct Config {
    /// The secret that opens everything, as an owner's bearer token.
    pub owner_token: String,
    /// The URL at which the router is served, as its owner would type it.
    pub base_url: String,
    /// The agents that can be run.
    pub catalog: Arc<Catalog>,
    /// Who keeps the agents' processes.
    pub custody: Custody,
    /// Where keys of links and devices are kept.
    pub secrets: Secrets,
    /// Which hosts and web origins are ours besides loopback.
    pub allowed: Allowed,
    /// What is decided about the dialect of the original engine of model turns; its paths are closed without a token of theirs.
    pub engine: crate::engine::Settings,
    /// How long a turn may run if its prompt does not say.
    pub turn_timeout_ms: Option<u64>,
}

impl Config {
    /// One for an owner with this token, at this URL.
    #[must_use]
    pub fn new(
        owner_token: impl Into<String>,
        base_url: impl Into<String>,
        catalog: Arc<Catalog>,
        custody: Custody,
        secrets: Secrets,
    ) -> Self {
        Self {
            owner_token: owner_token.into(),
            base_url: base_url.into(),
            catalog,
            custody,
            secrets,
            allowed: Allowed { hosts: Vec::new(), tls_hosts: Vec::new(), origins: Vec::new() },
            engine: crate::engine::Settings::default(),
            turn_timeout_ms: None,
        }
    }
}

/// The whole API over a hub, as a router: `/v1`, the page, and the paths of the dialects. To be called within a runtime.
///
/// The router owns no listener and no hub: serve it with whatever serves an [`axum::Router`], under a path or beside routes of your
/// own, and call [`Hub::shutdown`] when your program ends. Several of them share nothing but the process, if their hubs have
/// stores and homes of their own.
///
/// What a daemon of ours learns from a connection is not known here: programs of the same user need a token like everybody
/// else, and an agent that finds one is taken for its owner. Keep tokens out of the reach of agents, or use
/// [`Server`](crate::Server), which looks at who connects.
///
/// # Errors
/// When there is no memory for the index of what was said.
///
/// # Examples
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::{collections::{BTreeMap, HashMap}, path::Path, sync::Arc, time::Duration};
/// use trunkline_core::{id::Node, time::Time};
/// use trunkline_log::{Log, Memory, Sqlite};
/// use trunkline_run::{catalog::Catalog, clock::Clock, custody::{Custody, CustodyOptions}, driver::Driver, hub::{Hub, Options}};
/// use trunkline_run::{mcp::Mcp, model::{MODEL, ModelDriver}, profiles::Profiles, secrets::Secrets};
/// use trunkline_serve::{RouterConfig, router};
///
/// let home = Path::new("/var/lib/my-program");
/// let (clock, env) = (Clock::system(), std::env::vars_os().collect::<Vec<_>>());
/// let secrets = Secrets::open(home)?;
/// let profiles = Profiles::new(BTreeMap::new(), &env, secrets.clone());
/// let mcp = Mcp::new(BTreeMap::new(), env.clone(), secrets.clone());
/// let catalog = Catalog::new(BTreeMap::new(), "/usr/bin:/bin").map_err(|(name, why)| format!("{name}: {why}"))?;
/// let catalog = Arc::new(catalog.with_profiles(profiles.clone()).with_bundles(home.to_owned()));
/// // A program that calls `trunkline_run::keep::main` where its first argument says so; the built `trunkline` is one.
/// let keep = CustodyOptions { keep_program: "/usr/bin/trunkline".into(), grace: Duration::from_millis(200), subreaper: None };
/// let custody = Custody::new(keep);
/// let model = ModelDriver::new(custody.clone(), Arc::clone(&catalog), profiles.clone(), mcp.clone(), env);
/// let hub = Hub::start(Options {
///     disk: Arc::new(Sqlite::open(home.join("trunkline.db"), clock.now())?),
///     live: Arc::new(Memory::new(clock.now())),
///     node: Node { name: "my-program".into(), incarnation: u64::try_from(clock.now().0)? },
///     clock,
///     drivers: HashMap::from([(MODEL.to_owned(), Arc::new(model) as Arc<dyn Driver>)]),
///     checkpoints: false,
///     profiles,
///     mcp,
/// })
/// .await?;
/// let config = RouterConfig::new("a long secret", "http://127.0.0.1:8080", catalog, custody, secrets);
/// let app: axum::Router = router(hub.clone(), config)?;
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// axum::serve(listener, app).await?;
/// hub.shutdown().await;
/// # Ok(())
/// # }
/// ```
pub fn router(hub: Hub, config: Config) -> io::Result<Router> {
    let Config { owner_token, base_url, catalog, custody, secrets, allowed, engine, turn_timeout_ms } =
        config;
    let links = Arc::new(Links::new(secrets.clone()));
    let nowhere = || "/".into();
    let actions = Actions::new(Default::default(), custody.clone(), Vec::new(), nowhere())
        .expect("no action at all is none that cannot be");
    let options = Options {
        transcripts: Transcripts::follow(&hub, Search::in_memory().map_err(io::Error::other)?),
        catalog,
        pools: Pools::start(custody.clone(), Default::default(), &Limits::default(), Vec::new(), nowhere()),
        actions,
        owner_token,
        push: Push::new(secrets, Arc::clone(&links), Http::default(), &base_url),
        links,
        allowed,
        tls: None,
        base_url,
        outside: None,
        turn_timeout_ms,
        guards: trunkline_core::tell::Guards::default(),
        sessionbus: crate::Sessionbus::Token,
        engram: crate::Engram::Token,
        attach: crate::AttachSettings::default(),
        engine,
        custody,
        hub,
    };
    Ok(Server::new(options).into_router())
}
