//! Who is whose child, as `/proc` tells it.
//!
//! A walk is not a snapshot: processes fork and end while it goes on. Whoever needs certainty walks again until the
//! kernel itself says that no child is left.

use std::collections::HashSet;
use std::path::Path;
use std::sync::OnceLock;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// One process as `/proc/<pid>/stat` describes it (`proc_pid_stat(5)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: Pid,
    /// None in the root of a pid namespace, or if the parent is outside of ours.
    pub(crate) parent: Option<Pid>,
    /// Of these two, None if the leader is outside of our pid namespace.
    pub(crate) group: Option<Pid>,
    pub(crate) session: Option<Pid>,
    /// In clock ticks since boot.
    pub(crate) start_time: u64,
}

/// The process with this pid, if there is one. A dead one that nobody has reaped is one.
pub(crate) fn process(pid: Pid) -> Option<Process> {
    let stat = std::fs::read(format!("/proc/{}/stat", pid.as_raw_pid())).ok()?;
    parse(pid, &stat)
}

/// The children of a process, of all its threads.
pub(crate) fn children(pid: Pid) -> Vec<Pid> {
    Source::new().children(pid)
}

/// All descendants, parents before their children. Dead ones that are not reaped are among them.
pub(crate) fn descendants(root: Pid) -> Vec<Process> {
    let source = Source::new();
    let mut seen = HashSet::from([root]);
    let mut found = Vec::new();
    let mut todo = source.children(root);
    while let Some(pid) = todo.pop() {
        if let Some(process) = process(pid).filter(|_| seen.insert(pid)) {
            found.push(process);
            todo.extend(source.children(pid));
        }
    }
    found
}

/// Sends signals to everything below `root`, to each process group as a whole: the kernel does that in one step, and
/// no fork escapes it, however fast a process of the group may fork and exit.
///
/// A group is always below `root` altogether, because it lies within one session, and a session below `root` was made
/// there. The one exception is `root`'s own group, whose members are signalled one by one.
///
/// Between reading of a process and signalling its group no other process can take over the number unless the
/// kernel goes through all its pids, in order, in these few microseconds.
pub(crate) fn signal(root: Pid, pinned: Option<Pid>, signals: &[Signal]) {
    let own = process(root).map(|root| root.group);
    let mut done = HashSet::new();
    if let Some(group) = pinned {
        done.insert(group);
        signals.iter().for_each(|&signal| ignore(kill_process_group(group, signal)));
    }
    for process in descendants(root) {
        match process.group {
            Some(group) if own != Some(Some(group)) => {
                if done.insert(group) {
                    signals.iter().for_each(|&signal| ignore(kill_process_group(group, signal)));
                }
            }
            Some(_) | None => signals.iter().for_each(|&signal| ignore(kill_process(process.pid, signal))),
        }
    }
}

/// Gone already, or another user's: the next walk tells which.
fn ignore(_: rustix::io::Result<()>) {}

/// Where lists of children come from.
enum Source {
    /// `/proc/<pid>/task/<tid>/children`, of kernels with `CONFIG_PROC_CHILDREN`: costs what the tree is large.
    Lists,
    /// Else all processes there are, read once: costs what the machine is large.
    All(Vec<Process>),
}

impl Source {
    fn new() -> Self {
        static LISTS: OnceLock<bool> = OnceLock::new();
        if *LISTS.get_or_init(|| Path::new("/proc/thread-self/children").exists()) {
            Self::Lists
        } else {
            Self::all()
        }
    }

    fn all() -> Self {
        Self::All(numbers(Path::new("/proc")).filter_map(process).collect())
    }

    fn children(&self, pid: Pid) -> Vec<Pid> {
        match self {
            Self::All(all) => all.iter().filter(|p| p.parent == Some(pid)).map(|p| p.pid).collect(),
            Self::Lists => {
                let tasks = format!("/proc/{}/task", pid.as_raw_pid());
                let lists = numbers(Path::new(&tasks)).filter_map(|task| {
                    std::fs::read_to_string(format!("{tasks}/{}/children", task.as_raw_pid())).ok()
                });
                lists
                    .flat_map(|list| list.split_ascii_whitespace().filter_map(pid_from).collect::<Vec<_>>())
                    .collect()
            }
        }
    }
}

/// The entries of a directory of `/proc` that are numbers.
pub(crate) fn numbers(directory: &Path) -> impl Iterator<Item = Pid> + use<> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| pid_from(entry.file_name().to_str()?))
}

fn pid_from(text: &str) -> Option<Pid> {
    Pid::from_raw(text.parse().ok().filter(|&pid| pid > 0)?)
}

/// Reads a line of `/proc/<pid>/stat`. The name in it may hold anything, `)` and spaces too.
fn parse(pid: Pid, stat: &[u8]) -> Option<Process> {
    let name_end = stat.iter().rposition(|&byte| byte == b')')?;
    let fields = std::str::from_utf8(&stat[name_end + 1..]).ok()?;
    // The first of these is field 3, the state.
    let mut fields = fields.split_ascii_whitespace().skip(1);
    let (parent, group, session) =
        (pid_from(fields.next()?), pid_from(fields.next()?), pid_from(fields.next()?));
    let start_time = fields.nth(15)?.parse().ok()?;
    Some(Process { pid, parent, group, session, start_time })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{getpid, getppid};

    #[test]
    fn a_name_may_hold_anything() {
        let stat = b"42 (a) R 1 (\xff\n) S 7 8 9 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 777 4096 1 0\n";
        let pid = Pid::from_raw(42).unwrap();
        let expected = Process {
            pid,
            parent: Pid::from_raw(7),
            group: Pid::from_raw(8),
            session: Pid::from_raw(9),
            start_time: 777,
        };
        assert_eq!(parse(pid, stat), Some(expected));
        for broken in [
            &b""[..],
            b"42",
            b"42 (x)",
            b"42 (x) S 1 2 3",
            b"42 (x) S a b c 0 -1 0 0 0 0 0 0 0 0 0 0 0 0 0 x",
        ] {
            assert_eq!(parse(pid, broken), None);
        }
    }

    #[test]
    fn we_see_ourselves_among_our_parents_children_from_either_source() {
        let (me, parent) = (getpid(), getppid().unwrap());
        let ours = process(me).unwrap();
        assert_eq!(ours.parent, Some(parent));
        // A list can miss a process when a sibling of it ends at that moment.
        let ever = |seen: &dyn Fn() -> bool| (0..100).any(|_| seen());
        assert!(ever(&|| children(parent).contains(&me)));
        assert!(ever(&|| Source::all().children(parent).contains(&me)));
        assert!(ever(&|| descendants(parent).contains(&ours)));
    }
}
