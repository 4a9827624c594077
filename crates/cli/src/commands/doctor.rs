//! `doctor`: looks for what may be wrong, and says what to do about it.

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use serde::Serialize;
use serde_json::json;
use trunkline_client::types::AuditQuery;
use trunkline_client::{Runtime, TOKEN_FILE};
use trunkline_log::{OpenError, Reindexed, Sqlite};
use trunkline_run::custody::probe;
use trunkline_run::profiles::Profiles;
use trunkline_run::sandbox::{self, Means};
use trunkline_run::secrets::{self, Secrets};
use trunkline_serve::Sessionbus;

use crate::app::App;
use crate::args;
use crate::clean;
use crate::config;
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::holder;
use crate::screen::count;
use crate::start::{self, Found};
use crate::style::{Paint, Tone};

/// How a thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Check {
    what: &'static str,
    verdict: Verdict,
    found: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Check {
    fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Ok, found: found.into(), hint: None }
    }

    fn warn(what: &'static str, found: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Warn, found: found.into(), hint: Some(hint.into()) }
    }

    fn fail(what: &'static str, found: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Fail, found: found.into(), hint: Some(hint.into()) }
    }
}

pub(crate) async fn doctor(app: &App, args: args::Doctor) -> Result<Exit> {
    let home = &app.config.home;
    if args.reindex {
        return reindex(app).await;
    }
    let mut checks = vec![private(home, "home", true), private(&home.join(TOKEN_FILE), "token", false)];
    let keys = home.join(secrets::FILE);
    // It is there only once somebody has set a key.
    checks.extend(keys.exists().then(|| private(&keys, "secrets", false)));
    let (running, daemon) = daemon(app).await;
    checks.push(daemon);
    if !running {
        checks.push(port(app));
    }
    checks.push(database(home).await);
    if running {
        checks.push(audit(home).await);
    }
    checks.push(configuration(app));
    checks.extend([confinement(), agents_reach(app), subreaper()]);
    checks.push(originals(app));
    checks.push(agents(app));
    report(app, &checks)?;
    Ok(if checks.iter().any(|check| check.verdict == Verdict::Fail) { Exit::Failure } else { Exit::Ok })
}

/// Makes the lists anew from the logs.
async fn reindex(app: &App) -> Result<Exit> {
    let path = app.config.home.join("trunkline.db");
    if !path.exists() {
        return Err(CliError::failure(format!("{} is not there: there is nothing to read", path.display())));
    }
    let outcome = tokio::task::spawn_blocking(move || Sqlite::reindex(path)).await;
    let done = outcome.map_err(|error| CliError::failure(error.to_string()))?;
    let Reindexed { logs, rows } = done.map_err(|error| {
        let hint = match error {
            OpenError::InUse { .. } => "`trunkline stop` first; nothing was changed",
            OpenError::Newer { .. } | OpenError::Damaged { .. } | OpenError::Io { .. } => {
                "nothing was changed; `trunkline doctor` looks for damage"
            }
        };
        CliError::failure(error.to_string()).hint(hint)
    })?;
    if app.screen.json {
        app.screen.json(&json!({ "logs": logs, "rows": rows }))?;
    } else {
        app.screen.print(format!("{rows} rows of lists were made anew from {logs} logs"))?;
    }
    Ok(Exit::Ok)
}

fn report(app: &App, checks: &[Check]) -> Result<()> {
    if app.screen.json {
        return app.screen.json(&checks);
    }
    let paint = app.screen.out;
    for Check { what, verdict, found, hint } in checks {
        let mark = match verdict {
            Verdict::Ok => paint.of(Tone::Good, "ok  "),
            Verdict::Warn => paint.of(Tone::Warn, "warn"),
            Verdict::Fail => paint.of(Tone::Bad, "FAIL"),
        };
        app.screen.print(format!("{mark}  {what:<12} {}", clean::line(found)))?;
        if let Some(hint) = hint {
            app.screen.print(format!(
                "{:19}{} {}",
                "",
                paint.of(Tone::Accent, "hint:"),
                clean::line(hint)
            ))?;
        }
    }
    Ok(())
}

/// Whether a file or directory is the user's alone.
fn private(path: &Path, what: &'static str, directory: bool) -> Check {
    let shown = path.display();
    match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Check::ok(what, format!("{shown} is not there yet; the daemon makes it"))
        }
        Err(error) => Check::fail(what, format!("{shown}: {error}"), "let your user own it"),
        Ok(meta) if meta.is_dir() != directory => Check::fail(
            what,
            format!("{shown} is of the wrong kind"),
            "move it away; the daemon makes it anew",
        ),
        Ok(meta) if meta.uid() != rustix::process::getuid().as_raw() => Check::fail(
            what,
            format!("{shown} belongs to another user"),
            "let your user own it, or set TRUNKLINE_HOME",
        ),
        Ok(meta) => {
            let (mode, wanted) = (meta.permissions().mode() & 0o777, if directory { 0o700 } else { 0o600 });
            if mode & 0o077 == 0 {
                Check::ok(what, format!("{shown} is yours alone ({mode:o})"))
            } else {
                let hint = format!("chmod {wanted:o} {shown}");
                Check::fail(what, format!("other users can get at {shown} ({mode:o})"), hint)
            }
        }
    }
}

