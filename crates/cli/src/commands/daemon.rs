//! `serve`, `status`, `stop`.

use std::time::Duration;

use serde_json::json;
use trunkline_client::Runtime;

use crate::announce;
use crate::app::App;
use crate::args::Serve;
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::logging;
use crate::moment::show_duration;
use crate::serve::Daemon;
use crate::start::{self, Found};
use crate::style::Tone;

pub(crate) async fn serve(app: &App, args: Serve) -> Result<Exit> {
    if args.detach {
        return detach(app, &args.flags.to_args()).await;
    }
    let config = &app.config;
    let filter = logging::filter(&config.log).map_err(CliError::usage)?;
    if args.background {
        start::leave_terminal();
        logging::to_file(filter, &config.home)?;
    } else {
        logging::to_stderr(filter);
    }
    let daemon = Daemon {
        home: config.home.clone(),
        listen: config.listen,
        insecure_bind: config.insecure_bind,
        allowed: config.allowed(),
        turn_timeout_ms: config
            .turn_timeout
            .map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
        max_concurrent_turns: config.max_concurrent_turns,
        checkpoints: config.handoffs.checkpoints,
        guards: config.guards,
        catalog: config.catalog(&app.env)?,
        profiles: config.profiles.clone(),
        daily_budget: config.daily_budget,
        mcp_servers: config.mcp_servers.clone(),
        exe: app.env.exe.clone(),
        any_port: args.any_port,
        engram_told: args.engram_bus,
        engine_told: args.kollabor_engine,
        sessionbus: config.sessionbus,
        dashboard: config.dashboard,
        engram: config.engram,
        actions: config.actions.clone(),
        attach: config.attach.clone(),
        engine: match args.kollabor_engine {
            true => config.engine.clone().started_by_name(),
            false => config.engine.clone(),
        },
        announce: announce::files(app.env.user_home.as_deref(), &config.home, &config.announce),
        notify: config.notify,
        notify_targets: config.notify_targets.clone(),
        public_url: config.public_url.clone(),
        tls: config.tls.clone(),
        sandbox: app.config.sandbox.clone(),
        pools: config.pools.clone(),
        pool_limits: config.pool_limits.clone(),
        pool_cwd: app.env.user_home.clone().unwrap_or_else(|| "/".into()),
        env: app.env.all.clone(),
    };
    daemon
        .run()
        .await
        .inspect_err(|error| tracing::error!(error = %format!("{error:#}"), "the daemon ends"))?;
    Ok(Exit::Ok)
}

async fn detach(app: &App, args: &[String]) -> Result<Exit> {
    let (client, new) = match start::find(&app.config.home).await? {
        Found::Daemon(client) => (client, false),
        Found::Deaf(_) | Found::Nothing => (start::start(&app.env, &app.config, args).await?, true),
    };
    if app.screen.json {
        app.screen.json(&Runtime::read(&app.config.home)?)?;
    } else {
        let state = if new { "running" } else { "already running" };
        app.screen.print(format!("{state} at {}", client.base_url()))?;
    }
    Ok(Exit::Ok)
}

pub(crate) async fn status(app: &App) -> Result<Exit> {
    let home = &app.config.home;
    let found = start::find(home).await?;
    if let Found::Deaf(pid) = found {
        return Err(start::is_stuck(pid, home));
    }
    let (Some(client), Some(runtime)) = (found.daemon(), Runtime::read(home)?) else {
        if app.screen.json {
            app.screen.json(&json!({ "running": false, "home": home }))?;
        } else {
            app.screen.print(format!(
                "{} in {}",
                app.screen.out.of(Tone::Dim, "not running"),
                home.display()
            ))?;
        }
        return Ok(Exit::Unreachable);
    };
    let health = client.health().await?;
    if app.screen.json {
        let json = json!({ "running": true, "home": home, "health": health, "base_url": runtime.base_url, "pid": runtime.pid, "tls": runtime.tls });
        app.screen.json(&json)?;
        return Ok(Exit::Ok);
    }
    let uptime = Duration::try_from_secs_f64(health.uptime).unwrap_or_default().as_millis();
    let uptime = show_duration(u64::try_from(uptime).unwrap_or(u64::MAX));
    let running = app.screen.out.of(Tone::Good, "running");
    app.screen.print(format!("{running} at {}", runtime.base_url))?;
    app.screen.print(format!("version {}, process {}, for {uptime}", health.version, runtime.pid))?;
    app.screen.print(format!("home {}", home.display()))?;
    if let Some(tls) = &runtime.tls {
        app.screen.print(format!("from other machines {}", tls.url))?;
        app.screen.print(format!("certificate SHA-256 {}", tls.sha256))?;
    }
    if health.version != env!("CARGO_PKG_VERSION") {
        app.screen.note(format!(
            "this command is version {}; `trunkline stop` and go on",
            env!("CARGO_PKG_VERSION")
        ));
    }
    Ok(Exit::Ok)
}

pub(crate) async fn stop(app: &App) -> Result<Exit> {
    let home = &app.config.home;
    let pid = match start::find(home).await? {
        Found::Nothing => {
            if app.screen.json {
                app.screen.json(&json!({ "stopped": null }))?;
            } else {
                app.screen.note("no daemon runs");
            }
            return Ok(Exit::Ok);
        }
        Found::Deaf(pid) => pid,
        Found::Daemon(client) => {
            let runtime = Runtime::read(home)?.ok_or_else(|| app.not_running())?;
            client.shutdown().await?;
            runtime.pid
        }
    };
    if !start::wait_for_end(pid, start::STOPPING).await {
        return Err(start::is_stuck(pid, home));
    }
    if app.screen.json {
        app.screen.json(&json!({ "stopped": pid }))?;
    } else {
        app.screen.print("stopped")?;
    }
    Ok(Exit::Ok)
}
