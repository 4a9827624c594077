//! What is read of `/proc`, behind a trait, so that rules over it can be tried on machines that are not there.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use rustix::process::{Pid, geteuid};

use super::table::{self, Socket};
use crate::keep::tree::{self, Process, numbers};

/// What a judge looks at.
pub(super) trait Proc {
    /// All processes there are.
    fn processes(&self) -> Vec<Pid>;
    /// One of them.
    fn process(&self, pid: Pid) -> Option<Process>;
    /// All that descend from it, as far as a walk sees them.
    fn below(&self, pid: Pid) -> Vec<Pid>;
    /// Whether the first thread of a process is seen to hold a socket. What cannot be read is not seen.
    fn holds(&self, pid: Pid, inode: u64) -> bool;
    /// The same of any thread. Threads share one table of descriptors, unless one has asked for its own.
    fn holds_in_any_thread(&self, pid: Pid, inode: u64) -> bool;
    /// The peer's socket of an established connection that somebody holds.
    fn socket(&self, theirs: SocketAddr, ours: SocketAddr) -> Option<Socket>;
    /// Whether a program of our user could have made a socket of this user.
    fn may_become(&self, uid: u32) -> bool;
}

/// The machine we run on.
pub(super) struct Kernel;

impl Proc for Kernel {
    fn processes(&self) -> Vec<Pid> {
        numbers(Path::new("/proc")).collect()
    }

    fn process(&self, pid: Pid) -> Option<Process> {
        tree::process(pid)
    }

    fn below(&self, pid: Pid) -> Vec<Pid> {
        tree::descendants(pid).into_iter().map(|process| process.pid).collect()
    }

    fn holds(&self, pid: Pid, inode: u64) -> bool {
        holds(&format!("/proc/{}/fd", pid.as_raw_pid()), inode)
    }

    fn holds_in_any_thread(&self, pid: Pid, inode: u64) -> bool {
        let tasks = format!("/proc/{}/task", pid.as_raw_pid());
        numbers(Path::new(&tasks)).any(|task| holds(&format!("{tasks}/{}/fd", task.as_raw_pid()), inode))
    }

    fn socket(&self, theirs: SocketAddr, ours: SocketAddr) -> Option<Socket> {
        table::socket(theirs, ours)
    }

    /// Root becomes whom it likes; a user becomes those that `/etc/subuid` lends out, whoever they are lent to.
    fn may_become(&self, uid: u32) -> bool {
        let own = geteuid();
        own.is_root()
            || own.as_raw() == uid
            || is_lent(&fs::read_to_string("/etc/subuid").unwrap_or_default(), uid)
    }
}

/// The time, in clock ticks since boot; processes started before now have a smaller start time.
pub(super) fn ticks() -> u64 {
    let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
    // Hundredths of a second, which is what the kernel counts start times in, whatever it runs at.
    let mut parts = uptime.split([' ', '.']).map(|part| part.parse::<u64>().unwrap_or(0));
    parts.next().unwrap_or(0) * 100 + parts.next().unwrap_or(0)
}

fn holds(directory: &str, inode: u64) -> bool {
    let link = format!("socket:[{inode}]");
    let open = fs::read_dir(directory).into_iter().flatten().flatten();
    open.filter_map(|entry| fs::read_link(entry.path()).ok())
        .any(|target| target.as_os_str() == link.as_str())
}

/// Lines are `name:first:count`.
fn is_lent(subuid: &str, uid: u32) -> bool {
    subuid.lines().any(|line| {
        let mut numbers = line.split(':').skip(1).map(|number| number.trim().parse::<u64>().ok());
        let (first, count) = (numbers.next().flatten(), numbers.next().flatten());
        first
            .zip(count)
            .is_some_and(|(first, count)| (first..first.saturating_add(count)).contains(&u64::from(uid)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subordinate_users_are_known() {
        let table = "dev:100000:65536\n1001:165536:65536\nbroken\n";
        let lent = [99_999, 100_000, 165_535, 231_071, 231_072, 33].map(|uid| is_lent(table, uid));
        assert_eq!(lent, [false, true, true, true, false, false]);
    }

    #[test]
    fn a_process_that_runs_began_before_now() {
        let me = tree::process(rustix::process::getpid()).unwrap();
        assert!(me.start_time <= ticks() && ticks() < me.start_time + 360_000);
    }
}
