//! The daemon: one process that owns the home directory, the store and the listeners.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use futures_util::future::try_join_all;
use serde_json::json;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use trunkline_core::id::Node;
use trunkline_core::time::Time;
use trunkline_log::{Log, Memory, Search, Sqlite};
use trunkline_run::acp::{AcpDriver, Mcp};
use trunkline_run::catalog::{self, Catalog};
use trunkline_run::clock::Clock;
use trunkline_run::custody::{Custody, CustodyOptions, become_subreaper, probe, raise_open_files};
use trunkline_run::driver::Driver;
use trunkline_run::http::Http;
use trunkline_run::limit::limited;
use trunkline_run::mcp as servers;
use trunkline_run::model::{MODEL, ModelDriver};
use trunkline_run::notify::Notifier;
use trunkline_run::notify::desktop::Desktop;
use trunkline_run::notify::link::Links;
use trunkline_run::notify::push::Push;
use trunkline_run::notify::target::Target;
use trunkline_run::operator::{Action, Actions};
use trunkline_run::pools::{self, Pools, WorkerDriver};
use trunkline_run::profiles::{OfFile, Profiles};
use trunkline_run::sandbox::{Mode, Policy, SCRATCH, Sandbox};
use trunkline_run::search::Transcripts;
use trunkline_run::secrets::Secrets;
use trunkline_run::tls::names;
use trunkline_run::{Drivers, Hub};
use trunkline_serve::auth::sha256;
use trunkline_serve::{Allowed, EngineSettings, Listener, Options, Server, Sessionbus};

use crate::announce::announce;
use crate::config::attach::Attach;
use crate::config::engine::Engine;
use crate::config::engram::Engram;
use crate::config::tls::Tls;
use crate::listen::{base_url, bind};
use crate::signals::Signals;
use crate::start::LOCK;
use crate::tls::Secured;

/// A file may not grow further.
const SIGXFSZ: i32 = 25;
/// This program, also after an upgrade has replaced its file.
const KEEP: &str = "/proc/self/exe";
/// How long agents have to end when the daemon stops, before they are killed.
const AGENT_GRACE: Duration = Duration::from_millis(200);

/// How long stopping may take in all. Another tenth of a second is left for the exit itself.
const STOP: Duration = Duration::from_millis(1_900);

/// What the daemon needs to know. Nothing here is read from the environment.
pub(crate) struct Daemon {
    /// The home directory.
    pub(crate) home: PathBuf,
    /// Where to listen; port 0 takes a free one.
    pub(crate) listen: SocketAddr,
    /// Listen beyond loopback without TLS.
    pub(crate) insecure_bind: bool,
    /// Which hosts and origins are ours besides loopback.
    pub(crate) allowed: Allowed,
    /// How long a turn may run if its prompt does not say.
    pub(crate) turn_timeout_ms: Option<u64>,
    /// How much agents may write to each other.
    pub(crate) guards: trunkline_core::tell::Guards,
    /// How many turns run at a time.
    pub(crate) max_concurrent_turns: Option<usize>,
    /// Whether a checkpoint is kept of each turn that ends.
    pub(crate) checkpoints: bool,
    /// The agents that can be run.
    pub(crate) catalog: Catalog,
    /// The profiles of the user's file.
    pub(crate) profiles: BTreeMap<String, OfFile>,
    /// What all profiles together may use on a day.
    pub(crate) daily_budget: Option<trunkline_core::spending::DailyBudget>,
    /// The MCP servers of the user's file.
    pub(crate) mcp_servers: BTreeMap<String, servers::OfFile>,
    /// This program: the bridge to the MCP server.
    pub(crate) exe: Option<PathBuf>,
    /// Take a free port if the one to listen on is in use.
    pub(crate) any_port: bool,
    /// Who may use the dialect of the original human-input hub.
    pub(crate) sessionbus: Sessionbus,
    /// Where its dashboard listens, if anywhere.
    pub(crate) dashboard: Option<SocketAddr>,
    /// The dialect of the original agent bus.
    pub(crate) engram: Engram,
    /// Whether it is printed where that listens, as the original does.
    pub(crate) engram_told: bool,
    /// Whether the port is printed once it listens, as the original engine does.
    pub(crate) engine_told: bool,
    /// What runs without any model.
    pub(crate) actions: BTreeMap<String, Action>,
    /// The dialect of attachable sessions, and where its listener for browsers is.
    pub(crate) attach: Attach,
    /// The dialect of the original engine of model turns, and where its listener for browsers is.
    pub(crate) engine: Engine,
    /// Files in which original clients look for the daemon.
    pub(crate) announce: Vec<PathBuf>,
    /// Whether a new request is shown on the desktop.
    pub(crate) notify: bool,
    /// The services that are told of new requests.
    pub(crate) notify_targets: Vec<Target>,
    /// The address by which other devices reach the daemon.
    pub(crate) public_url: Option<String>,
    /// Which certificate TCP listeners show.
    pub(crate) tls: Tls,
    /// What agents may touch.
    pub(crate) sandbox: Policy,
    /// The pools of workers.
    pub(crate) pools: BTreeMap<String, pools::Settings>,
    /// What all pools share.
    pub(crate) pool_limits: pools::Limits,
    /// The directory of workers and actions that have none of their own.
    pub(crate) pool_cwd: PathBuf,
    /// The environment, of which agents get what they may have.
    pub(crate) env: Vec<(OsString, OsString)>,
}

