//! A `/dev` with what programs need and nothing that reaches around the file system, such as disks and others' terminals.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::mount::MountFlags;

use super::mounts::{Place, What, clone, tmpfs};
use super::{Result, While, at};

/// What every program may open.
const NODES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
/// What computes: each where there is one. A name ends with `*` for all that begin so.
const ENGINES: [&str; 3] = ["dri", "kfd", "nvidia*"];

const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// The devices as they are now, to be put into the new directory.
pub(super) fn taken() -> Result<Vec<Place>> {
    let engines = fs::read_dir("/dev").into_iter().flatten().flatten().filter(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        ENGINES.iter().any(|engine| match engine.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == *engine,
        })
    });
    let nodes = NODES.iter().map(|node| Path::new("/dev").join(node)).filter(|node| node.exists());
    let all: Vec<PathBuf> = nodes.chain(engines.map(|entry| entry.path())).collect();
    all.into_iter().map(|path| Ok(Place { what: What::Tree(clone(&path)?), at: path })).collect()
}

/// Lays the new directory over `/dev`, still empty of devices.
pub(super) fn lay_out() -> Result<()> {
    tmpfs(Path::new("/dev"), "mode=0755,size=64k")?;
    for (name, target) in LINKS {
        let path = Path::new("/dev").join(name);
        symlink(target, &path).doing(|| at("make", &path))?;
    }
    for directory in ["/dev/pts", "/dev/shm"] {
        fs::create_dir(directory).doing(|| at("make", directory))?;
    }
    tmpfs(Path::new("/dev/shm"), "mode=1777")?;
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    rustix::mount::mount("devpts", "/dev/pts", "devpts", flags, Some(c"newinstance,ptmxmode=0666,mode=0620"))
        .doing(|| "mount /dev/pts".to_owned())
}
