//! What a confined command sees of the file system: everything read-only, the places it may change laid over that, and empty
//! directories where it must not look.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount, mount_change, move_mount,
    open_tree,
};

use super::{Result, While, at, devices, paths, sys};
use crate::sandbox::Confinement;

/// What of a new `/proc` speaks to the machine rather than of processes. A confined root is still the owner of these files.
const MACHINE: [&str; 8] = ["acpi", "asound", "bus", "fs", "irq", "scsi", "sys", "sysrq-trigger"];

/// What is laid over a path.
pub(super) enum What {
    /// What was there before everything became read-only, or what was elsewhere.
    Tree(OwnedFd),
    /// An empty directory that takes nothing.
    Empty,
    /// An empty directory that takes files, and is gone with the command.
    Fresh,
}

pub(super) struct Place {
    pub(super) at: PathBuf,
    pub(super) what: What,
}

/// Sockets of the file system through which one could have others act, as far as the kernel lists them: those outside of
/// the writable places. A read-only file system lets a socket be connected to.
pub(super) fn sockets(confine: &Confinement) -> BTreeSet<PathBuf> {
    let table = fs::read("/proc/net/unix").unwrap_or_default();
    let lines = table.split(|&byte| byte == b'\n').skip(1);
    let named = lines.filter_map(|line| {
        let start = line.iter().position(|&byte| byte == b'/')?;
        Some(PathBuf::from(std::ffi::OsStr::from_bytes(&line[start..])))
    });
    let open = |path: &PathBuf| !paths(&confine.write).any(|place| path.starts_with(place));
    named.filter(open).filter(|path| is_socket(path)).filter_map(|path| path.canonicalize().ok()).collect()
}

fn is_socket(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.file_type().is_socket())
}

/// Lays everything out.
pub(super) fn lay_out(confine: &Confinement, sockets: &BTreeSet<PathBuf>) -> Result<()> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .doing(|| "separate the mounts".to_owned())?;
    let mut places = places(confine)?;
    places.extend(devices::taken()?);
    let closed = sockets.iter().filter(|socket| {
        !places.iter().any(|place| !matches!(place.what, What::Tree(_)) && socket.starts_with(&place.at))
    });
    let closed =
        closed.map(|at| Ok(Place { what: What::Tree(clone(Path::new("/dev/null"))?), at: at.clone() }));
    let closed: Vec<Place> = closed.collect::<Result<_>>()?;
    // What lies within another is laid over it.
    places.sort_by_key(|place| place.at.components().count());
    sys::read_only(CWD, c"/", true).doing(|| "make everything read-only".to_owned())?;
    devices::lay_out()?;
    for place in &places {
        place.lay()?;
    }
    for socket in &closed {
        socket.close()?;
    }
    for place in places.iter().filter(|place| matches!(place.what, What::Empty)) {
        read_only(&place.at)?;
    }
    read_only(Path::new("/dev"))
}

/// The places of a confinement, with what is to be there taken before anything is changed.
fn places(confine: &Confinement) -> Result<Vec<Place>> {
    let mut places = Vec::new();
    let mut add = |at: PathBuf, what| places.push(Place { at, what });
    for path in paths(&confine.temporary).filter(|path| path.is_dir()) {
        let what = match &confine.scratch {
            Some(scratch) => What::Tree(clone(Path::new(&scratch.0))?),
            None => What::Fresh,
        };
        add(real(path)?, what);
    }
    for path in paths(&confine.read).filter(|path| path.exists()) {
        let path = real(path)?;
        let tree = clone(&path)?;
        sys::read_only(tree.as_fd(), c"", true).doing(|| at("make read-only", &path))?;
        add(path, What::Tree(tree));
    }
    for path in paths(&confine.write).filter(|path| path.exists()) {
        let path = real(path)?;
        add(path.clone(), What::Tree(clone(&path)?));
    }
    for path in paths(&confine.hide).filter(|path| path.exists()) {
        let path = real(path)?;
        let what = if path.is_dir() { What::Empty } else { What::Tree(clone(Path::new("/dev/null"))?) };
        add(path, what);
    }
    Ok(places)
}

impl Place {
    fn lay(&self) -> Result<()> {
        let path = &self.at;
        match &self.what {
            What::Empty => self.mountpoint(true).and_then(|()| tmpfs(path, "mode=0755,size=64k")),
            What::Fresh => self.mountpoint(true).and_then(|()| tmpfs(path, "mode=1777")),
            What::Tree(tree) => {
                let found = rustix::fs::fstat(tree).doing(|| at("look at", path))?;
                let directory = rustix::fs::FileType::from_raw_mode(found.st_mode).is_dir();
                self.mountpoint(directory)?;
                move_mount(tree, "", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
                    .doing(|| at("open a way to", path))
            }
        }
    }

    /// The same over a socket. One that has gone since it was listed leads nowhere.
    fn close(&self) -> Result<()> {
        if !is_socket(&self.at) {
            return Ok(());
        }
        self.lay().or_else(|refused| if self.at.symlink_metadata().is_err() { Ok(()) } else { Err(refused) })
    }

    /// Something to lay it over: what is hidden by a directory laid out before has to be made in that one.
    fn mountpoint(&self, directory: bool) -> Result<()> {
        let path = &self.at;
        if path.symlink_metadata().is_ok() {
            return Ok(());
        }
        let parent = if directory { Some(&**path) } else { path.parent() };
        fs::create_dir_all(parent.unwrap_or(path)).doing(|| at("make a place for", path))?;
        if directory { Ok(()) } else { fs::write(path, "").doing(|| at("make a place for", path)) }
    }
}

/// Mounts the `/proc` of this pid namespace.
pub(super) fn processes() -> Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "/proc", "proc", flags, None).doing(|| "mount /proc".to_owned())?;
    for name in MACHINE {
        let path = Path::new("/proc").join(name);
        if path.exists() {
            let tree = clone(&path)?;
            sys::read_only(tree.as_fd(), c"", true).doing(|| at("make read-only", &path))?;
            Place { at: path, what: What::Tree(tree) }.lay()?;
        }
    }
    Ok(())
}

/// The mounts from a path on, not mounted anywhere yet.
pub(super) fn clone(path: &Path) -> Result<OwnedFd> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    open_tree(CWD, path, flags).doing(|| at("take hold of", path))
}

pub(super) fn tmpfs(path: &Path, options: &str) -> Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    let options = CString::new(options).expect("our options have no NUL");
    mount("tmpfs", path, "tmpfs", flags, Some(options.as_c_str())).doing(|| at("hide", path))
}

fn read_only(path: &Path) -> Result<()> {
    let text = CString::new(path.as_os_str().as_bytes()).expect("a path that exists has no NUL");
    sys::read_only(CWD, &text, false).doing(|| at("make read-only", path))
}

fn real(path: &Path) -> Result<PathBuf> {
    path.canonicalize().doing(|| at("find", path))
}