impl Daemon {
    fn check_addresses(&self) -> Result<()> {
        let open = |address: &&SocketAddr| !address.ip().is_loopback() && !self.insecure_bind;
        if let Some(address) = self.engram.listen.iter().find(open) {
            bail!(
                "{address} is not a loopback address, and the original agent bus has no TLS: everybody on that network \
                 could read and write it. Listen on 127.0.0.1, or say --insecure-bind if that network is yours alone"
            );
        }
        if let Some(address) = self.addresses().iter().filter(|_| self.tls == Tls::Off).find(open) {
            bail!(
                "{address} is not a loopback address, and there is no TLS: everybody on that network could read and \
                 steer your agents. Listen on 127.0.0.1, say --tls own (see docs/guide/tls.md), or --insecure-bind if \
                 that network is yours alone"
            );
        }
        Ok(())
    }

    /// Where HTTP is spoken.
    fn addresses(&self) -> Vec<SocketAddr> {
        let also = [self.dashboard, self.attach.listen, self.engine.listen];
        std::iter::once(self.listen).chain(also.into_iter().flatten()).collect()
    }

    /// The listener of the dashboard, if it is wanted.
    async fn pages(&self) -> Result<Option<TcpListener>> {
        let Some(address) = self.dashboard.filter(|_| self.sessionbus != Sessionbus::Off) else {
            return Ok(None);
        };
        let pages = bind(address, false).await?;
        tracing::info!(url = %base_url(pages.local_addr()?), "the dashboard is open");
        Ok(Some(pages))
    }

    /// The listener of a browser's client of attachable sessions, if it is wanted.
    async fn attach(&self) -> Result<Option<TcpListener>> {
        let Some(address) = self.attach.listen else { return Ok(None) };
        let attach = bind(address, false).await?;
        tracing::info!(url = %base_url(attach.local_addr()?), "attachable sessions have an origin of their own");
        Ok(Some(attach))
    }

