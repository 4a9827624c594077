//! The rules: who counts as an agent, who as outside, and who as neither.

use std::net::SocketAddr;

use rustix::process::Pid;
use trunkline_core::id::SessionId;

use super::Origin;
use super::kernel::Proc;

/// How many generations are climbed at most; beyond that nobody can tell.
const MAX_GENERATIONS: u32 = 4_096;
/// How often a climb begins anew because a parent ended meanwhile.
const MAX_CLIMBS: u32 = 16;

/// The keeper of an agent, or of a command of an agent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tree {
    pub(super) keep: Pid,
    pub(super) session: Option<SessionId>,
}

/// A process that was seen to be outside. Its number alone could be another's by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) pid: Pid,
    pub(super) start_time: u64,
}

/// Where a process stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Within(Option<SessionId>),
    Outside,
    /// It ended, its parents cannot be seen, or it is an orphan that a killed keeper left to us.
    Unclear,
}

/// Judges one connection.
pub(super) struct Judge<'a> {
    proc: &'a dyn Proc,
    trees: Vec<Tree>,
    me: Pid,
    /// When the first keeper that runs was started. Whatever is older is in no tree. `None` if one of them is dead
    /// already: what it leaves behind may be of any age.
    first_keep: Option<u64>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(proc: &'a dyn Proc, trees: Vec<Tree>, me: Pid) -> Self {
        let starts: Option<Vec<_>> =
            trees.iter().map(|tree| proc.process(tree.keep).map(|keep| keep.start_time)).collect();
        Self { proc, trees, me, first_keep: starts.and_then(|starts| starts.into_iter().min()) }
    }

    /// The process that connected to a Unix socket, which was `asked` for at that tick. `lives` tells afterwards whether
    /// the number has been its own all the time.
    pub(super) fn process(&self, pid: Option<Pid>, asked: u64, lives: impl FnOnce() -> bool) -> Origin {
        let process =
            pid.and_then(|pid| self.proc.process(pid)).filter(|process| process.start_time <= asked);
        let Some(process) = process else { return Origin::Unknown };
        let place = if self.trees.is_empty() { Place::Outside } else { self.place(process.pid) };
        match place {
            Place::Within(Some(session)) => Origin::Agent(session),
            Place::Outside if lives() => Origin::Outside,
            Place::Outside | Place::Within(None) | Place::Unclear => Origin::Unknown,
        }
    }

    /// A TCP connection from this machine, and who holds it if that is somebody outside.
    pub(super) fn connection(
        &self,
        theirs: SocketAddr,
        ours: SocketAddr,
        known: &[Known],
    ) -> (Origin, Option<Known>) {
        let Some(socket) = self.proc.socket(theirs, ours) else { return (Origin::Unknown, None) };
        if self.trees.is_empty() || !self.proc.may_become(socket.uid) {
            return (Origin::Outside, None);
        }
        // Whatever else is found: what an agent holds too is an agent's.
        if let Some(tree) = self.trees.iter().find(|tree| self.holds(tree, socket.inode)) {
            return (tree.session.map_or(Origin::Unknown, Origin::Agent), None);
        }
        match self.holder(socket.inode, known) {
            Some((_, Place::Within(Some(session)))) => (Origin::Agent(session), None),
            Some((holder, Place::Outside)) => (Origin::Outside, Some(holder)),
            Some((_, Place::Within(None) | Place::Unclear)) | None => (Origin::Unknown, None),
        }
    }

    /// Whether anything of a tree is seen to hold a socket.
    fn holds(&self, tree: &Tree, inode: u64) -> bool {
        let members = [tree.keep].into_iter().chain(self.proc.below(tree.keep));
        members.into_iter().any(|pid| self.proc.holds_in_any_thread(pid, inode))
    }

    /// A process that holds a socket, and where it stands: one outside if there is one.
    ///
    /// Only the first thread of each is looked at: another's own table would be an agent's trick, and is not found.
    fn holder(&self, inode: u64, known: &[Known]) -> Option<(Known, Place)> {
        let again = known.iter().map(|known| known.pid);
        let all = again.chain(std::iter::once_with(|| self.proc.processes()).flatten());
        let mut found = None;
        for pid in all {
            let Some(before) = self.proc.process(pid) else { continue };
            if !self.proc.holds(pid, inode) {
                continue;
            }
            let holder = Known { pid, start_time: before.start_time };
            let place = self.place(pid);
            let same = self.proc.process(pid).is_some_and(|now| now.start_time == holder.start_time);
            match place {
                Place::Outside if same => return Some((holder, place)),
                Place::Outside => {}
                Place::Within(_) | Place::Unclear => found = Some((holder, place)),
            }
        }
        found
    }

    /// Climbs from a process to its ancestors.
    ///
    /// The walk downwards can miss a process that was born behind it. This one cannot: whoever is below a keeper has it as
    /// an ancestor at every moment, because a keeper adopts the orphans of its tree.
    fn place(&self, pid: Pid) -> Place {
        (0..MAX_CLIMBS).find_map(|_| self.climb(pid)).unwrap_or(Place::Unclear)
    }

    /// `None` if an ancestor ended meanwhile.
    fn climb(&self, pid: Pid) -> Option<Place> {
        let mut at = pid;
        for _ in 0..MAX_GENERATIONS {
            if let Some(tree) = self.trees.iter().find(|tree| tree.keep == at) {
                return Some(Place::Within(tree.session));
            }
            if at == self.me {
                // Ourselves, or an orphan whose keeper was killed.
                return Some(if pid == self.me { Place::Outside } else { Place::Unclear });
            }
            if at.as_raw_pid() == 1 {
                return Some(Place::Outside);
            }
            let process = self.proc.process(at)?;
            if self.first_keep.is_some_and(|first| process.start_time < first) {
                return Some(Place::Outside);
            }
            match process.parent {
                Some(parent) => at = parent,
                // Its parent is outside of our pid namespace, where nothing of ours is.
                None => return Some(Place::Outside),
            }
        }
        Some(Place::Unclear)
    }
}

#[cfg(test)]
mod tests;
