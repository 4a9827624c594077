//! The command line.

mod actions;
mod ask;
mod audit;
mod bus;
mod export;
mod grants;
mod handoff;
#[cfg(test)]
mod help;
mod mcp;
mod mcp_servers;
mod pools;
mod profiles;
mod search;
mod send;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use trunkline_core::view::{RequestStatus, SessionState};

use crate::config::Flags;
use crate::exit;
use crate::moment::parse_duration;
use crate::style::When;

pub(crate) use actions::Action;
pub(crate) use ask::{Ask, Urgency};
pub(crate) use audit::{Audit, AuditAction, Listed};
pub(crate) use bus::{Agents, AgentsAction, Kv, KvAction, Pub, Sub};
pub(crate) use export::{Export, Import, Source};
pub(crate) use grants::{GrantAction, Grants};
pub(crate) use handoff::{Handoff, HandoffAction, ListHandoffs, Resume, Save};
pub(crate) use mcp::{Hook, HookAction, HookVendor, Host, Mcp};
pub(crate) use mcp_servers::{AddMcpServer, McpServers, McpServersAction};
pub(crate) use pools::{Pools, PoolsAction};
pub(crate) use profiles::{AddProfile, Profiles, ProfilesAction};
pub(crate) use search::Search;
pub(crate) use send::Send;