    /// The listener of the original agent bus, if it is wanted. Where its address is nobody's wish and taken, the daemon
    /// goes on without it.
    async fn bus(&self) -> Result<Option<TcpListener>> {
        let Some(address) = self.engram.listen else { return Ok(None) };
        match bind(address, false).await {
            Ok(bus) => Ok(Some(bus)),
            Err(error) if self.engram.by_default => {
                tracing::warn!("clients of the original agent bus will not find this daemon: {error:#}");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Runs until it is told to stop.
    ///
    /// # Errors
    /// When the home, the store or the address cannot be had. Nothing was changed then that matters.
    pub(crate) async fn run(self) -> Result<()> {
        self.check_addresses()?;
        let home = Home::claim(&self.home)?;
        // Writing to a file that may not grow is an error to be told, not a reason to die.
        let _file_size_signals =
            signal(SignalKind::from_raw(SIGXFSZ)).context("signals cannot be handled")?;
        if let Err(error) = raise_open_files() {
            tracing::warn!(%error, "the limit of open files stays as it is");
        }
        let (token, engine_token) = (home.token("token")?, home.token("engine.token")?);
        let mut policy = self.sandbox.clone();
        policy.hide.extend(crate::engine::place(self.engine.token_file.as_deref(), &engine_token));
        policy.hide.extend(crate::tls::hidden(&self.tls));
        let custody = custody(home.sandbox(policy).await?)?;
        let clock = Clock::system();
        let (listens, hosts) = (self.addresses(), &self.allowed.hosts);
        let secured = Secured::of(&self.tls, &self.home, &listens, hosts, clock.now()).await?;
        let disk = Arc::new(Sqlite::open(home.path("trunkline.db"), clock.now())?);
        let tcp = bind(self.listen, self.any_port).await?;
        let (pages, attach, bus) = (self.pages().await?, self.attach().await?, self.bus().await?);
        let engine = crate::engine::listen(self.engine.listen).await?;
        let unix = home.socket()?;
        let secrets = Secrets::open(&self.home)?;
        let links = Arc::new(Links::new(secrets.clone()));
        let servers = servers::Mcp::new(self.mcp_servers, self.env.clone(), secrets.clone());
        let profiles = Profiles::new(self.profiles, &self.env, secrets.clone());
        let profiles = profiles.with_daily_budget(self.daily_budget);
        let catalog = Arc::new(self.catalog.with_profiles(profiles.clone()).with_bundles(self.home.clone()));
        let address = tcp.local_addr()?;
        let desktop = self.notify.then(|| Desktop::find(&self.env)).flatten();
        let actions = Actions::new(self.actions, custody.clone(), self.env.clone(), self.pool_cwd.clone());
        let actions = actions.map_err(|(name, why)| anyhow!("operator_actions.{name}: {why}"))?;
        let pools =
            Pools::start(custody.clone(), self.pools, &self.pool_limits, self.env.clone(), self.pool_cwd);
        let base_url = base_url(address);
        // Before anybody can know that there is a daemon to be signalled.
        let mut signals = Signals::new().context("signals cannot be handled")?;
        let mcp = Mcp { base_url: base_url.clone(), bridge: self.exe };
        let model = ModelDriver::new(
            custody.clone(),
            Arc::clone(&catalog),
            profiles.clone(),
            servers.clone(),
            self.env.clone(),
        );
        let drivers = drivers(&custody, &catalog, &pools, model, self.env, mcp);
        let hub = Hub::start(trunkline_run::hub::Options {
            disk: disk.clone() as Arc<dyn Log>,
            live: Arc::new(Memory::new(clock.now())),
            node: node(clock.now()),
            clock,
            drivers: match self.max_concurrent_turns {
                Some(turns) => limited(drivers, turns),
                None => drivers,
            },
            checkpoints: self.checkpoints,
            profiles,
            mcp: servers,
        })
        .await
        .context("the sessions could not be loaded")?;
        // Here it stands outside of the database: `audit verify --head` compares with it.
        tracing::info!(head = %hub.audit_head().await.context("the audit could not be read")?, "audit");
        let secured = secured.map(|secured| secured.at(address, self.public_url.as_deref()));
        let outside = self.public_url.or_else(|| secured.as_ref().map(|secured| secured.url.clone()));
        let link = outside.clone().unwrap_or_else(|| base_url.clone());
        let push = Push::new(secrets, Arc::clone(&links), Http::default(), &link);
        let server = Server::new(Options {
            hub: hub.clone(),
            transcripts: Transcripts::follow(&hub, Search::open(&home.path("search.db"))?),
            catalog,
            pools: pools.clone(),
            actions,
            owner_token: token,
            links: Arc::clone(&links),
            push: push.clone(),
            allowed: Allowed { tls_hosts: names::of_this_machine(), ..self.allowed },
            tls: secured.as_ref().map(|secured| Arc::clone(&secured.tls)),
            base_url: base_url.clone(),
            outside,
            turn_timeout_ms: self.turn_timeout_ms,
            guards: self.guards,
            custody: custody.clone(),
            sessionbus: self.sessionbus,
            engram: self.engram.access,
            attach: self.attach.settings,
            engine: EngineSettings { token_sha256: Some(sha256(&engine_token)), ..self.engine.settings },
        });
        let mut notifier = Notifier::new(desktop);
        notifier.tell(&hub, &Http::default(), self.notify_targets, &link, &links);
        notifier.push(&hub, push);
        let url = |listener: &Option<TcpListener>| {
            listener.as_ref().and_then(|listener| listener.local_addr().ok()).map(crate::listen::base_url)
        };
        let bus_address =
            bus.as_ref().and_then(|bus| bus.local_addr().ok()).map(|address| address.to_string());
        if let Some(address) = bus_address.as_ref().filter(|_| self.engram_told) {
            writeln!(io::stdout(), "engram-bus server listening on {address}")?;
        }
        let (pages_url, attach_url, engine_url) = (url(&pages), url(&attach), url(&engine));
        let also = [
            ("dashboard", pages_url),
            ("attach", attach_url),
            ("engine", engine_url),
            ("engram", bus_address),
        ];
        let runtime = runtime(address, &base_url, also, secured.as_ref());
        home.announce(&runtime)?;
        let files = if self.sessionbus == Sessionbus::Off { &[][..] } else { &self.announce };
        let announced = announce(files, address, &base_url, hub.now());
        if self.engine_told {
            writeln!(io::stdout(), "READY:{}", address.port())?;
        }
        tracing::info!(%base_url, home = %self.home.display(), "ready");
        let listeners = [
            Some(Listener::Tcp(tcp)),
            Some(Listener::Unix(unix)),
            pages.map(Listener::Dashboard),
            attach.map(Listener::Attach),
            engine.map(Listener::Engine),
            bus.map(Listener::Engram),
        ];
        let served = try_join_all(listeners.into_iter().flatten().map(|listener| server.serve(listener)));
        let outcome = tokio::select! {
            biased;
            outcome = served => outcome.map(drop).context("the listener failed"),
            () = notify(notifier, &hub, &custody) => Ok(()),
            () = crate::tls::keep(secured, || hub.now(), |secured| home.tell_again(&runtime, secured)) => Ok(()),
            name = signals.stop() => {
                tracing::info!("{name}: stopping");
                Ok(())
            }
            () = server.stop_asked() => {
                tracing::info!("asked to stop");
                Ok(())
            }
        };
        signals.exit_at_the_next();
        stop(&hub, &custody, &pools, &server, &disk).await;
        announced.retract();
        home.retract();
        tracing::info!("stopped");
        outcome
    }
}

/// Ends agents, appends and connections and closes the store, all of it before the deadline.
async fn stop(hub: &Hub, custody: &Custody, pools: &Pools, server: &Server, disk: &Sqlite) {
    let agents = async {
        hub.shutdown().await;
        let ((), left) = tokio::join!(pools.close(), custody.stop_all(AGENT_GRACE));
        for (tree, stuck) in left {
            tracing::error!(resource = tree.resource, ?stuck, "a process could not be ended");
        }
    };
    let all = async {
        tokio::join!(agents, server.close());
        disk.close().await;
    };
    if tokio::time::timeout(STOP, all).await.is_err() {
        // Each keeper ends its tree when it finds us gone.
        let left: Vec<_> = custody.scan().into_iter().map(|tree| tree.resource).collect();
        tracing::warn!(?left, "not everything has ended yet; the rest ends without the daemon");
    }
}

/// Tells of requests for as long as the daemon runs.
async fn notify(notifier: Notifier, hub: &Hub, custody: &Custody) {
    notifier.run(hub.clone(), custody.clone()).await;
    std::future::pending::<()>().await;
}

fn custody(sandbox: Sandbox) -> Result<Custody> {
    let subreaper = become_subreaper().context("orphans of agents cannot be adopted")?;
    let options = CustodyOptions {
        // The program that runs, also after an upgrade has replaced its file.
        keep_program: KEEP.into(),
        grace: AGENT_GRACE,
        subreaper: Some(subreaper),
    };
    Ok(Custody::confining(options, sandbox))
}

/// What moves hosted sessions.
fn drivers(
    custody: &Custody,
    catalog: &Arc<Catalog>,
    pools: &Pools,
    model: ModelDriver,
    env: Vec<(OsString, OsString)>,
    mcp: Mcp,
) -> Drivers {
    let acp = AcpDriver::new(Arc::new(custody.clone()), Arc::clone(catalog), env).with_mcp(mcp);
    let acp: Arc<dyn Driver> = Arc::new(acp);
    let worker = WorkerDriver::new(pools.clone());
    Drivers::from([
        (catalog::ACP.to_owned(), Arc::clone(&acp)),
        (catalog::CLAUDE.to_owned(), acp),
        (MODEL.to_owned(), Arc::new(model)),
        (pools::WORKER.to_owned(), Arc::new(worker) as Arc<dyn Driver>),
    ])
}

/// This daemon, in this life.
fn node(now: Time) -> Node {
    Node { name: "local".to_owned(), incarnation: u64::try_from(now.0).unwrap_or(0) }
}

/// The home directory, claimed by this process.
struct Home {
    path: PathBuf,
    _lock: File,
}

impl Home {
    fn claim(path: &Path) -> Result<Self> {
        for dir in [path.to_path_buf(), path.join("run"), path.join("logs")] {
            private_dir(&dir)?;
        }
        let lock = private().write(true).create(true).truncate(false).open(path.join(LOCK))?;
        match claim_soon(&lock) {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                let pid = runtime_pid(path).map_or(String::new(), |pid| format!(" (process {pid})"));
                bail!(
                    "another daemon{pid} runs on {}. `trunkline status` shows it, `trunkline stop` ends it; \
                     another home is chosen with TRUNKLINE_HOME",
                    path.display()
                )
            }
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("{} cannot be locked", path.display()))
            }
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// How agents are confined here, with this home hidden from them.
    async fn sandbox(&self, policy: Policy) -> Result<Sandbox> {
        // What agents of an earlier life left behind.
        match fs::remove_dir_all(self.path(SCRATCH)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, "temporary files of agents could not be cleared away");
            }
            Ok(()) | Err(_) => {}
        }
        let found = tokio::task::spawn_blocking(|| probe(Path::new(KEEP))).await?;
        match (policy.mode.unwrap_or_default(), found.means) {
            (Mode::Off, _) => tracing::info!("agents are not confined: the sandbox is off"),
            (Mode::Workspace, Some(means)) => tracing::info!(%means, "agents are confined"),
            (Mode::Workspace, None) => {
                tracing::warn!(why = found.why.join("; "), "agents cannot be confined here");
            }
        }
        let home = self.path.canonicalize().with_context(|| self.path.display().to_string())?;
        Ok(Sandbox { policy, found, home })
    }

