//! Operator actions: commands that the user has named in advance and that run without any model.
//!
//! What there is to run is configuration, and running it is an effect; here is what ran, when, for whom, and how it ended.

use std::collections::{BTreeMap, VecDeque};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::audit::Deed;
use crate::event::{Event, Fact};
use crate::id::{Node, Seq};
use crate::machine::{Context, Draft, Machine, Wanted};
use crate::principal::Principal;
use crate::refused::Refused;
use crate::time::Time;

/// How many runs that are over are remembered in lists. The log keeps all of them.
pub const MAX_LISTED: usize = 100;
/// How many runs may be under way at a time.
pub const MAX_RUNNING: usize = 32;
/// How many bytes of what an action wrote are kept: its end, of each stream.
pub const MAX_OUTPUT: usize = 64 << 10;

/// An action was begun. Its number in the log is the number of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "OperatorStarted")]
pub struct Started {
    /// The action.
    pub action: String,
    /// The command line.
    pub argv: Vec<String>,
    /// On which node, in which of its lives.
    pub node: Node,
}

/// An action is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "OperatorRan")]
pub struct Ran {
    /// The run.
    pub run: Seq,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// How an action ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "OperatorOutcome")]
pub struct Outcome {
    /// Its exit code; absent if it did not end by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The end of what it wrote to stdout; invalid UTF-8 is replaced.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stdout: String,
    /// The end of what it wrote to stderr.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stderr: String,
    /// How many bytes of stdout before that are left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u64,
    /// Why there is no exit code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How long it ran.
    pub duration_ms: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
const fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Outcome {
    /// One that has no exit code, and why.
    #[must_use]
    pub fn error(error: impl Into<String>) -> Self {
        Self { error: Some(error.into()), ..Self::default() }
    }
}

/// A run, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "OperatorRun")]
pub struct Run {
    /// Its number.
    pub run: Seq,
    /// The action.
    pub action: String,
    /// The command line.
    pub argv: Vec<String>,
    /// Who ran it.
    pub by: Principal,
    /// When it was begun.
    pub at: Time,
    /// How it ended; absent while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    #[serde(skip)]
    node: Node,
}

/// A wish about actions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Begin a run.
    Start {
        /// The action.
        action: String,
        /// The command line.
        argv: Vec<String>,
        /// Whether several runs of it may be under way at a time.
        parallel: bool,
    },
    /// A run is over. Only the daemon says so.
    End(Seq, Outcome),
    /// This node lives anew: what an earlier life of it ran is over. Only the daemon says so.
    Recover,
}

/// The runs of actions.
#[derive(Debug, Clone, Default)]
pub struct Operator {
    /// Those that are under way.
    pub running: BTreeMap<Seq, Run>,
    /// Those that are over, the last one last.
    pub over: VecDeque<Run>,
}

impl Operator {
    fn start(&self, action: &str, argv: &[String], parallel: bool, node: &Node) -> Result<Draft, Refused> {
        let mut running = self.running.values().filter(|run| run.action == action);
        if let (false, Some(run)) = (parallel, running.next()) {
            return Err(Refused::Underway { action: action.to_owned(), run: run.run });
        }
        if self.running.len() >= MAX_RUNNING {
            return Err(Refused::TooMany { what: "actions under way", limit: MAX_RUNNING });
        }
        Ok(Started { action: action.to_owned(), argv: argv.to_vec(), node: node.clone() }.into())
    }
}

impl Machine for Operator {
    type Command = Command;
    type Effect = std::convert::Infallible;

    fn decide(&self, command: &Command, ctx: &Context<'_>) -> Result<Vec<Draft>, Refused> {
        match command {
            Command::Start { action, argv, parallel } => {
                ctx.caller.may_operate()?;
                Ok(vec![self.start(action, argv, *parallel, ctx.node)?])
            }
            Command::End(run, outcome) => {
                ctx.caller.may_administer()?;
                let open = self.running.contains_key(run);
                Ok(open.then(|| Ran { run: *run, outcome: outcome.clone() }.into()).into_iter().collect())
            }
            Command::Recover => {
                ctx.caller.may_administer()?;
                let gone = |run: &&Run| {
                    run.node.name == ctx.node.name && run.node.incarnation != ctx.node.incarnation
                };
                let error = "the daemon ended while it ran, and ended it";
                let ran = |run: &Run| Ran { run: run.run, outcome: Outcome::error(error) }.into();
                Ok(self.running.values().filter(gone).map(ran).collect())
            }
        }
    }

