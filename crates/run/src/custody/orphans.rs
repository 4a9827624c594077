//! What a killed keep leaves behind.
//!
//! A daemon that is a subreaper inherits it. It knows such an orphan among its children by two marks: it is no keep on
//! the register, and it is in another session, which no child becomes but by a keep (see
//! [`become_subreaper`]).

use std::io;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};
use tokio::signal::unix::{SignalKind, signal};

use super::Inner;
use crate::keep::tree;

/// If no child's end is heard of, when to look again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Proof that this process is a child subreaper, for the one custody in it that ends orphans.
#[derive(Debug)]
pub struct Subreaper(());

/// Makes this process the parent of every orphan below it (`PR_SET_CHILD_SUBREAPER`), so that a custody can end what
/// a killed keep leaves behind. From then on this process must start no session of its own but through a custody, or
/// it may be taken for such an orphan.
///
/// # Errors
/// The kernel does not know how (before Linux 3.4).
pub fn become_subreaper() -> io::Result<Subreaper> {
    rustix::process::set_child_subreaper(Some(getpid()))?;
    Ok(Subreaper(()))
}

/// Kills all orphans and what is below them, and reaps them; nothing where we are no subreaper. Other children of
/// this process, and whoever waits for them, are not touched.
pub(super) async fn end(inner: &Inner) {
    if inner.options.subreaper.is_none() {
        return;
    }
    // Listening begins before looking, so that no end in between is missed.
    let Ok(mut child_ended) = signal(SignalKind::child()) else { return };
    while kill_and_reap(inner) {
        let _ = tokio::time::timeout(LOOK_AGAIN, child_ended.recv()).await;
    }
}

/// Whether there is still an orphan.
fn kill_and_reap(inner: &Inner) -> bool {
    let mut any = false;
    for orphan in find(inner) {
        let _ = kill_process(orphan, Signal::KILL);
        tree::signal(orphan, None, &[Signal::KILL]);
        any |= !matches!(waitpid(Some(orphan), WaitOptions::NOHANG), Ok(Some(_)));
    }
    // What an orphan had below it is ours once that is dead.
    any || !find(inner).is_empty()
}

fn find(inner: &Inner) -> Vec<Pid> {
    let me = getpid();
    // Read as the others' are: where the leader of our session is outside of our pid namespace, it is no number.
    let Some(ours) = tree::process(me).map(|p| p.session) else { return Vec::new() };
    // The register is held, so that no keep is just being started.
    let register = inner.register();
    let strange = |pid: &Pid| {
        !register.is_keep(*pid)
            && tree::process(*pid).is_some_and(|p| p.parent == Some(me) && p.session != ours)
    };
    tree::children(me).into_iter().filter(strange).collect()
}