    /// A token of the owner's: read, or made at the first start.
    fn token(&self, name: &str) -> Result<String> {
        let path = self.path(name);
        match fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => {
                fs::set_permissions(&path, Permissions::from_mode(0o600))?;
                Ok(text.trim().to_owned())
            }
            Ok(_) => self.new_token(&path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.new_token(&path),
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
        }
    }

    fn new_token(&self, path: &Path) -> Result<String> {
        let token = trunkline_serve::auth::secret().context("the system gives no random numbers")?;
        write_whole(path, token.as_bytes())?;
        Ok(token)
    }

    fn socket(&self) -> Result<UnixListener> {
        let path = self.path("run/trunkline.sock");
        // The lock is ours, so whatever lies there is left from an earlier life.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("{} cannot be removed", path.display()));
            }
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&path).with_context(|| {
            format!("{} cannot be made (a socket's path may have about 100 bytes)", path.display())
        })?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        Ok(listener)
    }

    /// Tells clients where the daemon is. Written whole, after it listens.
    fn announce(&self, runtime: &serde_json::Value) -> Result<()> {
        write_whole(&self.path("runtime.json"), format!("{runtime:#}\n").as_bytes())
    }

    /// The same with another certificate.
    fn tell_again(&self, runtime: &serde_json::Value, secured: &Secured) {
        let mut runtime = runtime.clone();
        runtime["tls"] = secured.told();
        if let Err(error) = self.announce(&runtime) {
            tracing::warn!("`trunkline status` tells of the earlier certificate: {error:#}");
        }
    }

    fn retract(&self) {
        for name in ["runtime.json", "run/trunkline.sock"] {
            if let Err(error) = fs::remove_file(self.path(name)) {
                tracing::warn!(%error, name, "a file of this life could not be removed");
            }
        }
    }
}