    fn apply(&mut self, event: &Event) {
        match &event.fact {
            Fact::OperatorStarted(Started { action, argv, node }) => {
                let run = Run {
                    run: event.seq,
                    action: action.clone(),
                    argv: argv.clone(),
                    by: event.by.clone(),
                    at: event.at,
                    outcome: None,
                    node: node.clone(),
                };
                self.running.insert(event.seq, run);
            }
            Fact::OperatorRan(Ran { run, outcome }) => {
                if let Some(mut run) = self.running.remove(run) {
                    run.outcome = Some(outcome.clone());
                    self.over.push_back(run);
                    if self.over.len() > MAX_LISTED {
                        self.over.pop_front();
                    }
                }
            }
            _ => {}
        }
    }

    fn deed(&self, event: &Event, _: &[Event]) -> Option<Deed> {
        Deed::in_operator(self, event)
    }

    fn wanted(&self) -> Wanted<Self::Effect> {
        Wanted::nothing()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::principal::{Caller, Scope};

    #[derive(Default)]
    struct Book {
        operator: Operator,
        seq: u64,
        life: u64,
    }

    impl Book {
        fn tell(&mut self, scope: Scope, command: &Command) -> Result<usize, Refused> {
            let caller = Caller::new(Principal::owner(), scope);
            let node = Node { name: "here".into(), incarnation: self.life };
            let ctx = Context { now: Time(7), caller: &caller, node: &node, next: Seq(self.seq + 1) };
            let drafts = self.operator.decide(command, &ctx)?;
            for Draft { fact, turn, .. } in drafts.clone() {
                self.seq += 1;
                let by = Principal::owner();
                self.operator.apply(&Event { seq: Seq(self.seq), at: Time(7), by, turn, key: None, fact });
            }
            Ok(drafts.len())
        }
    }

    fn start(action: &str, parallel: bool) -> Command {
        Command::Start { action: action.to_owned(), argv: vec!["x".to_owned()], parallel }
    }

    #[test]
    fn an_action_runs_once_at_a_time_unless_it_may_run_in_parallel() {
        let mut book = Book::default();
        assert_eq!(book.tell(Scope::Operator, &start("reset", false)), Ok(1));
        let underway = Refused::Underway { action: "reset".to_owned(), run: Seq(1) };
        assert_eq!(book.tell(Scope::Operator, &start("reset", false)), Err(underway));
        assert_eq!(book.tell(Scope::Operator, &start("status", true)), Ok(1));
        assert_eq!(book.tell(Scope::Operator, &start("status", true)), Ok(1));
        assert_eq!(book.tell(Scope::Admin, &Command::End(Seq(1), Outcome::default())), Ok(1));
        assert_eq!(book.tell(Scope::Admin, &Command::End(Seq(1), Outcome::default())), Ok(0), "it ends once");
        assert_eq!(book.tell(Scope::Operator, &start("reset", false)), Ok(1));
    }

    #[test]
    fn only_an_operator_runs_it_and_only_the_daemon_ends_it() {
        let mut book = Book::default();
        assert!(matches!(book.tell(Scope::Viewer, &start("a", false)), Err(Refused::Forbidden { .. })));
        book.tell(Scope::Operator, &start("a", false)).unwrap();
        let end = Command::End(Seq(1), Outcome::default());
        assert!(matches!(book.tell(Scope::Operator, &end), Err(Refused::Forbidden { .. })));
    }

    #[test]
    fn what_an_earlier_life_ran_is_over() {
        let mut book = Book::default();
        book.tell(Scope::Operator, &start("a", false)).unwrap();
        book.life = 1;
        book.tell(Scope::Operator, &start("b", false)).unwrap();
        assert_eq!(book.tell(Scope::Admin, &Command::Recover), Ok(1));
        assert!(book.operator.over[0].outcome.as_ref().unwrap().error.is_some());
        assert_eq!(book.operator.running.len(), 1);
    }

    #[test]
    fn lists_are_bounded() {
        let mut book = Book::default();
        for _ in 0..MAX_LISTED + 5 {
            book.tell(Scope::Operator, &start("a", false)).unwrap();
            book.tell(Scope::Admin, &Command::End(Seq(book.seq), Outcome::default())).unwrap();
        }
        assert_eq!(book.operator.over.len(), MAX_LISTED);
        for _ in 0..MAX_RUNNING {
            book.tell(Scope::Operator, &start("p", true)).unwrap();
        }
        assert!(matches!(book.tell(Scope::Operator, &start("p", true)), Err(Refused::TooMany { .. })));
    }
}