/// Keeps AI agents' sessions alive, attachable and answerable.
///
/// One daemon runs the agents; any number of terminals and browsers attach to their sessions, prompt them and answer what
/// they ask. A command that needs the daemon starts it.
///
/// A SESSION is given by its id, the beginning or the end of it, or not at all (or as -): the most recent one of this
/// directory. A REQUEST likewise; without one, the only open one of this directory.
#[derive(Debug, Parser)]
#[command(name = "trunkline", version, after_help = exit::HELP, max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// The directory that holds the daemon's state [env: TRUNKLINE_HOME] [default: ~/.trunkline]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub(crate) home: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
    /// When to use colours
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true,
        help_heading = "Global options"
    )]
    pub(crate) color: When,
    /// Fail rather than start the daemon
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) no_start: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const RUN_EXAMPLES: &str = "\
Examples:
  trunkline run gemini \"fix the failing test\"
  trunkline run \"fix the failing test\" -- my-agent --acp";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run an agent in this directory
    ///
    /// The agent is one of `trunkline catalog`, or any command that speaks the Agent Client Protocol, after --. On a
    /// terminal the session is attached; else the answer is printed as it comes, and the exit code tells how the turn
    /// ended.
    #[command(after_help = RUN_EXAMPLES)]
    Run(Run),
    /// Attach to a session: its transcript, then live
    ///
    /// Type to prompt; while a turn runs the prompt waits. A permission is answered by the key of an option, when the line
    /// is empty. Ctrl-B d detaches and the turn goes on; Ctrl-C twice cancels the turn, or leaves when none runs. Ctrl-B [
    /// looks back at what has scrolled away, and searches in it. Without a session, the one of this directory is meant; of
    /// several you pick one from a list.
    Attach(Attach),
    /// List sessions
    Ls(Ls),
    /// Prompt the agent of a session
    Prompt(Prompt),
    /// Show or change the prompts that wait
    Queue(Queue),
    /// Cancel the running turn
    Cancel(Cancel),
    /// Show or choose the mode of a session's agent
    ///
    /// A running agent is told at once, in the middle of a turn too; another when it is next started. Which modes there are
    /// an agent tells when it was first started.
    Mode(Mode),
    /// Close a session: its agent ends, its log stays
    Close(One),
    /// Delete sessions with their logs
    Rm(Rm),
    /// Write a session's events as NDJSON
    Export(Export),
    /// Make a session from an export
    ///
    /// The new session has the events of the old one, and an id of its own. What was open or running is not. With --from,
    /// sessions are moved instead: with their ids, their times and all that waits.
    Import(Import),
    /// Ask a person, from a script
    ///
    /// Prints the answer once there is one; nobody answers for you unless --on-timeout says so. The exit code tells the
    /// outcome: 0 answered, or the default; 11 nobody answered in time; 13 the question was dismissed; 10 it was cancelled;
    /// 130 Ctrl-C, which takes it back.
    #[command(after_help = ask::EXAMPLES)]
    Ask(Ask),
    /// Speak MCP on stdin and stdout: a bridge to the daemon, for hosts that start their servers
    ///
    /// The daemon is started if need be, unless SESSIONBUS_MCP_AUTOSTART is 0. A call that waits for a person goes on
    /// waiting when the daemon is restarted.
    Mcp(Mcp),
    /// Answer from anywhere what an agent asks in its own terminal: its hooks
    ///
    /// Prints what to write into the agent's settings. When the daemon is away or nobody decides, the agent asks in its own
    /// terminal, as ever.
    Hook(Hook),
    /// List what waits for you
    Inbox(Inbox),
    /// Answer a request
    ///
    /// A permission takes one of its options, by id, name or number; a question a text or one of its options; a form its
    /// fields. On a terminal and without an answer it shows the request and asks.
    Answer(Answer),
    /// Allow what a permission asks for
    Allow(Decide),
    /// Refuse what a permission asks for
    Deny(Decide),
    /// Set a request aside; it can still be answered
    Dismiss(OneRequest),
    /// Show and change what is allowed without asking
    ///
    /// A rule is `read`, `edit(src/**)`, `shell(npm run *)`, `fetch(docs.rs)`, `mcp:server/tool` or `tool(Name)`. High risk
    /// is asked about all the same.
    Grants(Grants),
    /// Show who allowed what, when, from where and seeing what
    ///
    /// Every answer, every grant and what it let through, every change of a mode, every token. Each record carries the hash
    /// of the one before it; `verify` tells whether one was changed or removed since.
    #[command(after_help = audit::EXAMPLES)]
    Audit(Audit),
    /// Write to an agent
    ///
    /// One that the daemon runs is woken, or gets it after its turn. Agents that would wake each other for ever are held back.
    #[command(after_help = send::EXAMPLES)]
    Send(Send),
    /// Save work, list what was left, and take it over
    ///
    /// The daemon keeps a handoff of each session it runs by itself, with a checkpoint of the last turn.
    #[command(after_help = handoff::EXAMPLES)]
    Handoff(Handoff),
    /// Find what was said in sessions
    ///
    /// Prompts, what agents said, their tool calls with what those gave, questions and answers. The newest stands first.
    #[command(after_help = search::EXAMPLES)]
    Search(Search),
    /// Open the page in a browser
    Open(Open),
    /// Open the page in a window of its own
    ///
    /// Starts the daemon if need be. A window that is open already is raised. The window is a program of its own,
    /// trunkline-desktop, which `make setup-desktop` builds.
    Desktop,
    /// Let in a phone: show a one-time link to the page as a QR code
    ///
    /// The link leads to `public_url`, else to where other machines find the daemon. It works once, within five minutes. Where the
    /// daemon shows a certificate of its own, its fingerprint is told, to be compared with what the phone shows.
    Pair,
    /// Run the daemon
    Serve(Serve),
    /// Show whether the daemon runs
    Status,
    /// Stop the daemon
    Stop,
    /// Show the daemon's log
    Logs(Logs),
    /// Look for what may be wrong
    Doctor(Doctor),
    /// Show the configuration
    Config(Config),
    /// List the agents that can be run
    Catalog,
    /// Run an action of your own, without any model, or list them
    ///
    /// An action is `[operator_actions.NAME]` in the configuration: a command line that runs as it stands there.
    Action(Action),
    /// Show the pools of workers, or restart, drain and resume one
    ///
    /// A pool is `[pools.NAME]` in the configuration: workers that many sessions share. It is run like an agent, by its name.
    Pools(Pools),
    /// Show where models are, or add, remove and test such a profile and set its key
    ///
    /// The built-in agent `model` asks the model of a profile: `trunkline run model "..."`. Profiles come from here, from
    /// [profiles.NAME] in the configuration, and from keys in the daemon's environment, such as ANTHROPIC_API_KEY.
    #[command(after_help = profiles::EXAMPLES)]
    Profiles(Profiles),
    /// Show the MCP servers that give the built-in agent more tools, add and remove them, and connect sessions to them
    ///
    /// Servers come from here, from [mcp_servers.NAME] in the configuration, and from `.trunkline/mcp.json` or `.mcp.json` in a
    /// session's workspace. What a workspace brings runs only once you have let it, with `mcp-servers trust`.
    #[command(after_help = mcp_servers::EXAMPLES)]
    McpServers(McpServers),
    /// Read and write what agents share: keys with values
    #[command(after_help = bus::KV_EXAMPLES)]
    Kv(Kv),
    /// Publish on a topic
    Pub(Pub),
    /// Print what is published on a topic, one line of JSON each, until Ctrl-C
    #[command(after_help = bus::SUB_EXAMPLES)]
    Sub(Sub),
    /// List the agents that take part on the bus, or change that list
    ///
    /// These are agents that have registered or done anything on the bus; `trunkline catalog` lists those that can be run.
    Agents(Agents),
    /// Make, list and revoke access tokens
    Token(Token),
    /// Print a shell's completions
    Completions(Completions),
    /// Speak ACP on stdin and stdout: an agent without a model, to try everything with
    DemoAgent(DemoAgent),
    /// Watch over a process tree; the daemon starts it
    #[command(hide = true)]
    Keep,
}

