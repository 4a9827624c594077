//! The system calls of confinement that no safe wrapper covers, and nothing else.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use rustix::process::{Pid, Signal};

/// `struct mount_attr` of `<linux/mount.h>`.
#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Moves this process into new namespaces. The caller has one thread.
pub(super) fn unshare(flags: libc::c_int) -> io::Result<()> {
    // SAFETY: the flags name namespaces only, so that no memory or descriptor table is shared less than before.
    #[expect(unsafe_code, reason = "unshare has no safe wrapper")]
    check(unsafe { libc::unshare(flags) }.into())
}

/// Makes a mount read-only, and with `deep` all mounts below it. An empty path means what the descriptor is.
pub(super) fn read_only(directory: BorrowedFd<'_>, path: &CStr, deep: bool) -> io::Result<()> {
    let attr = MountAttr { set: libc::MOUNT_ATTR_RDONLY, clear: 0, propagation: 0, userns_fd: 0 };
    let deep = if deep { libc::AT_RECURSIVE } else { 0 };
    let flags = libc::AT_EMPTY_PATH | deep;
    // SAFETY: the kernel reads the path up to its NUL and the structure of the size that is told, and keeps neither.
    #[expect(unsafe_code, reason = "mount_setattr has no safe wrapper")]
    check(unsafe {
        let (fd, size) = (libc::c_long::from(directory.as_raw_fd()), size_of::<MountAttr>());
        libc::syscall(libc::SYS_mount_setattr, fd, path.as_ptr(), flags, &raw const attr, size)
    })
}

/// Forks: the child's number for the parent, `None` for the child.
pub(super) fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: this process has one thread, so that the child finds no lock held by another.
    #[expect(unsafe_code, reason = "fork has no safe wrapper")]
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        child => Ok(Pid::from_raw(child)),
    }
}

/// Ends this process at once, and runs nothing that was to be run at its exit.
pub(super) fn exit(code: i32) -> ! {
    // SAFETY: it does not return, and touches no memory.
    #[expect(unsafe_code, reason = "_exit has no safe wrapper")]
    unsafe {
        libc::_exit(code)
    }
}

/// Ends this process as a signal ended another, without a core dump.
pub(super) fn die(signal: i32) -> ! {
    if let Some(signal) = Signal::from_named_raw(signal) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), signal);
    }
    // SAFETY: the set is initialised before it is used, and a process with one thread has one mask.
    #[expect(unsafe_code, reason = "the signal mask has no safe wrapper")]
    unsafe {
        let mut none = std::mem::MaybeUninit::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
    }
    exit(128 + signal)
}

/// Blocks all signals that can be blocked.
pub(super) fn block_signals() {
    // SAFETY: the set is initialised before it is used, and a process with one thread has one mask.
    #[expect(unsafe_code, reason = "the signal mask has no safe wrapper")]
    unsafe {
        let mut all = std::mem::MaybeUninit::uninit();
        libc::sigfillset(all.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, all.as_ptr(), std::ptr::null_mut());
    }
}

/// Closes every descriptor but this one. Nothing that owns one of them may run in this process afterwards.
pub(super) fn close_all_but(kept: RawFd) {
    let close = |first: RawFd, last: RawFd| {
        // SAFETY: the caller goes on with system calls on `kept` alone until the process ends, without running the
        // destructor of any other owner.
        #[expect(unsafe_code, reason = "close_range has no safe wrapper")]
        unsafe {
            libc::syscall(libc::SYS_close_range, libc::c_long::from(first), libc::c_long::from(last), 0_i64);
        }
    };
    if kept > 0 {
        close(0, kept - 1);
    }
    close(kept + 1, RawFd::MAX);
}

fn check(result: libc::c_long) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