/// Whether clients of the original human-input hub are let in, and how.
fn originals(app: &App) -> Check {
    let what = "original hub";
    let table = ["/proc/net/tcp", "/proc/net/tcp6"].iter().any(|table| std::fs::File::open(table).is_ok());
    match app.config.sessionbus {
        Sessionbus::Off => Check::ok(what, "its clients are not let in (sessionbus = \"off\")"),
        Sessionbus::Token => Check::ok(what, "its clients need a token (sessionbus = \"token\")"),
        Sessionbus::Local if table => Check::ok(what, "its clients are let in if they are programs of yours"),
        Sessionbus::Local => Check::warn(
            what,
            "its clients are not let in without a token: the kernel's table of connections cannot be read",
            "give them a token, or let them use the daemon's socket",
        ),
    }
}

/// Whether the daemon runs and answers, and whether its runtime.json tells the truth.
async fn daemon(app: &App) -> (bool, Check) {
    let home = &app.config.home;
    let runtime = match Runtime::read(home) {
        Ok(None) => return (false, Check::ok("daemon", "not running; a command that needs it starts it")),
        Ok(Some(runtime)) => runtime,
        Err(error) => {
            return (
                false,
                Check::fail("daemon", error.to_string(), "remove the file; the daemon writes it anew"),
            );
        }
    };
    let (pid, base_url) = (runtime.pid, &runtime.base_url);
    if !start::is_alive(pid) {
        let found = format!("not running; it was killed (runtime.json names process {pid}, which is gone)");
        return (
            false,
            Check::warn(
                "daemon",
                found,
                "nothing is lost: the next start recovers, `trunkline serve --detach`",
            ),
        );
    }
    match start::find(home).await {
        Ok(Found::Daemon(client)) => match client.me().await {
            Ok(me) => (
                true,
                Check::ok("daemon", format!("process {pid} answers at {base_url}; you are {}", me.principal)),
            ),
            Err(error) => {
                (true, Check::fail("daemon", error.to_string(), "`trunkline stop` and start it again"))
            }
        },
        Ok(Found::Deaf(_) | Found::Nothing) => {
            let found = format!("process {pid} lives but does not answer at {base_url}");
            (true, Check::fail("daemon", found, format!("see `trunkline logs`; kill {pid} if it is stuck")))
        }
        Err(error) => (true, Check::fail("daemon", plainly(&error), "see `trunkline logs`")),
    }
}