#[derive(Debug, Args)]
pub(crate) struct One {
    /// The session
    pub(crate) session: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct OneRequest {
    /// The request
    pub(crate) request: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Attach {
    /// The session
    pub(crate) session: Option<String>,
    /// Only look: no key prompts, answers or cancels anything
    #[arg(long, short)]
    pub(crate) read_only: bool,
    /// Leave out of the transcript what is older than this, like 10m
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) since: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// An agent of the catalog; with a command after --, the prompt
    #[arg(required_unless_present = "command")]
    pub(crate) agent: Option<String>,
    /// What to ask; - reads it from stdin
    pub(crate) prompt: Option<String>,
    /// A command that speaks ACP on its pipes
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
    /// What to call the session
    #[arg(long)]
    pub(crate) title: Option<String>,
    /// Work in another directory
    #[arg(long, short = 'C', value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// How long the turn may run, like 30m
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// Do not attach: print the session's id and leave it to work
    #[arg(long, short)]
    pub(crate) detach: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Ls {
    /// Only those in this state
    #[arg(long, value_enum)]
    pub(crate) state: Option<State>,
    /// Only those of this agent
    #[arg(long)]
    pub(crate) agent: Option<String>,
    /// Only those of this directory
    #[arg(long, conflicts_with = "workspace")]
    pub(crate) here: bool,
    /// Only those of a directory
    #[arg(long, value_name = "DIR")]
    pub(crate) workspace: Option<PathBuf>,
    /// Only those of a repository
    #[arg(long, value_name = "DIR")]
    pub(crate) project: Option<PathBuf>,
    /// How many at most
    #[arg(long, short = 'n', default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Prompt {
    /// What to ask, with the session before it if it is not the most recent one; - reads it from stdin
    #[arg(required = true, num_args = 1..=2, value_names = ["SESSION] [PROMPT"])]
    pub(crate) words: Vec<String>,
    /// Let it wait while another turn runs
    #[arg(long, short)]
    pub(crate) queue: bool,
    /// Print the answer as it comes; the exit code tells how the turn ended
    #[arg(long, short)]
    pub(crate) wait: bool,
    /// How long the turn may run, like 30m
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct Queue {
    #[command(subcommand)]
    pub(crate) action: Option<QueueAction>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum QueueAction {
    /// List the prompts that wait
    List(One),
    /// Take a waiting prompt back
    Rm {
        /// The turn, as `queue list` shows it
        turn: String,
        /// The session
        session: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Cancel {
    /// The session
    pub(crate) session: Option<String>,
    /// Only if this turn runs
    #[arg(long)]
    pub(crate) turn: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Mode {
    /// The session
    pub(crate) session: Option<String>,
    /// The mode, by its id or name; without it they are listed
    pub(crate) mode: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Rm {
    /// The sessions
    #[arg(required = true)]
    pub(crate) sessions: Vec<String>,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Inbox {
    /// Which requests
    #[arg(long, value_enum, default_value_t = Status::Open)]
    pub(crate) status: Status,
    /// Only those of a session
    #[arg(long)]
    pub(crate) session: Option<String>,
    /// How many at most
    #[arg(long, short = 'n', default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Answer {
    /// The request
    pub(crate) request: Option<String>,
    /// An option, or the text
    pub(crate) answer: Option<String>,
    /// Words to the agent beside the option
    #[arg(long)]
    pub(crate) text: Option<String>,
    /// The form, as a JSON object
    #[arg(long, value_name = "JSON", conflicts_with = "answer")]
    pub(crate) fields: Option<String>,
    /// Do not ask again, even if the risk is high
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Decide {
    /// The request
    pub(crate) request: Option<String>,
    /// Also for the next time, where the agent offers it
    #[arg(long)]
    pub(crate) always: bool,
    /// Words to the agent
    #[arg(long)]
    pub(crate) text: Option<String>,
    /// Allow it without asking again, even if its risk is high
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Open {
    /// Only print the link. It works once, for five minutes
    #[arg(long)]
    pub(crate) url: bool,
    /// The client of attachable sessions, on its own address, in place of the page
    #[arg(long, conflicts_with = "demo")]
    pub(crate) attach: bool,
    /// The page of kollabor's client, on its own address, in place of the page
    #[arg(long, conflicts_with_all = ["demo", "attach"])]
    pub(crate) engine: bool,
    /// Also start a session of the built-in demo agent
    #[arg(long)]
    pub(crate) demo: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Run in the background
    #[arg(long, short)]
    pub(crate) detach: bool,
    /// This is the process in the background
    #[arg(long, hide = true)]
    pub(crate) background: bool,
    /// Take a free port if the default one is in use
    #[arg(long, hide = true)]
    pub(crate) any_port: bool,
    /// Print where the agent bus listens, as the original does
    #[arg(long, hide = true)]
    pub(crate) engram_bus: bool,
    /// Print the port once it listens, as the original engine does
    #[arg(long, hide = true)]
    pub(crate) kollabor_engine: bool,
    #[command(flatten)]
    pub(crate) flags: Flags,
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Go on as it grows
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// How many lines to begin with
    #[arg(long, short = 'n', default_value_t = 100)]
    pub(crate) lines: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Make the lists of sessions and requests anew from the logs, while no daemon runs
    #[arg(long)]
    pub(crate) reindex: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Config {
    #[command(subcommand)]
    pub(crate) action: ConfigAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigAction {
    /// Show each setting and where it comes from
    Show(Flags),
}

#[derive(Debug, Args)]
pub(crate) struct Token {
    #[command(subcommand)]
    pub(crate) action: TokenAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenAction {
    /// Make a token and print it, this once
    Create {
        /// What to call it
        name: String,
        /// What its holder may do
        #[arg(long, value_enum, default_value_t = Scope::Operator)]
        scope: Scope,
        /// How long it works, like 30d [default: until it is revoked]
        #[arg(long, value_name = "TIME", value_parser = parse_duration)]
        ttl: Option<Duration>,
    },
    /// List the tokens in force
    List,
    /// Revoke a token
    Revoke {
        /// Its name or id
        token: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DemoAgent {
    /// How long it pauses between two words, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 40, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    pub(crate) pace: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// What a token's holder may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scope {
    /// Read everything
    Viewer,
    /// Also prompt, answer, cancel
    Operator,
    /// Also make tokens and stop the daemon
    Admin,
}

/// What a session does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum State {
    Idle,
    Running,
    Waiting,
    Stopping,
    Failed,
    Closed,
}

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Status {
    Open,
    Dismissed,
    Answered,
    Expired,
    Cancelled,
    Superseded,
}

impl From<State> for SessionState {
    fn from(state: State) -> Self {
        match state {
            State::Idle => Self::Idle,
            State::Running => Self::Running,
            State::Waiting => Self::Waiting,
            State::Stopping => Self::Stopping,
            State::Failed => Self::Failed,
            State::Closed => Self::Closed,
        }
    }
}

impl From<Status> for RequestStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Open => Self::Open,
            Status::Dismissed => Self::Dismissed,
            Status::Answered => Self::Answered,
            Status::Expired => Self::Expired,
            Status::Cancelled => Self::Cancelled,
            Status::Superseded => Self::Superseded,
        }
    }
}