/// What clients are told of where the daemon is.
fn runtime(
    address: SocketAddr,
    base_url: &str,
    others: [(&str, Option<String>); 4],
    secured: Option<&Secured>,
) -> serde_json::Value {
    let mut runtime = json!({
        "base_url": base_url,
        "port": address.port(),
        "pid": std::process::id(),
        "version": env!("CARGO_PKG_VERSION"),
    });
    for (name, url) in others {
        if let Some(url) = url {
            runtime[name] = url.into();
        }
    }
    if let Some(secured) = secured {
        runtime["tls"] = secured.told();
    }
    runtime
}

/// Takes the lock. A command that looks whether it is held holds it for a moment.
fn claim_soon(lock: &File) -> Result<(), TryLockError> {
    for _ in 0..20 {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(5)),
            outcome => return outcome,
        }
    }
    lock.try_lock()
}

/// Makes a directory that is its user's alone. One that is there may be somebody's project, so its mode is not ours to
/// change.
fn private_dir(dir: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.with_context(|| format!("{} cannot be made", dir.display()))?;
    let meta = dir.metadata().with_context(|| format!("{} cannot be looked at", dir.display()))?;
    let mode = meta.permissions().mode() & 0o7777;
    let shown = dir.display();
    if mode & 0o022 != 0 {
        bail!(
            "other users can write to {shown} (mode {mode:o}), and so replace the daemon's files. If it is for Trunkline \
             alone, `chmod 700 {shown}`; else choose another home with --home or TRUNKLINE_HOME"
        );
    }
    if mode & 0o055 != 0 {
        tracing::warn!("other users can look into {shown} (mode {mode:o}); `chmod 700 {shown}` closes it");
    }
    Ok(())
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

/// Writes a private file so that readers see the old one or the new one, never half of it.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = path.with_added_extension("new");
    let write = || -> io::Result<()> {
        let mut file = private().write(true).create(true).truncate(true).open(&temporary)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().with_context(|| format!("{} cannot be written", path.display()))
}

fn runtime_pid(home: &Path) -> Option<u64> {
    let mut text = String::new();
    File::open(home.join("runtime.json")).ok()?.take(64 << 10).read_to_string(&mut text).ok()?;
    serde_json::from_str::<HashMap<String, serde_json::Value>>(&text).ok()?.get("pid")?.as_u64()
}
