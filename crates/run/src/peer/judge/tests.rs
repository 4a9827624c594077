//! A machine that is not there: the daemon 10 with the keepers 100 and 200, and people beside it.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::keep::tree::Process;
use crate::peer::table::Socket;

const INODE: u64 = 77;
const OWN: u32 = 1_000;
const DAEMON: i32 = 10;
const SHELL: i32 = 20;
const BROWSER: i32 = 30;
const KEEP: i32 = 100;
const AGENT: i32 = 101;
const HELPER: i32 = 102;

#[derive(Default)]
struct Machine {
    /// Number, parent, start time.
    processes: BTreeMap<i32, (i32, u64)>,
    /// Who is seen to hold the socket with the first thread.
    holders: BTreeSet<i32>,
    /// Who does with another thread only.
    hidden: BTreeSet<i32>,
    /// Whom a walk downwards passes over.
    missed: BTreeSet<i32>,
    socket: Option<Socket>,
    lent: Option<u32>,
}

fn pid(number: i32) -> Pid {
    Pid::from_raw(number).unwrap()
}

impl Machine {
    fn new() -> Self {
        let processes = [
            (1, (0, 0)),
            (DAEMON, (1, 500)),
            (SHELL, (1, 5_000)),
            (BROWSER, (SHELL, 5_001)),
            (KEEP, (DAEMON, 1_000)),
            (AGENT, (KEEP, 1_001)),
            (HELPER, (AGENT, 1_002)),
        ];
        let socket = Some(Socket { inode: INODE, uid: OWN });
        Self { processes: processes.into(), socket, ..Self::default() }
    }

    fn held_by(holders: &[i32]) -> Self {
        Self { holders: holders.iter().copied().collect(), ..Self::new() }
    }

    fn judge(&self) -> Judge<'_> {
        Judge::new(self, vec![Tree { keep: pid(KEEP), session: Some(session()) }], pid(DAEMON))
    }

    fn tcp(&self) -> Origin {
        let (theirs, ours) = ("127.0.0.1:5000".parse().unwrap(), "127.0.0.1:7433".parse().unwrap());
        self.judge().connection(theirs, ours, &[]).0
    }

    fn unix(&self, number: i32) -> Origin {
        self.judge().process(Pid::from_raw(number), 9_000, || true)
    }
}

fn session() -> SessionId {
    "0190163d-8694-739b-aea5-966c26f8ad91".parse().unwrap()
}

impl Proc for Machine {
    fn processes(&self) -> Vec<Pid> {
        self.processes.keys().copied().map(pid).collect()
    }

    fn process(&self, of: Pid) -> Option<Process> {
        let &(parent, start_time) = self.processes.get(&of.as_raw_pid())?;
        Some(Process { pid: of, parent: Pid::from_raw(parent), group: None, session: None, start_time })
    }

    fn below(&self, of: Pid) -> Vec<Pid> {
        let children = self.processes.iter().filter(|(_, (parent, _))| *parent == of.as_raw_pid());
        let seen = children.map(|(number, _)| *number).filter(|number| !self.missed.contains(number));
        seen.flat_map(|number| [vec![pid(number)], self.below(pid(number))].concat()).collect()
    }

    fn holds(&self, of: Pid, inode: u64) -> bool {
        inode == INODE && self.holders.contains(&of.as_raw_pid())
    }

    fn holds_in_any_thread(&self, of: Pid, inode: u64) -> bool {
        self.holds(of, inode) || inode == INODE && self.hidden.contains(&of.as_raw_pid())
    }

    fn socket(&self, _: SocketAddr, _: SocketAddr) -> Option<Socket> {
        self.socket
    }

    fn may_become(&self, uid: u32) -> bool {
        uid == OWN || self.lent == Some(uid)
    }
}

#[test]
fn whoever_is_seen_outside_is_outside() {
    assert_eq!(Machine::held_by(&[BROWSER]).tcp(), Origin::Outside);
    assert_eq!(Machine::held_by(&[DAEMON]).tcp(), Origin::Outside, "a test that has the daemon within");
    assert_eq!(Machine::new().unix(BROWSER), Origin::Outside);
}

