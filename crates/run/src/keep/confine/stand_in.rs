//! The two small processes between a keep and a command that has a pid namespace.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, getppid, wait, waitpid};

use super::{Result, While, sys};

/// Where the first process tells how the command ended. It is the one that a namespace's end does not tell.
pub(super) struct Told(PipeWriter);

thread_local! {
    static TOLD: std::cell::RefCell<Option<Told>> = const { std::cell::RefCell::new(None) };
}

/// Forks. The child returns, as the first process of the namespace. The parent waits for it and ends as the command ended.
pub(super) fn become_first() -> Result<()> {
    let forking = || "start a process in the namespace".to_owned();
    let (how, tell) = io::pipe().doing(forking)?;
    let keep = getppid();
    match sys::fork().doing(forking)? {
        Some(first) => {
            drop(tell);
            stand_in(first, how, keep)
        }
        None => {
            drop(how);
            ends_with_parent();
            TOLD.set(Some(Told(tell)));
            Ok(())
        }
    }
}

/// Forks. The child returns, as what is to become the command. The parent reaps whatever loses its parent in the namespace,
/// tells how the command ended, and ends when nobody is left; killed, it takes everybody with it.
pub(super) fn become_second() -> Result<()> {
    match sys::fork().doing(|| "start the command's process".to_owned())? {
        Some(command) => match TOLD.take() {
            Some(told) => first(command, told),
            None => sys::exit(1),
        },
        None => {
            TOLD.set(None);
            // The group it was born in has its leader outside, and no number here.
            rustix::process::setpgid(None, None).doing(|| "start a process group".to_owned())
        }
    }
}

fn stand_in(first: Pid, mut how: PipeReader, keep: Option<Pid>) -> ! {
    hold_still(how.as_raw_fd());
    ends_with_parent();
    if getppid() != keep {
        sys::exit(1);
    }
    let mut status = [0; 5];
    let told = how.read_exact(&mut status).is_ok();
    if !told {
        let _ = waitpid(Some(first), WaitOptions::empty());
        sys::die(Signal::KILL.as_raw());
    }
    let [signalled, number @ ..] = status;
    let number = i32::from_ne_bytes(number);
    if signalled == 0 { sys::exit(number) } else { sys::die(number) }
}

fn first(command: Pid, Told(mut told): Told) -> ! {
    hold_still(told.as_raw_fd());
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == command => {
                // The stand-in ends with this. The keep is the parent then, and ends what the command left behind.
                let _ = rustix::process::set_parent_process_death_signal(None);
                drop(told.write_all(&line(status)));
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            // Nobody is left.
            Err(_) => sys::exit(0),
        }
    }
}

/// Whether a signal ended it, and the number of the signal, or of its exit.
fn line(status: WaitStatus) -> [u8; 5] {
    let number = status.terminating_signal().or_else(|| status.exit_status()).unwrap_or(1).to_ne_bytes();
    [u8::from(status.signaled()), number[0], number[1], number[2], number[3]]
}

/// Holds nothing of the command's, hears no signal that can be blocked, and is not for tracing.
fn hold_still(kept: i32) {
    sys::block_signals();
    sys::close_all_but(kept);
    drop(std::env::set_current_dir("/"));
    let _ = rustix::thread::set_name(c"trunkline-keep");
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

fn ends_with_parent() {
    // It can fail for no signal that exists.
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
}
