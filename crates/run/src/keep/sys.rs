//! The system calls that no safe wrapper covers, and nothing else.

use std::ffi::OsStr;
use std::io::{self, PipeWriter};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::{Pid, Resource, Rlimit, Signal, getppid};

use super::confine;
use crate::sandbox::Confinement;

/// The signals that a keep hears: a child has ended, or it is itself told to go.
const HEARD: [libc::c_int; 5] = [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];

/// How many signals there are.
const SIGNALS: libc::c_long = 64;

/// Takes over the control socket, inherited under this number, and closes every other descriptor above 2.
///
/// # Errors
/// If the number is not that of an open socket, or the kernel is older than Linux 5.9.
pub(super) fn inherit(control: RawFd) -> io::Result<UnixStream> {
    let entry = std::fs::metadata(format!("/proc/self/fd/{control}"))?;
    if control <= 2 || !entry.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a socket"));
    }
    close_range(3, control - 1)?;
    close_range(control + 1, RawFd::MAX)?;
    // SAFETY: the descriptor is open, it was made for us by our parent, and we call this once, first thing in
    // the program, so that nothing else here owns it.
    #[expect(unsafe_code, reason = "a descriptor that was inherited by number has no owner yet")]
    let owned = unsafe { OwnedFd::from_raw_fd(control) };
    rustix::io::fcntl_setfd(&owned, rustix::io::FdFlags::CLOEXEC)?;
    Ok(UnixStream::from(owned))
}

/// Sets every signal to its default action, so that what the daemon's own parent ignored (nohup: SIGHUP, Python:
/// SIGXFSZ) is not ignored by the command, and no ignored SIGCHLD reaps children behind our back. SIGPIPE stays
/// ignored here; the standard library resets it in what it spawns.
pub(super) fn default_signals() {
    // The kernel's `struct sigaction`: all zeros are the default action without flags, on every architecture.
    let default = [0_u64; 8];
    for signal in (1..=SIGNALS).filter(|&signal| signal != libc::c_long::from(libc::SIGPIPE)) {
        // SAFETY: the kernel reads at most the 64 bytes it is given, and the default action runs no code of ours.
        // It fails for what cannot be set. The C library's own call would leave out two signals.
        #[expect(unsafe_code, reason = "setting a signal's action has no safe wrapper")]
        unsafe {
            let (new, old) = (default.as_ptr(), std::ptr::null_mut::<u64>());
            libc::syscall(libc::SYS_rt_sigaction, signal, new, old, SIGNALS / 8);
        }
    }
}

/// Blocks the signals we hear, and no others, and returns a descriptor to read them from, which does not block.
pub(super) fn hear_signals() -> io::Result<OwnedFd> {
    let set = signal_set(&HEARD);
    set_mask(&set)?;
    // SAFETY: the set is initialised, and the descriptor is new, so that it has no other owner.
    #[expect(unsafe_code, reason = "signalfd has no safe wrapper")]
    unsafe {
        match libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) {
            -1 => Err(io::Error::last_os_error()),
            fd => Ok(OwnedFd::from_raw_fd(fd)),
        }
    }
}

/// Reads the signals that have come: whether one of them tells us to go.
pub(super) fn told_to_go(signals: &OwnedFd) -> bool {
    let mut go = false;
    let mut info = [0; size_of::<libc::signalfd_siginfo>()];
    while rustix::io::read(signals, &mut info) == Ok(info.len()) {
        // The first field is `ssi_signo: u32`.
        let signal = u32::from_ne_bytes([info[0], info[1], info[2], info[3]]);
        go |= signal != libc::SIGCHLD as u32;
    }
    go
}

/// Has the child unblock all signals, set its limits, and die when `keep` dies, before it becomes the command.
///
/// Where it is to be shut in, it becomes so before that, and `say` takes why it could not be.
pub(super) fn prepare_child(
    command: &mut Command,
    keep: Pid,
    limits: Vec<(Resource, Rlimit)>,
    confine: Option<Confinement>,
    cwd: &OsStr,
    say: PipeWriter,
) {
    let none = signal_set(&[]);
    let cwd = PathBuf::from(cwd);
    let prepare = move || {
        set_mask(&none)?;
        // How many processes there may be binds the command, and not those that are needed to shut it in.
        let (processes, others): (Vec<_>, Vec<_>) =
            limits.iter().partition(|(resource, _)| *resource == Resource::Nproc);
        set_limits(&others)?;
        let parent = match &confine {
            None => Some(keep),
            // With a pid namespace its parent is the first process there, which dies with the keep as well.
            Some(confine) => {
                confine::enter(confine, &cwd, &say)?;
                Some(if confine.has_first_process() { Pid::INIT } else { keep })
            }
        };
        set_limits(&processes)?;
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        // If the keep died before that call, it is too late for the signal.
        if getppid() == parent { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    };
    // SAFETY: between fork and exec the closure runs in a process whose only thread is this one, as the keep's was: no
    // lock can be held by another, so that it may allocate.
    #[expect(unsafe_code, reason = "limits and the death signal must be set in the child, before exec")]
    unsafe {
        command.pre_exec(prepare);
    }
}

fn set_limits(limits: &[&(Resource, Rlimit)]) -> io::Result<()> {
    for (resource, limit) in limits {
        rustix::process::setrlimit(*resource, *limit)?;
    }
    Ok(())
}

fn signal_set(signals: &[libc::c_int]) -> libc::sigset_t {
    let mut set = std::mem::MaybeUninit::uninit();
    // SAFETY: `sigemptyset` initialises the set before anything else uses it.
    #[expect(unsafe_code, reason = "signal sets have no safe wrapper")]
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for &signal in signals {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}

/// Blocks exactly these signals.
fn set_mask(set: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: the set is initialised, the old one is not asked for, and a process with one thread has one mask.
    #[expect(unsafe_code, reason = "the signal mask has no safe wrapper")]
    match unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const *set, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn close_range(first: RawFd, last: RawFd) -> io::Result<()> {
    if first > last {
        return Ok(());
    }
    // SAFETY: called before this program owns any descriptor above 2, so that none is closed under its owner.
    #[expect(unsafe_code, reason = "close_range has no safe wrapper")]
    match unsafe {
        libc::syscall(libc::SYS_close_range, libc::c_long::from(first), libc::c_long::from(last), 0_i64)
    } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