#[test]
fn an_agent_and_what_it_starts_are_the_agent() {
    for number in [KEEP, AGENT, HELPER] {
        assert_eq!(Machine::held_by(&[number]).tcp(), Origin::Agent(session()));
        assert_eq!(Machine::new().unix(number), Origin::Agent(session()));
    }
    let shared = Machine::held_by(&[BROWSER, HELPER]);
    assert_eq!(shared.tcp(), Origin::Agent(session()), "what an agent holds too is an agent's");
}

#[test]
fn descriptors_that_cannot_be_read_are_nobodys() {
    // PR_SET_DUMPABLE: for a user without privileges the directory is closed.
    assert_eq!(Machine::new().tcp(), Origin::Unknown);
}

#[test]
fn a_table_of_one_threads_own_does_not_hide() {
    let machine = Machine { hidden: [HELPER].into(), ..Machine::new() };
    assert_eq!(machine.tcp(), Origin::Agent(session()));
}

#[test]
fn a_connection_that_nobody_holds_any_more_is_nobodys() {
    let machine = Machine { socket: None, ..Machine::held_by(&[BROWSER]) };
    assert_eq!(machine.tcp(), Origin::Unknown);
    let before = Judge::new(&machine, vec![], pid(DAEMON));
    let ends = "127.0.0.1:5000".parse().unwrap();
    assert_eq!(before.connection(ends, ends, &[]).0, Origin::Unknown, "also when its agent is gone");
}

#[test]
fn a_process_that_the_walk_downwards_missed_is_found_climbing() {
    let machine = Machine { missed: [HELPER].into(), ..Machine::held_by(&[HELPER]) };
    assert_eq!(machine.tcp(), Origin::Agent(session()));
}

#[test]
fn what_a_killed_keeper_leaves_is_not_outside() {
    let mut machine = Machine::held_by(&[HELPER]);
    machine.processes.remove(&KEEP);
    machine.processes.insert(HELPER, (DAEMON, 1_002));
    assert_eq!((machine.tcp(), machine.unix(HELPER)), (Origin::Unknown, Origin::Unknown));
}

#[test]
fn a_parent_that_cannot_be_seen_is_not_outside_unless_the_child_is_older_than_all_agents() {
    let mut machine = Machine::held_by(&[BROWSER]);
    machine.processes.remove(&SHELL);
    assert_eq!((machine.tcp(), machine.unix(BROWSER)), (Origin::Unknown, Origin::Unknown));
    machine.processes.insert(BROWSER, (SHELL, 999));
    assert_eq!((machine.tcp(), machine.unix(BROWSER)), (Origin::Outside, Origin::Outside));
}

#[test]
fn another_user_is_outside_unless_ours_may_become_them() {
    let socket = Some(Socket { inode: INODE, uid: 33 });
    let machine = Machine { socket, ..Machine::new() };
    assert_eq!(machine.tcp(), Origin::Outside, "others' descriptors cannot be read, and need not be");
    assert_eq!(Machine { lent: Some(33), ..machine }.tcp(), Origin::Unknown);
}

#[test]
fn a_number_counts_only_for_the_process_that_had_it() {
    let machine = Machine::new();
    assert_eq!(machine.unix(0), Origin::Unknown, "outside of our pid namespace");
    assert_eq!(machine.unix(999), Origin::Unknown, "gone");
    assert_eq!(machine.judge().process(Some(pid(BROWSER)), 5_000, || true), Origin::Unknown, "began later");
    assert_eq!(
        machine.judge().process(Some(pid(BROWSER)), 9_000, || false),
        Origin::Unknown,
        "gone meanwhile"
    );
}

#[test]
fn who_was_outside_before_is_looked_at_first() {
    let machine = Machine::held_by(&[BROWSER]);
    let ends = "127.0.0.1:5000".parse().unwrap();
    let (_, holder) = machine.judge().connection(ends, ends, &[]);
    let known = holder.unwrap();
    assert_eq!(known, Known { pid: pid(BROWSER), start_time: 5_001 });
    let mut stale = Machine::held_by(&[HELPER]);
    stale.processes.insert(BROWSER, (SHELL, 5_001));
    assert_eq!(stale.judge().connection(ends, ends, &[known]).0, Origin::Agent(session()));
}