/// Whether the daemon could listen where it is told to.
fn port(app: &App) -> Check {
    let address = app.config.listen;
    if address.port() == 0 {
        return Check::ok("port", "any free one");
    }
    match std::net::TcpListener::bind(address) {
        Ok(_) => Check::ok("port", format!("{address} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let holder =
                holder::of(address.port()).map_or_else(|| "another program".to_owned(), |h| h.to_string());
            let hint = "stop it, or set `listen` in config.toml to another port";
            Check::fail("port", format!("{address} is in use by {holder}"), hint)
        }
        Err(error) => Check::fail("port", format!("{address}: {error}"), "set `listen` in config.toml"),
    }
}

/// Whether the database is sound. It can be looked through while the daemon has it open.
async fn database(home: &Path) -> Check {
    let path = home.join("trunkline.db");
    let checked = path.clone();
    let outcome = tokio::task::spawn_blocking(move || Sqlite::check(checked)).await;
    match outcome {
        Ok(Ok(())) => Check::ok("database", format!("{} is sound", path.display())),
        Ok(Err(OpenError::Io { source, .. })) if source.kind() == io::ErrorKind::NotFound => {
            Check::ok("database", "is not there yet; the daemon makes it")
        }
        Ok(Err(error)) => Check::fail(
            "database",
            error.to_string(),
            "copy it away before anything else; nothing is overwritten",
        ),
        Err(error) => Check::fail("database", error.to_string(), "try again"),
    }
}

/// How long the audit is. Its head is shown so that it can be noted; `audit verify` looks through it.
async fn audit(home: &Path) -> Check {
    let found = match start::find(home).await {
        Ok(found) => found.daemon(),
        Err(_) => None,
    };
    let Some(client) = found else { return Check::warn("audit", "the daemon does not answer", "try again") };
    match client.audit(&AuditQuery { limit: Some(1), ..AuditQuery::default() }).await {
        Ok(page) => Check::ok("audit", format!("{}; head {}", count(page.head.n, "record"), page.head)),
        Err(error) => Check::fail("audit", error.to_string(), "`trunkline audit verify` says what is wrong"),
    }
}

fn configuration(app: &App) -> Check {
    if let Some(error) = &app.config_error {
        return Check::fail("config", plainly(error), "correct it: no other command runs until then");
    }
    let unknown = config::unknown_variables(&app.env);
    match (unknown.first(), &app.config.file) {
        (Some((name, meant)), _) => {
            let hint = meant
                .as_ref()
                .map_or_else(|| "unset it".to_owned(), |meant| format!("did you mean {meant}?"));
            Check::warn("config", format!("the variable {name} sets nothing"), hint)
        }
        (None, Some(path)) => Check::ok("config", format!("{} is understood", path.display())),
        (None, None) => Check::ok("config", "no config.toml: everything is as it comes"),
    }
}

/// `openat2(2)`, by which files are opened without ever leaving the workspace.
fn confinement() -> Check {
    match openat2(CWD, ".", OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::BENEATH) {
        Ok(_) => Check::ok("openat2", "agents' file access is confined to the workspace"),
        Err(error) => Check::fail(
            "openat2",
            format!("the kernel refuses it ({error}), so agents' file access cannot be confined"),
            "Linux 5.6 or newer is needed; a container's seccomp profile may forbid it",
        ),
    }
}

/// What keeps agents from doing all that their user can, or why nothing does.
fn agents_reach(app: &App) -> Check {
    let hint = "run an agent that you do not trust, and the daemon, as another user or in a container";
    if app.config.sandbox.mode == Some(sandbox::Mode::Off) {
        let found = "switched off: agents here can act as you. They can read your files and the daemon's token. They ask about \
             everything: only grants given with --unconfined count";
        return Check::warn("sandbox", found, "set `mode = \"workspace\"` under [sandbox] in config.toml");
    }
    let sandbox::Found { means, why } = probe(Path::new("/proc/self/exe"));
    let why = why.join("; ");
    match means {
        Some(Means::Namespaces { processes: true }) => Check::ok(
            "sandbox",
            "agents are kept to their workspace by namespaces of users, mounts and processes",
        ),
        Some(means) => Check::warn(
            "sandbox",
            format!("agents are kept to their workspace by {means}, and not by more because: {why}"),
            "`docs/guide/security.md` says what that leaves open",
        ),
        None => Check::warn(
            "sandbox",
            format!(
                "the kernel allows none, so agents here can act as you. They ask about everything, and only grants \
                 given with --unconfined count: {why}"
            ),
            hint,
        ),
    }
}

fn subreaper() -> Check {
    match rustix::process::child_subreaper() {
        Ok(_) => Check::ok("subreaper", "processes that agents leave behind are found and ended"),
        Err(error) => Check::fail(
            "subreaper",
            format!("the kernel refuses it ({error}), so agents may leave processes behind"),
            "Linux 3.4 or newer is needed; a container's seccomp profile may forbid it",
        ),
    }
}

fn plainly(error: &CliError) -> String {
    error.render(Paint::PLAIN).trim_start_matches("error: ").to_owned()
}

fn agents(app: &App) -> Check {
    let catalog = match app.config.catalog(&app.env) {
        Ok(catalog) => catalog.with_profiles(models(app)).list(),
        Err(error) => {
            return Check::fail("agents", plainly(&error), "see `trunkline config show`");
        }
    };
    let found: Vec<_> = catalog.iter().filter(|agent| agent.found && agent.name != config::DEMO).collect();
    if found.is_empty() {
        let hint = "install one: `trunkline catalog` says how. `trunkline run demo` works without";
        return Check::warn("agents", "none of those that are known can be run", hint);
    }
    let names: Vec<_> = found.iter().map(|agent| agent.name.as_str()).collect();
    Check::ok("agents", format!("{} can be run", names.join(", ")))
}

/// Where models are, but for what the daemon alone knows.
fn models(app: &App) -> Profiles {
    let config = &app.config;
    // Whether the store of secrets is private is a check of its own.
    let secrets = Secrets::open(&config.home).unwrap_or_default();
    Profiles::new(config.profiles.clone(), &app.env.all, secrets)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_others_can_read_fails() {
        let home = tempfile::tempdir().unwrap();
        let token = home.path().join(TOKEN_FILE);
        assert_eq!(private(&token, "token", false).verdict, Verdict::Ok);
        fs::write(&token, "x").unwrap();
        fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
        let check = private(&token, "token", false);
        assert_eq!(check.verdict, Verdict::Fail);
        assert_eq!(check.hint.unwrap(), format!("chmod 600 {}", token.display()));
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(private(&token, "token", false).verdict, Verdict::Ok);
        assert_eq!(private(&token, "home", true).verdict, Verdict::Fail);
    }

    #[tokio::test]
    async fn a_database_that_is_none_fails() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(database(home.path()).await.verdict, Verdict::Ok);
        fs::write(home.path().join("trunkline.db"), "this is no database, whatever its name says").unwrap();
        assert_eq!(database(home.path()).await.verdict, Verdict::Fail);
    }
}
