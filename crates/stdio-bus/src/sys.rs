//! The system calls that no safe wrapper covers, and nothing else.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The signals that are heard: two that end the router, and that a child has ended.
const HEARD: [libc::c_int; 3] = [libc::SIGTERM, libc::SIGINT, libc::SIGCHLD];

/// Sees to it that nothing we were given beyond stdin, stdout and stderr reaches a worker. Call it first thing.
pub(crate) fn close_on_exec() {
    // SAFETY: the call marks descriptors, it closes none. Before Linux 5.11 it fails and changes nothing; all that
    // we open ourselves is marked anyway.
    #[expect(unsafe_code, reason = "close_range has no safe wrapper")]
    unsafe {
        libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
    }
}

/// Takes over a descriptor that was inherited under this number.
///
/// # Errors
/// If it is none of ours to take, or not open.
pub(crate) fn inherit(number: RawFd) -> io::Result<OwnedFd> {
    if number <= 2 {
        // The standard three have owners already; a duplicate reads the same.
        let number = rustix::fs::open(
            format!("/proc/self/fd/{number}"),
            rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        )?;
        return Ok(number);
    }
    // SAFETY: the call only asks about the number.
    #[expect(unsafe_code, reason = "a number may name no open descriptor")]
    if unsafe { libc::fcntl(number, libc::F_GETFD) } == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, our parent made it for us, and this is called once, before we open anything that could
    // have taken the number.
    #[expect(unsafe_code, reason = "a descriptor that was inherited by number has no owner yet")]
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Has the child hear all signals, and be told to end when we die, before it becomes the command.
pub(crate) fn prepare_child(command: &mut Command) {
    let parent = rustix::process::getpid();
    let mut none = std::mem::MaybeUninit::uninit();
    // SAFETY: `sigemptyset` initialises the set.
    #[expect(unsafe_code, reason = "signal sets have no safe wrapper")]
    let none = unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        none.assume_init()
    };
    let prepare = move || {
        // SAFETY: the set is initialised, and a process with one thread has one mask.
        #[expect(unsafe_code, reason = "the signal mask has no safe wrapper")]
        unsafe {
            libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        }
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
        // If we died before that call, it is too late for the signal.
        if rustix::process::getppid() == Some(parent) {
            Ok(())
        } else {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    };
    // SAFETY: between fork and exec the closure makes plain system calls on what was computed before, and allocates
    // nothing; we have one thread, so no lock can be held by another.
    #[expect(unsafe_code, reason = "the mask must be set in the child, before exec")]
    unsafe {
        command.pre_exec(prepare);
    }
}

/// Blocks the signals that are heard, and returns a descriptor to read them from, which does not block.
pub(crate) fn hear_signals() -> io::Result<OwnedFd> {
    let mut set = std::mem::MaybeUninit::uninit();
    // SAFETY: `sigemptyset` initialises the set before anything else uses it; the process has one thread, so it has
    // one mask; and the descriptor is new, so that it has no other owner.
    #[expect(unsafe_code, reason = "signal sets and signalfd have no safe wrapper")]
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in HEARD {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        if libc::sigprocmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut()) != 0 {
            return Err(io::Error::last_os_error());
        }
        match libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) {
            -1 => Err(io::Error::last_os_error()),
            fd => Ok(OwnedFd::from_raw_fd(fd)),
        }
    }
}

/// Takes the signals that have come: how many of them tell us to end, and whether a child has ended.
pub(crate) fn signals(heard: &OwnedFd) -> (usize, bool) {
    let (mut ends, mut child) = (0, false);
    let mut info = [0; size_of::<libc::signalfd_siginfo>()];
    while rustix::io::read(heard, &mut info) == Ok(info.len()) {
        // The first field is `ssi_signo: u32`.
        let signal = u32::from_ne_bytes([info[0], info[1], info[2], info[3]]);
        if signal == libc::SIGCHLD as u32 {
            child = true;
        } else {
            ends += 1;
        }
    }
    (ends, child)
}
