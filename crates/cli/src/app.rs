//! Runs a command.

use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use trunkline_client::{Client, Error as ClientError};
use trunkline_core::time::Time;
use trunkline_run::clock::Clock;

use crate::args::{Cli, Command, ConfigAction, Doctor, Hook, HookAction, Serve};
use crate::commands;
use crate::config::{Config, Flags};
use crate::demo_agent;
use crate::env::Env;
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::screen::Screen;
use crate::start::{self, Found};

/// What every command has.
pub(crate) struct App {
    pub(crate) env: Env,
    pub(crate) config: Config,
    /// What is wrong with the configuration. Only `doctor` runs then, with [`Config::bare`].
    pub(crate) config_error: Option<CliError>,
    pub(crate) screen: Screen,
    no_start: bool,
}

/// Reads the command line and runs what it says.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse_from(crate::names::translate(std::env::args_os().collect()));
    let env = Env::read();
    let screen = Screen::new(&env, cli.color, cli.json);
    match run(cli, env, screen) {
        Ok(exit) => exit.into(),
        Err(error) => {
            let said = error.render(screen.err);
            if !said.is_empty() {
                screen.note(said.trim_end());
            }
            error.exit().into()
        }
    }
}

fn run(cli: Cli, env: Env, screen: Screen) -> Result<Exit> {
    // Completions and the demo agent must work whatever the configuration says.
    match &cli.command {
        Command::Completions(args) => return commands::completions::print(screen, args),
        Command::DemoAgent(args) => return demo_agent::run(Duration::from_millis(args.pace)),
        _ => {}
    }
    let none = Flags::default();
    let flags = match &cli.command {
        Command::Serve(serve) => &serve.flags,
        Command::Config(crate::args::Config { action: ConfigAction::Show(flags) }) => flags,
        _ => &none,
    };
    let (config, config_error) = match Config::load(&env, cli.home.as_deref(), flags) {
        Ok(config) => (config, None),
        // A doctor does not send the sick away.
        Err(error) if matches!(cli.command, Command::Doctor(Doctor { reindex: false })) => {
            (Config::bare(&env, cli.home.as_deref())?, Some(error))
        }
        // An agent takes a failing hook for a refusal, and without one it asks itself. What it writes is read first: on a
        // closed pipe it would see a hook that fails.
        Err(error) if matches!(&cli.command, Command::Hook(Hook { action: HookAction::Run { .. } })) => {
            screen.note(error.render(screen.err).trim_end());
            std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
            return Ok(Exit::Ok);
        }
        Err(error) => return Err(error),
    };
    let app = App { env, config, config_error, screen, no_start: cli.no_start };
    let mut runtime = match &cli.command {
        Command::Serve(Serve { detach: false, .. }) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = runtime.enable_all().build()?;
    // The runtime has several ways to wait; behind a pointer, all commands are compiled for one of them only.
    let command: Pin<Box<dyn Future<Output = Result<Exit>>>> = Box::pin(app.command(cli.command));
    let outcome = runtime.block_on(command);
    // A thread that waits for a key or a line must not hold the exit up.
    runtime.shutdown_background();
    outcome
}

impl App {
    async fn command(&self, command: Command) -> Result<Exit> {
        match command {
            Command::Ls(args) => commands::sessions::ls(self, args).await,
            Command::Mode(args) => commands::mode::mode(self, args).await,
            Command::Close(args) => commands::sessions::close(self, args).await,
            Command::Rm(args) => commands::sessions::rm(self, args).await,
            Command::Run(args) => commands::run::run(self, args).await,
            Command::Attach(args) => commands::run::attach(self, args).await,
            Command::Prompt(args) => commands::prompt::prompt(self, args).await,
            Command::Queue(args) => commands::prompt::queue(self, args).await,
            Command::Cancel(args) => commands::prompt::cancel(self, args).await,
            Command::Export(args) => commands::export::export(self, args).await,
            Command::Import(args) => commands::export::import(self, args).await,
            Command::Ask(args) => commands::ask::ask(self, args).await,
            Command::Mcp(args) => crate::mcp::mcp(self, args).await,
            Command::Hook(args) => crate::hook::hook(self, args).await,
            Command::Inbox(args) => commands::requests::inbox(self, args).await,
            Command::Answer(args) => commands::requests::answer(self, args).await,
            Command::Allow(args) => commands::requests::allow(self, args).await,
            Command::Deny(args) => commands::requests::deny(self, args).await,
            Command::Dismiss(args) => commands::requests::dismiss(self, args).await,
            Command::Audit(args) => commands::audit::audit(self, args).await,
            Command::Grants(args) => commands::grants::grants(self, args).await,
            Command::Search(args) => commands::search::search(self, args).await,
            Command::Send(args) => commands::send::send(self, args).await,
            Command::Handoff(args) => commands::handoff::handoff(self, args.action).await,
            Command::Open(args) => commands::open::open(self, args).await,
            Command::Desktop => commands::desktop::desktop(self).await,
            Command::Pair => commands::pair::pair(self).await,
            Command::Serve(args) => commands::daemon::serve(self, args).await,
            Command::Status => commands::daemon::status(self).await,
            Command::Stop => commands::daemon::stop(self).await,
            Command::Logs(args) => commands::logs::logs(self, args).await,
            Command::Doctor(args) => commands::doctor::doctor(self, args).await,
            Command::Config(_) => commands::config_show::show(self),
            Command::Catalog => commands::catalog::list(self).await,
            Command::Action(args) => commands::actions::action(self, args).await,
            Command::Pools(args) => commands::pools::pools(self, args).await,
            Command::McpServers(args) => commands::mcp_servers::mcp_servers(self, args).await,
            Command::Profiles(args) => commands::profiles::profiles(self, args).await,
            Command::Kv(args) => commands::bus::kv(self, args).await,
            Command::Pub(args) => commands::bus::publish(self, args).await,
            Command::Sub(args) => commands::bus::subscribe(self, args).await,
            Command::Agents(args) => commands::bus::agents(self, args).await,
            Command::Token(args) => commands::token::token(self, args).await,
            Command::Completions(_) | Command::DemoAgent(_) | Command::Keep => {
                unreachable!("all are done before")
            }
        }
    }

    /// A client of the daemon, which is started if need be.
    pub(crate) async fn connect(&self) -> Result<Client> {
        if let Found::Daemon(client) = start::find(&self.config.home).await? {
            return Ok(client);
        }
        if self.no_start {
            return Err(self.not_running());
        }
        self.screen.note(format!("starting the daemon in {}", self.config.home.display()));
        let default = self.config.listens_by_default();
        let args: Vec<_> = default.then(|| "--any-port".to_owned()).into_iter().collect();
        let client = start::start(&self.env, &self.config, &args).await?;
        let port = self.config.listen.port();
        if default && !client.base_url().ends_with(&format!(":{port}")) {
            let holder = crate::holder::of(port);
            let holder = holder.map_or_else(|| "another program".to_owned(), |holder| holder.to_string());
            self.screen.note(format!(
                "port {port} is in use by {holder}; the daemon listens at {}",
                client.base_url()
            ));
        }
        Ok(client)
    }

    /// The error of a command that does not start the daemon.
    pub(crate) fn not_running(&self) -> CliError {
        ClientError::NotRunning { home: self.config.home.clone() }.into()
    }

    /// The time.
    pub(crate) fn now(&self) -> Time {
        Clock::system().now()
    }

    /// The working directory as the daemon knows it.
    pub(crate) fn here(&self) -> Result<String> {
        let cwd = self.env.cwd.as_deref().and_then(|cwd| cwd.to_str());
        cwd.map(str::to_owned).ok_or_else(|| {
            CliError::failure("this directory cannot be named: it is gone, or its name is no text")
        })
    }
}
