//! Opening files below a directory, whatever links and other processes do meanwhile.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat, openat2, readlinkat};
use rustix::io::{Errno, Result};

/// How often the kernel may ask to try again because somebody renames directories on the way.
const MAX_RACES: usize = 128;
/// How many links a path may lead through, as in the kernel.
const MAX_LINKS: usize = 40;

/// A directory that is held open, and from below which no path leads out: not by `..`, not by a link, not by one that
/// takes a directory's place while the path is walked.
#[derive(Debug)]
pub(crate) struct Root {
    dir: OwnedFd,
    names: [PathBuf; 2],
    kernel: bool,
}

impl Root {
    /// Takes hold of a directory. It stays the same one if another takes its name later.
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        let dir = open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let names = [path.to_owned(), std::fs::canonicalize(path)?];
        // Kernels before 5.6 do not know the call, and some container runtimes forbid what they do not know.
        let here = openat2(&dir, ".", OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::BENEATH);
        Ok(Self { kernel: here.is_ok(), dir, names })
    }

    /// The path below the root that an absolute path means. A relative one is taken to be meant from the root.
    pub(crate) fn below<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        if path.is_relative() {
            return Some(path);
        }
        self.names.iter().find_map(|name| path.strip_prefix(name).ok())
    }

    /// Opens what a path below the root leads to.
    ///
    /// # Errors
    /// `XDEV` when it leads out, or through an absolute link; else as `open(2)`.
    pub(crate) fn resolve(&self, path: &Path, flags: OFlags) -> Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC;
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        if !self.kernel {
            return self.walk(path, flags);
        }
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        for _ in 0..MAX_RACES {
            match openat2(&self.dir, path, flags, Mode::empty(), beneath) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                opened => return opened,
            }
        }
        Err(Errno::AGAIN)
    }

    /// The same in user space: one component after the other, none of them followed if it is a link, which is read and
    /// put in its place.
    fn walk(&self, path: &Path, flags: OFlags) -> Result<OwnedFd> {
        let mut above: Vec<OwnedFd> = Vec::new();
        let mut todo = components(path)?;
        let mut links = 0;
        while let Some(name) = todo.pop() {
            let here = above.last().map_or_else(|| self.dir.as_fd(), AsFd::as_fd);
            if name == ".." {
                above.pop().ok_or(Errno::XDEV)?;
                continue;
            }
            if let Some(target) = link(here, &name)? {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno::LOOP);
                }
                todo.append(&mut components(&target)?);
                continue;
            }
            if todo.is_empty() {
                return openat(here, &name, flags | OFlags::NOFOLLOW, Mode::empty());
            }
            let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let next = openat(here, &name, directory, Mode::empty())?;
            above.push(next);
        }
        let here = above.last().map_or_else(|| self.dir.as_fd(), AsFd::as_fd);
        openat(here, ".", flags, Mode::empty())
    }

    #[cfg(test)]
    pub(crate) fn without_openat2(self) -> Self {
        Self { kernel: false, ..self }
    }
}

/// The target of a link; `None` if it is none.
fn link(here: BorrowedFd<'_>, name: &OsStr) -> Result<Option<PathBuf>> {
    match readlinkat(here, name, Vec::new()) {
        Ok(target) => {
            let target: OsString = std::os::unix::ffi::OsStringExt::from_vec(target.into_bytes());
            Ok(Some(target.into()))
        }
        Err(Errno::INVAL) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The components in reverse, to be taken from the end.
fn components(path: &Path) -> Result<Vec<OsString>> {
    let names = path.components().rev().filter_map(|component| match component {
        Component::Normal(name) => Some(Ok(name.to_owned())),
        Component::ParentDir => Some(Ok(OsString::from(".."))),
        Component::CurDir => None,
        Component::RootDir | Component::Prefix(_) => Some(Err(Errno::XDEV)),
    });
    names.collect()
}
